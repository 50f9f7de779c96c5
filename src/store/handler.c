/*-------------------------------------------------------------------------
 *
 * handler.c
 *	  How handlers fare: the slots in shared memory.
 *
 * Slots are found under one LWLock; what is in a slot is guarded by its
 * spinlock, and only copied under it.
 *
 * src/store/handler.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "guc.h"
#include "store/handler.h"

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
	int			pid;			/* who serves it; 0: nobody does */

	slock_t		mutex;			/* for what follows */
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
find_slot(Oid database, int32 group_id)
{
	for (int i = 0; i < table->slot_count; i++)
	{
		PrismHandlerSlot *slot = &table->slots[i];

		if (slot->database == database && (database == InvalidOid || slot->group_id == group_id))
			return slot;
	}
	return NULL;
}

static PrismHandlerSlot *
find_or_take_slot(int32 group_id)
{
	PrismHandlerSlot *slot = find_slot(MyDatabaseId, group_id);

	if (slot == NULL && (slot = find_slot(InvalidOid, 0)) != NULL)
	{
		memset(&slot->status, 0, sizeof(slot->status));
		slot->status.since = GetCurrentTimestamp();
		slot->call_last = -1;
		slot->group_id = group_id;
		slot->database = MyDatabaseId;
	}
	if (slot != NULL)
		slot->pid = MyProcPid;
	return slot;
}

/* A slot that a process has is not freed under it, whatever the list says: it may be older than the handler. */
static void
free_gone(const List *handlers)
{
	for (int i = 0; i < table->slot_count; i++)
	{
		PrismHandlerSlot *slot = &table->slots[i];
		bool		wanted = slot->database != MyDatabaseId || slot->pid != 0;
		ListCell   *cell;

		foreach(cell, handlers)
			wanted = wanted || ((PrismHandler *) lfirst(cell))->group_id == slot->group_id;
		if (!wanted)
			slot->database = InvalidOid;
	}
}

PrismHandlerSlot *
prism_handler_attach(int32 group_id)
{
	PrismHandlerSlot *slot;

	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	slot = find_or_take_slot(group_id);
	LWLockRelease(table->lock);
	if (slot == NULL)
	{
		List	   *handlers = prism_handler_list(InvalidOid);

		LWLockAcquire(table->lock, LW_EXCLUSIVE);
		free_gone(handlers);
		slot = find_or_take_slot(group_id);
		LWLockRelease(table->lock);
	}
	return slot;
}

void
prism_handler_detach(int32 group_id, bool gone)
{
	PrismHandlerSlot *slot;

	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	slot = find_slot(MyDatabaseId, group_id);
	if (slot != NULL)
	{
		slot->pid = 0;
		prism_handler_change(slot, PRISM_HANDLER_STARTING, 0, NULL);
		if (gone)
			slot->database = InvalidOid;
	}
	LWLockRelease(table->lock);
}

void
prism_handler_forget(Oid database)
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
	slot->status.counters[counter] += more;
	SpinLockRelease(&slot->mutex);
}

static int64
exchange_call(PrismHandlerSlot *slot, int64 last)
{
	int64		former;

	SpinLockAcquire(&slot->mutex);
	former = slot->call_last;
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

/* ---------- seen from outside ---------- */

bool
prism_handler_status(int32 group_id, PrismHandlerStatus *status)
{
	PrismHandlerSlot *slot;

	LWLockAcquire(table->lock, LW_SHARED);
	slot = find_slot(MyDatabaseId, group_id);
	if (slot != NULL)
	{
		SpinLockAcquire(&slot->mutex);
		*status = slot->status;
		SpinLockRelease(&slot->mutex);
	}
	LWLockRelease(table->lock);
	return slot != NULL;
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
