/*-------------------------------------------------------------------------
 *
 * open_payload.c
 *	  Pins: payloads that no message of their topic's log names yet.
 *
 * src/store/payload/open_payload.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/query.h"
#include "store/payload/open_payload.h"
#include "store/payload/payload_ahead.h"
#include "store/payload/payload_read.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* What waits for its time is written to its end: it holds the segments that it lies in, and none that come later.  0: not known. */
static int64
last_segment(PrismTopic *topic, const pg_uuid_t *id, int64 first)
{
	PrismPayloadExtent extent;

	prism_payload_extent(topic, id, first, &extent);
	return extent.first_segment + extent.segments - 1;
}

void
prism_open_payload_insert(PrismTopic *topic, const pg_uuid_t *id, int64 segment_first,
						  PrismOpenPayloadKind kind, TimestampTz expires_at)
{
	int64		first = segment_first > 0 ? segment_first : prism_payload_current(topic);
	int64		last = kind == PRISM_OPEN_DELAYED ? last_segment(topic, id, first) : 0;
	Oid			types[] = {UUIDOID, INT4OID, INT8OID, CHAROID, TIMESTAMPTZOID, OIDOID, INT8OID};
	Datum		values[] = {
		UUIDPGetDatum(id), Int32GetDatum(topic->topic_id), Int64GetDatum(first),
		CharGetDatum((char) kind), TimestampTzGetDatum(expires_at), ObjectIdGetDatum(GetUserId()), Int64GetDatum(last)
	};
	char		nulls[] = {' ', ' ', ' ', ' ', expires_at != 0 ? ' ' : 'n', ' ', last > 0 ? ' ' : 'n', '\0'};

	prism_query("INSERT INTO prism.open_payload (payload_id, topic_id, segment_first, kind, expires_at, owner, owner_oid, segment_last)"
				" VALUES ($1, $2, $3, $4, $5, pg_get_userbyid($6), $6, $7)",
				lengthof(types), types, values, nulls);
	CommandCounterIncrement();
}

bool
prism_open_payload_find(const pg_uuid_t *id, PrismOpenPayload *found)
{
	Oid			types[] = {UUIDOID, OIDOID};
	Datum		values[] = {UUIDPGetDatum(id), ObjectIdGetDatum(GetUserId())};
	PrismQueryRows rows = prism_query_latest("SELECT topic_id, segment_first, kind, expires_at,"
											 " owner_oid = $2 AND owner = pg_get_userbyid($2)"
											 " FROM prism.open_payload WHERE payload_id = $1", lengthof(types), types, values, 1);

	if (rows.count == 0)
		return false;
	found->id = *id;
	found->topic_id = prism_column_int32(&rows.row[0], 1);
	found->segment_first = prism_column_int64(&rows.row[0], 2);
	found->kind = (PrismOpenPayloadKind) prism_column_text(&rows.row[0], 3)[0];
	found->expires_at = prism_column_time(&rows.row[0], 4);
	found->mine = prism_column_bool(&rows.row[0], 5);
	prism_query_free(&rows);
	return true;
}

bool
prism_open_payload_delete(const pg_uuid_t *id)
{
	Oid			type = UUIDOID;
	Datum		value = UUIDPGetDatum(id);
	bool		found = prism_query("DELETE FROM prism.open_payload WHERE payload_id = $1", 1, &type, &value, NULL).count > 0;

	CommandCounterIncrement();
	return found;
}

bool
prism_open_payload_holds(int32 topic_id, int64 number)
{
	Oid			types[] = {INT4OID, INT8OID};
	Datum		values[] = {Int32GetDatum(topic_id), Int64GetDatum(number)};

	return prism_query_latest("SELECT FROM prism.open_payload WHERE topic_id = $1 AND segment_first <= $2"
							  " AND (segment_last IS NULL OR segment_last >= $2)",
							  lengthof(types), types, values, 1).count > 0;
}

int64
prism_open_payload_expire(void)
{
	return (int64) prism_query("DELETE FROM prism.open_payload WHERE payload_id IN"
							   " (SELECT payload_id FROM prism.open_payload WHERE kind = 's' AND expires_at < pg_catalog.clock_timestamp()"
							   " FOR UPDATE SKIP LOCKED)", 0, NULL, NULL, NULL).count;
}

void
prism_open_payload_drop_all(int32 topic_id)
{
	(void) prism_query_one("DELETE FROM prism.open_payload WHERE topic_id = $1", topic_id);
}
