/*-------------------------------------------------------------------------
 *
 * transaction.c
 *	  prism.transaction(): statements and messages in one call, all or nothing.
 *
 * A call is one statement of the caller's, so an error anywhere in the list
 * takes back everything before it.  The statements run with the caller's own
 * rights and search_path.
 *
 * src/api/transaction.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/arguments.h"
#include "api/publish.h"
#include "api/statement.h"
#include "base/compat.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(prism_transaction);

#define OPERATION_HINT \
	"An operation is {\"execute\": \"UPDATE ... $1\", \"params\": [...]} or {\"publish\": {\"topic\": ..., \"payload\": ...}}."

/* Where we are, for the CONTEXT of errors. */
typedef struct Operation
{
	uint32		number;			/* from 1 on */
	const char *verb;
} Operation;

static void
tell_operation(void *arg)
{
	Operation  *operation = arg;

	if (operation->number > 0)
		errcontext("prism.transaction(), operation %u%s%s", operation->number,
				   operation->verb != NULL ? ": " : "",
				   operation->verb != NULL ? operation->verb : "");
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

/* A field that is a string, or NULL when it is null or left out. */
static text *
string_field(JsonbContainer *object, const char *key, const char *hint)
{
	JsonbValue *value = field(object, key);

	if (value == NULL || value->type == jbvNull)
		return NULL;
	if (value->type != jbvString)
		wrong(psprintf("\"%s\" must be a string", key), hint);
	return cstring_to_text_with_len(value->val.string.val, value->val.string.len);
}

/* Likewise a time, as PostgreSQL writes and reads it. */
static TimestampTz
time_field(JsonbContainer *object, const char *key, const char *hint)
{
	text	   *value = string_field(object, key, hint);

	if (value == NULL)
		return PRISM_DELIVER_AT_ONCE;
	return prism_publish_check_time(DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in,
																			CStringGetDatum(text_to_cstring(value)),
																			ObjectIdGetDatum(InvalidOid),
																			Int32GetDatum(-1))));
}

/* ---------- the operations ---------- */

static void
run_execute(JsonbContainer *operation, JsonbValue *statement, StringInfo result)
{
	JsonbValue *params = field(operation, "params");
	JsonbContainer *values = NULL;

	if (statement->type != jbvString)
		wrong("\"execute\" must be a string", OPERATION_HINT);
	if (params != NULL && params->type != jbvNull)
	{
		if (params->type != jbvBinary || !JsonContainerIsArray(params->val.binary.data))
			wrong("\"params\" must be an array", OPERATION_HINT);
		values = params->val.binary.data;
	}
	prism_statement_run(pnstrdup(statement->val.string.val, statement->val.string.len), values, result);
}

static void
run_publish(JsonbContainer *operation, JsonbValue *message, StringInfo result)
{
	static const char *const fields[] = {"topic", "payload", "key", "headers", "namespace", "deliver_at", NULL};
	static const char *const hint =
		"A message is {\"topic\": string, \"payload\": any JSON, \"key\": string, \"headers\": object, \"namespace\": string, \"deliver_at\": time}.";
	JsonbContainer *object = as_object(message);
	PrismTopic *topic;
	JsonbValue *payload;
	JsonbValue *headers;
	pg_uuid_t	id;

	if (field(operation, "params") != NULL)
		wrong("\"params\" belong to \"execute\"", OPERATION_HINT);
	if (object == NULL)
		wrong("\"publish\" must be an object", hint);
	check_keys(object, fields, hint);
	payload = field(object, "payload");
	if (payload == NULL)
		wrong("a message needs a payload", "Write \"payload\": null for a tombstone.");
	if (field(object, "topic") == NULL)
		wrong("a message needs a topic", hint);
	headers = field(object, "headers");

	topic = prism_publish_topic(string_field(object, "topic", hint), string_field(object, "namespace", hint));
	id = prism_publish_as(topic, NULL, time_field(object, "deliver_at", hint), PRISM_PAYLOAD_JSON,
						  payload->type == jbvNull ? NULL : prism_jsonb_bytes(JsonbValueToJsonb(payload)),
						  string_field(object, "key", hint),
						  headers == NULL || headers->type == jbvNull ? NULL : JsonbValueToJsonb(headers)).id;
	appendStringInfo(result, "{\"id\":\"%s\"}",
					 DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&id))));
}

static void
run_operation(JsonbValue *value, Operation *here, StringInfo result)
{
	static const char *const verbs[] = {"execute", "params", "publish", NULL};
	JsonbContainer *operation = as_object(value);
	JsonbValue *execute;
	JsonbValue *publish;

	if (operation == NULL)
		wrong("an operation must be an object", OPERATION_HINT);
	check_keys(operation, verbs, OPERATION_HINT);
	execute = field(operation, "execute");
	publish = field(operation, "publish");
	if (execute == NULL && publish == NULL)
		wrong("an operation needs the key \"execute\" or \"publish\"", OPERATION_HINT);
	if (execute != NULL && publish != NULL)
		wrong("an operation cannot be both \"execute\" and \"publish\"",
			  "Make two operations of it; they are done in the order of the array.");
	here->verb = execute != NULL ? "execute" : "publish";
	if (execute != NULL)
		run_execute(operation, execute, result);
	else
		run_publish(operation, publish, result);
}

/* One piece of memory holds the elements of an array: PostgreSQL calls it an internal error when they do not fit. */
static Datum
result_datum(char *json)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile Datum result = (Datum) 0;

	PG_TRY();
	{
		result = DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_INTERNAL_ERROR)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("result of prism.transaction() is too large"),
				errdetail("An array or object in it has more elements than jsonb can hold."),
				errhint("Return less, or read it with a statement of its own."));
	}
	PG_END_TRY();
	return result;
}

Datum
prism_transaction(PG_FUNCTION_ARGS)
{
	Jsonb	   *operations = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	Operation	here = {0};
	ErrorContextCallback callback = {.callback = tell_operation,.arg = &here};
	MemoryContext caller;
	MemoryContext operation_cxt;
	StringInfoData result;
	uint32		count;

	prism_require_argument(operations != NULL, "operations");
	if (!JB_ROOT_IS_ARRAY(operations) || JB_ROOT_IS_SCALAR(operations))
		wrong("operations must be a JSON array", OPERATION_HINT);

	initStringInfo(&result);
	appendStringInfoChar(&result, '[');
	operation_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism operation", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(operation_cxt);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	count = JB_ROOT_COUNT(operations);
	for (uint32 i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		here.number = i + 1;
		here.verb = NULL;
		if (i > 0)
			appendStringInfoChar(&result, ',');
		run_operation(getIthJsonbValueFromContainer(&operations->root, i), &here, &result);
		MemoryContextReset(operation_cxt);
	}
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(operation_cxt);
	appendStringInfoChar(&result, ']');
	PG_RETURN_DATUM(result_datum(result.data));
}
