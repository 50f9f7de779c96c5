/*-------------------------------------------------------------------------
 *
 * consume.c
 *	  prism.consume() and prism.ack().
 *
 * In FROM, consume() hands over all its rows at once; in a SELECT list, where
 * an executor may stop early (LIMIT, a cursor), it returns them one by one and
 * gives back what was not fetched.
 *
 * src/api/consume.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "api/message.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(prism_consume);
PG_FUNCTION_INFO_V1(prism_ack_message);
PG_FUNCTION_INFO_V1(prism_ack_positions);

#define LEASE_US_MAX (12 * USECS_PER_HOUR)
/* consume() sleeps with a snapshot, which holds back VACUUM: not for long. */
#define WAIT_US_MAX (60 * USECS_PER_SEC)

/* A lease id that is no one's: zero would mean "this session's". */
#define NO_LEASE (-1)

/* ---------- prism.consume() ---------- */

typedef struct ConsumeArguments
{
	PrismTopic *topic;
	PrismGroupRef *group;
	int			max_messages;
	int64		lease_us;
	TimestampTz wait_until;		/* 0: do not wait */
} ConsumeArguments;

/* Arguments: topic, consumer_group, max_messages, lease, wait, namespace. */
static ConsumeArguments
consume_arguments(FunctionCallInfo fcinfo)
{
	text	   *topic = prism_required_text(fcinfo, 0, "topic");
	text	   *group = prism_required_text(fcinfo, 1, "consumer_group");
	ConsumeArguments arguments = {
		.max_messages = prism_count_argument(fcinfo, 2, "max_messages"),
		.lease_us = prism_interval_argument(fcinfo, 3, "lease", 1, LEASE_US_MAX)
	};
	int64		wait_us = prism_interval_argument(fcinfo, 4, "wait", 0, PG_INT64_MAX);

	prism_require_writable("prism.consume()");
	if (wait_us > 0)
		arguments.wait_until = GetCurrentTimestamp() + Min(wait_us, WAIT_US_MAX);
	arguments.group = prism_group_argument(topic, group, PRISM_GROUP_MAKE, "prism.consume()", &arguments.topic);
	if (!PG_ARGISNULL(5))
		prism_topic_check_namespace(arguments.topic, text_to_cstring(PG_GETARG_TEXT_PP(5)));
	return arguments;
}

static PrismDelivery *
take_or_wait(const ConsumeArguments *arguments)
{
	PrismDelivery *delivery;

	if (arguments->wait_until == 0)
		return prism_group_take(arguments->group, arguments->max_messages, arguments->lease_us);

	prism_group_prepare_sleep(arguments->topic);
	for (;;)
	{
		delivery = prism_group_take(arguments->group, arguments->max_messages, arguments->lease_us);
		if (prism_delivery_count(delivery) > 0 ||
			!prism_group_sleep(arguments->topic, arguments->group, arguments->wait_until))
			break;
		prism_delivery_close(delivery);
		CHECK_FOR_INTERRUPTS();
	}
	prism_group_cancel_sleep();
	return delivery;
}

static PrismDelivery *
take(const ConsumeArguments *arguments)
{
	PrismDelivery *delivery = take_or_wait(arguments);

	if (prism_delivery_starved(delivery))
		ereport(WARNING,
				errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("consumer group \"%s\" has as many unfinished messages as its window holds",
					   prism_group_name(arguments->group)),
				errdetail("Others wait behind them until some are acknowledged or their leases end."),
				errhint("Acknowledge what was consumed, or raise prism.group_window."));
	return delivery;
}

static Datum
consume_at_once(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ConsumeArguments arguments = consume_arguments(fcinfo);
	PrismDelivery *delivery;
	PrismMessageRow row;
	PrismMessage message;
	int			attempt;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	delivery = take(&arguments);
	prism_message_row_init(&row, arguments.topic->name, prism_group_name(arguments.group),
						   prism_delivery_lease(delivery));
	while (prism_delivery_next(delivery, &message, &attempt))
	{
		prism_message_row_fill(&row, &message, attempt);
		tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
	}
	prism_delivery_close(delivery);
	return (Datum) 0;
}

/* Rows that are returned one by one. */
typedef struct OneByOne
{
	PrismDelivery *delivery;
	Datum	   *rows;
	int			count;
	int			returned;
} OneByOne;

/* The executor lost interest. */
static void
return_rest(Datum arg)
{
	OneByOne   *state = (OneByOne *) DatumGetPointer(arg);

	prism_delivery_return(state->delivery, state->returned);
}

