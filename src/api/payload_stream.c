/*-------------------------------------------------------------------------
 *
 * payload_stream.c
 *	  Payloads that come in pieces: prism.payload_open() and what follows it,
 *	  and COPY into prism.payload_piece.
 *
 * A piece is rows of the topic's payload segments as soon as it is appended, so
 * no session ever holds more than one.  The stream is a message when it is
 * published: until then no message names its bytes, but a row of
 * prism.open_payload, in which its payload segments are kept.
 *
 * Streams are stored as they come.
 *
 * src/api/payload_stream.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/arguments.h"
#include "api/held_stream.h"
#include "api/payload_stream.h"
#include "api/publish.h"
#include "base/extension.h"
#include "pattern/chain.h"
#include "pattern/claim_check.h"
#include "store/log/log.h"
#include "store/payload/open_payload.h"
#include "store/payload/payload_codec.h"
#include "store/payload/payload_id.h"
#include "store/payload/payload_make.h"
#include "store/payload/payload_progress.h"
#include "store/payload/payload_read.h"
#include "store/payload/payload_segment.h"
#include "store/payload/payload_write.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* How long a stream may wait for its next piece, or to be published. */
#define VALID_US_MIN USECS_PER_SEC
#define VALID_US_MAX (30 * USECS_PER_DAY)

PG_FUNCTION_INFO_V1(prism_payload_open);
PG_FUNCTION_INFO_V1(prism_payload_append);
PG_FUNCTION_INFO_V1(prism_publish_payload);
PG_FUNCTION_INFO_V1(prism_payload_discard);
PG_FUNCTION_INFO_V1(prism_payload_piece_insert);

/* ---------- opening ---------- */

const PrismClaimCheckOptions *
prism_stream_claim_check(PrismTopic *topic)
{
	const PrismLink *link = prism_chain_find(topic, &prism_pattern_claim_check);
	const PrismClaimCheckOptions *options = link != NULL ? link->options : NULL;

	return options != NULL && options->store_id > 0 ? options : NULL;
}

static const PrismClaimCheckOptions *
require_claim_check(PrismTopic *topic)
{
	const PrismClaimCheckOptions *options = prism_stream_claim_check(topic);

	if (options == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("topic \"%s\" takes no payloads that come in pieces", topic->name),
				errdetail("Its namespace has no pattern claim-check."),
				errhint("Add {type: claim-check} to the patterns of the namespace, or publish the payload as a whole."));
	return options;
}

/* Arguments: topic, valid. */
Datum
prism_payload_open(PG_FUNCTION_ARGS)
{
	PrismTopic *topic = prism_publish_topic(PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0), NULL);
	int64		valid_us = prism_interval_argument(fcinfo, 1, "valid", VALID_US_MIN, VALID_US_MAX);
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	prism_log_check_may_publish();
	(void) require_claim_check(topic);
	prism_payload_make_id(id);
	prism_open_payload_insert(topic, id, 0, PRISM_OPEN_STREAM, GetCurrentTimestamp() + valid_us);
	PG_RETURN_UUID_P(id);
}

/* ---------- appending ---------- */

/* Written from where it lies: what is out of line and not compressed is fetched in slices. */
static void
append_piece(PrismHeldStream *stream, PrismPayloadWriter *writer, struct varlena *piece)
{
	bool		in_slices = prism_payload_comes_in_pieces(piece);
	int64		length = (int64) toast_raw_datum_size(PointerGetDatum(piece)) - VARHDRSZ;
	struct varlena *whole = in_slices ? NULL : pg_detoast_datum_packed(piece);

	if (!in_slices)
	{
		prism_held_stream_add(stream, VARDATA_ANY(whole), length);
		prism_payload_put(writer, VARDATA_ANY(whole), length);
	}
	for (int64 from = 0; in_slices && from < length; from += PRISM_PAYLOAD_BLOCK_BYTES)
	{
		struct varlena *slice = detoast_attr_slice(piece, (int32) from, (int32) Min(length - from, PRISM_PAYLOAD_BLOCK_BYTES));

		prism_held_stream_add(stream, VARDATA_ANY(slice), VARSIZE_ANY_EXHDR(slice));
		prism_payload_put(writer, VARDATA_ANY(slice), VARSIZE_ANY_EXHDR(slice));
		pfree(slice);
	}
	if (whole != NULL && whole != piece)
		pfree(whole);
}

