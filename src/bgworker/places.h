/*-------------------------------------------------------------------------
 *
 * places.h
 *	  Which workers get a process when there are not enough: asked under the lock of slots.c.
 *
 * src/bgworker/places.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PLACES_H
#define PRISM_PLACES_H

#include "bgworker/slots.h"

/* Others come first: the worker of this slot gets no process now, even when one is to be had. */
extern bool prism_place_must_wait(const PrismWorkerSlot *slots, const PrismWorkerSlot *slot, PrismInstant now);

/*
 * Whose place the worker of this slot, which has found none, is to have; NULL:
 * nobody's.  One that is idle leaves at once; else all are asked, one after the
 * other, for nobody knows whose call ends first.
 */
extern PrismWorkerSlot *prism_place_giver(PrismWorkerSlot *slots, const PrismWorkerSlot *slot, PrismInstant now);

/* The handler's process has nothing to do, or has had its turn, and others wait, more than are leaving already. */
extern bool prism_place_is_wanted(const PrismWorkerSlot *slots, const PrismWorkerSlot *self, PrismInstant now);

/*
 * A slot for a worker that has none: a free one, or for a handler, when
 * handlers have all that they may, that of one that waits and has used more.
 * NULL: there is none.
 */
extern PrismWorkerSlot *prism_place_slot(PrismWorkerSlot *slots, PrismWorkerKind kind, int64 use_ms);

/* Whether the server log shall say that there are too few processes. */
extern bool prism_place_is_to_be_told(PrismWorkerKind kind, PrismInstant now);

#endif							/* PRISM_PLACES_H */
