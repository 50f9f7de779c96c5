/*-------------------------------------------------------------------------
 *
 * stream.c
 *	  Sending at least once: batches pipelined, the position behind the
 *	  longest acknowledged prefix.
 *
 * When anything does not go through, nothing more is sent, what is under way is
 * awaited, and a new connection sends again what has no receipt, in order.  A
 * refused batch is then sent in parts, one under way at a time (bisect.c).
 *
 * src/bgworker/forward/stream.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/carrier.h"
#include "bgworker/forward/forwarder.h"

#define ROUTE_TAG(route) ((uint64) (route)->index << 40)

static PrismBatch *
first_batch(PrismRoute *route)
{
	if (dlist_is_empty(&route->window))
		return NULL;
	return dlist_container(PrismBatch, node, dlist_head_node(&route->window));
}

/* ---------- beginning anew ---------- */

static PrismBatch *
first_refused(PrismRoute *route)
{
	dlist_iter	iter;

	dlist_foreach(iter, &route->window)
	{
		PrismBatch *batch = dlist_container(PrismBatch, node, iter.cur);

		for (int i = 0; i < batch->count; i++)
			if (batch->fates[i] == FATE_REJECTED)
				return batch;
	}
	return NULL;
}

/*
 * The connection is gone: what has no receipt is sent again.  Of messages that
 * were refused together the bad one is looked for; one that was refused alone
 * is condemned.
 */
static void
stream_rewind(PrismRoute *route)
{
	PrismBatch *refused = first_refused(route);
	bool		alone = refused == route->bisect.batch;
	int			culprit = -1;
	dlist_iter	iter;

	if (refused != NULL)
	{
		PrismRange	all = {0, refused->count};

		/* it went out together with other batches */
		if (!alone)
			prism_bisect_begin(&route->bisect, refused, all);
		if (!prism_bisect_refused(&route->bisect, alone, &culprit))
			culprit = -1;
	}
	dlist_foreach(iter, &route->window)
	{
		PrismBatch *batch = dlist_container(PrismBatch, node, iter.cur);

		batch->next = 0;
		for (int i = 0; i < batch->count; i++)
			if (batch->fates[i] == FATE_SENT || batch->fates[i] == FATE_RETRY ||
				batch->fates[i] == FATE_REJECTED)
				batch->fates[i] = FATE_PENDING;
	}
	if (culprit >= 0)
		prism_batch_condemn(route, refused, culprit);
	route->outstanding = 0;
	route->outstanding_bytes = 0;
}

/* ---------- sending ---------- */

/* True: the connection takes more. */
static bool
stream_send(PrismRoute *route, PrismBatch *batch, int i)
{
	PrismLane  *lane = route->lane;
	PrismOutcome passed;

	if (batch->fates[i] != FATE_PENDING)
		return true;
	if (prism_route_is_dead(route, batch->messages[i].offset))
	{
		prism_batch_settle(batch, i, FATE_DEAD);
		return true;
	}
	passed = prism_batch_pass(route, batch, i);
	if (passed != PRISM_OK)
		return passed == PRISM_REJECT;
	switch (prism_lane_queue(lane)->send(lane->conn, &route->target, prism_batch_outgoing(batch, i),
										 ROUTE_TAG(route) + batch->tag + i))
	{
		case PRISM_OK:
			batch->fates[i] = FATE_SENT;
			prism_batch_sent(route, batch);
			return true;
		case PRISM_AGAIN:
			return false;
		case PRISM_REJECT:
			prism_batch_blame(batch, i, lane->conn->error);
			prism_sink_count(route->slot, PRISM_SINK_REJECTED, 1);
			prism_batch_condemn(route, batch, i);
			return true;
		case PRISM_STOP:
			prism_route_park(route, PRISM_SINK_STOPPED, lane->conn->error);
			return false;
		case PRISM_RETRY:
		case PRISM_DOUBT:
		case PRISM_FENCED:
			prism_lane_recover(lane);
			return false;
	}
	pg_unreachable();
}

/*
 * One topic may fill a half of what the others have left of the library's
 * queue: one that is stuck must leave room for them, and so must the next one.
 */