/* Returns how many bytes the stream has by then. */
static int64
append(const pg_uuid_t *id, struct varlena *piece)
{
	PrismHeldStream *stream;
	int64		length = (int64) toast_raw_datum_size(PointerGetDatum(piece)) - VARHDRSZ;
	PrismPayloadWriter *writer;
	int64		segment;
	int64		end;

	prism_require_preload();
	prism_log_check_may_publish();
	stream = prism_held_stream(id);
	prism_publish_check_size(stream->topic, stream->end + length);
	if (length == 0)
		return stream->end;
	writer = prism_payload_begin(stream->topic, require_claim_check(stream->topic)->store_id, id, stream->end);
	append_piece(stream, writer, piece);
	prism_payload_finish(writer, &segment, &end);
	if (end != stream->end)
		elog(ERROR, "a stream of payload ends at " INT64_FORMAT " instead of " INT64_FORMAT, end, stream->end);
	return end;
}

/* Arguments: payload, bytes. */
Datum
prism_payload_append(PG_FUNCTION_ARGS)
{
	prism_require_argument(!PG_ARGISNULL(0), "payload");
	prism_require_argument(!PG_ARGISNULL(1), "bytes");
	PG_RETURN_INT64(append(PG_GETARG_UUID_P(0), (struct varlena *) PG_GETARG_POINTER(1)));
}

/* A column of the inserted row, as the view has it: its value and its number. */
static Datum
piece_column(const TriggerData *data, const char *name, Oid type, int *number)
{
	TupleDesc	descriptor = RelationGetDescr(data->tg_relation);

	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(descriptor, i);
		bool		isnull;
		Datum		value;

		if (column->attisdropped || namestrcmp(&column->attname, name) != 0 || column->atttypid != type)
			continue;
		*number = i + 1;
		value = heap_getattr(data->tg_trigtuple, *number, descriptor, &isnull);
		prism_require_argument(!isnull, name);
		return value;
	}
	ereport(ERROR,
			errcode(ERRCODE_DATATYPE_MISMATCH),
			errmsg("\"%s\" has no column \"%s\" of type %s", RelationGetRelationName(data->tg_relation), name, format_type_be(type)));
}

/*
 * INSTEAD OF INSERT on prism.payload_piece.
 *
 * The row comes back without its bytes: COPY keeps a row that comes back as it
 * was to the end of the statement, and frees one in whose place another one
 * comes, so all of the payload would be in memory otherwise.
 */
Datum
prism_payload_piece_insert(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	Datum		nothing = (Datum) 0;
	bool		isnull = true;
	pg_uuid_t	id;
	int			number;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BY_INSERT(data->tg_event) || !TRIGGER_FIRED_INSTEAD(data->tg_event))
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("prism.payload_piece_insert() must be called by an INSTEAD OF INSERT trigger"));
	id = *DatumGetUUIDP(piece_column(data, "payload", UUIDOID, &number));
	(void) append(&id, (struct varlena *) DatumGetPointer(piece_column(data, "bytes", BYTEAOID, &number)));
	return PointerGetDatum(heap_modify_tuple_by_cols(data->tg_trigtuple, RelationGetDescr(data->tg_relation), 1, &number, &nothing, &isnull));
}

/* ---------- publishing ---------- */

static void
refuse_unreadable(const PrismTopic *topic, const char *why)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("a stream of payload for topic \"%s\" cannot be read back", topic->name),
			errdetail("%s.", why != NULL ? why : "Not all of its bytes are there"),
			errhint("Discard it with prism.payload_discard(), and begin anew."));
}

/* Read all of the stream: into 'bytes', or through a hash; NULL: not there. */
static void
read_back(const PrismHeldStream *stream, const PrismPayloadExtent *extent, char *bytes, PrismPayloadHash *hash)
{
	PrismPayloadReader *reader = prism_payload_open_rows(stream->topic, &stream->id, extent->first_segment, extent->segments, 0);
	int64		read = 0;
	const char *piece;
	Size		length;

	prism_payload_progress_begin(PRISM_PAYLOAD_VERIFY, stream->topic, -1, stream->end);
	while (reader != NULL && prism_payload_next(reader, &piece, &length))
	{
		CHECK_FOR_INTERRUPTS();
		if (read + (int64) length > stream->end)
			break;
		if (bytes != NULL)
			memcpy(bytes + read, piece, length);
		if (hash != NULL)
			prism_payload_hash_add(hash, piece, length);
		prism_payload_progress_add((int64) length);
		read += (int64) length;
	}
	prism_payload_progress_end();
	if (read != stream->end)
		refuse_unreadable(stream->topic, reader != NULL ? prism_payload_damage(reader) : NULL);
	prism_payload_close(reader);
}

