/*-------------------------------------------------------------------------
 *
 * pending_read.c
 *	  Reading what the current transaction will publish: rows for its commit,
 *	  messages for prism.outbox.
 *
 * src/store/log/pending_read.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/log/pending.h"
#include "store/log/segment.h"

#include "executor/executor.h"
#include "executor/tuptable.h"
#include "utils/memutils.h"

/* ---------- rows ---------- */

void
prism_pending_begin(PrismPendingCursor *cursor, PrismPending *pending, int pointer)
{
	prism_pending_check_usable(pending);
	prism_pending_seal(pending);
	pending->joinable = false;
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

/* ---------- messages ---------- */

struct PrismPendingScan
{
	PrismPendingCursor cursor;
	MemoryContext row_cxt;		/* the current row, if it was spilled */
	PrismRow	row;
};

PrismPendingScan *
prism_pending_scan(PrismTopic *topic)
{
	ListCell   *cell;

	foreach(cell, prism_pending_topics())
	{
		PrismPending *pending = lfirst(cell);

		if (pending->topic_id == topic->topic_id)
		{
			PrismPendingScan *scan = palloc(sizeof(PrismPendingScan));

			prism_pending_begin(&scan->cursor, pending, PRISM_PENDING_READ_SCAN);
			prism_row_init(&scan->row);
			scan->row_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism pending row", ALLOCSET_DEFAULT_SIZES);
			return scan;
		}
	}
	return NULL;
}

bool
prism_pending_next(PrismPendingScan *scan, PrismMessage *message)
{
	if (scan == NULL)
		return false;
	while (!prism_row_next(&scan->row, message))
	{
		MemoryContext caller;
		HeapTuple	tuple;

		MemoryContextReset(scan->row_cxt);
		caller = MemoryContextSwitchTo(scan->row_cxt);
		tuple = prism_pending_fetch(&scan->cursor);
		MemoryContextSwitchTo(caller);
		if (tuple == NULL)
		{
			prism_row_end(&scan->row);
			MemoryContextDelete(scan->row_cxt);
			return false;
		}
		prism_row_begin_tuple(&scan->row, tuple);
	}
	return true;
}
