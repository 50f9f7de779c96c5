/*-------------------------------------------------------------------------
 *
 * pending.c
 *	  Messages of the current transaction, kept until it commits.
 *
 * They are kept as rows of a segment (row.h): a commit fills in offset and
 * remaining and inserts them.  Past prism.publish_buffer they go to a
 * tuplestore, which belongs to the top transaction's resource owner: else its
 * file would die with the savepoint or portal that happened to create it.
 *
 * src/store/log/pending.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/guc.h"
#include "store/log/pending.h"
#include "store/log/segment.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/* Memory that a tuplestore may use itself before it writes to its file. */
#define STORE_MEMORY_KB 64

static MemoryContext pending_cxt = NULL;
static List *topics = NIL;
static PrismPending *last_used = NULL;
static int64 memory_bytes = 0;

bool		prism_pending_sealed = false;

List *
prism_pending_topics(void)
{
	return topics;
}

bool
prism_log_has_pending(void)
{
	return topics != NIL;
}

/* ---------- adding ---------- */

void
prism_log_check_may_publish(void)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				errmsg("cannot publish during recovery"),
				errhint("Connect to the primary."));
	if (XactReadOnly)
		ereport(ERROR,
				errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				errmsg("cannot publish in a read-only transaction"),
				errhint("Begin it with BEGIN READ WRITE, or look at default_transaction_read_only."));
	if (IsInParallelMode())
		ereport(ERROR,
				errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				errmsg("cannot publish during a parallel operation"));
	prism_require_preload();
	if (prism_pending_sealed)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("cannot publish while the transaction is committing"),
				errdetail("prism has already written this transaction's messages."),
				errhint("Load prism before the library that publishes in its own commit callback (shared_preload_libraries)."));
}

static PrismPending *
pending_for(PrismTopic *topic)
{
	MemoryContext caller;
	PrismPending *pending;
	ListCell   *cell;

	if (last_used != NULL && last_used->topic_id == topic->topic_id)
		return last_used;
	foreach(cell, topics)
	{
		pending = lfirst(cell);
		if (pending->topic_id == topic->topic_id)
			return last_used = pending;
	}
	if (list_length(topics) >= prism_max_topics_per_transaction)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("transaction publishes to too many topics"),
				errdetail("The limit is %d.", prism_max_topics_per_transaction),
				errhint("Raise prism.max_topics_per_transaction and restart the server."));

	if (pending_cxt == NULL)
		pending_cxt = AllocSetContextCreate(TopTransactionContext, "prism pending messages",
											ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(pending_cxt);
	pending = palloc0(sizeof(PrismPending));
	pending->topic = topic;
	pending->topic_id = topic->topic_id;
	pending->mark_relid = topic->mark_relid;
	pending->tuples_max = 8;
	pending->tuples = palloc(pending->tuples_max * sizeof(HeapTuple));
	pending->range_max = 4;
	pending->ranges = palloc(pending->range_max * sizeof(PrismPendingRange));
	topics = lappend(topics, pending);
	MemoryContextSwitchTo(caller);
	return last_used = pending;
}

/* ---------- rows ---------- */

static void
account(PrismPending *pending, HeapTuple tuple, int sign)
{
	int64		bytes = sign * (int64) (GetMemoryChunkSpace(tuple) + sizeof(HeapTuple));

	pending->bytes += bytes;
	memory_bytes += bytes;
}

/* The last row, when it is still in memory. */
static HeapTuple *
last_tuple(PrismPending *pending)
{
	return &pending->tuples[pending->rows - pending->spilled - 1];
}

static void
put_tuple(PrismPending *pending, HeapTuple tuple)
{
	*last_tuple(pending) = tuple;
	account(pending, tuple, 1);
	pending->tuple_bytes_max = Max(pending->tuple_bytes_max, tuple->t_len);
}

/* One more row, of the last range; its tuple follows. */
static void
add_row(PrismPending *pending)
{
	if (pending->rows - pending->spilled == pending->tuples_max)
	{
		pending->tuples = repalloc_huge(pending->tuples, 2 * pending->tuples_max * sizeof(HeapTuple));
		pending->tuples_max *= 2;
	}
	pending->rows++;
	pending->ranges[pending->range_count - 1].end++;
	*last_tuple(pending) = NULL;
}

/*
 * Rows of about half a page would leave the other half of each page empty when
 * transaction after transaction writes one: two halves waste less.
 */
static bool
is_half_a_page(int bytes)
{
	return bytes > PRISM_BATCH_BYTES_MAX / 3 && bytes <= PRISM_BATCH_BYTES_MAX / 3 * 2;
}

/* The row just made, in two; should that fail, it stays as it is. */
static void
halve_last_row(PrismPending *pending)
{
	HeapTuple	whole = *last_tuple(pending);
	HeapTuple	rest;
	HeapTuple	first = prism_row_split(whole, prism_row_messages(whole) / 2, pending->batch,
											&pending->topic->incompressible, &rest);

	add_row(pending);
	account(pending, whole, -1);
	heap_freetuple(whole);
	last_tuple(pending)[-1] = first;
	account(pending, first, 1);
	put_tuple(pending, rest);
}

