/*-------------------------------------------------------------------------
 *
 * sink.c
 *	  How sinks fare: the slots in shared memory.
 *
 * Slots are found under one LWLock; what is in a slot is guarded by its
 * spinlock, and only copied under it.
 *
 * src/store/sink/sink.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/guc.h"
#include "base/query.h"
#include "store/sink/sink.h"
#include "store/sink/sink_slot.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

typedef struct SinkTable
{
	LWLock	   *lock;
	int			slot_count;
	PrismSinkSlot slots[FLEXIBLE_ARRAY_MEMBER];
} SinkTable;

static SinkTable *sinks = NULL;

static const char *const state_names[] = {
	[PRISM_SINK_STARTING] = "starting",
	[PRISM_SINK_WAITING] = "waiting",
	[PRISM_SINK_RUNNING] = "running",
	[PRISM_SINK_BACKOFF] = "backoff",
	[PRISM_SINK_PAUSED] = "paused",
	[PRISM_SINK_COPIED] = "paused: copied",
	[PRISM_SINK_REWOUND] = "paused: rewound",
	[PRISM_SINK_STOPPED] = "stopped",
	[PRISM_SINK_FENCED] = "fenced",
	[PRISM_SINK_REGRESSED] = "sink_regressed",
	[PRISM_SINK_DIVERGED] = "diverged",
};

const char *
prism_sink_state_name(PrismSinkState state)
{
	Assert(state < lengthof(state_names));
	return state_names[state];
}

/*
 * As many sinks as topics: one each is the rule, and topics without any make up
 * for those with several.  One that finds no place waits for it, and says so.
 */
Size
prism_sink_shmem_size(void)
{
	return add_size(offsetof(SinkTable, slots),
					mul_size(prism_max_topics, sizeof(PrismSinkSlot)));
}

void
prism_sink_shmem_init(void)
{
	bool		found;

	sinks = ShmemInitStruct("prism sinks", prism_sink_shmem_size(), &found);
	if (found)
		return;
	memset(sinks, 0, prism_sink_shmem_size());
	sinks->lock = &GetNamedLWLockTranche(PRISM_SINK_TRANCHE)->lock;
	sinks->slot_count = prism_max_topics;
	for (int i = 0; i < sinks->slot_count; i++)
		SpinLockInit(&sinks->slots[i].mutex);
}

/* The caller holds the lock. */
static PrismSinkSlot *
find_sink_slot(Oid database, int32 sink_id)
{
	for (int i = 0; i < sinks->slot_count; i++)
	{
		PrismSinkSlot *slot = &sinks->slots[i];

		if (slot->database == database && (database == InvalidOid || slot->sink_id == sink_id))
			return slot;
	}
	return NULL;
}

/*
 * A process that serves the sink, and is not this one; 0: none does.  The caller
 * holds the lock.
 */
static int
served_by(const PrismSinkSlot *slot)
{
	if (slot->pid == 0 || slot->pid == MyProcPid || BackendPidGetProc(slot->pid) == NULL)
		return 0;
	return slot->pid;
}

/*
 * NULL: there is none left, or another process (*pid) still serves the sink: what
 * it has sent is not recorded yet, and would be sent twice.
 */
static PrismSinkSlot *
attach(int32 sink_id, int32 topic_id, int *pid)
{
	PrismSinkSlot *slot;

	*pid = 0;
	LWLockAcquire(sinks->lock, LW_EXCLUSIVE);
	slot = find_sink_slot(MyDatabaseId, sink_id);
	if (slot != NULL && (*pid = served_by(slot)) != 0)
		slot = NULL;
	else if (slot == NULL)
	{
		slot = find_sink_slot(InvalidOid, 0);
		if (slot != NULL)
		{
			memset(&slot->status, 0, sizeof(slot->status));
			memset(&slot->shape, 0, sizeof(slot->shape));
			slot->status.position = -1;
			slot->status.since = GetCurrentTimestamp();
			slot->mark_count = 0;
			slot->sink_id = sink_id;
			slot->topic_id = topic_id;
			slot->database = MyDatabaseId;
		}
	}
	if (slot != NULL)
	{
		slot->pid = MyProcPid;
		SpinLockAcquire(&slot->mutex);
		slot->resume = false;	/* it begins anew as it is */
		SpinLockRelease(&slot->mutex);
	}
	LWLockRelease(sinks->lock);
	return slot;
}

PrismSinkSlot *
prism_sink_try_attach(int32 sink_id, int32 topic_id)
{
	int			pid;

	return attach(sink_id, topic_id, &pid);
}

PrismSinkSlot *
prism_sink_attach(int32 sink_id, int32 topic_id)
{
	int			pid;
	PrismSinkSlot *slot = attach(sink_id, topic_id, &pid);

	if (pid != 0)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_IN_USE),
				errmsg("process %d still serves the sink", pid));
	if (slot == NULL)
		ereport(ERROR,
				errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("too many sinks"),
				errdetail("All %d places for sinks are in use.", sinks->slot_count),
				errhint("Raise \"prism.max_topics\" and restart the server."));
	return slot;
}

