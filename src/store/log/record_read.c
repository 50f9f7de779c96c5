/*-------------------------------------------------------------------------
 *
 * record_read.c
 *	  The messages of a row: of a record batch, or the one that the row is.
 *
 * Nothing that lies in a table is believed before it was looked at: anybody
 * may have written there, and a disk may lie.  Nothing throws either, as those
 * who read for many topics must not be stopped by one of them: a fault is named
 * in row->damage, and the row is at its end.
 *
 * src/store/log/record_read.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "store/log/log.h"
#include "store/log/record_batch.h"
#include "store/log/record_format.h"
#include "store/log/segment.h"

#include "access/detoast.h"
#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static bool
damaged(PrismRow *row, const char *what)
{
	row->damage = what;
	return false;
}

static inline bool
get_varint(PrismRow *row, uint64 *value)
{
	*value = 0;
	for (int shift = 0; row->at < row->end && shift < 64; shift += 7)
	{
		unsigned char byte = *row->at++;

		*value |= (uint64) (byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return damaged(row, "a number in its record batch is cut off");
}

/* The bytes of a part, behind their length. */
static inline bool
get_bytes(PrismRow *row, const char **bytes, Size *length)
{
	uint64		wanted;

	if (!get_varint(row, &wanted))
		return false;
	if (wanted > (uint64) (row->end - row->at))
		return damaged(row, "its record batch is cut off");
	*bytes = (const char *) row->at;
	row->at += wanted;
	*length = wanted;
	return true;
}

/*
 * Text in a batch is in UTF-8, whatever the server's encoding is (record_batch.c
 * keeps other text out): a dump takes it elsewhere as it is.
 */
static bool
convert_text(const char **bytes, Size *length)
{
	int			encoding = GetDatabaseEncoding();
	int			room;
	char	   *converted;
	Oid			function;

	if (!pg_verify_mbstr(PG_UTF8, *bytes, (int) *length, true))
		return false;
	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return true;
	function = FindDefaultConversionProc(PG_UTF8, encoding);
	if (!OidIsValid(function))
		return false;
	room = (int) *length * MAX_CONVERSION_GROWTH + 1;
	converted = palloc(room);
	if (pg_do_encoding_conversion_buf(function, PG_UTF8, encoding, (unsigned char *) unconstify(char *, *bytes), (int) *length,
									  (unsigned char *) converted, room, true) < (int) *length)
		return false;
	*bytes = converted;
	*length = strlen(converted);
	return true;
}

/* Text, as the server has it?  Nearly all of it is ASCII, which needs no function call. */
static inline bool
get_text(const char **bytes, Size *length)
{
	for (Size i = 0; i < *length; i++)
	{
		if (IS_HIGHBIT_SET((*bytes)[i]) || (*bytes)[i] == '\0')
			return convert_text(bytes, length);
	}
	return true;
}

/* As a varlena, in a buffer that the next message's will be in. */
static inline Datum
make_varlena(PrismRow *row, const char *bytes, Size length, struct varlena **buffer, Size *buffer_max)
{
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

static inline bool
get_payload(PrismRow *row, Datum *value)
{
	const char *bytes;
	Size		length;

	if (!get_bytes(row, &bytes, &length))
		return false;
	*value = make_varlena(row, bytes, length, &row->payload, &row->payload_max);
	return true;
}

static bool
get_key(PrismRow *row, Datum *value)
{
	const char *bytes;
	const char *key;
	Size		length;

	if (!get_bytes(row, &bytes, &length))
		return false;
	key = bytes;
	if (length > PRISM_BATCH_READ_MAX || !get_text(&key, &length))
		return damaged(row, "a key in its record batch is no text");
	*value = make_varlena(row, key, length, &row->key, &row->key_max);
	if (key != bytes)
		pfree(unconstify(char *, key));
	return true;
}

static bool
push_string(PrismRow *row, JsonbParseState **state, JsonbIteratorToken token)
{
	JsonbValue	item = {.type = jbvString};
	const char *bytes;
	Size		length;

	if (!get_bytes(row, &bytes, &length))
		return false;
	if (length > PRISM_HEADERS_BYTES_MAX || !get_text(&bytes, &length))
		return damaged(row, "a header in its record batch is no text");
	item.val.string.val = unconstify(char *, bytes);
	item.val.string.len = length;
	pushJsonbValue(state, token, &item);
	return true;
}

static bool
push_headers(PrismRow *row, uint64 count)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (uint64 i = 0; i < count; i++)
	{
		if (!push_string(row, &state, WJB_KEY) || !push_string(row, &state, WJB_VALUE))
			return false;
	}
	row->headers = (struct varlena *) JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	return true;
}

