/*-------------------------------------------------------------------------
 *
 * pending.c
 *	  Messages of the current transaction, kept until it commits.
 *
 * They are kept as tuples of the segment's row type: a commit fills in offset
 * and remaining and inserts them.  Past prism.publish_buffer they go to a
 * tuplestore, which belongs to the top transaction's resource owner: else its
 * file would die with the savepoint or portal that happened to create it.
 *
 * src/store/pending.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "compat.h"
#include "guc.h"
#include "store/pending.h"
#include "store/segment.h"

#include "access/htup_details.h"
#include "access/toast_internals.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/* Payloads and keys shorter than this are not worth compressing: the row fits a page's quarter. */
#define COMPRESS_BYTES_MIN 2000
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

static void
check_may_publish(void)
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

/* Compress now what a commit would have to compress while readers wait for it. */
static Datum
compressed(Datum value)
{
#ifdef USE_LZ4
	char		method = TOAST_LZ4_COMPRESSION;
#else
	char		method = TOAST_PGLZ_COMPRESSION;
#endif
	Datum		result;

	if (VARATT_IS_EXTENDED(DatumGetPointer(value)) ||
		VARSIZE(DatumGetPointer(value)) < COMPRESS_BYTES_MIN)
		return value;
	result = toast_compress_datum(value, method);
	return DatumGetPointer(result) == NULL ? value : result;
}

static HeapTuple
form_tuple(const PrismMessage *message)
{
	Datum		values[PRISM_SEGMENT_COLUMNS];
	bool		nulls[PRISM_SEGMENT_COLUMNS];

	values[PRISM_COLUMN_OFFSET - 1] = Int64GetDatum(0);
	values[PRISM_COLUMN_CREATED_AT - 1] = TimestampTzGetDatum(message->created_at);
	values[PRISM_COLUMN_REMAINING - 1] = Int32GetDatum(0);
	values[PRISM_COLUMN_ID - 1] = UUIDPGetDatum(&message->id);
	values[PRISM_COLUMN_KEY - 1] = message->key;
	values[PRISM_COLUMN_HEADERS - 1] = message->has_headers ? compressed(message->headers) : (Datum) 0;
	values[PRISM_COLUMN_PAYLOAD - 1] = message->has_payload ? compressed(message->payload) : (Datum) 0;
	values[PRISM_COLUMN_CLAIM - 1] = (Datum) 0;
	memset(nulls, false, sizeof(nulls));
	nulls[PRISM_COLUMN_KEY - 1] = !message->has_key;
	nulls[PRISM_COLUMN_HEADERS - 1] = !message->has_headers;
	nulls[PRISM_COLUMN_PAYLOAD - 1] = !message->has_payload;
	nulls[PRISM_COLUMN_CLAIM - 1] = true;
	return heap_form_tuple(prism_segment_descriptor(), values, nulls);
}

static void
extend_range(PrismPending *pending)
{
	int			level = GetCurrentTransactionNestLevel();
	PrismPendingRange *last = &pending->ranges[pending->range_count - 1];

	if (pending->range_count > 0 && last->nest_level == level && last->end == pending->count)
	{
		last->end++;
		return;
	}
	if (pending->range_count == pending->range_max)
	{
		pending->ranges = repalloc(pending->ranges, 2 * pending->range_max * sizeof(PrismPendingRange));
		pending->range_max *= 2;
	}
	pending->ranges[pending->range_count++] =
		(PrismPendingRange) {pending->count, pending->count + 1, level};
}

/* ---------- spilling ---------- */

static void
open_store(PrismPending *pending)
{
	ResourceOwner caller_owner = CurrentResourceOwner;
	MemoryContext caller = MemoryContextSwitchTo(pending_cxt);

	CurrentResourceOwner = TopTransactionResourceOwner;
	pending->store = tuplestore_begin_heap(false, true, STORE_MEMORY_KB);
	tuplestore_set_eflags(pending->store, EXEC_FLAG_REWIND);
	tuplestore_alloc_read_pointer(pending->store, EXEC_FLAG_REWIND);
	CurrentResourceOwner = caller_owner;
	MemoryContextSwitchTo(caller);
}

/* Move a topic's messages from memory to its tuplestore. */
static void
spill(PrismPending *pending)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(prism_segment_descriptor(), &TTSOpsHeapTuple);
	int64		in_memory = pending->count - pending->spilled;

	if (pending->store == NULL)
		open_store(pending);
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
	pending->spilled = pending->count;
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

static void
check_usable(const PrismPending *pending)
{
	if (pending->spilling)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("an earlier error makes it impossible to publish in this transaction"),
				errdetail("Messages of topic \"%s\" could not be written to a temporary file.", pending->topic->name),
				errhint("Roll back."));
}

