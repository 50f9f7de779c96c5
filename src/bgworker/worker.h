/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  What every worker process does: start up, take steps, wait, survive errors.
 *
 * A worker's main is
 *
 *		prism_worker_enter(main_arg);
 *		for (;;)
 *			if (!prism_run_step(some_step, &state))
 *				prism_worker_wait(-1, PGINVALID_SOCKET);
 *
 * prism_worker_wait() has reset the latch when it returns, so the step that
 * follows sees everything that happened before.  A step that throws ends
 * there: its transaction is rolled back, the error is written at a bounded
 * rate, and the next wait lasts as long as the back-off.  Interrupts, reloads
 * and requests to leave are answered in between; a worker leaves with exit
 * code 0 (it is not wanted) or 1 (its supervisor starts another one).
 *
 * src/bgworker/worker.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_WORKER_H
#define PRISM_WORKER_H

#include "base/prism.h"

#include "base/backoff.h"
#include "base/compat.h"
#include "bgworker/slots.h"

/* Sockets beside the latch that prism_worker_wait_many() takes. */
#define PRISM_WAIT_SOCKETS_MAX 64

/* How soon a topic that is busy is looked at again. */
#define PRISM_BUSY_RETRY_MS 200

/* Everything up to the loop: slot, signals, connection, settings. Exits when the process is not wanted any more. */
extern void prism_worker_enter(Datum main_arg);

/*
 * For workers that run no code of users: prism's DDL fires none of their event
 * triggers either, which may expect a session of theirs.  Those that are made
 * to fire always still do.
 */
extern void prism_worker_without_triggers(void);

/*
 * One turn, outside of any transaction, in a memory context of its own that is
 * deleted afterwards.  The step answers whether there is more to do at once.
 * False as well when it threw.
 */
extern bool prism_run_step(bool (*step) (void *arg), void *arg);

/*
 * Sleep until the latch is set, a socket is readable or the time is over
 * (timeout_ms < 0: no limit).  After a step that threw: until the back-off is
 * over, whatever happens.
 */
extern void prism_worker_wait(long timeout_ms, pgsocket socket);
extern void prism_worker_wait_many(long timeout_ms, const pgsocket *sockets, int socket_count);

/* Answer interrupts, reloads and requests to leave; for long steps, outside of transactions. May not return. */
extern void prism_worker_attend(void);

/* Grows with each reload of the settings. */
extern uint64 prism_worker_reloads(void);

/* Grows when somebody changed what the worker may have failed on. */
extern uint64 prism_worker_nudges(void);

/*
 * A transaction of a worker, as the extension's owner, with a snapshot.
 * Holds the extension, so it cannot be dropped meanwhile; leaves the process
 * (exit code 0) when it has been dropped, throws when its version is not the
 * library's.  Ended by prism_worker_commit(), or by an error.
 */
extern void prism_worker_begin(const char *activity);
extern void prism_worker_commit(void);

/*
 * The same as the session's own user, for workers that are not prism's owner
 * (handlers): what they do is checked as anybody's.  Ended likewise.
 */
extern void prism_worker_begin_session(const char *activity);

/* Give the settings back to the session that prism_worker_enter() took from it; within a GUC nest level. */
extern void prism_worker_session_settings(void);

/*
 * For code that may fail without being the worker's fault.  An attempt comes
 * outside of transactions, and whatever is open after an error is rolled back;
 * inside of one there is prism_savepoint_try().  NULL: it went well.
 */
extern ErrorData *prism_worker_attempt(void (*attempt) (void *arg), void *arg);

/* Write an error of an attempt into the server's log, at the bounded rate of errors of steps. */
extern void prism_worker_report(ErrorData *error);

/* The same may succeed in a moment: a cancel, a deadlock, no memory, something that others use just now. */
extern bool prism_worker_error_passes(const ErrorData *error);

/* The memory context of this step: current outside of transactions; what outlives a commit is made in it. */
extern MemoryContext prism_step_mcxt(void);

/* What this process does, for pg_stat_activity; NULL: it waits. */
extern void prism_worker_activity(const char *activity);

/* Show a fault of the outside in prism.workers (it is no error of the step). NULL: all is well again. */
extern void prism_worker_show(PrismWorkerState state, const char *error);

/* Leave: not wanted (0), or to be replaced by a new process (1). */
pg_noreturn extern void prism_worker_leave(int code);

#endif							/* PRISM_WORKER_H */
