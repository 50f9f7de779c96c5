/*-------------------------------------------------------------------------
 *
 * backoff.c
 *	  When to try again after a failure, and how often to write about it.
 *
 * Nothing in here needs a running server: test/module drives it with a clock
 * of its own.
 *
 * src/base/backoff.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/backoff.h"

#define MS_TO_US(ms) ((int64) (ms) * 1000)

static void refill(PrismReportLimit *limit, PrismInstant now);
static PrismReportCause *find_cause(PrismReportLimit *limit, uint32 cause);
static bool somebody_waits(const PrismReportLimit *limit);

/*
 * One more failure.  The delay doubles up to the maximum; its upper half is
 * left to chance, so that workers which failed together do not return together.
 */
PrismInstant
prism_backoff_fail(PrismBackoff *backoff)
{
	long		delay_ms = PRISM_BACKOFF_FIRST_MS;

	for (int i = 0; i < backoff->failures && delay_ms < PRISM_BACKOFF_MAX_MS; i++)
		delay_ms *= 2;
	if (delay_ms > PRISM_BACKOFF_MAX_MS)
		delay_ms = PRISM_BACKOFF_MAX_MS;
	if (backoff->failures < PG_INT32_MAX)
		backoff->failures++;

	delay_ms = delay_ms / 2 + (long) (backoff->clock->random() * (delay_ms / 2));
	backoff->retry_at = backoff->clock->now() + MS_TO_US(delay_ms);
	return backoff->retry_at;
}

void
prism_backoff_reset(PrismBackoff *backoff)
{
	backoff->failures = 0;
	backoff->retry_at = 0;
}

/* Rounded up: a sleeper of that long does not wake a moment too early. */
long
prism_backoff_remaining_ms(const PrismBackoff *backoff)
{
	PrismInstant now;

	if (backoff->retry_at == 0)
		return 0;
	now = backoff->clock->now();
	if (now >= backoff->retry_at)
		return 0;
	return (long) ((backoff->retry_at - now + 999) / 1000);
}

PrismReport
prism_report_decide(PrismReportLimit *limit, uint32 cause, int64 *times)
{
	PrismInstant now = limit->clock->now();
	PrismReportCause *known = find_cause(limit, cause);
	bool		in_full;

	refill(limit, now);
	known->unreported++;
	*times = known->unreported;
	if (known->reported_at != 0 && now - known->reported_at < MS_TO_US(PRISM_REPORT_INTERVAL_MS))
		return PRISM_REPORT_NOTHING;
	if (limit->lines_left < (known->reported_at != 0 && somebody_waits(limit) ? 2 : 1))
		return PRISM_REPORT_NOTHING;

	/* a new cause that finds few lines left is written in one, and in full when there are more */
	in_full = !known->written_in_full && limit->lines_left >= PRISM_REPORT_FULL_LINES;
	limit->lines_left -= in_full ? PRISM_REPORT_FULL_LINES : 1;
	known->written_in_full |= in_full;
	known->reported_at = now;
	known->unreported = 0;
	return in_full ? PRISM_REPORT_FULL : PRISM_REPORT_SUMMARY;
}

static void
refill(PrismReportLimit *limit, PrismInstant now)
{
	int64		earned = (now - limit->refilled_at) / MS_TO_US(PRISM_REPORT_LINE_MS);

	if (limit->refilled_at == 0 || limit->lines_left + earned >= PRISM_REPORT_LINES_MAX)
	{
		limit->lines_left = PRISM_REPORT_LINES_MAX;
		limit->refilled_at = now;
	}
	else if (earned > 0)
	{
		limit->lines_left += earned;
		limit->refilled_at += earned * MS_TO_US(PRISM_REPORT_LINE_MS);
	}
}

/* The place of a cause: its own, a free one, or the one that was never or longest ago written. */
static PrismReportCause *
find_cause(PrismReportLimit *limit, uint32 cause)
{
	PrismReportCause *oldest = &limit->causes[0];

	for (int i = 0; i < PRISM_REPORT_CAUSES; i++)
	{
		PrismReportCause *place = &limit->causes[i];

		if (place->cause == cause && (place->reported_at != 0 || place->unreported != 0))
			return place;
		if (place->reported_at < oldest->reported_at)
			oldest = place;
	}
	oldest->cause = cause;
	oldest->reported_at = 0;
	oldest->written_in_full = false;
	oldest->unreported = 0;
	return oldest;
}

/* There is a cause that was never written.  Old ones leave the last line to it: they would take them all. */
static bool
somebody_waits(const PrismReportLimit *limit)
{
	for (int i = 0; i < PRISM_REPORT_CAUSES; i++)
		if (limit->causes[i].reported_at == 0 && limit->causes[i].unreported > 0)
			return true;
	return false;
}
