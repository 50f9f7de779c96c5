/*-------------------------------------------------------------------------
 *
 * acknowledge.c
 *	  What ends or extends a lease: prism.ack(), nack(), reject(), extend().
 *
 * Each verb takes one message as prism.consume() returned it, or topic, group,
 * positions and lease ids.
 *
 * src/api/acknowledge.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "api/message.h"

#include "fmgr.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(prism_ack_message);
PG_FUNCTION_INFO_V1(prism_ack_positions);
PG_FUNCTION_INFO_V1(prism_nack_message);
PG_FUNCTION_INFO_V1(prism_nack_positions);
PG_FUNCTION_INFO_V1(prism_reject_message);
PG_FUNCTION_INFO_V1(prism_reject_positions);
PG_FUNCTION_INFO_V1(prism_extend_message);
PG_FUNCTION_INFO_V1(prism_extend_positions);

/* A lease id that is no one's: zero would mean "this session's". */
#define NO_LEASE (-1)

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
	return prism_group_argument(topic, group, PRISM_GROUP_REFUSE, function, &found);
}

/* Argument: a prism.message. */
static void
message_argument(FunctionCallInfo fcinfo, const char *function, Leases *leases)
{
	PrismMessageLease lease;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("message must not be null"));
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
	if (leases->positions == NULL)
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("positions must not be null"));
	if (leases->lease_ids != NULL && lease_count != leases->count)
		ereport(ERROR,
				errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				errmsg("positions and lease_ids differ in length"),
				errdetail("There are %d positions and %d lease ids.", leases->count, lease_count));
	for (int i = 0; i < lease_count; i++)
		leases->lease_ids[i] = leases->lease_ids[i] != 0 ? leases->lease_ids[i] : NO_LEASE;
	leases->group = group_of(topic, group, function);
}

/* ---------- prism.ack() ---------- */

static Datum
ack(const Leases *leases)
{
	PG_RETURN_INT64(prism_group_ack(leases->group, leases->positions, leases->lease_ids, leases->count));
}

Datum
prism_ack_message(PG_FUNCTION_ARGS)
{
	Leases		leases;

	message_argument(fcinfo, "prism.ack()", &leases);
	return ack(&leases);
}

Datum
prism_ack_positions(PG_FUNCTION_ARGS)
{
	Leases		leases;

	position_arguments(fcinfo, "prism.ack()", &leases);
	return ack(&leases);
}

/* ---------- prism.nack() ---------- */

static char *
reason_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

/* Arguments from 'first' on: delay, reason. */
static Datum
nack(FunctionCallInfo fcinfo, int first, const Leases *leases)
{
	int64		delay_us = PG_ARGISNULL(first) ? -1 :
		prism_interval_argument(fcinfo, first, "delay", 0, PRISM_DELAY_US_MAX);

	PG_RETURN_INT64(prism_group_nack(leases->group, leases->positions, leases->lease_ids, leases->count,
									 delay_us, reason_argument(fcinfo, first + 1)));
}

/* Arguments: message, delay, reason. */
Datum
prism_nack_message(PG_FUNCTION_ARGS)
{
	Leases		leases;

	message_argument(fcinfo, "prism.nack()", &leases);
	return nack(fcinfo, 1, &leases);
}

/* Arguments: topic, consumer_group, positions, lease_ids, delay, reason. */
Datum
prism_nack_positions(PG_FUNCTION_ARGS)
{
	Leases		leases;

	position_arguments(fcinfo, "prism.nack()", &leases);
	return nack(fcinfo, 4, &leases);
}

/* ---------- prism.reject() ---------- */

/* Argument 'first': reason. */
static Datum
reject(FunctionCallInfo fcinfo, int first, const Leases *leases)
{
	char	   *reason = reason_argument(fcinfo, first);

	PG_RETURN_INT64(prism_group_reject(leases->group, leases->positions, leases->lease_ids, leases->count,
									   reason != NULL ? reason : "rejected"));
}

/* Arguments: message, reason. */
Datum
prism_reject_message(PG_FUNCTION_ARGS)
{
	Leases		leases;

	message_argument(fcinfo, "prism.reject()", &leases);
	return reject(fcinfo, 1, &leases);
}

/* Arguments: topic, consumer_group, positions, lease_ids, reason. */
Datum
prism_reject_positions(PG_FUNCTION_ARGS)
{
	Leases		leases;

	position_arguments(fcinfo, "prism.reject()", &leases);
	return reject(fcinfo, 4, &leases);
}

/* ---------- prism.extend() ---------- */

/* Argument 'first': lease. */
static Datum
extend(FunctionCallInfo fcinfo, int first, const Leases *leases)
{
	int64		lease_us = PG_ARGISNULL(first) ? prism_group_lease_us(leases->group) :
		prism_interval_argument(fcinfo, first, "lease", 1, PRISM_LEASE_US_MAX);

	PG_RETURN_INT64(prism_group_extend(leases->group, leases->positions, leases->lease_ids, leases->count,
									   lease_us));
}

/* Arguments: message, lease. */
Datum
prism_extend_message(PG_FUNCTION_ARGS)
{
	Leases		leases;

	message_argument(fcinfo, "prism.extend()", &leases);
	return extend(fcinfo, 1, &leases);
}

/* Arguments: topic, consumer_group, positions, lease_ids, lease. */
Datum
prism_extend_positions(PG_FUNCTION_ARGS)
{
	Leases		leases;

	position_arguments(fcinfo, "prism.extend()", &leases);
	return extend(fcinfo, 4, &leases);
}
