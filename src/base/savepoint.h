/*-------------------------------------------------------------------------
 *
 * savepoint.h
 *	  A part of a transaction that can fail, or be undone, by itself.
 *
 * src/base/savepoint.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SAVEPOINT_H
#define PRISM_SAVEPOINT_H

#include "postgres.h"

/*
 * Run 'part' in a subtransaction.  When it fails, what it did is undone and the
 * error is returned, in the caller's memory context; else NULL, and what it did
 * belongs to the transaction.  The caller decides which errors go on by
 * ReThrowError(): a cancelled query, for one.
 */
extern ErrorData *prism_savepoint_try(void (*part) (void *arg), void *arg);

/* Likewise, but what 'part' did is undone in any case. */
extern ErrorData *prism_savepoint_undo(void (*part) (void *arg), void *arg);

#endif							/* PRISM_SAVEPOINT_H */
