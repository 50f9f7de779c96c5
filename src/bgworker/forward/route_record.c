/*-------------------------------------------------------------------------
 *
 * route_record.c
 *	  Positions of routes on their way to the progress log.
 *
 * src/bgworker/forward/route_record.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/carrier.h"
#include "bgworker/forward/forwarder.h"

#include "access/xact.h"
#include "utils/timestamp.h"

bool
prism_route_record_due(const PrismRoute *route, PrismInstant now)
{
	if (route->moved_at == 0 || route->position < 0)
		return false;
	if (prism_has_passed(route->moved_at, now, PRISM_RECORD_MS))
		return true;
	return route->window_batches == 0 &&
		prism_has_passed(route->progress_at, now, PRISM_RECORD_QUIET_MS);
}

/*
 * prism.skip() moves a sink that stands still, and what it has said holds: the
 * position that such a one had moved to before is not written after it.
 */
static bool
is_still_ours(PrismRoute *route)
{
	PrismSinkStatus status;

	if (route->phase != ROUTE_PARKED)
		return true;
	if (!prism_sink_lock(route->sink.sink_id))
		route->moved_at = prism_lane_now(route->lane);	/* it has not ended: look again in a while */
	else if (prism_sink_status(route->sink.sink_id, &status) && status.position == route->position)
		return true;
	else
		route->moved_at = 0;
	return false;
}

static void
write_positions(void *arg)
{
	PrismForwarder *forwarder = arg;

	prism_worker_begin("records positions");
	for (int i = 0; i < forwarder->route_count; i++)
	{
		PrismRoute *route = &forwarder->routes[i];

		route->recording = route->moved_at != 0 && route->position >= 0 && is_still_ours(route);
		if (route->recording)
			prism_sink_record(route->sink.sink_id,
							  route->lane->carrier->owns_position ? PRISM_SINK_POSITION_SHARED : PRISM_SINK_POSITION,
							  route->position);
	}
	prism_worker_commit();
}

/* Somebody has the progress log locked: sending goes on, and a crash would repeat it. */
static void
record_later(PrismForwarder *forwarder, PrismInstant now)
{
	for (int i = 0; i < forwarder->route_count; i++)
		if (forwarder->routes[i].moved_at != 0)
			forwarder->routes[i].moved_at = forwarder->routes[i].progress_at = now;
}

/* Its messages go out, and nothing else is wrong with it. */
static bool
shows_record(const PrismRoute *route)
{
	return route->moved_at != 0 && route->phase == ROUTE_READY && !route->paused &&
		prism_backoff_remaining_ms(&route->trouble) == 0;
}

/*
 * They cannot be written.  What is in memory is sound, and sending goes on: who
 * began anew would send again all that came since, each time.
 */
static void
fail_to_record(PrismForwarder *forwarder, PrismInstant now, const char *reason)
{
	char	   *error = psprintf("positions cannot be recorded: %s", reason);

	forwarder->record_at = prism_instant_after(now, PRISM_RECORD_RETRY_MS);
	for (int i = 0; i < forwarder->route_count; i++)
		if (shows_record(&forwarder->routes[i]))
			(void) prism_sink_change(forwarder->routes[i].slot, PRISM_SINK_BACKOFF, forwarder->record_at, error);
	prism_lane_report(&forwarder->lanes[PRISM_STREAM_LANE], "positions", error, PRISM_TRIED_AGAIN);
	prism_worker_show(PRISM_WORKER_BACKOFF, error);
}

/* They can be written again. */
static void
show_recorded(PrismForwarder *forwarder)
{
	forwarder->record_at = 0;
	for (int i = 0; i < forwarder->route_count; i++)
		if (shows_record(&forwarder->routes[i]))
			(void) prism_sink_change(forwarder->routes[i].slot, PRISM_SINK_RUNNING, 0, NULL);
	prism_worker_show(PRISM_WORKER_RUNNING, NULL);
}

/* Write the positions that have moved, in one transaction, at once or when one of them is due. */
void
prism_routes_record(PrismForwarder *forwarder, bool at_once)
{
	PrismInstant now = forwarder->clock->now();
	TimestampTz recorded_at = GetCurrentTimestamp();
	bool		due = false;
	ErrorData  *error;

	for (int i = 0; i < forwarder->route_count && !due; i++)
	{
		const PrismRoute *route = &forwarder->routes[i];

		due = at_once ? route->moved_at != 0 : prism_route_record_due(route, now);
	}
	if (!due || (!at_once && now < forwarder->record_at))
		return;

	error = prism_worker_attempt(write_positions, forwarder);
	if (error != NULL)
	{
		if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
			record_later(forwarder, now);
		else
			fail_to_record(forwarder, now, error->message);
		return;
	}
	if (forwarder->record_at != 0)
		show_recorded(forwarder);
	for (int i = 0; i < forwarder->route_count; i++)
	{
		PrismRoute *route = &forwarder->routes[i];

		if (!route->recording)
			continue;
		route->moved_at = 0;
		route->recorded = route->position;
		route->progress.position = route->position;
		route->progress.shared = route->lane->carrier->owns_position;
		prism_sink_recorded(route->slot, route->position, recorded_at);
	}
}

/* ---------- a position that becomes the other side's ---------- */

static void
write_claim(void *arg)
{
	PrismRoute *route = arg;

	prism_worker_begin("records a position that the other side keeps");
	prism_sink_record(route->sink.sink_id, PRISM_SINK_POSITION_SHARED, route->position);
	ForceSyncCommit();
	prism_worker_commit();
}

/*
 * The position is one that the other side had no say in: prism.skip() gave it, or
 * the sink was not exactly_once.  Now that the other side has it, it counts from
 * here on, and the progress log says so before anything is sent: after a crash or
 * a doubt this position would be taken again, whatever had been sent since.
 * False: not now.
 */
bool
prism_route_record_claim(PrismRoute *route)
{
	ErrorData  *error;

	if (route->progress.shared || route->progress.position < 0)
		return true;
	error = prism_worker_attempt(write_claim, route);
	if (error == NULL)
	{
		route->progress.position = route->recorded = route->position;
		route->progress.shared = true;
		return true;
	}
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		prism_route_await_lock(route, error->message);
	else
		prism_route_back_off(route, error->message);
	return false;
}
