/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  What every worker process does: start up, take steps, wait, survive errors.
 *
 * src/bgworker/worker.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/guc.h"
#include "base/patience.h"
#include "base/query.h"
#include "base/wait_event.h"
#include "bgworker/worker.h"

#include <signal.h>
#include <unistd.h>

#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/origin.h"
#include "storage/condition_variable.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "storage/sinval.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define MEMORY_CHECK_MS 1000
/* Whoever publishes waits longer than that for a segment.  Not at once: the next one may be as large. */
#define REPLACE_MS 3000

/* What a database or a role may set for sessions and a worker must not inherit. */
static const struct
{
	const char *name;
	const char *value;
	bool		for_users;		/* the session's own value is meant for functions of users that a worker calls */
}			worker_settings[] = {
	{"search_path", PRISM_SEARCH_PATH, true},
	{"statement_timeout", "0", false},
	{"lock_timeout", "1s", true},	/* what prism_never_waits does not know of: prism's catalogue, locks of others */
	{"idle_in_transaction_session_timeout", "0", false},
	{"idle_session_timeout", "0", false},
	{"default_transaction_isolation", "read committed", false},
	{"default_transaction_read_only", "off", false},
	{"default_transaction_deferrable", "off", false},
	{"synchronous_commit", "on", true},
	{"row_security", "off", true},
	{"session_replication_role", "origin", true},
	{"default_table_access_method", "heap", true},
	{"role", "none", false},
	PRISM_NEWER_WORKER_SETTINGS
};

/* What the session would have had. */
static char *session_settings[lengthof(worker_settings)];

static PrismBackoff backoff = {.clock = &prism_real_clock};
static PrismReportLimit report_limit = {.clock = &prism_real_clock};
static emit_log_hook_type former_emit_log = NULL;
static MemoryContext step_mcxt = NULL;
static uint64 reloads = 0;
static uint64 nudges = 0;
static long stats_due_ms = 0;	/* statistics wait to be sent; 0: none */
static PrismIdentity session_identity;

static void connect_to_database(void);
static void recover(void);
static void leave_when_large(void);
static long own_memory_kb(void);
static void report_error(ErrorData *error);
static bool lock_extension(void);

/* Dying is always safe: the position moves last.  Remember that it was no failure. */
static void
end_when_told(SIGNAL_ARGS)
{
	prism_worker_told_to_end = true;
	die(postgres_signal_arg);
}

/* To be told to end is no fault, in the middle of something either: a clean shutdown leaves none in the log. */
static void
emit_log(ErrorData *report)
{
	if (report->elevel == FATAL && report->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN && prism_worker_told_to_end)
		report->elevel = LOG;
	if (former_emit_log != NULL)
		former_emit_log(report);
}

void
prism_worker_enter(Datum main_arg)
{
	uint32		generation;

	former_emit_log = emit_log_hook;
	emit_log_hook = emit_log;
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, end_when_told);
	BackgroundWorkerUnblockSignals();

	memcpy(&generation, MyBgworkerEntry->bgw_extra, sizeof(generation));
	if (!prism_worker_attach(DatumGetInt32(main_arg), generation))
		proc_exit(0);
	connect_to_database();
	prism_never_waits = true;
	step_mcxt = AllocSetContextCreate(TopMemoryContext, "prism step", ALLOCSET_DEFAULT_SIZES);
	prism_worker_activity(NULL);
}

/* The setting stays the session's, which a reload reaches: what the worker commits is seen by users as theirs is. */
static bool
commits_as_sessions(PrismWorkerKind kind, const char *setting)
{
	return (kind == PRISM_SCHEDULER || kind == PRISM_HANDLER_WORKER) && strcmp(setting, "synchronous_commit") == 0;
}

static void
connect_to_database(void)
{
	const PrismWorkerIdentity *identity = &prism_my_worker->identity;

	if (identity->kind == PRISM_LAUNCHER)
		BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	else
		BackgroundWorkerInitializeConnectionByOid(identity->database, identity->role, 0);

	for (int i = 0; i < (int) lengthof(worker_settings); i++)
	{
		if (worker_settings[i].for_users)
			session_settings[i] = MemoryContextStrdup(TopMemoryContext,
													  GetConfigOption(worker_settings[i].name, false, false));
		if (!commits_as_sessions(identity->kind, worker_settings[i].name))
			SetConfigOption(worker_settings[i].name, worker_settings[i].value, PGC_SUSET, PGC_S_OVERRIDE);
	}
	SetConfigOption("application_name", MyBgworkerEntry->bgw_name, PGC_USERSET, PGC_S_OVERRIDE);
}

void
prism_worker_without_triggers(void)
{
	SetConfigOption("session_replication_role", "replica", PGC_SUSET, PGC_S_OVERRIDE);
}

/* ---------------- steps ---------------- */

