/*-------------------------------------------------------------------------
 *
 * route_start.c
 *	  How a route starts: where to go on.
 *
 * The position has two copies when the sink is exactly_once: the other side's
 * (K), written in the same transaction as the messages, and the progress log's
 * (P), written soon after.  The other side forgets idle positions without an
 * error, so a start compares them:
 *
 *		K >= P		K
 *		no K		P, with a warning
 *		K < P		stop: the other side has lost what it had acknowledged
 *
 * Without exactly_once there is P alone.
 *
 * src/bgworker/forward/route_start.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/carrier.h"
#include "bgworker/forward/forwarder.h"
#include "store/log/counter.h"
#include "store/log/log.h"

/* ---------- the position ---------- */

/*
 * Go on at the position.  When it has not moved, what is held goes out again.
 * When it has, the first batches were committed before their answer was lost.
 */
static void
begin_at(PrismRoute *route, int64 position)
{
	int64		reached = route->position;

	while (reached != position && !dlist_is_empty(&route->window))
	{
		PrismBatch *batch = dlist_container(PrismBatch, node, dlist_head_node(&route->window));

		if (batch->end > position)
			break;
		reached = batch->end;
		prism_sink_count(route->slot, PRISM_SINK_MESSAGES, batch->count);
		prism_sink_count(route->slot, PRISM_SINK_BYTES, batch->bytes);
		prism_batch_drop(route, batch);
	}
	if (reached != position)
		prism_route_drop_batches(route);
	if (route->window_batches == 0)
	{
		route->read_position = position;
		route->seen_stable = position;
	}
	route->position = position;
	prism_sink_move(route->slot, position);
}

/* What the log has right before a position. */
typedef enum LogBefore
{
	BEFORE_MESSAGE,				/* a message, whose id is route->last_id */
	BEFORE_DROPPED,				/* it was dropped with its segment, or the log begins here */
	BEFORE_NOTHING				/* an offset without a message */
} LogBefore;

static LogBefore
look_before(PrismRoute *route, PrismTopic *topic, int64 position)
{
	PrismReader *reader;
	PrismMessage message;
	LogBefore	found = BEFORE_NOTHING;

	strlcpy(route->last_id, "-", sizeof(route->last_id));
	if (position - 1 < prism_log_earliest(topic))
		return BEFORE_DROPPED;
	reader = prism_reader_open(topic, position - 1);
	if (!prism_reader_look(reader, &message) || message.offset != position - 1)
		;						/* nothing */
	else if (prism_reader_damage(reader) != NULL)
		found = BEFORE_DROPPED; /* as good as that: nobody knows its id any more */
	else
	{
		found = BEFORE_MESSAGE;
		prism_uuid_text(&message.id, route->last_id);
	}
	prism_reader_close(reader);
	return found;
}

/* What a start finds in the log. */
typedef struct StartPoint
{
	int64		position;
	int64		stable;
	LogBefore	before;			/* the other side's position */
} StartPoint;

typedef struct StartSearch
{
	PrismRoute *route;
	int64		kept;
	StartPoint *start;
} StartSearch;

static void
search_start(void *arg)
{
	const StartSearch *search = arg;
	PrismRoute *route = search->route;
	const PrismSinkProgress *progress = &route->progress;
	StartPoint *start = search->start;
	int64		kept = search->kept;
	PrismTopic *topic;

	prism_worker_begin("finds its position");
	topic = prism_topic_lookup_id(route->sink.topic_id, false);
	route->counter = topic->counter;
	prism_counter_subscribe(route->counter);
	start->stable = prism_log_stable(topic);
	if (progress->position >= 0 && (!progress->shared || kept < 0))
		start->position = progress->position;
	else if (kept >= 0)
		start->position = kept;
	else
		start->position = prism_log_earliest(topic);
	start->before = look_before(route, topic, start->position);
	prism_worker_commit();
}

/* False: not now. */
static bool
find_start(PrismRoute *route, int64 kept, StartPoint *start)
{
	StartSearch search = {route, kept, start};
	ErrorData  *error = prism_worker_attempt(search_start, &search);

	if (error == NULL)
		return true;
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		prism_route_await_lock(route, error->message);
	else if (prism_worker_error_passes(error))
		prism_route_back_off(route, error->message);
	else
		prism_route_break(route, error->message);
	return false;
}

