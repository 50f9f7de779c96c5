/*-------------------------------------------------------------------------
 *
 * group_catalog.c
 *	  The rows of prism.consumer_group.
 *
 * A group is made by the first transaction that consumes for it, and is gone
 * again when that rolls back: nobody else can have used it, as sessions that
 * come second wait for the first one's end.  For that a name has a lock of its
 * own, taken only while a group is looked up for the first time in a session,
 * made or dropped.  Rows are read with a snapshot of now, whatever the
 * transaction's isolation level.
 *
 * src/store/group/group_catalog.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/extension.h"
#include "base/generation.h"
#include "base/marker.h"
#include "base/wait_event.h"
#include "store/group/group_shared.h"
#include "store/log/log.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Of one topic. */
#define PRISM_GROUPS_MAX 1000
/* How often a session that waits only until some time looks whether a name's lock is free. */
#define NAME_LOOK_MS 20

/* Epochs of a group, before another one gets its number; and how often that is told apart. */
#define EPOCHS_A_ROUND (1 << 20)
#define ROUNDS_MAX 4095

/* Columns of prism.consumer_group. */
enum
{
	GROUP_ID = 1,
	GROUP_TOPIC_ID,
	GROUP_NAME,
	GROUP_START_FROM,
	GROUP_CONFIG,
	GROUP_CREATED_AT,
	GROUP_COLUMNS = GROUP_CREATED_AT
};

static Oid
catalog_relid(void)
{
	return get_relname_relid("consumer_group", get_namespace_oid("prism", false));
}

/* ---------- the lock of a name ---------- */

/* Two names that share a lock by chance wait for each other for a moment, no more. */
static uint16
lock_number(const char *name)
{
	return (uint16) hash_bytes((const unsigned char *) name, strlen(name));
}

static void
lock_name(int32 topic_id, const char *name, LOCKMODE mode)
{
	LockDatabaseObject(catalog_relid(), (Oid) topic_id, lock_number(name), mode);
}

/* Without waiting. */
static bool
try_lock_name(int32 topic_id, const char *name, LOCKMODE mode)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, catalog_relid(), (Oid) topic_id, lock_number(name));
	return LockAcquire(&tag, mode, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * False: not by then.  In steps, as a wait for a lock ends by an error, and whoever
 * has given a time for how long to wait wants none.
 */
static bool
lock_name_until(int32 topic_id, const char *name, LOCKMODE mode, PrismInstant until)
{
	if (until == PRISM_NEVER)
	{
		lock_name(topic_id, name, mode);
		return true;
	}
	while (!try_lock_name(topic_id, name, mode))
	{
		PrismInstant now = prism_instant();

		if (now >= until)
			return false;
		prism_group_cancel_sleep();	/* what wakes us here is lost there */
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(prism_ms_until(until, now), NAME_LOOK_MS), prism_wait_event(PRISM_WAIT_MESSAGE));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	AcceptInvalidationMessages();
	return true;
}

void
prism_group_lock_name(const PrismGroupRef *ref)
{
	lock_name(ref->topic_id, ref->name, ShareUpdateExclusiveLock);
}

static void
unlock_name(int32 topic_id, const char *name, LOCKMODE mode)
{
	UnlockDatabaseObject(catalog_relid(), (Oid) topic_id, lock_number(name), mode);
}

/* ---------- rows ---------- */

static void
fill_row(PrismGroupRow *row, HeapTuple tuple, TupleDesc descriptor)
{
	Jsonb	   *config;
	bool		isnull;

	row->group_id = DatumGetInt32(heap_getattr(tuple, GROUP_ID, descriptor, &isnull));
	row->topic_id = DatumGetInt32(heap_getattr(tuple, GROUP_TOPIC_ID, descriptor, &isnull));
	row->start_from = DatumGetInt64(heap_getattr(tuple, GROUP_START_FROM, descriptor, &isnull));
	row->name = TextDatumGetCString(heap_getattr(tuple, GROUP_NAME, descriptor, &isnull));
	config = DatumGetJsonbP(heap_getattr(tuple, GROUP_CONFIG, descriptor, &isnull));
	row->options = prism_group_options_read(&config->root);
}

/*
 * An index of the table, or InvalidOid: when it is not valid all rows are looked
 * at.  By its name, which stays with what serves it when it is rebuilt.
 */
static Oid
valid_index(const char *name)
{
	Oid			index = get_relname_relid(name, get_namespace_oid("prism", false));

	return OidIsValid(index) && get_index_isvalid(index) ? index : InvalidOid;
}

/* Call 'visit' for each row of the topic (0: of all), or for the one of that name, until it returns false. */
static void
scan_rows(int32 topic_id, const char *name, bool (*visit) (Relation catalog, HeapTuple tuple, void *arg), void *arg)
{
	Relation	catalog = table_open(catalog_relid(), AccessShareLock);
	Oid			index = topic_id != 0 ? valid_index("consumer_group_topic_id_name_key") : InvalidOid;
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData keys[2];
	int			key_count = topic_id == 0 ? 0 : name == NULL ? 1 : 2;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], GROUP_TOPIC_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(topic_id));
	if (name != NULL)
		ScanKeyEntryInitialize(&keys[1], 0, GROUP_NAME, BTEqualStrategyNumber, InvalidOid,
							   TupleDescAttr(RelationGetDescr(catalog), GROUP_NAME - 1)->attcollation,
							   F_TEXTEQ, CStringGetTextDatum(name));
	scan = systable_beginscan(catalog, index, OidIsValid(index), snapshot, key_count, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (!visit(catalog, tuple, arg))
			break;
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(catalog, AccessShareLock);
}

