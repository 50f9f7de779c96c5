/*-------------------------------------------------------------------------
 *
 * route_read.c
 *	  Reading batches from the log.
 *
 * All routes that can take more are read in one short transaction.  A batch
 * is copied out of the log, so that no transaction is open while it is under
 * way; how much is held at a time is bounded by bytes, and each topic has its
 * share of that.
 *
 * src/bgworker/forward/route_read.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/savepoint.h"
#include "bgworker/forward/carrier.h"
#include "bgworker/forward/forwarder.h"
#include "pattern/chain.h"
#include "store/log/counter.h"
#include "store/log/log.h"
#include "store/log/message_copy.h"

#include "access/xlog.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* What a message costs beside its bytes. */
#define MESSAGE_OVERHEAD_BYTES (sizeof(PrismMessage) + 64)
#define FIRST_MESSAGES 64

/* ---------- may a route take more? ---------- */

/*
 * The counter is looked at without the topic's lock: should the topic be gone,
 * the answer is wrong and the transaction that follows finds out.
 */
static bool
has_more(const PrismRoute *route)
{
	XLogRecPtr	flush_to;

	return route->read_position < route->seen_stable ||
		prism_counter_stable(route->counter, &flush_to) > route->seen_stable;
}

/* The bytes of a batch that the route may read now; 0: none. */
static Size
may_hold(const PrismRoute *route, PrismInstant now)
{
	const PrismForwarder *forwarder = route->lane->forwarder;
	int			sharers = forwarder->moving_routes + (route->window_batches == 0);

	if (prism_route_stalled(route, now))
		return 0;
	if (forwarder->moving_bytes < PRISM_HELD_BYTES)
		return route->held_bytes < PRISM_HELD_BYTES / sharers ? PRISM_BATCH_BYTES : 0;
	if (route->window_batches > 0)
		return 0;
	return Max(PRISM_SMALL_BATCH_BYTES, Min(PRISM_BATCH_BYTES, PRISM_HELD_BYTES / 4 / (forwarder->holding_routes + 1)));
}

static bool
wants(const PrismRoute *route, PrismInstant now)
{
	const PrismLane *lane = route->lane;

	return route->phase == ROUTE_READY && !route->paused && !route->drains &&
		lane->phase == LANE_OPEN && lane->recovering_since == 0 &&
		route->bisect.batch == NULL &&
		(route->blocked_at < 0 || route->window_batches == 0) &&
		lane->forwarder->draining_since == 0 &&
		route->window_batches < route->lane->carrier->batches_max(route) &&
		may_hold(route, now) > 0 &&
		has_more(route) &&
		prism_backoff_remaining_ms(&route->backoff) == 0;
}

/* ---------- one batch ---------- */

static PrismBatch *
new_batch(PrismForwarder *forwarder)
{
	MemoryContext mcxt = AllocSetContextCreate(forwarder->mcxt, "prism batch",
											   ALLOCSET_START_SMALL_SIZES);
	PrismBatch *batch = MemoryContextAllocZero(mcxt, sizeof(*batch));

	batch->mcxt = mcxt;
	return batch;
}

static void
grow_batch(PrismBatch *batch, int *room, int messages_max)
{
	if (batch->count < *room)
		return;
	*room = Min(messages_max, Max(FIRST_MESSAGES, *room * 4));
	batch->messages = batch->messages == NULL
		? palloc(*room * sizeof(PrismMessage))
		: repalloc(batch->messages, *room * sizeof(PrismMessage));
	if (!prism_outgoing_differs())
		return;
	batch->outgoing = batch->outgoing == NULL
		? palloc(*room * sizeof(PrismMessage))
		: repalloc(batch->outgoing, *room * sizeof(PrismMessage));
}

/*
 * Take messages until the batch is full; *damage tells of one that is damaged,
 * when it is the first.  A transaction is not cut in two
 * unless it is larger than a batch: the next one is left for later when it
 * would not fit, and 'remaining' tells that before it is copied.
 */