void
prism_pending_seal(PrismPending *pending)
{
	MemoryContext caller;
	HeapTuple	tuple;

	if (!pending->open)
		return;
	caller = MemoryContextSwitchTo(pending_cxt);
	tuple = prism_row_seal(pending->batch, &pending->topic->incompressible);
	put_tuple(pending, tuple);
	pending->open = false;
	if (prism_row_messages(tuple) > 1 && is_half_a_page(tuple->t_len))
		halve_last_row(pending);
	MemoryContextSwitchTo(caller);
}

int64
prism_pending_rows(const PrismPending *pending)
{
	int64		rows = 0;

	Assert(!pending->open);
	for (int i = 0; i < pending->range_count; i++)
		rows += pending->ranges[i].end - pending->ranges[i].start;
	return rows;
}

/* The range of what is published now: the last one, or a new one after it. */
static PrismPendingRange *
current_range(PrismPending *pending)
{
	int			level = GetCurrentTransactionNestLevel();
	PrismPendingRange *last = &pending->ranges[pending->range_count - 1];

	if (pending->range_count > 0 && last->nest_level == level && last->end == pending->rows)
		return last;
	prism_pending_seal(pending);
	pending->joinable = false;
	if (pending->range_count == pending->range_max)
	{
		pending->ranges = repalloc(pending->ranges, 2 * pending->range_max * sizeof(PrismPendingRange));
		pending->range_max *= 2;
	}
	last = &pending->ranges[pending->range_count++];
	*last = (PrismPendingRange) {.start = pending->rows,.end = pending->rows,.nest_level = level};
	return last;
}

/* Open the last row, one small message, for more. */
static void
open_last_row(PrismPending *pending)
{
	HeapTuple	tuple = *last_tuple(pending);
	PrismMessage message;

	if (pending->batch == NULL)
	{
		PrismBatchBuilder *batch = palloc(sizeof(PrismBatchBuilder));

		prism_batch_init(batch);
		pending->batch = batch;
	}
	prism_row_message(tuple, &message);
	prism_batch_reset(pending->batch, message.created_at);
	if (!prism_batch_add(pending->batch, &message))
		elog(ERROR, "a small message does not fit an empty record batch");
	account(pending, tuple, -1);
	heap_freetuple(tuple);
	*last_tuple(pending) = NULL;
	pending->joinable = false;
	pending->open = true;
}

/* Put a small message into the open row, or begin another one.  False: it needs a row of its own. */
static bool
join_row(PrismPending *pending, const PrismMessage *message)
{
	if (!prism_batch_takes(message))
	{
		prism_pending_seal(pending);
		pending->joinable = false;
		return false;
	}
	if (pending->joinable)
		open_last_row(pending);
	if (!pending->open)
		return false;
	if (prism_batch_add(pending->batch, message))
		return true;
	prism_pending_seal(pending);
	prism_batch_reset(pending->batch, message->created_at);
	if (!prism_batch_add(pending->batch, message))
		elog(ERROR, "a small message does not fit an empty record batch");
	add_row(pending);
	pending->open = true;
	return true;
}

/* ---------- spilling ---------- */

static void
open_store(PrismPending *pending)
{
	ResourceOwner caller_owner = CurrentResourceOwner;
	MemoryContext caller = MemoryContextSwitchTo(pending_cxt);
	Tuplestorestate *store;

	CurrentResourceOwner = TopTransactionResourceOwner;
	/* its file is the owner's, and goes with it when the transaction aborts */
	store = tuplestore_begin_heap(false, false, STORE_MEMORY_KB);
	tuplestore_set_eflags(store, EXEC_FLAG_REWIND);
	tuplestore_alloc_read_pointer(store, EXEC_FLAG_REWIND);
	pending->store = store;
	CurrentResourceOwner = caller_owner;
	MemoryContextSwitchTo(caller);
}

void
prism_pending_check_usable(const PrismPending *pending)
{
	if (pending->spilling)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("an earlier error makes it impossible to publish in this transaction"),
				errdetail("Messages of topic \"%s\" could not be written to a temporary file.", pending->topic->name),
				errhint("Roll back."));
}

/* Move a topic's rows from memory to its tuplestore. */
static void
spill(PrismPending *pending)
{
	TupleTableSlot *slot;
	int64		in_memory;

	/* it may be another topic than the caller publishes to */
	prism_pending_check_usable(pending);
	slot = MakeSingleTupleTableSlot(prism_segment_descriptor(), &TTSOpsHeapTuple);
	prism_pending_seal(pending);
	pending->joinable = false;
	if (pending->store == NULL)
		open_store(pending);
	in_memory = pending->rows - pending->spilled;
	pending->spilling = true;
	for (int64 i = 0; i < in_memory; i++)
	{
		CHECK_FOR_INTERRUPTS();
		ExecStoreHeapTuple(pending->tuples[i], slot, false);
		tuplestore_puttupleslot(pending->store, slot);
	}
	pending->spilling = false;
	ExecDropSingleTupleTableSlot(slot);
	for (int64 i = 0; i < in_memory; i++)
		heap_freetuple(pending->tuples[i]);
	pending->spilled = pending->rows;
	memory_bytes -= pending->bytes;
	pending->bytes = 0;
}

