/*-------------------------------------------------------------------------
 *
 * payload_write.c
 *	  Writing a payload into rows of its topic's payload segments.
 *
 * The bytes go from where the caller has them into rows of a page, made in place
 * and used again for the next ones: no more of a payload than WRITE_ROWS pages is
 * ever in memory a second time.
 *
 * src/store/payload/payload_write.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/guc.h"
#include "base/marker.h"
#include "store/log/segment_index.h"
#include "store/payload/payload_ahead.h"
#include "store/payload/payload_segment.h"
#include "store/payload/payload_write.h"

#include "access/heapam.h"
#include "access/hio.h"
#include "access/relation.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Rows that one heap_multi_insert takes. */
#define WRITE_ROWS 32
/*
 * From here on a ring of buffers: it flushes the WAL as it goes, which the commit
 * would wait for, and spares the shared buffers.
 */
#define BULK_BYTES_MIN (16 * 1024 * 1024)
/* A topic of which so many bytes are kept at most has this many payload segments or more: space comes back by whole ones. */
#define SIZE_PARTS 4

struct PrismPayloadWriter
{
	PrismTopic *topic;
	int32		store_id;
	int64		number;			/* of the segment */
	Relation	heap;
	PrismSegmentIndex *index;
	BulkInsertState bulk;
	CommandId	cid;
	pg_uuid_t	id;
	int64		at;				/* where the next byte is in the payload */
	int64		written;
	MemoryContext row_cxt;		/* what the inserts leave behind */
	int			full;			/* rows of the chunk that are full */
	Size		filled;			/* bytes of the one behind */
	int			slot_count;
	TupleTableSlot *slots[WRITE_ROWS];
};

PrismPayloadWriter *
prism_payload_begin(PrismTopic *topic, int32 store_id, const pg_uuid_t *id, int64 at)
{
	PrismPayloadWriter *writer = palloc0(sizeof(PrismPayloadWriter));

	Assert(at >= 0);
	writer->topic = topic;
	writer->store_id = store_id;
	writer->id = *id;
	writer->at = at;
	writer->heap = prism_payload_open_current(topic, store_id, &writer->number);
	writer->index = prism_segment_index_open(writer->heap, PRISM_PIECE_AT);
	writer->cid = GetCurrentCommandId(true);
	writer->row_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism payload rows", ALLOCSET_SMALL_SIZES);
	return writer;
}

/* ---------- rows ---------- */

/*
 * A row of the chunk is a tuple with room for a page of bytes.  Only what differs
 * from one payload's piece to the next is written into it: header, id and the
 * place of the bytes are where they were.
 */
static HeapTuple
make_piece(const PrismPayloadWriter *writer)
{
	bytea	   *room = palloc0(VARHDRSZ + PRISM_PIECE_BYTES_MAX);
	Datum		values[PRISM_PIECE_COLUMNS] = {UUIDPGetDatum(&writer->id), Int64GetDatum(0), PointerGetDatum(room)};
	bool		nulls[PRISM_PIECE_COLUMNS] = {false, false, false};
	HeapTuple	row;

	SET_VARSIZE(room, VARHDRSZ + PRISM_PIECE_BYTES_MAX);
	row = heap_form_tuple(prism_payload_segment_descriptor(), values, nulls);
	pfree(room);
	Assert(row->t_len == MaxHeapTupleSize);
	return row;
}

static char *
piece_data(HeapTuple row)
{
	return (char *) row->t_data + row->t_data->t_hoff;
}

static int64
piece_begin(HeapTuple row)
{
	return *(int64 *) (piece_data(row) + sizeof(pg_uuid_t));
}

static bytea *
piece_bytes(HeapTuple row)
{
	return (bytea *) (piece_data(row) + sizeof(pg_uuid_t) + sizeof(int64));
}

static HeapTuple
piece_of(PrismPayloadWriter *writer, int place)
{
	if (place == writer->slot_count)
	{
		MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(writer));
		TupleTableSlot *slot = MakeSingleTupleTableSlot(prism_payload_segment_descriptor(), &TTSOpsHeapTuple);

		/* the slot owns the row: else heap_multi_insert would copy it */
		ExecStoreHeapTuple(make_piece(writer), slot, true);
		writer->slots[writer->slot_count++] = slot;
		MemoryContextSwitchTo(caller);
	}
	return ExecFetchSlotHeapTuple(writer->slots[place], false, NULL);
}