/* Everything is fetched in the first call: nothing stays open between calls. */
static OneByOne *
begin_one_by_one(FunctionCallInfo fcinfo, TupleDesc descriptor)
{
	ConsumeArguments arguments = consume_arguments(fcinfo);
	OneByOne   *state = palloc0(sizeof(OneByOne));
	PrismMessageRow row;
	PrismMessage message;
	int			attempt;

	state->delivery = take(&arguments);
	state->rows = palloc((prism_delivery_count(state->delivery) + 1) * sizeof(Datum));
	prism_message_row_init(&row, arguments.topic->name, prism_group_name(arguments.group),
						   prism_delivery_lease(state->delivery));
	while (prism_delivery_next(state->delivery, &message, &attempt))
	{
		prism_message_row_fill(&row, &message, attempt);
		state->rows[state->count++] = HeapTupleGetDatum(heap_form_tuple(descriptor, row.values, row.nulls));
	}
	return state;
}

static Datum
consume_one_by_one(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	FuncCallContext *context;
	OneByOne   *state;

	if (SRF_IS_FIRSTCALL())
	{
		TupleDesc	descriptor;
		MemoryContext caller;

		context = SRF_FIRSTCALL_INIT();
		caller = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "prism.consume() must return rows");
		context->user_fctx = begin_one_by_one(fcinfo, BlessTupleDesc(descriptor));
		MemoryContextSwitchTo(caller);
		RegisterExprContextCallback(result->econtext, return_rest, PointerGetDatum(context->user_fctx));
	}
	context = SRF_PERCALL_SETUP();
	state = context->user_fctx;
	if (state->returned < state->count)
		SRF_RETURN_NEXT(context, state->rows[state->returned++]);
	UnregisterExprContextCallback(result->econtext, return_rest, PointerGetDatum(state));
	SRF_RETURN_DONE(context);
}

Datum
prism_consume(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	if (result != NULL && IsA(result, ReturnSetInfo) &&
		(result->allowedModes & SFRM_Materialize_Preferred) == 0 &&
		(result->allowedModes & SFRM_ValuePerCall) != 0)
		return consume_one_by_one(fcinfo);
	return consume_at_once(fcinfo);
}

/* ---------- prism.ack() ---------- */

static PrismGroupRef *
ack_group(text *topic, text *group)
{
	PrismTopic *found;

	prism_require_writable("prism.ack()");
	return prism_group_argument(topic, group, PRISM_GROUP_REFUSE, "prism.ack()", &found);
}

Datum
prism_ack_message(PG_FUNCTION_ARGS)
{
	PrismMessageLease lease;
	PrismGroupRef *group;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("message must not be null"));
	lease = prism_message_lease(PG_GETARG_HEAPTUPLEHEADER(0));
	if (lease.lease_id == 0)
		lease.lease_id = NO_LEASE;
	group = ack_group(lease.topic, lease.group);
	PG_RETURN_INT64(prism_group_ack(group, &lease.position, &lease.lease_id, 1));
}

/* A copy of an argument of type bigint[]; NULL when the array is. */
static int64 *
bigint_array(FunctionCallInfo fcinfo, int argument, const char *name, int *count)
{
	ArrayType  *array;
	Datum	   *values;
	bool	   *nulls;
	int64	   *copy;

	*count = 0;
	if (PG_ARGISNULL(argument))
		return NULL;
	array = PG_GETARG_ARRAYTYPE_P(argument);
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				errmsg("%s must have one dimension", name));
	if (array_contains_nulls(array))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not contain nulls", name));
	deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &values, &nulls, count);
	copy = MemoryContextAllocHuge(CurrentMemoryContext, ((Size) *count + 1) * sizeof(int64));
	for (int i = 0; i < *count; i++)
		copy[i] = DatumGetInt64(values[i]);
	return copy;
}

/* Arguments: topic, consumer_group, positions, lease_ids. */
Datum
prism_ack_positions(PG_FUNCTION_ARGS)
{
	text	   *topic = prism_required_text(fcinfo, 0, "topic");
	text	   *group = prism_required_text(fcinfo, 1, "consumer_group");
	int			position_count;
	int			lease_count;
	int64	   *positions = bigint_array(fcinfo, 2, "positions", &position_count);
	int64	   *lease_ids = bigint_array(fcinfo, 3, "lease_ids", &lease_count);

	if (positions == NULL)
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("positions must not be null"));
	if (lease_ids != NULL && lease_count != position_count)
		ereport(ERROR,
				errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				errmsg("positions and lease_ids differ in length"),
				errdetail("There are %d positions and %d lease ids.", position_count, lease_count));
	for (int i = 0; i < lease_count; i++)
		lease_ids[i] = lease_ids[i] != 0 ? lease_ids[i] : NO_LEASE;
	PG_RETURN_INT64(prism_group_ack(ack_group(topic, group), positions, lease_ids, position_count));
}
