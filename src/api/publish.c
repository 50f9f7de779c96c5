/*-------------------------------------------------------------------------
 *
 * publish.c
 *	  prism.publish(), prism.publish_batch(), prism.last_position().
 *
 * src/api/publish.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/arguments.h"
#include "api/headers.h"
#include "api/payload_text.h"
#include "api/publish.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/uuid7.h"
#include "pattern/chain.h"
#include "store/delay/delay.h"
#include "store/log/log.h"
#include "store/payload/payload_make.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(prism_publish_jsonb);
PG_FUNCTION_INFO_V1(prism_publish_json);
PG_FUNCTION_INFO_V1(prism_publish_text);
PG_FUNCTION_INFO_V1(prism_publish_bytea);
PG_FUNCTION_INFO_V1(prism_publish_batch_jsonb);
PG_FUNCTION_INFO_V1(prism_publish_batch_json);
PG_FUNCTION_INFO_V1(prism_publish_batch_text);
PG_FUNCTION_INFO_V1(prism_publish_batch_bytea);
PG_FUNCTION_INFO_V1(prism_publish_batch_literal);
PG_FUNCTION_INFO_V1(prism_last_position);

struct varlena *
prism_jsonb_bytes(Jsonb *value)
{
	StringInfoData bytes;

	initStringInfo(&bytes);
	appendStringInfoSpaces(&bytes, VARHDRSZ);
	(void) JsonbToCString(&bytes, &value->root, VARSIZE(value));
	SET_VARSIZE(bytes.data, bytes.len);
	return (struct varlena *) bytes.data;
}

static inline int64
payload_bytes(const struct varlena *payload)
{
	if (VARATT_IS_EXTERNAL(payload))
		return (int64) toast_raw_datum_size(PointerGetDatum(payload)) - VARHDRSZ;
	return VARSIZE_ANY_EXHDR(payload);
}

void
prism_publish_refuse_size(const PrismTopic *topic, int64 bytes)
{
	ereport(ERROR,
			errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			errmsg("payload is too large for topic \"%s\"", topic->name),
			errdetail("The payload has " INT64_FORMAT " bytes; the limit is " INT64_FORMAT ".",
					  bytes, topic->message_bytes_max),
			errhint("Raise needs.max_message_size in the namespace."));
}

static void
check_key_length(const text *key)
{
	if (key != NULL && VARSIZE_ANY_EXHDR(key) > PRISM_KEY_BYTES_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("key is too long"),
				errdetail("The key has %d bytes; the limit is %d.",
						  (int) VARSIZE_ANY_EXHDR(key), PRISM_KEY_BYTES_MAX));
}

static void
check_size(const PrismTopic *topic, struct varlena *payload, const text *key)
{
	prism_publish_check_size(topic, payload != NULL ? payload_bytes(payload) : 0);
	check_key_length(key);
	if (payload == NULL && key == NULL)
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("a message without payload needs a key"),
				errdetail("A NULL payload is a tombstone: it says that the key is gone."));
}

pg_uuid_t
prism_publish(PrismTopic *topic, PrismPayloadForm form, struct varlena *payload, text *key,
			  Jsonb *headers)
{
	return prism_publish_as(topic, NULL, PRISM_DELIVER_AT_ONCE, form, payload, key, headers).id;
}

/* Fill in what the message has beside its payload, and send it down the chain. */
static PrismPublished
send_down(PrismTopic *topic, const pg_uuid_t *id, TimestampTz deliver_at, PrismMessage *message, text *key, Jsonb *headers)
{
	message->created_at = GetCurrentTimestamp();
	if (id != NULL)
		message->id = *id;
	else
		prism_uuid7(message->created_at, &message->id);
	message->has_key = key != NULL;
	message->has_headers = headers != NULL;
	message->key = PointerGetDatum(key);
	message->headers = PointerGetDatum(headers);
	/* the way down ends in the log: a delayed message goes it when it is delivered */
	if (deliver_at > message->created_at)
	{
		prism_chain_delay(topic, message);
		prism_delay_append(topic, deliver_at, message);
	}
	else
		prism_chain_publish(topic, message);
	return (PrismPublished) {message->id, message->created_at, headers};
}

