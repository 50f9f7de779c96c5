/*-------------------------------------------------------------------------
 *
 * record_batch.c
 *	  Small messages of one transaction share a row of the segment.
 *
 * src/store/record_batch.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "compat.h"
#include "store/record_batch.h"
#include "store/segment.h"

#include "access/detoast.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#define BATCH_VERSION 1

/* Flags of a record. */
#define RECORD_KEY (1 << 0)
#define RECORD_HEADERS (1 << 1)
#define RECORD_PAYLOAD (1 << 2)
#define RECORD_SAME_HEADERS (1 << 3)	/* those of the last record that had any of its own */

/* A varint of 64 bits has at most so many bytes. */
#define VARINT_BYTES_MAX 10

/* Flags, id, time: no record is smaller. */
#define RECORD_BYTES_MIN (1 + UUID_LEN + 1)

/*
 * A record's bytes beside its parts: flags, id, time and three lengths.  What
 * headers need beside their strings is less than in jsonb, which counts.
 */
#define RECORD_OVERHEAD_MAX (1 + UUID_LEN + 4 * VARINT_BYTES_MAX)

/* ---------- writing ---------- */

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

bool
prism_batch_takes(const PrismMessage *message)
{
	return part_bytes(message->has_key, message->key) +
		part_bytes(message->has_headers, message->headers) +
		part_bytes(message->has_payload, message->payload) <= PRISM_RECORD_BYTES_MAX;
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

static unsigned char *
put_headers(unsigned char *at, Jsonb *headers)
{
	JsonbIterator *iterator = JsonbIteratorInit(&headers->root);
	JsonbIteratorToken token;
	JsonbValue	value;

	at = put_varint(at, JB_ROOT_COUNT(headers));
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY || token == WJB_VALUE)
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

/* ---------- reading ---------- */

pg_noreturn static void
corrupted(const PrismRow *row)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("record batch at position " INT64_FORMAT " is damaged", row->head.offset),
			errdetail("It should hold %d messages.", row->messages));
}

