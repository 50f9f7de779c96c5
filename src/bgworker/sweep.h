/*-------------------------------------------------------------------------
 *
 * sweep.h
 *	  Patterns clean up: the maintainer calls those links that have something to.
 *
 * src/bgworker/sweep.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SWEEP_H
#define PRISM_SWEEP_H

#include "base/clock.h"

/* How far it has come.  Outlives a turn that fails. */
typedef struct PrismSweep
{
	int32		topic_id;		/* the last topic looked at; 0: begin with the first */
	int			place;			/* the link of it to call next; 0, unless 'again': go on to the next topic */
	bool		again;			/* that link was called, and has more to do */
	PrismInstant since;			/* when it was called first */
	bool		left;			/* one has left something to the next round; good when all have been called */
	uint64		met;			/* grows when a topic's turn begins: what fails from then on is of the topic */
} PrismSweep;

/* One link of one topic, in a transaction of its own.  False: all have been called, which costs nothing where no pattern has 'sweep'. */
extern bool prism_sweep_next(PrismSweep *sweep);

#endif							/* PRISM_SWEEP_H */
