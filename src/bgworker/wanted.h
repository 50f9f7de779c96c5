/*-------------------------------------------------------------------------
 *
 * wanted.h
 *	  Which workers a database needs: what the table of kinds calls.
 *
 * src/bgworker/wanted.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_WANTED_H
#define PRISM_WANTED_H

#include "bgworker/kinds.h"

/* See PrismWorkerKindInfo. */
extern void prism_want_maintainer(PrismWantedList *wanted);
extern void prism_want_forwarders(PrismWantedList *wanted);
extern void prism_want_scheduler(PrismWantedList *wanted);
extern void prism_want_handlers(PrismWantedList *wanted);
extern void prism_look_for_calls(PrismWanted *wanted, uint64 epoch);

#endif							/* PRISM_WANTED_H */
