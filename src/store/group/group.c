/*-------------------------------------------------------------------------
 *
 * group.c
 *	  Slots of consumer groups in shared memory.
 *
 * src/store/group/group.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/generation.h"
#include "base/guc.h"
#include "base/patience.h"
#include "base/wait_event.h"
#include "store/group/group_shared.h"
#include "store/log/log.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/shmem.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

typedef struct GroupTable
{
	LWLock	   *lock;			/* slots are taken and freed under it */
	pg_atomic_uint32 sessions;	/* numbers given out */
	int			size;
	PrismGroup	slots[FLEXIBLE_ARRAY_MEMBER];
} GroupTable;

static GroupTable *table = NULL;

/* The slot for which this backend reads ahead. */
static PrismGroup *reading = NULL;
static uint32 reading_generation;
static uint32 reading_epoch;
static int	reading_level;			/* of the transaction or savepoint that claimed it */

/* ---------- shared memory ---------- */

static Size
group_table_size(void)
{
	return MAXALIGN(add_size(offsetof(GroupTable, slots),
							 mul_size(prism_max_groups, sizeof(PrismGroup))));
}

static Size
window_size(void)
{
	return MAXALIGN(prism_window_bytes(prism_group_window));
}

int
prism_group_lwlocks(void)
{
	return prism_max_groups + 1;
}

Size
prism_group_shmem_size(void)
{
	return add_size(group_table_size(), mul_size(prism_max_groups, window_size()));
}

void
prism_group_shmem_init(void)
{
	LWLockPadded *locks;
	char	   *windows;
	bool		found;

	table = ShmemInitStruct("prism groups", prism_group_shmem_size(), &found);
	if (found)
		return;
	memset(table, 0, group_table_size());
	locks = GetNamedLWLockTranche(PRISM_GROUP_TRANCHE);
	windows = (char *) table + group_table_size();
	table->lock = &locks[prism_max_groups].lock;
	table->size = prism_max_groups;
	pg_atomic_init_u32(&table->sessions, 0);
	for (int i = 0; i < table->size; i++)
	{
		PrismGroup *group = &table->slots[i];

		group->lock = &locks[i].lock;
		group->window = (PrismWindow *) (windows + i * window_size());
		prism_window_init(group->window, prism_group_window);
		ConditionVariableInit(&group->changed);
		ConditionVariableInit(&group->available);
	}
}

uint32
prism_group_session(void)
{
	static uint32 session = 0;

	if (session == 0)
		session = pg_atomic_add_fetch_u32(&table->sessions, 1);
	return session;
}

/* ---------- slots ---------- */

/* Under the table's lock. */
static PrismGroup *
find_group_slot(int32 group_id)
{
	for (int i = 0; i < table->size; i++)
	{
		PrismGroup *slot = &table->slots[i];

		if (slot->database == MyDatabaseId && slot->group_id == group_id)
			return slot;
	}
	return NULL;
}

/* Under the table's lock, exclusively. */
static void
free_group_slot(PrismGroup *slot)
{
	LWLockAcquire(slot->lock, LW_EXCLUSIVE);
	slot->database = InvalidOid;
	slot->generation++;
	slot->ready = false;
	slot->reader = 0;
	slot->counter = NULL;
	slot->called = 0;
	LWLockRelease(slot->lock);
	ConditionVariableBroadcast(&slot->changed);
	ConditionVariableBroadcast(&slot->available);
}

/* A free slot, or one that is only looked at, loaded or not, and makes way. Under the table's lock, exclusively. */
static PrismGroup *
unused_slot(bool make_way)
{
	for (int i = 0; i < table->size; i++)
	{
		if (table->slots[i].database == InvalidOid)
			return &table->slots[i];
	}
	for (int i = 0; i < table->size && make_way; i++)
	{
		PrismGroup *slot = &table->slots[i];

		if (slot->looked_at && slot->reader == 0)
		{
			free_group_slot(slot);
			return slot;
		}
	}
	return NULL;
}

/* Under the slot's lock, exclusively. */
static void
configure(PrismGroup *slot, const PrismGroupOptions *options)
{
	slot->options = *options;
	prism_window_configure(slot->window, options->ordering, options->max_attempts);
}

