/*-------------------------------------------------------------------------
 *
 * row.h
 *	  Rows of a segment in the making: tuples that a commit numbers and inserts.
 *
 * src/store/log/row.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_ROW_H
#define PRISM_ROW_H

#include "store/log/record_batch.h"

#include "access/htup.h"

/* Tuples are made in the current memory context; long parts are compressed. */
extern HeapTuple prism_row_form(const PrismMessage *message);

/*
 * One row of what the builder holds.  Compressing costs more than all else, so
 * '*incompressible' remembers how many batches of the topic are not worth
 * trying.
 */
extern HeapTuple prism_row_seal(const PrismBatchBuilder *builder, int *incompressible);

/*
 * Two rows of one: the first 'count' of its messages, and the others.  The
 * builder is used for it.
 */
extern HeapTuple prism_row_split(HeapTuple tuple, int count, PrismBatchBuilder *builder, int *incompressible,
								 HeapTuple *rest);

/* The messages of a tuple that is in no table: prism_row_begin() with its columns. */
extern void prism_row_begin_tuple(PrismRow *row, HeapTuple tuple);

/* The message of a row that has one. */
extern void prism_row_message(HeapTuple tuple, PrismMessage *message);

extern int	prism_row_messages(HeapTuple tuple);
extern int64 prism_row_offset(HeapTuple tuple);

/* Offset of the first message, and how many of the transaction come after it. */
extern void prism_row_number(HeapTuple tuple, int64 offset, int64 remaining);

#endif							/* PRISM_ROW_H */
