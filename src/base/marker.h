/*-------------------------------------------------------------------------
 *
 * marker.h
 *	  The origin that marks what prism writes into its own tables.
 *
 * Logical replication carries a database's changes to places where prism's
 * tables are not the same, or not there at all.  So each of their rows says in
 * the write-ahead log that it comes from elsewhere: who asks a slot for this
 * server's own changes (origin = none, only-local ...) gets all of the
 * application's, those of the same transaction too, and none of prism's.
 *
 * It is the row that is marked, not the transaction: the origin at its commit is
 * the session's own.  What users' code does (event triggers, handlers) is not
 * prism's, so no more than the writing of prism's rows lies between the two.
 *
 * src/base/marker.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_MARKER_H
#define PRISM_MARKER_H

#include "postgres.h"

#include "access/htup.h"
#include "replication/origin.h"
#include "utils/relcache.h"

/* What is written from here on is prism's.  Returns what to put back, also when there is an error. */
static inline RepOriginId
prism_marker_begin(void)
{
	RepOriginId former = replorigin_session_origin;

	replorigin_session_origin = DoNotReplicateId;
	return former;
}

static inline void
prism_marker_end(RepOriginId former)
{
	replorigin_session_origin = former;
}

/* A row of one of prism's tables, and its entries in their indexes. */
extern void prism_marked_insert(Relation table, HeapTuple row);
extern void prism_marked_update(Relation table, HeapTuple row);
extern void prism_marked_delete(Relation table, ItemPointer row);

#endif							/* PRISM_MARKER_H */
