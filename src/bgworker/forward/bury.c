/*-------------------------------------------------------------------------
 *
 * bury.c
 *	  Messages that the other side will never take.
 *
 * They become dead letters (store/dead_letter.h).
 * The progress record in the same transaction names the message, so a crash
 * before the position has moved past it does not write it twice.
 *
 * src/bgworker/forward/bury.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/forwarder.h"
#include "store/log/dead_letter.h"

#include "access/xact.h"

typedef struct Burial
{
	PrismRoute *route;
	const PrismMessage *message;
	const char *reason;
} Burial;

static void
write_letter(void *arg)
{
	const Burial *burial = arg;
	PrismRoute *route = burial->route;
	PrismDeadLetter about = {.sink = route->sink.name,.reason = burial->reason,.attempts = 1};
	PrismTopic *origin;

	prism_worker_begin("writes a dead letter");
	origin = prism_topic_lookup_id(route->sink.topic_id, true);
	if (origin != NULL)
	{
		prism_dead_letter_append(origin, burial->message, &about);
		prism_sink_record(route->sink.sink_id, PRISM_SINK_DEAD, burial->message->offset);
		/* the position that moves past it may be on the other side's disk first */
		ForceSyncCommit();
	}
	prism_worker_commit();
}

/*
 * False: not now.  Somebody has the topic of the dead letters locked, or it
 * cannot be written; either is this topic's trouble, and others go on.
 */
static bool
bury_message(PrismRoute *route, PrismBatch *batch, int i)
{
	const PrismMessage *message = &batch->messages[i];
	Burial		burial = {route, message, batch->reasons[i]};
	ErrorData  *error = prism_worker_attempt(write_letter, &burial);

	if (error != NULL)
	{
		if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
			prism_route_await_lock(route, error->message);
		else
			prism_route_trouble(route, psprintf("a dead letter cannot be written: %s", error->message));
		return false;
	}
	prism_route_remember_dead(route, message->offset);
	prism_batch_settle(batch, i, FATE_DEAD);
	route->condemned--;
	prism_sink_count(route->slot, PRISM_SINK_DEAD_LETTERS, 1);
	prism_lane_report(route->lane, psprintf("%s: a message was refused", prism_route_called(route)),
					  batch->reasons[i],
					  psprintf("Message " INT64_FORMAT " is now a dead letter in topic \"%s\".",
							   message->offset, prism_dead_letter_topic_name(route->sink.topic_name)));
	return true;
}

/* Write the dead letters of the condemned messages, in order. */
bool
prism_batches_bury(PrismRoute *route)
{
	dlist_iter	iter;

	if (route->condemned == 0)
		return true;
	if (prism_backoff_remaining_ms(&route->backoff) > 0 || prism_backoff_remaining_ms(&route->trouble) > 0)
		return false;
	dlist_foreach(iter, &route->window)
	{
		PrismBatch *batch = dlist_container(PrismBatch, node, iter.cur);

		for (int i = 0; i < batch->count && route->condemned > 0; i++)
			if (batch->fates[i] == FATE_CONDEMNED && !bury_message(route, batch, i))
				return false;
	}
	return true;
}
