/*-------------------------------------------------------------------------
 *
 * counter.c
 *	  Offsets handed out at commit, and the stable offset.
 *
 * All of a counter's changing fields are under its spinlock, held for a few
 * instructions.  What runs in COMMIT and ABORT callbacks takes only spinlocks
 * and sets latches: an ERROR there would be a PANIC.
 *
 * The durable high-water mark of a topic and what else survives a restart is
 * in counter_mark.c.
 *
 * src/store/log/counter.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/patience.h"
#include "base/wait_event.h"
#include "store/log/counter.h"
#include "store/log/holders.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

typedef struct CounterTable
{
	LWLock	   *lock;			/* slots are taken and freed under it */
	int			size;
	PrismCounter slots[FLEXIBLE_ARRAY_MEMBER];
} CounterTable;

static CounterTable *table = NULL;
static PrismInFlight *in_flight_pool = NULL;

/* The counter whose mark this backend is moving, or NULL. */
static PrismCounter *extending = NULL;

/* A topic made or dropped by the current transaction. */
typedef struct MarkChange
{
	Oid			mark_relid;
	bool		created;
	int			nest_level;
} MarkChange;

static List *mark_changes = NIL;

/* ---------- slots ---------- */

static Size
counter_table_size(void)
{
	return add_size(offsetof(CounterTable, slots),
					mul_size(prism_max_topics, sizeof(PrismCounter)));
}

static Size
pool_size(void)
{
	return mul_size(mul_size(MaxBackends, prism_max_topics_per_transaction), sizeof(PrismInFlight));
}

Size
prism_counter_shmem_size(void)
{
	return add_size(MAXALIGN(counter_table_size()), pool_size());
}

void
prism_counter_shmem_init(void)
{
	bool		found;

	table = ShmemInitStruct("prism topics", counter_table_size(), &found);
	if (!found)
	{
		memset(table, 0, counter_table_size());
		table->lock = &GetNamedLWLockTranche(PRISM_COUNTER_TRANCHE)->lock;
		table->size = prism_max_topics;
		for (int i = 0; i < table->size; i++)
		{
			SpinLockInit(&table->slots[i].mutex);
			ConditionVariableInit(&table->slots[i].extended);
			ConditionVariableInit(&table->slots[i].published);
			pg_atomic_init_u32(&table->slots[i].sleepers, 0);
			ConditionVariableInit(&table->slots[i].segments_changed);
		}
	}
	in_flight_pool = ShmemInitStruct("prism blocks in flight", pool_size(), &found);
	if (!found)
		memset(in_flight_pool, 0, pool_size());
}

/* Everything but the lock, the condition variables and the count of sleepers: backends of the slot's former owner may still be asleep on them. */
static void
reset_slot(PrismCounter *counter, Oid mark_relid, int64 segment_messages)
{
	SpinLockAcquire(&counter->mutex);
	counter->database = MyDatabaseId;
	counter->mark_relid = mark_relid;
	counter->ready = false;
	counter->next = counter->limit = 0;
	counter->segment_messages = segment_messages;
	dlist_init(&counter->in_flight);
	counter->commit_end = InvalidXLogRecPtr;
	counter->messages_total = counter->bytes_total = counter->inserted_total = 0;
	counter->last_publish = 0;
	counter->extender = -1;
	counter->wanted_end = 0;
	counter->subscriber_count = 0;
	counter->wakes++;
	counter->start = counter->jumps_from = 0;
	counter->jumps_known = false;
	counter->jump_count = counter->jumps_saved = 0;
	counter->void_count = 0;
	counter->voids_from = 0;
	counter->backlog = (PrismCounterBacklog) {0};
	counter->delay = (PrismCounterDelay) {.look_at = DT_NOEND,.next_due = DT_NOEND};
	counter->payload = (PrismCounterPayload) {0};
	SpinLockRelease(&counter->mutex);
}

