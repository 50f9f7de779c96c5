/*-------------------------------------------------------------------------
 *
 * query.c
 *	  The one door for SQL that runs with the rights of the extension's owner.
 *
 * An unqualified name in such a statement is a name that the caller chooses, by
 * his search_path or by a temporary object, and what he puts there runs as the
 * owner.  So nobody has to remember to qualify: the path is the door's.
 *
 * Planning takes longer than running most of them.  So a session keeps the plan
 * of a statement with arguments that it runs again; PostgreSQL makes it anew when
 * what it stands on changes.  One that has none names what it is about, and comes
 * once.
 *
 * src/base/query.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/marker.h"
#include "base/query.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Ours are fewer; some name a table. */
#define KEPT_MAX 256
#define KEPT_PARAMETERS_MAX 8

typedef struct KeptPlan
{
	uint64		hash;			/* hash key: of the statement */
	char	   *statement;
	int			parameters;
	Oid			types[KEPT_PARAMETERS_MAX];
	SPIPlanPtr	plan;			/* NULL: it was run once, as most are in most sessions */
} KeptPlan;

static HTAB *kept_plans = NULL;

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

/* The statement's place among those whose plans are kept; NULL: it has none. */
static KeptPlan *
find_kept(const char *statement, int parameters, const Oid *types)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) statement, (int) strlen(statement), 0);
	KeptPlan   *kept;
	bool		found;

	if (parameters == 0 || parameters > KEPT_PARAMETERS_MAX)
		return NULL;
	if (kept_plans == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(uint64),.entrysize = sizeof(KeptPlan)};

		kept_plans = hash_create("prism plans", 64, &control, HASH_ELEM | HASH_BLOBS);
	}
	kept = hash_search(kept_plans, &hash, HASH_FIND, NULL);
	if (kept != NULL)
		return kept->parameters == parameters && memcmp(kept->types, types, parameters * sizeof(Oid)) == 0 &&
			strcmp(kept->statement, statement) == 0 ? kept : NULL;
	if (hash_get_num_entries(kept_plans) < KEPT_MAX)
	{
		/* before the hash table has an entry without it */
		char	   *copy = MemoryContextStrdup(TopMemoryContext, statement);

		kept = hash_search(kept_plans, &hash, HASH_ENTER, &found);
		kept->statement = copy;
		kept->parameters = parameters;
		memcpy(kept->types, types, parameters * sizeof(Oid));
		kept->plan = NULL;
	}
	return NULL;
}

/*
 * What prism's tables hold decides about things that are as they are now.  Under
 * REPEATABLE READ a statement sees them as they were when the transaction began,
 * and passes over what was made since, without a word.  So it gets a snapshot of
 * now, as the statements by which PostgreSQL keeps foreign keys; a row that
 * changes under its hands is a serialization failure, as in all others.
 */
static int
execute_planned(const char *statement, int parameters, Oid *types, Datum *values, const char *nulls,
		RunMode mode, long rows_max)
{
	bool		now = mode == RUN_NOW && IsolationUsesXactSnapshot();
	KeptPlan   *kept = find_kept(statement, parameters, types);
	SPIPlanPtr	plan = kept != NULL ? kept->plan : NULL;
	int			result;

	if (kept == NULL && !now)
		return SPI_execute_with_args(statement, parameters, types, values, nulls, mode == RUN_READ, rows_max);
	if (plan == NULL && (plan = SPI_prepare(statement, parameters, types)) == NULL)
		return SPI_result;
	if (kept != NULL && kept->plan == NULL)
	{
		SPI_keepplan(plan);
		kept->plan = plan;
	}
	if (now)
		result = SPI_execute_snapshot(plan, values, nulls, GetLatestSnapshot(), InvalidSnapshot, false, true, rows_max);
	else
		result = SPI_execute_plan(plan, values, nulls, mode == RUN_READ, rows_max);
	if (kept == NULL)
		SPI_freeplan(plan);
	return result;
}

/*
 * A statement that changes rows, as far as its first word tells.  Others are not
 * marked: to make or drop something is what event triggers fire for, and what
 * those write is their owners'.
 */
static bool
changes_rows(const char *statement)
{
	static const char *const words[] = {"INSERT ", "UPDATE ", "DELETE ", "WITH "};

	for (int i = 0; i < (int) lengthof(words); i++)
		if (strncmp(statement, words[i], strlen(words[i])) == 0)
			return true;
	return false;
}

/* Prism's rows are marked as such, and with them what triggers of the owner's on its tables write at once. */
static int
execute_marked(const char *statement, int parameters, Oid *types, Datum *values, const char *nulls,
			   RunMode mode, long rows_max)
{
	RepOriginId former = prism_marker_begin();
	int			result;

	PG_TRY();
	{
		result = execute_planned(statement, parameters, types, values, nulls, mode, rows_max);
	}
	PG_CATCH();
	{
		prism_marker_end(former);
		PG_RE_THROW();
	}
	PG_END_TRY();
	prism_marker_end(former);
	return result;
}

/* SPI's own rows are gone when it is closed. */
static PrismQueryRows
copy_rows(MemoryContext mcxt)
{
	MemoryContext spi_cxt = MemoryContextSwitchTo(mcxt);
	PrismQueryRows rows = {.count = SPI_processed};

	if (SPI_tuptable != NULL && rows.count > 0)
	{
		TupleDesc	columns = CreateTupleDescCopy(SPI_tuptable->tupdesc);

		Assert(SPI_tuptable->numvals == rows.count);
		rows.row = palloc_array(PrismQueryRow, rows.count);
		for (uint64 i = 0; i < rows.count; i++)
			rows.row[i] = (PrismQueryRow) {heap_copytuple(SPI_tuptable->vals[i]), columns};
	}
	MemoryContextSwitchTo(spi_cxt);
	return rows;
}

