/*-------------------------------------------------------------------------
 *
 * clock.h
 *	  Durations, which nobody sets.
 *
 * The wall clock (TimestampTz) says when something happened or is to happen,
 * and is set now and then, forth and back.  How long something takes, lasts or
 * waits is measured by the machine's monotonic clock: an instant is a point of
 * it, the same for all processes, and worth nothing after a restart.  What is
 * shown or stored of an instant is the time of day that it has just now.
 *
 * Both are microseconds in 64 bits, and no compiler tells them apart: names do.
 *
 * src/base/clock.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_CLOCK_H
#define PRISM_CLOCK_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "portability/instr_time.h"
#include "utils/timestamp.h"

typedef int64 PrismInstant;

#define PRISM_NEVER PG_INT64_MAX

/* Soon after the machine has started 0 is long ago as well. */
#define PRISM_INSTANT_BASE (INT64CONST(3650) * USECS_PER_DAY)

static inline PrismInstant
prism_instant(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (PrismInstant) INSTR_TIME_GET_MICROSEC(now) + PRISM_INSTANT_BASE;
}

static inline PrismInstant
prism_instant_after(PrismInstant instant, int64 ms)
{
	return instant + ms * 1000;
}

static inline bool
prism_has_passed(PrismInstant since, PrismInstant now, int64 ms)
{
	return now - since >= ms * 1000;
}

/* Whole milliseconds, rounded up; 0: it is over. */
static inline long
prism_ms_until(PrismInstant until, PrismInstant now)
{
	if (until <= now)
		return 0;
	return until - now >= INT64CONST(1000) * PG_INT32_MAX ? PG_INT32_MAX : (long) ((until - now + 999) / 1000);
}

/* What the wall clock is ahead of the other: to be added to instants. */
static inline int64
prism_clock_difference(void)
{
	return GetCurrentTimestamp() - prism_instant();
}

/* For views, and for what outlives the server.  0 and PRISM_NEVER stay what they are. */
static inline TimestampTz
prism_instant_time_by(PrismInstant instant, int64 difference)
{
	return instant == 0 || instant == PRISM_NEVER ? instant : instant + difference;
}

static inline TimestampTz
prism_instant_time(PrismInstant instant)
{
	return prism_instant_time_by(instant, prism_clock_difference());
}

/* For what is tested without a server, and without waiting. */
typedef struct PrismClock
{
	PrismInstant (*now) (void);
	double		(*random) (void);	/* in [0, 1) */
} PrismClock;

/* The server's. */
extern const PrismClock prism_real_clock;

#endif							/* PRISM_CLOCK_H */