static void
init_slot(PrismGroup *slot, const PrismGroupRow *row, bool look)
{
	LWLockAcquire(slot->lock, LW_EXCLUSIVE);
	slot->database = MyDatabaseId;
	slot->topic_id = row->topic_id;
	slot->group_id = row->group_id;
	slot->start_from = row->start_from;
	slot->looked_at = look;
	slot->ready = slot->starved = false;
	slot->reader = 0;
	slot->records = 0;
	slot->epoch = 0;
	slot->damaged_at = -1;
	prism_window_reset(slot->window, 0);
	configure(slot, &row->options);
	LWLockRelease(slot->lock);
}

static PrismGroup *
find_or_take_slot(const PrismGroupRow *row, bool look, uint32 *generation)
{
	PrismGroup *slot;

	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	slot = find_group_slot(row->group_id);
	if (slot == NULL)
	{
		slot = unused_slot(!look);
		if (slot != NULL)
			init_slot(slot, row, look);
	}
	if (slot != NULL)
	{
		slot->looked_at = slot->looked_at && look;
		*generation = slot->generation;
	}
	LWLockRelease(table->lock);
	return slot;
}

/* Without a lock: a session that waits has announced the counter before it looked for messages. */
void
prism_group_wake(PrismCounter *counter)
{
	for (int i = 0; i < table->size; i++)
	{
		if (table->slots[i].counter == counter)
			ConditionVariableSignal(&table->slots[i].available);
	}
}

/* Free the slots of databases that have been dropped. */
static void
sweep_databases(void)
{
	Oid			there = MyDatabaseId;

	/* nearly all of one are side by side */
	for (int i = 0; i < table->size; i++)
	{
		Oid			database = table->slots[i].database;

		if (!OidIsValid(database) || database == there)
			continue;
		if (SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database)))
			there = database;
		else
			prism_group_forget(database, 0);
	}
}

PrismGroup *
prism_group_attach(const PrismGroupRow *row, bool look, uint32 *generation)
{
	PrismGroup *group = find_or_take_slot(row, look, generation);

	if (group == NULL)
	{
		sweep_databases();
		group = find_or_take_slot(row, look, generation);
	}
	return group;
}

void
prism_group_no_place(const char *name)
{
	ereport(ERROR,
			errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			errmsg("no free place for consumer group \"%s\" in prism.max_groups", name),
			errdetail("All %d places of prism.max_groups are in use, over all databases.", prism_max_groups),
			errhint("Raise prism.max_groups and restart the server, or drop a group that is not needed with prism.drop_group()."));
}

void
prism_group_free_slots(Oid database, int32 topic_id, int32 group_id)
{
	if (table == NULL || database == InvalidOid)
		return;
	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	for (int i = 0; i < table->size; i++)
	{
		PrismGroup *slot = &table->slots[i];

		if (slot->database != database ||
			(group_id != 0 && slot->group_id != group_id) ||
			(topic_id != 0 && slot->topic_id != topic_id))
			continue;
		free_group_slot(slot);
	}
	LWLockRelease(table->lock);
}

void
prism_group_forget(Oid database, int32 topic_id)
{
	prism_group_free_slots(database, topic_id, 0);
}

void
prism_group_forget_database(Oid database, bool dropped)
{
	prism_group_forget(database, 0);
}

void
prism_group_give_back(void)
{
	prism_group_abort_reader(1);
}

void
prism_group_configure(int32 group_id, const PrismGroupOptions *options)
{
	PrismGroup *slot;

	LWLockAcquire(table->lock, LW_SHARED);
	slot = find_group_slot(group_id);
	if (slot != NULL)
	{
		LWLockAcquire(slot->lock, LW_EXCLUSIVE);
		configure(slot, options);
		LWLockRelease(slot->lock);
	}
	LWLockRelease(table->lock);
}

void
prism_group_dropped(const char *name)
{
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_OBJECT),
			errmsg("consumer group \"%s\" was dropped by another session", name),
			errhint("Roll back and begin again."));
}

