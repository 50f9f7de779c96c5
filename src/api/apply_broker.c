/*-------------------------------------------------------------------------
 *
 * apply_broker.c
 *	  Partitions and replication of a sink's target: what is there, and what can
 *	  be asked for.
 *
 * A target that is made is made as the namespace says.  One that is there can be
 * given partitions, which the sink's process does (route_shape.c); it can lose
 * none, and its replicas are moved by others.  What is there is known from the
 * sink's process; as long as that has not told since the server started, a sink
 * that has got somewhere has a target as it was asked for.
 *
 * Another target, by another topic, prefix, server or back end, is made anew, and
 * nothing is asked of it here.
 *
 * src/api/apply_broker.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/apply_broker.h"
#include "store/sink/sink.h"
#include "store/sink/sink_ddl.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

/* The sink's target, as it was asked for and as it is. */
typedef struct Target
{
	int			partitions;		/* asked for until now; 0: not */
	int			replication;	/* likewise */
	bool		seen;
	bool		reached;		/* the sink has got somewhere: it was made, or was there */
	PrismSinkShape there;		/* if seen */
} Target;

static JsonbValue *
member(Jsonb *config, const char *name)
{
	return getKeyJsonValueFromContainer(&config->root, name, strlen(name), NULL);
}

static int
number(Jsonb *config, const char *name)
{
	const JsonbValue *value = member(config, name);

	return value == NULL || value->type != jbvNumeric ? 0
		: DatumGetInt32(DirectFunctionCall1(numeric_int4, NumericGetDatum(value->val.numeric)));
}

/* Both are missing, or are the same text. */
static bool
same_member(Jsonb *a, Jsonb *b, const char *name)
{
	const JsonbValue *left = member(a, name);
	const JsonbValue *right = member(b, name);

	if (left == NULL || right == NULL)
		return left == right;
	return left->type == jbvString && right->type == jbvString && left->val.string.len == right->val.string.len &&
		memcmp(left->val.string.val, right->val.string.val, left->val.string.len) == 0;
}

static Jsonb *
read_config(const char *config)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(config)));
}

/* False: there is no sink, or it is to have another target. */
static bool
find_target(const PrismNamespaceWork *work, bool ask_progress, Target *target)
{
	const PrismNamespace *wanted = work->wanted;
	const char *config = prism_namespace_sink_config(wanted);
	const PrismSinkRow *sink = config != NULL && work->topic_id != 0 ? prism_sink_own(work->topic_id) : NULL;
	Jsonb	   *former;

	if (sink == NULL || strcmp(sink->backend, wanted->backend->name) != 0 || sink->server_dropped ||
		(sink->server == NULL) != (wanted->server == NULL) ||
		(sink->server != NULL && strcmp(sink->server, wanted->server) != 0))
		return false;
	former = read_config(sink->config);
	if (!same_member(former, read_config(config), "topic") || !same_member(former, read_config(config), "brokers"))
		return false;
	target->partitions = number(former, "partitions");
	target->replication = number(former, "replication");
	target->seen = prism_sink_shape(sink->sink_id, wanted->target, &target->there);
	target->reached = target->seen || (ask_progress && prism_sink_position(sink->sink_id) >= 0);
	return true;
}

/* How many there are; 0: not known, or none yet. */
static int
how_many(const Target *target, int asked_for, int there)
{
	if (target->seen)
		return there;
	return target->reached ? asked_for : 0;
}

static PrismBrokerRefusal *
refuse_partitions(const PrismNamespace *wanted, int there)
{
	PrismBrokerRefusal *refusal = palloc0_object(PrismBrokerRefusal);

	refusal->message = psprintf("topic \"%s\" of backend \"%s\" has %d partitions, and cannot have fewer",
								wanted->target, wanted->backend->name, there);
	refusal->detail = psprintf("The configuration asks for %d. Partitions can be added to a topic; none can be taken away, as the messages in it would be lost.",
							   wanted->partitions);
	refusal->hint = psprintf("Ask for %d, or leave \"partitions\" out; or send to a new topic, by another \"topic_prefix\" or \"topic\".",
							 there);
	refusal->place = &wanted->given->backend.partitions.place;
	return refusal;
}

static PrismBrokerRefusal *
refuse_replication(const PrismNamespace *wanted, int there)
{
	PrismBrokerRefusal *refusal = palloc0_object(PrismBrokerRefusal);

	refusal->message = psprintf("topic \"%s\" of backend \"%s\" has %d copies of each partition, not %d",
								wanted->target, wanted->backend->name, there, wanted->replication);
	refusal->detail = pstrdup("How many copies there are is said when a topic is made; afterwards the brokers' administrator moves them.");
	refusal->hint = psprintf("Let kafka-reassign-partitions.sh give each of its partitions %d replicas, run prism.resume('%s') so that it is seen, and apply again; or leave \"replication\" out.",
							 wanted->replication, wanted->topic);
	refusal->place = &wanted->given->backend.replication.place;
	return refusal;
}

PrismBrokerRefusal *
prism_broker_refusal(const PrismNamespaceWork *work)
{
	const PrismNamespace *wanted = work->wanted;
	Target		target = {0};
	int			there;

	if ((wanted->partitions == 0 && wanted->replication == 0) || !find_target(work, true, &target))
		return NULL;
	there = how_many(&target, target.partitions, target.there.partitions);
	if (wanted->partitions != 0 && wanted->partitions != target.partitions && wanted->partitions < there)
		return refuse_partitions(wanted, there);
	there = how_many(&target, target.replication, target.there.replication);
	if (wanted->replication != 0 && wanted->replication != target.replication && there != 0 && wanted->replication != there)
		return refuse_replication(wanted, there);
	return NULL;
}

void
prism_broker_check(const PrismNamespaceWork *work)
{
	const PrismBrokerRefusal *refusal = prism_broker_refusal(work);

	if (refusal != NULL)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("%s", refusal->message),
				errdetail("%s", refusal->detail),
				errhint("%s", refusal->hint),
				prism_errplace(refusal->place));
}

static void
add_difference(StringInfo all, const char *difference)
{
	appendStringInfo(all, "%s%s", all->len > 0 ? "; " : "", difference);
}

char *
prism_broker_drift(const PrismNamespaceWork *work)
{
	const PrismNamespace *wanted = work->wanted;
	Target		target = {0};
	const PrismSinkShape *there = &target.there;
	const char *backend = wanted->backend->name;
	StringInfoData all;

	if (!find_target(work, false, &target) || !target.seen)
		return NULL;
	initStringInfo(&all);
	if (wanted->partitions != 0 && there->partitions != 0 && wanted->partitions != there->partitions)
		add_difference(&all, psprintf("its topic at backend \"%s\" has %d partitions, %d are asked for%s", backend,
									  there->partitions, wanted->partitions, there->error[0] != '\0' ? " (prism.sinks says why)" : ""));
	if (wanted->replication != 0 && there->replication != 0 && wanted->replication != there->replication)
		add_difference(&all, psprintf("its topic at backend \"%s\" has %d copies of each partition, %d are asked for", backend,
									  there->replication, wanted->replication));
	if (there->message_bytes_max != 0 && there->message_bytes_max < wanted->message_bytes_max)
		add_difference(&all, psprintf("its topic at backend \"%s\" takes records of at most " INT64_FORMAT " bytes, messages can have " INT64_FORMAT,
									  backend, there->message_bytes_max, wanted->message_bytes_max));
	return all.len > 0 ? all.data : NULL;
}
