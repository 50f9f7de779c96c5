/*-------------------------------------------------------------------------
 *
 * payload_read.c
 *	  Reading a payload back from the rows of its topic's payload segments.
 *
 * src/store/payload/payload_read.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/index_choice.h"
#include "base/patience.h"
#include "store/log/log.h"
#include "store/payload/payload_ahead.h"
#include "store/payload/payload_read.h"
#include "store/payload/payload_segment.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* A walk through the rows of one payload in one segment. */
typedef struct PieceScan
{
	Relation	heap;			/* NULL: none is open */
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
} PieceScan;

struct PrismPayloadReader
{
	int32		topic_id;
	pg_uuid_t	id;
	int64		next_segment;	/* to open when the open one is at its end */
	int64		end_segment;	/* behind the last one */
	int64		next_at;		/* where the bytes to come begin */
	bool		begun;			/* a row was read */
	PieceScan	rows;
	struct varlena *value;		/* of the last row, if it is not in the page; else NULL */
	const char *damage;			/* NULL: none */
};

/* False: its table is gone. */
static bool
begin_scan(PieceScan *rows, int32 topic_id, int64 number)
{
	Oid			relid = prism_payload_segment_relid(topic_id, number);

	rows->heap = OidIsValid(relid) ? prism_try_relation_open(relid, AccessShareLock) : NULL;
	if (rows->heap == NULL)
		return false;
	if (!prism_is_payload_segment(rows->heap))
		prism_payload_segment_refuse(rows->heap);
	rows->index = prism_index_open(prism_index_choose(rows->heap, PRISM_PIECE_AT), AccessShareLock);
	rows->slot = table_slot_create(rows->heap, NULL);
	rows->scan = prism_index_beginscan(rows->heap, rows->index, SnapshotSelf, PRISM_PIECE_AT);
	return true;
}

static void
seek_piece(PieceScan *rows, const pg_uuid_t *id, StrategyNumber strategy, RegProcedure comparison, int64 at)
{
	ScanKeyData keys[PRISM_PIECE_AT];

	ScanKeyInit(&keys[0], PRISM_PIECE_PAYLOAD_ID, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(id));
	ScanKeyInit(&keys[1], PRISM_PIECE_AT, strategy, comparison, Int64GetDatum(at));
	index_rescan(rows->scan, keys, lengthof(keys), NULL, 0);
}

static void
end_scan(PieceScan *rows)
{
	if (rows->heap == NULL)
		return;
	index_endscan(rows->scan);
	ExecDropSingleTupleTableSlot(rows->slot);
	index_close(rows->index, AccessShareLock);
	relation_close(rows->heap, AccessShareLock);
	rows->heap = NULL;
}

static int64
piece_at(const PieceScan *rows)
{
	bool		isnull;
	Datum		at = slot_getattr(rows->slot, PRISM_PIECE_AT, &isnull);

	return isnull ? -1 : DatumGetInt64(at);
}

/* The last row that begins at a byte or before it, by its place and its length; false: there is none. */
static bool
last_piece(PieceScan *rows, const pg_uuid_t *id, int64 up_to, int64 *at, int64 *length)
{
	bool		isnull;
	Datum		bytes;

	seek_piece(rows, id, BTLessEqualStrategyNumber, F_INT8LE, up_to);
	if (!index_getnext_slot(rows->scan, BackwardScanDirection, rows->slot))
		return false;
	*at = piece_at(rows);
	bytes = slot_getattr(rows->slot, PRISM_PIECE_BYTES, &isnull);
	*length = isnull ? 0 : (int64) (toast_raw_datum_size(bytes) - VARHDRSZ);
	return true;
}

/* ---------- opening ---------- */

/* The segment in which the byte lies, and where its row begins.  False: one of them has gone meanwhile. */
static bool
find_piece(PrismPayloadReader *reader, int64 first_segment, int64 from, int64 *at)
{
	int64		length;

	*at = 0;
	for (int64 number = reader->end_segment - 1; number >= first_segment; number--)
	{
		PieceScan	rows = {0};
		bool		found;

		CHECK_FOR_INTERRUPTS();
		if (!begin_scan(&rows, reader->topic_id, number))
			return false;
		found = last_piece(&rows, &reader->id, from, at, &length);
		end_scan(&rows);
		reader->next_segment = number;
		if (found)
			break;
	}
	return true;
}

/* So a claim that is damaged, and names more of them than there can be, ends at the first. */
static bool
all_are_there(int32 topic_id, int64 first, int64 end)
{
	for (int64 number = first; number < end; number++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!OidIsValid(prism_payload_segment_relid(topic_id, number)))
			return false;
	}
	return true;
}

static bool
open_next(PrismPayloadReader *reader, int64 at)
{
	if (!begin_scan(&reader->rows, reader->topic_id, reader->next_segment))
		return false;
	seek_piece(&reader->rows, &reader->id, BTGreaterEqualStrategyNumber, F_INT8GE, at);
	reader->next_segment++;
	return true;
}