void
prism_group_lock(PrismGroupRef *ref, LWLockMode mode)
{
	LWLockAcquire(ref->group->lock, mode);
	if (ref->group->generation != ref->generation)
	{
		LWLockRelease(ref->group->lock);
		ref->catalog_generation = 0;
		prism_group_dropped(ref->name);
	}
}

bool
prism_group_lock_if(PrismGroup *group, uint32 generation)
{
	LWLockAcquire(group->lock, LW_EXCLUSIVE);
	if (group->generation == generation)
		return true;
	LWLockRelease(group->lock);
	return false;
}

PrismGroup *
prism_group_lock_loaded(int32 group_id)
{
	PrismGroup *group;

	LWLockAcquire(table->lock, LW_SHARED);
	group = find_group_slot(group_id);
	if (group != NULL)
	{
		LWLockAcquire(group->lock, LW_SHARED);
		if (!group->ready)
		{
			LWLockRelease(group->lock);
			group = NULL;
		}
	}
	LWLockRelease(table->lock);
	return group;
}

void
prism_group_unlock(PrismGroup *group)
{
	LWLockRelease(group->lock);
}

/* ---------- who reads ahead ---------- */

bool
prism_group_claim_reader(PrismGroupRef *ref)
{
	Assert(reading == NULL);
	if (ref->group->reader != 0)
		return false;
	ref->group->reader = prism_my_proc_number() + 1;
	reading = ref->group;
	reading_generation = ref->generation;
	reading_epoch = ref->group->epoch;
	reading_level = GetCurrentTransactionNestLevel();
	return true;
}

bool
prism_group_release_reader(PrismGroup *group)
{
	Assert(reading == group);
	group->reader = 0;
	reading = NULL;
	return group->epoch == reading_epoch;
}

/* An error came while this backend read ahead: nothing of what it read was entered. */
void
prism_group_abort_reader(int nest_level)
{
	PrismGroup *group = reading;

	if (group == NULL || reading_level < nest_level)
		return;
	reading = NULL;
	if (!prism_group_lock_if(group, reading_generation))
		return;
	group->reader = 0;
	prism_group_unlock(group);
	ConditionVariableBroadcast(&group->changed);
}

void
prism_group_await_reader(PrismGroupRef *ref)
{
	ConditionVariablePrepareToSleep(&ref->group->changed);
	for (;;)
	{
		bool		busy;

		prism_group_lock(ref, LW_SHARED);
		busy = ref->group->reader != 0;
		prism_group_unlock(ref->group);
		if (!busy)
			break;
		if (!prism_never_waits)
			ConditionVariableSleep(&ref->group->changed, prism_wait_event(PRISM_WAIT_GROUP_READER));
		else if (ConditionVariableTimedSleep(&ref->group->changed, PRISM_PATIENCE_MS, prism_wait_event(PRISM_WAIT_GROUP_READER)))
			prism_refuse_to_wait_for(psprintf("another session is reading ahead for consumer group \"%s\"", ref->name));
	}
	ConditionVariableCancelSleep();
}

/* ---------- what a backend knows of a group ---------- */

void
prism_group_check_name(const char *name)
{
	Size		length = strlen(name);

	if (length == 0 || length > PRISM_GROUP_NAME_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("invalid consumer group name \"%.*s\"", pg_mbcliplen(name, length, 64), name),
				errdetail("It has %zu bytes; a name has 1 to %d.", length, PRISM_GROUP_NAME_MAX));
}

bool
prism_group_is_current(const PrismGroupRef *ref)
{
	return ref->catalog_generation == prism_catalog_generation() &&
		ref->group->generation == ref->generation;
}

const char *
prism_group_name(const PrismGroupRef *ref)
{
	return ref->name;
}

int64
prism_group_lease_us(const PrismGroupRef *ref)
{
	/* one word: unlocked, it is what it was or what it is now */
	return ref->group->options.lease_us;
}

bool
prism_group_is_last(const PrismGroupRef *ref, int attempt)
{
	int			max_attempts = ref->group->options.max_attempts;

	return max_attempts > 0 && attempt >= max_attempts;
}

int32
prism_group_number(const PrismGroupRef *ref)
{
	return ref->group_id;
}
