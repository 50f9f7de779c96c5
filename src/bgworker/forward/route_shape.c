/*-------------------------------------------------------------------------
 *
 * route_shape.c
 *	  The partitions of a route's target: seen, shown, and added to.
 *
 * A key's messages lie in one partition, and which one depends on how many there
 * are.  So that number changes for a route only while nothing of it is under
 * way, whether partitions are asked for here or somebody else has added some:
 * nothing more is read, what is held comes to its end, and what is sent from then
 * on is younger than all that the former partitions have.  The lane's other
 * routes go on.
 *
 * Nothing is remembered of it: a process that dies anywhere in between leaves a
 * target with fewer partitions than are wanted, or one that has them.
 *
 * src/bgworker/forward/route_shape.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/carrier.h"
#include "bgworker/forward/forwarder.h"

/* Others change targets without telling us: each is looked at after this time, one of a lane at a time. */
#define LOOK_MS 60000

void
prism_route_saw(PrismRoute *route, const PrismQueueShape *shape)
{
	const PrismSinkShape seen = {
		.partitions = shape->partitions,
		.replication = shape->replication,
		.message_bytes_max = shape->message_bytes_max,
	};

	route->shape = *shape;
	route->look_at = prism_instant_after(prism_lane_now(route->lane), LOOK_MS);
	prism_sink_see(route->slot, &seen);
	if (shape->partitions >= route->target.partitions)
		prism_sink_show_refusal(route->slot, NULL);
}

/* Only what it was not asked to do before is tried at once. */
void
prism_route_want_shape(PrismRoute *route, int partitions, int replication)
{
	if (route->sink.partitions == partitions && route->sink.replication == replication)
		return;
	route->sink.partitions = route->target.partitions = partitions;
	route->sink.replication = route->target.replication = replication;
	prism_route_look_soon(route);
}

void
prism_route_look_soon(PrismRoute *route)
{
	route->look_at = 0;
	prism_backoff_reset(&route->reshaping);
	if (route->slot != NULL)
		prism_sink_show_refusal(route->slot, NULL);
}

/* ---------- looking ---------- */

/* The lane's connection answers one question of this kind at a time. */
static bool
may_look(const PrismRoute *route, PrismInstant now)
{
	const PrismRoute *looking = route->lane->looking;

	if (looking == route)
		return true;
	return now >= route->look_at && (looking == NULL || looking->phase != ROUTE_READY || looking->rests);
}

/* How is the target by now?  That it cannot be told is no fault of what is sent there. */
static void
look(PrismRoute *route, PrismInstant now)
{
	PrismLane  *lane = route->lane;
	PrismQueueShape shape = {0};
	PrismOutcome outcome = prism_lane_queue(lane)->look(lane->conn, &route->target, &shape);

	lane->looking = outcome == PRISM_AGAIN ? route : NULL;
	if (outcome == PRISM_AGAIN)
		return;
	if (outcome == PRISM_OK)
		prism_route_saw(route, &shape);
	else
	{
		route->look_at = prism_instant_after(now, LOOK_MS);
		lane->conn->error[0] = '\0';
	}
}

/* ---------- other partitions ---------- */

static bool
wants_partitions(const PrismRoute *route)
{
	return (route->shape.partitions < route->target.partitions || route->shape.partitions != route->partitions) &&
		route->shape.partitions > 0 &&
		prism_backoff_remaining_ms(&route->reshaping) == 0;
}

/* The lane is open, and no transaction is under way.  True: there is more to do at once. */
bool
prism_route_shape_turn(PrismRoute *route, PrismInstant now)
{
	if (route->phase != ROUTE_READY || route->rests || prism_lane_queue(route->lane)->reshape == NULL)
		return false;
	route->drains = wants_partitions(route);
	if (!route->drains)
	{
		if (!may_look(route, now))
			return false;
		look(route, now);
		return wants_partitions(route);
	}
	Assert(route->adrift == 0);
	if (route->window_batches > 0)
		return false;
	route->phase = ROUTE_RESHAPE;
	return true;
}

/* It is sent to the partitions that there are, and asked for more again later. */
static void
show_refusal(PrismRoute *route, PrismOutcome outcome)
{
	PrismLane  *lane = route->lane;

	if (outcome == PRISM_RETRY)
		(void) prism_backoff_fail(&route->reshaping);
	else
		route->reshaping.retry_at = prism_instant_after(prism_lane_now(lane), PRISM_STOPPED_RETRY_MS);
	prism_sink_show_refusal(route->slot, lane->conn->error);
	prism_lane_report(lane, prism_route_called(route), lane->conn->error,
					  "Messages go on to the partitions that there are, and it is tried again.");
	lane->conn->error[0] = '\0';	/* it is this topic's, and keeps nothing from being sent */
}

/* The step of ROUTE_RESHAPE, as those of a start; true: it is ready again. */
bool
prism_route_reshape(PrismRoute *route, PrismOutcome *outcome)
{
	PrismLane  *lane = route->lane;
	PrismQueueShape shape = route->shape;

	*outcome = prism_lane_queue(lane)->reshape(lane->conn, &route->target, &shape);
	if (*outcome == PRISM_AGAIN || *outcome == PRISM_DOUBT || *outcome == PRISM_FENCED)
		return false;
	prism_route_saw(route, &shape);
	route->partitions = shape.partitions;
	if (*outcome == PRISM_OK && shape.partitions >= route->target.partitions)
		prism_backoff_reset(&route->reshaping);
	else
		show_refusal(route, *outcome);
	route->drains = false;
	return true;
}