/* An error puts identity and settings back by itself, and closes SPI, as it ends the (sub)transaction. */
static PrismQueryRows
run(const char *statement, int parameters, Oid *types, Datum *values, const char *nulls,
	RunMode mode, uint64 rows_max)
{
	MemoryContext caller_cxt = CurrentMemoryContext;
	PrismIdentity identity = prism_enter_owner();
	int			nest_level = NewGUCNestLevel();
	PrismQueryRows rows;
	int			result;

	SPI_connect();
	pin("search_path", PRISM_SEARCH_PATH);
	pin("default_tablespace", "");
	pin("default_table_access_method", DEFAULT_TABLE_ACCESS_METHOD);
	result = (mode != RUN_READ && changes_rows(statement) ? execute_marked : execute_planned)
		(statement, parameters, types, values, nulls, mode, (long) rows_max);
	AtEOXact_GUC(true, nest_level);
	prism_leave_owner(identity);
	if (result < 0)
		elog(ERROR, "SPI failed on \"%s\": %s", statement, SPI_result_code_string(result));
	rows = copy_rows(caller_cxt);
	SPI_finish();
	return rows;
}

PrismQueryRows
prism_query(const char *statement, int parameters, Oid *types, Datum *values, const char *nulls)
{
	return run(statement, parameters, types, values, nulls, RUN_NOW, 0);
}

PrismQueryRows
prism_query_seen(const char *statement, int parameters, Oid *types, Datum *values)
{
	return run(statement, parameters, types, values, NULL, RUN_SEEN, 0);
}

PrismQueryRows
prism_query_one(const char *statement, int32 number)
{
	Oid			type = INT4OID;
	Datum		value = Int32GetDatum(number);

	return prism_query(statement, 1, &type, &value, NULL);
}

PrismQueryRows
prism_query_read(const char *statement, int parameters, Oid *types, Datum *values, uint64 rows_max)
{
	return run(statement, parameters, types, values, NULL, RUN_READ, rows_max);
}

PrismQueryRows
prism_query_latest(const char *statement, int parameters, Oid *types, Datum *values, uint64 rows_max)
{
	PrismQueryRows rows;

	PushActiveSnapshot(GetLatestSnapshot());
	rows = run(statement, parameters, types, values, NULL, RUN_READ, rows_max);
	PopActiveSnapshot();
	return rows;
}

void
prism_query_generated(const char *query, int parameters, Oid *types, Datum *values)
{
	PrismQueryRows statements;

	CommandCounterIncrement();
	statements = prism_query_latest(query, parameters, types, values, 0);
	for (uint64 i = 0; i < statements.count; i++)
		prism_query(prism_column_text(&statements.row[i], 1), 0, NULL, NULL, NULL);
	prism_query_free(&statements);
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

/* ---------- arguments ---------- */

Datum
prism_query_texts(const char *const *texts, int count)
{
	Datum	   *values = palloc_array(Datum, count);

	for (int i = 0; i < count; i++)
		values[i] = CStringGetTextDatum(texts[i]);
	return PointerGetDatum(construct_array(values, count, TEXTOID, -1, false, TYPALIGN_INT));
}

Datum
prism_query_numbers(const int32 *numbers, int count)
{
	Datum	   *values = palloc_array(Datum, count);

	for (int i = 0; i < count; i++)
		values[i] = Int32GetDatum(numbers[i]);
	return PointerGetDatum(construct_array(values, count, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/* ---------- what is in a row ---------- */

Datum
prism_column_value(const PrismQueryRow *row, int column, bool *isnull)
{
	Assert(column > 0 && column <= row->columns->natts);
	return heap_getattr(row->tuple, column, row->columns, isnull);
}

/* Of a null PostgreSQL makes 0. */
static Datum
value_or_zero(const PrismQueryRow *row, int column, Oid type)
{
	bool		isnull;

	Assert(TupleDescAttr(row->columns, column - 1)->atttypid == type);
	return prism_column_value(row, column, &isnull);
}

char *
prism_column_text(const PrismQueryRow *row, int column)
{
	return SPI_getvalue(row->tuple, row->columns, column);
}

bool
prism_column_bool(const PrismQueryRow *row, int column)
{
	return DatumGetBool(value_or_zero(row, column, BOOLOID));
}

int32
prism_column_int32(const PrismQueryRow *row, int column)
{
	return DatumGetInt32(value_or_zero(row, column, INT4OID));
}

int64
prism_column_int64(const PrismQueryRow *row, int column)
{
	return DatumGetInt64(value_or_zero(row, column, INT8OID));
}

Oid
prism_column_oid(const PrismQueryRow *row, int column)
{
	return DatumGetObjectId(value_or_zero(row, column, OIDOID));
}

TimestampTz
prism_column_time(const PrismQueryRow *row, int column)
{
	return DatumGetTimestampTz(value_or_zero(row, column, TIMESTAMPTZOID));
}

void
prism_query_free(PrismQueryRows *rows)
{
	if (rows->row == NULL)
		return;
	FreeTupleDesc(rows->row[0].columns);
	for (uint64 i = 0; i < rows->count; i++)
		heap_freetuple(rows->row[i].tuple);
	pfree(rows->row);
	rows->row = NULL;
}
