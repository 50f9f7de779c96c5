/*-------------------------------------------------------------------------
 *
 * forwarder.c
 *	  The process that carries topics to one server.
 *
 * It sleeps until a commit publishes something, a socket has an answer, or a
 * back-off is over.  No transaction is open while it waits: messages are read
 * in a short one and sent after it.  It may die at any instruction: positions
 * move last.
 *
 * What is served is loaded once; when the catalogue changes in a way that
 * matters, what is under way comes to its end, and everything is loaded anew.
 *
 * src/bgworker/forward/forwarder.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/generation.h"
#include "bgworker/forward/carrier.h"
#include "bgworker/forward/forwarder.h"
#include "store/log/counter.h"

#include "access/xact.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Wake-ups that bring nothing look at the catalogue at most this often. */
#define CHECK_INTERVAL_MS 100

/* ---------- loading ---------- */

static void
new_incarnation(char *incarnation)
{
	uint64		number;

	if (!pg_strong_random(&number, sizeof(number)))
		ereport(ERROR,
				errcode(ERRCODE_INTERNAL_ERROR),
				errmsg("could not generate random values"));
	snprintf(incarnation, PRISM_INCARNATION_BYTES, "%016llx", (unsigned long long) number);
}

pg_noreturn static void
no_backend(const PrismSink *sink)
{
	ereport(ERROR,
			errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("backend \"%s\" does not support sending", sink->backend));
}

/* A row that is damaged may name a back end which there is not, one that is sent nothing, or one without servers. */
static bool
tells_backend(const PrismSink *sink)
{
	const PrismBackendInfo *info = prism_backend_info(sink->backend);

	return info != NULL && info->library != NULL && (info->roles & PRISM_ROLE_QUEUE) != 0 &&
		(info->wrapper != NULL || !OidIsValid(sink->server_oid));
}

/* What is wrong with a row of this back end's server; NULL: nothing. */
static const char *
mismatch(const PrismBackendInfo *backend, const PrismSink *sink)
{
	if (backend == NULL || strcmp(backend->name, sink->backend) != 0)
		return psprintf("\"%.*s\" is not the backend of its server",
						pg_mbcliplen(sink->backend, strlen(sink->backend), 64), sink->backend);
	if (sink->exactly_once && !backend->transactional)
		return psprintf("backend \"%s\" cannot deliver exactly once", sink->backend);
	return NULL;
}

/* That of the first sink which has one; others are not of this server, whatever their rows say. */
static void
choose_backend(PrismForwarder *forwarder, List *sinks)
{
	ListCell   *cell;

	forwarder->backend = NULL;
	foreach(cell, sinks)
	{
		PrismSink  *sink = lfirst(cell);
		const char *damage;

		if (forwarder->backend == NULL && tells_backend(sink))
			forwarder->backend = prism_backend_info(sink->backend);
		damage = mismatch(forwarder->backend, sink);
		if (damage != NULL)
			sink->damage = MemoryContextStrdup(forwarder->mcxt, damage);
	}
	if (forwarder->backend == NULL)
		no_backend(linitial(sinks));
}

/* Everything whose change needs new connections; a pause does not, nor do partitions. */
static char *
make_fingerprint(PrismForwarder *forwarder, List *sinks)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	appendStringInfo(&text, "%s %d\n", forwarder->installation.id, forwarder->installation.state);
	prism_endpoint_fingerprint(forwarder, &text);
	foreach(cell, sinks)
	{
		const PrismSink *sink = lfirst(cell);

		appendStringInfo(&text, "%d %d %s %s %s %s %d %d " INT64_FORMAT " %s\n",
						 sink->sink_id, sink->topic_id, sink->topic_name, sink->name, sink->backend,
						 sink->target_name, sink->exactly_once, sink->batch_messages, sink->message_bytes_max,
						 sink->damage != NULL ? sink->damage : "");
	}
	return text.data;
}