bool
prism_sinks_are_full(void)
{
	bool		full = false;

	if (sinks != NULL)
	{
		LWLockAcquire(sinks->lock, LW_SHARED);
		full = find_sink_slot(InvalidOid, 0) == NULL;
		LWLockRelease(sinks->lock);
	}
	return full;
}

/* Others may take them over now. */
void
prism_sink_detach_all(void)
{
	LWLockAcquire(sinks->lock, LW_EXCLUSIVE);
	for (int i = 0; i < sinks->slot_count; i++)
	{
		PrismSinkSlot *slot = &sinks->slots[i];

		if (slot->database == InvalidOid || slot->pid != MyProcPid)
			continue;
		slot->pid = 0;
		if (slot->sink_id == 0)
			slot->database = InvalidOid;
		(void) prism_sink_change(slot, PRISM_SINK_STARTING, 0, NULL);
	}
	LWLockRelease(sinks->lock);
}

/*
 * A forwarder that still serves the sink has a pointer to the slot, and writes to
 * it until it detaches: nobody finds it from now on, and nobody else gets it
 * before.  The caller holds the lock.
 */
static void
free_sink_slot(PrismSinkSlot *slot)
{
	if (slot->pid != 0)
		slot->sink_id = 0;
	else
		slot->database = InvalidOid;
}

void
prism_sink_forget(Oid database, int32 sink_id)
{
	if (sinks == NULL)
		return;
	LWLockAcquire(sinks->lock, LW_EXCLUSIVE);
	for (int i = 0; i < sinks->slot_count; i++)
	{
		PrismSinkSlot *slot = &sinks->slots[i];

		if (slot->database == database && (sink_id == 0 || slot->sink_id == sink_id))
			free_sink_slot(slot);
	}
	LWLockRelease(sinks->lock);
}

void
prism_sink_forget_database(Oid database, bool dropped)
{
	prism_sink_forget(database, 0);
}

void
prism_sink_sweep(void)
{
	PrismQueryRows rows;
	int32	   *known;
	int32	   *settled = palloc0_array(int32, sinks->slot_count);

	/* a sink that gets its place behind our snapshot is not in what we read */
	LWLockAcquire(sinks->lock, LW_SHARED);
	for (int i = 0; i < sinks->slot_count; i++)
		if (sinks->slots[i].database == MyDatabaseId)
			settled[i] = sinks->slots[i].sink_id;
	LWLockRelease(sinks->lock);
	rows = prism_query_latest("SELECT sink_id FROM prism.sink", 0, NULL, NULL, 0);
	known = palloc_array(int32, rows.count + 1);
	for (uint64 i = 0; i < rows.count; i++)
		known[i] = prism_column_int32(&rows.row[i], 1);

	LWLockAcquire(sinks->lock, LW_EXCLUSIVE);
	for (int i = 0; i < sinks->slot_count; i++)
	{
		PrismSinkSlot *slot = &sinks->slots[i];
		bool		wanted = slot->database != MyDatabaseId || slot->sink_id == 0 ||
			slot->sink_id != settled[i];

		for (uint64 k = 0; k < rows.count && !wanted; k++)
			wanted = slot->sink_id == known[k];
		if (!wanted)
			free_sink_slot(slot);
	}
	LWLockRelease(sinks->lock);
	pfree(known);
	prism_query_free(&rows);
	pfree(settled);
}

bool
prism_sink_change(PrismSinkSlot *slot, PrismSinkState state, PrismInstant retry_at,
				  const char *error)
{
	PrismSinkStatus *status = &slot->status;
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz retry_time = prism_instant_time(retry_at);
	bool		changed;
	int			bytes = error != NULL ? pg_mbcliplen(error, strlen(error), sizeof(status->error) - 1) : 0;

	SpinLockAcquire(&slot->mutex);
	changed = status->state != state;
	if (changed)
		status->since = now;
	/* what was asked for before is no answer to this */
	if (changed && (state == PRISM_SINK_FENCED || state == PRISM_SINK_REGRESSED || state == PRISM_SINK_DIVERGED))
		slot->resume = false;
	status->state = state;
	status->retry_at = retry_time;
	if (error != NULL)
	{
		changed = changed || strncmp(status->error, error, bytes) != 0 || status->error[bytes] != '\0';
		strlcpy(status->error, error, bytes + 1);
		status->error_at = now;
	}
	else if (state == PRISM_SINK_RUNNING || state == PRISM_SINK_PAUSED || state == PRISM_SINK_STARTING)
	{
		status->error[0] = '\0';
		status->error_at = 0;
	}
	SpinLockRelease(&slot->mutex);
	return changed;
}

void
prism_sink_move(PrismSinkSlot *slot, int64 position)
{
	SpinLockAcquire(&slot->mutex);
	slot->status.position = position;
	SpinLockRelease(&slot->mutex);
}

void
prism_sink_count(PrismSinkSlot *slot, PrismSinkCounter counter, int64 more)
{
	Assert(counter < PRISM_SINK_COUNTERS);
	SpinLockAcquire(&slot->mutex);
	slot->status.counters[counter] += more;
	SpinLockRelease(&slot->mutex);
}