PrismPublished
prism_publish_as(PrismTopic *topic, const pg_uuid_t *id, TimestampTz deliver_at,
				 PrismPayloadForm form, struct varlena *payload, text *key, Jsonb *headers)
{
	PrismMessage message = {.remaining = 0};
	bool		is_json;

	check_size(topic, payload, key);
	is_json = payload != NULL &&
		(form == PRISM_PAYLOAD_JSON || (form == PRISM_PAYLOAD_TEXT && prism_text_is_json(payload)));
	headers = prism_headers_complete(headers, is_json);
	if (GetDatabaseEncoding() != PG_UTF8)
	{
		if (payload != NULL && form != PRISM_PAYLOAD_BYTES)
			payload = prism_payload_to_utf8(payload);
		prism_check_goes_out(key, headers);
		check_size(topic, payload, key);
	}
	message.has_payload = payload != NULL;
	message.payload = PointerGetDatum(payload);
	return send_down(topic, id, deliver_at, &message, key, headers);
}

PrismPublished
prism_publish_claim(PrismTopic *topic, TimestampTz deliver_at, const PrismClaim *claim, text *key, Jsonb *headers)
{
	PrismMessage message = {.has_payload = true,.claim = true};

	prism_publish_check_size(topic, claim->size);
	check_key_length(key);
	headers = prism_headers_complete(headers, false);
	if (GetDatabaseEncoding() != PG_UTF8)
		prism_check_goes_out(key, headers);
	message.payload = PointerGetDatum(prism_claim_write(claim));
	return send_down(topic, NULL, deliver_at, &message, key, headers);
}

TimestampTz
prism_publish_check_time(TimestampTz deliver_at)
{
	if (TIMESTAMP_NOT_FINITE(deliver_at))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("deliver_at must be a finite time"),
				errhint("Leave it out to deliver the message when the transaction commits."));
	return deliver_at;
}

PrismTopic *
prism_publish_topic(text *topic_name, text *namespace_name)
{
	PrismTopic *topic;
	char		buffer[PRISM_TOPIC_NAME_GIVEN];

	prism_require_preload();
	prism_require_argument(topic_name != NULL, "topic");
	text_to_cstring_buffer(topic_name, buffer, sizeof(buffer));
	topic = prism_topic_for(buffer, PRISM_PUBLISH);
	if (topic->namespace_id == 0)
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("cannot publish to topic \"%s\"", topic->name),
				errdetail("It is prism's own."));
	if (namespace_name != NULL)
		prism_topic_check_namespace(topic, text_to_cstring(namespace_name));
	return topic;
}

/* ---------- prism.publish() ---------- */

static text *
optional_text(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : PG_GETARG_TEXT_PP(argument);
}

/* Arguments: topic, payload, key, headers, namespace, deliver_at. */
static Datum
publish_one(FunctionCallInfo fcinfo, PrismPayloadForm form, struct varlena *payload)
{
	PrismTopic *topic = prism_publish_topic(optional_text(fcinfo, 0), optional_text(fcinfo, 4));
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	*id = prism_publish_as(topic, NULL,
						   PG_ARGISNULL(5) ? PRISM_DELIVER_AT_ONCE : prism_publish_check_time(PG_GETARG_TIMESTAMPTZ(5)),
						   form, payload, optional_text(fcinfo, 2),
						   PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3)).id;
	PG_RETURN_UUID_P(id);
}

Datum
prism_publish_jsonb(PG_FUNCTION_ARGS)
{
	return publish_one(fcinfo, PRISM_PAYLOAD_JSON,
					   PG_ARGISNULL(1) ? NULL : prism_jsonb_bytes(PG_GETARG_JSONB_P(1)));
}

Datum
prism_publish_json(PG_FUNCTION_ARGS)
{
	return publish_one(fcinfo, PRISM_PAYLOAD_JSON, PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1));
}

Datum
prism_publish_text(PG_FUNCTION_ARGS)
{
	text	   *payload = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);

	if (payload != NULL)
		prism_text_refuse_bytes(payload);
	return publish_one(fcinfo, PRISM_PAYLOAD_TEXT, payload);
}

Datum
prism_publish_bytea(PG_FUNCTION_ARGS)
{
	struct varlena *payload = PG_ARGISNULL(1) ? NULL : (struct varlena *) PG_GETARG_POINTER(1);

	/* a large one may never be needed as a whole */
	if (payload != NULL && !prism_payload_comes_in_pieces(payload))
		payload = pg_detoast_datum_packed(payload);
	return publish_one(fcinfo, PRISM_PAYLOAD_BYTES, payload);
}

/* ---------- prism.publish_batch() ---------- */

typedef struct Column
{
	int			count;			/* -1: the array is NULL */
	Datum	   *values;
	bool	   *nulls;
} Column;