/* One that tells of the endpoint: all do, but for those whose row is damaged. */
static const PrismSink *
leading_sink(List *sinks)
{
	ListCell   *cell;

	foreach(cell, sinks)
	{
		const PrismSink *sink = lfirst(cell);

		if (tells_backend(sink))
			return sink;
	}
	no_backend(linitial(sinks));
}

/* Read the catalogue into forwarder->mcxt, which is empty. In a transaction. */
static List *
read_catalog(PrismForwarder *forwarder)
{
	MemoryContext caller_cxt = MemoryContextSwitchTo(forwarder->mcxt);
	List	   *sinks;

	/* first what we know, then what there is: a change in between is found later, not lost */
	AcceptInvalidationMessages();
	forwarder->generation = prism_catalog_generation();
	forwarder->endpoint_generation = prism_endpoint_generation();
	PushActiveSnapshot(GetLatestSnapshot());
	prism_identity_check(&forwarder->installation);
	MemoryContextSwitchTo(forwarder->mcxt);
	sinks = prism_sink_list(forwarder->server, forwarder->sink_id);
	MemoryContextSwitchTo(forwarder->mcxt);
	if (sinks != NIL)
	{
		prism_endpoint_load(forwarder, sinks, leading_sink(sinks));
		MemoryContextSwitchTo(forwarder->mcxt);
		forwarder->fingerprint = make_fingerprint(forwarder, sinks);
	}
	PopActiveSnapshot();
	MemoryContextSwitchTo(caller_cxt);
	return sinks;
}

/* A copy must not so much as open a producer: that would fence the original. */
static void
park_copy(PrismForwarder *forwarder)
{
	const PrismInstallation *installation = &forwarder->installation;
	PrismSinkState state = installation->state == PRISM_INSTALLATION_COPIED
		? PRISM_SINK_COPIED : PRISM_SINK_REWOUND;
	bool		news = false;

	for (int i = 0; i < forwarder->route_count; i++)
	{
		PrismRoute *route = &forwarder->routes[i];

		route->phase = ROUTE_PARKED;
		if (route->unmade)		/* not to be made as if it were ours: all is loaded anew */
			route->parked_until = prism_instant_after(forwarder->clock->now(), PRISM_REPAIR_MS);
		route->unmade = false;
		news |= route->slot != NULL && prism_sink_change(route->slot, state, 0, installation->reason);
	}
	if (news)
		ereport(WARNING,
				errmsg("prism does not forward to \"%s\"", forwarder->endpoint.name),
				errdetail("%s.", installation->reason),
				errhint("If this database takes the place of the original, run prism.adopt(); if both shall live, run prism.rebase()."));
}

static void
load_sinks(PrismForwarder *forwarder)
{
	List	   *sinks;

	forwarder->loaded = false;
	forwarder->draining_since = 0;
	forwarder->reading = NULL;
	forwarder->route_count = 0;
	prism_lanes_init(forwarder);
	MemoryContextReset(forwarder->mcxt);	/* closes all connections */
	prism_sink_detach_all();

	prism_worker_begin("reads the catalogue");
	prism_sink_sweep();
	sinks = read_catalog(forwarder);
	if (sinks == NIL)
	{
		prism_worker_commit();
		prism_worker_leave(0);
	}
	choose_backend(forwarder, sinks);
	prism_routes_make(forwarder, sinks);
	prism_worker_commit();

	if (forwarder->installation.state != PRISM_INSTALLATION_OWN)
		park_copy(forwarder);
	forwarder->checked_at = forwarder->clock->now();
	forwarder->loaded = true;
}

/* ---------- the catalogue has changed ---------- */

static PrismRoute *
find_route(PrismForwarder *forwarder, int32 sink_id)
{
	for (int i = 0; i < forwarder->route_count; i++)
		if (forwarder->routes[i].sink.sink_id == sink_id)
			return &forwarder->routes[i];
	return NULL;
}