void
prism_log_append(PrismTopic *topic, const PrismMessage *message)
{
	PrismPending *pending;
	MemoryContext caller;
	HeapTuple	tuple;
	int64		slot;

	check_may_publish();
	pending = pending_for(topic);
	check_usable(pending);

	caller = MemoryContextSwitchTo(pending_cxt);
	slot = pending->count - pending->spilled;
	if (slot == pending->tuples_max)
	{
		pending->tuples = repalloc_huge(pending->tuples, 2 * pending->tuples_max * sizeof(HeapTuple));
		pending->tuples_max *= 2;
	}
	tuple = form_tuple(message);
	pending->tuple_bytes_max = Max(pending->tuple_bytes_max, tuple->t_len);
	pending->tuples[slot] = tuple;
	extend_range(pending);
	pending->count++;
	pending->live++;
	pending->bytes += GetMemoryChunkSpace(tuple) + sizeof(HeapTuple);
	memory_bytes += GetMemoryChunkSpace(tuple) + sizeof(HeapTuple);
	MemoryContextSwitchTo(caller);

	if (memory_bytes > (int64) prism_publish_buffer_kb * 1024)
		spill_largest();
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
		int64		cut = pending->count;

		if (pending->drop_level >= nest_level)
			pending->drop_level = 0;
		while (pending->range_count > 0 &&
			   pending->ranges[pending->range_count - 1].nest_level >= nest_level)
		{
			PrismPendingRange *last = &pending->ranges[--pending->range_count];

			pending->live -= last->end - last->start;
			cut = last->start;
		}

		/* what is still in memory goes at once; in the tuplestore it stays as a dead range */
		cut = Max(cut, pending->spilled);
		while (pending->count > cut)
		{
			HeapTuple	tuple = pending->tuples[--pending->count - pending->spilled];
			Size		bytes = GetMemoryChunkSpace(tuple) + sizeof(HeapTuple);

			pending->bytes -= bytes;
			memory_bytes -= bytes;
			heap_freetuple(tuple);
		}
	}
}

/* ---------- taking them out ---------- */

void
prism_pending_begin(PrismPendingCursor *cursor, PrismPending *pending, int pointer)
{
	check_usable(pending);
	cursor->pending = pending;
	cursor->pointer = pointer;
	cursor->range = 0;
	cursor->next = pending->range_count > 0 ? pending->ranges[0].start : 0;
	cursor->store_at = 0;
	cursor->slot = NULL;
	if (pending->store != NULL)
	{
		tuplestore_select_read_pointer(pending->store, pointer);
		tuplestore_rescan(pending->store);
		cursor->slot = MakeSingleTupleTableSlot(prism_segment_descriptor(), &TTSOpsMinimalTuple);
	}
}

static HeapTuple
fetch_spilled(PrismPendingCursor *cursor)
{
	Tuplestorestate *store = cursor->pending->store;
	HeapTuple	tuple;

	tuplestore_select_read_pointer(store, cursor->pointer);
	if (cursor->next > cursor->store_at &&
		!tuplestore_skiptuples(store, cursor->next - cursor->store_at, true))
		elog(ERROR, "pending messages end too early");
	if (!tuplestore_gettupleslot(store, true, false, cursor->slot))
		elog(ERROR, "pending messages end too early");
	cursor->store_at = cursor->next + 1;
	tuple = ExecCopySlotHeapTuple(cursor->slot);
	/* what the tuplestore read lies in the caller's context, which may be reset before the next call */
	ExecClearTuple(cursor->slot);
	return tuple;
}

HeapTuple
prism_pending_fetch(PrismPendingCursor *cursor)
{
	PrismPending *pending = cursor->pending;
	HeapTuple	tuple;

	while (cursor->range < pending->range_count && cursor->next >= pending->ranges[cursor->range].end)
	{
		if (++cursor->range < pending->range_count)
			cursor->next = pending->ranges[cursor->range].start;
	}
	if (cursor->range >= pending->range_count)
	{
		if (cursor->slot != NULL)
			ExecDropSingleTupleTableSlot(cursor->slot);
		cursor->slot = NULL;
		return NULL;
	}
	if (cursor->next < pending->spilled)
		tuple = fetch_spilled(cursor);
	else
		tuple = pending->tuples[cursor->next - pending->spilled];
	cursor->next++;
	return tuple;
}

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

/* ---------- prism.outbox ---------- */

struct PrismPendingScan
{
	PrismPendingCursor cursor;
};

PrismPendingScan *
prism_pending_scan(PrismTopic *topic)
{
	ListCell   *cell;

	foreach(cell, topics)
	{
		PrismPending *pending = lfirst(cell);

		if (pending->topic_id == topic->topic_id)
		{
			PrismPendingScan *scan = palloc(sizeof(PrismPendingScan));

			prism_pending_begin(&scan->cursor, pending, PRISM_PENDING_READ_SCAN);
			return scan;
		}
	}
	return NULL;
}

bool
prism_pending_next(PrismPendingScan *scan, PrismMessage *message)
{
	HeapTuple	tuple = scan != NULL ? prism_pending_fetch(&scan->cursor) : NULL;

	if (tuple == NULL)
		return false;
	prism_message_from_tuple(message, tuple, prism_segment_descriptor());
	return true;
}
