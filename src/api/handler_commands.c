/*-------------------------------------------------------------------------
 *
 * handler_commands.c
 *	  prism.on(), prism.off(), prism.handlers.
 *
 * src/api/handler_commands.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/arguments.h"
#include "api/message.h"
#include "base/compat.h"
#include "base/extension.h"
#include "bgworker/wakeup.h"
#include "store/handler/handler.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(prism_on);
PG_FUNCTION_INFO_V1(prism_off);
PG_FUNCTION_INFO_V1(prism_handler_states);

#define TIMEOUT_US_MIN 1000
#define TIMEOUT_US_MAX USECS_PER_HOUR

/* ---------- prism.on() ---------- */

/* Which function, and how it wants its messages. */
static void
describe_function(Oid function, PrismHandler *handler)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc row;
	Oid			argument;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FUNCTION),
				errmsg("function with OID %u does not exist", function));
	row = (Form_pg_proc) GETSTRUCT(tuple);
	argument = row->pronargs == 1 ? row->proargtypes.values[0] : InvalidOid;
	handler->takes_batch = argument == prism_handler_argument_type(true);
	if (!handler->takes_batch && argument != prism_handler_argument_type(false))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				errmsg("function %s cannot be a handler", format_procedure(function)),
				errdetail("A handler takes one argument: prism.message[], a batch, or prism.message."));
	handler->function_schema = get_namespace_name(row->pronamespace);
	handler->function_name = pstrdup(NameStr(row->proname));
	ReleaseSysCache(tuple);
	if (isAnyTempNamespace(get_func_namespace(function)))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				errmsg("function %s cannot be a handler", handler->function_name),
				errdetail("It is a temporary function, which goes with its session."));
}

/* Whose rights the function is called with: the caller's own, or those of a role that he could be. */
static Oid
role_argument(FunctionCallInfo fcinfo, int argument)
{
	Oid			role = GetUserId();

	if (!PG_ARGISNULL(argument))
	{
		role = get_role_oid(NameStr(*PG_GETARG_NAME(argument)), false);
		if (!prism_member_can_set_role(GetUserId(), role))
			ereport(ERROR,
					errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("must be able to SET ROLE \"%s\" to let a handler run as it",
						   GetUserNameFromId(role, false)));
	}
	return role;
}

static int
batch_argument(FunctionCallInfo fcinfo, int argument)
{
	int			size = prism_count_argument(fcinfo, argument, "batch_size");

	if (size > PRISM_HANDLER_BATCH_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("batch_size is out of range"),
				errdetail("It is %d; the range is 1 to %d.", size, PRISM_HANDLER_BATCH_MAX));
	return size;
}

/* Arguments: topic, consumer_group, handler, batch_size, timeout, role. */
Datum
prism_on(PG_FUNCTION_ARGS)
{
	text	   *topic_name = prism_required_text(fcinfo, 0, "topic");
	text	   *group_name = prism_required_text(fcinfo, 1, "consumer_group");
	PrismHandler handler = {
		.batch_size = batch_argument(fcinfo, 3),
		.timeout_ms = prism_interval_argument(fcinfo, 4, "timeout", TIMEOUT_US_MIN, TIMEOUT_US_MAX) / 1000
	};
	const PrismHandlerFault *fault;
	PrismTopic *topic;
	PrismGroupRef *group;

	prism_require_argument(!PG_ARGISNULL(2), "handler");
	prism_require_writable("prism.on()");
	group = prism_group_argument(topic_name, group_name, PRISM_GROUP_MAKE, PRISM_NEVER, "prism.on()", &topic);
	handler.topic_id = topic->topic_id;
	handler.group_id = prism_group_number(group);
	handler.group_name = prism_group_name(group);
	handler.role_oid = role_argument(fcinfo, 5);
	handler.role = GetUserNameFromId(handler.role_oid, false);
	handler.registered_by_oid = GetUserId();
	handler.registered_by = GetUserNameFromId(handler.registered_by_oid, false);
	describe_function(PG_GETARG_OID(2), &handler);
	fault = prism_handler_check(&handler, topic, NULL);
	if (fault != NULL)
		ereport(ERROR,
				errcode(fault->sqlstate),
				errmsg_internal("%s", fault->message),
				fault->hint != NULL ? errhint("%s", fault->hint) : 0);
	prism_handler_insert(group, &handler);
	prism_wake_at_commit();
	PG_RETURN_VOID();
}

/* ---------- prism.off() ---------- */

