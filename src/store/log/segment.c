/*-------------------------------------------------------------------------
 *
 * segment.c
 *	  Segments of a topic's log.
 *
 * src/store/log/segment.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/index_choice.h"
#include "base/ownership.h"
#include "base/patience.h"
#include "base/query.h"
#include "store/log/record_batch.h"
#include "store/log/segment.h"

#include "access/genam.h"
#include "access/heaptoast.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* Columns of prism.segment. */
enum
{
	SEGMENT_TOPIC_ID = 1,
	SEGMENT_NUMBER,
	SEGMENT_CREATED_AT,
	SEGMENT_SETTLED_AT
};

/* A row of prism.segment. */
typedef struct SegmentRow
{
	int64		number;			/* -1: there is none */
	TimestampTz created_at;
	TimestampTz settled_at;		/* 0: not yet */
} SegmentRow;

TupleDesc
prism_segment_descriptor(void)
{
	static TupleDesc descriptor = NULL;

	if (descriptor == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
		TupleDesc	made = CreateTemplateTupleDesc(PRISM_SEGMENT_COLUMNS);

		TupleDescInitEntry(made, PRISM_COLUMN_OFFSET, "offset", INT8OID, -1, 0);
		TupleDescInitEntry(made, PRISM_COLUMN_CREATED_AT, "created_at", TIMESTAMPTZOID, -1, 0);
		TupleDescInitEntry(made, PRISM_COLUMN_REMAINING, "remaining", INT4OID, -1, 0);
		TupleDescInitEntry(made, PRISM_COLUMN_MESSAGES, "messages", INT4OID, -1, 0);
		TupleDescInitEntry(made, PRISM_COLUMN_ID, "id", UUIDOID, -1, 0);
		TupleDescInitEntry(made, PRISM_COLUMN_KEY, "key", TEXTOID, -1, 0);
		TupleDescInitEntry(made, PRISM_COLUMN_HEADERS, "headers", JSONBOID, -1, 0);
		TupleDescInitEntry(made, PRISM_COLUMN_PAYLOAD, "payload", BYTEAOID, -1, 0);
		descriptor = made;
		MemoryContextSwitchTo(caller);
	}
	return descriptor;
}

bool
prism_has_columns(Relation heap, TupleDesc wanted)
{
	TupleDesc	found = RelationGetDescr(heap);

	if (found->natts < wanted->natts)
		return false;
	for (int i = 0; i < wanted->natts; i++)
	{
		if (TupleDescAttr(found, i)->atttypid != TupleDescAttr(wanted, i)->atttypid)
			return false;
	}
	return true;
}

bool
prism_is_segment(Relation heap)
{
	return prism_has_columns(heap, prism_segment_descriptor());
}

void
prism_segment_refuse(Relation heap)
{
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("table \"prism_log.%s\" has not the columns of a segment", RelationGetRelationName(heap)),
			errhint("Somebody has altered it: give its columns the types that those of other segments have."));
}

/* Its table, to be read; NULL: it is not there, or not a segment any more. */
static Relation
open_heap(PrismTopic *topic, int64 segment_number)
{
	Oid			relid = prism_segment_table(topic, segment_number);
	Relation	heap = OidIsValid(relid) ? prism_try_relation_open(relid, AccessShareLock) : NULL;

	if (heap == NULL || prism_is_segment(heap))
		return heap;
	relation_close(heap, AccessShareLock);
	return NULL;
}

char *
prism_segment_name(char *name, int32 topic_id, int64 segment_number)
{
	snprintf(name, NAMEDATALEN, "topic_%d_" INT64_FORMAT, topic_id, segment_number);
	return name;
}

