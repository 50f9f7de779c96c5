/*-------------------------------------------------------------------------
 *
 * apply_sink.c
 *	  The sink of a namespace's topic: made, changed, and led elsewhere.
 *
 * It is the topic's own one; what others have added to the topic is left alone.
 * A sink has a place: back end, cluster and topic there.  Other settings of it
 * change where it stands, and it keeps its position.  For another place it is
 * another sink, which begins with the first message that the log keeps, or, exactly
 * once, goes on at the position that the other side has of it from an earlier time.  The
 * former one must have all of its own by then: what it had not sent would be
 * missing there, and nobody would be told.
 *
 * A cluster is known by its addresses: one that the former and the new endpoint
 * have in common makes them one cluster.  What a foreign server says may be
 * changed (ALTER SERVER), it is the same place by its creator's word.
 *
 * src/api/apply_sink.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/apply_parts.h"
#include "api/apply_places.h"
#include "store/log/log.h"
#include "store/log/topic.h"
#include "store/sink/sink.h"
#include "store/sink/sink_ddl.h"

#include "access/detoast.h"
#include "miscadmin.h"

/* So many messages are looked at for those that are larger than a new limit. */
#define LOOK_MESSAGES_MAX 10000

#define IN_PLACE "goes on at its position"
#define AT_FIRST "begins with the first message that the log keeps"
#define AT_RECORD "goes on at the position that the other side has of it, or " AT_FIRST " if there is none"
#define FORMER_ONE "; the former one has all of its own"

/* The first key by which a sink is about another place. */
typedef enum Move
{
	MOVE_NONE,
	MOVE_GONE,					/* it is to have none */
	MOVE_BACKEND,
	MOVE_CLUSTER,
	MOVE_TOPIC
} Move;

/* Where a server was dropped nobody can be asked, and nothing be sent: it goes on wherever its namespace says. */
static Move
move_of(const PrismNamespaceWork *work)
{
	const PrismNamespace *wanted = work->wanted;
	const PrismSinkRow *sink = work->sink;

	if (sink == NULL)
		return MOVE_NONE;
	if (!prism_namespace_has_sink(wanted))
		return MOVE_GONE;
	if (!prism_same_text(sink->backend, wanted->backend->name))
		return MOVE_BACKEND;
	if (sink->server_dropped)
		return MOVE_NONE;
	if (!prism_same_text(sink->server, wanted->server) || (sink->server == NULL && sink->brokers != NULL))
		if (!prism_endpoints_meet(wanted, sink->server, sink->brokers))
			return MOVE_CLUSTER;
	return sink->target == NULL || prism_same_text(sink->target, wanted->target) ? MOVE_NONE : MOVE_TOPIC;
}

bool
prism_namespace_moves_sink(const PrismNamespaceWork *work)
{
	return move_of(work) != MOVE_NONE;
}

/* ---------- what waits ---------- */

static const PrismRefusal *
waits_for(const PrismSinkRow *sink, const char *topic_name, const char *hint)
{
	PrismRefusal *refusal = palloc0_object(PrismRefusal);

	refusal->sqlerrcode = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
	refusal->message = psprintf("messages of topic \"%s\" wait for their sink", topic_name);
	refusal->detail = psprintf("The sink \"%s\" does not have them yet; prism.sinks shows how many.", sink->name);
	refusal->hint = hint;
	return refusal;
}

const PrismRefusal *
prism_namespace_waiting(int32 topic_id, const char *topic_name, bool own, const char *hint)
{
	ListCell   *cell;

	foreach(cell, prism_sinks_of_topic(topic_id))
	{
		const PrismSinkRow *sink = lfirst(cell);

		if (own && !sink->own)
			continue;
		/* what waits in it nobody can tell */
		if (prism_topic_lookup_placeless(topic_id, false)->counter == NULL)
			return prism_places_refusal();
		if (prism_sink_waiting(topic_id, sink->sink_id))
			return waits_for(sink, topic_name, hint);
	}
	return NULL;
}

