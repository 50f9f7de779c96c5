/*-------------------------------------------------------------------------
 *
 * transaction.c
 *	  prism.transaction(): statements and messages in one call, all or nothing.
 *
 * A call is one statement of the caller's, so an error anywhere in the list
 * takes back everything before it.  An operation that says so has a savepoint of
 * its own instead, and its result tells of the error; a dry run is a savepoint
 * around all, which is undone.  The statements run with the caller's own rights
 * and search_path.
 *
 * An operation is read first, and one that is not of the form of an operation is
 * refused then: the mistakes of who wrote the list are not skipped.
 *
 * src/api/transaction.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/arguments.h"
#include "api/publish.h"
#include "api/result_reference.h"
#include "api/statement.h"
#include "base/compat.h"
#include "base/savepoint.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(prism_transaction);

#define OPERATION_HINT \
	"An operation is {\"execute\": \"UPDATE ... $1\", \"params\": [...]} or {\"publish\": {\"topic\": ..., \"payload\": ...}}, with \"on_error\": \"skip\" if the others go on without it."
#define MESSAGE_HINT \
	"A message is {\"topic\": string, \"payload\": any JSON, \"key\": string, \"headers\": object, \"namespace\": string, \"deliver_at\": time}."

/* An operation as it was read, and where its result goes. */
typedef struct Operation
{
	char	   *statement;		/* NULL: it publishes */
	JsonbValue *params;			/* an array, or NULL */
	JsonbContainer *message;
	bool		skips;			/* its error is its result */
	PrismReferences *references;	/* NULL: its values are as they are */
	StringInfo	result;
} Operation;

typedef struct TransactionCall
{
	JsonbContainer *operations;
	uint32		count;
	bool		is_dry;
	PrismReferences references;
	StringInfoData result;

	/* where we are, for the CONTEXT of errors */
	uint32		number;			/* from 1 on; 0: at none of them */
	const char *part;
} TransactionCall;

static void
tell_place(void *arg)
{
	TransactionCall *call = arg;

	if (call->number > 0)
		errcontext("prism.transaction(), operation %u%s%s", call->number,
				   call->part != NULL ? ": " : "",
				   call->part != NULL ? call->part : "");
	else if (call->part != NULL)
		errcontext("prism.transaction(), %s", call->part);
}

/* ---------- looking into JSON ---------- */

pg_noreturn static void
wrong(const char *message, const char *hint)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("%s", message),
			errhint("%s", hint));
}

/* The object's value of a key; NULL: it has none. */
static JsonbValue *
field(JsonbContainer *object, const char *key)
{
	return getKeyJsonValueFromContainer(object, key, strlen(key), NULL);
}

static JsonbContainer *
as_object(JsonbValue *value)
{
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		return NULL;
	return value->val.binary.data;
}

/* A misspelt key must not pass for one left out. */
static void
check_keys(JsonbContainer *object, const char *const *known, const char *hint)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbValue	key;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		const char *const *name = known;

		if (token != WJB_KEY)
			continue;
		while (*name != NULL && (strlen(*name) != (Size) key.val.string.len ||
								 memcmp(*name, key.val.string.val, key.val.string.len) != 0))
			name++;
		if (*name == NULL)
			wrong(psprintf("unknown key \"%s\"",
						   pnstrdup(key.val.string.val, pg_mbcliplen(key.val.string.val, key.val.string.len, 64))),
				  hint);
	}
}

/* ---------- reading an operation ---------- */

/* A string, null, left out, or what a reference will bring. */
static void
check_string(const PrismReferences *references, JsonbContainer *object, const char *key)
{
	JsonbValue *value = field(object, key);

	if (value != NULL && value->type != jbvNull && value->type != jbvString &&
		!prism_is_reference(references, value))
		wrong(psprintf("\"%s\" must be a string", key), MESSAGE_HINT);
}

static void
read_execute(JsonbValue *statement, JsonbValue *params, Operation *operation)
{
	if (statement->type != jbvString)
		wrong("\"execute\" must be a string", OPERATION_HINT);
	operation->statement = pnstrdup(statement->val.string.val, statement->val.string.len);
	if (params == NULL || params->type == jbvNull)
		return;
	if (params->type != jbvBinary || !JsonContainerIsArray(params->val.binary.data))
		wrong("\"params\" must be an array", OPERATION_HINT);
	operation->params = params;
}

