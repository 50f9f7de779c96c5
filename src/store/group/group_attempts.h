/*-------------------------------------------------------------------------
 *
 * group_attempts.h
 *	  What the progress log says of unfinished messages: attempts, rests, failures.
 *
 * Adding is idempotent and does not depend on the order: of two records of a
 * message the one with more attempts counts, of equal ones that which lets it
 * rest for longer.
 *
 * src/store/group/group_attempts.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_GROUP_ATTEMPTS_H
#define PRISM_GROUP_ATTEMPTS_H

#include "store/group/group_ranges.h"

#include "datatype/timestamp.h"

typedef struct PrismAttempt
{
	int64		offset;
	TimestampTz due;			/* not to be handed out before; 0: at any time */
	int64		rest_us;		/* read from the log: how long that was to last when it was written */
	uint32		first_failed;	/* in seconds, as in PrismEntry; 0: never, or not known */
	uint16		attempt;
} PrismAttempt;

typedef struct PrismAttempts
{
	PrismAttempt *items;		/* ascending, one an offset, up to 'settled' */
	int			count;
	int			settled;
	int			capacity;
} PrismAttempts;

/* An empty set in the current memory context. */
extern void prism_attempts_init(PrismAttempts *set);

/* What 'finished' contains may be forgotten. */
extern void prism_attempts_add(PrismAttempts *set, const PrismAttempt *attempt, const PrismRanges *finished);

/* Bring into order; before finding, and before looking at the items. */
extern void prism_attempts_settle(PrismAttempts *set, const PrismRanges *finished);

/* Seconds of one clock are those of another; 0 stays 0. */
extern uint32 prism_seconds_shift(uint32 seconds, int64 difference);

/* Their instants become times, by the difference of the clocks. */
extern void prism_attempts_shift(PrismAttempt *attempts, int count, int64 difference);

/* NULL: nothing is known of it. */
extern const PrismAttempt *prism_attempts_find(const PrismAttempts *set, int64 offset);

#endif							/* PRISM_GROUP_ATTEMPTS_H */
