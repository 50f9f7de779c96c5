/*-------------------------------------------------------------------------
 *
 * lane.c
 *	  One connection, its life and its faults.
 *
 * A lane opens its connection when there is somebody to serve.  A
 * transactional one first fences whoever was there before, then each route
 * finds its position.
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
#include "bgworker/forward/forwarder.h"

#include "common/hashfn.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define TAG_SEQUENCE_BITS 40
#define TAG_SEQUENCE_MASK ((UINT64CONST(1) << TAG_SEQUENCE_BITS) - 1)

const PrismQueueOps *
prism_lane_queue(const PrismLane *lane)
{
	return lane->conn->backend->queue;
}

static bool
is_transactional(const PrismLane *lane)
{
	return lane->number != PRISM_STREAM_LANE;
}

/* The lane's routes, one after the other: for (route = next_route(lane, NULL); route; ...) */
static PrismRoute *
next_route(const PrismLane *lane, PrismRoute *after)
{
	PrismForwarder *forwarder = lane->forwarder;

	for (int i = after == NULL ? 0 : after->index + 1; i < forwarder->route_count; i++)
		if (forwarder->routes[i].lane == lane && !forwarder->routes[i].broken)
			return &forwarder->routes[i];
	return NULL;
}

/* ---------- telling ---------- */

/* A fault in the server's log, at a bounded rate. */
void
prism_lane_report(PrismLane *lane, const char *what, const char *error, const char *detail)
{
	uint32		cause = hash_bytes((const unsigned char *) what, (int) strlen(what));
	int64		times;

	switch (prism_report_decide(&lane->report, cause, &times))
	{
		case PRISM_REPORT_FULL:
			ereport(LOG,
					errmsg("prism: %s at \"%s\": %s", what, lane->forwarder->endpoint.name, error),
					errdetail("%s", detail));
			break;
		case PRISM_REPORT_SUMMARY:
			ereport(LOG,
					errmsg("prism: %s at \"%s\": %s (" INT64_FORMAT " times since the last line)",
						   what, lane->forwarder->endpoint.name, error, times));
			break;
		case PRISM_REPORT_NOTHING:
			break;
	}
}

static void
tell_routes(PrismLane *lane, PrismSinkState state, PrismInstant retry_at, const char *error)
{
	for (PrismRoute *route = next_route(lane, NULL); route != NULL; route = next_route(lane, route))
		if (route->phase != ROUTE_PARKED && !route->paused)
			(void) prism_sink_change(route->slot, state, retry_at, error);
}

/* ---------- open and close ---------- */

static void
open_connection(PrismLane *lane)
{
	PrismForwarder *forwarder = lane->forwarder;
	char		error[PRISM_ERROR_BYTES] = "";
	char	   *transactional_id = NULL;
	const PrismBackend *backend;

	Assert(lane->conn == NULL);
	lane->mcxt = AllocSetContextCreate(forwarder->mcxt, "prism connection", ALLOCSET_DEFAULT_SIZES);
	if (is_transactional(lane))
		transactional_id = MemoryContextStrdup(lane->mcxt,
											   psprintf("prism.%s.%s.%d", forwarder->installation.id,
														forwarder->endpoint_id, lane->number));
	backend = prism_backend_load(forwarder->backend, error);
	if (backend != NULL)
		lane->conn = backend->queue->open(&forwarder->endpoint, transactional_id, lane->mcxt, error);
	if (lane->conn == NULL)
	{
		PrismInstant retry_at = prism_instant_after(prism_instant(),
														   PRISM_STOPPED_RETRY_MS);

		lane->backoff.retry_at = retry_at;
		prism_lane_close(lane);
		tell_routes(lane, PRISM_SINK_STOPPED, retry_at, error);
		prism_lane_report(lane, backend == NULL ? "missing library" : "wrong settings", error, PRISM_TRIED_AGAIN);
		return;
	}
	prism_forwarder_finish_at_exit(forwarder);
	lane->opened_at = prism_instant();
	lane->phase = is_transactional(lane) ? LANE_FENCING : LANE_OPEN;
}