typedef struct NameSearch
{
	PrismGroupRow *row;
	bool		found;
	HeapTuple	tuple;			/* a copy of the row */
} NameSearch;

static bool
visit_name(Relation catalog, HeapTuple tuple, void *arg)
{
	NameSearch *search = arg;

	fill_row(search->row, tuple, RelationGetDescr(catalog));
	search->found = true;
	search->tuple = heap_copytuple(tuple);
	return false;
}

bool
prism_group_find_row(int32 topic_id, const char *name, PrismGroupRow *row)
{
	NameSearch	search = {.row = row};

	scan_rows(topic_id, name, visit_name, &search);
	return search.found;
}

static bool
visit_all(Relation catalog, HeapTuple tuple, void *arg)
{
	List	  **rows = arg;
	PrismGroupRow *row = palloc(sizeof(PrismGroupRow));

	fill_row(row, tuple, RelationGetDescr(catalog));
	*rows = lappend(*rows, row);
	return true;
}

List *
prism_group_rows(void)
{
	List	   *rows = NIL;

	scan_rows(0, NULL, visit_all, &rows);
	return rows;
}

List *
prism_group_list(void)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, prism_group_rows())
	{
		PrismGroupRow *row = lfirst(cell);
		PrismGroupName *name = palloc(sizeof(PrismGroupName));

		*name = (PrismGroupName) {row->topic_id, row->name};
		names = lappend(names, name);
	}
	return names;
}

static Datum
config_datum(const PrismGroupOptions *options)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(prism_group_options_write(options)));
}

static bool
visit_to_count(Relation catalog, HeapTuple tuple, void *arg)
{
	return ++*(int *) arg < PRISM_GROUPS_MAX;
}

/*
 * A consumer makes groups by naming them, and all who look at groups have to
 * pass them.  Some more get in when several are made at the same time.
 */
static void
check_room(int32 topic_id)
{
	int			count = 0;

	scan_rows(topic_id, NULL, visit_to_count, &count);
	if (count == PRISM_GROUPS_MAX)
		ereport(ERROR,
				errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("topic has too many consumer groups"),
				errdetail("A topic can have %d.", PRISM_GROUPS_MAX),
				errhint("Drop those that nobody uses any more: SELECT prism.drop_group(topic, consumer_group)."));
}

/* ---------- the number ---------- */

/* Another group has it, or a restore brought what one has. */
static bool
is_group_id_taken(Relation catalog, int32 group_id)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Oid			index = valid_index("consumer_group_pkey");
	char		agreement[NAMEDATALEN];
	ScanKeyData key;
	SysScanDesc scan;
	bool		taken;

	ScanKeyInit(&key, GROUP_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(group_id));
	scan = systable_beginscan(catalog, index, OidIsValid(index), snapshot, 1, &key);
	taken = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	snprintf(agreement, sizeof(agreement), PRISM_HANDLER_VIEW, group_id);
	return taken || OidIsValid(get_relname_relid(agreement, get_namespace_oid("prism_log", false)));
}

