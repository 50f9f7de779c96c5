/*-------------------------------------------------------------------------
 *
 * lane.c
 *	  One connection and its faults.
 *
 * What a lane does while all is well is in turn.c.
 *
 * The library retries the end of a transaction by itself and does not say so;
 * a request that was delayed on the way can then end the next transaction.  So
 * once anything casts doubt on a connection, it is closed, a new one fences it,
 * and the position that the other side keeps tells what had happened.
 *
 * src/bgworker/forward/lane.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/carrier.h"
#include "bgworker/forward/forwarder.h"

#include "utils/memutils.h"

const PrismQueueOps *
prism_lane_queue(const PrismLane *lane)
{
	return lane->conn->backend->queue;
}

PrismRoute *
prism_lane_next_route(const PrismLane *lane, PrismRoute *after)
{
	PrismForwarder *forwarder = lane->forwarder;

	for (int i = after == NULL ? 0 : after->index + 1; i < forwarder->route_count; i++)
		if (forwarder->routes[i].lane == lane && !forwarder->routes[i].broken)
			return &forwarder->routes[i];
	return NULL;
}

void
prism_lane_tell(PrismLane *lane, PrismSinkState state, PrismInstant retry_at, const char *error)
{
	for (PrismRoute *route = prism_lane_next_route(lane, NULL); route != NULL; route = prism_lane_next_route(lane, route))
		if (route->phase != ROUTE_PARKED && !route->paused)
			(void) prism_sink_change(route->slot, state, retry_at, error);
}

void
prism_lane_close(PrismLane *lane)
{
	if (lane->mcxt != NULL)
		MemoryContextDelete(lane->mcxt);
	lane->mcxt = NULL;
	lane->conn = NULL;
	lane->state = NULL;
	lane->phase = LANE_CLOSED;
	lane->outstanding = 0;
	lane->outstanding_bytes = 0;
	lane->recovering_since = 0;
	lane->reopens = false;
	lane->rejected = false;
	lane->retry = false;
	lane->looking = NULL;
	for (PrismRoute *route = prism_lane_next_route(lane, NULL); route != NULL; route = prism_lane_next_route(lane, route))
	{
		if (route->phase != ROUTE_PARKED)
			prism_route_restart(route);
		route->adrift = 0;
	}
}

void
prism_lane_fail(PrismLane *lane, PrismOutcome outcome)
{
	char		error[PRISM_ERROR_BYTES];
	PrismInstant retry_at;

	strlcpy(error, lane->conn->error, sizeof(error));
	/* brokers close connections that were idle for long: no reason to wait longer each time */
	if (prism_has_passed(lane->opened_at, prism_lane_now(lane), PRISM_BACKOFF_MAX_MS))
		prism_backoff_reset(&lane->backoff);
	if (outcome == PRISM_DOUBT || outcome == PRISM_FENCED)
	{
		PrismRoute *route = lane->carrier->under_way(lane);

		if (route == NULL)
			route = prism_lane_next_route(lane, NULL);
		/* none, where no route of the lane can be served */
		if (route != NULL)
			prism_sink_count(route->slot, PRISM_SINK_DOUBTS, 1);
	}
	prism_lane_close(lane);
	retry_at = prism_backoff_fail(&lane->backoff);
	if ((outcome == PRISM_DOUBT || outcome == PRISM_FENCED) && lane->backoff.failures == 1)
		lane->backoff.retry_at = retry_at = 0;	/* a matter of milliseconds */
	if (outcome == PRISM_STOP)
		lane->backoff.retry_at = retry_at =
			prism_instant_after(prism_lane_now(lane), PRISM_STOPPED_RETRY_MS);
	prism_lane_tell(lane, outcome == PRISM_STOP ? PRISM_SINK_STOPPED : PRISM_SINK_BACKOFF, retry_at, error);
	prism_lane_report(lane, outcome == PRISM_DOUBT ? "an answer cannot be trusted" :
					  outcome == PRISM_FENCED ? "fenced" : "no success", error,
					  PRISM_TRIED_AGAIN);
	prism_worker_show(PRISM_WORKER_BACKOFF, error);
}

/* Something did not go through: take back what has not left yet, and await the rest. */
void
prism_lane_recover(PrismLane *lane)
{
	if (lane->recovering_since != 0)
		return;
	lane->recovering_since = prism_lane_now(lane);
	prism_lane_queue(lane)->purge(lane->conn);
}
