/*-------------------------------------------------------------------------
 *
 * kept_rows.h
 *	  Rows that one call hands over, with payloads of any size.
 *
 * A call that returns its rows one by one has all of them before it returns the
 * first, as nothing of the log shall stay open in between.  Those that have no
 * room in work_mem lie in a temporary file, whatever the size of the payloads; so do
 * those of a call in FROM, which may take somewhat more memory.
 *
 * src/api/kept_rows.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_KEPT_ROWS_H
#define PRISM_KEPT_ROWS_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "fmgr.h"

/* In FROM, all at once: as InitMaterializedSRF(), as the query expects them. */
extern void prism_rows_begin(FunctionCallInfo fcinfo);

typedef struct PrismKeptRows PrismKeptRows;

/* In the current memory context, which has to live as long; the descriptor is blessed. */
extern PrismKeptRows *prism_kept_rows_new(TupleDesc descriptor);

/* Add a copy. */
extern void prism_kept_rows_add(PrismKeptRows *rows, Datum *values, bool *nulls);

/* The next row, as a composite Datum that is good until the next call; false: there are no more. */
extern bool prism_kept_rows_next(PrismKeptRows *rows, Datum *row);

/* Ends the temporary file. */
extern void prism_kept_rows_end(PrismKeptRows *rows);

#endif							/* PRISM_KEPT_ROWS_H */
