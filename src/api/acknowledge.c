/*-------------------------------------------------------------------------
 *
 * acknowledge.c
 *	  What ends or extends a lease: prism.ack(), nack(), reject(), extend().
 *
 * Each verb takes one message as prism.consume() returned it, or topic, group,
 * positions and lease ids; what else it takes stands behind these.
 *
 * src/api/acknowledge.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/message.h"
#include "api/payload_text.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(prism_ack);
PG_FUNCTION_INFO_V1(prism_nack);
PG_FUNCTION_INFO_V1(prism_nack_literal);
PG_FUNCTION_INFO_V1(prism_reject);
PG_FUNCTION_INFO_V1(prism_extend);

/* A lease id that is no one's: zero would mean "this session's". */
#define NO_LEASE (-1)

/* Topic, group, positions, lease ids: more than all arguments of the other form. */
#define POSITION_ARGUMENTS 4

/* The messages that a verb is about. */
typedef struct Leases
{
	PrismGroupRef *group;
	int64	   *positions;
	int64	   *lease_ids;		/* NULL: this session's */
	int			count;
	int64		one_position;	/* room for a single one */
	int64		one_lease_id;
} Leases;

static PrismGroupRef *
group_of(text *topic, text *group, const char *function)
{
	PrismTopic *found;

	prism_require_writable(function);
	return prism_group_argument(topic, group, PRISM_GROUP_REFUSE, PRISM_NEVER, function, &found);
}

/* Argument: a prism.message. */
static void
message_argument(FunctionCallInfo fcinfo, const char *function, Leases *leases)
{
	PrismMessageLease lease;

	prism_require_argument(!PG_ARGISNULL(0), "message");
	lease = prism_message_lease(PG_GETARG_HEAPTUPLEHEADER(0));
	leases->one_position = lease.position;
	leases->one_lease_id = lease.lease_id != 0 ? lease.lease_id : NO_LEASE;
	leases->positions = &leases->one_position;
	leases->lease_ids = &leases->one_lease_id;
	leases->count = 1;
	leases->group = group_of(lease.topic, lease.group, function);
}

/* Arguments: topic, consumer_group, positions, lease_ids. */
static void
position_arguments(FunctionCallInfo fcinfo, const char *function, Leases *leases)
{
	text	   *topic = prism_required_text(fcinfo, 0, "topic");
	text	   *group = prism_required_text(fcinfo, 1, "consumer_group");
	int			lease_count;

	leases->positions = prism_bigint_array_argument(fcinfo, 2, "positions", &leases->count);
	leases->lease_ids = prism_bigint_array_argument(fcinfo, 3, "lease_ids", &lease_count);
	prism_require_argument(leases->positions != NULL, "positions");
	if (leases->lease_ids != NULL && lease_count != leases->count)
		ereport(ERROR,
				errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				errmsg("positions and lease_ids differ in length"),
				errdetail("There are %d positions and %d lease ids.", leases->count, lease_count));
	for (int i = 0; i < lease_count; i++)
		leases->lease_ids[i] = leases->lease_ids[i] != 0 ? leases->lease_ids[i] : NO_LEASE;
	leases->group = group_of(topic, group, function);
}

/* Take the leases from either form of the arguments; returns the number of the argument after them. */
static int
lease_arguments(FunctionCallInfo fcinfo, const char *function, Leases *leases)
{
	if (PG_NARGS() < POSITION_ARGUMENTS)
	{
		message_argument(fcinfo, function, leases);
		return 1;
	}
	position_arguments(fcinfo, function, leases);
	return POSITION_ARGUMENTS;
}

/* NULL: none was given. */
static char *
reason_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

Datum
prism_ack(PG_FUNCTION_ARGS)
{
	Leases		leases;

	(void) lease_arguments(fcinfo, "prism.ack()", &leases);
	PG_RETURN_INT64(prism_group_ack(leases.group, leases.positions, leases.lease_ids, leases.count));
}

/* Behind the leases: delay, reason. */
Datum
prism_nack(PG_FUNCTION_ARGS)
{
	Leases		leases;
	int			next = lease_arguments(fcinfo, "prism.nack()", &leases);
	int64		delay_us = PG_ARGISNULL(next) ? -1 :
		prism_interval_argument(fcinfo, next, "delay", 0, PRISM_DELAY_US_MAX);

	PG_RETURN_INT64(prism_group_nack(leases.group, leases.positions, leases.lease_ids, leases.count,
									 delay_us, reason_argument(fcinfo, next + 1)));
}

/* Arguments: topic, consumer_group, and the text of positions: what three parameters without a type become. */
Datum
prism_nack_literal(PG_FUNCTION_ARGS)
{
	PrismGroupRef *group = group_of(prism_required_text(fcinfo, 0, "topic"),
									prism_required_text(fcinfo, 1, "consumer_group"), "prism.nack()");
	text	   *literal = prism_required_text(fcinfo, 2, "positions");
	int			count;
	int64	   *positions = prism_bigint_array(prism_text_to_array(literal, INT8ARRAYOID), "positions", &count);

	PG_RETURN_INT64(prism_group_nack(group, positions, NULL, count, 0, NULL));
}

/* Behind the leases: reason. */
Datum
prism_reject(PG_FUNCTION_ARGS)
{
	Leases		leases;
	int			next = lease_arguments(fcinfo, "prism.reject()", &leases);
	char	   *reason = reason_argument(fcinfo, next);

	PG_RETURN_INT64(prism_group_reject(leases.group, leases.positions, leases.lease_ids, leases.count,
									   reason != NULL ? reason : "rejected"));
}

/* Behind the leases: lease. */
Datum
prism_extend(PG_FUNCTION_ARGS)
{
	Leases		leases;
	int			next = lease_arguments(fcinfo, "prism.extend()", &leases);
	int64		lease_us = PG_ARGISNULL(next) ? prism_group_lease_us(leases.group) :
		prism_interval_argument(fcinfo, next, "lease", 1, PRISM_LEASE_US_MAX);

	PG_RETURN_INT64(prism_group_extend(leases.group, leases.positions, leases.lease_ids, leases.count,
									   lease_us));
}
