/*-------------------------------------------------------------------------
 *
 * append.c
 *	  A transaction's messages become rows of the log, at its commit.
 *
 * The order in PRE_COMMIT is what everything rests on:
 *	1. for all topics: whatever can fail or wait (the mark, segments), and what
 *		PostgreSQL would wait for afterwards (commit_order.c);
 *	2. for all topics: take offsets and register them as in flight, in one step;
 *	3. insert.  Nothing here waits for another session.
 * COMMIT and ABORT callbacks take the registration back; they cannot throw.  An
 * error after it takes it back before the client is told.
 *
 * src/store/log/append.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/marker.h"
#include "base/patience.h"
#include "store/log/commit_order.h"
#include "store/log/counter.h"
#include "store/log/holders.h"
#include "store/log/pending.h"
#include "store/log/row.h"
#include "store/log/segment.h"
#include "store/log/segment_ahead.h"
#include "store/log/segment_index.h"

#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Rows that one heap_multi_insert takes at most, and their bytes. */
#define CHUNK_ROWS_MAX 1000
#define CHUNK_BYTES_MAX (256 * 1024)
/* From this many rows on a buffer ring spares the shared buffers. */
#define BULK_ROWS_MIN 10000

/* One topic of the committing transaction. */
typedef struct TopicBlock
{
	PrismPending *pending;
	PrismCounter *counter;
	PrismInFlight *in_flight;
	int64		first_segment;
	int64		last_segment;
	Relation   *segments;		/* first_segment .. last_segment, locked until the end */
	PrismSegmentIndex **indexes;
	int64		bytes;
} TopicBlock;

static TopicBlock *blocks = NULL;
static int	block_count = 0;
static int	registered = 0;		/* blocks[0 .. registered) are in flight */

/* ---------- 1: prepare ---------- */

static void
close_segments(TopicBlock *block)
{
	if (block->segments == NULL)
		return;
	for (int i = 0; i <= block->last_segment - block->first_segment; i++)
	{
		prism_segment_index_close(block->indexes[i]);
		table_close(block->segments[i], NoLock);
	}
	block->segments = NULL;
}

/*
 * Open a segment and its index.  What this backend wrote last is tried without
 * looking it up; opening tells whether it is still there.
 */
static Relation
open_to_append(const PrismPending *pending, int64 number, PrismSegmentIndex **index)
{
	PrismTopic *topic = pending->topic;
	Relation	segment;
	Oid			relid = topic->segment_number == number ? topic->segment_relid : InvalidOid;

	if (!OidIsValid(relid))
		relid = prism_segment_table(topic, number);
	segment = OidIsValid(relid) ? prism_try_relation_open(relid, RowExclusiveLock) : NULL;
	if (segment == NULL)
	{
		topic->segment_number = -1;
		return NULL;
	}
	if (!prism_is_segment(segment))
		prism_segment_refuse(segment);
	*index = prism_segment_index_open(segment, PRISM_COLUMN_OFFSET);
	/* what the insert would lock only then, with the block in flight */
	if (pending->tuple_bytes_max > TOAST_TUPLE_THRESHOLD)
		list_free(prism_lock_toast(segment, RowExclusiveLock));
	return segment;
}

/* Open the segments that a block at 'first' will go to. False: one is not there. */
static bool
open_segments(TopicBlock *block, int64 first)
{
	PrismTopic *topic = block->pending->topic;
	int64		end = first + block->pending->live;
	int			count;

	block->first_segment = first / topic->segment_messages;
	block->last_segment = block->first_segment - 1;
	count = (end - 1) / topic->segment_messages - block->first_segment + 1;
	block->segments = palloc(count * sizeof(Relation));
	block->indexes = palloc(count * sizeof(PrismSegmentIndex *));
	for (int i = 0; i < count; i++)
	{
		block->segments[i] = open_to_append(block->pending, block->first_segment + i, &block->indexes[i]);
		if (block->segments[i] == NULL)
			return false;
		block->last_segment++;
	}
	return true;
}

static void
prepare_blocks(void)
{
	for (int i = 0; i < block_count; i++)
	{
		TopicBlock *block = &blocks[i];
		PrismPending *pending = block->pending;

		for (;;)
		{
			int64		first;

			CHECK_FOR_INTERRUPTS();
			close_segments(block);
			first = prism_counter_reserve(pending->topic, pending->live);
			if (open_segments(block, first))
				break;
			close_segments(block);
			prism_segment_await(pending->topic, first, first + pending->live);
		}
	}
}

/* ---------- 2: register ---------- */

