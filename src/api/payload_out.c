/*-------------------------------------------------------------------------
 *
 * payload_out.c
 *	  prism.payload_read(), prism.payload_pieces(), prism.payload_export(): the payload of one message, of any size.
 *
 * They are for payloads that are too large to be handed over with their message,
 * and do with any.  One in its row is in memory as a whole, as it is when it is
 * consumed; of one beside the log a piece at a time is, and nothing stays open
 * between pieces.
 *
 * src/api/payload_out.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/arguments.h"
#include "api/message.h"
#include "base/extension.h"
#include "store/log/log.h"
#include "store/payload/payload_end.h"
#include "store/payload/payload_hash.h"
#include "store/payload/payload_open.h"
#include "store/payload/payload_progress.h"
#include "store/payload/payload_read.h"

#include "fmgr.h"
#include "funcapi.h"
#include "libpq/be-fsstubs.h"
#include "libpq/libpq-fs.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(prism_payload_read);
PG_FUNCTION_INFO_V1(prism_payload_pieces);
PG_FUNCTION_INFO_V1(prism_payload_export);

#define PIECE_BYTES (1024 * 1024)
#define PIECE_BYTES_MAX ((int) MaxAllocSize - VARHDRSZ)

/* A payload that is being read; in the memory context in which it was found. */
typedef struct Payload
{
	int32		topic_id;
	int64		position;
	int64		size;
	struct varlena *value;		/* NULL: it lies beside the log */
	PrismClaim	claim;
	int64		next;			/* where the next piece begins */
	PrismPayloadHash *hash;		/* of those before it; NULL: nothing is proven by pieces */
} Payload;

/* ---------- finding ---------- */

static PrismTopic *
topic_argument(text *name, const char *function)
{
	char		buffer[PRISM_TOPIC_NAME_GIVEN];
	PrismTopic *topic;

	prism_require_primary(function);
	PreventCommandIfParallelMode(function);
	prism_check_version();
	text_to_cstring_buffer(name, buffer, sizeof(buffer));
	topic = prism_topic_lookup(buffer, true);
	/* a consumer may have been handed the message without it */
	if (topic != NULL && prism_topic_allows(topic, PRISM_CONSUME))
		return topic;
	return prism_topic_for(buffer, PRISM_READ);
}

pg_noreturn static void
refuse_payload(const PrismTopic *topic, int64 position, const PrismPayloadFault *fault)
{
	bool		cleaned = fault->sqlstate == ERRCODE_UNDEFINED_FILE && position < prism_payload_cleaned(topic);

	ereport(ERROR,
			errcode(fault->sqlstate),
			errmsg("cannot read the payload of message " INT64_FORMAT " of topic \"%s\"", position, topic->name),
			errdetail("It was published with one, but by now %s.",
					  cleaned ? "it was deleted, as the \"cleanup\" of its namespace says" : fault->why));
}

pg_noreturn static void
refuse_absent(PrismTopic *topic, int64 position, bool tombstone)
{
	/* what was dropped, perhaps just before it was reached, is missing without a trace */
	if (position >= 0 && !tombstone)
		prism_log_refuse_lost(topic, position, NULL);
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_OBJECT),
			tombstone
			? errmsg("message " INT64_FORMAT " of topic \"%s\" has no payload", position, topic->name)
			: errmsg("topic \"%s\" has no message at position " INT64_FORMAT, topic->name, position),
			tombstone
			? errdetail("It is a tombstone.")
			: errdetail("Of what this transaction publishes, and of what others have not committed, nothing can be read."));
}

