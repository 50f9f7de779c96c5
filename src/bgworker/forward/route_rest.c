/*-------------------------------------------------------------------------
 *
 * route_rest.c
 *	  How a route comes to rest, and goes on.
 *
 * src/bgworker/forward/route_rest.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/carrier.h"
#include "bgworker/forward/forwarder.h"

/* A parked route begins anew, from what the progress log says now; a paused one rests again. In a transaction. */
void
prism_route_mend(PrismRoute *route)
{
	if (route->phase != ROUTE_PARKED)
	{
		/* the connection is what does not come about: it is tried now */
		if (route->lane->phase == LANE_CLOSED)
			prism_backoff_reset(&route->lane->backoff);
		prism_route_look_soon(route);
		return;
	}
	if (route->broken)
	{
		if (route->lane->forwarder->draining_since == 0)
			route->lane->forwarder->draining_since = prism_lane_now(route->lane);
		return;
	}
	route->claimed_generation = 0;	/* whoever has taken over since */
	prism_route_read_progress(route);
	prism_route_restart(route);
	prism_backoff_reset(&route->backoff);
	prism_backoff_reset(&route->trouble);
	prism_backoff_reset(&route->lane->backoff);
	route->rests = false;
	prism_route_rest(route);
	if (!route->rests)
		(void) prism_sink_change(route->slot, PRISM_SINK_WAITING, 0, NULL);
}

/*
 * prism.pause() and prism.resume().  What is under way comes to its end; after
 * a pause the progress log is read again, as prism.skip() may have moved the
 * position.  In a transaction.
 */
void
prism_route_pause(PrismRoute *route, bool paused)
{
	bool		resumes = route->paused && !paused && route->rests;

	route->paused = paused;
	if (resumes)
	{
		route->phase = ROUTE_PARKED;
		prism_route_mend(route);
	}
	route->rests = false;
	prism_route_rest(route);
}

/*
 * What a paused route holds comes to its end, unless it has to wait for that: a
 * dead letter that cannot be written, another side that does not answer.  Then it
 * is let go of, and read again after the pause.  What is on the wire comes first:
 * it is awaited, and when nothing has come back for long, taken back.
 */
static bool
lets_go(PrismRoute *route)
{
	PrismLane  *lane = route->lane;

	if (lane->phase != LANE_OPEN)
		return true;
	if (lane->recovering_since != 0 || lane->carrier->under_way(lane) == route)
		return false;
	if (route->outstanding > 0)
	{
		if (prism_has_passed(route->progress_at, prism_lane_now(route->lane), PRISM_DRAIN_MS))
		{
			lane->reopens = true;
			prism_lane_recover(lane);
		}
		return false;
	}
	return route->phase != ROUTE_READY ||
		prism_backoff_remaining_ms(&route->backoff) > 0 ||
		prism_backoff_remaining_ms(&route->trouble) > 0;
}

/* A paused route rests once nothing is under way and its position is recorded. */
void
prism_route_rest(PrismRoute *route)
{
	if (!route->paused || route->rests)
		return;
	if (route->window_batches > 0 && lets_go(route))
		prism_route_drop_batches(route);
	if (route->window_batches > 0 || route->moved_at != 0)
		return;
	route->bisect.batch = NULL;
	(void) prism_sink_change(route->slot, PRISM_SINK_PAUSED, 0, NULL);
	route->rests = true;
}

/* ---------- tried again ---------- */

static void
mend(void *arg)
{
	PrismRoute *route = arg;

	prism_worker_begin("tries a stopped sink again");
	if (prism_sink_lock(route->sink.sink_id))
		prism_route_mend(route);
	else
		route->parked_until = prism_instant_after(prism_lane_now(route->lane), PRISM_BUSY_RETRY_MS);
	prism_worker_commit();
}

/* Nobody has said that it shall be tried again; perhaps the other side has been mended. */
void
prism_route_retry(PrismRoute *route)
{
	ErrorData  *error = prism_worker_attempt(mend, route);

	if (error == NULL)
		return;
	prism_route_back_off(route, error->message);
	route->parked_until = route->backoff.retry_at;
}