static void
settle_blocks(XLogRecPtr commit_end)
{
	while (registered > 0)
	{
		TopicBlock *block = &blocks[--registered];
		int64		segment_messages = block->counter->segment_messages;

		/* whoever enters a segment has the one after it made; so has the first of all */
		if ((block->in_flight->first / segment_messages != block->in_flight->end / segment_messages || block->in_flight->first == 0) &&
			prism_segment_wake != NULL)
			prism_segment_wake();
		prism_counter_settle(block->counter, block->in_flight, commit_end, block->bytes + block->pending->payload_bytes,
							 block->pending->inserted, block->pending->payloads);
	}
}

/* All or nothing: a topic whose segment or mark has run out sends us back to prepare, with none in flight. */
static bool
register_blocks(void)
{
	while (registered < block_count)
	{
		TopicBlock *block = &blocks[registered];

		if (!prism_counter_take(block->counter, block->pending->live, block->first_segment,
								block->last_segment, block->in_flight))
		{
			settle_blocks(InvalidXLogRecPtr);
			return false;
		}
		registered++;
	}
	return true;
}

/* ---------- 3: insert ---------- */

typedef struct Inserter
{
	TopicBlock *block;
	PrismPendingCursor cursor;
	MemoryContext chunk_cxt;
	CommandId	cid;
	BulkInsertState bulk;
	TupleTableSlot **slots;
	int			slot_count;
	int64		offset;			/* of the next message */
	HeapTuple	carried;		/* what went beyond the segment's end of the last row, in block_cxt; or NULL */
	MemoryContext block_cxt;
} Inserter;

/*
 * Which of a block's open segments holds [first, end).  That is told by the
 * offsets that were taken, never by those that were expected when the segments
 * were opened: others may have taken some meanwhile.  A row in another segment
 * than its own is found by no reader.
 */
static int
segment_of(const TopicBlock *block, int64 first, int64 end)
{
	int64		segment_messages = block->counter->segment_messages;
	int64		segment = first / segment_messages;
	bool		fits = segment >= block->first_segment && segment <= block->last_segment &&
		(end - 1) / segment_messages == segment;

	Assert(fits);
	if (!fits)
		elog(ERROR, "topic %d: offsets " INT64_FORMAT " to " INT64_FORMAT " would be written to segments " INT64_FORMAT " to " INT64_FORMAT,
			 block->pending->topic_id, first, end - 1, block->first_segment, block->last_segment);
	return segment - block->first_segment;
}

/* Insert the rows in slots[0 .. count), which lie in the segment of 'first'. */
static void
insert_chunk(Inserter *inserter, int count, int64 first)
{
	TopicBlock *block = inserter->block;
	int64		segment_messages = block->pending->topic->segment_messages;
	int			number = segment_of(block, first, inserter->offset);

	heap_multi_insert(block->segments[number], inserter->slots, count, inserter->cid, 0, inserter->bulk);
	for (int i = 0; i < count; i++)
	{
		TupleTableSlot *slot = inserter->slots[i];
		HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, NULL);
		Datum		key = Int64GetDatum(prism_row_offset(tuple));

		prism_segment_index_insert(block->indexes[number], tuple, &slot->tts_tid, &key);
		ExecClearTuple(slot);
	}
	if (inserter->offset % segment_messages == 0 && inserter->bulk != NULL)
	{
		/* the ring has a page of this table pinned; the next chunk gets a new one */
		FreeBulkInsertState(inserter->bulk);
		inserter->bulk = NULL;
	}
}

static TupleTableSlot *
chunk_slot(Inserter *inserter, int i)
{
	if (i == inserter->slot_count)
	{
		inserter->slots[i] = MakeSingleTupleTableSlot(prism_segment_descriptor(), &TTSOpsHeapTuple);
		inserter->slot_count++;
	}
	return inserter->slots[i];
}

/*
 * The next row, numbered; NULL at the end.  One that goes beyond the end of its
 * segment is cut there: where the block would come was not known when it was made.
 */