/* A payload segment belongs to one store, and so does a payload. */
static void
check_store(const PrismTopic *topic, const PrismPayloadExtent *extent, int32 store_id)
{
	for (int i = 0; i < extent->segments; i++)
	{
		PrismPayloadSegment segment = prism_payload_segment_from(topic->topic_id, extent->first_segment + i);

		if (segment.number == extent->first_segment + i && segment.store_id != store_id)
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("cannot publish a stream of payload that was begun for another store"),
					errdetail("Payloads of topic \"%s\" go to another place since.", topic->name),
					errhint("Discard it with prism.payload_discard(), and begin anew."));
	}
}

/* The claim to its rows. */
static void
fill_claim(PrismClaim *claim, PrismHeldStream *stream, const PrismPayloadExtent *extent, int32 store_id)
{
	PrismPayloadHash *hash;

	*claim = (PrismClaim) {
		.kind = PRISM_CLAIM_ROWS,.encoding = PRISM_PAYLOAD_PLAIN,.payload_id = stream->id,
		.size = stream->end,.stored_size = stream->end,.store_id = store_id,
		.first_segment = extent->first_segment,.segments = extent->segments
	};
	check_store(stream->topic, extent, store_id);
	if (prism_held_stream_hash(stream, claim->sha256))
		return;
	hash = prism_payload_hash_begin();
	read_back(stream, extent, NULL, hash);
	prism_payload_hash_finish(hash, claim->sha256);
}

/* Not more than the threshold: a message like others. */
static bytea *
bytes_of(const PrismHeldStream *stream, const PrismPayloadExtent *extent)
{
	bytea	   *bytes = palloc(VARHDRSZ + stream->end);

	SET_VARSIZE(bytes, VARHDRSZ + stream->end);
	if (stream->end > 0)
		read_back(stream, extent, VARDATA(bytes), NULL);
	return bytes;
}

static PrismHeldStream *
stream_of_topic(const pg_uuid_t *id, const PrismTopic *topic)
{
	PrismHeldStream *stream = prism_held_stream(id);

	if (stream->topic->topic_id != topic->topic_id)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the stream of payload was not opened for topic \"%s\"", topic->name),
				errdetail("It was opened for topic \"%s\".", stream->topic->name));
	prism_publish_check_size(topic, stream->end);
	return stream;
}

/* What pins the stream goes first: a message for later pins it anew. */
static void
publish_stream(PrismHeldStream *stream, const PrismClaimCheckOptions *options, TimestampTz deliver_at, text *key, Jsonb *headers, pg_uuid_t *id)
{
	PrismPayloadExtent extent;

	prism_payload_extent(stream->topic, &stream->id, stream->segment_first, &extent);
	if (prism_stream_is_inline(options, stream->end))
	{
		bytea	   *bytes = bytes_of(stream, &extent);

		prism_held_stream_take(stream);
		*id = prism_publish_as(stream->topic, NULL, deliver_at, PRISM_PAYLOAD_BYTES, bytes, key, headers).id;
	}
	else
	{
		PrismClaim	claim;

		fill_claim(&claim, stream, &extent, options->store_id);
		prism_held_stream_take(stream);
		*id = prism_publish_claim(stream->topic, deliver_at, &claim, key, headers).id;
	}
}

/* Arguments: topic, payload, key, headers, namespace, deliver_at. */
Datum
prism_publish_payload(PG_FUNCTION_ARGS)
{
	PrismTopic *topic = prism_publish_topic(PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0), PG_ARGISNULL(4) ? NULL : PG_GETARG_TEXT_PP(4));
	TimestampTz deliver_at = PG_ARGISNULL(5) ? PRISM_DELIVER_AT_ONCE : prism_publish_check_time(PG_GETARG_TIMESTAMPTZ(5));
	text	   *key = PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2);
	Jsonb	   *headers = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	const PrismClaimCheckOptions *options = require_claim_check(topic);
	PrismHeldStream *stream;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	prism_require_argument(!PG_ARGISNULL(1), "payload");
	prism_log_check_may_publish();
	stream = stream_of_topic(PG_GETARG_UUID_P(1), topic);
	publish_stream(stream, options, deliver_at, key, headers, id);
	prism_held_stream_forget(stream);
	PG_RETURN_UUID_P(id);
}

/* Argument: payload. */
Datum
prism_payload_discard(PG_FUNCTION_ARGS)
{
	PrismHeldStream *stream;

	prism_require_argument(!PG_ARGISNULL(0), "payload");
	prism_require_preload();
	prism_log_check_may_publish();
	stream = prism_held_stream_if_any(PG_GETARG_UUID_P(0));
	if (stream == NULL || !prism_open_payload_delete(&stream->id))
		PG_RETURN_BOOL(false);
	prism_held_stream_forget(stream);
	PG_RETURN_BOOL(true);
}
