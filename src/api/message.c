/*-------------------------------------------------------------------------
 *
 * message.c
 *	  The lease in a prism.message, and topic and group as arguments.
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
#include "miscadmin.h"
#include "utils/builtins.h"
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

/* ---------- topic and group ---------- */

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
	uint64		rights_generation;
	Oid			user;
	int			topic_bytes;
	int			group_bytes;
	char		topic_name[PRISM_TOPIC_NAME_MAX + 1];
	char		group_name[PRISM_GROUP_NAME_MAX + 1];
}			answer;

static bool
has_bytes(const text *value, const char *bytes, int length)
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
		answer.rights_generation == prism_rights_generation() &&
		has_bytes(topic, answer.topic_name, answer.topic_bytes) &&
		has_bytes(group, answer.group_name, answer.group_bytes) &&
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
	answer.rights_generation = prism_rights_generation();
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