static HeapTuple
next_numbered_row(Inserter *inserter)
{
	TopicBlock *block = inserter->block;
	int64		segment_messages = block->pending->topic->segment_messages;
	int64		room = segment_messages - inserter->offset % segment_messages;
	HeapTuple	tuple = inserter->carried;

	if (tuple != NULL)
		tuple = heap_copytuple(tuple);
	else
		tuple = prism_pending_fetch(&inserter->cursor);
	if (tuple == NULL)
		return NULL;
	if (inserter->carried != NULL)
		heap_freetuple(inserter->carried);
	inserter->carried = NULL;

	if (prism_row_messages(tuple) > room)
	{
		PrismBatchBuilder builder;
		HeapTuple	rest;
		MemoryContext caller;

		prism_batch_init(&builder);
		tuple = prism_row_split(tuple, (int) room, &builder, &block->pending->topic->incompressible, &rest);
		caller = MemoryContextSwitchTo(inserter->block_cxt);
		inserter->carried = heap_copytuple(rest);
		MemoryContextSwitchTo(caller);
	}
	prism_row_number(tuple, inserter->offset, block->in_flight->end - inserter->offset - 1);
	inserter->offset += prism_row_messages(tuple);
	return tuple;
}

/* Fill slots until the chunk is full, the segment ends or there are no more. Returns how many. */
static int
fill_chunk(Inserter *inserter)
{
	TopicBlock *block = inserter->block;
	int64		segment_messages = block->pending->topic->segment_messages;
	Size		bytes = 0;
	int			count = 0;

	while (count < CHUNK_ROWS_MAX && bytes < CHUNK_BYTES_MAX)
	{
		MemoryContext caller = MemoryContextSwitchTo(inserter->chunk_cxt);
		HeapTuple	tuple = next_numbered_row(inserter);

		MemoryContextSwitchTo(caller);
		if (tuple == NULL)
			break;
		bytes += tuple->t_len;
		/* the slot owns it now, else heap_multi_insert would copy it */
		ExecStoreHeapTuple(tuple, chunk_slot(inserter, count), true);
		count++;
		if (inserter->offset % segment_messages == 0)
			break;
	}
	block->bytes += bytes;
	return count;
}

static void
insert_single(TopicBlock *block, CommandId cid)
{
	PrismPendingCursor cursor;
	HeapTuple	tuple;
	int			number = segment_of(block, block->in_flight->first, block->in_flight->end);
	Datum		key = Int64GetDatum(block->in_flight->first);

	prism_pending_begin(&cursor, block->pending, PRISM_PENDING_READ_COMMIT);
	tuple = prism_pending_fetch(&cursor);
	prism_row_number(tuple, block->in_flight->first, block->pending->live - 1);
	heap_insert(block->segments[number], tuple, cid, 0, NULL);
	prism_segment_index_insert(block->indexes[number], tuple, &tuple->t_self, &key);
	block->bytes = tuple->t_len;
}

static void
insert_many(TopicBlock *block, CommandId cid)
{
	Inserter	inserter = {.block = block,.cid = cid,.offset = block->in_flight->first,.block_cxt = CurrentMemoryContext};
	int64		first = inserter.offset;
	int			count;

	inserter.chunk_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism chunk", ALLOCSET_DEFAULT_SIZES);
	inserter.slots = palloc(CHUNK_ROWS_MAX * sizeof(TupleTableSlot *));
	prism_pending_begin(&inserter.cursor, block->pending, PRISM_PENDING_READ_COMMIT);
	while ((count = fill_chunk(&inserter)) > 0)
	{
		MemoryContext caller;

		CHECK_FOR_INTERRUPTS();
		if (inserter.bulk == NULL && block->pending->live >= BULK_ROWS_MIN)
			inserter.bulk = GetBulkInsertState();
		caller = MemoryContextSwitchTo(inserter.chunk_cxt);
		insert_chunk(&inserter, count, first);
		first = inserter.offset;
		MemoryContextSwitchTo(caller);
		MemoryContextReset(inserter.chunk_cxt);
	}
	if (inserter.offset != block->in_flight->end)
		elog(ERROR, "topic %d: %lld messages were announced, %lld inserted", block->pending->topic_id,
			 (long long) block->pending->live, (long long) (inserter.offset - block->in_flight->first));
	if (inserter.bulk != NULL)
		FreeBulkInsertState(inserter.bulk);
	for (int i = 0; i < inserter.slot_count; i++)
		ExecDropSingleTupleTableSlot(inserter.slots[i]);
	MemoryContextDelete(inserter.chunk_cxt);
}

/* One row that lies in one segment. */
static bool
is_one_row(const TopicBlock *block)
{
	int64		segment_messages = block->pending->topic->segment_messages;

	return prism_pending_rows(block->pending) == 1 &&
		block->in_flight->first / segment_messages == (block->in_flight->end - 1) / segment_messages;
}