static void
fill_batch(PrismBatch *batch, PrismReader *reader, int messages_max, Size bytes_max, char **damage)
{
	PrismMessage message;
	int			room = 0;
	bool		at_boundary = true;

	batch->end = -1;
	while (prism_reader_look(reader, &message))
	{
		if (prism_reader_damage(reader) != NULL)
			break;
		if (batch->count > 0 && at_boundary &&
			(batch->bytes >= bytes_max || batch->count + (int64) message.remaining >= messages_max))
		{
			batch->end = message.offset;
			break;
		}
		if (batch->count == messages_max || (!at_boundary && batch->bytes >= 2 * PRISM_BATCH_BYTES))
		{
			batch->end = message.offset;
			batch->split = true;
			break;
		}
		grow_batch(batch, &room, messages_max);
		batch->bytes += MESSAGE_OVERHEAD_BYTES;
		if (!prism_message_copy_opened(&batch->messages[batch->count], &message, &batch->bytes))
		{
			prism_reader_set_damage(reader, &message, "a part of it cannot be read");
			break;
		}
		if (batch->outgoing != NULL)
			prism_message_to_utf8(&batch->messages[batch->count], &batch->outgoing[batch->count], &batch->bytes);
		batch->count++;
		at_boundary = message.remaining == 0;
	}
	if (batch->count == 0 && prism_reader_damage(reader) != NULL)
		*damage = prism_reader_tell_damage(reader);
	if (batch->end < 0)
		batch->end = prism_reader_position(reader);
	if (batch->count > 0)
	{
		/* right after the last message, as its id is kept beside the position */
		batch->end = batch->messages[batch->count - 1].offset + 1;
		batch->fates = palloc0(batch->count);
	}
	StaticAssertStmt(FATE_PENDING == 0, "a new batch is pending");
}

/* The reading of one route, which may fail without keeping the others. */
typedef struct RouteReading
{
	PrismRoute *route;
	PrismTopic *topic;
	XLogRecPtr	flush_to;
	Size		bytes_max;
	char	   *damage;			/* what keeps it from being read; NULL: nothing does */
	bool		found;
} RouteReading;

/* Append a batch to the route's window, or move on when there was nothing. */
static void
read_route(void *arg)
{
	RouteReading *reading = arg;
	PrismRoute *route = reading->route;
	PrismForwarder *forwarder = route->lane->forwarder;
	PrismReader *reader = prism_reader_open(reading->topic, route->read_position);
	PrismBatch *batch = forwarder->reading = new_batch(forwarder);
	MemoryContext caller_cxt = MemoryContextSwitchTo(batch->mcxt);

	fill_batch(batch, reader, route->sink.batch_messages, reading->bytes_max, &reading->damage);
	MemoryContextSwitchTo(caller_cxt);
	if (reading->damage != NULL)
	{
		/* it lies in the batch's memory */
		reading->damage = pstrdup(reading->damage);
		prism_reader_close(reader);
		return;
	}
	route->seen_stable = prism_reader_stable(reader);
	reading->flush_to = prism_reader_flush_to(reader);
	prism_reader_close(reader);

	route->chain = prism_chain_to_forward(route->chain, reading->topic, forwarder->mcxt);
	forwarder->reading = NULL;
	route->blocked_at = -1;
	Assert(batch->end >= route->read_position);
	route->read_position = batch->end;
	if (batch->count == 0)
	{
		/* offsets of transactions that are gone */
		MemoryContextDelete(batch->mcxt);
		if (route->window_batches == 0)
			prism_sink_move(route->slot, route->read_position);
		return;
	}
	if (route->window_batches == 0)
	{
		route->progress_at = forwarder->clock->now();
		forwarder->holding_routes++;
		forwarder->moving_routes++;
	}
	if (batch->split)
		prism_sink_count(route->slot, PRISM_SINK_SPLITS, 1);
	batch->message_bytes = batch->bytes / batch->count;
	batch->tag = route->next_tag;
	route->next_tag += batch->count;
	dlist_push_tail(&route->window, &batch->node);
	route->window_batches++;
	route->window_messages += batch->count;
	route->held_bytes += batch->bytes;
	forwarder->moving_bytes += batch->bytes;
	reading->found = true;
}

/* What was read before the reading failed. */
static void
drop_reading(PrismForwarder *forwarder)
{
	if (forwarder->reading != NULL)
		MemoryContextDelete(forwarder->reading->mcxt);
	forwarder->reading = NULL;
}

/*
 * The topic cannot be read on: a message is damaged, or an error of another
 * kind.  What was read before goes out, then the route stops; no other does.
 */
static void
block_route(PrismRoute *route, const char *damage)
{
	drop_reading(route->lane->forwarder);
	route->blocked_at = route->read_position;
	if (route->window_batches == 0)
		prism_route_park(route, PRISM_SINK_STOPPED, damage);
}