static void
open_message(PrismTopic *topic, const PrismMessage *message, Payload *payload)
{
	PrismPayloadFault fault = {ERRCODE_DATA_CORRUPTED, "its payload is damaged: it cannot be fetched"};

	if (message->claim)
	{
		if (!prism_message_claim(&payload->claim, message, &fault))
			refuse_payload(topic, message->offset, &fault);
		payload->size = payload->claim.size;
		if (payload->claim.kind == PRISM_CLAIM_ROWS)
			prism_payload_hold_rows(topic, payload->claim.first_segment, payload->claim.segments);
		return;
	}
	payload->value = prism_log_value(message->payload);
	if (payload->value == NULL)
		refuse_payload(topic, message->offset, &fault);
	/* what lies in the row goes with it */
	if (payload->value == (struct varlena *) DatumGetPointer(message->payload))
		payload->value = (struct varlena *) PG_DETOAST_DATUM_COPY(message->payload);
	payload->size = VARSIZE_ANY_EXHDR(payload->value);
}

/* Arguments: topic, position. */
static Payload *
find_payload(FunctionCallInfo fcinfo, const char *function)
{
	PrismTopic *topic = topic_argument(prism_required_text(fcinfo, 0, "topic"), function);
	Payload    *payload = palloc0(sizeof(Payload));
	PrismReader *reader;
	PrismMessage message;

	prism_require_argument(!PG_ARGISNULL(1), "position");
	payload->topic_id = topic->topic_id;
	payload->position = PG_GETARG_INT64(1);
	if (payload->position < 0)
		refuse_absent(topic, payload->position, false);
	reader = prism_reader_open(topic, payload->position);
	if (!prism_reader_next(reader, &message) || message.offset != payload->position)
		refuse_absent(topic, payload->position, false);
	if (!message.has_payload)
		refuse_absent(topic, payload->position, true);
	open_message(topic, &message, payload);
	prism_reader_close(reader);
	return payload;
}

/* ---------- reading ---------- */

static int
bytes_argument(FunctionCallInfo fcinfo, int argument, const char *name, int min)
{
	int			bytes;

	prism_require_argument(!PG_ARGISNULL(argument), name);
	bytes = PG_GETARG_INT32(argument);
	if (bytes < min || bytes > PIECE_BYTES_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s is out of range", name),
				errdetail("It is %d; it can be from %d to %d.", bytes, min, PIECE_BYTES_MAX));
	return bytes;
}

static bytea *
slice_of_value(const struct varlena *value, int64 from, int64 bytes)
{
	Size		length = Max(Min(bytes, (int64) VARSIZE_ANY_EXHDR(value) - from), 0);
	bytea	   *slice = palloc(VARHDRSZ + length);

	SET_VARSIZE(slice, VARHDRSZ + length);
	if (length > 0)
		memcpy(VARDATA(slice), VARDATA_ANY(value) + from, length);
	return slice;
}

static bytea *
read_range(const Payload *payload, int64 from, int64 bytes)
{
	PrismPayloadFault fault;
	PrismTopic *topic;
	bytea	   *range;

	if (payload->value != NULL)
		return slice_of_value(payload->value, from, bytes);
	topic = prism_topic_lookup_id(payload->topic_id, false);
	range = prism_payload_fetch(topic, &payload->claim, from, bytes, &fault);
	if (range == NULL)
		refuse_payload(topic, payload->position, &fault);
	return range;
}

/* Pieces that are read one after the other prove the whole with the last one. */
static void
begin_pieces(Payload *payload, int piece)
{
	PrismTopic *topic = prism_topic_lookup_id(payload->topic_id, false);

	if (payload->value == NULL && payload->size > piece)
		payload->hash = prism_payload_hash_begin();
	prism_payload_progress_begin(PRISM_PAYLOAD_READ, topic, payload->position, payload->size);
}

