/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  Runs a statement of prism.transaction().
 *
 * Rows are turned into JSON as the executor hands them out, so a result is
 * bounded before it is held in memory, and a row that the array of results could
 * not take is an error of its own statement.
 *
 * src/api/statement.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/result_reference.h"
#include "api/statement.h"
#include "base/compat.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_param.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"

/* Where the statement's rows go. */
typedef struct RowsReceiver
{
	DestReceiver pub;
	StringInfo	result;
	TupleDesc	descriptor;		/* NULL: the statement returns no rows */
	int64		rows;
	bool		is_foreign;		/* its JSON may be some that jsonb cannot take */
	MemoryContext statement_cxt;
	MemoryContext row_cxt;
} RowsReceiver;

/* Types of the parameters, as the parser finds them. */
typedef struct Parameters
{
	Oid		   *types;
	int			count;
} Parameters;

/* ---------- rows ---------- */

/*
 * What PostgreSQL itself makes of its own scalar types is JSON that jsonb takes.
 * json is whatever somebody wrote ("\u0000", 1e1000000), other types may hold or
 * be cast to it, and an array can have more elements than jsonb can hold.
 */
static bool
is_foreign_json(Oid type)
{
	Oid			base = getBaseType(type);

	return base == JSONOID || base >= FirstNormalObjectId || get_typtype(base) != TYPTYPE_BASE ||
		OidIsValid(get_element_type(base));
}

static void
rows_begin(DestReceiver *self, int operation, TupleDesc descriptor)
{
	RowsReceiver *receiver = (RowsReceiver *) self;
	MemoryContext caller = MemoryContextSwitchTo(receiver->statement_cxt);

	/* a row type that row_to_json() can look up */
	receiver->descriptor = BlessTupleDesc(CreateTupleDescCopy(descriptor));
	for (int i = 0; i < descriptor->natts; i++)
		if (is_foreign_json(TupleDescAttr(descriptor, i)->atttypid))
			receiver->is_foreign = true;
	MemoryContextSwitchTo(caller);
	appendStringInfoString(receiver->result, "{\"rows\":[");
}

pg_noreturn static void
too_much(const char *what, int64 limit)
{
	ereport(ERROR,
			errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			errmsg("result of prism.transaction() is too large"),
			errdetail("The limit is " INT64_FORMAT " %s.", limit, what),
			errhint("Return less with LIMIT, or read the rows with a statement of its own."));
}

void
prism_result_check_size(int64 bytes)
{
	if (bytes > PRISM_RESULT_BYTES_MAX)
		too_much("bytes in all", PRISM_RESULT_BYTES_MAX);
}

static bool
rows_take(TupleTableSlot *slot, DestReceiver *self)
{
	RowsReceiver *receiver = (RowsReceiver *) self;
	MemoryContext caller;
	HeapTuple	tuple;
	Datum		row;
	text	   *json;

	if (receiver->rows == PRISM_STATEMENT_ROWS_MAX)
		too_much("rows a statement", PRISM_STATEMENT_ROWS_MAX);

	caller = MemoryContextSwitchTo(receiver->row_cxt);
	tuple = ExecCopySlotHeapTuple(slot);
	row = heap_copy_tuple_as_datum(tuple, receiver->descriptor);
	json = DatumGetTextPP(DirectFunctionCall1(row_to_json, row));
	prism_result_check_size((int64) receiver->result->len + VARSIZE_ANY_EXHDR(json));
	if (receiver->is_foreign)
		(void) prism_result_to_jsonb(text_to_cstring(json));
	if (receiver->rows++ > 0)
		appendStringInfoChar(receiver->result, ',');
	appendBinaryStringInfo(receiver->result, VARDATA_ANY(json), VARSIZE_ANY_EXHDR(json));
	MemoryContextSwitchTo(caller);
	MemoryContextReset(receiver->row_cxt);
	return true;
}

static void
rows_end(DestReceiver *self)
{
}

static RowsReceiver *
make_receiver(StringInfo result)
{
	RowsReceiver *receiver = palloc0(sizeof(RowsReceiver));

	receiver->pub.receiveSlot = rows_take;
	receiver->pub.rStartup = rows_begin;
	receiver->pub.rShutdown = rows_end;
	receiver->pub.rDestroy = rows_end;
	receiver->pub.mydest = DestNone;
	receiver->result = result;
	receiver->statement_cxt = CurrentMemoryContext;
	receiver->row_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism row", ALLOCSET_DEFAULT_SIZES);
	return receiver;
}

/* ---------- parameters ---------- */

static void
infer_types(ParseState *pstate, void *arg)
{
	Parameters *parameters = arg;

	setup_parse_variable_parameters(pstate, &parameters->types, &parameters->count);
}

pg_noreturn static void
type_unknown(int number)
{
	ereport(ERROR,
			errcode(ERRCODE_INDETERMINATE_DATATYPE),
			errmsg("could not determine data type of parameter $%d", number),
			errhint("Add a cast in the statement, for example $%d::text.", number));
}