/*
 * Numbers come round again, as what is rolled back takes them along.  Records of
 * a group that had the number before may still lie in the progress log: the
 * epochs of the later one are greater than any that seeks have begun for the
 * former.
 */
static void
take_group_number(Relation catalog, PrismGroupRow *row)
{
	Oid			sequence = get_relname_relid("group_number", get_namespace_oid("prism", false));
	PrismIdentity identity = prism_enter_owner();

	do
	{
		int64		made = DatumGetInt64(DirectFunctionCall1(nextval_oid, ObjectIdGetDatum(sequence))) - 1;

		row->group_id = (int32) (made % PG_INT32_MAX) + 1;
		row->first_epoch = (uint32) Min(made / PG_INT32_MAX, ROUNDS_MAX) * EPOCHS_A_ROUND;
		CHECK_FOR_INTERRUPTS();
	} while (is_group_id_taken(catalog, row->group_id));
	prism_leave_owner(identity);
}

static void
insert_row(int32 topic_id, const char *name, int64 start, const PrismGroupOptions *options, PrismGroupRow *row)
{
	Relation	catalog = table_open(catalog_relid(), RowExclusiveLock);
	Datum		values[GROUP_COLUMNS];
	bool		nulls[GROUP_COLUMNS] = {false};
	HeapTuple	tuple;

	check_room(topic_id);
	take_group_number(catalog, row);
	row->topic_id = topic_id;
	row->start_from = start;
	row->name = pstrdup(name);
	row->options = *options;
	values[GROUP_ID - 1] = Int32GetDatum(row->group_id);
	values[GROUP_TOPIC_ID - 1] = Int32GetDatum(topic_id);
	values[GROUP_NAME - 1] = CStringGetTextDatum(name);
	values[GROUP_START_FROM - 1] = Int64GetDatum(start);
	values[GROUP_CONFIG - 1] = config_datum(options);
	values[GROUP_CREATED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	tuple = heap_form_tuple(RelationGetDescr(catalog), values, nulls);
	prism_marked_insert(catalog, tuple);
	table_close(catalog, NoLock);
	CommandCounterIncrement();
	prism_group_note_created(row->group_id);
	prism_group_append_start(row->group_id, row->first_epoch, start);
}

/* ---------- making, finding, dropping ---------- */

/*
 * Find the row with the name's lock held in share mode, or make it and keep
 * the lock exclusively.  False: there is none, or who only looks would wait,
 * or others for longer than 'until'.
 */
static bool
find_or_make(PrismTopic *topic, const char *name, PrismGroupMissing missing, PrismInstant until,
			 PrismGroupRow *row, LOCKMODE *held)
{
	for (;;)
	{
		if (!(missing == PRISM_GROUP_LOOK ? try_lock_name(topic->topic_id, name, AccessShareLock)
			  : lock_name_until(topic->topic_id, name, AccessShareLock, until)))
			return false;
		*held = AccessShareLock;
		if (prism_group_find_row(topic->topic_id, name, row))
			return true;
		unlock_name(topic->topic_id, name, AccessShareLock);
		*held = NoLock;
		if (missing != PRISM_GROUP_MAKE)
			return false;

		/* waits for whoever is making it */
		if (!lock_name_until(topic->topic_id, name, AccessExclusiveLock, until))
			return false;
		if (!prism_group_find_row(topic->topic_id, name, row))
		{
			PrismGroupOptions options = prism_group_options_of(&topic->policy);

			insert_row(topic->topic_id, name, prism_log_earliest(topic), &options, row);
			return true;
		}
		unlock_name(topic->topic_id, name, AccessExclusiveLock);
	}
}

pg_noreturn static void
no_such_group(const PrismGroupRef *ref)
{
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_OBJECT),
			errmsg("topic \"%s\" has no consumer group \"%s\"", ref->topic->name, ref->name),
			errhint("The first prism.consume() makes it, or prism.create_group(); prism.groups lists those that exist."));
}

