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
#include "namespace/units.h"
#include "store/sink/sink.h"
#include "store/sink/sink_ddl.h"

#include "fmgr.h"
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

static int
number(Jsonb *config, const char *name)
{
	const JsonbValue *value = getKeyJsonValueFromContainer(&config->root, name, strlen(name), NULL);

	return value == NULL || value->type != jbvNumeric ? 0
		: DatumGetInt32(DirectFunctionCall1(numeric_int4, NumericGetDatum(value->val.numeric)));
}

/* They were asked for, and not only computed of what is needed, for which more will do. */
static bool
names_partitions(const PrismNamespace *wanted)
{
	return prism_is_given(&wanted->given->backend.partitions);
}

/* False: there is no sink, or it is to have another target. */
static bool
find_target(const PrismNamespaceWork *work, Target *target)
{
	const PrismSinkRow *sink = work->sink;
	const PrismNamespace *wanted = work->wanted;
	Jsonb	   *former;

	if (sink == NULL || sink->server_dropped || prism_namespace_moves_sink(work))
		return false;
	former = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(sink->config)));
	target->partitions = number(former, "partitions");
	target->replication = number(former, "replication");
	target->seen = prism_sink_shape(sink->sink_id, wanted->target, &target->there);
	target->reached = target->seen;
	/* the progress log may have to be read for it, so only when something else is asked for */
	if (!target->seen && ((wanted->partitions != 0 && wanted->partitions != target->partitions) ||
						  (wanted->replication != 0 && wanted->replication != target->replication)))
		target->reached = prism_sink_position(sink->sink_id) >= 0;
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

static PrismStep *
refuse(const char *part, char *message, char *detail, char *hint, const PrismPlace *place)
{
	PrismRefusal *refusal = palloc_object(PrismRefusal);

	*refusal = (PrismRefusal) {ERRCODE_FEATURE_NOT_SUPPORTED, message, detail, hint};
	return prism_step_refuse(part, refusal, place);
}

static PrismStep *
refuse_partitions(const PrismNamespace *wanted, int there)
{
	return refuse("backend.partitions",
				  psprintf("topic \"%s\" of backend \"%s\" has %d partitions, and cannot have fewer",
						   wanted->target, wanted->backend->name, there),
				  psprintf("The configuration asks for %d. Partitions can be added to a topic; none can be taken away, as the messages in it would be lost.",
						   wanted->partitions),
				  psprintf("Ask for %d, or leave \"partitions\" out; or send to a new topic, by another \"topic_prefix\" or \"topic\".",
						   there),
				  &wanted->given->backend.partitions.place);
}

static PrismStep *
refuse_replication(const PrismNamespace *wanted, int there)
{
	return refuse("backend.replication",
				  psprintf("topic \"%s\" of backend \"%s\" has %d copies of each partition, not %d",
						   wanted->target, wanted->backend->name, there, wanted->replication),
				  pstrdup("How many copies there are is said when a topic is made; afterwards the brokers' administrator moves them."),
				  psprintf("Let kafka-reassign-partitions.sh give each of its partitions %d replicas, run prism.resume('%s') so that it is seen, and apply again; or leave \"replication\" out.",
						   wanted->replication, wanted->topic),
				  &wanted->given->backend.replication.place);
}

/* What the configuration asks for beyond what was asked for; NULL: nothing that is not there. */
static PrismStep *
asking_step(const PrismNamespace *wanted, const Target *target)
{
	int			partitions = how_many(target, target->partitions, target->there.partitions);
	int			replication = how_many(target, target->replication, target->there.replication);
	PrismStep  *step = NULL;

	if (names_partitions(wanted) && wanted->partitions != target->partitions && wanted->partitions < partitions)
		return refuse_partitions(wanted, partitions);
	if (wanted->replication != 0 && wanted->replication != target->replication && replication != 0 && wanted->replication != replication)
		return refuse_replication(wanted, replication);
	if (wanted->partitions != 0 && wanted->partitions != target->partitions && partitions != 0 && wanted->partitions > partitions)
	{
		step = prism_step_repair("backend.partitions", psprintf("%d", partitions), psprintf("%d", wanted->partitions),
								 psprintf("its topic at backend \"%s\" has %d partitions, %d are asked for",
										  wanted->backend->name, partitions, wanted->partitions));
		step->mode = PRISM_CHANGE_DRAIN;
		step->reason = "they are added while nothing of the topic is under way; keys go to other partitions then";
	}
	return step;
}

/* What the target has that was not asked for. */
static List *
drift_steps(const PrismNamespace *wanted, const PrismSinkShape *there)
{
	const char *backend = wanted->backend->name;
	int64		record_bytes_max = prism_namespace_record_bytes_max(wanted);
	List	   *steps = NIL;

	if (there->partitions != 0 && (there->partitions < wanted->partitions ||
								   (names_partitions(wanted) && there->partitions > wanted->partitions)))
		steps = lappend(steps, prism_step_drift("backend.partitions", psprintf("%d", there->partitions), psprintf("%d", wanted->partitions),
												psprintf("its topic at backend \"%s\" has %d partitions, %d are asked for%s", backend,
														 there->partitions, wanted->partitions, there->error[0] != '\0' ? " (prism.sinks says why)" : "")));
	if (wanted->replication != 0 && there->replication != 0 && wanted->replication != there->replication)
		steps = lappend(steps, prism_step_drift("backend.replication", psprintf("%d", there->replication), psprintf("%d", wanted->replication),
												psprintf("its topic at backend \"%s\" has %d copies of each partition, %d are asked for", backend,
														 there->replication, wanted->replication)));
	if (there->message_bytes_max != 0 && there->message_bytes_max < record_bytes_max)
		steps = lappend(steps, prism_step_drift("backend.topic", prism_write_size(there->message_bytes_max), prism_write_size(record_bytes_max),
												psprintf("its topic at backend \"%s\" takes records of at most " INT64_FORMAT " bytes, messages can have " INT64_FORMAT,
														 backend, there->message_bytes_max, record_bytes_max)));
	return steps;
}

List *
prism_broker_steps(const PrismNamespaceWork *work)
{
	Target		target = {0};
	PrismStep  *asking;

	if (!find_target(work, &target))
		return NIL;
	asking = asking_step(work->wanted, &target);
	if (asking != NULL)
		return list_make1(asking);
	return target.seen ? drift_steps(work->wanted, &target.there) : NIL;
}