/* The name says which message comes before the position. */
static bool
tells_message(const PrismPositionName *name)
{
	return name->last_id[0] != '\0' && strcmp(name->last_id, "-") != 0;
}

/*
 * Where to begin, from the other side's position (-1: none) and its name.
 * True: go on.  False: the route is parked, or has a back-off.
 *
 * A position that is not in the log belongs to messages that this server has
 * lost.  After a promotion new ones never get their offsets, so going on is
 * safe, but must be told.  On the same timeline, or when another message has
 * that offset, a copy of this database went on in our place: nobody but the
 * operator knows which of the two histories shall be sent.  Nor does anybody
 * else know what a position means that has no name of ours beside it.
 */
static bool
choose_position(PrismRoute *route, int64 kept, const PrismPositionName *name)
{
	TimeLineID	timeline = route->lane->forwarder->installation.timeline;
	StartPoint	start;

	if (!find_start(route, kept, &start))
		return false;
	if (kept >= 0 && start.position == kept && kept != route->progress.position && !tells_message(name) &&
		(kept > start.stable || name->last_id[0] == '\0'))
	{
		prism_route_park(route, PRISM_SINK_DIVERGED, kept > start.stable
						 ? psprintf("its position " INT64_FORMAT " is after the end of this log, " INT64_FORMAT, kept, start.stable)
						 : psprintf("its position " INT64_FORMAT " was not written by prism", kept));
		return false;
	}
	if (kept >= 0 && start.position == kept && tells_message(name))
	{
		bool		lost = start.before == BEFORE_NOTHING;
		bool		other = start.before == BEFORE_MESSAGE && strcmp(route->last_id, name->last_id) != 0;

		if (other || (lost && name->timeline == timeline))
		{
			prism_route_park(route, PRISM_SINK_DIVERGED,
							 psprintf("its position " INT64_FORMAT " follows message %s, which is not in this log",
									  kept, name->last_id));
			return false;
		}
		if (lost)
			ereport(WARNING,
					errmsg("sink \"%s\" holds messages of topic \"%s\" that this server has lost",
						   route->sink.name, route->sink.topic_name),
					errdetail("Its position is " INT64_FORMAT ", written on timeline %u; here is timeline %u.",
							  kept, name->timeline, timeline));
	}
	if (route->lane->carrier->owns_position && route->progress.shared && kept < 0)
		ereport(WARNING,
				errmsg("sink \"%s\" has forgotten the position of topic \"%s\"",
					   route->sink.name, route->sink.topic_name),
				errdetail("Going on at " INT64_FORMAT ", where the progress log says we were.", start.position),
				errhint("Kafka forgets positions after \"offsets.retention.minutes\"."));
	begin_at(route, Min(start.position, start.stable));
	return true;
}

/*
 * Compare what the other side keeps with what we know; true: go on.
 *
 * A route that was fenced comes here again.  A late request of its own predecessor may
 * have done that; but a newer name that is not ours belongs to another server,
 * and two of us must not fence each other for ever.
 */
static bool
judge_position(PrismRoute *route, int64 kept, const char *metadata)
{
	PrismLane  *lane = route->lane;
	PrismPositionName name = {0};

	if (kept >= 0 && prism_position_name_parse(metadata, &name))
	{
		if (route->claimed_generation > 0 && name.generation > route->claimed_generation &&
			strcmp(name.incarnation, lane->forwarder->incarnation) != 0)
		{
			prism_route_park(route, PRISM_SINK_FENCED,
							 "another server sends as this installation, and began later");
			return false;
		}
		lane->generation = Max(lane->generation, name.generation + 1);
		if (name.timeline > lane->forwarder->installation.timeline)
		{
			prism_route_park(route, PRISM_SINK_FENCED,
							 psprintf("a server on timeline %u sends as this installation; here is timeline %u",
									  name.timeline, lane->forwarder->installation.timeline));
			return false;
		}
	}
	if (route->progress.shared && kept >= 0 && kept < route->progress.position)
	{
		prism_route_park(route, PRISM_SINK_REGRESSED,
						 psprintf("its position is " INT64_FORMAT ", but " INT64_FORMAT " was acknowledged",
								  kept, route->progress.position));
		return false;
	}
	return choose_position(route, kept, &name);
}