static bool
get_headers(PrismRow *row)
{
	MemoryContext caller;
	uint64		count;
	bool		good;

	/* each name and each value has a length of a byte at least */
	if (!get_varint(row, &count))
		return false;
	if (count > (uint64) (row->end - row->at) / 2)
		return damaged(row, "headers in its record batch are cut off");
	/* what making them leaves behind would add up in a long scan */
	if (row->headers_cxt == NULL)
		row->headers_cxt = AllocSetContextCreate(row->mcxt, "prism headers", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(row->headers_cxt);
	row->headers = NULL;
	caller = MemoryContextSwitchTo(row->headers_cxt);
	good = push_headers(row, count);
	MemoryContextSwitchTo(caller);
	return good;
}

/* Pass over headers without making them. */
static bool
skip_headers(PrismRow *row)
{
	uint64		count;
	const char *bytes;
	Size		length;

	if (!get_varint(row, &count))
		return false;
	for (uint64 i = 0; i < count; i++)
	{
		if (!get_bytes(row, &bytes, &length) || !get_bytes(row, &bytes, &length))
			return false;
	}
	return true;
}

void
prism_row_init(PrismRow *row)
{
	memset(row, 0, sizeof(*row));
	row->mcxt = CurrentMemoryContext;
}

static bool
begin_bytes(PrismRow *row, const void *bytes, Size length)
{
	row->plain = false;
	row->at = bytes;
	row->end = row->at + length;
	if (length == 0 || *row->at++ != BATCH_VERSION)
		return damaged(row, "its record batch is of an unknown version");
	return true;
}

static bool
begin_batch(PrismRow *row, Datum payload)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(payload);
	MemoryContext caller;
	struct varlena *batch;

	if (VARATT_IS_EXTERNAL(stored) && !VARATT_IS_EXTERNAL_ONDISK(stored))
		return damaged(row, "its record batch is not there");
	/* the format allows for more, but nobody has ever written it */
	if (toast_raw_datum_size(payload) - VARHDRSZ > PRISM_BATCH_READ_MAX)
		return damaged(row, "its record batch is too long");
	caller = MemoryContextSwitchTo(row->mcxt);
	batch = prism_log_value(payload);
	MemoryContextSwitchTo(caller);
	if (batch == NULL)
		return damaged(row, "its record batch cannot be decompressed");
	row->detoasted = batch != stored ? batch : NULL;
	return begin_bytes(row, VARDATA_ANY(batch), VARSIZE_ANY_EXHDR(batch));
}

static void
end_batch(PrismRow *row)
{
	if (row->detoasted != NULL)
		pfree(row->detoasted);
	row->detoasted = row->headers = NULL;
	row->damage = NULL;
}

/* The columns that every row has. */
static bool
begin_columns(PrismRow *row, const Datum *values, const bool *nulls)
{
	PrismMessage *head = &row->head;

	for (int i = PRISM_COLUMN_OFFSET; i <= PRISM_COLUMN_ID; i++)
	{
		if (nulls[i - 1])
			return damaged(row, "a column that every row has is null");
	}
	head->created_at = DatumGetTimestampTz(values[PRISM_COLUMN_CREATED_AT - 1]);
	head->remaining = DatumGetInt32(values[PRISM_COLUMN_REMAINING - 1]);
	head->id = *DatumGetUUIDP(values[PRISM_COLUMN_ID - 1]);
	row->messages = DatumGetInt32(values[PRISM_COLUMN_MESSAGES - 1]);
	if (row->messages == PRISM_MESSAGES_CLAIM)
	{
		head->claim = true;
		row->messages = 1;
	}
	if (!IS_VALID_TIMESTAMP(head->created_at))
	{
		head->created_at = 0;
		return damaged(row, "its time is out of range");
	}
	if (head->remaining < 0)
		return damaged(row, "its place in its transaction is out of range");
	if (row->messages < 1 || row->messages > PRISM_BATCH_MESSAGES_MAX)
		return damaged(row, "the number of its messages is out of range");
	return true;
}

