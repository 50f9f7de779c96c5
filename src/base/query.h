/*-------------------------------------------------------------------------
 *
 * query.h
 *	  The one door for SQL that runs with the rights of the extension's owner.
 *
 * Whatever the caller's session has set, such a statement finds every operator,
 * function, cast, type and relation in pg_catalog unless it names a schema, and
 * what it makes lies in the database's own tablespace, as a heap.  A statement
 * of a caller (prism.transaction(), a handler) does not come this way.
 *
 * A call opens SPI and closes it again, so the caller need not, and may stand in
 * somebody else's.  What it returns lies in the current memory context.
 *
 * src/base/query.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_QUERY_H
#define PRISM_QUERY_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "datatype/timestamp.h"

/* What prism's workers set for good, so that nothing is left to do for each statement. */
#define PRISM_SEARCH_PATH "pg_catalog, pg_temp"

typedef struct PrismQueryRow
{
	HeapTuple	tuple;
	TupleDesc	columns;
} PrismQueryRow;

/* What a query found, or what a statement without RETURNING changed: then there is the number alone. */
typedef struct PrismQueryRows
{
	uint64		count;
	PrismQueryRow *row;
} PrismQueryRows;

/* Run a statement that may write, on what there is now.  nulls: as of SPI_execute_with_args(). */
extern PrismQueryRows prism_query(const char *statement, int parameters, Oid *types, Datum *values, const char *nulls);

/* Likewise, on what the transaction sees: rows that are newer are not found, rows that were changed since are a 40001. */
extern PrismQueryRows prism_query_seen(const char *statement, int parameters, Oid *types, Datum *values);

/* prism_query() with one number, $1, and no other argument. */
extern PrismQueryRows prism_query_one(const char *statement, int32 number);

/* Run a query under the active snapshot; rows_max 0: all rows. */
extern PrismQueryRows prism_query_read(const char *statement, int parameters, Oid *types, Datum *values, uint64 rows_max);

/*
 * Run a query under a snapshot of now, whatever the transaction saw when it
 * began: for what decides about things that are as they are now, and for what is
 * kept beyond the transaction.  Whose generation is kept with it is asked first.
 */
extern PrismQueryRows prism_query_latest(const char *statement, int parameters, Oid *types, Datum *values, uint64 rows_max);

/* Arrays as arguments, for what is asked of many at once. */
extern Datum prism_query_texts(const char *const *texts, int count);
extern Datum prism_query_numbers(const int32 *numbers, int count);

/* A column of a row, the first is 1.  Where it is null: NULL, 0, false. */
extern char *prism_column_text(const PrismQueryRow *row, int column);	/* of any type, palloc'd */
extern bool prism_column_bool(const PrismQueryRow *row, int column);
extern int32 prism_column_int32(const PrismQueryRow *row, int column);
extern int64 prism_column_int64(const PrismQueryRow *row, int column);
extern Oid	prism_column_oid(const PrismQueryRow *row, int column);
extern TimestampTz prism_column_time(const PrismQueryRow *row, int column);
extern Datum prism_column_value(const PrismQueryRow *row, int column, bool *isnull);

/* For callers whose memory lives on. */
extern void prism_query_free(PrismQueryRows *rows);

/* Run the statements that a query returns, one a row; it sees what is there now, what this transaction has done included. */
extern void prism_query_generated(const char *query, int parameters, Oid *types, Datum *values);

/*
 * What prism makes by itself, in a session of whoever happened to need it, is no
 * command of his: event triggers, and other triggers that do not fire ALWAYS,
 * have no part in it.  Returns what ends it; so does an error.
 */
extern int	prism_query_begin_without_triggers(void);
extern void prism_query_end_without_triggers(int nest_level);

#endif							/* PRISM_QUERY_H */