/* The rows are marked (base/marker.h): slots that filter origins neither queue nor spill them. */
static void
insert_blocks(void)
{
	RepOriginId caller_origin;
	CommandId	cid = GetCurrentCommandId(true);

	caller_origin = prism_marker_begin();
	PG_TRY();
	{
		for (int i = 0; i < block_count; i++)
		{
			if (is_one_row(&blocks[i]))
				insert_single(&blocks[i], cid);
			else
				insert_many(&blocks[i], cid);
		}
	}
	PG_FINALLY();
	{
		prism_marker_end(caller_origin);
	}
	PG_END_TRY();
}

/* ---------- the callbacks ---------- */

static void
make_blocks(List *topics)
{
	ListCell   *cell;

	blocks = palloc0(list_length(topics) * sizeof(TopicBlock));
	foreach(cell, topics)
	{
		PrismPending *pending = lfirst(cell);

		if (pending->live == 0 || pending->drop_level > 0)
			continue;
		if (!prism_topic_is_current(pending->topic))
			pending->topic = prism_topic_lookup_id(pending->topic_id, false);
		if (pending->topic->mark_relid != pending->mark_relid)
			ereport(ERROR,
					errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("cannot commit messages published before extension \"prism\" was made anew"),
					errhint("Publish in a transaction of its own."));
		/* for this commit alone, and only up to the local disk: whether a standby is waited for stays the session's */
		if (pending->flush)
			ForceSyncCommit();
		if (pending->topic->policy.backlog_max > 0)
			prism_holders_admit(pending->topic, pending->live);
		prism_pending_seal(pending);
		blocks[block_count].pending = pending;
		blocks[block_count].counter = pending->topic->counter;
		blocks[block_count].in_flight = prism_counter_block(block_count);
		block_count++;
	}
}

static void
note_positions(void)
{
	prism_published_begin(block_count);
	for (int i = 0; i < block_count; i++)
		prism_published_add(blocks[i].pending->topic_id, blocks[i].in_flight->first, blocks[i].in_flight->end - 1,
							blocks[i].pending->topic->namespace_id > 0);
}

/*
 * Writing out of line wants a snapshot, and an assertion of newer servers
 * wants one for any table that could.  For a few small rows it costs more than
 * it is worth.
 */
static bool
wants_snapshot(void)
{
#ifdef USE_ASSERT_CHECKING
	return true;
#else
	for (int i = 0; i < block_count; i++)
	{
		if (blocks[i].pending->tuple_bytes_max > TOAST_TUPLE_THRESHOLD)
			return true;
	}
	return false;
#endif
}

/* The notifier's lock comes last of what waits: others of all databases wait for the session that has it. */
static void
prepare_and_register(void)
{
	for (;;)
	{
		prepare_blocks();
		prism_commit_lock_notify();
		prism_commit_be_quiet();
		if (register_blocks())
			break;
		prism_commit_unlock_notify();
	}
}

void
prism_log_pre_commit(bool gone)
{
	MemoryContext caller;
	bool		snapshot;

	prism_pending_sealed = true;
	if (!prism_log_has_pending())
		return;
	caller = MemoryContextSwitchTo(TopTransactionContext);
	if (!gone)
		make_blocks(prism_pending_topics());
	if (block_count > 0)
	{
		snapshot = wants_snapshot();
		if (snapshot)
			PushActiveSnapshot(GetTransactionSnapshot());
		prepare_and_register();
		insert_blocks();
		note_positions();
		for (int i = 0; i < block_count; i++)
			close_segments(&blocks[i]);
		if (snapshot)
			PopActiveSnapshot();
	}
	prism_pending_close();
	MemoryContextSwitchTo(caller);
}

/* There is nothing to write; later callbacks cannot publish either. */
void
prism_log_pre_prepare(void)
{
	prism_pending_sealed = true;
}

void
prism_log_prepared(void)
{
	prism_log_end(false);
}

/*
 * PostgreSQL sends the error that ends a transaction before it aborts it, with
 * interrupts held: a client that does not read would hold up the topics, and
 * nobody could end it.  An error that is on its way to the client leaves the
 * transaction no way but to abort, as long as its commit has not begun to be
 * written; so nothing of ours becomes visible any more.
 */
void
prism_log_give_back(void)
{
	if (IsTransactionState())
		settle_blocks(InvalidXLogRecPtr);
}

/* After the commit became visible, or the transaction is gone: only spinlocks and latches from here on. */
void
prism_log_end(bool committed)
{
	if (committed && registered > 0)
		prism_published_keep();
	settle_blocks(committed ? XactLastCommitEnd : InvalidXLogRecPtr);
	prism_commit_order_end(committed);
	blocks = NULL;
	block_count = 0;
	prism_pending_forget();
}