/*
 * The slot is attached under the name's lock: a drop either comes before, and
 * the row is gone, or after, and frees the slot.
 */
bool
prism_group_resolve(PrismGroupRef *ref, PrismGroupMissing missing, PrismInstant until)
{
	uint64		generation = prism_catalog_generation();
	PrismGroup *group;
	uint32		slot_generation;
	PrismGroupRow row;
	LOCKMODE	held;

	ref->catalog_generation = 0;
	if (!find_or_make(ref->topic, ref->name, missing, until, &row, &held))
	{
		if (missing != PRISM_GROUP_REFUSE && missing != PRISM_GROUP_MOVE)
			return false;
		no_such_group(ref);
	}
	group = prism_group_attach(&row, missing == PRISM_GROUP_LOOK, &slot_generation);
	/* NoLock: we have made the group, and keep its name's lock */
	if (held != NoLock)
		unlock_name(ref->topic_id, ref->name, held);
	if (group == NULL)
	{
		/* the ref stays as it was: others of this session hold it, and give back by it what they were handed out */
		if (missing == PRISM_GROUP_LOOK)
			return false;
		prism_group_no_place(ref->name);
	}
	ref->group = group;
	ref->generation = slot_generation;
	ref->group_id = row.group_id;
	ref->catalog_generation = generation;
	if (held == NoLock)
		prism_group_start(ref, row.first_epoch);
	return true;
}

void
prism_group_create(PrismTopic *topic, const char *name, int64 start, const PrismGroupOptions *options)
{
	PrismGroupRow row;

	prism_group_check_name(name);
	lock_name(topic->topic_id, name, AccessExclusiveLock);
	if (prism_group_find_row(topic->topic_id, name, &row))
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("topic \"%s\" has a consumer group \"%s\" already", topic->name, name));
	insert_row(topic->topic_id, name, start, options, &row);
}

bool
prism_group_find_options(int32 topic_id, const char *name, PrismGroupOptions *options)
{
	PrismGroupRow row;

	if (!prism_group_find_row(topic_id, name, &row))
		return false;
	*options = row.options;
	return true;
}

/* Nobody attaches its slot while the name is locked: they have the former options, or will see these. */
void
prism_group_set_options(PrismTopic *topic, const char *name, const PrismGroupOptions *options)
{
	PrismGroupRow row;
	NameSearch	search = {.row = &row};
	Relation	catalog;
	Datum		values[GROUP_COLUMNS] = {0};
	bool		nulls[GROUP_COLUMNS] = {false};
	bool		replaces[GROUP_COLUMNS] = {false};

	prism_group_check_name(name);
	lock_name(topic->topic_id, name, AccessExclusiveLock);
	scan_rows(topic->topic_id, name, visit_name, &search);
	if (search.found)
	{
		catalog = table_open(catalog_relid(), RowExclusiveLock);
		values[GROUP_CONFIG - 1] = config_datum(options);
		replaces[GROUP_CONFIG - 1] = true;
		search.tuple = heap_modify_tuple(search.tuple, RelationGetDescr(catalog), values, nulls, replaces);
		prism_marked_update(catalog, search.tuple);
		table_close(catalog, NoLock);
		CommandCounterIncrement();
		prism_group_note_altered(row.group_id, &row.options, options);
	}
	else
		insert_row(topic->topic_id, name, prism_log_earliest(topic), options, &row);
}

void		(*prism_group_end_handler) (int32 group_id) = NULL;

bool
prism_group_drop(PrismTopic *topic, const char *name)
{
	PrismGroupRow row;
	NameSearch	search = {.row = &row};
	Relation	catalog;

	lock_name(topic->topic_id, name, AccessExclusiveLock);
	scan_rows(topic->topic_id, name, visit_name, &search);
	if (!search.found)
	{
		unlock_name(topic->topic_id, name, AccessExclusiveLock);
		return false;
	}
	catalog = table_open(catalog_relid(), RowExclusiveLock);
	prism_marked_delete(catalog, &search.tuple->t_self);
	table_close(catalog, NoLock);
	prism_group_end_handler(row.group_id);
	prism_group_note_dropped(row.group_id);
	prism_catalog_changed();
	return true;
}
