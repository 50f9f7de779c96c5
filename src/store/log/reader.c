/*-------------------------------------------------------------------------
 *
 * reader.c
 *	  The one function through which a log is read.
 *
 * The stable offset first, then rows below it by SnapshotSelf: there everything
 * is settled, committed or gone, so it does not matter how old the transaction's
 * own snapshot is, and no serializable transaction conflicts with publishers.
 *
 * src/store/log/reader.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/index_choice.h"
#include "base/patience.h"
#include "store/log/counter.h"
#include "store/log/log.h"
#include "store/log/record_batch.h"
#include "store/log/segment.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* The scan is one step ahead of the row: who met damage looked where it ends. */
typedef enum Ahead
{
	AHEAD_NOT,
	AHEAD_ROW,					/* in the slot */
	AHEAD_END
} Ahead;

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
	List	   *locked;			/* beside them */
	bool		at_start;		/* of the scan: the position may lie within the row before */
	Ahead		ahead;
	PrismRow	row;			/* whose messages are being returned */

	/* of the message that was returned last */
	const char *damage;			/* NULL: it is good */
	int64		damaged_at;
	int64		damage_end;		/* what may be good again */
};

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
	prism_row_init(&reader->row);
	return reader;
}

static void
close_segment(PrismReader *reader)
{
	if (reader->scan == NULL)
		return;
	prism_row_end(&reader->row);
	index_endscan(reader->scan);
	ExecDropSingleTupleTableSlot(reader->slot);
	index_close(reader->index, AccessShareLock);
	relation_close(reader->heap, AccessShareLock);
	prism_unlock(reader->locked, AccessShareLock);
	reader->locked = NIL;
	reader->scan = NULL;
}

/* Rows from 'from' on; without an end the scan would go through all that is being inserted after it. */
static void
start_scan(PrismReader *reader, int64 from)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(from));
	ScanKeyInit(&keys[1], 1, BTLessStrategyNumber, F_INT8LT, Int64GetDatum(reader->stable));
	index_rescan(reader->scan, keys, lengthof(keys), NULL, 0);
	reader->ahead = AHEAD_NOT;
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

		if (!OidIsValid(relid))
		{
			/* it may be newer than what this transaction knows of the catalogue, but not than the stable offset */
			AcceptInvalidationMessages();
			/* without its index as well: what a restore has not finished is never passed over, it is refused */
			relid = prism_segment_table(topic, number);
		}
		if (!OidIsValid(relid) || (reader->heap = prism_try_relation_open(relid, AccessShareLock)) == NULL)
		{
			number = prism_segment_next(topic->topic_id, number + 1);
			/* a number that no segment below the stable offset has is nobody's */
			if (number < 0 || number > reader->stable / topic->segment_messages)
				break;
			reader->position = number * topic->segment_messages;
			continue;
		}
		reader->segment_end = (number + 1) * topic->segment_messages;
		if (!prism_is_segment(reader->heap))
		{
			relation_close(reader->heap, AccessShareLock);
			reader->damage = "its table has not the columns of a segment";
			return false;
		}
		reader->index = prism_index_open(prism_index_choose(reader->heap, 1), AccessShareLock);
		if (prism_never_waits)
			reader->locked = prism_lock_toast(reader->heap, AccessShareLock);
		reader->slot = table_slot_create(reader->heap, NULL);
		reader->scan = prism_index_beginscan(reader->heap, reader->index, SnapshotSelf, 2);
		start_scan(reader, reader->position);
		reader->at_start = reader->position % topic->segment_messages != 0;
		return true;
	}
	reader->position = Max(reader->position, reader->stable);
	return false;
}

static bool
next_slot(PrismReader *reader, ScanDirection direction)
{
	Ahead		ahead = reader->ahead;

	reader->ahead = AHEAD_NOT;
	if (ahead == AHEAD_END || (ahead == AHEAD_NOT && !index_getnext_slot(reader->scan, direction, reader->slot)))
		return false;
	slot_getallattrs(reader->slot);
	prism_row_begin(&reader->row, reader->slot->tts_values, reader->slot->tts_isnull);
	return true;
}

/* The row before the position may be a batch that reaches beyond it. */
static bool
find_row_around(PrismReader *reader)
{
	int64		position = reader->position;
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTGreaterStrategyNumber, F_INT8GT,
				Int64GetDatum(position - PRISM_BATCH_MESSAGES_MAX));
	ScanKeyInit(&keys[1], 1, BTLessStrategyNumber, F_INT8LT, Int64GetDatum(position));
	index_rescan(reader->scan, keys, lengthof(keys), NULL, 0);
	return next_slot(reader, BackwardScanDirection) &&
		reader->row.head.offset + reader->row.messages > position;
}

/* The next row; the first one of a scan is the one that holds the position, if there is such. */
static bool
next_row(PrismReader *reader)
{
	bool		found = next_slot(reader, ForwardScanDirection);

	if (!reader->at_start)
		return found;
	reader->at_start = false;
	if (found && reader->row.head.offset == reader->position)
		return true;
	if (find_row_around(reader))
	{
		start_scan(reader, reader->row.head.offset);
		found = next_slot(reader, ForwardScanDirection);
		prism_row_skip(&reader->row, reader->position);
		return found;
	}
	if (!found)
		return false;
	start_scan(reader, reader->position);
	return next_slot(reader, ForwardScanDirection);
}

