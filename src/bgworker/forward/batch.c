/*-------------------------------------------------------------------------
 *
 * batch.c
 *	  The life of a batch, and of its messages.
 *
 * It is made when it is read (route_read.c), lies in its route's window while it
 * is under way, and goes when all of it is out, or dead.
 *
 * src/bgworker/forward/batch.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/forwarder.h"

#include "utils/memutils.h"

/* Nothing of it got through for a while: it is stuck, or waits for others. */
bool
prism_route_stalled(const PrismRoute *route, PrismInstant now)
{
	return route->window_batches > 0 && prism_has_passed(route->progress_at, now, PRISM_STALL_MS);
}

void
prism_batch_settle(PrismBatch *batch, int i, PrismFate fate)
{
	Assert(fate == FATE_OUT || fate == FATE_DEAD);
	Assert(batch->fates[i] != FATE_OUT && batch->fates[i] != FATE_DEAD);
	batch->fates[i] = fate;
	batch->settled++;
}

/* Keep why a message is refused, until it is known whether it becomes a dead letter. */
void
prism_batch_blame(PrismBatch *batch, int i, const char *reason)
{
	if (batch->reasons == NULL)
		batch->reasons = MemoryContextAllocZero(batch->mcxt, batch->count * sizeof(char *));
	if (batch->last_reason == NULL || strcmp(batch->last_reason, reason) != 0)
		batch->last_reason = MemoryContextStrdup(batch->mcxt, reason);
	batch->reasons[i] = batch->last_reason;
}

/* The connection has taken one of its messages. */
void
prism_batch_sent(PrismRoute *route, const PrismBatch *batch)
{
	route->outstanding++;
	route->outstanding_bytes += batch->message_bytes;
	route->lane->outstanding++;
	route->lane->outstanding_bytes += batch->message_bytes;
}

/* One that was blamed becomes a dead letter, which is written later. */
void
prism_batch_condemn(PrismRoute *route, PrismBatch *batch, int i)
{
	Assert(batch->fates[i] == FATE_PENDING && batch->reasons != NULL && batch->reasons[i] != NULL);
	batch->fates[i] = FATE_CONDEMNED;
	route->condemned++;
}

void
prism_batch_drop(PrismRoute *route, PrismBatch *batch)
{
	if (route->bisect.batch == batch)
		route->bisect.batch = NULL;
	dlist_delete(&batch->node);
	route->window_batches--;
	route->window_messages -= batch->count;
	Assert(route->held_bytes >= batch->bytes);
	route->held_bytes -= batch->bytes;
	MemoryContextDelete(batch->mcxt);
}

void
prism_route_drop_batches(PrismRoute *route)
{
	while (!dlist_is_empty(&route->window))
		prism_batch_drop(route, dlist_container(PrismBatch, node,
												dlist_head_node(&route->window)));
	/* the receipts of what is dropped are counted no more, but for whether they have come */
	route->adrift += route->outstanding;
	route->outstanding = 0;
	route->lane->outstanding_bytes -= Min(route->outstanding_bytes, route->lane->outstanding_bytes);
	route->outstanding_bytes = 0;
	route->condemned = 0;
	route->held_until = 0;
	/* and what was read and is not out is read again */
	if (route->position >= 0)
		route->read_position = route->seen_stable = route->position;
	route->blocked_at = -1;
}
