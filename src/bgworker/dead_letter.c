/*-------------------------------------------------------------------------
 *
 * dead_letter.c
 *	  Messages that the other side will never take.
 *
 * They become dead letters (store/dead_letter.h).
 * The progress record in the same transaction names the message, so a crash
 * before the position has moved past it does not write it twice.
 *
 * src/bgworker/dead_letter.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "bgworker/forwarder.h"
#include "store/dead_letter.h"

#include "access/xact.h"

static void
bury(PrismRoute *route, PrismBatch *batch, int i)
{
	const PrismMessage *message = &batch->messages[i];
	const char *reason = route->lane->reject_error;
	PrismDeadLetter about = {.sink = route->sink.backend,.reason = reason,.attempts = 1};
	PrismTopic *origin;

	prism_worker_begin("writes a dead letter");
	origin = prism_topic_lookup_id(route->sink.topic_id, true);
	if (origin != NULL)
	{
		prism_dead_letter_append(origin, message, &about);
		prism_sink_record(route->sink.sink_id, PRISM_SINK_DEAD, message->offset);
		/* the position that moves past it may be on the other side's disk first */
		ForceSyncCommit();
	}
	prism_worker_commit();

	prism_route_remember_dead(route, message->offset);
	prism_batch_settle(batch, i, FATE_DEAD);
	route->condemned--;
	prism_sink_count(route->slot, PRISM_SINK_DEAD_LETTERS, 1);
	prism_lane_report(route->lane, psprintf("topic \"%s\": a message was refused", route->sink.topic_name),
					  reason,
					  psprintf("Message " INT64_FORMAT " is now a dead letter in topic \"%s\".",
							   message->offset, prism_dead_letter_topic_name(route->sink.topic_name)));
}

/* Write the dead letters of the condemned messages, in order. */
void
prism_batches_bury(PrismRoute *route)
{
	dlist_iter	iter;

	if (route->condemned == 0)
		return;
	dlist_foreach(iter, &route->window)
	{
		PrismBatch *batch = dlist_container(PrismBatch, node, iter.cur);

		for (int i = 0; i < batch->count && route->condemned > 0; i++)
			if (batch->fates[i] == FATE_CONDEMNED)
				bury(route, batch, i);
	}
}
