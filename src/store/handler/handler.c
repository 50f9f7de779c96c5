/*-------------------------------------------------------------------------
 *
 * handler.c
 *	  How handlers fare: the slots in shared memory.
 *
 * Slots are found under one LWLock; what is in a slot is guarded by its
 * spinlock, and only copied under it.
 *
 * src/store/handler/handler.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/guc.h"
#include "store/handler/handler.h"
#include "store/log/counter.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

struct PrismHandlerSlot
{
	/* under the table's lock */
	Oid			database;		/* InvalidOid: free */
	int32		group_id;
	int			pid;			/* the process that serves it; 0: none does. Set under the mutex as well */
	Oid			role;			/* whose session that is or was */

	/* likewise, how its last process left it */
	PrismCounter *rests_on;		/* nothing to do before that is woken, or it is due; NULL: who knows */
	uint64		wakes;
	uint64		epoch;
	PrismInstant due;
	PrismInstant rests_since;
	PrismInstant left_at;		/* when it left */

	/* likewise, what its calls have taken lately, as it was then */
	double		use_us;
	PrismInstant use_at;

	slock_t		mutex;			/* for what follows, which only who serves it may change */
	int64		call_last;		/* position up to which a call is under way; -1: none is */
	PrismHandlerStatus status;
};

typedef struct HandlerTable
{
	LWLock	   *lock;
	int			slot_count;
	PrismHandlerSlot slots[FLEXIBLE_ARRAY_MEMBER];
} HandlerTable;

static HandlerTable *table = NULL;

/* A handler needs a place for its group anyway. */
Size
prism_handler_shmem_size(void)
{
	return add_size(offsetof(HandlerTable, slots), mul_size(prism_max_groups, sizeof(PrismHandlerSlot)));
}

void
prism_handler_shmem_init(void)
{
	bool		found;

	table = ShmemInitStruct("prism handlers", prism_handler_shmem_size(), &found);
	if (found)
		return;
	memset(table, 0, prism_handler_shmem_size());
	table->lock = &GetNamedLWLockTranche(PRISM_HANDLER_TRANCHE)->lock;
	table->slot_count = prism_max_groups;
	for (int i = 0; i < table->slot_count; i++)
		SpinLockInit(&table->slots[i].mutex);
}

/* ---------- finding slots ---------- */

/* Under the lock. */
static PrismHandlerSlot *
find_handler_slot(Oid database, int32 group_id)
{
	for (int i = 0; i < table->slot_count; i++)
	{
		PrismHandlerSlot *slot = &table->slots[i];

		if (slot->database == database && (database == InvalidOid || slot->group_id == group_id))
			return slot;
	}
	return NULL;
}

/* A call that another process had begun is over, or still under way in that one: its role has lost the handler. */
static void
serve_slot(PrismHandlerSlot *slot, int pid)
{
	SpinLockAcquire(&slot->mutex);
	if (pid != 0 && slot->pid != 0 && slot->pid != pid)
		slot->call_last = -1;
	slot->pid = pid;
	SpinLockRelease(&slot->mutex);
}

/*
 * A free slot, or else, of those that nobody serves, the one that was left the
 * longest ago: only who has that handler's database could tell whether it is
 * still there, and it costs no more than what is known of it.
 */
static PrismHandlerSlot *
spare_slot(void)
{
	PrismHandlerSlot *spare = NULL;

	for (int i = 0; i < table->slot_count; i++)
	{
		PrismHandlerSlot *slot = &table->slots[i];

		if (slot->database == InvalidOid)
			return slot;
		if (slot->pid == 0 && (spare == NULL || slot->left_at < spare->left_at))
			spare = slot;
	}
	return spare;
}

PrismHandlerSlot *
prism_handler_attach(int32 group_id)
{
	PrismHandlerSlot *slot;

	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	slot = find_handler_slot(MyDatabaseId, group_id);
	if (slot == NULL && (slot = spare_slot()) != NULL)
	{
		memset(&slot->status, 0, sizeof(slot->status));
		slot->status.since = GetCurrentTimestamp();
		slot->call_last = -1;
		slot->use_us = 0;
		slot->group_id = group_id;
		slot->database = MyDatabaseId;
	}
	if (slot != NULL)
	{
		serve_slot(slot, MyProcPid);
		slot->role = GetSessionUserId();
		slot->rests_on = NULL;
	}
	LWLockRelease(table->lock);
	return slot;
}

