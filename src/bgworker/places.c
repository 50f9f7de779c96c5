/*-------------------------------------------------------------------------
 *
 * places.c
 *	  Which workers get a process when there are not enough.
 *
 * Handlers are the one kind of worker of which users can make any number, one
 * a role.  So they are served last (PRISM_PLACE_LAST): none is started while a
 * worker of another kind waits for a place, and one leaves for it.  A role whose
 * handlers have nothing to do needs none (wanted.c).  Among the others the one
 * that has used least comes first, and among those alike the one that has waited
 * longest: so a role with little work does not wait until many with much work
 * have had their turns.  A handler that is to leave does so when the call that is under way has ended.
 *
 * Nothing but looking at slots, under the lock of slots.c.
 *
 * src/bgworker/places.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/guc.h"
#include "bgworker/places.h"

#include "utils/timestamp.h"

/* How long a handler's process has its turn before it leaves for another one. */
#define TURN_MS 2000
/* That handlers share too few processes is written to the log once in a while. */
#define TELL_AGAIN_MS 3600000
/* What roles have used is alike when it differs by less. */
#define USE_STEP_MS 500
/* A worker that waits and is not tried again, as its supervisor is gone, is in nobody's way. */
#define FORGOTTEN_MS 15000

static bool
is_handler(const PrismWorkerSlot *slot)
{
	return prism_worker_kind(slot->identity.kind)->place == PRISM_PLACE_LAST;
}

/* Somebody waits and is not forgotten. */
static bool
waits(const PrismWorkerSlot *slot, PrismInstant now)
{
	return slot->state == PRISM_WORKER_NO_SLOT && !prism_has_passed(slot->retry_at, now, FORGOTTEN_MS);
}

static int64
step(int64 use_ms)
{
	return use_ms / USE_STEP_MS;
}

/* Both are handlers, the other one waits. */
static bool
comes_before(const PrismWorkerSlot *other, const PrismWorkerSlot *slot)
{
	if (step(other->use_ms) != step(slot->use_ms))
		return other->use_ms < slot->use_ms;
	return slot->state != PRISM_WORKER_NO_SLOT || other->since < slot->since;
}

/* Slots of handlers may be so many: those of others find one at any time. */
static int
handlers_max(void)
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

		if (other == slot || !waits(other, now))
			continue;
		if (!is_handler(other) || comes_before(other, slot))
			return true;
	}
	return false;
}

/* Both are handlers, the other one has a process. */
static bool
has_had_its_turn(const PrismWorkerSlot *other, const PrismWorkerSlot *slot, PrismInstant now)
{
	return other->idle || prism_has_passed(other->started_at, now, TURN_MS) ||
		step(other->use_ms) > step(slot->use_ms) + 1;
}

bool
prism_place_is_wanted(const PrismWorkerSlot *slots, const PrismWorkerSlot *self, PrismInstant now)
{
	int			waiting = 0;
	int			leaving = 0;

	for (int i = 0; i < prism_worker_slots_max(); i++)
	{
		const PrismWorkerSlot *other = &slots[i];

		if (waits(other, now) && (!is_handler(other) || has_had_its_turn(self, other, now)))
			waiting++;
		else if (other != self && other->pid != 0 && other->yield_requested)
			leaving++;
	}
	return waiting > leaving;
}

PrismWorkerSlot *
prism_place_giver(PrismWorkerSlot *slots, const PrismWorkerSlot *slot, PrismInstant now)
{
	PrismWorkerSlot *giver = NULL;

	if (prism_place_must_wait(slots, slot, now))
		return NULL;			/* room is made for the worker that comes first */
	for (int i = 0; i < prism_worker_slots_max(); i++)
	{
		PrismWorkerSlot *other = &slots[i];

		if (!is_handler(other) || other->pid == 0 || other->yield_requested || other->stop_requested)
			continue;
		if (is_handler(slot) && !has_had_its_turn(other, slot, now))
			continue;
		if (giver == NULL || (other->idle && !giver->idle))
			giver = other;
	}
	return giver;
}

/* The one that waits and has used most. */
static PrismWorkerSlot *
last_in_line(PrismWorkerSlot *slots)
{
	PrismWorkerSlot *last = NULL;

	for (int i = 1; i < prism_worker_slots_max(); i++)
	{
		PrismWorkerSlot *other = &slots[i];

		if (is_handler(other) && other->state == PRISM_WORKER_NO_SLOT &&
			(last == NULL || other->use_ms > last->use_ms))
			last = other;
	}
	return last;
}

PrismWorkerSlot *
prism_place_slot(PrismWorkerSlot *slots, PrismWorkerKind kind, int64 use_ms)
{
	PrismWorkerSlot *found = NULL;
	PrismWorkerSlot *last;
	int			handlers = 0;

	for (int i = 1; i < prism_worker_slots_max(); i++)
	{
		if (slots[i].state == PRISM_WORKER_FREE)
			found = &slots[i];
		else
			handlers += is_handler(&slots[i]);
	}
	if (prism_worker_kind(kind)->place != PRISM_PLACE_LAST || handlers < handlers_max())
		return found;
	last = last_in_line(slots);
	return last != NULL && step(last->use_ms) > step(use_ms) ? last : NULL;
}

/* Handlers that have turns come and go: that is no news each time. */
bool
prism_place_is_to_be_told(PrismWorkerKind kind, PrismInstant now)
{
	static PrismInstant told_at = 0;

	if (prism_worker_kind(kind)->place != PRISM_PLACE_LAST)
		return true;
	if (told_at != 0 && !prism_has_passed(told_at, now, TELL_AGAIN_MS))
		return false;
	told_at = now;
	return true;
}
