/*-------------------------------------------------------------------------
 *
 * row.c
 *	  Rows of a segment in the making.
 *
 * What a commit fills in stands at fixed places at the begin of a row's data:
 * offset, created_at, remaining and messages (segment.h).
 *
 * src/store/log/row.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "store/log/row.h"
#include "store/log/segment.h"

#include "access/htup_details.h"
#include "access/toast_compression.h"
#include "access/toast_internals.h"

/* Shorter ones are not worth compressing: the row fits a page's quarter. */
#define COMPRESS_BYTES_MIN 2000

/* After a batch that did not become smaller by this part, this many are stored as they are. */
#define COMPRESS_GAIN_PART 4
#define INCOMPRESSIBLE_BATCHES 31

#define REMAINING_AT 16
#define MESSAGES_AT 20

/* Compress now what a commit would have to compress while readers wait for it. */
static Datum
compressed(Datum value)
{
#ifdef USE_LZ4
	char		method = TOAST_LZ4_COMPRESSION;
#else
	char		method = TOAST_PGLZ_COMPRESSION;
#endif
	Datum		result;

	if (VARATT_IS_EXTENDED(DatumGetPointer(value)) ||
		VARSIZE(DatumGetPointer(value)) < COMPRESS_BYTES_MIN)
		return value;
	result = toast_compress_datum(value, method);
	return DatumGetPointer(result) == NULL ? value : result;
}

static HeapTuple
form(const PrismMessage *message, int messages)
{
	Datum		values[PRISM_SEGMENT_COLUMNS];
	bool		nulls[PRISM_SEGMENT_COLUMNS];

	values[PRISM_COLUMN_OFFSET - 1] = Int64GetDatum(0);
	values[PRISM_COLUMN_CREATED_AT - 1] = TimestampTzGetDatum(message->created_at);
	values[PRISM_COLUMN_REMAINING - 1] = Int32GetDatum(0);
	values[PRISM_COLUMN_MESSAGES - 1] = Int32GetDatum(messages);
	values[PRISM_COLUMN_ID - 1] = UUIDPGetDatum(&message->id);
	values[PRISM_COLUMN_KEY - 1] = message->key;
	values[PRISM_COLUMN_HEADERS - 1] = message->headers;
	values[PRISM_COLUMN_PAYLOAD - 1] = message->payload;
	memset(nulls, false, sizeof(nulls));
	nulls[PRISM_COLUMN_KEY - 1] = !message->has_key;
	nulls[PRISM_COLUMN_HEADERS - 1] = !message->has_headers;
	nulls[PRISM_COLUMN_PAYLOAD - 1] = !message->has_payload;
	return heap_form_tuple(prism_segment_descriptor(), values, nulls);
}

HeapTuple
prism_row_form(const PrismMessage *message)
{
	PrismMessage smaller = *message;
	HeapTuple	tuple;

	Assert(!message->claim || message->has_payload);
	if (message->has_headers)
		smaller.headers = compressed(message->headers);
	if (message->has_payload && !message->claim)
		smaller.payload = compressed(message->payload);
	tuple = form(&smaller, message->claim ? PRISM_MESSAGES_CLAIM : 1);
	if (message->has_headers && smaller.headers != message->headers)
		pfree(DatumGetPointer(smaller.headers));
	if (message->has_payload && smaller.payload != message->payload)
		pfree(DatumGetPointer(smaller.payload));
	return tuple;
}

/* A batch of one is a row like any. */
static HeapTuple
seal_single(const PrismBatchBuilder *builder)
{
	PrismRow	row;
	PrismMessage message;
	HeapTuple	tuple;

	prism_row_init(&row);
	prism_row_begin_batch(&row, builder);
	if (!prism_row_next(&row, &message))
		elog(ERROR, "record batch is empty");
	tuple = prism_row_form(&message);
	prism_row_end(&row);
	return tuple;
}

