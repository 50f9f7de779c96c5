/*-------------------------------------------------------------------------
 *
 * lanes.c
 *	  All lanes of a forwarder, with what it has loaded: turns, and ends.
 *
 * Nothing here, nor in the files that it calls, knows how the process came to
 * what it has loaded: test/module/forwarder drives it without a server.
 *
 * src/bgworker/forward/lanes.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/carrier.h"
#include "bgworker/forward/forwarder.h"

void
prism_lanes_init(PrismForwarder *forwarder)
{
	memset(forwarder->lanes, 0, sizeof(forwarder->lanes));
	for (int i = 0; i < PRISM_LANES; i++)
	{
		PrismLane  *lane = &forwarder->lanes[i];

		lane->number = i;
		lane->forwarder = forwarder;
		lane->carrier = i == PRISM_STREAM_LANE ? &prism_stream_carrier : &prism_transact_carrier;
		lane->backoff.clock = forwarder->clock;
		lane->report.clock = forwarder->clock;
		lane->generation = 1;
	}
}

/* ---------- turns ---------- */

/* Paused sinks come to rest; those that were stopped by wrong settings are tried again now and then. */
static void
mind_idle_routes(PrismForwarder *forwarder)
{
	PrismInstant now = 0;

	for (int i = 0; i < forwarder->route_count; i++)
	{
		PrismRoute *route = &forwarder->routes[i];

		prism_route_rest(route);
		if (route->phase != ROUTE_PARKED || route->parked_until == 0)
			continue;
		if (now == 0)
			now = forwarder->clock->now();
		if (now < route->parked_until)
			continue;
		if (route->unmade)
			prism_route_make_again(route);
		else if (route->broken)
			forwarder->draining_since = now;
		else
			prism_route_retry(route);
	}
}

bool
prism_lanes_turn(PrismForwarder *forwarder)
{
	bool		more = false;

	for (int i = 0; i < PRISM_LANES; i++)
		more |= prism_lane_turn(&forwarder->lanes[i]);
	if (prism_routes_read(forwarder))
		more = true;
	prism_routes_record(forwarder, false);
	mind_idle_routes(forwarder);
	return more;
}

long
prism_lanes_timeout_ms(const PrismForwarder *forwarder)
{
	long		timeout = PRISM_REPAIR_MS;

	if (forwarder->draining_since != 0)
		return PRISM_POLL_MS;
	for (int i = 0; i < PRISM_LANES; i++)
	{
		long		wish = prism_lane_timeout_ms(&forwarder->lanes[i]);

		if (wish >= 0)
			timeout = Min(timeout, wish);
	}
	for (int i = 0; i < forwarder->route_count; i++)
	{
		const PrismRoute *route = &forwarder->routes[i];

		if (route->moved_at != 0)
			timeout = Min(timeout, PRISM_RECORD_QUIET_MS);
		if (route->phase == ROUTE_PARKED && route->parked_until != 0)
			timeout = Min(timeout, prism_ms_until(route->parked_until, forwarder->clock->now()));
	}
	return timeout;
}

/* ---------- ends ---------- */

/*
 * A route that is stuck brings nothing to its end: what it holds is read again,
 * and the others need not stand still for that.  But what of it is on the wire
 * comes to its end first, as it must when the others have taken too long.
 */
bool
prism_lanes_drained(PrismForwarder *forwarder)
{
	PrismInstant now = forwarder->clock->now();

	if (!prism_has_passed(forwarder->draining_since, now, PRISM_DRAIN_MS))
		for (int i = 0; i < forwarder->route_count; i++)
		{
			const PrismRoute *route = &forwarder->routes[i];

			if (route->moved_at != 0 ||
				(route->window_batches > 0 && !route->lane->ends && !prism_route_stalled(route, now)))
				return false;
		}
	return prism_lane_end(&forwarder->lanes[PRISM_STREAM_LANE]);
}

/* So much of an orderly end that the next process repeats nothing of what has its receipt by then. */
void
prism_lanes_finish(PrismForwarder *forwarder)
{
	PrismLane  *lane = &forwarder->lanes[PRISM_STREAM_LANE];
	PrismInstant start = forwarder->clock->now();

	while (lane->conn != NULL && lane->outstanding > 0 &&
		   !prism_has_passed(start, forwarder->clock->now(), PRISM_LAST_RECEIPTS_MS))
		if (!prism_lane_collect(lane))
			pg_usleep(1000L);
	for (int i = 0; i < forwarder->route_count; i++)
		if (forwarder->routes[i].lane == lane)
			(void) lane->carrier->advance(&forwarder->routes[i]);
	prism_routes_record(forwarder, true);
}
