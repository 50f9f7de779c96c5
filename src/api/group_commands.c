/*-------------------------------------------------------------------------
 *
 * group_commands.c
 *	  prism.create_group(), prism.drop_group(), prism.wait(), prism.groups.
 *
 * src/api/group_commands.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/message.h"
#include "base/extension.h"
#include "base/patience.h"
#include "bgworker/wakeup.h"
#include "store/log/log.h"

#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(prism_create_group);
PG_FUNCTION_INFO_V1(prism_drop_group);
PG_FUNCTION_INFO_V1(prism_wait);
PG_FUNCTION_INFO_V1(prism_group_states);

#define WAIT_US_MAX (24 * USECS_PER_HOUR)

/* ---------- making and dropping ---------- */

/* An option that is an integer; NULL leaves its default. */
static void
integer_option(FunctionCallInfo fcinfo, int argument, const char *name, int max, int *value)
{
	if (PG_ARGISNULL(argument))
		return;
	*value = PG_GETARG_INT32(argument);
	if (*value < 0 || *value > max)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s is out of range", name),
				errdetail("It is %d; the range is 0 to %d.", *value, max));
}

static void
backoff_option(FunctionCallInfo fcinfo, int argument, PrismGroupOptions *options)
{
	ArrayType  *array;
	Datum	   *steps;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(argument))
		return;
	array = PG_GETARG_ARRAYTYPE_P(argument);
	deconstruct_array(array, INTERVALOID, sizeof(Interval), false, TYPALIGN_DOUBLE, &steps, &nulls, &count);
	if (ARR_NDIM(array) > 1 || count > PRISM_BACKOFF_STEPS_MAX)
		ereport(ERROR,
				errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				errmsg("backoff must have one dimension and at most %d elements", PRISM_BACKOFF_STEPS_MAX));
	options->backoff_count = count;
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("backoff must not contain nulls"));
		options->backoff_us[i] = prism_interval_us(DatumGetIntervalP(steps[i]), "backoff", 0, PRISM_DELAY_US_MAX);
	}
}

/* Arguments from 'first' on: ordering, max_attempts, lease, max_in_flight, backoff. */
static PrismGroupOptions
options_arguments(FunctionCallInfo fcinfo, int first, const PrismTopic *topic)
{
	PrismGroupOptions options = prism_group_options_of(&topic->policy);

	if (!PG_ARGISNULL(first))
	{
		char	   *ordering = text_to_cstring(PG_GETARG_TEXT_PP(first));

		if (!prism_ordering_parse(ordering, &options.ordering))
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid ordering \"%.*s\"", pg_mbcliplen(ordering, strlen(ordering), 64), ordering),
					errhint("Use key, none or strict."));
	}
	integer_option(fcinfo, first + 1, "max_attempts", PRISM_ATTEMPTS_MAX, &options.max_attempts);
	if (!PG_ARGISNULL(first + 2))
		options.lease_us = prism_interval_argument(fcinfo, first + 2, "lease", 1, PRISM_LEASE_US_MAX);
	integer_option(fcinfo, first + 3, "max_in_flight", PRISM_IN_FLIGHT_MAX, &options.max_in_flight);
	backoff_option(fcinfo, first + 4, &options);
	return options;
}

/* Arguments: topic, consumer_group, start, ordering, max_attempts, lease, max_in_flight, backoff. */
Datum
prism_create_group(PG_FUNCTION_ARGS)
{
	text	   *topic_name = prism_required_text(fcinfo, 0, "topic");
	char	   *name = text_to_cstring(prism_required_text(fcinfo, 1, "consumer_group"));
	char	   *start = text_to_cstring(prism_required_text(fcinfo, 2, "start"));
	PrismGroupOptions options;
	PrismTopic *topic;

	prism_require_writable("prism.create_group()");
	topic = prism_topic_argument(topic_name, PRISM_CONSUME, "prism.create_group()");
	options = options_arguments(fcinfo, 3, topic);
	prism_group_create(topic, name, prism_position_argument(topic, start, "start"), &options);
	PG_RETURN_VOID();
}

/* Arguments: topic, consumer_group. */
Datum
prism_drop_group(PG_FUNCTION_ARGS)
{
	text	   *topic_name = prism_required_text(fcinfo, 0, "topic");
	char	   *name = text_to_cstring(prism_required_text(fcinfo, 1, "consumer_group"));
	PrismTopic *topic;

	prism_require_writable("prism.drop_group()");
	topic = prism_topic_argument(topic_name, PRISM_CONSUME, "prism.drop_group()");
	if (!prism_group_drop(topic, name))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("topic \"%s\" has no consumer group \"%s\"", topic->name, name),
				errhint("prism.groups lists those that exist."));
	prism_wake_at_commit();		/* its handler goes along */
	PG_RETURN_VOID();
}

/* ---------- prism.wait() ---------- */

/* Is this session to come for a message? If not, *look_at says when to look again at the latest. */
static bool
called(PrismTopic *topic, PrismGroupRef *group, PrismInstant *look_at)
{
	/* a group that does not exist yet would begin at the earliest message */
	if (group == NULL)
	{
		*look_at = PRISM_NEVER;
		return prism_log_earliest(topic) < prism_log_stable(topic);
	}
	if (prism_group_call(group))
		return true;
	*look_at = prism_group_look_at(group);
	return false;
}

/*
 * One look, with a snapshot for the time being.  The topic's lock is held no
 * longer than that: who sleeps for a day must not hold up who drops the topic.
 */
