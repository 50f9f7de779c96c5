/*-------------------------------------------------------------------------
 *
 * segment_index.c
 *	  Index entries of a segment's new rows.
 *
 * src/store/log/segment_index.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/index_choice.h"
#include "base/patience.h"
#include "store/log/segment.h"
#include "store/log/segment_index.h"

#include "access/genam.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

struct PrismSegmentIndex
{
	Relation	segment;
	Relation	offset_index;	/* the only one; NULL: there are others */

	/* to serve several */
	ResultRelInfo *indexes;
	EState	   *estate;
	TupleTableSlot *slot;
};

/* The index on offset, if it is the only one and serves; else NULL. Under the segment's lock it stays what it is. */
static Relation
open_only_index(Relation segment)
{
	List	   *indexes = RelationGetIndexList(segment);
	Relation	index;

	if (list_length(indexes) != 1)
		return NULL;
	index = prism_index_open(linitial_oid(indexes), RowExclusiveLock);
	list_free(indexes);
	if (prism_index_serves(index, 1))
		return index;
	index_close(index, NoLock);
	return NULL;
}

PrismSegmentIndex *
prism_segment_index_open(Relation segment)
{
	PrismSegmentIndex *index = palloc0(sizeof(PrismSegmentIndex));

	index->segment = segment;
	index->offset_index = open_only_index(segment);
	if (index->offset_index != NULL)
		return index;
	/* what has no entry there is found by no reader, and may be there twice */
	(void) prism_index_choose(segment, 1);
	if (prism_never_waits)
		list_free(prism_lock_indexes(segment, RowExclusiveLock));
	index->estate = CreateExecutorState();
	index->slot = MakeSingleTupleTableSlot(RelationGetDescr(segment), &TTSOpsHeapTuple);
	index->indexes = makeNode(ResultRelInfo);
	InitResultRelInfo(index->indexes, segment, 0, NULL, 0);
	ExecOpenIndices(index->indexes, false);
	return index;
}

static void
insert_into_all(PrismSegmentIndex *index, HeapTuple tuple, ItemPointer tid)
{
	/* an index's expression may want one */
	bool		snapshot = !ActiveSnapshotSet();

	if (snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	ExecStoreHeapTuple(tuple, index->slot, false);
	index->slot->tts_tid = *tid;
	index->slot->tts_tableOid = RelationGetRelid(index->segment);
	list_free(prism_insert_index_tuples(index->indexes, index->slot, index->estate));
	ExecClearTuple(index->slot);
	ResetPerTupleExprContext(index->estate);
	if (snapshot)
		PopActiveSnapshot();
}

void
prism_segment_index_insert(PrismSegmentIndex *index, HeapTuple tuple, ItemPointer tid, int64 offset)
{
	static IndexInfo *info = NULL;
	Datum		value = Int64GetDatum(offset);
	bool		isnull = false;

	if (index->offset_index == NULL)
	{
		insert_into_all(index, tuple, tid);
		return;
	}
	/* that of one segment holds for all: an index on offset, nothing else */
	if (info == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

		info = BuildIndexInfo(index->offset_index);
		MemoryContextSwitchTo(caller);
	}
	index_insert(index->offset_index, &value, &isnull, tid, index->segment, UNIQUE_CHECK_YES, false, info);
}

void
prism_segment_index_close(PrismSegmentIndex *index)
{
	if (index->offset_index != NULL)
		index_close(index->offset_index, NoLock);
	else
	{
		ExecCloseIndices(index->indexes);
		ExecDropSingleTupleTableSlot(index->slot);
		FreeExecutorState(index->estate);
	}
	pfree(index);
}