PrismPayloadReader *
prism_payload_open_rows(PrismTopic *topic, const pg_uuid_t *id, int64 first_segment, int32 segments, int64 from)
{
	PrismPayloadReader *reader;
	int64		at = 0;

	if (segments < 1 || first_segment < 1 || first_segment > PG_INT64_MAX - segments ||
		!all_are_there(topic->topic_id, first_segment, first_segment + segments))
		return NULL;
	reader = palloc0(sizeof(PrismPayloadReader));
	reader->topic_id = topic->topic_id;
	reader->id = *id;
	reader->next_segment = first_segment;
	reader->end_segment = first_segment + segments;
	reader->next_at = Max(from, 0);
	if ((from > 0 && !find_piece(reader, first_segment, from, &at)) || !open_next(reader, at))
	{
		pfree(reader);
		return NULL;
	}
	return reader;
}

/* ---------- reading ---------- */

static bool
set_damage(PrismPayloadReader *reader, const char *damage)
{
	reader->damage = damage;
	return false;
}

/* Step to the next row, in this segment or one of those behind it. */
static bool
next_piece(PrismPayloadReader *reader)
{
	while (!index_getnext_slot(reader->rows.scan, ForwardScanDirection, reader->rows.slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (reader->next_segment >= reader->end_segment)
			return false;
		end_scan(&reader->rows);
		if (!open_next(reader, 0))
			return set_damage(reader, "a table with a part of it is not there any more");
	}
	return true;
}

/* The bytes of the row, as they lie in its page if they do. */
static struct varlena *
piece_value(PrismPayloadReader *reader)
{
	bool		isnull;
	Datum		stored = slot_getattr(reader->rows.slot, PRISM_PIECE_BYTES, &isnull);
	struct varlena *value = isnull ? NULL : prism_log_value(stored);

	if (value != NULL && value != (struct varlena *) DatumGetPointer(stored))
		reader->value = value;
	return value;
}

/* A row is where the bytes before it end, but the first one: it may begin before the byte that was asked for, or be at its end there. */
static bool
is_in_order(PrismPayloadReader *reader, int64 at)
{
	if (at == reader->next_at || (!reader->begun && at >= 0 && at < reader->next_at))
		return true;
	return set_damage(reader, at > reader->next_at ? "bytes of it are missing" : "bytes of it are there twice");
}

bool
prism_payload_next(PrismPayloadReader *reader, const char **bytes, Size *length)
{
	int64		skip;

	do
	{
		struct varlena *value;
		int64		at;

		if (reader->value != NULL)
			pfree(reader->value);
		reader->value = NULL;
		if (reader->damage != NULL || reader->rows.heap == NULL || !next_piece(reader))
			return false;
		at = piece_at(&reader->rows);
		value = piece_value(reader);
		if (value == NULL || VARSIZE_ANY_EXHDR(value) == 0)
			return set_damage(reader, "a row of it cannot be read");
		*bytes = VARDATA_ANY(value);
		*length = VARSIZE_ANY_EXHDR(value);
		if (!is_in_order(reader, at))
			return false;
		reader->begun = true;
		skip = reader->next_at - at;
	} while (skip >= (int64) *length);
	*bytes += skip;
	*length -= skip;
	reader->next_at += *length;
	return true;
}

const char *
prism_payload_damage(const PrismPayloadReader *reader)
{
	return reader->damage;
}

void
prism_payload_close(PrismPayloadReader *reader)
{
	end_scan(&reader->rows);
	if (reader->value != NULL)
		pfree(reader->value);
	pfree(reader);
}

void
prism_payload_hold_rows(PrismTopic *topic, int64 first_segment, int32 segments)
{
	for (int32 i = 0; i < segments; i++)
	{
		Oid			relid = prism_payload_segment_relid(topic->topic_id, first_segment + i);
		Relation	heap;

		CHECK_FOR_INTERRUPTS();
		if (!OidIsValid(relid) || (heap = prism_try_relation_open(relid, AccessShareLock)) == NULL)
			return;				/* who reads it is told */
		relation_close(heap, NoLock);
	}
}

/* ---------- how far it is written ---------- */

void
prism_payload_extent(PrismTopic *topic, const pg_uuid_t *id, int64 from_segment, PrismPayloadExtent *extent)
{
	PrismPayloadSegment segment = {.number = from_segment - 1};

	*extent = (PrismPayloadExtent) {0};
	while ((segment = prism_payload_segment_from(topic->topic_id, segment.number + 1)).number > 0)
	{
		PieceScan	rows = {0};
		int64		at,
					length;

		CHECK_FOR_INTERRUPTS();
		if (!begin_scan(&rows, topic->topic_id, segment.number))
			continue;
		if (last_piece(&rows, id, PG_INT64_MAX, &at, &length))
		{
			if (extent->first_segment == 0)
				extent->first_segment = segment.number;
			extent->segments = (int32) (segment.number - extent->first_segment + 1);
			extent->end = Max(extent->end, at + length);
		}
		end_scan(&rows);
	}
}