static const PrismRefusal *
refusal_of(const PrismNamespaceWork *work, Move move)
{
	static const char *const hints[] = {
		[MOVE_GONE] = "Let the sink catch up, then change the backend.",
		[MOVE_BACKEND] = "Let the sink catch up, then change the backend.",
		[MOVE_CLUSTER] = "Let the sink catch up, then change the server or the brokers. If it is the same cluster with another address, say so by ALTER SERVER, or by brokers of which one stays.",
		[MOVE_TOPIC] = "Let the sink catch up, then change the topic."
	};

	return prism_namespace_waiting(work->topic_id, work->topic_name, true, hints[move]);
}

/* Those that the sink has yet to send; 'all': more were not looked at. */
static int
count_larger(const PrismNamespaceWork *work, bool *all)
{
	PrismTopic *topic = prism_topic_lookup_placeless(work->topic_id, false);
	PrismReader *reader;
	PrismMessage message;
	int			larger = 0;
	int			seen = 0;

	*all = true;
	if (topic->counter == NULL)
		return 0;
	reader = prism_reader_open(topic, Max(prism_sink_position(work->sink->sink_id), 0));
	while (seen++ < LOOK_MESSAGES_MAX && prism_reader_look(reader, &message))
		larger += prism_reader_damage(reader) == NULL && message.has_payload && !message.claim &&
			(int64) (toast_raw_datum_size(message.payload) - VARHDRSZ) > work->wanted->message_bytes_max;
	*all = seen <= LOOK_MESSAGES_MAX;
	prism_reader_close(reader);
	return larger;
}

static List *
warn_of_larger(const PrismNamespaceWork *work)
{
	bool		all;
	int			larger;

	if (work->sink == NULL || work->message_bytes_max <= work->wanted->message_bytes_max)
		return NIL;
	larger = count_larger(work, &all);
	if (larger == 0)
		return NIL;
	return list_make1(prism_step_warning("needs.max_message_size",
										 psprintf("%s%d messages that wait for the sink are larger: they are sent as they are",
												  all ? "" : "at least ", larger)));
}

/* ---------- steps ---------- */

static PrismStep *
moving_step(const PrismNamespaceWork *work, Move move)
{
	const PrismNamespace *wanted = work->wanted;
	const PrismSinkRow *sink = work->sink;
	PrismStep  *step;

	if (move == MOVE_GONE)
		step = prism_step_repair("backend.type", sink->backend, wanted->backend->name,
								 psprintf("it has a sink for backend \"%s\"", sink->backend));
	else if (move == MOVE_BACKEND)
		step = prism_step_repair("backend.type", sink->backend, wanted->backend->name,
								 psprintf("its sink is for backend \"%s\"", sink->backend));
	else if (move == MOVE_TOPIC)
		step = prism_step_repair("backend.topic", sink->target, wanted->target,
								 psprintf("its sink is set to topic \"%s\"", sink->target));
	else if (!prism_same_text(sink->server, wanted->server))
		step = prism_step_repair("backend.server", sink->server, wanted->server,
								 psprintf("its sink uses server \"%s\"", sink->server != NULL ? sink->server : ""));
	else
		step = prism_step_repair("backend.brokers", sink->brokers, NULL,
								 psprintf("its sink uses brokers %s", sink->brokers));
	step->reason = move == MOVE_GONE ? "what it has sent stays where it is" :
		wanted->exactly_once ? AT_RECORD FORMER_ONE : AT_FIRST FORMER_ONE;
	step->refusal = refusal_of(work, move);
	if (step->refusal != NULL)
		step->mode = PRISM_CHANGE_REFUSED;
	step->place = move == MOVE_TOPIC ? wanted->target_place : wanted->backend_place;
	return step;
}