/* The next piece, in the current memory context; NULL: there are no more. */
static bytea *
take_piece(Payload *payload, int piece)
{
	unsigned char sha256[PRISM_SHA256_BYTES];
	bytea	   *range;

	if (payload->next >= payload->size)
		return NULL;
	range = read_range(payload, payload->next, piece);
	payload->next += VARSIZE(range) - VARHDRSZ;
	prism_payload_progress_add(VARSIZE(range) - VARHDRSZ);
	if (payload->next >= payload->size)
		prism_payload_progress_end();
	if (payload->hash == NULL)
		return range;
	prism_payload_hash_add(payload->hash, VARDATA(range), VARSIZE(range) - VARHDRSZ);
	if (payload->next < payload->size)
		return range;
	prism_payload_hash_finish(payload->hash, sha256);
	payload->hash = NULL;
	if (memcmp(sha256, payload->claim.sha256, PRISM_SHA256_BYTES) != 0)
		refuse_payload(prism_topic_lookup_id(payload->topic_id, false), payload->position,
			   &(PrismPayloadFault) {ERRCODE_DATA_CORRUPTED, "its payload is damaged: its SHA-256 is another one"});
	return range;
}

/* Arguments: topic, position, from_byte, bytes. */
Datum
prism_payload_read(PG_FUNCTION_ARGS)
{
	int			bytes = bytes_argument(fcinfo, 3, "bytes", 0);
	Payload    *payload;

	prism_require_argument(!PG_ARGISNULL(2), "from_byte");
	if (PG_GETARG_INT64(2) < 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("from_byte must not be negative"),
				errdetail("It is " INT64_FORMAT ".", PG_GETARG_INT64(2)));
	payload = find_payload(fcinfo, "prism.payload_read()");
	PG_RETURN_BYTEA_P(read_range(payload, Min(PG_GETARG_INT64(2), payload->size), bytes));
}

/* Arguments: topic, position, piece. */
Datum
prism_payload_pieces(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;
	int			piece = bytes_argument(fcinfo, 2, "piece", 1);
	bytea	   *range;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext caller;
		Payload    *payload;

		context = SRF_FIRSTCALL_INIT();
		caller = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		payload = find_payload(fcinfo, "prism.payload_pieces()");
		begin_pieces(payload, piece);
		context->user_fctx = payload;
		MemoryContextSwitchTo(caller);
	}
	context = SRF_PERCALL_SETUP();
	range = take_piece(context->user_fctx, piece);
	if (range == NULL)
		SRF_RETURN_DONE(context);
	SRF_RETURN_NEXT(context, PointerGetDatum(range));
}

/* ---------- large objects ---------- */

/* Who may not make large objects himself does not get one by us. */
static void
require_function(Oid function)
{
	if (!DatumGetBool(DirectFunctionCall2(has_function_privilege_id, ObjectIdGetDatum(function), CStringGetTextDatum("EXECUTE"))))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for function %s", get_func_name(function)),
				errdetail("prism.payload_export() makes a large object."));
}

static void
write_piece(int descriptor, const bytea *range)
{
	int			length = (int) (VARSIZE(range) - VARHDRSZ);

	if (lo_write(descriptor, VARDATA(range), length) != length)
		elog(ERROR, "a large object has taken fewer bytes than it should");
}

/* Arguments: topic, position. */
Datum
prism_payload_export(PG_FUNCTION_ARGS)
{
	MemoryContext piece_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism exported piece", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = CurrentMemoryContext;
	Payload    *payload;
	bytea	   *range;
	Oid			object;
	int			descriptor;

	prism_require_writable("prism.payload_export()");
	require_function(F_LO_CREATE);
	require_function(F_LOWRITE);
	payload = find_payload(fcinfo, "prism.payload_export()");
	begin_pieces(payload, PIECE_BYTES);
	object = DatumGetObjectId(DirectFunctionCall1(be_lo_create, ObjectIdGetDatum(InvalidOid)));
	descriptor = DatumGetInt32(DirectFunctionCall2(be_lo_open, ObjectIdGetDatum(object), Int32GetDatum(INV_WRITE)));
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(piece_cxt);
		range = take_piece(payload, PIECE_BYTES);
		if (range != NULL)
			write_piece(descriptor, range);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(piece_cxt);
		if (range == NULL)
			break;
	}
	(void) DirectFunctionCall1(be_lo_close, Int32GetDatum(descriptor));
	MemoryContextDelete(piece_cxt);
	PG_RETURN_OID(object);
}
