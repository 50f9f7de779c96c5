/*-------------------------------------------------------------------------
 *
 * kept_rows.c
 *	  Rows that one call hands over, with payloads of any size.
 *
 * src/api/kept_rows.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/kept_rows.h"

#include "access/htup_details.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

/*
 * What a call in FROM may take at least: with work_mem as it comes, each payload of
 * some MB would be written to a file and read back, which takes as long as all else.
 */
#define MEMORY_KB_MIN (32 * 1024)

#define ROWS_START 64
/* Of the store of rows for which there was no room: they go to its file at once. */
#define STORE_KB 64

struct PrismKeptRows
{
	MemoryContext mcxt;
	TupleDesc	descriptor;

	/* the first ones, in memory */
	HeapTuple  *tuples;
	int			count;
	int			room;
	int			returned;
	Size		bytes;

	/* those behind them; NULL: there are none */
	Tuplestorestate *store;
	TupleTableSlot *slot;
	MemoryContext row_cxt;		/* of the one that was returned last */
};

void
prism_rows_begin(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext caller;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	tuplestore_end(result->setResult);
	caller = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	result->setResult = tuplestore_begin_heap((result->allowedModes & SFRM_Materialize_Random) != 0, false,
											   Max(work_mem, MEMORY_KB_MIN));
	MemoryContextSwitchTo(caller);
}

/* ---------- one by one ---------- */

PrismKeptRows *
prism_kept_rows_new(TupleDesc descriptor)
{
	PrismKeptRows *rows = palloc0(sizeof(PrismKeptRows));

	rows->mcxt = CurrentMemoryContext;
	rows->descriptor = descriptor;
	rows->room = ROWS_START;
	rows->tuples = palloc(rows->room * sizeof(HeapTuple));
	return rows;
}

static void
begin_store(PrismKeptRows *rows)
{
	rows->store = tuplestore_begin_heap(false, false, STORE_KB);
	rows->slot = MakeSingleTupleTableSlot(rows->descriptor, &TTSOpsMinimalTuple);
	rows->row_cxt = AllocSetContextCreate(rows->mcxt, "prism returned row", ALLOCSET_SMALL_SIZES);
}

void
prism_kept_rows_add(PrismKeptRows *rows, Datum *values, bool *nulls)
{
	MemoryContext caller = MemoryContextSwitchTo(rows->mcxt);

	if (rows->bytes >= (Size) work_mem * 1024)
	{
		if (rows->store == NULL)
			begin_store(rows);
		tuplestore_putvalues(rows->store, rows->descriptor, values, nulls);
	}
	else
	{
		if (rows->count == rows->room)
		{
			rows->room *= 2;
			rows->tuples = repalloc_huge(rows->tuples, rows->room * sizeof(HeapTuple));
		}
		rows->tuples[rows->count] = heap_form_tuple(rows->descriptor, values, nulls);
		rows->bytes += HEAPTUPLESIZE + rows->tuples[rows->count++]->t_len;
	}
	MemoryContextSwitchTo(caller);
}

static bool
next_of_store(PrismKeptRows *rows, Datum *row)
{
	MemoryContext caller;

	MemoryContextReset(rows->row_cxt);
	if (!tuplestore_gettupleslot(rows->store, true, false, rows->slot))
		return false;
	slot_getallattrs(rows->slot);
	caller = MemoryContextSwitchTo(rows->row_cxt);
	*row = HeapTupleGetDatum(heap_form_tuple(rows->descriptor, rows->slot->tts_values, rows->slot->tts_isnull));
	MemoryContextSwitchTo(caller);
	ExecClearTuple(rows->slot);
	return true;
}

bool
prism_kept_rows_next(PrismKeptRows *rows, Datum *row)
{
	if (rows->returned > 0 && rows->returned <= rows->count && rows->tuples[rows->returned - 1] != NULL)
	{
		heap_freetuple(rows->tuples[rows->returned - 1]);
		rows->tuples[rows->returned - 1] = NULL;
	}
	if (rows->returned < rows->count)
	{
		*row = HeapTupleGetDatum(rows->tuples[rows->returned++]);
		return true;
	}
	return rows->store != NULL && next_of_store(rows, row);
}

void
prism_kept_rows_end(PrismKeptRows *rows)
{
	if (rows->store == NULL)
		return;
	ExecDropSingleTupleTableSlot(rows->slot);
	tuplestore_end(rows->store);
	rows->store = NULL;
}
