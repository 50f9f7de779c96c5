/*-------------------------------------------------------------------------
 *
 * transact.c
 *	  Sending exactly once: a Kafka transaction carries one batch of one topic
 *	  and the position after it.
 *
 * Whether a transaction took place is known by the position that the other
 * side keeps, never by what was sent; so after anything that is not definite
 * the lane is fenced and the position read back (lane.c).
 *
 * A batch that is refused is not split over transactions to find the bad
 * message: parts of it are sent in transactions that are always aborted, the
 * culprit becomes a dead letter, then the rest goes out in one transaction.
 *
 * src/bgworker/forward/transact.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/carrier.h"
#include "bgworker/forward/forwarder.h"

#define ROUTE_TAG(route) ((uint64) (route)->index << 40)

typedef enum TransactPhase
{
	ROUND_NONE,
	ROUND_BEGIN,
	ROUND_SEND,
	ROUND_RECEIPTS,
	ROUND_COMMIT,
	ROUND_ABORT
} TransactPhase;

/* A Kafka transaction under way: a whole batch, or a part of it to find out which message is refused.  Goes with the connection. */
typedef struct TransactRound
{
	TransactPhase phase;
	PrismRoute *route;
	PrismBatch *batch;
	PrismRange	range;
	bool		probe;			/* is never committed */
	PrismInstant rest_until;		/* no transaction begins before; 0: none was committed */
} TransactRound;

/* ---------- which batch ---------- */

static long
rest_ms(const PrismLane *lane)
{
	const TransactRound *round = lane->state;

	return round->rest_until == 0 ? 0 : prism_ms_until(round->rest_until, prism_lane_now(lane));
}

static bool
can_go(const PrismLane *lane, PrismRoute *route)
{
	return route->lane == lane && route->phase == ROUTE_READY &&
		!dlist_is_empty(&route->window) &&
		prism_backoff_remaining_ms(&route->backoff) == 0 &&
		prism_backoff_remaining_ms(&route->trouble) == 0;
}

/* The next route with a batch, in turn: a busy topic does not keep the others. */
static bool
begin_round(PrismLane *lane)
{
	PrismForwarder *forwarder = lane->forwarder;
	TransactRound *round = lane->state;

	if (rest_ms(lane) > 0)
		return false;
	for (int i = 1; i <= forwarder->route_count; i++)
	{
		PrismRoute *route = &forwarder->routes[(lane->turn + i) % forwarder->route_count];

		PrismBatch *batch;

		if (!can_go(lane, route))
			continue;
		/* before the transaction: one that waits stays open, and the other side gives it up */
		batch = dlist_container(PrismBatch, node, dlist_head_node(&route->window));
		if (!prism_batch_pass_all(route, batch) || !prism_batches_bury(route))
			continue;
		lane->turn = route->index;
		round->route = route;
		round->batch = batch;
		round->probe = route->bisect.batch == round->batch;
		round->range.lo = 0;
		round->range.hi = round->batch->count;
		if (round->probe)
			round->range = prism_bisect_top(&route->bisect);
		round->batch->next = round->range.lo;
		round->phase = ROUND_BEGIN;
		lane->rejected = false;
		lane->retry = false;
		return true;
	}
	return false;
}

/* ---------- sending ---------- */

/* Nothing of a transaction that was not committed is out. */
static void
transact_rewind(PrismRoute *route)
{
	dlist_iter	iter;

	dlist_foreach(iter, &route->window)
	{
		PrismBatch *batch = dlist_container(PrismBatch, node, iter.cur);

		batch->settled = 0;
		for (int i = 0; i < batch->count; i++)
		{
			if (batch->fates[i] == FATE_DEAD)
				batch->settled++;
			else if (batch->fates[i] != FATE_CONDEMNED)
				batch->fates[i] = FATE_PENDING;
		}
	}
	route->outstanding = 0;
	route->outstanding_bytes = 0;
}

static void
learn_refusal(PrismRoute *route, PrismBatch *batch)
{
	PrismRange	all = {0, batch->count};
	int			culprit;

	if (route->bisect.batch != batch)
		prism_bisect_begin(&route->bisect, batch, all);
	if (prism_bisect_refused(&route->bisect, true, &culprit))
	{
		batch->fates[culprit] = FATE_PENDING;
		prism_batch_condemn(route, batch, culprit);
	}
}

/*
 * The transaction cannot be committed.  A producer whose transaction failed is
 * not used again (its next one may fail too): the new one that takes its place
 * aborts what is open.
 */
