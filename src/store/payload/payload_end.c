/*-------------------------------------------------------------------------
 *
 * payload_end.c
 *	  Payload segments come to their end: left for the next one, sealed, dropped.
 *
 * Sealing is what everything rests on: see payload_segment.h.  It is done when
 * the lock is there, nothing pins the segment, and only then the counter is
 * read, in this order.
 *
 * A table goes when no message below its sealed_end is kept, or when none of
 * them needs its payload any more: then the transaction that drops it says so in
 * the topic's row (payload_cleaned), so nobody ever finds a table gone and
 * the position not moved.  The position moves only then: until its table goes, a
 * message that all have finished can still be read, and sought.
 *
 * src/store/payload/payload_end.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/generation.h"
#include "base/guc.h"
#include "base/ownership.h"
#include "base/patience.h"
#include "base/query.h"
#include "store/log/counter.h"
#include "store/log/holders.h"
#include "store/log/log.h"
#include "store/log/progress.h"
#include "store/log/retention.h"
#include "store/log/segment.h"
#include "store/log/segment_repair.h"
#include "store/log/segment_size.h"
#include "store/payload/open_payload.h"
#include "store/payload/payload_ahead.h"
#include "store/payload/payload_count.h"
#include "store/payload/payload_end.h"
#include "store/payload/payload_segment.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/* A segment is left at this part of the time for which payloads are kept, at the latest. */
#define LEAVE_PART 4
/* ... but not sooner: it is a table. */
#define LEAVE_MS_MIN (60 * 1000)

/* ---------- leaving ---------- */

static bool
is_older_than(TimestampTz at, int64 ms)
{
	/* a time that no disk has damaged */
	return IS_VALID_TIMESTAMP(at) && GetCurrentTimestamp() - at > ms * 1000;
}

static bool
is_written_to(Oid relid)
{
	Relation	heap = OidIsValid(relid) ? prism_try_relation_open(relid, AccessShareLock) : NULL;
	bool		found;

	if (heap == NULL)
		return false;
	found = RelationGetNumberOfBlocks(heap) > 0;
	relation_close(heap, AccessShareLock);
	return found;
}

/* A topic with few large payloads would keep its first one for ever. */
static void
leave_old(PrismTopic *topic, const PrismPayloadSegment *segment, int64 kept_ms)
{
	if (segment->sealed_end < 0 && is_older_than(segment->created_at, Max(kept_ms / LEAVE_PART, LEAVE_MS_MIN)) &&
		is_written_to(prism_payload_segment_relid(topic->topic_id, segment->number)))
		prism_payload_want_next(topic, segment->number, segment->store_id);
}

/* ---------- sealing ---------- */

static bool
seal(PrismTopic *topic, int64 number)
{
	Oid			relid = prism_payload_segment_relid(topic->topic_id, number);
	Oid			types[] = {INT4OID, INT8OID, INT8OID};
	Datum		values[] = {Int32GetDatum(topic->topic_id), Int64GetDatum(number), 0};

	if (OidIsValid(relid) && (!ConditionalLockRelationOid(relid, ShareLock) || !prism_is_guarded(relid)))
		return false;
	if (prism_open_payload_holds(topic->topic_id, number))
		return false;
	values[2] = Int64GetDatum(prism_counter_peek(topic->counter));
	return prism_query("UPDATE prism.payload_segment SET sealed_end = $3"
					   " WHERE topic_id = $1 AND segment_number = $2 AND sealed_end IS NULL",
					   lengthof(types), types, values, NULL).count > 0;
}

/*
 * A restore may bring a pin when the segment's row has long been there, and was
 * sealed for want of it: its message will be behind sealed_end.
 */
static bool
unseal(PrismTopic *topic, int64 number)
{
	Oid			types[] = {INT4OID, INT8OID};
	Datum		values[] = {Int32GetDatum(topic->topic_id), Int64GetDatum(number)};

	if (!prism_open_payload_holds(topic->topic_id, number))
		return false;
	prism_query("UPDATE prism.payload_segment SET sealed_end = NULL WHERE topic_id = $1 AND segment_number = $2",
				lengthof(types), types, values, NULL);
	return true;
}

/* ---------- what may go ---------- */

/*
 * No message below needs its payload any more, whether it is kept or not; 0: all
 * of them may.  What a sink has not sent yet does, whatever its age.
 */
static int64
needless_below(PrismTopic *topic, const PrismPayloadCleanup *cleanup)
{
	int64		sent;
	int64		consumed;
	int64		target = 0;

	/* how far anybody is is not known */
	if (prism_progress_is_restoring())
		return 0;
	sent = prism_holders_slowest(topic, true);
	consumed = cleanup->on_consume ? prism_holders_slowest(topic, false) : PRISM_NOBODY;
	if (consumed != PRISM_NOBODY)
		target = consumed;
	if (cleanup->ttl_ms > 0)
		target = Max(target, prism_log_at_time(topic, GetCurrentTimestamp() - cleanup->ttl_ms * 1000));
	return Min(Min(target, sent), prism_log_stable(topic));
}

