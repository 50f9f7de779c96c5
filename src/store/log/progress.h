/*-------------------------------------------------------------------------
 *
 * progress.h
 *	  The progress log: positions of groups and sinks, appended like messages.
 *
 * One internal topic a database (PRISM_PROGRESS_TOPIC).  A record is appended
 * in the transaction that makes progress and becomes valid with it.  State is
 * rebuilt by replaying the kept log; so that its segments can be dropped, every
 * owner writes a full record (checkpoint) when asked (DESIGN 3).
 *
 * src/store/log/progress.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PROGRESS_H
#define PRISM_PROGRESS_H

#include "store/log/topic.h"

typedef enum PrismProgressKind
{
	PRISM_PROGRESS_GROUP = 'g',
	PRISM_PROGRESS_SINK = 's'
} PrismProgressKind;

/* Append a record to the current transaction. 'owner' is the group's or sink's id. */
extern void prism_progress_append(PrismProgressKind kind, int32 owner,
								  const void *record, Size bytes);

/*
 * Called for each record of the owner, oldest first; 'at' is its offset and
 * 'created_at' its time.  What the record holds was not looked at: whoever
 * reads it checks it.
 */
typedef void (*PrismProgressVisit) (int32 owner, int64 at, TimestampTz created_at,
									const void *record, Size bytes, void *arg);

/* Replay all kept settled records of one owner (owner < 0: of the kind). Returns the stable progress offset read to. */
extern int64 prism_progress_replay(PrismProgressKind kind, int32 owner, int64 from,
								   PrismProgressVisit visit, void *arg);

/* A restore is at work on the progress log: it does not say yet how far anybody is. Replaying it is refused then. */
extern bool prism_progress_is_restoring(void);

/* The stable offset of the progress log: taken before state is copied for a checkpoint. */
extern int64 prism_progress_stable(void);

/* Make the progress topic of this database if it is not there. Called by apply(). */
extern void prism_progress_ensure(void);

#endif							/* PRISM_PROGRESS_H */