static void
spill_largest(void)
{
	PrismPending *largest = NULL;
	ListCell   *cell;

	foreach(cell, topics)
	{
		PrismPending *pending = lfirst(cell);

		if (largest == NULL || pending->bytes > largest->bytes)
			largest = pending;
	}
	spill(largest);
}

void
prism_log_append(PrismTopic *topic, const PrismMessage *message)
{
	PrismPending *pending;
	PrismPendingRange *range;
	MemoryContext caller;

	prism_log_check_may_publish();
	pending = pending_for(topic);
	prism_pending_check_usable(pending);

	caller = MemoryContextSwitchTo(pending_cxt);
	range = current_range(pending);
	if (!join_row(pending, message))
	{
		HeapTuple	tuple = prism_row_form(message);

		add_row(pending);
		put_tuple(pending, tuple);
		pending->joinable = prism_batch_takes(message);
	}
	range->messages++;
	pending->live++;
	MemoryContextSwitchTo(caller);

	if (memory_bytes > (int64) prism_publish_buffer_kb * 1024)
		spill_largest();
}

void
prism_log_flush_commit(PrismTopic *topic)
{
	pending_for(topic)->flush = true;
}

void
prism_log_count_inserted(PrismTopic *topic)
{
	PrismPending *pending = pending_for(topic);

	Assert(pending->range_count > 0);
	pending->ranges[pending->range_count - 1].inserted++;
	pending->inserted++;
}

void
prism_log_count_payload(PrismTopic *topic, int64 bytes)
{
	PrismPending *pending = pending_for(topic);

	Assert(pending->range_count > 0);
	pending->ranges[pending->range_count - 1].payloads++;
	pending->ranges[pending->range_count - 1].payload_bytes += bytes;
	pending->payloads++;
	pending->payload_bytes += bytes;
}

void
prism_pending_discard(int32 topic_id)
{
	ListCell   *cell;

	foreach(cell, topics)
	{
		PrismPending *pending = lfirst(cell);

		if (pending->topic_id == topic_id)
			pending->drop_level = GetCurrentTransactionNestLevel();
	}
}

/* ---------- savepoints ---------- */

void
prism_log_subcommit(int nest_level)
{
	ListCell   *cell;

	foreach(cell, topics)
	{
		PrismPending *pending = lfirst(cell);

		pending->drop_level = Min(pending->drop_level, nest_level - 1);
		while (pending->range_count > 0)
		{
			PrismPendingRange *last = &pending->ranges[pending->range_count - 1];
			PrismPendingRange *before = last - 1;

			if (last->nest_level < nest_level)
				break;
			last->nest_level = nest_level - 1;
			if (pending->range_count == 1 || before->nest_level < nest_level - 1 ||
				before->end != last->start)
				break;
			before->end = last->end;
			before->messages += last->messages;
			before->inserted += last->inserted;
			before->payloads += last->payloads;
			before->payload_bytes += last->payload_bytes;
			pending->range_count--;
		}
	}
}

void
prism_log_subabort(int nest_level)
{
	ListCell   *cell;

	foreach(cell, topics)
	{
		PrismPending *pending = lfirst(cell);
		int64		cut = pending->rows;

		if (pending->drop_level >= nest_level)
			pending->drop_level = 0;
		while (pending->range_count > 0 &&
			   pending->ranges[pending->range_count - 1].nest_level >= nest_level)
		{
			PrismPendingRange *last = &pending->ranges[--pending->range_count];

			pending->live -= last->messages;
			pending->inserted -= last->inserted;
			pending->payloads -= last->payloads;
			pending->payload_bytes -= last->payload_bytes;
			cut = last->start;
		}

		/* what is still in memory goes at once; in the tuplestore it stays as a dead range */
		cut = Max(cut, pending->spilled);
		while (pending->rows > cut)
		{
			HeapTuple	tuple = *last_tuple(pending);

			pending->rows--;
			pending->joinable = pending->open = false;
			if (tuple == NULL)
				continue;
			account(pending, tuple, -1);
			heap_freetuple(tuple);
		}
	}
}

/* ---------- the end ---------- */

void
prism_pending_close(void)
{
	ListCell   *cell;

	foreach(cell, topics)
	{
		PrismPending *pending = lfirst(cell);

		if (pending->store != NULL)
			tuplestore_end(pending->store);
		pending->store = NULL;
	}
}

void
prism_pending_forget(void)
{
	topics = NIL;				/* their memory goes with TopTransactionContext */
	pending_cxt = NULL;
	last_used = NULL;
	memory_bytes = 0;
	prism_pending_sealed = false;
}
