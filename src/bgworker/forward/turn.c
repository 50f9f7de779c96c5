/*-------------------------------------------------------------------------
 *
 * turn.c
 *	  What a lane does, one turn after the other.
 *
 * A lane opens its connection when there is somebody to serve.  Where positions
 * lie at the other side it first fences whoever was there before; then each route
 * finds its position (route_start.c), and the lane's carrier carries (carrier.h).
 *
 * src/bgworker/forward/turn.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/carrier.h"
#include "bgworker/forward/forwarder.h"

#include "utils/memutils.h"

#define TAG_SEQUENCE_BITS 40
#define TAG_SEQUENCE_MASK ((UINT64CONST(1) << TAG_SEQUENCE_BITS) - 1)

/* ---------- opening, and coming to an end ---------- */

static void
open_connection(PrismLane *lane)
{
	PrismForwarder *forwarder = lane->forwarder;
	char		error[PRISM_ERROR_BYTES] = "";
	char	   *transactional_id = NULL;
	const PrismBackend *backend;

	Assert(lane->conn == NULL);
	lane->mcxt = AllocSetContextCreate(forwarder->mcxt, "prism connection", ALLOCSET_DEFAULT_SIZES);
	if (lane->carrier->owns_position)
		transactional_id = MemoryContextStrdup(lane->mcxt,
											   psprintf("prism.%s.%s.%d", forwarder->installation.id,
														forwarder->endpoint_id, lane->number));
	backend = prism_backend_load(forwarder->backend, error);
	if (backend != NULL)
		lane->conn = backend->queue->open(&forwarder->endpoint, transactional_id, lane->mcxt, error);
	if (lane->conn == NULL)
	{
		PrismInstant retry_at = prism_instant_after(prism_lane_now(lane),
														   PRISM_STOPPED_RETRY_MS);

		lane->backoff.retry_at = retry_at;
		prism_lane_close(lane);
		prism_lane_tell(lane, PRISM_SINK_STOPPED, retry_at, error);
		prism_lane_report(lane, backend == NULL ? "missing library" : "wrong settings", error, PRISM_TRIED_AGAIN);
		return;
	}
	if (lane->carrier->state_bytes > 0)
		lane->state = MemoryContextAllocZero(lane->mcxt, lane->carrier->state_bytes);
	lane->opened_at = prism_lane_now(lane);
	lane->phase = lane->carrier->owns_position ? LANE_FENCING : LANE_OPEN;
}

static bool
finish_recovery(PrismLane *lane)
{
	bool		explained = lane->rejected || lane->reopens;

	if (lane->outstanding > 0 &&
		!prism_has_passed(lane->recovering_since, prism_lane_now(lane), PRISM_DRAIN_MS))
		return false;
	for (PrismRoute *route = prism_lane_next_route(lane, NULL); route != NULL; route = prism_lane_next_route(lane, route))
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

	if (lane->carrier->owns_position)
		return true;
	lane->ends = true;
	if (lane->phase == LANE_OPEN && lane->outstanding > 0)
	{
		lane->reopens = true;
		prism_lane_recover(lane);
		return false;
	}
	for (PrismRoute *route = prism_lane_next_route(lane, NULL); route != NULL; route = prism_lane_next_route(lane, route))
		moved |= lane->carrier->advance(route);
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
	bool		adrift = true;
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
		adrift = false;
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
	route->adrift -= adrift && route->adrift > 0;
	if (receipt->outcome == PRISM_REJECT)
		lane->rejected = true;
	else if (receipt->outcome != PRISM_OK)
		lane->retry = true;
	if (receipt->outcome == PRISM_STOP)
	{
		route->stopped = true;
		prism_lane_queue(lane)->explain(lane->conn, &route->target, receipt->code, route->stop_error);
	}
	if (receipt->outcome != PRISM_OK && !lane->carrier->owns_position)
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
		lane->receipt_at = prism_lane_now(lane);
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
		for (PrismRoute *route = prism_lane_next_route(lane, NULL); route != NULL; route = prism_lane_next_route(lane, route))
			if (route->phase != ROUTE_PARKED && !route->paused)
				prism_route_show_waiting(route, lane->conn->error);
	}
	else if (outcome == PRISM_RETRY && !lane->conn->doubt &&
			 !prism_has_passed(lane->opened_at, prism_lane_now(lane), PRISM_BACKOFF_MAX_MS))
	{
		/* by the same connection, which another one could not know to be later than */
		prism_lane_tell(lane, PRISM_SINK_BACKOFF, prism_backoff_fail(&lane->backoff), lane->conn->error);
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
	for (PrismRoute *route = prism_lane_next_route(lane, NULL); route != NULL; route = prism_lane_next_route(lane, route))
		if (route->phase != ROUTE_PARKED && !route->rests)
			return true;
	return false;
}

