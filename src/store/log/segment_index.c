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
	Relation	key_index;		/* the only one; NULL: there are others */
	IndexInfo  *info;			/* of that */

	/* to serve several */
	ResultRelInfo *indexes;
	EState	   *estate;
	TupleTableSlot *slot;
};

/* The index of the key, if it is the only one and serves; else NULL. Under the segment's lock it stays what it is. */
static Relation
open_only_index(Relation segment, int columns)
{
	List	   *indexes = RelationGetIndexList(segment);
	Relation	index;

	if (list_length(indexes) != 1)
		return NULL;
	index = prism_index_open(linitial_oid(indexes), RowExclusiveLock);
	list_free(indexes);
	if (prism_index_serves(index, columns))
		return index;
	index_close(index, NoLock);
	return NULL;
}

/* That of one segment holds for all: an index on so many columns, nothing else. */
static IndexInfo *
info_of(Relation key_index, int columns)
{
	static IndexInfo *infos[PRISM_INDEX_COLUMNS_MAX + 1] = {NULL};

	if (infos[columns] == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

		infos[columns] = BuildIndexInfo(key_index);
		MemoryContextSwitchTo(caller);
	}
	return infos[columns];
}

PrismSegmentIndex *
prism_segment_index_open(Relation segment, int columns)
{
	PrismSegmentIndex *index = palloc0(sizeof(PrismSegmentIndex));

	Assert(columns >= 1 && columns <= PRISM_INDEX_COLUMNS_MAX);
	index->segment = segment;
	index->key_index = open_only_index(segment, columns);
	if (index->key_index != NULL)
	{
		index->info = info_of(index->key_index, columns);
		return index;
	}
	/* what has no entry there is found by no reader, and may be there twice */
	(void) prism_index_choose(segment, columns);
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
prism_segment_index_insert(PrismSegmentIndex *index, HeapTuple tuple, ItemPointer tid, const Datum *keys)
{
	static bool nulls[PRISM_INDEX_COLUMNS_MAX] = {false};

	if (index->key_index == NULL)
		insert_into_all(index, tuple, tid);
	else
		index_insert(index->key_index, (Datum *) keys, nulls, tid, index->segment,
					 UNIQUE_CHECK_YES, false, index->info);
}

void
prism_segment_index_close(PrismSegmentIndex *index)
{
	if (index->key_index != NULL)
		index_close(index->key_index, NoLock);
	else
	{
		ExecCloseIndices(index->indexes);
		ExecDropSingleTupleTableSlot(index->slot);
		FreeExecutorState(index->estate);
	}
	pfree(index);
}
