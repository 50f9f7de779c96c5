/*-------------------------------------------------------------------------
 *
 * row_cache.c
 *	  Rows of a log that this session has read and not delivered yet.
 *
 * src/store/log/row_cache.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "store/log/row_cache.h"

#include "utils/memutils.h"

/* Spare rows that a session keeps at most, and memory from which on it keeps none. */
#define SPARE_MAX 64
#define SPARE_START 16
#define SPARE_BYTES_MAX (64 * 1024)
/* Finding a row by the index costs about eight times what reading on to it costs: spare rows pay when one of eight is used. */
#define SPARE_WORTH 8

#define ROWS_START 128
/* A large delivery's memory is not kept for the session's life. */
#define MEMORY_KEPT_MAX (256 * 1024)

/* The Datums' bytes follow the struct. */
typedef struct Row
{
	PrismMessage message;
	Size		bytes;
	bool		spare;			/* and not delivered yet */
} Row;

static struct
{
	MemoryContext mcxt;			/* holds the rows */
	int32		topic_id;
	Oid			mark_relid;		/* tells topics of the same number apart: the extension may have been made anew */
	Row		  **rows;			/* by ascending offset, from 'first' on */
	int			first;
	int			end;
	int			size;
	Size		bytes;
	int			spare_count;

	int			span;			/* spare rows to keep */
	int			hits;			/* spare rows that were delivered, since span was set */
	int			misses;			/* ... forgotten */
}			cache;

/* ---------- learning ---------- */

static void
spare_ends(bool hit)
{
	cache.spare_count--;
	if (hit)
		cache.hits++;
	else
		cache.misses++;
	if (cache.hits + cache.misses < cache.span)
		return;
	cache.span = cache.hits * SPARE_WORTH >= cache.hits + cache.misses
		? Min(cache.span * 2, SPARE_MAX)
		: Max(cache.span / 2, 1);
	cache.hits = cache.misses = 0;
}

int
prism_rows_spare(void)
{
	return cache.bytes < SPARE_BYTES_MAX ? Max(cache.span - cache.spare_count, 0) : 0;
}

/* ---------- keeping and forgetting ---------- */

static void
forget_first(void)
{
	Row		   *row = cache.rows[cache.first++];

	if (row->spare)
		spare_ends(false);
	cache.bytes -= row->bytes;
	pfree(row);
}

void
prism_rows_forget_below(int64 offset)
{
	while (cache.first < cache.end && cache.rows[cache.first]->message.offset < offset)
		forget_first();
	if (cache.first == cache.end && MemoryContextMemAllocated(cache.mcxt, false) > MEMORY_KEPT_MAX)
		MemoryContextReset(cache.mcxt);
}

void
prism_rows_use(const PrismTopic *topic)
{
	if (cache.mcxt == NULL)
	{
		cache.mcxt = AllocSetContextCreate(TopMemoryContext, "prism rows", ALLOCSET_DEFAULT_SIZES);
		cache.rows = MemoryContextAlloc(TopMemoryContext, ROWS_START * sizeof(Row *));
		cache.size = ROWS_START;
		cache.span = SPARE_START;
	}
	/* far more than spare rows: an error ended the delivery that needed them */
	if (cache.topic_id == topic->topic_id && cache.mark_relid == topic->mark_relid &&
		cache.bytes < 2 * SPARE_BYTES_MAX)
		return;
	prism_rows_forget_below(PG_INT64_MAX);
	cache.topic_id = topic->topic_id;
	cache.mark_relid = topic->mark_relid;
}

static void
make_room_for_row(void)
{
	if (cache.end < cache.size)
		return;
	if (cache.first > 0)
	{
		memmove(cache.rows, cache.rows + cache.first, (cache.end - cache.first) * sizeof(Row *));
		cache.end -= cache.first;
		cache.first = 0;
		return;
	}
	cache.rows = repalloc(cache.rows, 2 * cache.size * sizeof(Row *));
	cache.size *= 2;
}

/* The size of a value in a row; 0: there is none. False: it lies out of line. */
static bool
value_bytes(bool there, Datum value, Size *bytes)
{
	*bytes = 0;
	if (!there)
		return true;
	if (VARATT_IS_EXTERNAL(DatumGetPointer(value)))
		return false;
	*bytes = VARSIZE_ANY(DatumGetPointer(value));
	return true;
}

/* Copy a value to *end, which moves on. */
static Datum
copy_value(Datum value, Size bytes, char **end)
{
	char	   *copy = *end;

	if (bytes == 0)
		return (Datum) 0;
	memcpy(copy, DatumGetPointer(value), bytes);
	*end += MAXALIGN(bytes);
	return PointerGetDatum(copy);
}

void
prism_rows_keep(const PrismMessage *message, bool spare)
{
	Size		key_bytes;
	Size		headers_bytes;
	Size		payload_bytes;
	Size		bytes;
	char	   *end;
	Row		   *row;

	if (!value_bytes(message->has_key, message->key, &key_bytes) ||
		!value_bytes(message->has_headers, message->headers, &headers_bytes) ||
		!value_bytes(message->has_payload, message->payload, &payload_bytes))
		return;
	if (cache.first < cache.end && cache.rows[cache.end - 1]->message.offset >= message->offset)
		prism_rows_forget_below(PG_INT64_MAX);
	make_room_for_row();

	bytes = MAXALIGN(sizeof(Row)) + MAXALIGN(key_bytes) + MAXALIGN(headers_bytes) + MAXALIGN(payload_bytes);
	row = MemoryContextAlloc(cache.mcxt, bytes);
	end = (char *) row + MAXALIGN(sizeof(Row));
	row->message = *message;
	row->message.key = copy_value(message->key, key_bytes, &end);
	row->message.headers = copy_value(message->headers, headers_bytes, &end);
	row->message.payload = copy_value(message->payload, payload_bytes, &end);
	row->bytes = bytes;
	row->spare = spare;
	cache.rows[cache.end++] = row;
	cache.bytes += bytes;
	cache.spare_count += spare;
}

/* ---------- finding ---------- */

bool
prism_rows_find(int64 offset, PrismMessage *message)
{
	int			low = cache.first;
	int			high = cache.end;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (cache.rows[middle]->message.offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == cache.end || cache.rows[low]->message.offset != offset)
		return false;
	if (cache.rows[low]->spare)
	{
		cache.rows[low]->spare = false;
		spare_ends(true);
	}
	*message = cache.rows[low]->message;
	return true;
}
