/*-------------------------------------------------------------------------
 *
 * large_object.c
 *	  prism.publish_large_object(): a message of the bytes of a large object.
 *
 * src/api/large_object.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/arguments.h"
#include "api/payload_stream.h"
#include "api/publish.h"
#include "store/log/log.h"
#include "store/payload/payload_codec.h"
#include "store/payload/payload_id.h"
#include "store/payload/payload_make.h"

#include "fmgr.h"
#include "libpq/be-fsstubs.h"
#include "libpq/libpq-fs.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(prism_publish_large_object);

/* An open one. */
typedef struct LargeObject
{
	int			descriptor;		/* as lo_open() gives it: whatever happens, the server closes it */
	int64		size;
	char	   *buffer;			/* of a block */
} LargeObject;

static int64
seek_object(const LargeObject *object, int64 offset, int whence)
{
	return DatumGetInt64(DirectFunctionCall3(be_lo_lseek64, Int32GetDatum(object->descriptor), Int64GetDatum(offset), Int32GetDatum(whence)));
}

/* 42704 and 42501 are PostgreSQL's. */
static LargeObject
open_object(Oid oid)
{
	LargeObject object = {
		.descriptor = DatumGetInt32(DirectFunctionCall2(be_lo_open, ObjectIdGetDatum(oid), Int32GetDatum(INV_READ)))
	};

	object.size = seek_object(&object, 0, SEEK_END);
	(void) seek_object(&object, 0, SEEK_SET);
	return object;
}

static void
read_bytes(const LargeObject *object, char *buffer, Size length)
{
	/* less than asked for comes at the end alone, and that was sought */
	if (lo_read(object->descriptor, buffer, (int) length) != (int) length)
		elog(ERROR, "a large object has fewer bytes than it should");
}

/* PrismPayloadSource: blocks follow each other, so nothing is sought. */
static const char *
next_block(void *source, int64 from, Size length)
{
	LargeObject *object = source;

	read_bytes(object, object->buffer, length);
	return object->buffer;
}

static bytea *
whole_object(const LargeObject *object)
{
	bytea	   *whole = palloc(VARHDRSZ + object->size);

	SET_VARSIZE(whole, VARHDRSZ + object->size);
	read_bytes(object, VARDATA(whole), object->size);
	return whole;
}

/* Beside the log.  The claim to one that no value can hold has no list of blocks, which would be long: it is stored as it is. */
static void
put_beside(LargeObject *object, PrismTopic *topic, const PrismClaimCheckOptions *options, PrismClaim *claim)
{
	PrismPayloadEncoding encoding = object->size <= (int64) MaxAllocSize ? options->encoding : PRISM_PAYLOAD_PLAIN;
	pg_uuid_t	id;

	prism_payload_make_id(&id);
	object->buffer = palloc(PRISM_PAYLOAD_BLOCK_BYTES);
	prism_payload_make_from(topic, options->store_id, &id, encoding, object->size, next_block, object, claim);
	pfree(object->buffer);
}

/* Arguments: topic, large_object, key, headers, namespace, deliver_at. */
Datum
prism_publish_large_object(PG_FUNCTION_ARGS)
{
	PrismTopic *topic = prism_publish_topic(PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0), PG_ARGISNULL(4) ? NULL : PG_GETARG_TEXT_PP(4));
	TimestampTz deliver_at = PG_ARGISNULL(5) ? PRISM_DELIVER_AT_ONCE : prism_publish_check_time(PG_GETARG_TIMESTAMPTZ(5));
	text	   *key = PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2);
	Jsonb	   *headers = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	const PrismClaimCheckOptions *options = prism_stream_claim_check(topic);
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	LargeObject object;

	prism_require_argument(!PG_ARGISNULL(1), "large_object");
	prism_log_check_may_publish();
	object = open_object(PG_GETARG_OID(1));
	prism_publish_check_size(topic, object.size);
	if (options == NULL || prism_stream_is_inline(options, object.size))
		*id = prism_publish_as(topic, NULL, deliver_at, PRISM_PAYLOAD_BYTES, whole_object(&object), key, headers).id;
	else
	{
		PrismClaim	claim;

		put_beside(&object, topic, options, &claim);
		*id = prism_publish_claim(topic, deliver_at, &claim, key, headers).id;
	}
	(void) DirectFunctionCall1(be_lo_close, Int32GetDatum(object.descriptor));
	PG_RETURN_UUID_P(id);
}
