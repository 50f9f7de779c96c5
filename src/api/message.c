/*-------------------------------------------------------------------------
 *
 * message.c
 *	  The lease in a prism.message, and the arguments that several functions share.
 *
 * src/api/message.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/message.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/generation.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

/* ---------- what a message says of its lease ---------- */

PrismMessageLease
prism_message_lease(HeapTupleHeader row)
{
	TupleDesc	descriptor = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(row),
													HeapTupleHeaderGetTypMod(row));
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(row),.t_data = row};
	Datum		values[PRISM_MESSAGE_COLUMNS];
	bool		nulls[PRISM_MESSAGE_COLUMNS];

	Assert(descriptor->natts == PRISM_MESSAGE_COLUMNS);
	heap_deform_tuple(&tuple, descriptor, values, nulls);
	ReleaseTupleDesc(descriptor);

	if (nulls[PRISM_MESSAGE_TOPIC - 1] || nulls[PRISM_MESSAGE_POSITION - 1])
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("topic and position of a message must not be null"));
	if (nulls[PRISM_MESSAGE_CONSUMER_GROUP - 1] || nulls[PRISM_MESSAGE_LEASE_ID - 1])
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("message was not handed out to a consumer group"),
				errdetail("Its consumer_group or lease_id is null, as in messages of prism.read()."),
				errhint("Acknowledge messages that prism.consume() returned."));
	return (PrismMessageLease)
	{
		.topic = DatumGetTextPP(values[PRISM_MESSAGE_TOPIC - 1]),
		.group = DatumGetTextPP(values[PRISM_MESSAGE_CONSUMER_GROUP - 1]),
		.position = DatumGetInt64(values[PRISM_MESSAGE_POSITION - 1]),
		.lease_id = DatumGetInt64(values[PRISM_MESSAGE_LEASE_ID - 1])
	};
}

/* ---------- arguments ---------- */

text *
prism_required_text(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", name));
	return PG_GETARG_TEXT_PP(argument);
}

static void
refuse_null(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", name));
}

int64
prism_interval_us(const Interval *interval, const char *name, int64 min_us, int64 max_us)
{
	/* far from overflow, and exact where it matters */
	double		microseconds = (double) interval->time +
		((double) interval->month * DAYS_PER_MONTH + interval->day) * (double) USECS_PER_DAY;

	if (microseconds < (double) min_us || microseconds > (double) max_us)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s is out of range", name),
				errdetail("It is %.6g seconds; the range is %.6g to %.6g seconds.",
						  microseconds / USECS_PER_SEC,
						  (double) min_us / USECS_PER_SEC, (double) max_us / USECS_PER_SEC));
	/* the largest of all is no double: it is rounded to what is no int64 */
	return microseconds >= (double) PG_INT64_MAX ? PG_INT64_MAX : (int64) microseconds;
}

int64
prism_interval_argument(FunctionCallInfo fcinfo, int argument, const char *name,
						int64 min_us, int64 max_us)
{
	refuse_null(fcinfo, argument, name);
	return prism_interval_us(PG_GETARG_INTERVAL_P(argument), name, min_us, max_us);
}

int
prism_count_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	int			count;

	refuse_null(fcinfo, argument, name);
	count = PG_GETARG_INT32(argument);
	if (count <= 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s must be greater than zero", name),
				errdetail("It is %d.", count));
	return count;
}

int64 *
prism_bigint_array_argument(FunctionCallInfo fcinfo, int argument, const char *name, int *count)
{
	*count = 0;
	return PG_ARGISNULL(argument) ? NULL : prism_bigint_array(PG_GETARG_ARRAYTYPE_P(argument), name, count);
}

int64 *
prism_bigint_array(ArrayType *array, const char *name, int *count)
{
	Datum	   *values;
	bool	   *nulls;
	int64	   *copy;

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

void
prism_require_primary(const char *function)
{
	prism_require_preload();
	if (RecoveryInProgress())
		ereport(ERROR,
				errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				errmsg("cannot execute %s during recovery", function),
				errdetail("Which messages are settled is known on the primary only."),
				errhint("Connect to the primary."));
}

void
prism_require_writable(const char *function)
{
	prism_require_primary(function);
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
}

PrismTopic *
prism_topic_argument(text *name, PrismPrivilege privilege, const char *function)
{
	char		buffer[PRISM_TOPIC_NAME_GIVEN];

	prism_require_primary(function);
	text_to_cstring_buffer(name, buffer, sizeof(buffer));
	return prism_topic_for(buffer, privilege);
}

/* The answer given last, while everything that it depends on is the same. */
static struct
{
	PrismGroupRef *ref;			/* NULL: none */
	PrismTopic *topic;
	LocalTransactionId transaction;
	SubTransactionId subtransaction;	/* a rollback would have let go of the topic's lock */
	uint64		catalog_generation;
	Oid			user;
	int			topic_bytes;
	int			group_bytes;
	char		topic_name[PRISM_TOPIC_NAME_MAX + 1];
	char		group_name[PRISM_GROUP_NAME_MAX + 1];
}			answer;

static bool
same_text(const text *value, const char *bytes, int length)
{
	return (int) VARSIZE_ANY_EXHDR(value) == length && memcmp(VARDATA_ANY(value), bytes, length) == 0;
}

static bool
answer_holds(const text *topic, const text *group)
{
	return answer.ref != NULL &&
		answer.transaction == prism_my_local_xid() &&
		answer.subtransaction == GetCurrentSubTransactionId() &&
		answer.user == GetUserId() &&
		same_text(topic, answer.topic_name, answer.topic_bytes) &&
		same_text(group, answer.group_name, answer.group_bytes) &&
		answer.catalog_generation == prism_catalog_generation() &&
		prism_group_is_current(answer.ref);
}

static void
remember_answer(PrismGroupRef *ref, PrismTopic *topic)
{
	answer.ref = ref;
	answer.topic = topic;
	answer.transaction = prism_my_local_xid();
	answer.subtransaction = GetCurrentSubTransactionId();
	answer.user = GetUserId();
	answer.catalog_generation = prism_catalog_generation();
	answer.topic_bytes = strlcpy(answer.topic_name, topic->name, sizeof(answer.topic_name));
	answer.group_bytes = strlcpy(answer.group_name, prism_group_name(ref), sizeof(answer.group_name));
}

PrismGroupRef *
prism_group_argument(text *topic_name, text *group_name, PrismGroupMissing missing, PrismInstant until,
					 const char *function, PrismTopic **found_topic)
{
	char		buffer[PRISM_GROUP_NAME_MAX + 2];
	PrismTopic *topic;
	PrismGroupRef *ref;

	if (answer_holds(topic_name, group_name))
	{
		*found_topic = answer.topic;
		return answer.ref;
	}
	answer.ref = NULL;
	topic = prism_topic_argument(topic_name, PRISM_CONSUME, function);
	/* a cut would be at a character, which may leave another group's name */
	if (unlikely(VARSIZE_ANY_EXHDR(group_name) > PRISM_GROUP_NAME_MAX))
		prism_group_check_name(text_to_cstring(group_name));
	text_to_cstring_buffer(group_name, buffer, sizeof(buffer));
	ref = prism_group_open_until(topic, buffer, missing, until);
	if (ref != NULL && missing != PRISM_GROUP_MOVE)
		remember_answer(ref, topic);
	*found_topic = topic;
	return ref;
}