void
prism_sink_recorded(PrismSinkSlot *slot, int64 position, TimestampTz at)
{
	SpinLockAcquire(&slot->mutex);
	slot->marks[slot->mark_count % PRISM_SINK_MARKS].position = position;
	slot->marks[slot->mark_count % PRISM_SINK_MARKS].at = at;
	slot->mark_count++;
	SpinLockRelease(&slot->mutex);
}

/* ---------- prism.resume() and prism.skip() ---------- */

#define TO_RESUME (-1)

/* What a sink's slot is told when the transaction commits. In TopTransactionContext. */
typedef struct SinkAsk
{
	int32		sink_id;
	int			nest_level;		/* of the subtransaction that it goes with */
	int64		position;		/* to go on at; TO_RESUME */
} SinkAsk;

static List *asks = NIL;

static void
ask_at_commit(int32 sink_id, int64 position)
{
	MemoryContext caller_cxt = MemoryContextSwitchTo(TopTransactionContext);
	SinkAsk    *ask = palloc_object(SinkAsk);

	ask->sink_id = sink_id;
	ask->position = position;
	ask->nest_level = GetCurrentTransactionNestLevel();
	asks = lappend(asks, ask);
	MemoryContextSwitchTo(caller_cxt);
}

void
prism_sink_ask_resume(int32 sink_id)
{
	ask_at_commit(sink_id, TO_RESUME);
}

void
prism_sink_ask_move(int32 sink_id, int64 position)
{
	ask_at_commit(sink_id, position);
}

bool
prism_sink_skipped(int32 sink_id, int64 *position)
{
	bool		skipped = false;
	ListCell   *cell;

	foreach(cell, asks)
	{
		const SinkAsk *ask = lfirst(cell);

		if (ask->sink_id != sink_id || ask->position == TO_RESUME)
			continue;
		*position = ask->position;
		skipped = true;
	}
	return skipped;
}

void
prism_sink_subcommit(int nest_level)
{
	ListCell   *cell;

	foreach(cell, asks)
	{
		SinkAsk    *ask = lfirst(cell);

		ask->nest_level = Min(ask->nest_level, nest_level - 1);
	}
}

void
prism_sink_subabort(int nest_level)
{
	ListCell   *cell;

	foreach(cell, asks)
	{
		if (((SinkAsk *) lfirst(cell))->nest_level >= nest_level)
			asks = foreach_delete_current(asks, cell);
	}
}

static void
tell_slots(bool to_resume)
{
	ListCell   *cell;

	if (asks == NIL || sinks == NULL)
		return;
	LWLockAcquire(sinks->lock, LW_SHARED);
	foreach(cell, asks)
	{
		const SinkAsk *ask = lfirst(cell);
		PrismSinkSlot *slot = find_sink_slot(MyDatabaseId, ask->sink_id);

		if (slot == NULL || (ask->position == TO_RESUME) != to_resume)
			continue;
		SpinLockAcquire(&slot->mutex);
		if (to_resume)
			slot->resume = true;
		else
			slot->status.position = ask->position;
		SpinLockRelease(&slot->mutex);
	}
	LWLockRelease(sinks->lock);
}

void
prism_sink_end_skips(bool committed)
{
	if (committed)
		tell_slots(false);
}

void
prism_sink_end(bool committed)
{
	if (committed)
		tell_slots(true);
	asks = NIL;
}

bool
prism_sink_take_resume(PrismSinkSlot *slot)
{
	bool		asked;

	SpinLockAcquire(&slot->mutex);
	asked = slot->resume;
	slot->resume = false;
	SpinLockRelease(&slot->mutex);
	return asked;
}

void
prism_sink_reset_marks(PrismSinkSlot *slot)
{
	SpinLockAcquire(&slot->mutex);
	slot->mark_count = 0;
	SpinLockRelease(&slot->mutex);
}

bool
prism_sink_copy(int32 sink_id, PrismSinkSlot *copy)
{
	PrismSinkSlot *slot = NULL;

	if (sinks != NULL)
	{
		LWLockAcquire(sinks->lock, LW_SHARED);
		slot = find_sink_slot(MyDatabaseId, sink_id);
		if (slot != NULL)
		{
			SpinLockAcquire(&slot->mutex);
			*copy = *slot;
			SpinLockRelease(&slot->mutex);
		}
		LWLockRelease(sinks->lock);
	}
	return slot != NULL;
}

bool
prism_sink_status(int32 sink_id, PrismSinkStatus *status)
{
	PrismSinkSlot copy;

	if (!prism_sink_copy(sink_id, &copy))
		return false;
	*status = copy.status;
	return true;
}

bool
prism_sink_is_served(int32 sink_id)
{
	PrismSinkSlot copy;

	return prism_sink_copy(sink_id, &copy) && copy.pid != 0;
}

bool
prism_sink_is_resumed(int32 sink_id)
{
	PrismSinkSlot copy;

	return prism_sink_copy(sink_id, &copy) && copy.resume;
}
