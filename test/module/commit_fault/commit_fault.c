/*-------------------------------------------------------------------------
 *
 * commit_fault.c
 *	  Disturbs transactions at the places of a commit that matter to prism.
 *
 * To be preloaded BEFORE prism.  Transaction callbacks run last registered
 * first, so this library's first callback runs after prism's has taken offsets
 * and inserted the rows; a second one, registered by the session's first
 * commit, runs before prism's.  They stop at four places:
 *
 *	before		nothing is registered yet (PRE_COMMIT, before prism's)
 *	inside		in flight, rows inserted, not committed (PRE_COMMIT, after prism's)
 *	visible		committed and visible to others, still in flight (COMMIT, before prism's)
 *	settled		no longer in flight (COMMIT, after prism's)
 *
 * Settings of the session: commit_fault.pause_us (a random pause up to that at
 * each place), commit_fault.settled_ms (a pause of that length when "settled",
 * before others hear of what the transaction did to the catalogue),
 * commit_fault.error_percent (errors "inside"),
 * commit_fault.wait_key (waits "inside" for that advisory lock),
 * commit_fault.statement (runs it "inside").
 *
 * test/module/commit_fault/commit_fault.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "access/xact.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

static int	pause_us = 0;
static int	settled_ms = 0;
static int	error_percent = 0;
static int	wait_key = 0;
static int	seed = 0;
static char *statement = NULL;

static pg_prng_state random_state;
static int	seeded_by = -1;

static uint32
random_below(int end)
{
	if (seeded_by != seed)
	{
		pg_prng_seed(&random_state, seed);
		seeded_by = seed;
	}
	return pg_prng_uint64_range(&random_state, 0, end - 1);
}

/* Short, as nothing may interrupt it behind the commit record. */
static void
pause_here(void)
{
	if (pause_us > 0)
		pg_usleep(random_below(pause_us));
}

static void
run_statement(void)
{
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_execute(statement, false, 0);
	PopActiveSnapshot();
	SPI_finish();
}

static void
first_called(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_COMMIT)
		pause_here();
}

static void
last_called(XactEvent event, void *arg)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(first_called, NULL);
		registered = true;
	}
	/* a session that is not let in proves nothing */
	if ((event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_COMMIT) || !IsNormalProcessingMode())
		return;
	pause_here();
	if (event == XACT_EVENT_COMMIT)
	{
		pg_usleep(settled_ms * 1000L);
		return;
	}
	if (wait_key != 0)
		DirectFunctionCall1(pg_advisory_xact_lock_int8, Int64GetDatum(wait_key));
	CHECK_FOR_INTERRUPTS();
	if (statement[0] != '\0')
		run_statement();
	if (error_percent > 0 && random_below(100) < (uint32) error_percent)
		ereport(ERROR,
				errcode(ERRCODE_T_R_INTEGRITY_CONSTRAINT_VIOLATION),
				errmsg("commit_fault refuses this commit"));
}

void
_PG_init(void)
{
	DefineCustomIntVariable("commit_fault.pause_us", "Pauses up to so long at each place.", NULL,
							&pause_us, 0, 0, 1000000, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("commit_fault.settled_ms", "Pauses so long when settled.", NULL,
							&settled_ms, 0, 0, 60000, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("commit_fault.error_percent", "Refuses so many of a hundred commits.", NULL,
							&error_percent, 0, 0, 100, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("commit_fault.wait_key", "Waits for this advisory lock.", NULL,
							&wait_key, 0, 0, INT_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("commit_fault.seed", "Makes pauses and errors repeatable.", NULL,
							&seed, 0, 0, INT_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("commit_fault.statement", "Runs this statement.", NULL,
							   &statement, "", PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("commit_fault");
	RegisterXactCallback(last_called, NULL);
}