static Column
array_column(ArrayType *array, Oid type)
{
	Column		column = {.count = -1};

	if (array == NULL)
		return column;
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				errmsg("arrays of publish_batch must have one dimension"));
	/* text, json, jsonb and bytea: all of variable length, aligned as int */
	deconstruct_array(array, type, -1, false, TYPALIGN_INT, &column.values, &column.nulls, &column.count);
	return column;
}

static ArrayType *
optional_array(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : PG_GETARG_ARRAYTYPE_P(argument);
}

static void
check_length(const Column *column, const Column *payloads, const char *name)
{
	if (column->count >= 0 && column->count != payloads->count)
		ereport(ERROR,
				errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				errmsg("arrays of publish_batch differ in length"),
				errdetail("There are %d payloads and %d %s.", payloads->count, column->count, name));
}

static struct varlena *
batch_payload(Datum value, Oid type)
{
	struct varlena *payload;

	if (type == JSONBOID)
		return prism_jsonb_bytes(DatumGetJsonbP(value));
	payload = PG_DETOAST_DATUM_PACKED(value);
	if (type == TEXTOID)
		prism_text_refuse_bytes(payload);
	return payload;
}

/* Arguments: topic, payloads ('type'[]; InvalidOid: the text of a text[]), keys, headers, namespace. */
static Datum
publish_batch(FunctionCallInfo fcinfo, PrismPayloadForm form, Oid type)
{
	PrismTopic *topic = prism_publish_topic(optional_text(fcinfo, 0), optional_text(fcinfo, 4));
	bool		is_literal = !OidIsValid(type) && !PG_ARGISNULL(1);
	Column		payloads = array_column(is_literal ? prism_text_to_array(PG_GETARG_TEXT_PP(1), TEXTARRAYOID) : optional_array(fcinfo, 1),
										is_literal ? TEXTOID : type);
	Column		keys = array_column(optional_array(fcinfo, 2), TEXTOID);
	Column		headers = array_column(optional_array(fcinfo, 3), JSONBOID);
	MemoryContext row_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism publish_batch",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(row_cxt);

	prism_require_argument(payloads.count >= 0, "payloads");
	check_length(&keys, &payloads, "keys");
	check_length(&headers, &payloads, "headers");
	for (int i = 0; i < payloads.count; i++)
	{
		bool		has_key = keys.count > 0 && !keys.nulls[i];
		bool		has_headers = headers.count > 0 && !headers.nulls[i];

		CHECK_FOR_INTERRUPTS();
		prism_publish(topic, form,
					  payloads.nulls[i] ? NULL : batch_payload(payloads.values[i], is_literal ? TEXTOID : type),
					  has_key ? DatumGetTextPP(keys.values[i]) : NULL,
					  has_headers ? DatumGetJsonbP(headers.values[i]) : NULL);
		MemoryContextReset(row_cxt);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(row_cxt);
	PG_RETURN_INT64(payloads.count);
}

Datum
prism_publish_batch_jsonb(PG_FUNCTION_ARGS)
{
	return publish_batch(fcinfo, PRISM_PAYLOAD_JSON, JSONBOID);
}

Datum
prism_publish_batch_json(PG_FUNCTION_ARGS)
{
	return publish_batch(fcinfo, PRISM_PAYLOAD_JSON, JSONOID);
}

Datum
prism_publish_batch_text(PG_FUNCTION_ARGS)
{
	return publish_batch(fcinfo, PRISM_PAYLOAD_TEXT, TEXTOID);
}

Datum
prism_publish_batch_bytea(PG_FUNCTION_ARGS)
{
	return publish_batch(fcinfo, PRISM_PAYLOAD_BYTES, BYTEAOID);
}

/* What a parameter or literal without a type becomes. */
Datum
prism_publish_batch_literal(PG_FUNCTION_ARGS)
{
	return publish_batch(fcinfo, PRISM_PAYLOAD_TEXT, InvalidOid);
}

/* ---------- prism.last_position() ---------- */

Datum
prism_last_position(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const PrismLastPosition *positions;
	int			count = prism_log_last_positions(true, &positions);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < count; i++)
	{
		PrismTopic *topic = prism_topic_lookup_id(positions[i].topic_id, true);
		Datum		values[3];
		bool		nulls[3] = {false, false, false};

		/* dropped meanwhile, or prism's own */
		if (topic == NULL || topic->namespace_id == 0)
			continue;
		values[0] = CStringGetTextDatum(topic->name);
		values[1] = Int64GetDatum(positions[i].first);
		values[2] = Int64GetDatum(positions[i].last);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
