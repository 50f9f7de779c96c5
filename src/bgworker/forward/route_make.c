/*-------------------------------------------------------------------------
 *
 * route_make.c
 *	  Routes from the catalogue's rows, and those that cannot be made.
 *
 * What is wrong with one sink is no reason not to serve the others.  Where it
 * stays, such as a damaged row, everything is loaded anew after a while; where
 * it may pass, such as another process that still serves the sink, the route
 * alone is made again.
 *
 * src/bgworker/forward/route_make.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/savepoint.h"
#include "bgworker/forward/forwarder.h"


/* What a route has that cannot be made otherwise: enough for those who pass over it. */
static void
begin(PrismRoute *route, PrismForwarder *forwarder, const PrismSink *sink)
{
	int			lane = sink->exactly_once ? (uint32) sink->topic_id % PRISM_TRANSACT_LANES : PRISM_STREAM_LANE;

	route->sink = *sink;
	route->lane = &forwarder->lanes[lane];
	route->backoff.clock = route->trouble.clock = route->reshaping.clock = forwarder->clock;
	route->blocked_at = -1;
	dlist_init(&route->window);
}

/* In a transaction and the forwarder's context, where strings of the sink live as well. */
static void
take_over(void *arg)
{
	PrismRoute *route = arg;
	const PrismSink *sink = &route->sink;
	const PrismForwarder *forwarder = route->lane->forwarder;

	if (sink->damage != NULL)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("sink %d of topic \"%s\" is damaged: %s", sink->sink_id, sink->topic_name, sink->damage));
	route->slot = prism_sink_attach(sink->sink_id, sink->topic_id);
	if (!prism_sink_lock(sink->sink_id))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_IN_USE),
				errmsg("prism.skip() of another session has not ended yet"));
	route->target.name = sink->target_name;
	route->target.position_id = psprintf("prism.%s.%d", forwarder->installation.id, sink->topic_id);
	route->target.partitions = sink->partitions;
	route->target.replication = sink->replication;
	route->target.message_bytes_max = sink->message_bytes_max;
	prism_sink_aim(route->slot, sink->target_name, forwarder->endpoint_id);
}

/* It is ours, and how far it is was read. */
static void
set_out(PrismRoute *route)
{
	prism_route_pause(route, route->sink.paused);
	if (!route->paused)
		(void) prism_sink_change(route->slot, PRISM_SINK_STARTING, 0, NULL);
}

/*
 * It could not be made now.  Without a slot nothing is told: whoever still
 * serves the sink tells how it stands.
 */
static void
put_off(PrismRoute *route, const ErrorData *error)
{
	route->broken = route->unmade = true;
	route->phase = ROUTE_PARKED;
	if (route->slot != NULL && !route->sink.paused)
		prism_route_back_off(route, error->message);
	else
	{
		(void) prism_backoff_fail(&route->backoff);
		/* nothing of it is under way, whoever is at work on it */
		if (route->slot != NULL)
			(void) prism_sink_change(route->slot, PRISM_SINK_PAUSED, 0, NULL);
	}
	route->parked_until = error->sqlerrcode == ERRCODE_OBJECT_IN_USE
		? prism_instant_after(prism_lane_now(route->lane), PRISM_BUSY_RETRY_MS) : route->backoff.retry_at;
}

static void
give_up(PrismRoute *route, const ErrorData *error)
{
	if (prism_worker_error_passes(error))
		put_off(route, error);
	else
		prism_route_break(route, error->message);
}

/* What is locked there is the log of all positions: then all is tried again. */
static void
throw_if_locked(ErrorData *error)
{
	if (error != NULL && error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		ReThrowError(error);
}

static void
read_progress(void *arg)
{
	PrismForwarder *forwarder = arg;
	PrismSinkReplay *sinks = palloc0_array(PrismSinkReplay, forwarder->route_count);
	int			count = 0;

	for (int i = 0; i < forwarder->route_count; i++)
	{
		PrismRoute *route = &forwarder->routes[i];
		PrismSinkReplay *sink = &sinks[count];

		if (route->broken)
			continue;
		sink->sink_id = route->sink.sink_id;
		sink->progress = &route->progress;
		sink->slot = route->slot;
		count++;
	}
	prism_sinks_replay(sinks, count);
	pfree(sinks);
}

/* How far each is, by reading the progress log once. */
static void
set_out_all(PrismForwarder *forwarder)
{
	ErrorData  *error = prism_savepoint_try(read_progress, forwarder);

	throw_if_locked(error);
	for (int i = 0; i < forwarder->route_count; i++)
	{
		PrismRoute *route = &forwarder->routes[i];

		if (route->broken)
			continue;
		prism_route_take_progress(route);
		if (error != NULL)
			give_up(route, error);
		else
			set_out(route);
	}
}

void
prism_routes_make(PrismForwarder *forwarder, List *sinks)
{
	MemoryContext caller_cxt = MemoryContextSwitchTo(forwarder->mcxt);
	ListCell   *cell;

	forwarder->route_count = 0;
	forwarder->routes = palloc0(list_length(sinks) * sizeof(PrismRoute));
	foreach(cell, sinks)
	{
		PrismRoute *route = &forwarder->routes[forwarder->route_count];
		ErrorData  *error;

		route->index = forwarder->route_count++;
		begin(route, forwarder, lfirst(cell));
		error = prism_savepoint_try(take_over, route);
		throw_if_locked(error);
		if (error != NULL)
			give_up(route, error);
		MemoryContextSwitchTo(forwarder->mcxt);
	}
	set_out_all(forwarder);
	MemoryContextSwitchTo(caller_cxt);
}

static void
init_again(void *arg)
{
	PrismRoute *route = arg;

	prism_worker_begin("takes over a sink");
	MemoryContextSwitchTo(route->lane->forwarder->mcxt);
	take_over(route);
	prism_route_read_progress(route);
	set_out(route);
	prism_worker_commit();
}

/* What was in the way of this one may have passed. */
void
prism_route_make_again(PrismRoute *route)
{
	ErrorData  *error = prism_worker_attempt(init_again, route);

	if (error != NULL)
	{
		give_up(route, error);
		return;
	}
	route->broken = route->unmade = false;
	route->phase = ROUTE_PREPARE;
	route->parked_until = 0;
	prism_backoff_reset(&route->backoff);
}