static bool
look_once(text *topic_name, const char *group_name, PrismInstant until, PrismInstant *look_at)
{
	bool		push = !ActiveSnapshotSet();
	PrismTopic *topic;
	PrismGroupRef *group;
	bool		found;

	if (push)
		PushActiveSnapshot(GetTransactionSnapshot());
	topic = prism_topic_argument(topic_name, PRISM_CONSUME, "prism.wait()");
	group = prism_group_open_until(topic, group_name, PRISM_GROUP_IGNORE, until);
	prism_group_prepare_sleep(topic, group);
	found = called(topic, group, look_at);
	prism_topic_release(topic);
	if (push)
		PopActiveSnapshot();
	InvalidateCatalogSnapshot();
	return found;
}

/*
 * Arguments: topic, consumer_group, timeout.  Called by CALL outside of a
 * transaction block, it lets go of the statement's snapshot, so that VACUUM is
 * not held back while it sleeps.
 */
Datum
prism_wait(PG_FUNCTION_ARGS)
{
	text	   *topic = prism_required_text(fcinfo, 0, "topic");
	char	   *group = text_to_cstring(prism_required_text(fcinfo, 1, "consumer_group"));
	int64		timeout_us = prism_interval_argument(fcinfo, 2, "timeout", 0, WAIT_US_MAX);
	PrismInstant until = prism_instant() + timeout_us;
	PrismInstant look_at;
	bool		atomic = fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic;

	if (!atomic)
		ForgetPortalSnapshots();
	while (!look_once(topic, group, until, &look_at) && prism_group_sleep(look_at, until))
		CHECK_FOR_INTERRUPTS();
	prism_group_cancel_sleep();
	if (!atomic)
		EnsurePortalSnapshotExists();
	PG_RETURN_VOID();
}

/* ---------- prism.groups ---------- */

/* Columns of prism_internal.group_states(). */
enum
{
	STATE_TOPIC,
	STATE_GROUP,
	STATE_POSITION,
	STATE_IN_FLIGHT,
	STATE_AVAILABLE,
	STATE_DELAYED,
	STATE_LAG_MESSAGES,
	STATE_LAG_SECONDS,
	STATE_WINDOW_FULL,
	STATE_ORDERING,
	STATE_OLDEST_UNACKNOWLEDGED,
	STATE_CONSUMERS,
	STATE_COLUMNS
};

static bool
may_see(const PrismTopic *topic)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		prism_topic_allows(topic, PRISM_CONSUME) || prism_topic_allows(topic, PRISM_READ) ||
		prism_topic_allows(topic, PRISM_ADMIN);
}

/* In seconds; of nothing 0. */
static double
age(TimestampTz since)
{
	return since != 0 ? Max(0, (GetCurrentTimestamp() - since) / (double) USECS_PER_SEC) : 0;
}

/* One group, as its window has it; which is rebuilt from the log if nobody has used it since the server started. */
typedef struct GroupLook
{
	PrismTopic *topic;
	const char *name;
	PrismGroupStatus status;
	bool		found;
} GroupLook;

static void
look_at_group(void *arg)
{
	GroupLook  *look = arg;
	PrismGroupRef *group = prism_group_open(look->topic, look->name, PRISM_GROUP_LOOK);

	look->found = group != NULL && prism_group_status(group, &look->status);
}

/* Nothing, if there is nothing to tell, or tables that would have to be read are locked or damaged. */
static void
fill_state(PrismTopic *topic, const char *name, Datum *values, bool *nulls)
{
	GroupLook	look = {.topic = topic, .name = name};
	PrismGroupStatus status;
	const char *damage;

	if (RecoveryInProgress() || !prism_look_without_waiting(look_at_group, &look, &damage) || !look.found)
		return;
	memset(nulls, false, STATE_COLUMNS * sizeof(bool));
	status = look.status;
	nulls[STATE_LAG_SECONDS] = status.oldest_unknown;
	nulls[STATE_LAG_MESSAGES] = status.lag_unknown;
	values[STATE_POSITION] = Int64GetDatum(status.position);
	values[STATE_IN_FLIGHT] = Int32GetDatum(status.in_flight);
	values[STATE_AVAILABLE] = Int32GetDatum(status.available);
	values[STATE_DELAYED] = Int32GetDatum(status.delayed);
	values[STATE_LAG_MESSAGES] = Int64GetDatum(status.lag_messages);
	values[STATE_LAG_SECONDS] = Float8GetDatum(age(status.oldest));
	values[STATE_WINDOW_FULL] = BoolGetDatum(status.full);
	values[STATE_ORDERING] = CStringGetTextDatum(prism_ordering_name(status.ordering));
	values[STATE_OLDEST_UNACKNOWLEDGED] = Float8GetDatum(age(status.oldest_held));
	values[STATE_CONSUMERS] = Int32GetDatum(status.consumers);
}

Datum
prism_group_states(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	if (!prism_preloaded)		/* prism.status says so */
		return (Datum) 0;
	foreach(cell, prism_group_list())
	{
		PrismGroupName *name = lfirst(cell);
		bool		busy;
		PrismTopic *topic = prism_topic_try_id(name->topic_id, &busy);
		Datum		values[STATE_COLUMNS] = {0};
		bool		nulls[STATE_COLUMNS];

		if (topic == NULL)
			continue;
		if (!may_see(topic))
		{
			prism_topic_release(topic);
			continue;
		}
		memset(nulls, true, sizeof(nulls));
		fill_state(topic, name->name, values, nulls);
		nulls[STATE_TOPIC] = nulls[STATE_GROUP] = false;
		values[STATE_TOPIC] = CStringGetTextDatum(topic->name);
		values[STATE_GROUP] = CStringGetTextDatum(name->name);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		prism_topic_release(topic);
	}
	return (Datum) 0;
}
