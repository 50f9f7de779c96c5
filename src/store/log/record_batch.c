/*-------------------------------------------------------------------------
 *
 * record_batch.c
 *	  Record batches in the making.
 *
 * src/store/log/record_batch.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "store/log/record_batch.h"
#include "store/log/record_format.h"

#include "access/detoast.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

void
prism_batch_init(PrismBatchBuilder *builder)
{
	/* a record is written before it is known whether it fits */
	builder->bytes = palloc(PRISM_BATCH_BYTES_MAX + PRISM_RECORD_BYTES_MAX + RECORD_OVERHEAD_MAX);
	prism_batch_reset(builder, 0);
}

void
prism_batch_reset(PrismBatchBuilder *builder, TimestampTz created_at)
{
	builder->bytes[0] = BATCH_VERSION;
	builder->length = 1;
	builder->count = 0;
	builder->created_at = created_at;
	builder->headers_at = builder->headers_end = 0;
}

/* Bytes of a part; a compressed one counts as what it will be. */
static Size
part_bytes(bool present, Datum value)
{
	return present ? toast_raw_datum_size(value) - VARHDRSZ : 0;
}

static bool
is_ascii(const char *bytes, Size length)
{
	for (Size i = 0; i < length; i++)
	{
		if (IS_HIGHBIT_SET(bytes[i]))
			return false;
	}
	return true;
}

static bool
is_ascii_key(Datum key)
{
	text	   *plain = DatumGetTextPP(key);
	bool		ascii = is_ascii(VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));

	if ((Pointer) plain != DatumGetPointer(key))
		pfree(plain);
	return ascii;
}

static bool
is_ascii_headers(Datum value)
{
	Jsonb	   *headers = DatumGetJsonbP(value);
	JsonbIterator *iterator = JsonbIteratorInit(&headers->root);
	JsonbIteratorToken token;
	JsonbValue	item;
	bool		ascii = true;

	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if ((token == WJB_KEY || token == WJB_VALUE) && item.type == jbvString)
			ascii = ascii && is_ascii(item.val.string.val, item.val.string.len);
	}
	if ((Pointer) headers != DatumGetPointer(value))
		pfree(headers);
	return ascii;
}

/*
 * A dump takes a batch elsewhere as it is, but converts the columns of a row:
 * what is not the same in UTF-8 as here gets a row of its own.
 */
static bool
is_portable(const PrismMessage *message)
{
	return (!message->has_key || is_ascii_key(message->key)) &&
		(!message->has_headers || is_ascii_headers(message->headers));
}

bool
prism_batch_takes(const PrismMessage *message)
{
	return !message->claim && part_bytes(message->has_key, message->key) +
		part_bytes(message->has_headers, message->headers) +
		part_bytes(message->has_payload, message->payload) <= PRISM_RECORD_BYTES_MAX &&
		(GetDatabaseEncoding() == PG_UTF8 || is_portable(message));
}

/* Room was made sure of. */
static inline unsigned char *
put_varint(unsigned char *at, uint64 value)
{
	while (value >= 0x80)
	{
		*at++ = (unsigned char) (value | 0x80);
		value >>= 7;
	}
	*at++ = (unsigned char) value;
	return at;
}

static inline unsigned char *
put_bytes(unsigned char *at, const char *bytes, Size length)
{
	at = put_varint(at, length);
	memcpy(at, bytes, length);
	return at + length;
}

static inline unsigned char *
put_varlena(unsigned char *at, Datum value)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(value);
	struct varlena *plain = pg_detoast_datum_packed(stored);

	at = put_bytes(at, VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
	if (plain != stored)
		pfree(plain);
	return at;
}

/* publish() checks what it is given: this comes out of a table. */
pg_noreturn static void
refuse_headers(void)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("headers of a message are no flat JSON object of strings"));
}

static unsigned char *
put_headers(unsigned char *at, Jsonb *headers)
{
	JsonbIterator *iterator = JsonbIteratorInit(&headers->root);
	JsonbIteratorToken token;
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(headers))
		refuse_headers();
	at = put_varint(at, JB_ROOT_COUNT(headers));
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token != WJB_KEY && token != WJB_VALUE)
			continue;
		if (value.type != jbvString)
			refuse_headers();
		at = put_bytes(at, value.val.string.val, value.val.string.len);
	}
	return at;
}

/* Headers equal to the last ones are not written again: often all messages of a batch have the same. */
static unsigned char *
put_changed_headers(PrismBatchBuilder *builder, unsigned char *at, Datum value, unsigned char *flags)
{
	Jsonb	   *headers = DatumGetJsonbP(value);
	unsigned char *end = put_headers(at, headers);
	Size		bytes = end - at;

	if ((Pointer) headers != DatumGetPointer(value))
		pfree(headers);
	*flags |= RECORD_HEADERS;
	if (builder->headers_end - builder->headers_at == (int) bytes &&
		memcmp(builder->bytes + builder->headers_at, at, bytes) == 0)
	{
		*flags |= RECORD_SAME_HEADERS;
		return at;
	}
	builder->headers_at = at - builder->bytes;
	builder->headers_end = end - builder->bytes;
	return end;
}

bool
prism_batch_add(PrismBatchBuilder *builder, const PrismMessage *message)
{
	unsigned char *begin = builder->bytes + builder->length;
	unsigned char *at = begin + 1;
	unsigned char flags = 0;
	int			headers_at = builder->headers_at;
	int			headers_end = builder->headers_end;
	int64		delta = message->created_at - builder->created_at;

	Assert(prism_batch_takes(message));
	if (builder->count == PRISM_BATCH_MESSAGES_MAX ||
		(builder->count > 0 && (delta > PRISM_BATCH_SPAN_US || delta < -PRISM_BATCH_SPAN_US)))
		return false;
	memcpy(at, message->id.data, UUID_LEN);
	at += UUID_LEN;
	at = put_varint(at, (uint64) delta << 1 ^ (uint64) (delta >> 63));
	if (message->has_key)
	{
		flags |= RECORD_KEY;
		at = put_varlena(at, message->key);
	}
	if (message->has_headers)
		at = put_changed_headers(builder, at, message->headers, &flags);
	if (message->has_payload)
	{
		flags |= RECORD_PAYLOAD;
		at = put_varlena(at, message->payload);
	}
	*begin = flags;
	if (at - builder->bytes > PRISM_BATCH_BYTES_MAX)
	{
		builder->headers_at = headers_at;
		builder->headers_end = headers_end;
		return false;
	}
	if (builder->count == 0)
		builder->id = message->id;
	builder->length = at - builder->bytes;
	builder->count++;
	return true;
}