/* It could be read again, after an error that has passed, or somebody had the topic's tables locked. */
static void
end_backoff(PrismRoute *route)
{
	if (route->backoff.retry_at == 0)
		return;
	prism_backoff_reset(&route->backoff);
	(void) prism_sink_change(route->slot, PRISM_SINK_RUNNING, 0, NULL);
}

/* True: there is something new to send. */
static bool
try_route(PrismRoute *route, PrismTopic *topic, Size bytes_max, XLogRecPtr *flush_to)
{
	RouteReading reading = {.route = route,.topic = topic,.bytes_max = bytes_max,.flush_to = InvalidXLogRecPtr};
	ErrorData  *error = prism_savepoint_try(read_route, &reading);

	if (error != NULL && error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
	{
		drop_reading(route->lane->forwarder);
		prism_route_await_lock(route, error->message);
		return false;
	}
	if (error != NULL && prism_worker_error_passes(error))
	{
		drop_reading(route->lane->forwarder);
		prism_route_back_off(route, error->message);
		return false;
	}
	end_backoff(route);
	if (error != NULL)
		block_route(route, error->message);
	else if (reading.damage != NULL)
		block_route(route, reading.damage);
	else
		*flush_to = Max(*flush_to, reading.flush_to);
	return reading.found;
}

/* Let go of the youngest batch: it is read again when it is its turn. */
static void
unread_batch(PrismRoute *route)
{
	PrismBatch *batch = dlist_tail_element(PrismBatch, node, &route->window);

	Assert(dlist_has_prev(&route->window, &batch->node));
	route->read_position = dlist_container(PrismBatch, node, dlist_prev_node(&route->window, &batch->node))->end;
	route->blocked_at = -1;
	prism_batch_drop(route, batch);
}

/* A route that does not get on keeps what it has sent, and its first batch. */
static void
shed(PrismRoute *route)
{
	while (route->window_batches > 1 && route->condemned == 0)
	{
		PrismBatch *batch = dlist_tail_element(PrismBatch, node, &route->window);

		if (batch->next > 0 || batch->settled > 0 || batch == route->bisect.batch)
			break;
		unread_batch(route);
	}
}

/* Count the routes that hold something, and what those hold that move. */
static void
take_stock(PrismForwarder *forwarder, PrismInstant now)
{
	Size		stalled_bytes = 0;

	forwarder->holding_routes = forwarder->moving_routes = 0;
	forwarder->moving_bytes = 0;
	for (int i = 0; i < forwarder->route_count; i++)
	{
		PrismRoute *route = &forwarder->routes[i];

		if (route->window_batches == 0)
			continue;
		forwarder->holding_routes++;
		if (prism_route_stalled(route, now))
		{
			shed(route);
			stalled_bytes += route->held_bytes;
			continue;
		}
		forwarder->moving_routes++;
		forwarder->moving_bytes += route->held_bytes;
	}
	if (stalled_bytes > PRISM_STALLED_BYTES)
		forwarder->moving_bytes += stalled_bytes - PRISM_STALLED_BYTES;
}

/*
 * Read for all routes that can take more.  What is read leaves the server, so
 * its commits must be on disk first: with synchronous_commit off they may not be.
 */
bool
prism_routes_read(PrismForwarder *forwarder)
{
	XLogRecPtr	flush_to = InvalidXLogRecPtr;
	PrismInstant now = forwarder->clock->now();
	bool		wanted = false;
	bool		found = false;

	take_stock(forwarder, now);
	for (int i = 0; i < forwarder->route_count && !wanted; i++)
		wanted = wants(&forwarder->routes[i], now);
	if (!wanted)
		return false;

	prism_worker_begin("reads");
	for (int i = 0; i < forwarder->route_count; i++)
	{
		PrismRoute *route = &forwarder->routes[i];
		PrismTopic *topic;
		bool		busy;

		if (!wants(route, now))
			continue;
		topic = prism_topic_try_id(route->sink.topic_id, &busy);
		if (busy)
		{
			prism_route_await_lock(route, "the topic is locked by another session, or being dropped");
			continue;
		}
		if (topic == NULL)
		{
			/* dropped: the catalogue has changed, so everything is loaded anew */
			route->phase = ROUTE_PARKED;
			continue;
		}
		found |= try_route(route, topic, may_hold(route, now), &flush_to);
	}
	if (flush_to != InvalidXLogRecPtr)
		XLogFlush(flush_to);
	prism_worker_commit();
	return found;
}