static inline uint64
get_varint(PrismRow *row)
{
	uint64		value = 0;

	for (int shift = 0; row->at < row->end && shift < 64; shift += 7)
	{
		unsigned char byte = *row->at++;

		value |= (uint64) (byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	corrupted(row);
}

/* The bytes of a part, behind their length. */
static inline const char *
get_bytes(PrismRow *row, Size *length)
{
	const char *bytes;
	uint64		wanted = get_varint(row);

	if (wanted > (uint64) (row->end - row->at))
		corrupted(row);
	bytes = (const char *) row->at;
	row->at += wanted;
	*length = wanted;
	return bytes;
}

/* A part as a varlena, in a buffer that the next message's will be in. */
static inline Datum
get_varlena(PrismRow *row, struct varlena **buffer, Size *buffer_max)
{
	Size		length;
	const char *bytes = get_bytes(row, &length);

	if (*buffer_max < VARHDRSZ + length)
	{
		if (*buffer != NULL)
			pfree(*buffer);
		*buffer_max = Max(VARHDRSZ + length, 512);
		*buffer = MemoryContextAlloc(row->mcxt, *buffer_max);
	}
	memcpy(VARDATA(*buffer), bytes, length);
	SET_VARSIZE(*buffer, VARHDRSZ + length);
	return PointerGetDatum(*buffer);
}

static void
push_string(PrismRow *row, JsonbParseState **state, JsonbIteratorToken token)
{
	JsonbValue	item = {.type = jbvString};
	Size		length;

	item.val.string.val = unconstify(char *, get_bytes(row, &length));
	item.val.string.len = length;
	pushJsonbValue(state, token, &item);
}

static void
get_headers(PrismRow *row)
{
	MemoryContext caller;
	JsonbParseState *state = NULL;
	uint64		count = get_varint(row);

	/* what making them leaves behind would add up in a long scan */
	if (row->headers_cxt == NULL)
		row->headers_cxt = AllocSetContextCreate(row->mcxt, "prism headers", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(row->headers_cxt);
	row->headers = NULL;
	caller = MemoryContextSwitchTo(row->headers_cxt);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (uint64 i = 0; i < count; i++)
	{
		push_string(row, &state, WJB_KEY);
		push_string(row, &state, WJB_VALUE);
	}
	row->headers = (struct varlena *) JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	MemoryContextSwitchTo(caller);
}

/* Pass over headers without making them. */
static void
skip_headers(PrismRow *row)
{
	uint64		strings = get_varint(row) * 2;
	Size		length;

	while (strings-- > 0)
		(void) get_bytes(row, &length);
}

void
prism_row_init(PrismRow *row)
{
	memset(row, 0, sizeof(*row));
	row->mcxt = CurrentMemoryContext;
}

static void
begin_bytes(PrismRow *row, const void *bytes, Size length)
{
	row->plain = false;
	row->at = bytes;
	row->end = row->at + length;
	if (length == 0 || *row->at++ != BATCH_VERSION)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("record batch at position " INT64_FORMAT " is of an unknown version", row->head.offset),
				errhint("It was written by a newer version of prism."));
}

static void
begin_batch(PrismRow *row, Datum payload)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(payload);
	MemoryContext caller = MemoryContextSwitchTo(row->mcxt);
	struct varlena *batch = pg_detoast_datum_packed(stored);

	MemoryContextSwitchTo(caller);
	row->detoasted = batch != stored ? batch : NULL;
	begin_bytes(row, VARDATA_ANY(batch), VARSIZE_ANY_EXHDR(batch));
}

static void
end_batch(PrismRow *row)
{
	if (row->detoasted != NULL)
		pfree(row->detoasted);
	row->detoasted = row->headers = NULL;
}

void
prism_row_begin(PrismRow *row, const Datum *values, const bool *nulls)
{
	PrismMessage *head = &row->head;

	end_batch(row);
	head->offset = DatumGetInt64(values[PRISM_COLUMN_OFFSET - 1]);
	head->created_at = DatumGetTimestampTz(values[PRISM_COLUMN_CREATED_AT - 1]);
	head->remaining = DatumGetInt32(values[PRISM_COLUMN_REMAINING - 1]);
	head->id = *DatumGetUUIDP(values[PRISM_COLUMN_ID - 1]);
	head->has_key = !nulls[PRISM_COLUMN_KEY - 1];
	head->has_headers = !nulls[PRISM_COLUMN_HEADERS - 1];
	head->has_payload = !nulls[PRISM_COLUMN_PAYLOAD - 1];
	head->key = values[PRISM_COLUMN_KEY - 1];
	head->headers = values[PRISM_COLUMN_HEADERS - 1];
	head->payload = values[PRISM_COLUMN_PAYLOAD - 1];
	row->messages = DatumGetInt32(values[PRISM_COLUMN_MESSAGES - 1]);
	row->next = 0;
	row->plain = row->messages == 1;
	if (row->messages < 1 || row->messages > PRISM_BATCH_MESSAGES_MAX || (!row->plain && !head->has_payload))
		corrupted(row);
	if (!row->plain)
		begin_batch(row, head->payload);
}

void
prism_row_begin_batch(PrismRow *row, const PrismBatchBuilder *builder)
{
	end_batch(row);
	row->head = (PrismMessage) {.created_at = builder->created_at};
	row->messages = builder->count;
	row->next = 0;
	begin_bytes(row, builder->bytes, builder->length);
}

/* The record at hand; what comes first, before the parts that a flag announces. */
static unsigned char
begin_record(PrismRow *row, PrismMessage *message)
{
	unsigned char flags;
	uint64		delta;

	if (row->end - row->at < RECORD_BYTES_MIN)
		corrupted(row);
	flags = *row->at++;
	memcpy(message->id.data, row->at, UUID_LEN);
	row->at += UUID_LEN;
	delta = get_varint(row);
	message->created_at = row->head.created_at + (int64) (delta >> 1 ^ -(delta & 1));
	return flags;
}

bool
prism_row_next(PrismRow *row, PrismMessage *message)
{
	unsigned char flags;

	if (row->next >= row->messages)
		return false;
	if (row->plain)
	{
		row->next = 1;
		*message = row->head;
		return true;
	}
	message->offset = row->head.offset + row->next;
	message->remaining = Max(row->head.remaining - row->next, 0);
	flags = begin_record(row, message);
	message->has_key = (flags & RECORD_KEY) != 0;
	message->has_headers = (flags & RECORD_HEADERS) != 0;
	message->has_payload = (flags & RECORD_PAYLOAD) != 0;
	if (message->has_key)
		message->key = get_varlena(row, &row->key, &row->key_max);
	if (message->has_headers)
	{
		if ((flags & RECORD_SAME_HEADERS) == 0)
			get_headers(row);
		else if (row->headers == NULL)
			corrupted(row);
		message->headers = PointerGetDatum(row->headers);
	}
	if (message->has_payload)
		message->payload = get_varlena(row, &row->payload, &row->payload_max);
	if (++row->next == row->messages && row->at != row->end)
		corrupted(row);
	return true;
}

void
prism_row_skip(PrismRow *row, int64 offset)
{
	const unsigned char *headers_at = NULL;

	if (row->plain)
	{
		row->next = offset > row->head.offset ? 1 : 0;
		return;
	}
	while (row->next < row->messages && row->head.offset + row->next < offset)
	{
		PrismMessage message;
		unsigned char flags = begin_record(row, &message);
		Size		length;

		if (flags & RECORD_KEY)
			(void) get_bytes(row, &length);
		if ((flags & RECORD_HEADERS) != 0 && (flags & RECORD_SAME_HEADERS) == 0)
		{
			headers_at = row->at;
			skip_headers(row);
		}
		if (flags & RECORD_PAYLOAD)
			(void) get_bytes(row, &length);
		row->next++;
	}
	if (headers_at != NULL)
	{
		/* records to come may refer to them */
		const unsigned char *at = row->at;

		row->at = headers_at;
		get_headers(row);
		row->at = at;
	}
}

void
prism_row_end(PrismRow *row)
{
	end_batch(row);
	if (row->key != NULL)
		pfree(row->key);
	if (row->payload != NULL)
		pfree(row->payload);
	if (row->headers_cxt != NULL)
		MemoryContextDelete(row->headers_cxt);
	row->key = row->payload = NULL;
	row->headers_cxt = NULL;
	row->key_max = row->payload_max = 0;
	row->messages = row->next = 0;
}
