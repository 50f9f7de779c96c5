/*-------------------------------------------------------------------------
 *
 * backoff.h
 *	  When to try again after a failure, and how often to write about it.
 *
 * Clock and dice stand behind function pointers, so that a test lives through
 * hours in a millisecond.
 *
 * src/base/backoff.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_BACKOFF_H
#define PRISM_BACKOFF_H

#include "postgres.h"

#include "base/clock.h"

#define PRISM_BACKOFF_FIRST_MS 250
#define PRISM_BACKOFF_MAX_MS 60000

/* A failure is written in full when its cause is new, then counted and summed up at most this often. */
#define PRISM_REPORT_INTERVAL_MS 60000
/* Causes that are told apart. */
#define PRISM_REPORT_CAUSES 8

/*
 * Whatever the causes: a few lines at once, and one more every 20 s.  That
 * makes fewer than 50 in any ten minutes.
 */
#define PRISM_REPORT_LINES_MAX 18
#define PRISM_REPORT_LINE_MS 20000
/* Message, detail, hint, context, statement. */
#define PRISM_REPORT_FULL_LINES 5

/* All zero but the clock: nothing has failed. */
typedef struct PrismBackoff
{
	const PrismClock *clock;
	int			failures;		/* in a row */
	PrismInstant retry_at;		/* 0: now */
} PrismBackoff;

/* One more failure; returns when to try again: doubling from FIRST to MAX, the upper half of it by chance. */
extern PrismInstant prism_backoff_fail(PrismBackoff *backoff);

/* It works again. */
extern void prism_backoff_reset(PrismBackoff *backoff);

/* Milliseconds until the next try is due; 0: now. */
extern long prism_backoff_remaining_ms(const PrismBackoff *backoff);

/* What to write about a failure. */
typedef enum PrismReport
{
	PRISM_REPORT_FULL,			/* the first time that there is room for it: write all there is */
	PRISM_REPORT_SUMMARY,		/* one line that says how often it happened since the last one */
	PRISM_REPORT_NOTHING
} PrismReport;

typedef struct PrismReportCause
{
	uint32		cause;
	PrismInstant reported_at;	/* 0: not yet */
	bool		written_in_full;
	int64		unreported;		/* failures since then */
} PrismReportCause;

/* All zero but the clock: nothing has been written. */
typedef struct PrismReportLimit
{
	const PrismClock *clock;
	int64		lines_left;
	PrismInstant refilled_at;
	PrismReportCause causes[PRISM_REPORT_CAUSES];
} PrismReportLimit;

/*
 * A failure happened.  'cause' tells one kind from another (a hash of where
 * and what, without changing numbers).  *times: failures of this cause since
 * it was written last, this one included.
 */
extern PrismReport prism_report_decide(PrismReportLimit *limit, uint32 cause, int64 *times);

#endif							/* PRISM_BACKOFF_H */
