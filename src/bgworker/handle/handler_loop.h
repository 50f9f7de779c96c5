/*-------------------------------------------------------------------------
 *
 * handler_loop.h
 *	  What the files of the handler worker share.
 *
 *		handler_loop.c		the process: which handlers, whose turn, what became of a batch
 *		handler_call.c		a batch, and the call of a user's function with it
 *		handler_report.c	failures in the server log
 *
 * src/bgworker/handle/handler_loop.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_HANDLER_WORKER_H
#define PRISM_HANDLER_WORKER_H

#include "base/prism.h"
#include "base/backoff.h"
#include "store/group/group.h"
#include "store/handler/handler.h"

/* The most bytes of the messages of a call, but for a single one. */
#define PRISM_HANDLER_BATCH_BYTES (16 * 1024 * 1024)

typedef struct PrismHandlerBatch
{
	int64		lease_id;
	int			count;
	int64	   *positions;
	Datum	   *messages;		/* rows of prism.message */
	int			attempt;		/* which one it is of the last of them */
} PrismHandlerBatch;

/* Write to the server log that a handler failed, at what, as often as its limit allows. */
extern void prism_handler_report(const PrismHandler *handler, PrismReportLimit *limit, const ErrorData *error,
								 const char *what);

/* Likewise that these, of one role, have found no place. */
extern void prism_handler_report_places(PrismReportLimit *limit, const List *placeless);

/* Once in a process, before the first call. */
extern void prism_handler_call_init(void);

/*
 * Take up to 'max' messages and read them, in the current memory context; what
 * is too much for one batch goes back.  True: dead letters were made of some.
 */
extern bool prism_handler_take(const PrismHandler *handler, PrismGroupRef *group, int max, PrismHandlerBatch *batch);

/*
 * Call the function, in a savepoint of the current transaction, which belongs
 * to the session's role.  NULL: it went well, and its time runs on until the
 * commit has done what it left for it; else what it did is undone.
 */
extern ErrorData *prism_handler_call(const PrismHandler *handler, Oid function, const PrismHandlerBatch *batch);

/* What went wrong passes, and no message is to blame. */
extern bool prism_handler_passes(int sqlstate);

/*
 * What a function may have left in the session that transactions do not take
 * back.  Between transactions, for prism_worker_attempt(); after an error the
 * session is not to be used any more.
 */
extern void prism_handler_discard_session(void *arg);

#endif							/* PRISM_HANDLER_WORKER_H */