/*
 * Something was changed, perhaps only so that we try again.  A sink that was
 * fenced or has regressed needs prism.resume().  False: prism.skip() is at work
 * on one of them.
 */
static bool
mend_routes(PrismForwarder *forwarder, List *sinks)
{
	bool		all = true;
	ListCell   *cell;

	if (forwarder->installation.state != PRISM_INSTALLATION_OWN)
		return true;
	foreach(cell, sinks)
	{
		const PrismSink *sink = lfirst(cell);
		PrismRoute *route = find_route(forwarder, sink->sink_id);
		PrismSinkStatus status;

		if (route == NULL)
			continue;
		prism_route_want_shape(route, sink->partitions, sink->replication);
		if (route->unmade)
		{
			route->sink.paused = sink->paused;	/* it alone is made again, now */
			route->parked_until = forwarder->checked_at;
			continue;
		}
		if (route->broken)
		{
			prism_route_mend(route);
			continue;
		}
		if (route->phase == ROUTE_PARKED && !prism_sink_lock(sink->sink_id))
		{
			all = false;
			continue;
		}
		if (prism_sink_take_resume(route->slot) ||
			(route->phase == ROUTE_PARKED && prism_sink_status(sink->sink_id, &status) &&
			 status.state == PRISM_SINK_STOPPED))
			prism_route_mend(route);
		prism_route_pause(route, sink->paused);
	}
	return all;
}

/* One has stopped, and where it had got to is not recorded yet. */
static bool
has_parked_ahead(const PrismForwarder *forwarder)
{
	for (int i = 0; i < forwarder->route_count; i++)
		if (forwarder->routes[i].phase == ROUTE_PARKED && forwarder->routes[i].moved_at != 0)
			return true;
	return false;
}

/* Look at the catalogue if it has changed; in a transaction of its own. */
static void
check_catalog(PrismForwarder *forwarder)
{
	PrismForwarder fresh = {0};
	List	   *sinks;
	bool		all = true;

	forwarder->checked_at = forwarder->clock->now();
	forwarder->check_wanted = false;
	/* whoever is mended goes on where the progress log says */
	if (has_parked_ahead(forwarder))
		prism_routes_record(forwarder, true);
	prism_worker_begin("looks at the catalogue");
	if (forwarder->generation != prism_catalog_generation() ||
		forwarder->endpoint_generation != prism_endpoint_generation())
	{
		fresh.server = forwarder->server;
		fresh.sink_id = forwarder->sink_id;
		fresh.mcxt = AllocSetContextCreate(CurrentMemoryContext, "prism catalogue",
										   ALLOCSET_DEFAULT_SIZES);
		sinks = read_catalog(&fresh);
		if (fresh.fingerprint == NULL || strcmp(fresh.fingerprint, forwarder->fingerprint) != 0)
			forwarder->draining_since = forwarder->checked_at;
		else
			all = mend_routes(forwarder, sinks);
		forwarder->generation = all ? fresh.generation : 0;
		forwarder->endpoint_generation = fresh.endpoint_generation;
	}
	prism_worker_commit();
}

/* Positions that the other side keeps are written again before it forgets them. */
static void
claim_again(PrismForwarder *forwarder)
{
	for (int i = 0; i < forwarder->route_count; i++)
	{
		PrismRoute *route = &forwarder->routes[i];

		if (route->lane->carrier->owns_position && route->phase == ROUTE_READY && route->window_batches == 0 &&
			prism_has_passed(route->claimed_at, forwarder->checked_at, PRISM_CLAIM_AGAIN_MS))
			route->phase = ROUTE_CLAIM;
	}
}

/* ---------- an orderly end ---------- */

/*
 * It is asked for between two turns, or in a transaction of one; a turn that is
 * not over without a transaction has thrown, and what it left is not to be
 * trusted.
 */