static void
read_publish(JsonbValue *message, JsonbValue *params, Operation *operation)
{
	static const char *const fields[] = {"topic", "payload", "key", "headers", "namespace", "deliver_at", NULL};
	JsonbContainer *object = as_object(message);

	if (params != NULL)
		wrong("\"params\" belong to \"execute\"", OPERATION_HINT);
	if (object == NULL)
		wrong("\"publish\" must be an object", MESSAGE_HINT);
	check_keys(object, fields, MESSAGE_HINT);
	if (field(object, "payload") == NULL)
		wrong("a message needs a payload", "Write \"payload\": null for a tombstone.");
	if (field(object, "topic") == NULL)
		wrong("a message needs a topic", MESSAGE_HINT);
	check_string(operation->references, object, "topic");
	check_string(operation->references, object, "namespace");
	check_string(operation->references, object, "key");
	check_string(operation->references, object, "deliver_at");
	operation->message = object;
}

static bool
read_on_error(JsonbValue *value)
{
	if (value == NULL || value->type == jbvNull)
		return false;
	if (value->type == jbvString && value->val.string.len == 4 && memcmp(value->val.string.val, "skip", 4) == 0)
		return true;
	if (value->type != jbvString || value->val.string.len != 5 || memcmp(value->val.string.val, "abort", 5) != 0)
		wrong("\"on_error\" must be \"skip\" or \"abort\"",
			  "\"abort\", as when it is left out, undoes all operations; \"skip\" undoes this one, whose result tells the error.");
	return false;
}

static bool
read_references(JsonbValue *value)
{
	if (value == NULL || value->type == jbvNull)
		return true;
	if (value->type != jbvBool)
		wrong("\"references\" must be true or false",
			  "With false, \"$ref\" and \"$literal\" are plain data in this operation.");
	return value->val.boolean;
}

static void
read_operation(JsonbValue *value, Operation *operation, const char **verb)
{
	static const char *const known[] = {"execute", "params", "publish", "on_error", "references", NULL};
	JsonbContainer *object = as_object(value);
	JsonbValue *execute;
	JsonbValue *publish;

	if (object == NULL)
		wrong("an operation must be an object", OPERATION_HINT);
	check_keys(object, known, OPERATION_HINT);
	execute = field(object, "execute");
	publish = field(object, "publish");
	if (execute == NULL && publish == NULL)
		wrong("an operation needs the key \"execute\" or \"publish\"", OPERATION_HINT);
	if (execute != NULL && publish != NULL)
		wrong("an operation cannot be both \"execute\" and \"publish\"",
			  "Make two operations of it; they are done in the order of the array.");
	*verb = execute != NULL ? "execute" : "publish";
	operation->skips = read_on_error(field(object, "on_error"));
	if (!read_references(field(object, "references")))
		operation->references = NULL;
	if (execute != NULL)
		read_execute(execute, field(object, "params"), operation);
	else
		read_publish(publish, field(object, "params"), operation);
}

/* ---------- running it ---------- */

/* NULL: null or left out.  Numbers and booleans come by references only, and are their text. */
static text *
string_field(Operation *operation, const char *key)
{
	JsonbValue *value = field(operation->message, key);

	if (value != NULL)
		value = prism_references_resolve(operation->references, value);
	if (value == NULL || value->type == jbvNull)
		return NULL;
	if (value->type == jbvBinary)
		wrong(psprintf("\"%s\" must be a string", key), "Its reference found an array or an object.");
	return cstring_to_text(prism_json_to_input(value, TEXTOID));
}

/* Likewise a time, as PostgreSQL writes and reads it. */
static TimestampTz
time_field(Operation *operation, const char *key)
{
	text	   *value = string_field(operation, key);

	if (value == NULL)
		return PRISM_DELIVER_AT_ONCE;
	return prism_publish_check_time(DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in,
																			CStringGetDatum(text_to_cstring(value)),
																			ObjectIdGetDatum(InvalidOid),
																			Int32GetDatum(-1))));
}

/* Likewise any JSON. */
static Jsonb *
json_field(Operation *operation, const char *key)
{
	JsonbValue *value = field(operation->message, key);

	if (value != NULL)
		value = prism_references_resolve(operation->references, value);
	return value == NULL || value->type == jbvNull ? NULL : JsonbValueToJsonb(value);
}

static void
run_publish(Operation *operation)
{
	PrismTopic *topic = prism_publish_topic(string_field(operation, "topic"), string_field(operation, "namespace"));
	TimestampTz deliver_at = time_field(operation, "deliver_at");
	Jsonb	   *payload = json_field(operation, "payload");
	pg_uuid_t	id = prism_publish_as(topic, NULL, deliver_at, PRISM_PAYLOAD_JSON,
									  payload == NULL ? NULL : prism_jsonb_bytes(payload),
									  string_field(operation, "key"), json_field(operation, "headers")).id;

	appendStringInfo(operation->result, "{\"id\":\"%s\"}",
					 DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&id))));
}

static void
run_operation(void *arg)
{
	Operation  *operation = arg;
	JsonbContainer *params = NULL;

	if (operation->statement == NULL)
	{
		run_publish(operation);
		return;
	}
	if (operation->params != NULL)
		params = prism_references_resolve(operation->references, operation->params)->val.binary.data;
	prism_statement_run(operation->statement, params, operation->result);
}