static bool
has_room(const PrismRoute *route)
{
	const PrismLane *lane = route->lane;
	const PrismConn *conn = lane->conn;

	if (route->outstanding == 0)
		return true;
	return (conn->queue_messages == 0 || route->outstanding < (conn->queue_messages - lane->outstanding) / 2) &&
		(conn->queue_bytes == 0 ||
		 (int64) route->outstanding_bytes < (conn->queue_bytes - (int64) lane->outstanding_bytes) / 2);
}

/* Send what comes in order; true: something was sent. */
static bool
send_window(PrismRoute *route)
{
	int			before = route->outstanding;
	dlist_iter	iter;

	dlist_foreach(iter, &route->window)
	{
		PrismBatch *batch = dlist_container(PrismBatch, node, iter.cur);

		if (batch == route->bisect.batch)
			break;
		while (batch->next < batch->count)
		{
			if (!has_room(route) || !stream_send(route, batch, batch->next))
				return route->outstanding > before;
			batch->next++;
		}
	}
	return route->outstanding > before;
}

/* One part of a refused batch is under way at a time; all before the batch must be out. */
static bool
send_range(PrismRoute *route)
{
	PrismBatch *batch = route->bisect.batch;
	bool		progress = false;

	while (batch == first_batch(route) && route->bisect.batch != NULL && route->outstanding == 0)
	{
		PrismRange	range = prism_bisect_top(&route->bisect);

		for (int i = range.lo; i < range.hi; i++)
			if (!stream_send(route, batch, i))
				return progress || route->outstanding > 0;	/* others may have filled the queue */
		if (route->outstanding > 0)
			return true;
		if (route->condemned > 0)	/* at once, but for a dead letter that cannot be written now */
			return progress || (prism_backoff_remaining_ms(&route->backoff) == 0 &&
								prism_backoff_remaining_ms(&route->trouble) == 0);
		prism_bisect_passed(&route->bisect);
		progress = true;
	}
	return progress;
}

/* ---------- receiving ---------- */

/* Let go of the batches that are out; true: there were some. */
static bool
stream_advance(PrismRoute *route)
{
	bool		moved = false;
	PrismBatch *batch;

	while ((batch = first_batch(route)) != NULL && batch->settled == batch->count)
	{
		prism_route_move(route, batch->end, batch->count, batch->bytes);
		prism_batch_drop(route, batch);
		moved = true;
	}
	return moved;
}

static void
notice_stall(PrismRoute *route)
{
	PrismConn  *conn = route->lane->conn;

	if (route->window_batches > 0 && route->held_until == 0 &&
		prism_has_passed(route->progress_at, prism_lane_now(route->lane), PRISM_STALL_MS))
		prism_route_show_waiting(route, conn->error);
}

/* Do what can be done now; true: there is more to do at once. */
static bool
route_turn(PrismRoute *route)
{
	bool		more;

	if (route->phase != ROUTE_READY)
		return false;
	(void) prism_batches_bury(route);
	more = stream_advance(route);
	if (send_window(route))
		more = true;
	if (route->phase == ROUTE_READY && route->bisect.batch != NULL &&
		route->lane->recovering_since == 0)
		more |= send_range(route);
	if (route->phase == ROUTE_READY && !more)
		notice_stall(route);
	return more;
}

static bool
stream_turn(PrismLane *lane)
{
	bool		more = false;

	for (PrismRoute *route = prism_lane_next_route(lane, NULL); route != NULL; route = prism_lane_next_route(lane, route))
		if (lane->recovering_since == 0)
			more |= route_turn(route);
	return more;
}

/* Batches of all routes are on their way at the same time, and receipts wake the lane. */
static PrismRoute *
stream_under_way(const PrismLane *lane)
{
	return NULL;
}

static long
stream_timeout_ms(const PrismLane *lane)
{
	return -1;
}

static int
stream_batches_max(const PrismRoute *route)
{
	return route->window_messages >= PRISM_STREAM_BATCHES_FULL * route->sink.batch_messages
		? 0 : PRISM_STREAM_BATCHES;
}

const PrismCarrier prism_stream_carrier = {
	.owns_position = false,
	.under_way = stream_under_way,
	.timeout_ms = stream_timeout_ms,
	.batches_max = stream_batches_max,
	.turn = stream_turn,
	.advance = stream_advance,
	.rewind = stream_rewind,
};
