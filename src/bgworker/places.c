/*-------------------------------------------------------------------------
 *
 * places.c
 *	  Who gets a process when there are not enough.
 *
 * Handlers are the one kind of worker of which users can make any number, one
 * a role.  So they are served last: none is started while a worker of another
 * kind waits for a place, and one leaves for it.  Among themselves they have
 * turns, each until the next one has waited long enough.  Who is to leave does
 * so when the call that is under way has ended.
 *
 * Nothing but looking at slots, under the lock of shmem.c.
 *
 * src/bgworker/places.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "bgworker/shmem.h"
#include "guc.h"

#include "utils/timestamp.h"

/* A handler's process has a turn of so long before it leaves for another one. */
#define TURN_MS 2000
/* Who waits and is not tried again any more, as its supervisor is gone, is in nobody's way. */
#define FORGOTTEN_MS 15000

static bool
is_handler(const PrismWorkerSlot *slot)
{
	return slot->identity.kind == PRISM_HANDLER_WORKER;
}

int
prism_place_handlers_max(void)
{
	return prism_worker_slots_max() / 2;
}

bool
prism_place_must_wait(const PrismWorkerSlot *slots, const PrismWorkerSlot *slot, PrismInstant now)
{
	if (!is_handler(slot))
		return false;
	for (int i = 0; i < prism_worker_slots_max(); i++)
	{
		const PrismWorkerSlot *other = &slots[i];

		if (other == slot || other->state != PRISM_WORKER_NO_SLOT ||
			prism_has_passed(other->retry_at, now, FORGOTTEN_MS))
			continue;
		if (!is_handler(other) || slot->state != PRISM_WORKER_NO_SLOT || other->since < slot->since)
			return true;
	}
	return false;
}

PrismWorkerSlot *
prism_place_giver(PrismWorkerSlot *slots, const PrismWorkerSlot *slot, PrismInstant now)
{
	PrismWorkerSlot *giver = NULL;

	if (prism_place_must_wait(slots, slot, now))
		return NULL;			/* room is made for who comes first */
	for (int i = 0; i < prism_worker_slots_max(); i++)
	{
		PrismWorkerSlot *other = &slots[i];

		if (!is_handler(other) || other->pid == 0 || other->yield_requested || other->stop_requested)
			continue;
		if (is_handler(slot) && !prism_has_passed(other->started_at, now, TURN_MS))
			continue;
		if (giver == NULL || other->started_at < giver->started_at)
			giver = other;
	}
	return giver;
}
