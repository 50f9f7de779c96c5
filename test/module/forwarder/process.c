/*-------------------------------------------------------------------------
 *
 * process.c
 *	  A forwarder's process, as forwarder.c is in a server: loads, takes turns,
 *	  sleeps, ends.
 *
 * test/module/forwarder/process.c
 *
 *-------------------------------------------------------------------------
 */
#include "test.h"

#include <stdio.h>

#include "utils/memutils.h"

#undef snprintf

#define OPTIONS_MAX 16

PrismForwarder *forwarder;

static PrismOption options[OPTIONS_MAX];
static char option_values[OPTIONS_MAX][24];
static int	option_count;
static int	processes;
static bool more;

void
process_option(const char *name, int64 value)
{
	snprintf(option_values[option_count], sizeof(option_values[0]), "%lld", (long long) value);
	options[option_count] = (PrismOption) {name, option_values[option_count]};
	option_count++;
}

void
process_options_none(void)
{
	option_count = 0;
}

static void
load(void)
{
	List	   *sinks;

	forwarder->loaded = false;
	forwarder->draining_since = 0;
	forwarder->reading = NULL;
	forwarder->route_count = 0;
	prism_lanes_init(forwarder);
	MemoryContextReset(forwarder->mcxt);

	MemoryContextSwitchTo(forwarder->mcxt);
	forwarder->endpoint.options = shim_list(option_count);
	for (int i = 0; i < option_count; i++)
		list_nth_cell(forwarder->endpoint.options, i)->ptr_value = &options[i];
	sinks = shim_list(WORLD_TOPICS);
	for (int i = 0; i < WORLD_TOPICS; i++)
		list_nth_cell(sinks, i)->ptr_value = &world[i].sink;
	prism_worker_begin("reads the catalogue");
	prism_routes_make(forwarder, sinks);
	prism_worker_commit();
	forwarder->checked_at = forwarder->clock->now();
	forwarder->loaded = true;
}

static void
new_forwarder(void)
{
	if (forwarder != NULL)
	{
		broker_abandoned = true;
		MemoryContextDelete(forwarder->mcxt);
		pfree(forwarder);
	}
	forwarder = MemoryContextAllocZero(TopMemoryContext, sizeof(*forwarder));
	forwarder->mcxt = AllocSetContextCreate(TopMemoryContext, "prism forwarder", ALLOCSET_DEFAULT_SIZES);
	forwarder->clock = &shim_clock;
	forwarder->endpoint.name = "elsewhere";
	forwarder->endpoint_id = "1";
	strlcpy(forwarder->installation.id, "0190", sizeof(forwarder->installation.id));
	forwarder->installation.timeline = 1;
	snprintf(forwarder->incarnation, sizeof(forwarder->incarnation), "%016x", (unsigned) ++processes);
}

void
process_start(void)
{
	new_forwarder();
}

static void
finish(void *arg)
{
	prism_lanes_finish(forwarder);
}

void
process_end(void)
{
	if (forwarder->loaded && !forwarder->in_turn)
		(void) shim_run(finish, NULL);
	shim_end_step();
	new_forwarder();
}

void
process_crash(bool server_too)
{
	broker_lose();
	world_rollback();
	if (server_too)
		world_crash();
	shim_end_step();
	new_forwarder();
}

static void
take_turn(void *arg)
{
	/* the turn before this one threw */
	broker_abandoned = forwarder->in_turn || !forwarder->loaded;
	if (broker_abandoned)
	{
		forwarder->in_turn = true;
		load();
		broker_abandoned = false;
	}
	forwarder->in_turn = true;
	more = prism_lanes_turn(forwarder);
	if (forwarder->draining_since != 0 && prism_lanes_drained(forwarder))
	{
		prism_routes_record(forwarder, true);
		load();
		more = true;
	}
	forwarder->in_turn = false;
}

bool
process_step(void)
{
	bool		passed = shim_run(take_turn, NULL);

	shim_end_step();
	return passed && more;
}

void
process_sleep(void)
{
	long		ms = PRISM_REPAIR_MS;

	if (forwarder->loaded && !forwarder->in_turn)
		ms = Min(ms, prism_lanes_timeout_ms(forwarder));
	shim_now += ms * 1000;
}

void
process_load_anew(void)
{
	if (forwarder->draining_since == 0)
		forwarder->draining_since = forwarder->clock->now();
}

PrismRoute *
process_route(const WorldTopic *topic)
{
	for (int i = 0; i < forwarder->route_count; i++)
		if (forwarder->routes[i].sink.sink_id == topic->sink.sink_id)
			return &forwarder->routes[i];
	return NULL;
}

static void
mend_route(void *arg)
{
	WorldTopic *topic = arg;
	PrismRoute *route = process_route(topic);

	prism_routes_record(forwarder, true);
	prism_worker_begin("looks at the catalogue");
	prism_route_want_shape(route, topic->sink.partitions, topic->sink.replication);
	if (route->unmade)
	{
		route->sink.paused = topic->sink.paused;
		route->parked_until = forwarder->clock->now();
	}
	else if (route->broken)
		prism_route_mend(route);
	else if (route->phase != ROUTE_PARKED || prism_sink_lock(topic->sink.sink_id))
	{
		prism_route_mend(route);
		prism_route_pause(route, topic->sink.paused);
	}
	prism_worker_commit();
}

void
process_look(WorldTopic *topic)
{
	if (!forwarder->loaded || forwarder->in_turn || forwarder->draining_since != 0)
		return;
	if (!shim_run(mend_route, topic))
		forwarder->in_turn = true;	/* the step that looks threw */
	shim_end_step();
}