/* A parameter that was used before its type was known must not keep another one. */
static bool
check_uses(Node *node, void *context)
{
	Parameters *parameters = context;

	if (node == NULL)
		return false;
	if (IsA(node, Param))
	{
		Param	   *param = (Param *) node;

		if (param->paramkind == PARAM_EXTERN &&
			(param->paramid > parameters->count ||
			 param->paramtype != parameters->types[param->paramid - 1]))
			type_unknown(param->paramid);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, check_uses, context, 0);
	return expression_tree_walker(node, check_uses, context);
}

static void
check_parameters(CachedPlanSource *source, Parameters *parameters, int given)
{
	ListCell   *cell;

	if (parameters->count != given)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("wrong number of parameters"),
				errdetail("The statement uses %d, \"params\" has %d.", parameters->count, given),
				errhint("\"params\" is an array of the values of $1, $2, ... in this order."));
	foreach(cell, source->query_list)
		(void) check_uses((Node *) lfirst(cell), parameters);
	for (int i = 0; i < given; i++)
		if (parameters->types[i] == InvalidOid || parameters->types[i] == UNKNOWNOID)
			type_unknown(i + 1);
}

static void
tell_parameter(void *arg)
{
	errcontext("parameter $%d", *(int *) arg);
}

static void
bind_parameter(ParamExternData *parameter, Oid type, const JsonbValue *value)
{
	char	   *text = prism_json_to_input(value, type);
	Oid			input;
	Oid			ioparam;

	getTypeInputInfo(type, &input, &ioparam);
	parameter->ptype = type;
	parameter->pflags = PARAM_FLAG_CONST;
	parameter->isnull = text == NULL;
	/* of null too: a domain may refuse it */
	parameter->value = OidInputFunctionCall(input, text, ioparam, -1);
}

static ParamListInfo
bind_parameters(const Parameters *parameters, JsonbContainer *params)
{
	int			number = 0;
	ErrorContextCallback callback = {
		.previous = error_context_stack,.callback = tell_parameter,.arg = &number
	};
	ParamListInfo list;

	if (parameters->count == 0)
		return NULL;
	list = makeParamList(parameters->count);
	error_context_stack = &callback;
	while (number < parameters->count)
	{
		number++;
		bind_parameter(&list->params[number - 1], parameters->types[number - 1],
					   getIthJsonbValueFromContainer(params, number - 1));
	}
	error_context_stack = callback.previous;
	return list;
}

/* ---------- the statement ---------- */

static SPIPlanPtr
prepare(const char *statement, Parameters *parameters, int given)
{
	SPIPrepareOptions options = {
		.parserSetup = infer_types,
		.parserSetupArg = parameters,
		.parseMode = RAW_PARSE_DEFAULT,
		.cursorOptions = CURSOR_OPT_PARALLEL_OK
	};
	SPIPlanPtr	plan;
	List	   *sources;

	/* the parser's array grows where it was made, so it outlives SPI's own contexts */
	parameters->types = palloc0(sizeof(Oid) * Max(given, 1));
	parameters->count = 0;

	plan = SPI_prepare_extended(statement, &options);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare_extended failed: %s", SPI_result_code_string(SPI_result));
	sources = SPI_plan_get_plan_sources(plan);
	if (list_length(sources) != 1)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"execute\" must be exactly one statement"),
				errdetail("There are %d.", list_length(sources)),
				errhint("Give each statement an operation of its own."));
	check_parameters(linitial(sources), parameters, given);
	return plan;
}

pg_noreturn static void
refuse_statement(int code)
{
	if (code == SPI_ERROR_TRANSACTION)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("prism.transaction() cannot run transaction control statements"),
				errhint("All operations of a call are one transaction already; begin and commit around the call."));
	if (code == SPI_ERROR_COPY)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("prism.transaction() cannot COPY from or to the client"),
				errhint("Use INSERT, or COPY in a statement of its own."));
	elog(ERROR, "SPI_execute_plan_extended failed: %s", SPI_result_code_string(code));
}

void
prism_statement_run(const char *statement, JsonbContainer *params, StringInfo result)
{
	Parameters	parameters;
	SPIPlanPtr	plan;
	SPIExecuteOptions options = {0};
	RowsReceiver *receiver = make_receiver(result);
	int			code;

	SPI_connect();
	plan = prepare(statement, &parameters, params != NULL ? JsonContainerSize(params) : 0);
	options.params = bind_parameters(&parameters, params);
	options.dest = &receiver->pub;
	code = SPI_execute_plan_extended(plan, &options);
	if (code < 0)
		refuse_statement(code);
	if (receiver->descriptor != NULL)
		appendStringInfoString(result, "]}");
	else
		appendStringInfo(result, "{\"rows_affected\":" UINT64_FORMAT "}", SPI_processed);
	SPI_finish();
}
