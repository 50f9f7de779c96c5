/*-------------------------------------------------------------------------
 *
 * route.c
 *	  One topic on its way to its sink: its position and its state.
 *
 * How it starts is in route_start.c, how it comes to rest in route_rest.c.
 *
 * src/bgworker/forward/route.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/carrier.h"
#include "bgworker/forward/forwarder.h"

/*
 * Begin anew with a new connection, or after something was mended.  What is
 * held is sent again, as far as the position then says that it has to be.
 */
void
prism_route_restart(PrismRoute *route)
{
	route->parked_until = 0;
	if (route->phase == ROUTE_PARKED)
	{
		prism_route_drop_batches(route);
		route->position = -1;
	}
	else
		route->lane->carrier->rewind(route);
	route->drains = false;
	route->phase = ROUTE_PREPARE;
}

/* ---------- the position ---------- */

/* Its position, and all that begins anew with it, are those that the progress log has just said. */
void
prism_route_take_progress(PrismRoute *route)
{
	route->position = -1;
	route->recorded = route->progress.position;
	route->moved_at = 0;
	route->blocked_at = -1;
}

void
prism_route_read_progress(PrismRoute *route)
{
	MemoryContext caller_cxt = MemoryContextSwitchTo(route->lane->forwarder->mcxt);

	prism_sink_replay(route->sink.sink_id, &route->progress, route->slot);
	MemoryContextSwitchTo(caller_cxt);
	prism_route_take_progress(route);
}

void
prism_route_move(PrismRoute *route, int64 position, int messages, Size bytes)
{
	PrismInstant now = prism_lane_now(route->lane);

	Assert(position >= route->position);
	route->position = position;
	route->progress_at = now;
	if (route->moved_at == 0)
		route->moved_at = now;
	prism_sink_move(route->slot, position);
	prism_sink_count(route->slot, PRISM_SINK_MESSAGES, messages);
	prism_sink_count(route->slot, PRISM_SINK_BYTES, (int64) bytes);
	prism_backoff_reset(&route->trouble);
	prism_backoff_reset(&route->lane->backoff);
	if (route->lane->forwarder->record_at != 0)
		return;					/* that it cannot be recorded tells more */
	if (!route->paused)
		(void) prism_sink_change(route->slot, PRISM_SINK_RUNNING, 0, NULL);
	prism_worker_show(PRISM_WORKER_RUNNING, NULL);
}

/* ---------- not now, or not at all ---------- */

/* Somebody has the topic's tables locked: other topics go on, and it is tried again in a moment. */
void
prism_route_await_lock(PrismRoute *route, const char *why)
{
	route->backoff.retry_at = prism_instant_after(prism_lane_now(route->lane), PRISM_BUSY_RETRY_MS);
	(void) prism_sink_change(route->slot, PRISM_SINK_WAITING, route->backoff.retry_at, why);
}

/* This topic alone is in trouble, which may pass: the lane's others go on. */
void
prism_route_back_off(PrismRoute *route, const char *error)
{
	(void) prism_sink_change(route->slot, PRISM_SINK_BACKOFF, prism_backoff_fail(&route->backoff), error);
	prism_lane_report(route->lane, prism_route_called(route), error, PRISM_TRIED_AGAIN);
}

/*
 * What it carries does not go through, though it starts well: a transaction, a
 * dead letter.  Others go on, and it waits longer each time.
 */
void
prism_route_trouble(PrismRoute *route, const char *error)
{
	(void) prism_sink_change(route->slot, PRISM_SINK_BACKOFF, prism_backoff_fail(&route->trouble), error);
	prism_lane_report(route->lane, prism_route_called(route), error, PRISM_TRIED_AGAIN);
}

/* It waits for the other side.  Its own trouble, while it lasts, tells more. */
void
prism_route_show_waiting(PrismRoute *route, const char *error)
{
	if (prism_backoff_remaining_ms(&route->trouble) == 0)
		(void) prism_sink_change(route->slot, PRISM_SINK_WAITING, 0, error[0] != '\0' ? error : NULL);
}

static int
errmsg_parked(const PrismSink *sink, PrismSinkState state)
{
	switch (state)
	{
		case PRISM_SINK_FENCED:
			return errmsg("sink \"%s\" of topic \"%s\" is fenced", sink->name, sink->topic_name);
		case PRISM_SINK_REGRESSED:
			return errmsg("sink \"%s\" of topic \"%s\" has regressed", sink->name, sink->topic_name);
		case PRISM_SINK_DIVERGED:
			return errmsg("sink \"%s\" of topic \"%s\" has diverged", sink->name, sink->topic_name);
		default:
			return errmsg("sink \"%s\" of topic \"%s\" is stopped", sink->name, sink->topic_name);
	}
}

void
prism_route_park(PrismRoute *route, PrismSinkState state, const char *error)
{
	PrismInstant now = prism_lane_now(route->lane);

	route->phase = ROUTE_PARKED;
	route->parked_until = state == PRISM_SINK_STOPPED
		? prism_instant_after(now, PRISM_STOPPED_RETRY_MS) : 0;
	prism_route_drop_batches(route);
	route->bisect.batch = NULL;
	route->stopped = false;
	if (prism_sink_change(route->slot, state, route->parked_until, error))
		ereport(WARNING,
				errmsg_parked(&route->sink, state),
				errdetail("%s", error),
				state == PRISM_SINK_REGRESSED || state == PRISM_SINK_FENCED || state == PRISM_SINK_DIVERGED
				? errhint("Find out what happened there, then run prism.skip(topic, sink, to_position) or prism.resume(topic, sink).")
				: errhint("It is tried again in some minutes, or at once after prism.resume(topic, sink)."));
}

/* It cannot be served.  The process serves the others, and loads everything anew after a while. */
void
prism_route_break(PrismRoute *route, const char *error)
{
	route->broken = true;
	route->unmade = false;
	route->phase = ROUTE_PARKED;
	route->parked_until = prism_instant_after(prism_lane_now(route->lane), PRISM_STOPPED_RETRY_MS);
	if (route->slot == NULL)
		route->slot = prism_sink_try_attach(route->sink.sink_id, route->sink.topic_id);
	if (route->slot != NULL && prism_sink_change(route->slot, PRISM_SINK_STOPPED, route->parked_until, error))
		ereport(WARNING,
				errmsg("sink \"%s\" of topic \"%s\" cannot be served", route->sink.name, route->sink.topic_name),
				errdetail("%s", error));
}

/* ---------- dead letters ---------- */

/* Was this message made a dead letter before a crash? */
bool
prism_route_is_dead(const PrismRoute *route, int64 offset)
{
	for (int i = 0; i < route->progress.dead_count; i++)
		if (route->progress.dead[i] == offset)
			return true;
	return false;
}

/* It is one now; those behind us are of no use any more. */
void
prism_route_remember_dead(PrismRoute *route, int64 offset)
{
	PrismSinkProgress *progress = &route->progress;
	int64	   *dead = MemoryContextAlloc(route->lane->forwarder->mcxt,
										  (progress->dead_count + 1) * sizeof(int64));
	int			count = 0;

	for (int i = 0; i < progress->dead_count; i++)
		if (progress->dead[i] >= route->position)
			dead[count++] = progress->dead[i];
	dead[count++] = offset;
	if (progress->dead != NULL)
		pfree(progress->dead);
	progress->dead = dead;
	progress->dead_count = count;
}