static void
fail_round(PrismLane *lane, PrismOutcome failure)
{
	TransactRound *round = lane->state;
	PrismRoute *route = round->route;

	prism_sink_count(route->slot, PRISM_SINK_RETRIES, 1);
	if (lane->rejected)
	{
		learn_refusal(route, round->batch);
		prism_lane_close(lane);
	}
	else if (failure == PRISM_STOP || route->stopped)
	{
		prism_route_park(route, PRISM_SINK_STOPPED,
						 route->stopped ? route->stop_error : lane->conn->error);
		prism_lane_close(lane);
	}
	else if (failure == PRISM_RETRY)
	{
		/* perhaps this topic alone is in trouble: the lane's others go on */
		prism_route_trouble(route, lane->conn->error);
		prism_lane_close(lane);
	}
	else
		prism_lane_fail(lane, failure);
}

/* True: it was taken, or needs no sending. */
static bool
transact_send(PrismLane *lane, int i)
{
	TransactRound *round = lane->state;
	PrismBatch *batch = round->batch;
	PrismOutcome outcome;

	if (batch->fates[i] != FATE_PENDING)
		return true;
	if (prism_route_is_dead(round->route, batch->messages[i].offset))
	{
		prism_batch_settle(batch, i, FATE_DEAD);
		return true;
	}
	outcome = prism_lane_queue(lane)->send(lane->conn, &round->route->target, prism_batch_outgoing(batch, i),
										   ROUTE_TAG(round->route) + batch->tag + i);
	switch (outcome)
	{
		case PRISM_OK:
			batch->fates[i] = FATE_SENT;
			prism_batch_sent(round->route, batch);
			return true;
		case PRISM_AGAIN:
			return false;
		case PRISM_REJECT:
			prism_batch_blame(batch, i, lane->conn->error);
			prism_sink_count(round->route->slot, PRISM_SINK_REJECTED, 1);
			prism_batch_condemn(round->route, batch, i);
			return true;
		case PRISM_RETRY:
		case PRISM_STOP:
			/* a receipt that is on its way tells more */
			if (outcome == PRISM_RETRY && lane->outstanding > 0)
				lane->retry = true;
			else
				fail_round(lane, outcome);
			return false;
		case PRISM_DOUBT:
		case PRISM_FENCED:
			prism_lane_fail(lane, outcome);
			return false;
	}
	pg_unreachable();
}

/*
 * No receipt has come for long.  A partition without a leader, or with too few
 * replicas in sync, gives none however long one waits, and the other topics of
 * the lane wait as well: the transaction is given up, and the topic begins again
 * by finding out whether its partitions have leaders.  True: that was done.
 */
static bool
give_way(PrismLane *lane)
{
	PrismRoute *route = ((TransactRound *) lane->state)->route;
	PrismInstant now = prism_lane_now(lane);
	long		patience_ms = PRISM_ROUND_MS << Min(route->trouble.failures, PRISM_ROUND_DOUBLINGS);

	if (prism_has_passed(route->progress_at, now, PRISM_STALL_MS) &&
		prism_has_passed(lane->receipt_at, now, PRISM_STALL_MS))
		prism_route_show_waiting(route, lane->conn->error);
	if (!prism_has_passed(lane->receipt_at, now, patience_ms))
		return false;
	if (lane->conn->error[0] == '\0')
		snprintf(lane->conn->error, PRISM_ERROR_BYTES, "no receipt in %ld s: perhaps a partition of Kafka's topic \"%s\" has no leader, or too few replicas in sync",
				 patience_ms / 1000, route->target.name);
	fail_round(lane, PRISM_RETRY);
	return true;
}

static bool
send_turn(PrismLane *lane)
{
	TransactRound *round = lane->state;
	PrismBatch *batch = round->batch;
	int			before = batch->next;

	while (batch->next < round->range.hi && !lane->rejected && !lane->retry)
	{
		if (!transact_send(lane, batch->next))
			return lane->phase != LANE_OPEN || batch->next > before || give_way(lane);
		batch->next++;
	}
	round->phase = ROUND_RECEIPTS;
	return true;
}

/*
 * Receipts come in: commit when all are there, abort as soon as one is bad,
 * as the library then keeps the rest until it is told to.
 */
static bool
receipts_turn(PrismLane *lane)
{
	TransactRound *round = lane->state;

	if (lane->rejected || lane->retry)
	{
		fail_round(lane, PRISM_RETRY);
		return true;
	}
	if (lane->outstanding > 0)
		return give_way(lane);
	/* dead letters first, the position that moves past them second; a route that has to wait for one does not keep the others */
	round->phase = !round->probe && prism_batches_bury(round->route) ? ROUND_COMMIT : ROUND_ABORT;
	return true;
}

/* ---------- the end of a transaction ---------- */