static void
insert_rows(PrismPayloadWriter *writer, int count)
{
	Datum		keys[PRISM_PIECE_AT];

	heap_multi_insert(writer->heap, writer->slots, count, writer->cid, HEAP_INSERT_SKIP_FSM, writer->bulk);
	keys[0] = UUIDPGetDatum(&writer->id);
	for (int i = 0; i < count; i++)
	{
		HeapTuple	row = piece_of(writer, i);

		keys[1] = Int64GetDatum(piece_begin(row));
		prism_segment_index_insert(writer->index, row, &writer->slots[i]->tts_tid, keys);
	}
}

/* Insert what the chunk holds.  The rows are marked (base/marker.h). */
static void
write_chunk(PrismPayloadWriter *writer)
{
	int			count = writer->full + (writer->filled > 0 ? 1 : 0);
	MemoryContext caller;
	RepOriginId origin;
	bool		snapshot;

	if (count == 0)
		return;
	CHECK_FOR_INTERRUPTS();
	caller = MemoryContextSwitchTo(GetMemoryChunkContext(writer));
	if (writer->bulk == NULL && writer->written >= BULK_BYTES_MIN)
		writer->bulk = GetBulkInsertState();
	MemoryContextSwitchTo(writer->row_cxt);
	/* newer servers want one for any table that could have values out of line */
	snapshot = !ActiveSnapshotSet();
	if (snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	origin = prism_marker_begin();
	PG_TRY();
	{
		insert_rows(writer, count);
	}
	PG_FINALLY();
	{
		prism_marker_end(origin);
	}
	PG_END_TRY();
	if (snapshot)
		PopActiveSnapshot();
	MemoryContextSwitchTo(caller);
	MemoryContextReset(writer->row_cxt);
	writer->full = 0;
	writer->filled = 0;
}

/* ---------- bytes ---------- */

void
prism_payload_put(PrismPayloadWriter *writer, const void *bytes, Size length)
{
	const char *from = bytes;

	while (length > 0)
	{
		HeapTuple	row = piece_of(writer, writer->full);
		Size		part = Min(length, PRISM_PIECE_BYTES_MAX - writer->filled);

		if (writer->filled == 0)
			*(int64 *) (piece_data(row) + sizeof(pg_uuid_t)) = writer->at;
		memcpy(VARDATA(piece_bytes(row)) + writer->filled, from, part);
		from += part;
		length -= part;
		writer->at += part;
		writer->written += part;
		writer->filled += part;
		if (writer->filled < PRISM_PIECE_BYTES_MAX)
			break;
		writer->filled = 0;
		if (++writer->full == WRITE_ROWS)
			write_chunk(writer);
	}
}

/* The last row need not be full. */
static void
end_last_row(PrismPayloadWriter *writer)
{
	HeapTuple	row;

	if (writer->filled == 0)
		return;
	row = piece_of(writer, writer->full);
	SET_VARSIZE(piece_bytes(row), VARHDRSZ + writer->filled);
	row->t_len = (char *) piece_bytes(row) + VARHDRSZ + writer->filled - (char *) row->t_data;
}

/* Dead rows count: they come back with the table, too. */
static bool
is_full(const PrismPayloadWriter *writer)
{
	int64		limit = (int64) prism_payload_segment_kb * 1024;
	int64		kept = writer->topic->policy.retention_bytes;

	if (kept > 0)
		limit = Min(limit, kept / SIZE_PARTS);
	return (int64) RelationGetNumberOfBlocks(writer->heap) * BLCKSZ > limit;
}

void
prism_payload_finish(PrismPayloadWriter *writer, int64 *segment, int64 *end)
{
	end_last_row(writer);
	write_chunk(writer);
	*segment = writer->number;
	*end = writer->at;
	if (is_full(writer))
		prism_payload_want_next(writer->topic, writer->number, writer->store_id);
	if (writer->bulk != NULL)
		FreeBulkInsertState(writer->bulk);
	prism_segment_index_close(writer->index);
	for (int i = 0; i < writer->slot_count; i++)
		ExecDropSingleTupleTableSlot(writer->slots[i]);
	relation_close(writer->heap, NoLock);
	MemoryContextDelete(writer->row_cxt);
	pfree(writer);
}