/* ---------- an operation that is skipped ---------- */

/*
 * An error of the operation itself, which it would meet again.  Not one that ends
 * the transaction (40), is about the state of the server (53, 58, XX001, XX002),
 * or is what somebody wants: a cancel, a shutdown, a time-out (57), an ASSERT.
 * A limit that is configured (53400: no place for its topic or group, its
 * temporary files) is met by those who need more of it, and not by the others.
 */
static bool
can_skip(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:
			return sqlstate == ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
			return false;
		default:
			return sqlstate != ERRCODE_ASSERT_FAILURE && sqlstate != ERRCODE_DATA_CORRUPTED &&
				sqlstate != ERRCODE_INDEX_CORRUPTED;
	}
}

static void
append_string(StringInfo result, const char *key, const char *value)
{
	if (value == NULL)
		return;
	appendStringInfo(result, ",\"%s\":", key);
	escape_json(result, value);
}

static void
append_error(StringInfo result, const ErrorData *error)
{
	appendStringInfo(result, "{\"error\":{\"sqlstate\":\"%s\"", unpack_sql_state(error->sqlerrcode));
	append_string(result, "message", error->message);
	append_string(result, "detail", error->detail);
	append_string(result, "hint", error->hint);
	append_string(result, "schema", error->schema_name);
	append_string(result, "table", error->table_name);
	append_string(result, "column", error->column_name);
	append_string(result, "datatype", error->datatype_name);
	append_string(result, "constraint", error->constraint_name);
	appendStringInfoString(result, "}}");
}

/* False: it failed, and only its result says so. */
static bool
run_or_skip(Operation *operation)
{
	StringInfo	result = operation->result;
	int			start = result->len;
	ErrorData  *error = prism_savepoint_try(run_operation, operation);

	if (error == NULL)
		return true;
	if (!can_skip(error->sqlerrcode))
		ReThrowError(error);
	result->len = start;
	append_error(result, error);
	return false;
}

/* ---------- the call ---------- */

/* A dry run ends as a commit would begin. */
static void
run_deferred(TransactionCall *call)
{
	ConstraintsSetStmt all = {.type = T_ConstraintsSetStmt};

	call->number = 0;
	call->part = "what is deferred to the commit";
	AfterTriggerSetState(&all);
	call->part = NULL;
}

static void
run_all(void *arg)
{
	TransactionCall *call = arg;
	StringInfo	result = &call->result;
	MemoryContext operation_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism operation", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(operation_cxt);

	for (uint32 i = 0; i < call->count; i++)
	{
		Operation	operation = {.references = &call->references,.result = result};
		bool		done = true;
		int			start;

		CHECK_FOR_INTERRUPTS();
		call->number = i + 1;
		call->part = NULL;
		if (i > 0)
			appendStringInfoChar(result, ',');
		start = result->len;
		read_operation(getIthJsonbValueFromContainer(call->operations, i), &operation, &call->part);
		if (operation.skips)
			done = run_or_skip(&operation);
		else
			run_operation(&operation);
		prism_result_check_size(result->len);
		prism_references_add(&call->references, start, !done);
		MemoryContextReset(operation_cxt);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(operation_cxt);
	if (call->is_dry)
		run_deferred(call);
}

Datum
prism_transaction(PG_FUNCTION_ARGS)
{
	Jsonb	   *operations = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	TransactionCall call = {.is_dry = PG_NARGS() > 1 && !PG_ARGISNULL(1) && PG_GETARG_BOOL(1)};
	ErrorContextCallback callback = {.callback = tell_place,.arg = &call};
	ErrorData  *error = NULL;
	Datum		results;

	prism_require_argument(operations != NULL, "operations");
	prism_require_argument(PG_NARGS() < 2 || !PG_ARGISNULL(1), "dry_run");
	if (!JB_ROOT_IS_ARRAY(operations) || JB_ROOT_IS_SCALAR(operations))
		wrong("operations must be a JSON array", OPERATION_HINT);

	call.operations = &operations->root;
	call.count = JB_ROOT_COUNT(operations);
	initStringInfo(&call.result);
	appendStringInfoChar(&call.result, '[');
	prism_references_begin(&call.references, operations, &call.result);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	if (call.is_dry)
		error = prism_savepoint_undo(run_all, &call);
	else
		run_all(&call);
	if (error != NULL)
	{
		/* it has its place already */
		error_context_stack = callback.previous;
		ReThrowError(error);
	}
	appendStringInfoChar(&call.result, ']');
	call.number = 0;
	call.part = "the array of results";
	results = prism_result_to_jsonb(call.result.data);
	error_context_stack = callback.previous;
	PG_RETURN_DATUM(results);
}
