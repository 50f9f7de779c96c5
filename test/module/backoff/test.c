/*-------------------------------------------------------------------------
 *
 * test.c
 *	  Back-off and bounded reports under a clock that this program turns.
 *
 * A worker is played by its loop: fail, write what prism_report_decide()
 * allows, sleep until prism_backoff_fail() says so.  Hours pass in no time.
 *
 * test/module/backoff/test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdio.h>

#include "base/backoff.h"

#undef printf					/* the system's: this program links nothing of the server */

#include "../tap.h"

#define SECOND INT64CONST(1000000)
#define MINUTE (60 * SECOND)

static TimestampTz clock_now = 800000000 * SECOND;
static double dice = 0.5;

static TimestampTz
read_clock(void)
{
	return clock_now;
}

static double
throw_dice(void)
{
	return dice;
}

static const PrismClock test_clock = {.now = read_clock, .random = throw_dice};

/* ---------- back-off ---------- */

static void
test_delays(void)
{
	PrismBackoff backoff = {.clock = &test_clock};
	int64		former_ms = 0;
	bool		grows = true;
	bool		bounded = true;

	ok(prism_backoff_remaining_ms(&backoff) == 0, "who has not failed does not wait");

	dice = 0;
	(void) prism_backoff_fail(&backoff);
	ok(prism_backoff_remaining_ms(&backoff) == PRISM_BACKOFF_FIRST_MS / 2, "with no luck the first wait is half the first delay");
	for (int i = 0; i < 100; i++)
	{
		int64		delay_ms;

		clock_now = backoff.retry_at;
		(void) prism_backoff_fail(&backoff);
		delay_ms = prism_backoff_remaining_ms(&backoff);
		grows = grows && delay_ms >= Min(former_ms * 2, PRISM_BACKOFF_MAX_MS / 2);
		bounded = bounded && delay_ms <= PRISM_BACKOFF_MAX_MS;
		former_ms = delay_ms;
	}
	ok(grows, "each wait is twice the one before, up to the maximum");
	ok(bounded && former_ms == PRISM_BACKOFF_MAX_MS / 2, "no wait is longer than the maximum");

	dice = 0.999999;
	clock_now = backoff.retry_at;
	(void) prism_backoff_fail(&backoff);
	ok(prism_backoff_remaining_ms(&backoff) > PRISM_BACKOFF_MAX_MS * 9 / 10 &&
	   prism_backoff_remaining_ms(&backoff) <= PRISM_BACKOFF_MAX_MS, "chance decides about the upper half");

	clock_now = backoff.retry_at - 1;
	ok(prism_backoff_remaining_ms(&backoff) == 1, "a moment too early is too early");
	clock_now = backoff.retry_at;
	ok(prism_backoff_remaining_ms(&backoff) == 0, "then it is time");

	backoff.failures = PG_INT32_MAX;
	(void) prism_backoff_fail(&backoff);
	ok(backoff.failures == PG_INT32_MAX && prism_backoff_remaining_ms(&backoff) <= PRISM_BACKOFF_MAX_MS,
	   "failures without end do not overflow");

	prism_backoff_reset(&backoff);
	dice = 0;
	ok(prism_backoff_remaining_ms(&backoff) == 0, "success ends the wait");
	(void) prism_backoff_fail(&backoff);
	ok(prism_backoff_remaining_ms(&backoff) == PRISM_BACKOFF_FIRST_MS / 2, "after a success it starts anew");
	ok(prism_backoff_remaining_ms(&backoff) < 1000, "so a single failure costs less than a second");
}

/* ---------- reports ---------- */

typedef struct Played
{
	int			turns;
	int			full;
	int			summaries;
	int64		told;			/* failures that the reports account for */
	int			lines;
} Played;

/* A worker that fails for so long, with that many causes in turn. */
static Played
play(PrismReportLimit *limit, TimestampTz length, int causes)
{
	PrismBackoff backoff = {.clock = &test_clock};
	TimestampTz end = clock_now + length;
	Played		played = {0};

	while (clock_now < end)
	{
		int64		times;

		switch (prism_report_decide(limit, 1000 + played.turns % causes, &times))
		{
			case PRISM_REPORT_FULL:
				played.full++;
				played.told += times;
				played.lines += PRISM_REPORT_FULL_LINES;
				break;
			case PRISM_REPORT_SUMMARY:
				played.summaries++;
				played.told += times;
				played.lines++;
				break;
			case PRISM_REPORT_NOTHING:
				break;
		}
		played.turns++;
		clock_now = prism_backoff_fail(&backoff);
	}
	return played;
}