/* Under the lock. */
static void
leave_slot(PrismHandlerSlot *slot)
{
	prism_handler_change(slot, slot->rests_on != NULL ? PRISM_HANDLER_WAITING : PRISM_HANDLER_STARTING, 0, NULL);
	serve_slot(slot, 0);
	slot->left_at = prism_instant();
}

void
prism_handler_detach(int32 group_id)
{
	PrismHandlerSlot *slot;

	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	slot = find_handler_slot(MyDatabaseId, group_id);
	/* its handler was given to another role, whose process has it already */
	if (slot != NULL && slot->pid == MyProcPid)
	{
		leave_slot(slot);
		slot->database = InvalidOid;
	}
	LWLockRelease(table->lock);
}

void
prism_handler_detach_all(void)
{
	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	for (int i = 0; i < table->slot_count; i++)
		if (table->slots[i].database != InvalidOid && table->slots[i].pid == MyProcPid)
			leave_slot(&table->slots[i]);
	LWLockRelease(table->lock);
}

void
prism_handler_forget_database(Oid database, bool dropped)
{
	if (table == NULL)
		return;
	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	for (int i = 0; i < table->slot_count; i++)
		if (table->slots[i].database == database)
			table->slots[i].database = InvalidOid;
	LWLockRelease(table->lock);
}

/* ---------- what is in a slot ---------- */

void
prism_handler_change(PrismHandlerSlot *slot, PrismHandlerState state, PrismInstant retry_at, const char *error)
{
	PrismHandlerStatus *status = &slot->status;
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz retry_time = prism_instant_time(retry_at);
	Size		error_bytes = error == NULL ? 0
		: pg_mbcliplen(error, strlen(error), sizeof(status->error) - 1);

	SpinLockAcquire(&slot->mutex);
	if (slot->pid != MyProcPid)
	{
		SpinLockRelease(&slot->mutex);
		return;
	}
	if (status->state != state)
		status->since = now;
	status->state = state;
	status->retry_at = retry_time;
	if (error != NULL)
	{
		strlcpy(status->error, error, error_bytes + 1);
		status->error_at = now;
	}
	SpinLockRelease(&slot->mutex);
}

void
prism_handler_count(PrismHandlerSlot *slot, PrismHandlerCounter counter, int64 more)
{
	Assert(counter < PRISM_HANDLER_COUNTERS);
	SpinLockAcquire(&slot->mutex);
	if (slot->pid == MyProcPid)
		slot->status.counters[counter] += more;
	SpinLockRelease(&slot->mutex);
}

static int64
exchange_call(PrismHandlerSlot *slot, int64 last)
{
	int64		former;

	SpinLockAcquire(&slot->mutex);
	former = slot->pid == MyProcPid ? slot->call_last : -1;
	if (slot->pid == MyProcPid)
		slot->call_last = last;
	SpinLockRelease(&slot->mutex);
	return former;
}

void
prism_handler_begin_call(PrismHandlerSlot *slot, int64 last)
{
	(void) exchange_call(slot, last);
}

void
prism_handler_end_call(PrismHandlerSlot *slot)
{
	(void) exchange_call(slot, -1);
}

int64
prism_handler_broken_call(PrismHandlerSlot *slot)
{
	return exchange_call(slot, -1);
}

/* ---------- who gets a process ---------- */

/* A lost wake-up is found after this time. */
#define REST_MAX_MS 60000

void
prism_handler_rest(PrismHandlerSlot *slot, PrismCounter *counter, uint64 wakes, PrismInstant due, uint64 epoch)
{
	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	if (slot->pid == MyProcPid)
	{
		slot->rests_on = counter;
		slot->wakes = wakes;
		slot->epoch = epoch;
		slot->due = due;
		slot->rests_since = prism_instant();
	}
	LWLockRelease(table->lock);
}