/* An error ends the step, not the worker. */
bool
prism_run_step(bool (*step) (void *arg), void *arg)
{
	MemoryContext caller_mcxt = CurrentMemoryContext;
	volatile bool more = false;

	Assert(!IsTransactionState());
	prism_worker_attend();
	if (prism_backoff_remaining_ms(&backoff) > 0)
		return false;

	MemoryContextSwitchTo(step_mcxt);
	PG_TRY();
	{
		more = step(arg);
		Assert(!IsTransactionState());
		prism_backoff_reset(&backoff);
		if (prism_my_worker->state == PRISM_WORKER_STARTING || prism_my_worker->state == PRISM_WORKER_BACKOFF)
		{
			prism_worker_change(PRISM_WORKER_RUNNING, 0, NULL);
			/* the launcher has few managers look at a time, and the next database waits for one that has */
			if (prism_my_worker->identity.kind == PRISM_MANAGER)
				prism_worker_wake(PRISM_LAUNCHER, InvalidOid);
		}
	}
	PG_CATCH();
	{
		recover();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller_mcxt);
	MemoryContextReset(step_mcxt);	/* closes every handle opened in the step */

	stats_due_ms = pgstat_report_stat(false);
	leave_when_large();
	return more;
}

/* A library that keeps what it once allocated must not grow into the server's memory: a new process begins small. */
static void
leave_when_large(void)
{
	static PrismInstant checked_at = 0;
	static uint64 checked_for = 0;
	PrismInstant now = prism_instant();
	long		memory_kb;

	if (checked_for == reloads && !prism_has_passed(checked_at, now, MEMORY_CHECK_MS))
		return;
	checked_at = now;
	checked_for = reloads;
	memory_kb = own_memory_kb();
	if (memory_kb <= prism_worker_memory_kb)
		return;
	ereport(LOG,
			errmsg("%s is replaced by a new process: it uses %ld kB of memory", MyBgworkerEntry->bgw_name, memory_kb),
			errdetail("prism.worker_memory is %d kB.", prism_worker_memory_kb));
	prism_worker_change(PRISM_WORKER_BACKOFF, 0, "the process used more memory than prism.worker_memory");
	if (backoff.failures == 0)
		prism_worker_replaced_by = prism_instant_after(now, REPLACE_MS);
	prism_worker_leave(1);
}

/* Resident memory without what is shared with others: buffers, programs. 0 where the system does not tell. */
static long
own_memory_kb(void)
{
	FILE	   *file = AllocateFile("/proc/self/statm", "r");
	long		resident = 0;
	long		shared = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%*d %ld %ld", &resident, &shared) != 2)
		resident = shared = 0;
	FreeFile(file);
	return (resident - shared) * (sysconf(_SC_PAGESIZE) / 1024);
}

/*
 * Leave everything as it was before the error.  AbortOutOfAnyTransaction() does
 * nothing outside of a transaction, so what may be held there is let go by hand.
 */
static ErrorData *
undo(bool of_worker)
{
	ErrorData  *error;

	MemoryContextSwitchTo(step_mcxt);	/* we are in ErrorContext */
	error = CopyErrorData();
	if (error->message == NULL)
		error->message = "missing error text";
	if (of_worker)
		report_error(error);
	FlushErrorState();

	pgstat_report_wait_end();
	ConditionVariableCancelSleep();
	LWLockReleaseAll();
	AbortOutOfAnyTransaction();
	replorigin_session_origin = InvalidRepOriginId;
	MemoryContextSwitchTo(step_mcxt);
	return error;
}

static void
recover(void)
{
	ErrorData  *error;

	HOLD_INTERRUPTS();
	error = undo(true);
	prism_worker_change(PRISM_WORKER_BACKOFF, prism_backoff_fail(&backoff), error->message);
	prism_worker_activity(NULL);
	RESUME_INTERRUPTS();
}

ErrorData *
prism_worker_attempt(void (*attempt) (void *arg), void *arg)
{
	ErrorData  *volatile error = NULL;

	Assert(!IsTransactionState());
	PG_TRY();
	{
		attempt(arg);
		Assert(!IsTransactionState());
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		error = undo(false);
		prism_worker_activity(NULL);
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	return error;
}

void
prism_worker_report(ErrorData *error)
{
	MemoryContext caller_cxt = CurrentMemoryContext;

	PG_TRY();
	{
		ReThrowError(error);
	}
	PG_CATCH();
	{
		report_error(error);
		MemoryContextSwitchTo(caller_cxt);
		FlushErrorState();
	}
	PG_END_TRY();
}

bool
prism_worker_error_passes(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return category == ERRCODE_TO_CATEGORY(ERRCODE_TRANSACTION_ROLLBACK) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION) ||
		error->sqlerrcode == ERRCODE_OBJECT_IN_USE || error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
}

/* The cause of an error is its code and its message before numbers and names were put in. */
static void
report_error(ErrorData *error)
{
	const char *text = error->message_id != NULL ? error->message_id : "";
	uint32		cause = hash_bytes((const unsigned char *) text, strlen(text)) ^ hash_bytes_uint32(error->sqlerrcode);
	int64		times;

	switch (prism_report_decide(&report_limit, cause, &times))
	{
		case PRISM_REPORT_FULL:
			EmitErrorReport();
			break;
		case PRISM_REPORT_SUMMARY:
			ereport(LOG,
					errcode(error->sqlerrcode),
					errmsg("%s: failed " INT64_FORMAT " more times: %s",
						   MyBgworkerEntry->bgw_name, times, error->message),
					errhidestmt(true), errhidecontext(true));
			break;
		case PRISM_REPORT_NOTHING:
			break;
	}
}