static void
test_one_cause(void)
{
	PrismReportLimit limit = {.clock = &test_clock};
	Played		played;

	dice = 0;					/* the shortest waits */
	played = play(&limit, 10 * MINUTE, 1);
	printf("# ten minutes: %d failures, %d lines\n", played.turns, played.lines);
	ok(played.turns > 20, "ten minutes of failures are many failures");
	ok(played.full == 1, "the first is written in full");
	ok(played.summaries >= 9 && played.summaries <= 10, "then one line a minute");
	ok(played.lines < 50, "ten minutes of back-off are fewer than 50 lines");

	played = play(&limit, 600 * MINUTE, 1);
	ok(played.full == 0, "what is known is not written in full again");
	ok(played.turns - played.told <= 2, "the lines account for all failures but the last ones");
}

/* Without any wait between failures: a thousand a second. */
static void
test_no_back_off(void)
{
	PrismReportLimit limit = {.clock = &test_clock};
	TimestampTz end = clock_now + 10 * MINUTE;
	int			lines = 0;

	for (; clock_now < end; clock_now += SECOND / 1000)
	{
		int64		times;
		PrismReport report = prism_report_decide(&limit, 7, &times);

		lines += report == PRISM_REPORT_FULL ? PRISM_REPORT_FULL_LINES : report == PRISM_REPORT_SUMMARY;
	}
	ok(lines < 50, "even without back-off ten minutes are fewer than 50 lines");
}

/* A process that dies whenever it is started: the server writes two lines, the supervisor counts two failures. */
static void
test_deaths(void)
{
	PrismBackoff backoff = {.clock = &test_clock};
	TimestampTz start = clock_now;
	TimestampTz one_second = 0;
	int			deaths = 0;

	dice = 0;
	while (clock_now < start + 10 * MINUTE)
	{
		deaths++;
		clock_now = prism_backoff_fail(&backoff);
		backoff.failures++;
		if (deaths == 1)
			one_second = clock_now - start;
	}
	printf("# ten minutes: %d deaths\n", deaths);
	ok(2 * deaths < 50, "ten minutes of dying are fewer than 50 lines");
	ok(one_second < SECOND, "yet the first new process comes within a second");
}

/* Old causes take what lines there are; a new one is told all the same, and in full once they are gone. */
static void
test_new_among_old(void)
{
	PrismReportLimit limit = {.clock = &test_clock};
	TimestampTz start;
	TimestampTz told_after = 0;
	bool		in_full = false;
	int64		times;

	for (start = clock_now; clock_now < start + 30 * MINUTE; clock_now += SECOND)
		for (int cause = 1; cause <= 4; cause++)
			(void) prism_report_decide(&limit, cause, &times);
	for (start = clock_now; clock_now < start + 10 * MINUTE; clock_now += SECOND)
	{
		for (int cause = 1; cause <= 4; cause++)
			(void) prism_report_decide(&limit, cause, &times);
		if (prism_report_decide(&limit, 5, &times) != PRISM_REPORT_NOTHING && told_after == 0)
			told_after = clock_now - start;
	}
	printf("# among old causes told after %d s\n", (int) (told_after / SECOND));
	ok(told_after > 0 && told_after <= 2 * MINUTE, "a new cause among old ones is told within two minutes");
	for (start = clock_now; clock_now < start + 10 * MINUTE; clock_now += SECOND)
		in_full |= prism_report_decide(&limit, 5, &times) == PRISM_REPORT_FULL;
	ok(in_full, "and in full when it is alone");
}

static void
test_many_causes(void)
{
	PrismReportLimit limit = {.clock = &test_clock};
	Played		played;
	int64		times;

	played = play(&limit, 10 * MINUTE, 3);
	ok(played.full == 3, "each of three causes is written in full once");
	ok(played.lines < 50, "three causes in ten minutes are fewer than 50 lines");

	limit = (PrismReportLimit) {.clock = &test_clock};
	played = play(&limit, 10 * MINUTE, PG_INT32_MAX);
	printf("# new causes all the time: %d failures, %d in full, %d lines\n", played.turns, played.full, played.lines);
	ok(played.full > 0 && played.lines < 50, "a new cause each time makes fewer than 50 lines as well");

	limit = (PrismReportLimit) {.clock = &test_clock};
	for (int cause = 0; prism_report_decide(&limit, 5000 + cause, &times) != PRISM_REPORT_NOTHING; cause++)
		;
	ok(prism_report_decide(&limit, 6000, &times) == PRISM_REPORT_NOTHING, "a new cause beyond the bound is counted");
	clock_now += 5 * MINUTE;
	ok(prism_report_decide(&limit, 6000, &times) == PRISM_REPORT_FULL && times == 2,
	   "and written in full when there is room again");
}

int
main(void)
{
	test_delays();
	test_one_cause();
	test_no_back_off();
	test_new_among_old();
	test_many_causes();
	test_deaths();
	return end_tests();
}