static bool
commit_turn(PrismLane *lane)
{
	TransactRound *round = lane->state;
	PrismRoute *route = round->route;
	PrismBatch *batch = round->batch;
	char		metadata[PRISM_ERROR_BYTES];
	char		last_id[PRISM_UUID_TEXT];
	PrismOutcome outcome;

	prism_uuid_text(&batch->messages[batch->count - 1].id, last_id);
	outcome = prism_lane_queue(lane)->commit(lane->conn, &route->target, batch->end,
											 prism_route_metadata(route, last_id, metadata));

	/* what commit said counts only without doubt */
	if (lane->conn->doubt)
		outcome = PRISM_DOUBT;
	switch (outcome)
	{
		case PRISM_OK:
			route->claimed_at = prism_lane_now(lane);
			round->rest_until = prism_instant_after(route->claimed_at, PRISM_COMMIT_REST_MS);
			prism_backoff_reset(&route->backoff);
			round->phase = ROUND_NONE;
			strlcpy(route->last_id, last_id, sizeof(route->last_id));
			prism_route_move(route, batch->end, batch->count, batch->bytes);
			prism_batch_drop(route, batch);
			return true;
		case PRISM_AGAIN:
			return false;
		case PRISM_RETRY:
		case PRISM_REJECT:
			fail_round(lane, PRISM_RETRY);
			return true;
		case PRISM_STOP:
			fail_round(lane, PRISM_STOP);
			return true;
		case PRISM_DOUBT:
		case PRISM_FENCED:
			prism_lane_fail(lane, outcome);
			return true;
	}
	pg_unreachable();
}

/* The end of a probe that went through, or of a transaction whose dead letters cannot be written now. */
static bool
abort_turn(PrismLane *lane)
{
	TransactRound *round = lane->state;
	PrismOutcome outcome = prism_lane_queue(lane)->abort(lane->conn);

	if (outcome == PRISM_AGAIN)
		return false;
	if (outcome != PRISM_OK)
		prism_lane_fail(lane, outcome == PRISM_FENCED ? PRISM_FENCED : PRISM_DOUBT);
	else
	{
		round->phase = ROUND_NONE;
		if (round->probe)
			prism_bisect_passed(&round->route->bisect);
		transact_rewind(round->route);
	}
	return true;
}

/* Do what can be done now; true: there is more to do at once. */
static bool
transact_turn(PrismLane *lane)
{
	TransactRound *round = lane->state;
	PrismOutcome outcome;

	switch (round->phase)
	{
		case ROUND_NONE:
			return begin_round(lane);
		case ROUND_BEGIN:
			outcome = prism_lane_queue(lane)->begin(lane->conn);
			if (outcome == PRISM_AGAIN)
				return false;
			if (outcome != PRISM_OK)
				prism_lane_fail(lane, outcome);
			else
			{
				round->phase = ROUND_SEND;
				lane->receipt_at = prism_lane_now(lane);
			}
			return true;
		case ROUND_SEND:
			return send_turn(lane);
		case ROUND_RECEIPTS:
			return receipts_turn(lane);
		case ROUND_COMMIT:
			return commit_turn(lane);
		case ROUND_ABORT:
			return abort_turn(lane);
	}
	pg_unreachable();
}

static PrismRoute *
transact_under_way(const PrismLane *lane)
{
	const TransactRound *round = lane->state;

	return round == NULL || round->phase == ROUND_NONE ? NULL : round->route;
}

/* The end of an operation wakes nobody; receipts do. */
static long
transact_timeout_ms(const PrismLane *lane)
{
	switch (((TransactRound *) lane->state)->phase)
	{
		case ROUND_NONE:
			return rest_ms(lane) > 0 ? rest_ms(lane) : -1;
		case ROUND_BEGIN:
		case ROUND_COMMIT:
		case ROUND_ABORT:
			return PRISM_POLL_MS;
		case ROUND_SEND:
		case ROUND_RECEIPTS:
			break;
	}
	return -1;
}

/*
 * A Kafka transaction takes its time: while one is under way, read ahead when
 * there is a backlog; else let the messages gather that the next one can take.
 */
static int
transact_batches_max(const PrismRoute *route)
{
	return route->read_position < route->seen_stable ? PRISM_TRANSACT_BATCHES : 1;
}

/* A batch is out when its transaction has been committed, and goes then. */
static bool
transact_advance(PrismRoute *route)
{
	return false;
}

const PrismCarrier prism_transact_carrier = {
	.owns_position = true,
	.state_bytes = sizeof(TransactRound),
	.under_way = transact_under_way,
	.timeout_ms = transact_timeout_ms,
	.batches_max = transact_batches_max,
	.turn = transact_turn,
	.advance = transact_advance,
	.rewind = transact_rewind,
};