void
prism_lane_close(PrismLane *lane)
{
	if (lane->mcxt != NULL)
		MemoryContextDelete(lane->mcxt);
	lane->mcxt = NULL;
	lane->conn = NULL;
	lane->phase = LANE_CLOSED;
	lane->outstanding = 0;
	lane->outstanding_bytes = 0;
	lane->recovering_since = 0;
	lane->reopens = false;
	lane->rejected = false;
	lane->retry = false;
	lane->round.phase = ROUND_NONE;
	for (PrismRoute *route = next_route(lane, NULL); route != NULL; route = next_route(lane, route))
		if (route->phase != ROUTE_PARKED)
			prism_route_restart(route);
}

void
prism_lane_fail(PrismLane *lane, PrismOutcome outcome)
{
	char		error[PRISM_ERROR_BYTES];
	PrismInstant retry_at;

	strlcpy(error, lane->conn->error, sizeof(error));
	/* brokers close connections that were idle for long: no reason to wait longer each time */
	if (prism_has_passed(lane->opened_at, prism_instant(), PRISM_BACKOFF_MAX_MS))
		prism_backoff_reset(&lane->backoff);
	if (outcome == PRISM_DOUBT || outcome == PRISM_FENCED)
	{
		PrismRoute *route = lane->round.phase != ROUND_NONE ? lane->round.route : next_route(lane, NULL);

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
			prism_instant_after(prism_instant(), PRISM_STOPPED_RETRY_MS);
	tell_routes(lane, outcome == PRISM_STOP ? PRISM_SINK_STOPPED : PRISM_SINK_BACKOFF, retry_at, error);
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
	lane->recovering_since = prism_instant();
	prism_lane_queue(lane)->purge(lane->conn);
}

static bool
finish_recovery(PrismLane *lane)
{
	bool		explained = lane->rejected || lane->reopens;

	if (lane->outstanding > 0 &&
		!prism_has_passed(lane->recovering_since, prism_instant(), PRISM_DRAIN_MS))
		return false;
	for (PrismRoute *route = next_route(lane, NULL); route != NULL; route = next_route(lane, route))
	{
		if (route->window_batches > 0)
			prism_sink_count(route->slot, PRISM_SINK_RETRIES, 1);
		if (route->stopped)
		{
			prism_route_park(route, PRISM_SINK_STOPPED, route->stop_error);
			explained = true;
		}
	}
	if (explained)
		prism_lane_close(lane); /* no fault of the connection: the others go on at once */
	else
		prism_lane_fail(lane, PRISM_RETRY);
	return true;
}

/*
 * All is loaded anew: nothing of the lane may reach the other side behind what
 * the next connection sends.  What has not left yet is taken back, the rest is
 * awaited, as in a recovery; receipts that came count.  Transactions are fenced
 * off by the next connection.  True: that is done, or has taken too long.
 */
bool
prism_lane_end(PrismLane *lane)
{
	bool		moved = false;

	if (is_transactional(lane))
		return true;
	lane->ends = true;
	if (lane->phase == LANE_OPEN && lane->outstanding > 0)
	{
		lane->reopens = true;
		prism_lane_recover(lane);
		return false;
	}
	for (PrismRoute *route = next_route(lane, NULL); route != NULL; route = next_route(lane, route))
		moved |= prism_stream_advance(route);
	return !moved;
}

/* ---------- receipts ---------- */

static void
take_receipt(PrismLane *lane, const PrismReceipt *receipt)
{
	PrismForwarder *forwarder = lane->forwarder;
	uint64		index = receipt->tag >> TAG_SEQUENCE_BITS;
	uint64		sequence = receipt->tag & TAG_SEQUENCE_MASK;
	char		reason[PRISM_ERROR_BYTES];
	PrismRoute *route;
	dlist_iter	iter;

	lane->outstanding--;
	Assert(lane->outstanding >= 0);
	Assert(index < (uint64) forwarder->route_count);
	route = &forwarder->routes[index];
	dlist_foreach(iter, &route->window)
	{
		PrismBatch *batch = dlist_container(PrismBatch, node, iter.cur);
		int			i;

		if (sequence < batch->tag || sequence >= batch->tag + batch->count)
			continue;
		i = (int) (sequence - batch->tag);
		Assert(batch->fates[i] == FATE_SENT);
		route->outstanding--;
		route->outstanding_bytes -= batch->message_bytes;
		lane->outstanding_bytes -= batch->message_bytes;
		if (receipt->outcome == PRISM_OK)
			prism_batch_settle(batch, i, FATE_OUT);
		else if (receipt->outcome == PRISM_REJECT)
		{
			prism_lane_queue(lane)->explain(lane->conn, &route->target, receipt->code, reason);
			batch->fates[i] = FATE_REJECTED;
			prism_batch_blame(batch, i, reason);
			prism_sink_count(route->slot, PRISM_SINK_REJECTED, 1);
		}
		else
			batch->fates[i] = FATE_RETRY;
		break;
	}
	if (receipt->outcome == PRISM_REJECT)
		lane->rejected = true;
	else if (receipt->outcome != PRISM_OK)
		lane->retry = true;
	if (receipt->outcome == PRISM_STOP)
	{
		route->stopped = true;
		prism_lane_queue(lane)->explain(lane->conn, &route->target, receipt->code, route->stop_error);
	}
	if (receipt->outcome != PRISM_OK && !is_transactional(lane))
		prism_lane_recover(lane);
}

bool
prism_lane_collect(PrismLane *lane)
{
	PrismReceipt receipts[PRISM_RECEIPTS_MAX];
	bool		some = false;
	int			count;

	do
	{
		count = prism_lane_queue(lane)->collect(lane->conn, receipts, PRISM_RECEIPTS_MAX);
		for (int i = 0; i < count; i++)
			take_receipt(lane, &receipts[i]);
		some |= count > 0;
	} while (count == PRISM_RECEIPTS_MAX);
	if (some)
		lane->round.receipt_at = prism_instant();
	return some;
}

/* ---------- fencing ---------- */

static bool
fence_turn(PrismLane *lane)
{
	PrismOutcome outcome = prism_lane_queue(lane)->fence(lane->conn);

	if (outcome == PRISM_OK)
	{
		lane->phase = LANE_OPEN;
		return true;
	}
	if (outcome == PRISM_AGAIN)
	{
		for (PrismRoute *route = next_route(lane, NULL); route != NULL; route = next_route(lane, route))
			if (route->phase != ROUTE_PARKED && !route->paused)
				prism_route_show_waiting(route, lane->conn->error);
	}
	else if (outcome == PRISM_RETRY && !lane->conn->doubt &&
			 !prism_has_passed(lane->opened_at, prism_instant(), PRISM_BACKOFF_MAX_MS))
	{
		/* by the same connection, which another one could not know to be later than */
		tell_routes(lane, PRISM_SINK_BACKOFF, prism_backoff_fail(&lane->backoff), lane->conn->error);
		prism_lane_report(lane, "no success", lane->conn->error, PRISM_TRIED_AGAIN);
	}
	else
		prism_lane_fail(lane, outcome);
	return false;
}

/* ---------- one turn ---------- */

static bool
anybody_to_serve(const PrismLane *lane)
{
	for (PrismRoute *route = next_route(lane, NULL); route != NULL; route = next_route(lane, route))
		if (route->phase != ROUTE_PARKED && !route->rests)
			return true;
	return false;
}

/* Open, and nothing is under way. */
static bool
is_idle(const PrismLane *lane)
{
	return lane->phase == LANE_OPEN && lane->outstanding == 0 && lane->recovering_since == 0 &&
		lane->round.phase == ROUND_NONE;
}

/* Routes that are not ready, in turn, one at a time: a slow one does not keep the others. */
static bool
start_routes(PrismLane *lane)
{
	bool		more = false;

	for (PrismRoute *route = next_route(lane, NULL); route != NULL; route = next_route(lane, route))
	{
		more |= prism_route_start_turn(route);
		if (lane->phase != LANE_OPEN)
			return true;
	}
	return more;
}

static bool
open_turn(PrismLane *lane)
{
	bool		more = prism_lane_collect(lane);

	if (lane->conn->doubt)
	{
		if (!is_transactional(lane))
			prism_lane_recover(lane);
		else
		{
			prism_lane_fail(lane, PRISM_DOUBT);
			return true;
		}
	}
	if (lane->recovering_since != 0)
		return finish_recovery(lane) || more;

	/* between Kafka transactions only */
	if (lane->round.phase == ROUND_NONE)
	{
		more |= start_routes(lane);
		if (lane->phase != LANE_OPEN)
			return true;
	}
	if (is_transactional(lane))
		return prism_transact_turn(lane) || more;
	for (PrismRoute *route = next_route(lane, NULL); route != NULL; route = next_route(lane, route))
		if (lane->recovering_since == 0)
			more |= prism_stream_turn(route);
	return more;
}

/* Do what can be done now; true: there is more to do at once. */
bool
prism_lane_turn(PrismLane *lane)
{
	bool		more;

	switch (lane->phase)
	{
		case LANE_CLOSED:
			if (lane->ends || !anybody_to_serve(lane) || prism_backoff_remaining_ms(&lane->backoff) > 0)
				return false;
			open_connection(lane);
			return lane->phase != LANE_CLOSED;
		case LANE_FENCING:
			(void) prism_lane_collect(lane);
			return prism_backoff_remaining_ms(&lane->backoff) == 0 && fence_turn(lane);
		case LANE_OPEN:
			more = open_turn(lane);
			if (is_idle(lane) && !anybody_to_serve(lane))
				prism_lane_close(lane); /* nobody would mind it when something happens there */
			return more;
	}
	pg_unreachable();
}

long
prism_lane_rest_ms(const PrismLane *lane)
{
	return lane->rest_until == 0 ? 0
		: prism_ms_until(lane->rest_until, prism_instant());
}

/* When the lane wants its next turn, whatever happens; -1: no wish. */
long
prism_lane_timeout_ms(const PrismLane *lane)
{
	long		timeout = -1;

	switch (lane->phase)
	{
		case LANE_CLOSED:
			return anybody_to_serve(lane) ? prism_backoff_remaining_ms(&lane->backoff) : -1;
		case LANE_FENCING:
			return Max(prism_backoff_remaining_ms(&lane->backoff), PRISM_POLL_MS);
		case LANE_OPEN:
			break;
	}
	if (is_idle(lane) && !anybody_to_serve(lane))
		return 0;
	if (lane->recovering_since != 0 || lane->round.phase == ROUND_BEGIN ||
		lane->round.phase == ROUND_COMMIT || lane->round.phase == ROUND_ABORT)
		return PRISM_POLL_MS;
	if (lane->round.phase == ROUND_NONE && prism_lane_rest_ms(lane) > 0)
		return prism_lane_rest_ms(lane);
	if (lane->outstanding > 0)
		timeout = lane->conn->backend->wait_socket(lane->conn) == PGINVALID_SOCKET
			? PRISM_POLL_MS : PRISM_STALL_MS;
	for (PrismRoute *route = next_route(lane, NULL); route != NULL; route = next_route(lane, route))
	{
		long		wish = -1;

		if (route->phase != ROUTE_PARKED && !route->rests)
			wish = prism_backoff_remaining_ms(&route->backoff);
		if (wish == 0 && route->phase == ROUTE_READY)
			wish = prism_backoff_remaining_ms(&route->trouble);
		if (wish == 0 && route->phase == ROUTE_READY)
			wish = -1;
		else if (wish == 0)
			wish = PRISM_POLL_MS;
		if (wish >= 0 && (timeout < 0 || wish < timeout))
			timeout = wish;
	}
	return timeout;
}
