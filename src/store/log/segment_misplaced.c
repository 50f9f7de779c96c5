/*-------------------------------------------------------------------------
 *
 * segment_misplaced.c
 *	  Rows that lie in another segment than that of their offset.
 *
 * Version 0.2.0 wrote such rows at the ends of segments: a reader that comes to
 * the offset looks in another table.  Rows of a segment lie by offset in its
 * index, so those that do not belong there are at its two ends, and a look
 * costs two descents, however many rows there are.
 *
 * src/store/log/segment_misplaced.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/index_choice.h"
#include "base/marker.h"
#include "store/log/row.h"
#include "store/log/segment.h"
#include "store/log/segment_index.h"
#include "store/log/segment_misplaced.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* What is done with such a row. False: no more are wanted. */
typedef bool (*RowVisit) (Relation segment, HeapTuple row, void *arg);

static int
compare_misplaced(const ListCell *a, const ListCell *b)
{
	const PrismMisplaced *left = lfirst(a);
	const PrismMisplaced *right = lfirst(b);

	return left->first < right->first ? -1 : left->first > right->first;
}

/* ---------- finding ---------- */

/* Rows at one end of the index, beyond the segment's limit there. False: the function wants no more. */
static bool
walk_end(Relation segment, IndexScanDesc scan, TupleTableSlot *slot, StrategyNumber strategy,
		 int64 limit, RowVisit function, void *arg)
{
	bool		more = true;
	ScanKeyData key;

	ScanKeyInit(&key, PRISM_COLUMN_OFFSET, strategy,
				strategy == BTLessStrategyNumber ? F_INT8LT : F_INT8GE, Int64GetDatum(limit));
	index_rescan(scan, &key, 1, NULL, 0);
	while (more && index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		more = function(segment, ExecFetchSlotHeapTuple(slot, false, NULL), arg);
	}
	return more;
}