/* ---------------- waiting ---------------- */

void
prism_worker_wait(long timeout_ms, pgsocket socket)
{
	prism_worker_wait_many(timeout_ms, &socket, socket == PGINVALID_SOCKET ? 0 : 1);
}

void
prism_worker_wait_many(long timeout_ms, const pgsocket *sockets, int socket_count)
{
	long		delay_ms = prism_backoff_remaining_ms(&backoff);

	Assert(!IsTransactionState());
	if (delay_ms > 0)
	{
		/* A worker that failed waits, and answers the postmaster meanwhile. */
		timeout_ms = delay_ms;
		socket_count = 0;
	}
	else if (stats_due_ms > 0 && (timeout_ms < 0 || timeout_ms > stats_due_ms))
		timeout_ms = stats_due_ms;	/* then once more round the loop, which sends them */

	do
	{
		WaitEventSet *set = prism_create_wait_event_set(socket_count + 2);
		WaitEvent	event;

		AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
		AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
		for (int i = 0; i < socket_count; i++)
			AddWaitEventToSet(set, WL_SOCKET_READABLE, sockets[i], NULL, NULL);
		(void) WaitEventSetWait(set, timeout_ms, &event, 1, prism_wait_event(PRISM_WAIT_WORK));
		FreeWaitEventSet(set);
		ResetLatch(MyLatch);	/* before looking for work, never after */
		prism_worker_attend();
		timeout_ms = prism_backoff_remaining_ms(&backoff);
	} while (timeout_ms > 0);
}

void
prism_worker_attend(void)
{
	Assert(!IsTransactionState());
	if (prism_worker_told_to_end)
		prism_worker_leave(1);
	QueryCancelPending = false; /* there is no query to cancel */
	CHECK_FOR_INTERRUPTS();
	ProcessCatchupInterrupt();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		reloads++;
		if (prism_my_worker->identity.kind == PRISM_LAUNCHER)
			prism_worker_wake_database(InvalidOid);
	}
	if (prism_my_worker->try_at_once)
	{
		prism_my_worker->try_at_once = false;
		nudges++;
		backoff.retry_at = 0;
	}
	if (prism_my_worker->identity.kind != PRISM_LAUNCHER &&
		(prism_my_worker->stop_requested || prism_my_worker->yield_requested ||
		 prism_worker_is_off(prism_my_worker->identity.kind)))
		prism_worker_leave(0);
}

uint64
prism_worker_reloads(void)
{
	return reloads;
}

uint64
prism_worker_nudges(void)
{
	return nudges;
}

void
prism_worker_leave(int code)
{
	Assert(code == 0 || code == 1);
	proc_exit(code);
}

/* ---------------- transactions ---------------- */

void
prism_worker_begin(const char *activity)
{
	prism_worker_begin_session(activity);
	session_identity = prism_enter_owner();
}

void
prism_worker_begin_session(const char *activity)
{
	prism_worker_activity(activity);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (!lock_extension())
	{
		if (prism_my_worker->identity.kind == PRISM_MANAGER)
			prism_worker_change(PRISM_WORKER_ABSENT, 0, NULL);
		prism_worker_leave(0);
	}
	prism_check_version();
	PushActiveSnapshot(GetTransactionSnapshot());
	GetUserIdAndSecContext(&session_identity.user, &session_identity.security_context);
}

void
prism_worker_commit(void)
{
	prism_leave_owner(session_identity);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(step_mcxt);
	prism_worker_activity(NULL);
}

/* Whatever the function sets afterwards, the end of the nest level takes back as well. */
void
prism_worker_session_settings(void)
{
	for (int i = 0; i < (int) lengthof(worker_settings); i++)
		if (session_settings[i] != NULL)
			(void) set_config_option(worker_settings[i].name, session_settings[i], PGC_SUSET, PGC_S_SESSION,
									 GUC_ACTION_SAVE, true, 0, false);
}

MemoryContext
prism_step_mcxt(void)
{
	return step_mcxt;
}

/* Hold the extension until the end of the transaction; false: there is none (any more). */
static bool
lock_extension(void)
{
	for (;;)
	{
		Oid			extension = prism_extension_oid();

		if (!OidIsValid(extension))
			return false;
		LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
		if (prism_extension_oid() == extension)
			return true;
		UnlockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
	}
}

/* ---------------- being seen ---------------- */

void
prism_worker_activity(const char *activity)
{
	pgstat_report_activity(activity == NULL ? STATE_IDLE : STATE_RUNNING, activity);
}

void
prism_worker_show(PrismWorkerState state, const char *error)
{
	prism_worker_change(error == NULL ? PRISM_WORKER_RUNNING : state, 0, error == NULL ? "" : error);
}
