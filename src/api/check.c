/*-------------------------------------------------------------------------
 *
 * check.c
 *	  prism.check(): what is wrong with a configuration, as rows.
 *
 * It reads a document as prism.apply() does, and looks at nothing else: so it
 * needs no right, no server of Kafka's, and no library that was preloaded.
 *
 * src/api/check.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/arguments.h"
#include "namespace/spec.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(prism_check);

/* Columns of prism.check(). */
enum
{
	CHECK_LINE,
	CHECK_COLUMN,
	CHECK_CODE,
	CHECK_MESSAGE,
	CHECK_HINT,
	CHECK_DETAIL,
	CHECK_COLUMNS
};

static void put_complaint(ReturnSetInfo *result, const PrismComplaint *complaint);

Datum
prism_check(PG_FUNCTION_ARGS)
{
	char	   *config = prism_text_argument(fcinfo, 0, "config");
	PrismComplaints complaints;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	prism_namespaces_check(config, strlen(config), &complaints);
	foreach(cell, complaints.list)
		put_complaint((ReturnSetInfo *) fcinfo->resultinfo, lfirst(cell));
	return (Datum) 0;
}

static void
put_complaint(ReturnSetInfo *result, const PrismComplaint *complaint)
{
	const ErrorData *error = complaint->error;
	bool		whole = complaint->place.line == 0;
	Datum		values[CHECK_COLUMNS] = {
		[CHECK_LINE] = Int32GetDatum(complaint->place.line),
		[CHECK_COLUMN] = Int32GetDatum(complaint->place.column),
		[CHECK_CODE] = CStringGetTextDatum(unpack_sql_state(error->sqlerrcode)),
		[CHECK_MESSAGE] = CStringGetTextDatum(error->message),
		[CHECK_HINT] = error->hint != NULL ? CStringGetTextDatum(error->hint) : 0,
		[CHECK_DETAIL] = error->detail != NULL ? CStringGetTextDatum(error->detail) : 0
	};
	bool		nulls[CHECK_COLUMNS] = {
		[CHECK_LINE] = whole,[CHECK_COLUMN] = whole,
		[CHECK_HINT] = error->hint == NULL,[CHECK_DETAIL] = error->detail == NULL
	};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}