/* Arguments: topic, consumer_group. */
Datum
prism_off(PG_FUNCTION_ARGS)
{
	text	   *topic_name = prism_required_text(fcinfo, 0, "topic");
	text	   *group_name = prism_required_text(fcinfo, 1, "consumer_group");
	PrismTopic *topic;
	PrismGroupRef *group;

	prism_require_writable("prism.off()");
	group = prism_group_argument(topic_name, group_name, PRISM_GROUP_REFUSE, PRISM_NEVER, "prism.off()", &topic);
	if (!prism_handler_remove(group))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("consumer group \"%s\" of topic \"%s\" has no handler", prism_group_name(group), topic->name),
				errhint("prism.handlers lists those that have one."));
	prism_wake_at_commit();
	PG_RETURN_VOID();
}

/* ---------- prism.handlers ---------- */

/* Columns of prism_internal.handler_states(). */
enum
{
	STATE_TOPIC,
	STATE_GROUP,
	STATE_HANDLER,
	STATE_ROLE,
	STATE_BATCH_SIZE,
	STATE_TIMEOUT,
	STATE_STATE,
	STATE_SINCE,
	STATE_ERROR,
	STATE_ERROR_AT,
	STATE_RETRY_AT,
	STATE_FIRST_COUNTER,
	STATE_COLUMNS = STATE_FIRST_COUNTER + PRISM_HANDLER_COUNTERS
};

/* Error texts may quote what messages hold. */
static bool
may_see_errors(const PrismTopic *topic, Oid role)
{
	return prism_topic_allows(topic, PRISM_ADMIN) ||
		(OidIsValid(role) && has_privs_of_role(GetUserId(), role));
}

static void
put_handler(ReturnSetInfo *result, const PrismHandler *handler, const PrismTopic *topic)
{
	const PrismHandlerFault *fault = prism_handler_check(handler, topic, NULL);
	Datum		values[STATE_COLUMNS] = {0};
	bool		nulls[STATE_COLUMNS] = {0};
	Interval	timeout = {.time = handler->timeout_ms * INT64CONST(1000)};
	PrismHandlerStatus status = {0};
	const char *error = status.error;

	if (!prism_handler_status(handler->group_id, &status) && fault == NULL &&
		!prism_handler_finds_place(handler->group_id))
		fault = prism_handler_no_place();
	if (fault != NULL)
	{
		status.state = PRISM_HANDLER_FAILED;
		error = fault->message;
	}
	else if (status.state == PRISM_HANDLER_FAILED)
		status.state = PRISM_HANDLER_BACKOFF;	/* what was in its way is not any more */
	values[STATE_TOPIC] = CStringGetTextDatum(topic->name);
	values[STATE_GROUP] = CStringGetTextDatum(handler->group_name);
	values[STATE_HANDLER] = CStringGetTextDatum(psprintf("%s(%s)", prism_handler_function(handler),
														 format_type_be(prism_handler_argument_type(handler->takes_batch))));
	values[STATE_ROLE] = CStringGetTextDatum(handler->role);
	values[STATE_BATCH_SIZE] = Int32GetDatum(handler->batch_size);
	values[STATE_TIMEOUT] = IntervalPGetDatum(&timeout);
	values[STATE_STATE] = CStringGetTextDatum(prism_handler_state_name(status.state));
	prism_put_time(values, nulls, STATE_SINCE, status.since);
	nulls[STATE_ERROR] = error[0] == '\0' || (fault == NULL && !may_see_errors(topic, handler->role_oid));
	if (!nulls[STATE_ERROR])
		values[STATE_ERROR] = CStringGetTextDatum(error);
	prism_put_time(values, nulls, STATE_ERROR_AT, status.error_at);
	prism_put_time(values, nulls, STATE_RETRY_AT, status.retry_at);
	for (int i = 0; i < PRISM_HANDLER_COUNTERS; i++)
		values[STATE_FIRST_COUNTER + i] = Int64GetDatum(status.counters[i]);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
prism_handler_states(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	/* nothing runs on a standby */
	if (!prism_preloaded || RecoveryInProgress())
		return (Datum) 0;
	foreach(cell, prism_handler_list(InvalidOid))
	{
		const PrismHandler *handler = lfirst(cell);
		bool		busy;
		PrismTopic *topic = prism_topic_try_id(handler->topic_id, &busy);

		if (topic == NULL)
			continue;
		if (prism_topic_is_visible(topic))
			put_handler(result, handler, topic);
		prism_topic_release(topic);
	}
	return (Datum) 0;
}