Oid
prism_segment_relid(PrismTopic *topic, int64 segment_number, Oid *index_relid)
{
	char		name[NAMEDATALEN];

	/* that it was not there, or without its index as in a restore, is not remembered */
	if (topic->segment_number != segment_number || !OidIsValid(topic->segment_relid) ||
		!OidIsValid(topic->segment_index_relid) ||
		!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(topic->segment_relid)))
	{
		Oid			schema = get_namespace_oid("prism_log", false);

		topic->segment_relid = get_relname_relid(prism_segment_name(name, topic->topic_id, segment_number), schema);
		topic->segment_number = segment_number;
		strlcat(name, "_offset", sizeof(name));
		topic->segment_index_relid = get_relname_relid(name, schema);
	}
	if (index_relid != NULL)
		*index_relid = topic->segment_index_relid;
	if (OidIsValid(topic->segment_index_relid))
		return topic->segment_relid;
	topic->segment_number = -1;
	return InvalidOid;
}

Oid
prism_segment_table(PrismTopic *topic, int64 segment_number)
{
	(void) prism_segment_relid(topic, segment_number, NULL);
	return topic->segment_relid;
}

/* The first segment in the given direction from 'from' on, among those committed or our own. */
static SegmentRow
scan_segments(int32 topic_id, int64 from, ScanDirection direction)
{
	bool		forward = ScanDirectionIsForward(direction);
	Relation	catalog = table_open(get_relname_relid("segment", get_namespace_oid("prism", false)),
									 AccessShareLock);
	Relation	index = index_open(prism_index_choose(catalog, 2), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	SegmentRow	row = {.number = -1};

	ScanKeyInit(&keys[0], SEGMENT_TOPIC_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(topic_id));
	ScanKeyInit(&keys[1], SEGMENT_NUMBER,
				forward ? BTGreaterEqualStrategyNumber : BTLessEqualStrategyNumber,
				forward ? F_INT8GE : F_INT8LE, Int64GetDatum(from));
	scan = systable_beginscan_ordered(catalog, index, snapshot, 2, keys);
	tuple = systable_getnext_ordered(scan, direction);
	if (HeapTupleIsValid(tuple))
	{
		TupleDesc	columns = RelationGetDescr(catalog);
		Datum		settled_at;
		bool		isnull;

		row.number = DatumGetInt64(heap_getattr(tuple, SEGMENT_NUMBER, columns, &isnull));
		row.created_at = DatumGetTimestampTz(heap_getattr(tuple, SEGMENT_CREATED_AT, columns, &isnull));
		settled_at = heap_getattr(tuple, SEGMENT_SETTLED_AT, columns, &isnull);
		row.settled_at = isnull ? 0 : DatumGetTimestampTz(settled_at);
	}
	systable_endscan_ordered(scan);
	UnregisterSnapshot(snapshot);
	index_close(index, AccessShareLock);
	table_close(catalog, AccessShareLock);
	return row;
}

int64
prism_segment_next(int32 topic_id, int64 from)
{
	/* behind the greatest number there is none, also when somebody has written that one into a row */
	return from < 0 ? -1 : scan_segments(topic_id, from, ForwardScanDirection).number;
}

int64
prism_segment_last(int32 topic_id)
{
	return prism_segment_before(topic_id, PG_INT64_MAX);
}

int64
prism_segment_before(int32 topic_id, int64 to)
{
	return scan_segments(topic_id, to, BackwardScanDirection).number;
}

int64
prism_segment_kept_from(const PrismTopic *topic)
{
	int64		number = prism_segment_next(topic->topic_id, 0);

	return Max(number, 0) * topic->segment_messages;
}

/*
 * One end of a segment's index below an offset, by SnapshotAny with rows of
 * aborted transactions: the first offset after the row's messages, and its
 * time.  False: it has none, or is not there.
 */
static bool
read_end(PrismTopic *topic, int64 segment_number, Snapshot snapshot, ScanDirection direction, int64 below,
		 int64 *end, TimestampTz *at)
{
	Relation	heap = open_heap(topic, segment_number);
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	ScanKeyData key;
	bool		found;

	if (heap == NULL)
		return false;
	index = prism_index_open(prism_index_choose(heap, 1), AccessShareLock);
	slot = table_slot_create(heap, NULL);
	scan = prism_index_beginscan(heap, index, snapshot, 1);
	ScanKeyInit(&key, PRISM_COLUMN_OFFSET, BTLessStrategyNumber, F_INT8LT, Int64GetDatum(below));
	index_rescan(scan, &key, 1, NULL, 0);
	found = index_getnext_slot(scan, direction, slot);
	if (found)
	{
		bool		isnull;

		/* what the row says may be wrong: not its offset, by which it was found */
		*end = DatumGetInt64(slot_getattr(slot, PRISM_COLUMN_OFFSET, &isnull)) +
			Max(DatumGetInt32(slot_getattr(slot, PRISM_COLUMN_MESSAGES, &isnull)), 1);
		*at = DatumGetTimestampTz(slot_getattr(slot, PRISM_COLUMN_CREATED_AT, &isnull));
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	relation_close(heap, AccessShareLock);
	return found;
}

static int64
last_end(PrismTopic *topic, int64 segment_number, Snapshot snapshot, int64 below)
{
	int64		end;
	TimestampTz at;

	if (!read_end(topic, segment_number, snapshot, BackwardScanDirection, below, &end, &at))
		return -1;
	/* what is beyond belongs to another segment (segment_misplaced.h) */
	return Min(end, (segment_number + 1) * topic->segment_messages);
}

int64
prism_segment_end_below(PrismTopic *topic, int64 segment_number, int64 below)
{
	return last_end(topic, segment_number, SnapshotSelf, below);
}

int64
prism_segment_end(PrismTopic *topic, int64 segment_number)
{
	return last_end(topic, segment_number, SnapshotAny, PG_INT64_MAX);
}

int64
prism_segment_count(PrismTopic *topic, int64 from, int64 to)
{
	Relation	heap = open_heap(topic, from / topic->segment_messages);
	int64		count = 0;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	ScanKeyData keys[2];

	if (heap == NULL)
		return 0;
	index = prism_index_open(prism_index_choose(heap, 1), AccessShareLock);
	slot = table_slot_create(heap, NULL);
	scan = prism_index_beginscan(heap, index, SnapshotSelf, lengthof(keys));
	/* a batch may reach into it */
	ScanKeyInit(&keys[0], PRISM_COLUMN_OFFSET, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(from - PRISM_BATCH_MESSAGES_MAX));
	ScanKeyInit(&keys[1], PRISM_COLUMN_OFFSET, BTLessStrategyNumber, F_INT8LT, Int64GetDatum(to));
	index_rescan(scan, keys, lengthof(keys), NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		int64		first = DatumGetInt64(slot_getattr(slot, PRISM_COLUMN_OFFSET, &isnull));
		int64		end = first + Max(DatumGetInt32(slot_getattr(slot, PRISM_COLUMN_MESSAGES, &isnull)), 1);

		CHECK_FOR_INTERRUPTS();
		count += Max(Min(end, to) - Max(first, from), 0);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	relation_close(heap, AccessShareLock);
	return count;
}

TimestampTz
prism_segment_settled_at(int32 topic_id, int64 segment_number)
{
	SegmentRow	row = scan_segments(topic_id, segment_number, ForwardScanDirection);

	return row.number == segment_number ? row.settled_at : 0;
}

/*
 * A row's time is that of its publish(), which may have been long before its
 * commit; of the time of the first commit only bounds are known.
 */
void
prism_segment_age(PrismTopic *topic, int64 segment_number, PrismSegmentAge *age)
{
	SegmentRow	row = scan_segments(topic->topic_id, segment_number, ForwardScanDirection);
	SegmentRow	before = scan_segments(topic->topic_id, segment_number - 1, BackwardScanDirection);
	TimestampTz published_at;
	int64		end;

	age->used = read_end(topic, segment_number, SnapshotAny, ForwardScanDirection, PG_INT64_MAX, &end, &published_at);
	age->begun_at = Max(row.created_at, before.settled_at);
	if (age->used)
		age->begun_at = Max(age->begun_at, published_at);
}

void
prism_segment_note_settled(int32 topic_id, int64 below)
{
	SegmentRow	last = scan_segments(topic_id, below - 1, BackwardScanDirection);
	Oid			types[] = {INT4OID, INT8OID};
	Datum		values[] = {Int32GetDatum(topic_id), Int64GetDatum(below)};

	/* they settle one after the other */
	if (last.number < 0 || last.settled_at != 0)
		return;
	prism_query("UPDATE prism.segment SET settled_at = pg_catalog.clock_timestamp()"
				" WHERE topic_id OPERATOR(pg_catalog.=) $1 AND segment_number OPERATOR(pg_catalog.<) $2 AND settled_at IS NULL",
				lengthof(types), types, values, NULL);
}

/* ---------- making and dropping ---------- */

/* False: it is registered already; whoever is about to register it, or to give it up, was waited for. */
static bool
register_segment(int32 topic_id, int64 segment_number)
{
	Oid			types[] = {INT4OID, INT8OID};
	Datum		values[] = {Int32GetDatum(topic_id), Int64GetDatum(segment_number)};

	return prism_query("INSERT INTO prism.segment (topic_id, segment_number, created_at)"
					   " VALUES ($1, $2, pg_catalog.clock_timestamp()) ON CONFLICT DO NOTHING",
					   lengthof(types), types, values, NULL).count > 0;
}

bool
prism_segment_create(PrismTopic *topic, int64 segment_number)
{
	char		name[NAMEDATALEN];

	/*
	 * The table alone: a restore is about to make its index.  One that is no
	 * segment has its name all the same, which making it will say.
	 */
	if (OidIsValid(prism_segment_table(topic, segment_number)) &&
		prism_segment_next(topic->topic_id, segment_number) == segment_number)
		return false;
	prism_segment_name(name, topic->topic_id, segment_number);

	/* the row first: two that make the same segment, one of them in a repair, meet here and not in a deadlock */
	if (!register_segment(topic->topic_id, segment_number))
	{
		AcceptInvalidationMessages();
		topic->segment_number = -1;
		if (OidIsValid(prism_segment_table(topic, segment_number)))
			return false;
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("segment " INT64_FORMAT " of topic %d has lost its table", segment_number, topic->topic_id),
				errhint("Apply its namespace again."));
	}

	/*
	 * Rows are only ever inserted and go with the table: no vacuum after
	 * inserts, no truncation (it would lock readers out).  Payloads come
	 * compressed by publish(), outside of the commit; they stay in the row as
	 * long as it fits a page, as a log is read in order.
	 */
	prism_query(psprintf("CREATE TABLE prism_log.%s ("
						 "\"offset\" bigint NOT NULL, created_at pg_catalog.timestamptz NOT NULL, remaining integer NOT NULL,"
						 " messages integer NOT NULL, id pg_catalog.uuid NOT NULL,"
						 " key pg_catalog.text, headers pg_catalog.jsonb, payload pg_catalog.bytea)"
						 " USING heap WITH (toast_tuple_target = %d,"
						 " autovacuum_vacuum_insert_threshold = -1, vacuum_truncate = off,"
						 " toast.autovacuum_vacuum_insert_threshold = -1, toast.vacuum_truncate = off)",
						 name, (int) TOAST_TUPLE_TARGET_MAIN),
				0, NULL, NULL, NULL);
	prism_query(psprintf("CREATE UNIQUE INDEX %s_offset ON prism_log.%s (\"offset\") WITH (deduplicate_items = off)",
						 name, name),
				0, NULL, NULL, NULL);
	CommandCounterIncrement();

	prism_own_relation(get_relname_relid(name, get_namespace_oid("prism_log", false)));
	topic->segment_number = -1;
	return true;
}