/* ---------- damage ---------- */

/* Where what is wrong with the row ends: before the next row, however many messages it says it has. */
static int64
end_of_row(PrismReader *reader)
{
	int64		end = Min(reader->row.head.offset + reader->row.messages, reader->segment_end);

	if (index_getnext_slot(reader->scan, ForwardScanDirection, reader->slot))
	{
		bool		isnull;

		reader->ahead = AHEAD_ROW;
		end = Min(end, DatumGetInt64(slot_getattr(reader->slot, PRISM_COLUMN_OFFSET, &isnull)));
	}
	else
		reader->ahead = AHEAD_END;
	return end;
}

/* Return what is damaged, from 'offset' on, as one message of which nothing is known; go on at 'end'. */
static bool
return_damaged(PrismReader *reader, const char *damage, int64 offset, TimestampTz created_at, int64 end,
			   PrismMessage *message)
{
	*message = (PrismMessage) {.offset = offset,.created_at = created_at};
	reader->damage = damage;
	reader->damaged_at = offset;
	reader->damage_end = reader->position = end;
	return true;
}

/* False: it only says that it has more messages than the next row leaves it room for, and has given them all. */
static bool
return_damaged_row(PrismReader *reader, PrismMessage *message)
{
	PrismRow   *row = &reader->row;
	const char *damage = row->damage;
	int64		offset = Max(row->head.offset + row->next, reader->position);
	int64		end = end_of_row(reader);	/* a function with effects is nothing for Min() */

	end = Min(end, reader->stable);
	row->damage = NULL;
	row->next = row->messages;
	return offset < end && return_damaged(reader, damage, offset, row->head.created_at, end, message);
}

static bool
return_damaged_segment(PrismReader *reader, PrismMessage *message)
{
	return return_damaged(reader, reader->damage, reader->position, 0, Min(reader->segment_end, reader->stable), message);
}

const char *
prism_reader_damage(const PrismReader *reader)
{
	return reader->damage;
}

void
prism_reader_set_damage(PrismReader *reader, const PrismMessage *message, const char *damage)
{
	reader->damage = damage;
	reader->damaged_at = message->offset;
	reader->damage_end = message->offset + 1;
}

/* Where the damaged message lies and what is wrong. */
static char *
describe_damage(const PrismReader *reader)
{
	return psprintf("In prism_log.topic_%d_" INT64_FORMAT ": %s.", reader->topic->topic_id,
					reader->damaged_at / reader->topic->segment_messages, reader->damage);
}

void
prism_reader_refuse(const PrismReader *reader)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("message " INT64_FORMAT " of topic \"%s\" is damaged", reader->damaged_at, reader->topic->name),
			errdetail("%s", describe_damage(reader)),
			errhint("What comes behind it begins at " INT64_FORMAT ": prism.seek(topic, consumer_group, position) and prism.skip(topic, sink, to_position) lead past it, and prism.read(topic, from_position).",
					reader->damage_end));
}

void
prism_reader_warn(const PrismReader *reader, const char *consequence)
{
	ereport(WARNING,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("message " INT64_FORMAT " of topic \"%s\" is damaged", reader->damaged_at, reader->topic->name),
			errdetail("%s %s", describe_damage(reader), consequence));
}

char *
prism_reader_tell_damage(const PrismReader *reader)
{
	return psprintf("message " INT64_FORMAT " is damaged: prism.skip(topic, sink, " INT64_FORMAT ") leads past it. %s",
					reader->damaged_at, reader->damage_end, describe_damage(reader));
}

/* ---------- messages ---------- */

bool
prism_reader_look(PrismReader *reader, PrismMessage *message)
{
	reader->damage = NULL;
	for (;;)
	{
		if (reader->scan == NULL && !open_segment(reader))
			return reader->damage != NULL && return_damaged_segment(reader, message);
		if (prism_row_next(&reader->row, message))
		{
			Assert(message->offset < reader->stable);
			reader->position = message->offset + 1;
			return true;
		}
		if (reader->row.damage != NULL)
		{
			if (return_damaged_row(reader, message))
				return true;
			continue;
		}
		if (next_row(reader))
			continue;
		reader->position = Min(reader->segment_end, reader->stable);
		close_segment(reader);
		if (reader->position >= reader->stable)
			return false;
	}
}

bool
prism_reader_next(PrismReader *reader, PrismMessage *message)
{
	if (!prism_reader_look(reader, message))
		return false;
	if (unlikely(reader->damage != NULL))
		prism_reader_refuse(reader);
	return true;
}

void
prism_reader_close(PrismReader *reader)
{
	close_segment(reader);
	pfree(reader);
}

void
prism_reader_stay(PrismReader *reader)
{
	reader->stable = Min(reader->stable, reader->scan != NULL ? reader->segment_end : reader->position);
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

	earliest = prism_reader_look(reader, &message) ? message.offset : prism_reader_position(reader);
	prism_reader_close(reader);
	return earliest;
}