/* ---------- starting ---------- */

static void
become_ready(PrismRoute *route)
{
	route->phase = ROUTE_READY;
	prism_backoff_reset(&route->backoff);
	if (route->position != route->recorded)
		route->moved_at = prism_lane_now(route->lane);
	if (!route->paused && prism_backoff_remaining_ms(&route->trouble) == 0)
		(void) prism_sink_change(route->slot, PRISM_SINK_RUNNING, 0, NULL);
}

static bool
start_step(PrismRoute *route, PrismOutcome *outcome)
{
	PrismLane  *lane = route->lane;
	const PrismQueueOps *queue = prism_lane_queue(lane);
	char		metadata[PRISM_ERROR_BYTES] = "";
	PrismQueueShape shape = {0};
	int64		kept = -1;

	switch (route->phase)
	{
		case ROUTE_PREPARE:
			*outcome = queue->prepare(lane->conn, &route->target, &shape);
			if (*outcome != PRISM_OK)
				return false;
			prism_route_saw(route, &shape);
			route->partitions = shape.partitions;
			if (lane->carrier->owns_position)
				route->phase = ROUTE_POSITION;
			else
			{
				if (route->position >= 0 || choose_position(route, -1, NULL))
					become_ready(route);
			}
			return true;
		case ROUTE_POSITION:
			*outcome = queue->position_read(lane->conn, &route->target, &kept, metadata);
			if (*outcome != PRISM_OK)
				return false;
			if (judge_position(route, kept, metadata))
				route->phase = ROUTE_CLAIM;
			return true;
		case ROUTE_CLAIM:
			*outcome = queue->position_write(lane->conn, &route->target, route->position,
											 prism_route_metadata(route, route->last_id, metadata));
			if (*outcome != PRISM_OK)
				return false;
			if (!prism_route_record_claim(route))
				return true;
			route->claimed_at = prism_lane_now(route->lane);
			route->claimed_generation = lane->generation;
			become_ready(route);
			if (!route->progress.shared)
				route->moved_at = route->claimed_at;
			return true;
		case ROUTE_RESHAPE:
			if (!prism_route_reshape(route, outcome))
				return false;
			become_ready(route);
			return true;
		case ROUTE_READY:
		case ROUTE_PARKED:
			break;
	}
	pg_unreachable();
}

/* One step of a route that is not ready; true: it got on. */
bool
prism_route_start_turn(PrismRoute *route)
{
	PrismLane  *lane = route->lane;
	PrismOutcome outcome;

	if (route->phase == ROUTE_READY || route->phase == ROUTE_PARKED || route->rests ||
		prism_backoff_remaining_ms(&route->backoff) > 0)
		return false;
	if (route->progress.damaged_at >= 0)
	{
		prism_route_park(route, PRISM_SINK_STOPPED,
						 psprintf("record " INT64_FORMAT " of the progress log is damaged: prism.skip(topic, sink, to_position) says where to go on; "
								  INT64_FORMAT " is the last position known", route->progress.damaged_at, route->progress.position));
		return false;
	}
	if (route->adrift > 0)
	{
		/* what it sent before it stopped is still under way, and the target may have got other partitions */
		lane->reopens = true;
		prism_lane_recover(lane);
		return false;
	}
	if (start_step(route, &outcome))
		return true;

	switch (outcome)
	{
		case PRISM_AGAIN:
			prism_route_show_waiting(route, lane->conn->error);
			break;
		case PRISM_RETRY:
			prism_route_back_off(route, lane->conn->error);
			lane->conn->error[0] = '\0';	/* it is this topic's, not that of the next one which waits for an answer */
			break;
		case PRISM_STOP:
		case PRISM_REJECT:
			prism_route_park(route, PRISM_SINK_STOPPED, lane->conn->error);
			lane->conn->error[0] = '\0';
			break;
		case PRISM_DOUBT:
		case PRISM_FENCED:
			if (lane->carrier->owns_position)
				prism_lane_fail(lane, outcome);
			else
			{
				/* other topics have messages on the wire, which must not be overtaken */
				lane->reopens = outcome == PRISM_DOUBT;
				prism_lane_recover(lane);
			}
			break;
		case PRISM_OK:
			pg_unreachable();
	}
	return false;
}
