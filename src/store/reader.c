/*-------------------------------------------------------------------------
 *
 * reader.c
 *	  The one function through which a log is read.
 *
 * The stable offset first, then rows below it by SnapshotSelf: there everything
 * is settled, committed or gone, so it does not matter how old the transaction's
 * own snapshot is, and no serializable transaction conflicts with publishers.
 *
 * src/store/reader.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "compat.h"
#include "store/counter.h"
#include "store/log.h"
#include "store/segment.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

struct PrismReader
{
	PrismTopic *topic;
	int64		position;
	int64		stable;
	XLogRecPtr	flush_to;

	/* the segment being scanned; scan is NULL between segments */
	int64		segment_end;
	Relation	heap;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
};

static void
fill_message(PrismMessage *message, const Datum *values, const bool *nulls)
{
	message->offset = DatumGetInt64(values[PRISM_COLUMN_OFFSET - 1]);
	message->created_at = DatumGetTimestampTz(values[PRISM_COLUMN_CREATED_AT - 1]);
	message->remaining = DatumGetInt32(values[PRISM_COLUMN_REMAINING - 1]);
	message->id = *DatumGetUUIDP(values[PRISM_COLUMN_ID - 1]);
	message->has_key = !nulls[PRISM_COLUMN_KEY - 1];
	message->has_headers = !nulls[PRISM_COLUMN_HEADERS - 1];
	message->has_payload = !nulls[PRISM_COLUMN_PAYLOAD - 1];
	message->key = values[PRISM_COLUMN_KEY - 1];
	message->headers = values[PRISM_COLUMN_HEADERS - 1];
	message->payload = values[PRISM_COLUMN_PAYLOAD - 1];
}

void
prism_message_from_tuple(PrismMessage *message, HeapTuple tuple, TupleDesc descriptor)
{
	Datum		values[PRISM_SEGMENT_COLUMNS];
	bool		nulls[PRISM_SEGMENT_COLUMNS];

	heap_deform_tuple(tuple, descriptor, values, nulls);
	fill_message(message, values, nulls);
}

PrismReader *
prism_reader_open(PrismTopic *topic, int64 from)
{
	PrismReader *reader;

	prism_require_preload();
	prism_counter_init(topic);
	reader = palloc0(sizeof(PrismReader));
	reader->topic = topic;
	reader->position = Max(from, 0);
	reader->stable = prism_counter_stable(topic->counter, &reader->flush_to);
	return reader;
}

static void
close_segment(PrismReader *reader)
{
	if (reader->scan == NULL)
		return;
	index_endscan(reader->scan);
	ExecDropSingleTupleTableSlot(reader->slot);
	index_close(reader->index, AccessShareLock);
	relation_close(reader->heap, AccessShareLock);
	reader->scan = NULL;
}

/* Begin to scan the segment of the position, or the next one kept.  False: nothing is kept below the stable offset. */
static bool
open_segment(PrismReader *reader)
{
	PrismTopic *topic = reader->topic;

	while (reader->position < reader->stable)
	{
		int64		number = reader->position / topic->segment_messages;
		Oid			relid = prism_segment_relid(topic, number, NULL);
		ScanKeyData keys[2];

		if (!OidIsValid(relid))
		{
			/* it may be newer than what this transaction knows of the catalogue, but not than the stable offset */
			AcceptInvalidationMessages();
			relid = prism_segment_relid(topic, number, NULL);
		}
		if (!OidIsValid(relid) || (reader->heap = try_relation_open(relid, AccessShareLock)) == NULL)
		{
			number = prism_segment_next(topic->topic_id, number + 1);
			if (number < 0)
				break;
			reader->position = number * topic->segment_messages;
			continue;
		}
		reader->index = index_open(prism_segment_index_relid(topic->topic_id, number), AccessShareLock);
		reader->slot = table_slot_create(reader->heap, NULL);
		reader->scan = prism_index_beginscan(reader->heap, reader->index, SnapshotSelf, lengthof(keys));
		ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(reader->position));
		/* without an end the scan would go through all that is being inserted behind it */
		ScanKeyInit(&keys[1], 1, BTLessStrategyNumber, F_INT8LT, Int64GetDatum(reader->stable));
		index_rescan(reader->scan, keys, lengthof(keys), NULL, 0);
		reader->segment_end = (number + 1) * topic->segment_messages;
		return true;
	}
	reader->position = Max(reader->position, reader->stable);
	return false;
}

bool
prism_reader_next(PrismReader *reader, PrismMessage *message)
{
	for (;;)
	{
		if (reader->scan == NULL && !open_segment(reader))
			return false;
		if (index_getnext_slot(reader->scan, ForwardScanDirection, reader->slot))
		{
			slot_getallattrs(reader->slot);
			fill_message(message, reader->slot->tts_values, reader->slot->tts_isnull);
			Assert(message->offset < reader->stable);
			reader->position = message->offset + 1;
			return true;
		}
		reader->position = Min(reader->segment_end, reader->stable);
		close_segment(reader);
		if (reader->position >= reader->stable)
			return false;
	}
}

void
prism_reader_close(PrismReader *reader)
{
	close_segment(reader);
	pfree(reader);
}

int64
prism_reader_position(const PrismReader *reader)
{
	return reader->position;
}

int64
prism_reader_stable(const PrismReader *reader)
{
	return reader->stable;
}

XLogRecPtr
prism_reader_flush_to(const PrismReader *reader)
{
	return reader->flush_to;
}

int64
prism_log_stable(PrismTopic *topic)
{
	prism_require_preload();
	prism_counter_init(topic);
	return prism_counter_stable(topic->counter, NULL);
}

int64
prism_log_earliest(PrismTopic *topic)
{
	PrismReader *reader = prism_reader_open(topic, 0);
	PrismMessage message;
	int64		earliest;

	earliest = prism_reader_next(reader, &message) ? message.offset : prism_reader_position(reader);
	prism_reader_close(reader);
	return earliest;
}