int64
prism_payload_cleaned(const PrismTopic *topic)
{
	Oid			type = INT4OID;
	Datum		value = Int32GetDatum(topic->topic_id);
	PrismQueryRows found = prism_query_latest("SELECT payload_cleaned FROM prism.topic WHERE topic_id = $1", 1, &type, &value, 1);
	int64		cleaned = found.count > 0 ? prism_column_int64(&found.row[0], 1) : 0;

	prism_query_free(&found);
	return cleaned;
}

static void
note_cleaned(PrismTopic *topic, int64 cleaned)
{
	Oid			types[] = {INT4OID, INT8OID};
	Datum		values[] = {Int32GetDatum(topic->topic_id), Int64GetDatum(cleaned)};

	prism_query("UPDATE prism.topic SET payload_cleaned = $2 WHERE topic_id = $1 AND payload_cleaned < $2",
				lengthof(types), types, values, NULL);
	prism_catalog_changed();
}

/* ---------- dropping ---------- */

/* Never waits: somebody who reads it, or restores it, keeps it until the next time. */
static bool
take_unless_read(int32 topic_id, int64 number)
{
	Oid			relid = prism_payload_segment_relid(topic_id, number);

	return !OidIsValid(relid) || (ConditionalLockRelationOid(relid, AccessExclusiveLock) && prism_is_guarded(relid));
}

/* 'clean': messages that are kept lose their payloads with it. */
static bool
drop(PrismTopic *topic, const PrismPayloadSegment *segment, bool clean)
{
	/* in this order: nobody shall find the table locked by a session that waits for an apply() */
	if ((clean && !prism_topic_try_row(topic->topic_id)) || !take_unless_read(topic->topic_id, segment->number))
		return false;
	/* by options that an apply() has changed meanwhile nothing goes any more */
	AcceptInvalidationMessages();
	if (!prism_topic_is_current(topic) || prism_open_payload_holds(topic->topic_id, segment->number))
		return false;
	if (clean)
		note_cleaned(topic, segment->sealed_end);
	prism_payload_count_removed(topic, segment->number);
	prism_payload_segment_drop(topic->topic_id, segment->number);
	return true;
}

/* Which offset is next is known, and what is kept. */
static bool
is_known(PrismTopic *topic)
{
	prism_counter_init(topic);
	return !prism_segments_restoring(topic->topic_id);
}

bool
prism_payload_tend(PrismTopic *topic, int64 number)
{
	PrismPayloadSegment segment = prism_payload_segment_from(topic->topic_id, number);
	int64		current = prism_payload_current(topic);
	int64		ms = prism_retention_ms(topic);

	if (segment.number != number || !is_known(topic))
		return false;
	if (number >= current)
	{
		if (number == current && ms >= 0)
			leave_old(topic, &segment, ms);
		return false;
	}
	if (segment.sealed_end < 0)
		return seal(topic, number);
	if (!unseal(topic, number) && segment.sealed_end <= Max(prism_segment_kept_from(topic), topic->payload_cleaned))
		(void) drop(topic, &segment, false);
	return false;
}

bool
prism_payload_clean(PrismTopic *topic, const PrismPayloadCleanup *cleanup)
{
	int64		current = prism_payload_current(topic);
	int64		target = -1;
	PrismPayloadSegment segment = {0};

	if (current == 0 || !is_known(topic))
		return false;
	while ((segment = prism_payload_segment_from(topic->topic_id, segment.number + 1)).number > 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (segment.number == current && cleanup->ttl_ms > 0)
			leave_old(topic, &segment, cleanup->ttl_ms);
		if (segment.number >= current || segment.sealed_end < 0)
			continue;
		if (target < 0)
			target = needless_below(topic, cleanup);
		if (segment.sealed_end <= target && drop(topic, &segment, true))
			return true;
	}
	return false;
}

void
prism_payload_drop_left(int32 topic_id, int64 number)
{
	if (take_unless_read(topic_id, number))
		prism_payload_segment_drop(topic_id, number);
}

void
prism_payload_drop_all(int32 topic_id)
{
	int64		number = 0;

	for (int i = 0; i < PRISM_SEGMENTS_A_TRANSACTION &&
		 (number = prism_payload_segment_from(topic_id, number + 1).number) > 0; i++)
		prism_payload_segment_drop(topic_id, number);
	prism_query_one("UPDATE prism.payload_segment SET dropped = true WHERE topic_id = $1", topic_id);
	prism_open_payload_drop_all(topic_id);
}

/* ---------- how much it is ---------- */

/* What waits for its time, or is not whole yet, is not the log's: all of that might be dropped, and it would still be there. */
static bool
is_of_log(PrismTopic *topic, const PrismPayloadSegment *segment, int64 from, bool open)
{
	if (segment->sealed_end >= 0)
		return segment->sealed_end > from;
	return open && !prism_open_payload_holds(topic->topic_id, segment->number);
}

int64
prism_payload_bytes(PrismTopic *topic, int64 from, bool open)
{
	PrismPayloadSegment segment = {0};
	int64		bytes = 0;

	while ((segment = prism_payload_segment_from(topic->topic_id, segment.number + 1)).number > 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (is_of_log(topic, &segment, from, open))
			bytes += prism_table_bytes(prism_payload_segment_relid(topic->topic_id, segment.number));
	}
	return bytes;
}