PrismCounter *
prism_counter_attach(Oid mark_relid, int64 segment_messages)
{
	PrismCounter *counter = NULL;
	PrismCounter *unused = NULL;

	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	for (int i = 0; i < table->size && counter == NULL; i++)
	{
		PrismCounter *slot = &table->slots[i];

		if (slot->database == MyDatabaseId && slot->mark_relid == mark_relid)
			counter = slot;
		else if (slot->database == InvalidOid && unused == NULL)
			unused = slot;
	}
	if (counter == NULL && unused != NULL)
	{
		reset_slot(unused, mark_relid, segment_messages);
		counter = unused;
	}
	LWLockRelease(table->lock);

	return counter;
}

void
prism_counter_no_place(void)
{
	ereport(ERROR,
			errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			errmsg("too many topics in use"),
			errdetail("The server keeps %d topics in shared memory, over all databases.", prism_max_topics),
			errhint("Raise prism.max_topics and restart the server."));
}

int
prism_counter_slots_used(void)
{
	int			used = 0;

	LWLockAcquire(table->lock, LW_SHARED);
	for (int i = 0; i < table->size; i++)
		used += table->slots[i].database != InvalidOid;
	LWLockRelease(table->lock);
	return used;
}

int
prism_counter_slots_left(void)
{
	int			left = table->size;

	LWLockAcquire(table->lock, LW_SHARED);
	for (int i = 0; i < table->size; i++)
		left -= table->slots[i].database != InvalidOid && table->slots[i].database != MyDatabaseId;
	LWLockRelease(table->lock);
	return left;
}

void
prism_counter_forget(Oid database, Oid mark_relid)
{
	if (table == NULL)
		return;
	LWLockAcquire(table->lock, LW_EXCLUSIVE);
	for (int i = 0; i < table->size; i++)
	{
		PrismCounter *slot = &table->slots[i];

		if (slot->database == database && database != InvalidOid &&
			(mark_relid == InvalidOid || slot->mark_relid == mark_relid))
		{
			slot->database = InvalidOid;
			/* those who wait for a message shall learn that none will come */
			ConditionVariableBroadcast(&slot->published);
		}
	}
	LWLockRelease(table->lock);
}

/* Counters are found by the table that belongs to them, of which no other topic has the number. */
void
prism_counter_forget_database(Oid database, bool dropped)
{
	if (dropped)
		prism_counter_forget(database, InvalidOid);
}

static void
remember_mark(Oid mark_relid, bool created)
{
	MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);
	MarkChange *change = palloc(sizeof(MarkChange));

	*change = (MarkChange) {mark_relid, created, GetCurrentTransactionNestLevel()};
	mark_changes = lappend(mark_changes, change);
	MemoryContextSwitchTo(caller);
}

void
prism_counter_created(Oid mark_relid)
{
	remember_mark(mark_relid, true);
}

void
prism_counter_dropped(Oid mark_relid)
{
	remember_mark(mark_relid, false);
}

bool
prism_counter_is_new(Oid mark_relid)
{
	ListCell   *cell;

	foreach(cell, mark_changes)
	{
		const MarkChange *change = lfirst(cell);

		if (change->created && change->mark_relid == mark_relid)
			return true;
	}
	return false;
}

void
prism_counter_pre_prepare(void)
{
	if (mark_changes != NIL)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot PREPARE a transaction that has made or dropped topics"),
				errhint("Commit it in one phase."));
}

void
prism_counter_subcommit(int nest_level)
{
	ListCell   *cell;

	foreach(cell, mark_changes)
	{
		MarkChange *change = lfirst(cell);

		change->nest_level = Min(change->nest_level, nest_level - 1);
	}
}

/* A topic whose drop is rolled back keeps its slot: others are using it. */
void
prism_counter_subabort(int nest_level)
{
	ListCell   *cell;

	foreach(cell, mark_changes)
	{
		MarkChange *change = lfirst(cell);

		if (change->nest_level < nest_level)
			continue;
		if (change->created)
			prism_counter_forget(MyDatabaseId, change->mark_relid);
		mark_changes = foreach_delete_current(mark_changes, cell);
	}
}

void
prism_counter_end(bool committed)
{
	ListCell   *cell;

	foreach(cell, mark_changes)
	{
		MarkChange *change = lfirst(cell);

		if (change->created != committed)
			prism_counter_forget(MyDatabaseId, change->mark_relid);
	}
	mark_changes = NIL;
	prism_counter_release_extender();
}