/* What is not as wanted of one that stays where it is; NULL: nothing. */
static PrismStep *
staying_step(const PrismNamespaceWork *work, const char *config)
{
	const PrismNamespace *wanted = work->wanted;
	const PrismSinkRow *sink = work->sink;
	PrismStep  *step = NULL;

	if (!prism_same_text(sink->name, wanted->backend->name))
		step = prism_step_repair("backend.type", NULL, NULL, psprintf("its sink is called \"%s\"", sink->name));
	else if (sink->server_dropped)
		step = prism_step_repair("backend.server", sink->server, wanted->server,
								 psprintf("the foreign server \"%s\" of its sink was dropped", sink->server));
	else if (!prism_same_text(sink->server, wanted->server))
		step = prism_step_repair("backend.server", sink->server, wanted->server,
								 psprintf("its sink uses server \"%s\"", sink->server != NULL ? sink->server : ""));
	else if (!prism_same_text(sink->config, config))
		step = prism_step_repair("backend.brokers", NULL, NULL, psprintf("its sink is set to %s", sink->config));
	else if (wanted->brokers != NIL && superuser() && !sink->any_endpoint)
		step = prism_step_repair("backend.brokers", NULL, NULL,
								 pstrdup("its brokers were not named by a superuser, so prism.allowed_endpoints holds for what they advertise"));
	if (step != NULL)
		step->reason = IN_PLACE;
	return step;
}

/* What it is to be; 'config' NULL: it is to have none. */
static PrismSinkRow
wanted_sink(const PrismNamespace *wanted, char *config)
{
	return (PrismSinkRow)
	{
		.name = pstrdup(wanted->backend->name),.own = true,.backend = pstrdup(wanted->backend->name),
		.server = wanted->server,.config = config,.any_endpoint = superuser()
	};
}

/* Another one of the topic's sinks is in its way: of what added that, not ours to change. */
static void
refuse_clash(const PrismNamespaceWork *work, PrismStep *step, char *config)
{
	PrismSinkRow sink = wanted_sink(work->wanted, config);
	const PrismSinkClash *found;
	PrismRefusal *refusal;

	if (config == NULL || work->topic_id == 0 || step->refusal != NULL)
		return;
	sink.sink_id = work->sink != NULL ? work->sink->sink_id : 0;
	found = prism_sink_clash(work->topic_id, &sink);
	if (found == NULL)
		return;
	refusal = palloc0_object(PrismRefusal);
	refusal->sqlerrcode = found->sqlerrcode;
	refusal->message = found->message;
	refusal->hint = found->hint;
	step->refusal = refusal;
	step->mode = PRISM_CHANGE_REFUSED;
}

List *
prism_namespace_sink_steps(const PrismNamespaceWork *work)
{
	char	   *config = prism_namespace_sink_config(work->wanted);
	Move		move = move_of(work);
	PrismStep  *step = NULL;

	if (move != MOVE_NONE)
		step = moving_step(work, move);
	else if (work->sink != NULL)
		step = staying_step(work, config);
	else if (config != NULL)
	{
		step = prism_step_repair("backend.type", NULL, work->wanted->backend->name, pstrdup("its sink is missing"));
		step->reason = work->wanted->exactly_once ? AT_RECORD : AT_FIRST;
	}
	if (step != NULL)
		refuse_clash(work, step, config);
	return list_concat(step != NULL ? list_make1(step) : NIL, warn_of_larger(work));
}

/* ---------- making it ---------- */

void
prism_namespace_make_sink(PrismNamespaceWork *work)
{
	const PrismNamespace *wanted = work->wanted;
	Move		move = move_of(work);
	PrismSinkRow sink = wanted_sink(wanted, prism_namespace_sink_config(wanted));

	sink.sink_id = work->sink != NULL ? work->sink->sink_id : 0;
	if (move != MOVE_NONE)
	{
		/* shut before the steps were listed, so the answer still holds */
		prism_topic_shut(work->topic_id);
		Assert(refusal_of(work, move) == NULL);
		if (move == MOVE_GONE || move == MOVE_BACKEND)
		{
			prism_sink_drop(work->sink);
			sink.sink_id = 0;
		}
		else
			sink.sink_id = prism_sink_renew(work->sink);
	}
	if (sink.config != NULL)
		(void) prism_sink_put(work->topic_id, &sink);
}