static bool
walk_segment(PrismTopic *topic, int64 number, Relation segment, RowVisit function, void *arg)
{
	Relation	index = index_open(prism_index_choose(segment, 1), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(segment, NULL);
	IndexScanDesc scan = prism_index_beginscan(segment, index, SnapshotSelf, 1);
	bool		more;

	more = walk_end(segment, scan, slot, BTLessStrategyNumber, number * topic->segment_messages, function, arg) &&
		walk_end(segment, scan, slot, BTGreaterEqualStrategyNumber, (number + 1) * topic->segment_messages, function, arg);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	return more;
}

/* The segment's table, locked; NULL: it is not there, or would have to be waited for. */
static Relation
open_if_free(PrismTopic *topic, int64 number)
{
	Oid			relid = prism_segment_relid(topic, number, NULL);
	Relation	segment;

	if (!OidIsValid(relid) || !ConditionalLockRelationOid(relid, AccessShareLock))
		return NULL;
	segment = try_relation_open(relid, NoLock);
	if (segment != NULL && prism_is_segment(segment))
		return segment;
	if (segment != NULL)
		relation_close(segment, NoLock);
	UnlockRelationOid(relid, AccessShareLock);
	return NULL;
}

static bool
note_one(Relation segment, HeapTuple row, void *arg)
{
	*(bool *) arg = true;
	return false;
}

bool
prism_segments_misplaced(PrismTopic *topic, bool *complete)
{
	bool		found = false;
	int64		number = -1;

	*complete = true;
	while (!found && (number = prism_segment_next(topic->topic_id, number + 1)) >= 0)
	{
		Relation	segment = open_if_free(topic, number);

		CHECK_FOR_INTERRUPTS();
		if (segment == NULL)
		{
			*complete = false;
			continue;
		}
		(void) walk_segment(topic, number, segment, note_one, &found);
		relation_close(segment, AccessShareLock);
	}
	return found;
}

/* ---------- putting right ---------- */

typedef struct Mover
{
	PrismTopic *topic;
	CommandId	cid;
	List	   *moved;
	MemoryContext moved_cxt;

	/* where the last row went; the rows of a segment that do not belong there are usually of one other */
	int64		number;
	Relation	target;			/* NULL: none yet */
	PrismSegmentIndex *index;
} Mover;

static void
close_target(Mover *mover)
{
	if (mover->target == NULL)
		return;
	prism_segment_index_close(mover->index);
	relation_close(mover->target, NoLock);
	mover->target = NULL;
}

static void
open_target(Mover *mover, int64 offset)
{
	PrismTopic *topic = mover->topic;
	int64		number = offset / topic->segment_messages;
	Oid			relid;

	if (mover->target != NULL && mover->number == number)
		return;
	close_target(mover);
	relid = prism_segment_relid(topic, number, NULL);
	mover->target = OidIsValid(relid) ? try_relation_open(relid, RowExclusiveLock) : NULL;
	if (mover->target == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("topic \"%s\" has no segment " INT64_FORMAT, topic->name, number),
				errdetail("The message at position " INT64_FORMAT " belongs there.", offset),
				errhint("Apply the topic's namespace anew with prism.apply(): it makes segments that are missing."));
	if (!prism_is_segment(mover->target))
		prism_segment_refuse(mover->target);
	mover->number = number;
	mover->index = prism_segment_index_open(mover->target, PRISM_COLUMN_OFFSET);
}

/* What lies out of line is copied to the target's own table by heap_insert, and goes from the other with the row. */
static bool
move_row(Relation segment, HeapTuple row, void *arg)
{
	Mover	   *mover = arg;
	ItemPointerData tid = row->t_self;
	HeapTuple	copy = heap_copytuple(row);
	int64		offset = prism_row_offset(copy);
	Datum		key = Int64GetDatum(offset);
	MemoryContext caller;
	PrismMisplaced *moved;

	open_target(mover, offset);
	heap_insert(mover->target, copy, mover->cid, 0, NULL);
	prism_segment_index_insert(mover->index, copy, &copy->t_self, &key);
	simple_heap_delete(segment, &tid);

	caller = MemoryContextSwitchTo(mover->moved_cxt);
	moved = palloc(sizeof(PrismMisplaced));
	*moved = (PrismMisplaced) {offset, prism_row_messages(copy)};
	mover->moved = lappend(mover->moved, moved);
	MemoryContextSwitchTo(caller);
	heap_freetuple(copy);
	return true;
}

static void
put_segments_right(Mover *mover)
{
	PrismTopic *topic = mover->topic;
	int64		number = -1;
	int			moved_before;

	while ((number = prism_segment_next(topic->topic_id, number + 1)) >= 0)
	{
		Oid			relid = prism_segment_relid(topic, number, NULL);
		Relation	segment = OidIsValid(relid) ? try_relation_open(relid, RowExclusiveLock) : NULL;

		CHECK_FOR_INTERRUPTS();
		if (segment == NULL)
			continue;
		if (!prism_is_segment(segment))
			prism_segment_refuse(segment);
		moved_before = list_length(mover->moved);
		(void) walk_segment(topic, number, segment, move_row, mover);
		relation_close(segment, list_length(mover->moved) > moved_before ? NoLock : RowExclusiveLock);
	}
	close_target(mover);
}

/* A reader that is under way would find a row twice or not at all.  The name is looked up again under the lock. */
static PrismTopic *
lock_topic_alone(const char *name)
{
	PrismTopic *topic = prism_topic_lookup(name, false);
	Oid			mark_relid = topic->mark_relid;

	prism_topic_release(topic);
	LockRelationOid(mark_relid, AccessExclusiveLock);
	topic = prism_topic_lookup(name, false);
	if (topic->mark_relid != mark_relid)
		ereport(ERROR,
				errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				errmsg("topic \"%s\" was made anew meanwhile", name),
				errhint("Try again."));
	return topic;
}

/* Rows carry the marker origin that insert_blocks() gives them. */
List *
prism_segments_put_right(const char *topic_name)
{
	RepOriginId caller_origin;
	Mover		mover = {.moved_cxt = CurrentMemoryContext};

	mover.topic = lock_topic_alone(topic_name);
	mover.cid = GetCurrentCommandId(true);
	caller_origin = prism_marker_begin();
	/* what lies out of line is read by one */
	PushActiveSnapshot(GetTransactionSnapshot());
	PG_TRY();
	{
		put_segments_right(&mover);
	}
	PG_FINALLY();
	{
		prism_marker_end(caller_origin);
	}
	PG_END_TRY();
	PopActiveSnapshot();
	CommandCounterIncrement();
	list_sort(mover.moved, compare_misplaced);
	return mover.moved;
}
