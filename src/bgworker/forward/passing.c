/*-------------------------------------------------------------------------
 *
 * passing.c
 *	  What the topic's patterns make of a message before it goes out.
 *
 * Once, just before it is sent for the first time; what is sent again is sent as
 * it was.  The message as it is stored stays beside it: as such it becomes a dead
 * letter.  One that has to wait keeps those behind it, as order asks for.
 *
 * src/bgworker/forward/passing.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/forwarder.h"
#include "pattern/chain.h"

#include "utils/memutils.h"

static void
make_room(PrismBatch *batch)
{
	if (batch->passed != NULL)
		return;
	if (batch->outgoing == NULL)
	{
		batch->outgoing = MemoryContextAlloc(batch->mcxt, batch->count * sizeof(PrismMessage));
		memcpy(batch->outgoing, batch->messages, batch->count * sizeof(PrismMessage));
	}
	batch->passed = MemoryContextAllocZero(batch->mcxt, batch->count * sizeof(bool));
}

static PrismOutcome
conclude(PrismRoute *route, PrismBatch *batch, int i, PrismOutcome outcome, const char *why)
{
	PrismLane  *lane = route->lane;

	route->held_until = 0;
	switch (outcome)
	{
		case PRISM_OK:
			batch->passed[i] = true;
			return PRISM_OK;
		case PRISM_AGAIN:
			route->held_until = prism_instant_after(prism_lane_now(lane), PRISM_PASS_AGAIN_MS);
			if (prism_has_passed(route->progress_at, prism_lane_now(lane), PRISM_STALL_MS))
				prism_route_show_waiting(route, why);
			return PRISM_AGAIN;
		default:
			prism_batch_blame(batch, i, why);
			prism_sink_count(route->slot, PRISM_SINK_REJECTED, 1);
			prism_batch_condemn(route, batch, i);
			return PRISM_REJECT;
	}
}

/* What was put into the message stays as long as the batch; of one that waits nothing may, as it is asked about again and again. */
static PrismOutcome
pass(PrismRoute *route, PrismBatch *batch, int i)
{
	MemoryContext message_cxt;
	MemoryContext caller_cxt;
	PrismMessage stored;
	const char *why = NULL;
	PrismOutcome outcome;

	make_room(batch);
	stored = batch->outgoing[i];
	message_cxt = AllocSetContextCreate(batch->mcxt, "prism passing", ALLOCSET_SMALL_SIZES);
	caller_cxt = MemoryContextSwitchTo(message_cxt);
	outcome = prism_chain_forward(route->chain, &batch->outgoing[i], &why);
	MemoryContextSwitchTo(caller_cxt);
	outcome = conclude(route, batch, i, outcome, why);
	if (outcome != PRISM_OK || memcmp(&stored, &batch->outgoing[i], sizeof(stored)) == 0)
		MemoryContextDelete(message_cxt);
	return outcome;
}

PrismOutcome
prism_batch_pass(PrismRoute *route, PrismBatch *batch, int i)
{
	if (!prism_chain_sends(route->chain, &batch->messages[i]) || (batch->passed != NULL && batch->passed[i]))
		return PRISM_OK;
	return pass(route, batch, i);
}

bool
prism_batch_pass_all(PrismRoute *route, PrismBatch *batch)
{
	for (int i = 0; route->chain != NULL && i < batch->count; i++)
	{
		if (batch->fates[i] == FATE_PENDING && !prism_route_is_dead(route, batch->messages[i].offset) &&
			prism_batch_pass(route, batch, i) == PRISM_AGAIN)
			return false;
	}
	return true;
}
