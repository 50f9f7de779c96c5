/*-------------------------------------------------------------------------
 *
 * query.c
 *	  The one door for SQL that runs with the rights of the extension's owner.
 *
 * An unqualified name in such a statement is a name that the caller chooses, by
 * his search_path or by a temporary object, and what he puts there runs as the
 * owner.  So nobody has to remember to qualify: the path is the door's.
 *
 * src/base/query.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/extension.h"
#include "base/query.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

typedef enum RunMode
{
	RUN_NOW,					/* may write, on what there is now */
	RUN_SEEN,					/* may write, on what the transaction sees */
	RUN_READ					/* under the active snapshot */
} RunMode;

/* Settings of the caller that would decide what a statement means or where it puts things. */
static void
pin(const char *name, const char *wanted)
{
	if (strcmp(GetConfigOption(name, false, false), wanted) != 0)
		(void) set_config_option(name, wanted, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * What prism's tables hold decides about things that are as they are now.  Under
 * REPEATABLE READ a statement sees them as they were when the transaction began,
 * and passes over what was made since, without a word.  So it gets a snapshot of
 * now, as the statements by which PostgreSQL keeps foreign keys; a row that
 * changes under its hands is a serialization failure, as in all others.
 */
static int
run_now(const char *statement, int parameters, Oid *types, Datum *values, const char *nulls)
{
	SPIPlanPtr	plan = SPI_prepare(statement, parameters, types);
	int			result;

	if (plan == NULL)
		return SPI_result;
	result = SPI_execute_snapshot(plan, values, nulls, GetLatestSnapshot(), InvalidSnapshot, false, true, 0);
	SPI_freeplan(plan);
	return result;
}

/* An error puts identity and settings back by itself, as it ends the (sub)transaction. */
static void
run(const char *statement, int parameters, Oid *types, Datum *values, const char *nulls,
	RunMode mode, uint64 rows_max)
{
	PrismIdentity identity = prism_enter_owner();
	int			nest_level = NewGUCNestLevel();
	int			result;

	pin("search_path", PRISM_SEARCH_PATH);
	pin("default_tablespace", "");
	pin("default_table_access_method", DEFAULT_TABLE_ACCESS_METHOD);
	if (mode == RUN_NOW && IsolationUsesXactSnapshot())
		result = run_now(statement, parameters, types, values, nulls);
	else
		result = SPI_execute_with_args(statement, parameters, types, values, nulls, mode == RUN_READ, (long) rows_max);
	AtEOXact_GUC(true, nest_level);
	prism_leave_owner(identity);
	if (result < 0)
		elog(ERROR, "SPI failed on \"%s\": %s", statement, SPI_result_code_string(result));
}

void
prism_query(const char *statement, int parameters, Oid *types, Datum *values, const char *nulls)
{
	run(statement, parameters, types, values, nulls, RUN_NOW, 0);
}

void
prism_query_seen(const char *statement, int parameters, Oid *types, Datum *values)
{
	run(statement, parameters, types, values, NULL, RUN_SEEN, 0);
}

void
prism_query_one(const char *statement, int32 number)
{
	Oid			type = INT4OID;
	Datum		value = Int32GetDatum(number);

	prism_query(statement, 1, &type, &value, NULL);
}

void
prism_query_read(const char *statement, int parameters, Oid *types, Datum *values, uint64 rows_max)
{
	run(statement, parameters, types, values, NULL, RUN_READ, rows_max);
}

void
prism_query_latest(const char *statement, int parameters, Oid *types, Datum *values, uint64 rows_max)
{
	PushActiveSnapshot(GetLatestSnapshot());
	run(statement, parameters, types, values, NULL, RUN_READ, rows_max);
	PopActiveSnapshot();
}

void
prism_query_generated(const char *query, int parameters, Oid *types, Datum *values)
{
	SPITupleTable *statements;

	CommandCounterIncrement();
	prism_query_latest(query, parameters, types, values, 0);
	statements = SPI_tuptable;
	for (uint64 i = 0; i < statements->numvals; i++)
		prism_query(SPI_getvalue(statements->vals[i], statements->tupdesc, 1), 0, NULL, NULL, NULL);
	SPI_freetuptable(statements);
	CommandCounterIncrement();
}

int
prism_query_begin_without_triggers(void)
{
	int			nest_level = NewGUCNestLevel();

	(void) set_config_option("session_replication_role", "replica", PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return nest_level;
}

void
prism_query_end_without_triggers(int nest_level)
{
	AtEOXact_GUC(true, nest_level);
}
