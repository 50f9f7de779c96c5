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
 * SPI must be connected; rows stay in SPI_tuptable, their number in
 * SPI_processed.  test/lint/source finds SPI_execute() anywhere else.
 *
 * src/base/query.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_QUERY_H
#define PRISM_QUERY_H

#include "postgres.h"

/* What prism's workers set for good, so that nothing is left to do for each statement. */
#define PRISM_SEARCH_PATH "pg_catalog, pg_temp"

/* Run a statement that may write, on what there is now.  nulls: as of SPI_execute_with_args(). */
extern void prism_query(const char *statement, int parameters, Oid *types, Datum *values, const char *nulls);

/* Likewise, on what the transaction sees: rows that are newer are not found, rows that were changed since are a 40001. */
extern void prism_query_seen(const char *statement, int parameters, Oid *types, Datum *values);

/* prism_query() with one number, $1, and no other argument. */
extern void prism_query_one(const char *statement, int32 number);

/* Run a query under the active snapshot; rows_max 0: all rows. */
extern void prism_query_read(const char *statement, int parameters, Oid *types, Datum *values, uint64 rows_max);

/*
 * Run a query under a snapshot of now, whatever the transaction saw when it
 * began: for what decides about things that are as they are now, and for what is
 * kept beyond the transaction.  Whose generation is kept with it is asked first.
 */
extern void prism_query_latest(const char *statement, int parameters, Oid *types, Datum *values, uint64 rows_max);

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