/* ---------- who moves the mark ---------- */

bool
prism_counter_claim_extender(PrismCounter *counter, int64 count, int64 *next)
{
	bool		enough = false;
	bool		mine = false;

	ConditionVariablePrepareToSleep(&counter->extended);
	for (;;)
	{
		SpinLockAcquire(&counter->mutex);
		enough = counter->limit - counter->next >= count;
		*next = counter->next;
		if (!enough && counter->extender < 0)
		{
			counter->extender = prism_my_proc_number();
			mine = true;
		}
		SpinLockRelease(&counter->mutex);
		if (mine)
			extending = counter;
		if (enough || mine)
			break;
		if (!prism_never_waits)
			ConditionVariableSleep(&counter->extended, prism_wait_event(PRISM_WAIT_MARK));
		else if (ConditionVariableTimedSleep(&counter->extended, PRISM_PATIENCE_MS, prism_wait_event(PRISM_WAIT_MARK)))
			prism_refuse_to_wait_for("another session is moving a topic's mark");
	}
	ConditionVariableCancelSleep();
	return mine;
}

void
prism_counter_release_extender(void)
{
	PrismCounter *counter = extending;

	if (counter == NULL)
		return;
	extending = NULL;
	SpinLockAcquire(&counter->mutex);
	if (counter->extender == prism_my_proc_number())
		counter->extender = -1;
	SpinLockRelease(&counter->mutex);
	ConditionVariableBroadcast(&counter->extended);
}

/* ---------- handing out ---------- */

bool
prism_counter_is_ready(PrismCounter *counter)
{
	bool		ready;

	SpinLockAcquire(&counter->mutex);
	ready = counter->ready;
	SpinLockRelease(&counter->mutex);
	return ready;
}

int64
prism_counter_peek(PrismCounter *counter)
{
	int64		next;

	SpinLockAcquire(&counter->mutex);
	next = counter->next;
	SpinLockRelease(&counter->mutex);
	return next;
}

PrismInFlight *
prism_counter_block(int index)
{
	Assert(index < prism_max_topics_per_transaction);
	return &in_flight_pool[prism_my_proc_number() * prism_max_topics_per_transaction + index];
}

bool
prism_counter_take(PrismCounter *counter, int64 count, int64 first_segment, int64 last_segment,
				   PrismInFlight *in_flight)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		taken = false;

	SpinLockAcquire(&counter->mutex);
	if (counter->ready && counter->limit - counter->next >= count &&
		counter->next / counter->segment_messages >= first_segment &&
		(counter->next + count - 1) / counter->segment_messages <= last_segment)
	{
		in_flight->first = counter->next;
		in_flight->end = counter->next + count;
		in_flight->since = now;
		in_flight->pid = MyProcPid;
		counter->next = in_flight->end;
		dlist_push_tail(&counter->in_flight, &in_flight->node);
		taken = true;
	}
	SpinLockRelease(&counter->mutex);
	return taken;
}

/* Under the spinlock. */
static int
copy_subscribers(PrismCounter *counter, int *subscribers)
{
	for (int i = 0; i < counter->subscriber_count; i++)
		subscribers[i] = counter->subscribers[i];
	counter->wakes++;
	return counter->subscriber_count;
}

static void
wake_readers(PrismCounter *counter, const int *subscribers, int count)
{
	for (int i = 0; i < count; i++)
		SetLatch(&ProcGlobal->allProcs[subscribers[i]].procLatch);
	/* a session that falls asleep counts itself before it looks at what we have changed */
	pg_memory_barrier();
	if (pg_atomic_read_u32(&counter->sleepers) == 0)
		return;
	pg_read_barrier();
	ConditionVariableBroadcast(&counter->published);
	prism_holders_wake(counter);
}