void
prism_handler_disown_others(void)
{
	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	for (int i = 0; i < table->slot_count; i++)
		if (table->slots[i].database == MyDatabaseId && table->slots[i].role == GetSessionUserId() &&
			table->slots[i].pid != MyProcPid)
			table->slots[i].role = InvalidOid;
	LWLockRelease(table->lock);
}

/* Subscribed first: what comes after the look wakes us. */
static PrismInstant
slot_due(PrismHandlerSlot *slot, uint64 epoch)
{
	if (slot->rests_on == NULL || slot->epoch != epoch)
		return 0;
	prism_counter_subscribe(slot->rests_on);
	if (slot->wakes != prism_counter_wakes(slot->rests_on))
		return 0;
	return Min(slot->due, prism_instant_after(slot->rests_since, REST_MAX_MS));
}

PrismInstant
prism_handler_role_due(Oid role, uint64 epoch)
{
	PrismInstant due = PRISM_NEVER;
	bool		known = false;

	LWLockAcquire(table->lock, LW_SHARED);
	for (int i = 0; i < table->slot_count && due > 0; i++)
	{
		PrismHandlerSlot *slot = &table->slots[i];

		if (slot->database != MyDatabaseId || slot->role != role)
			continue;
		known = true;
		due = Min(due, slot->pid != 0 ? 0 : slot_due(slot, epoch));
	}
	LWLockRelease(table->lock);
	return known ? due : 0;
}

static double
use_now(const PrismHandlerSlot *slot, PrismInstant now)
{
	double		halves = (double) (now - slot->use_at) / (PRISM_HANDLER_USE_HALVED_MS * 1000.0);

	return slot->use_us > 0 ? slot->use_us * exp2(-halves) : 0;
}

void
prism_handler_use(PrismHandlerSlot *slot, int64 call_us)
{
	PrismInstant now = prism_instant();

	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	if (slot->pid == MyProcPid)
	{
		slot->use_us = use_now(slot, now) + call_us;
		slot->use_at = now;
	}
	LWLockRelease(table->lock);
}

int64
prism_handler_role_use_ms(Oid role)
{
	PrismInstant now = prism_instant();
	double		use_us = 0;

	LWLockAcquire(table->lock, LW_SHARED);
	for (int i = 0; i < table->slot_count; i++)
		if (table->slots[i].database == MyDatabaseId && table->slots[i].role == role)
			use_us += use_now(&table->slots[i], now);
	LWLockRelease(table->lock);
	return (int64) (use_us / 1000);
}

/* ---------- seen from outside ---------- */

bool
prism_handler_status(int32 group_id, PrismHandlerStatus *status)
{
	PrismHandlerSlot *slot;

	LWLockAcquire(table->lock, LW_SHARED);
	slot = find_handler_slot(MyDatabaseId, group_id);
	if (slot != NULL)
	{
		SpinLockAcquire(&slot->mutex);
		*status = slot->status;
		SpinLockRelease(&slot->mutex);
		/* a handler that rests is woken when there is something, unless workers are off */
		if (slot->pid == 0 && !prism_enabled)
			status->state = PRISM_HANDLER_STARTING;
	}
	LWLockRelease(table->lock);
	return slot != NULL;
}

bool
prism_handler_finds_place(int32 group_id)
{
	bool		finds;

	LWLockAcquire(table->lock, LW_SHARED);
	finds = find_handler_slot(MyDatabaseId, group_id) != NULL || spare_slot() != NULL;
	LWLockRelease(table->lock);
	return finds;
}

const char *
prism_handler_state_name(PrismHandlerState state)
{
	static const char *const names[] = {
		[PRISM_HANDLER_STARTING] = "starting",
		[PRISM_HANDLER_WAITING] = "waiting",
		[PRISM_HANDLER_RUNNING] = "running",
		[PRISM_HANDLER_BACKOFF] = "backoff",
		[PRISM_HANDLER_FAILED] = "failed",
	};

	return names[state];
}