/* Compress a batch, unless those before it gained little by that. */
static Datum
compressed_batch(Datum batch, int *incompressible)
{
	Size		bytes = VARSIZE(DatumGetPointer(batch));
	Datum		result;

	if (*incompressible > 0)
	{
		(*incompressible)--;
		return batch;
	}
	result = compressed(batch);
	if (bytes >= COMPRESS_BYTES_MIN && VARSIZE(DatumGetPointer(result)) > bytes - bytes / COMPRESS_GAIN_PART)
		*incompressible = INCOMPRESSIBLE_BATCHES;
	return result;
}

HeapTuple
prism_row_seal(const PrismBatchBuilder *builder, int *incompressible)
{
	PrismMessage whole = {.created_at = builder->created_at,.id = builder->id,.has_payload = true};
	struct varlena *batch;
	HeapTuple	tuple;

	if (builder->count == 1)
		return seal_single(builder);
	batch = palloc(VARHDRSZ + builder->length);
	SET_VARSIZE(batch, VARHDRSZ + builder->length);
	memcpy(VARDATA(batch), builder->bytes, builder->length);
	whole.payload = compressed_batch(PointerGetDatum(batch), incompressible);
	tuple = form(&whole, builder->count);
	if (whole.payload != PointerGetDatum(batch))
		pfree(DatumGetPointer(whole.payload));
	pfree(batch);
	return tuple;
}

void
prism_row_begin_tuple(PrismRow *row, HeapTuple tuple)
{
	Datum		values[PRISM_SEGMENT_COLUMNS];
	bool		nulls[PRISM_SEGMENT_COLUMNS];

	heap_deform_tuple(tuple, prism_segment_descriptor(), values, nulls);
	prism_row_begin(row, values, nulls);
}

/*
 * The next 'count' messages of a row, in a row of their own.  Its times are
 * counted from where they were: then no record becomes longer.
 */
static HeapTuple
take_messages(PrismRow *row, int count, PrismBatchBuilder *builder, int *incompressible)
{
	PrismMessage message;

	prism_batch_reset(builder, row->head.created_at);
	for (int i = 0; i < count; i++)
	{
		if (!prism_row_next(row, &message) || !prism_batch_add(builder, &message))
			elog(ERROR, "record batch cannot be split");
	}
	return prism_row_seal(builder, incompressible);
}

HeapTuple
prism_row_split(HeapTuple tuple, int count, PrismBatchBuilder *builder, int *incompressible, HeapTuple *rest)
{
	PrismRow	row;
	HeapTuple	first;

	prism_row_init(&row);
	prism_row_begin_tuple(&row, tuple);
	first = take_messages(&row, count, builder, incompressible);
	*rest = take_messages(&row, row.messages - count, builder, incompressible);
	prism_row_end(&row);
	return first;
}

void
prism_row_message(HeapTuple tuple, PrismMessage *message)
{
	PrismRow	row;

	prism_row_init(&row);
	prism_row_begin_tuple(&row, tuple);
	Assert(row.messages == 1);
	(void) prism_row_next(&row, message);
}

static inline char *
row_data(HeapTuple tuple)
{
	return (char *) tuple->t_data + tuple->t_data->t_hoff;
}

int
prism_row_messages(HeapTuple tuple)
{
	int32		messages;

	memcpy(&messages, row_data(tuple) + MESSAGES_AT, sizeof(messages));
	return Max(messages, 1);	/* one that is a claim */
}

int64
prism_row_offset(HeapTuple tuple)
{
	int64		offset;

	memcpy(&offset, row_data(tuple), sizeof(offset));
	return offset;
}

void
prism_row_number(HeapTuple tuple, int64 offset, int64 remaining)
{
	int32		remaining32 = (int32) Min(remaining, PG_INT32_MAX);

	memcpy(row_data(tuple), &offset, sizeof(offset));
	memcpy(row_data(tuple) + REMAINING_AT, &remaining32, sizeof(remaining32));
}