void
prism_row_begin(PrismRow *row, const Datum *values, const bool *nulls)
{
	PrismMessage *head = &row->head;

	end_batch(row);
	row->next = 0;
	row->plain = false;
	head->claim = head->withheld = false;
	head->offset = nulls[PRISM_COLUMN_OFFSET - 1] ? -1 : DatumGetInt64(values[PRISM_COLUMN_OFFSET - 1]);
	if (!begin_columns(row, values, nulls))
	{
		row->messages = 1;
		return;
	}
	head->has_key = !nulls[PRISM_COLUMN_KEY - 1];
	head->has_headers = !nulls[PRISM_COLUMN_HEADERS - 1];
	head->has_payload = !nulls[PRISM_COLUMN_PAYLOAD - 1];
	head->key = values[PRISM_COLUMN_KEY - 1];
	head->headers = values[PRISM_COLUMN_HEADERS - 1];
	head->payload = values[PRISM_COLUMN_PAYLOAD - 1];
	row->plain = row->messages == 1;
	if (row->plain)
	{
		if (head->claim && !head->has_payload)
			(void) damaged(row, "it should have a claim to its payload, and has none");
		return;
	}
	if (!head->has_payload)
		(void) damaged(row, "it should be a record batch, and has no payload");
	else
		(void) begin_batch(row, head->payload);
}

void
prism_row_begin_batch(PrismRow *row, const PrismBatchBuilder *builder)
{
	end_batch(row);
	row->head = (PrismMessage) {.created_at = builder->created_at};
	row->messages = builder->count;
	row->next = 0;
	(void) begin_bytes(row, builder->bytes, builder->length);
}

/* The record at hand; what comes first, before the parts that a flag announces. */
static bool
read_fixed_part(PrismRow *row, PrismMessage *message, unsigned char *flags)
{
	uint64		delta;

	if (row->end - row->at < RECORD_BYTES_MIN)
		return damaged(row, "its record batch has fewer messages than it should");
	*flags = *row->at++;
	memcpy(message->id.data, row->at, UUID_LEN);
	row->at += UUID_LEN;
	if (!get_varint(row, &delta))
		return false;
	if ((*flags & ~RECORD_FLAGS) != 0)
		return damaged(row, "a message of its record batch has unknown parts");
	message->created_at = row->head.created_at + (int64) (delta >> 1 ^ -(delta & 1));
	return IS_VALID_TIMESTAMP(message->created_at) ||
		damaged(row, "the time of a message in its record batch is out of range");
}

/* The record at hand, with all its parts. */
static bool
get_record(PrismRow *row, PrismMessage *message)
{
	unsigned char flags;

	if (!read_fixed_part(row, message, &flags))
		return false;
	message->has_key = (flags & RECORD_KEY) != 0;
	message->has_headers = (flags & RECORD_HEADERS) != 0;
	message->has_payload = (flags & RECORD_PAYLOAD) != 0;
	message->claim = message->withheld = false;
	if (message->has_key && !get_key(row, &message->key))
		return false;
	if (message->has_headers)
	{
		if ((flags & RECORD_SAME_HEADERS) == 0 && !get_headers(row))
			return false;
		if (row->headers == NULL)
			return damaged(row, "headers in its record batch are missing");
		message->headers = PointerGetDatum(row->headers);
	}
	return !message->has_payload || get_payload(row, &message->payload);
}

bool
prism_row_next(PrismRow *row, PrismMessage *message)
{
	if (row->damage != NULL || row->next >= row->messages)
		return false;
	if (row->plain)
	{
		row->next = 1;
		*message = row->head;
		return true;
	}
	message->offset = row->head.offset + row->next;
	message->remaining = Max(row->head.remaining - row->next, 0);
	if (!get_record(row, message))
		return false;
	if (row->next + 1 == row->messages && row->at != row->end)
		return damaged(row, "its record batch has more messages than it should");
	row->next++;
	return true;
}

/* Pass over a record; where its headers lie, if it has any of its own. */
static bool
skip_record(PrismRow *row, const unsigned char **headers_at)
{
	PrismMessage message;
	unsigned char flags;
	const char *bytes;
	Size		length;

	if (!read_fixed_part(row, &message, &flags) ||
		((flags & RECORD_KEY) != 0 && !get_bytes(row, &bytes, &length)))
		return false;
	if ((flags & RECORD_HEADERS) != 0 && (flags & RECORD_SAME_HEADERS) == 0)
	{
		*headers_at = row->at;
		if (!skip_headers(row))
			return false;
	}
	return (flags & RECORD_PAYLOAD) == 0 || get_bytes(row, &bytes, &length);
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
	while (row->damage == NULL && row->next < row->messages && row->head.offset + row->next < offset)
	{
		if (skip_record(row, &headers_at))
			row->next++;
	}
	if (headers_at != NULL && row->damage == NULL)
	{
		/* records to come may refer to them */
		const unsigned char *at = row->at;

		row->at = headers_at;
		(void) get_headers(row);
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
