/*
 * SQL functions that write and read payloads beside the log, and pin them, for tests: they are what lies below
 * the claim check, by itself.  A library of its own, which finds prism's functions in the server that has it preloaded.
 */
#include "base/prism.h"
#include "base/compat.h"
#include "store/log/log.h"
#include "store/payload/claim.h"
#include "store/payload/open_payload.h"
#include "store/payload/payload_end.h"
#include "store/payload/payload_hash.h"
#include "store/payload/payload_read.h"
#include "store/payload/payload_segment.h"
#include "store/payload/payload_write.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(probe_write);
PG_FUNCTION_INFO_V1(probe_read);
PG_FUNCTION_INFO_V1(probe_extent);
PG_FUNCTION_INFO_V1(probe_pin);
PG_FUNCTION_INFO_V1(probe_unpin);
PG_FUNCTION_INFO_V1(probe_clean);
PG_FUNCTION_INFO_V1(probe_sha256);
PG_FUNCTION_INFO_V1(probe_dangling_claims);

static PrismTopic *
topic_argument(FunctionCallInfo fcinfo)
{
	return prism_topic_lookup(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
}

/* (topic, id, payload, at, store_id, bytes a piece, hash too): the segment */
Datum
probe_write(PG_FUNCTION_ARGS)
{
	bytea	   *payload = PG_GETARG_BYTEA_PP(2);
	Size		length = VARSIZE_ANY_EXHDR(payload);
	Size		piece = PG_GETARG_INT32(5);
	bool		with_hash = PG_GETARG_BOOL(6);
	PrismPayloadWriter *writer = prism_payload_begin(topic_argument(fcinfo), PG_GETARG_INT32(4), PG_GETARG_UUID_P(1), PG_GETARG_INT64(3));
	PrismPayloadHash *hash = with_hash ? prism_payload_hash_begin() : NULL;
	unsigned char sha256[PRISM_SHA256_BYTES];
	int64		segment,
				end;

	for (Size at = 0; at < length; at += piece)
	{
		Size		part = Min(piece, length - at);

		if (with_hash)
			prism_payload_hash_add(hash, VARDATA_ANY(payload) + at, part);
		prism_payload_put(writer, VARDATA_ANY(payload) + at, part);
	}
	if (with_hash)
		prism_payload_hash_finish(hash, sha256);
	prism_payload_finish(writer, &segment, &end);
	if (end != PG_GETARG_INT64(3) + (int64) length)
		elog(ERROR, "the payload ends at " INT64_FORMAT, end);
	PG_RETURN_INT64(segment);
}

/* (topic, id, first segment, segments, from): NULL: tables are gone */
Datum
probe_read(PG_FUNCTION_ARGS)
{
	PrismPayloadReader *reader = prism_payload_open_rows(topic_argument(fcinfo), PG_GETARG_UUID_P(1), PG_GETARG_INT64(2), PG_GETARG_INT32(3), PG_GETARG_INT64(4));
	StringInfoData found;
	const char *bytes;
	Size		length;

	if (reader == NULL)
		PG_RETURN_NULL();
	initStringInfo(&found);
	appendStringInfoSpaces(&found, VARHDRSZ);
	while (prism_payload_next(reader, &bytes, &length))
		appendBinaryStringInfo(&found, bytes, (int) length);
	if (prism_payload_damage(reader) != NULL)
		elog(ERROR, "%s", prism_payload_damage(reader));
	prism_payload_close(reader);
	SET_VARSIZE(found.data, found.len);
	PG_RETURN_BYTEA_P(found.data);
}

/* (topic, id, from segment) */
Datum
probe_extent(PG_FUNCTION_ARGS)
{
	PrismPayloadExtent extent;

	prism_payload_extent(topic_argument(fcinfo), PG_GETARG_UUID_P(1), PG_GETARG_INT64(2), &extent);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(INT64_FORMAT " %d " INT64_FORMAT, extent.first_segment, extent.segments, extent.end)));
}

/* (topic, id, first segment, kind, expires_at or NULL) */
Datum
probe_pin(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	prism_open_payload_insert(topic_argument(fcinfo), PG_GETARG_UUID_P(1), PG_GETARG_INT64(2),
							  (PrismOpenPayloadKind) PG_GETARG_CHAR(3), PG_ARGISNULL(4) ? 0 : PG_GETARG_TIMESTAMPTZ(4));
	PG_RETURN_VOID();
}

/* (id): what it was, and whose */
Datum
probe_unpin(PG_FUNCTION_ARGS)
{
	PrismOpenPayload found;

	if (!prism_open_payload_find(PG_GETARG_UUID_P(0), &found) || !prism_open_payload_delete(PG_GETARG_UUID_P(0)))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%c " INT64_FORMAT " %s", (char) found.kind, found.segment_first, found.mine ? "mine" : "another's")));
}

/* (topic, on consume, ttl_ms): there may be more */
Datum
probe_clean(PG_FUNCTION_ARGS)
{
	PrismPayloadCleanup cleanup = {.on_consume = PG_GETARG_BOOL(1),.ttl_ms = PG_GETARG_INT64(2)};

	PG_RETURN_BOOL(prism_payload_clean(topic_argument(fcinfo), &cleanup));
}

Datum
probe_sha256(PG_FUNCTION_ARGS)
{
	bytea	   *payload = PG_GETARG_BYTEA_PP(0);
	bytea	   *sha256 = palloc(VARHDRSZ + PRISM_SHA256_BYTES);

	SET_VARSIZE(sha256, VARHDRSZ + PRISM_SHA256_BYTES);
	prism_payload_sha256(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload), (unsigned char *) VARDATA(sha256));
	PG_RETURN_BYTEA_P(sha256);
}

static bool
has_its_tables(int32 topic_id, const PrismClaim *claim)
{
	for (int64 number = claim->first_segment; number < claim->first_segment + claim->segments; number++)
	{
		if (!OidIsValid(prism_payload_segment_relid(topic_id, number)))
			return false;
	}
	return true;
}

/* (topic): claims that are kept, should have their payloads, and name a table that is gone; and how many were looked at */
Datum
probe_dangling_claims(PG_FUNCTION_ARGS)
{
	PrismTopic *topic = topic_argument(fcinfo);
	int64		cleaned = prism_payload_cleaned(topic);
	PrismReader *reader = prism_reader_open(topic, prism_log_earliest(topic));
	PrismMessage message;
	int64		seen = 0,
				dangling = 0;

	while (prism_reader_look(reader, &message))
	{
		struct varlena *bytes = message.claim && message.offset >= cleaned ? prism_log_value(message.payload) : NULL;
		PrismClaim	claim;

		if (bytes == NULL || prism_claim_read(&claim, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)) != NULL ||
			claim.kind != PRISM_CLAIM_ROWS)
			continue;
		seen++;
		dangling += !has_its_tables(topic->topic_id, &claim);
	}
	prism_reader_close(reader);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(INT64_FORMAT " of " INT64_FORMAT, dangling, seen)));
}