void
prism_counter_settle(PrismCounter *counter, PrismInFlight *in_flight, XLogRecPtr commit_end,
					 int64 bytes, int64 inserted, int64 payloads)
{
	int			subscribers[PRISM_SUBSCRIBERS_MAX];
	int			count;
	bool		stable_moved;

	SpinLockAcquire(&counter->mutex);
	stable_moved = dlist_head_node(&counter->in_flight) == &in_flight->node;
	dlist_delete(&in_flight->node);
	if (!XLogRecPtrIsInvalid(commit_end))
	{
		counter->commit_end = Max(counter->commit_end, commit_end);
		counter->messages_total += in_flight->end - in_flight->first;
		counter->bytes_total += bytes;
		counter->inserted_total += inserted;
		counter->payload.stored_total += payloads;
		counter->last_publish = in_flight->since;
	}
	else
		prism_counter_note_void(counter, in_flight->first, in_flight->end);
	count = copy_subscribers(counter, subscribers);
	SpinLockRelease(&counter->mutex);

	if (stable_moved)
		wake_readers(counter, subscribers, count);
}

void
prism_counter_wake(PrismCounter *counter)
{
	int			subscribers[PRISM_SUBSCRIBERS_MAX];
	int			count;

	SpinLockAcquire(&counter->mutex);
	count = copy_subscribers(counter, subscribers);
	SpinLockRelease(&counter->mutex);
	wake_readers(counter, subscribers, count);
}

int64
prism_counter_stable(PrismCounter *counter, XLogRecPtr *flush_to)
{
	int64		stable;

	SpinLockAcquire(&counter->mutex);
	if (dlist_is_empty(&counter->in_flight))
		stable = counter->next;
	else
		stable = dlist_head_element(PrismInFlight, node, &counter->in_flight)->first;
	if (flush_to != NULL)
		*flush_to = counter->commit_end;
	SpinLockRelease(&counter->mutex);
	return stable;
}

bool
prism_counter_oldest(PrismCounter *counter, PrismInFlight *copy)
{
	bool		found;

	SpinLockAcquire(&counter->mutex);
	found = !dlist_is_empty(&counter->in_flight);
	if (found)
		*copy = *dlist_head_element(PrismInFlight, node, &counter->in_flight);
	SpinLockRelease(&counter->mutex);
	return found;
}

/* ---------- who is woken ---------- */

void
prism_counter_unsubscribe_all(void)
{
	for (int i = 0; i < table->size; i++)
		prism_counter_unsubscribe(&table->slots[i]);
}

/* At exit: this process's number may soon be somebody else's. */
static void
unsubscribe_at_exit(int code, Datum arg)
{
	prism_counter_unsubscribe_all();
}

uint64
prism_counter_wakes(PrismCounter *counter)
{
	uint64		wakes;

	SpinLockAcquire(&counter->mutex);
	wakes = counter->wakes;
	SpinLockRelease(&counter->mutex);
	return wakes;
}

/* Under the spinlock: our place, or where it would be. */
static int
subscriber_place(const PrismCounter *counter)
{
	int			self = prism_my_proc_number();
	int			place = 0;

	while (place < counter->subscriber_count && counter->subscribers[place] != self)
		place++;
	return place;
}

void
prism_counter_subscribe(PrismCounter *counter)
{
	static bool exit_registered = false;
	int			place;

	if (!exit_registered)
	{
		before_shmem_exit(unsubscribe_at_exit, (Datum) 0);
		exit_registered = true;
	}
	SpinLockAcquire(&counter->mutex);
	place = subscriber_place(counter);
	if (place == counter->subscriber_count && place < PRISM_SUBSCRIBERS_MAX)
		counter->subscribers[counter->subscriber_count++] = prism_my_proc_number();
	SpinLockRelease(&counter->mutex);
	if (place == PRISM_SUBSCRIBERS_MAX)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("too many workers read one topic"),
				errdetail("The limit is %d.", PRISM_SUBSCRIBERS_MAX));
}

void
prism_counter_unsubscribe(PrismCounter *counter)
{
	int			place;

	SpinLockAcquire(&counter->mutex);
	place = subscriber_place(counter);
	if (place < counter->subscriber_count)
		counter->subscribers[place] = counter->subscribers[--counter->subscriber_count];
	SpinLockRelease(&counter->mutex);
}
