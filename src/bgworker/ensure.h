/*-------------------------------------------------------------------------
 *
 * ensure.h
 *	  Processes for workers that are wanted.
 *
 * src/bgworker/ensure.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_ENSURE_H
#define PRISM_ENSURE_H

#include "bgworker/slots.h"

/*
 * For supervisors: make sure that the worker runs.  Does nothing when it does,
 * when its back-off is not over, or while its database is held off.  False: no
 * process is to be had (the slot says so).  use_ms: of a kind that is served
 * last, else 0; the worker that has used less comes first.  Never throws.
 */
extern bool prism_worker_ensure(const PrismWorkerIdentity *identity, int64 use_ms);

/*
 * This process, of a kind that is served last: whether it has nothing to do, and
 * what it has used lately.  It leaves when somebody waits for its place.
 */
extern void prism_worker_note_load(bool idle, int64 use_ms);

#endif							/* PRISM_ENSURE_H */
