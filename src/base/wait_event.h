/*-------------------------------------------------------------------------
 *
 * wait_event.h
 *	  What pg_stat_activity says that a process of prism's, or a caller, waits for.
 *
 * Before PostgreSQL 17 extensions have one name for all of it.
 *
 * src/base/wait_event.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_WAIT_EVENT_H
#define PRISM_WAIT_EVENT_H

typedef enum PrismWaitEvent
{
	PRISM_WAIT_WORK,			/* a worker, for something to do */
	PRISM_WAIT_WORKERS_LEFT,	/* until workers have left a database */
	PRISM_WAIT_MESSAGE,			/* a consumer, for a message */
	PRISM_WAIT_GROUP_READER,	/* until somebody else has read ahead for the group */
	PRISM_WAIT_MARK,			/* until somebody else has moved a topic's mark */
	PRISM_WAIT_SEGMENT,			/* until the maintainer has made a segment, or dropped those left */
	PRISM_WAIT_SETTLED,			/* until those who commit are through */
	PRISM_WAIT_EVENTS
} PrismWaitEvent;

/* May take a lock at a process's first use of an event: not in a callback at the end of a transaction. */
extern uint32 prism_wait_event(PrismWaitEvent event);

#endif							/* PRISM_WAIT_EVENT_H */