static void
finish(int code, Datum arg)
{
	PrismForwarder *forwarder = (PrismForwarder *) DatumGetPointer(arg);

	if (!forwarder->loaded || (forwarder->in_turn && !IsTransactionState()))
		return;
	AbortOutOfAnyTransaction();
	prism_lanes_finish(forwarder);
}

/*
 * Once the first connection is open: callbacks run last registered first, and
 * the library's own closes the connections.
 */
static void
finish_at_exit(PrismForwarder *forwarder)
{
	for (int i = 0; i < PRISM_LANES && !forwarder->finishes; i++)
	{
		if (forwarder->lanes[i].conn == NULL)
			continue;
		before_shmem_exit(finish, PointerGetDatum(forwarder));
		forwarder->finishes = true;
	}
}

/* ---------- turns ---------- */

static bool
is_check_due(const PrismForwarder *forwarder, long interval_ms)
{
	return prism_has_passed(forwarder->checked_at, forwarder->clock->now(), interval_ms);
}

static bool
forward(void *arg)
{
	PrismForwarder *forwarder = arg;
	bool		more;

	/* the turn before this one threw: what is in memory is not to be trusted */
	if (forwarder->in_turn || !forwarder->loaded)
	{
		forwarder->in_turn = true;
		load_sinks(forwarder);
	}
	forwarder->in_turn = true;

	more = prism_lanes_turn(forwarder);
	finish_at_exit(forwarder);

	if (forwarder->draining_since == 0)
	{
		/* a turn that brought nothing: perhaps the catalogue is what woke us */
		forwarder->check_wanted |= !more;
		if (is_check_due(forwarder, forwarder->check_wanted ? CHECK_INTERVAL_MS : PRISM_REPAIR_MS))
		{
			check_catalog(forwarder);
			claim_again(forwarder);
		}
	}
	else if (prism_lanes_drained(forwarder))
	{
		prism_routes_record(forwarder, true);
		load_sinks(forwarder);
		more = true;
	}
	forwarder->in_turn = false;
	return more;
}

static void
sleep_until_needed(PrismForwarder *forwarder)
{
	pgsocket	sockets[PRISM_LANES];
	int			count = 0;

	if (forwarder->in_turn || !forwarder->loaded)
	{
		prism_worker_wait(PRISM_REPAIR_MS, PGINVALID_SOCKET);
		return;
	}
	for (int i = 0; i < PRISM_LANES; i++)
	{
		PrismLane  *lane = &forwarder->lanes[i];
		pgsocket	socket = lane->conn == NULL ? PGINVALID_SOCKET
			: lane->conn->backend->wait_socket(lane->conn);

		if (socket != PGINVALID_SOCKET)
			sockets[count++] = socket;
	}
	prism_worker_wait_many(Min(prism_lanes_timeout_ms(forwarder), forwarder->check_wanted ? CHECK_INTERVAL_MS : PRISM_REPAIR_MS),
						   sockets, count);
}

/* What they were is not what they are without us. */
static void
leave_sinks(int code, Datum arg)
{
	prism_sink_detach_all();
}

void
prism_forwarder_main(Datum main_arg)
{
	PrismForwarder *forwarder;

	prism_worker_enter(main_arg);
	prism_worker_without_triggers();
	forwarder = MemoryContextAllocZero(TopMemoryContext, sizeof(*forwarder));
	forwarder->clock = &prism_real_clock;
	forwarder->server = prism_my_worker->identity.server;
	forwarder->sink_id = prism_my_worker->identity.sink_id;
	forwarder->mcxt = AllocSetContextCreate(TopMemoryContext, "prism forwarder", ALLOCSET_DEFAULT_SIZES);
	new_incarnation(forwarder->incarnation);
	before_shmem_exit(leave_sinks, (Datum) 0);
	/* a lost progress record repeats little; dead letters are flushed by themselves */
	SetConfigOption("synchronous_commit", "off", PGC_SUSET, PGC_S_OVERRIDE);

	for (;;)
		if (!prism_run_step(forward, forwarder))
			sleep_until_needed(forwarder);
}