/* Open, and nothing is under way. */
static bool
is_lane_idle(const PrismLane *lane)
{
	return lane->phase == LANE_OPEN && lane->outstanding == 0 && lane->recovering_since == 0 &&
		lane->carrier->under_way(lane) == NULL;
}

/* Routes that are not ready, in turn, one at a time: a slow one does not keep the others. */
static bool
start_routes(PrismLane *lane)
{
	PrismInstant now = prism_lane_now(lane);
	bool		more = false;

	for (PrismRoute *route = prism_lane_next_route(lane, NULL); route != NULL; route = prism_lane_next_route(lane, route))
	{
		more |= prism_route_start_turn(route);
		if (lane->phase == LANE_OPEN)
			more |= prism_route_shape_turn(route, now);
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
		if (!lane->carrier->owns_position)
			prism_lane_recover(lane);
		else
		{
			prism_lane_fail(lane, PRISM_DOUBT);
			return true;
		}
	}
	if (lane->recovering_since != 0)
		return finish_recovery(lane) || more;

	if (lane->carrier->under_way(lane) == NULL)
	{
		more |= start_routes(lane);
		if (lane->phase != LANE_OPEN)
			return true;
	}
	return lane->carrier->turn(lane) || more;
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
			if (is_lane_idle(lane) && !anybody_to_serve(lane))
				prism_lane_close(lane); /* nobody would mind it when something happens there */
			return more;
	}
	pg_unreachable();
}

/* When a pattern that has a message wait is asked again; -1: none has.  That this has come and passed, and it was not, is no reason to hurry. */
static long
held_ms(const PrismRoute *route)
{
	long		remaining;

	if (route->held_until == 0)
		return -1;
	remaining = prism_ms_until(route->held_until, prism_lane_now(route->lane));
	return remaining > 0 ? remaining : PRISM_PASS_AGAIN_MS;
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
	if (is_lane_idle(lane) && !anybody_to_serve(lane))
		return 0;
	if (lane->recovering_since != 0)
		return PRISM_POLL_MS;
	timeout = lane->carrier->timeout_ms(lane);
	if (timeout >= 0)
		return timeout;
	if (lane->outstanding > 0)
		timeout = lane->conn->backend->wait_socket(lane->conn) == PGINVALID_SOCKET
			? PRISM_POLL_MS : PRISM_STALL_MS;
	for (PrismRoute *route = prism_lane_next_route(lane, NULL); route != NULL; route = prism_lane_next_route(lane, route))
	{
		long		wish = -1;

		if (route->phase != ROUTE_PARKED && !route->rests)
			wish = prism_backoff_remaining_ms(&route->backoff);
		if (wish == 0 && route->phase == ROUTE_READY)
			wish = prism_backoff_remaining_ms(&route->trouble);
		if (wish == 0 && route->phase == ROUTE_READY)
			wish = held_ms(route);
		else if (wish == 0)
			wish = PRISM_POLL_MS;
		if (wish >= 0 && (timeout < 0 || wish < timeout))
			timeout = wish;
	}
	return timeout;
}
