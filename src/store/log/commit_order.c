/*-------------------------------------------------------------------------
 *
 * commit_order.c
 *	  What the rest of a commit would wait for, done before blocks are registered.
 *
 * Readers of a topic wait for whoever has registered a block, and PostgreSQL's
 * CommitTransaction() goes on after the PRE_COMMIT callbacks.  What of that can
 * wait for another session, or for the client:
 *
 *	PreCommit_on_commit_actions()  the lock of each temporary table that is
 *		emptied or dropped; another session of the role may hold it.  Done here.
 *	PreCommit_Notify()  one lock for all databases, which another session keeps
 *		as long as its commit lasts, its wait for a standby included.  Taken here.
 *	any message to the client  when the client does not read.  Kept back here;
 *		warnings are told when readers wait no more.  The error that ends the
 *		transaction is sent before PostgreSQL aborts it, with interrupts held: the
 *		registration is taken back before (prism_log_give_back()).
 *	callbacks of other libraries  those registered later are called earlier, so
 *		what a session loads comes before us (postgres_fdw's remote COMMIT); what is
 *		preloaded before prism comes after us: doctor says so.
 *	waiting for a synchronous standby  cannot be done before: the commit record
 *		is written then.  README says so.
 *
 * Deferred triggers and cursors come before the callbacks; files of new tables
 * (wal_level = minimal), large objects, the check for serialization failures
 * and the relation map wait for nobody.
 *
 * src/store/log/commit_order.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/log/commit_order.h"

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/async.h"
#include "commands/tablecmds.h"
#include "mb/pg_wchar.h"
#include "storage/lmgr.h"
#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/memutils.h"

/* A commit has one at most, of a standby that is not waited for any longer; more only through other libraries. */
#define WARNINGS_MAX 4

typedef struct Warning
{
	int			code;
	char		message[256];
	char		detail[512];
} Warning;

static bool notify_locked = false;
static bool quiet = false;
static int	client_level;
static int	server_level;
static Warning warnings[WARNINGS_MAX];
static int	warning_count = 0;

/*
 * PostgreSQL calls it again and finds nothing to do: dropped tables are noted
 * as dropped, and without the flag, which opening a temporary table sets,
 * nothing is emptied twice.
 */
void
prism_commit_temporary_tables(void)
{
	if ((MyXactFlags & XACT_FLAGS_ACCESSEDTEMPNAMESPACE) == 0)
		return;
	PreCommit_on_commit_actions();
	MyXactFlags &= ~XACT_FLAGS_ACCESSEDTEMPNAMESPACE;
}

/*
 * Only async.c knows whether there are notifications, and only the check for
 * PREPARE TRANSACTION says so: it compares two pointers, takes nothing, and
 * fails when there are some.
 */
static bool
has_notifications(void)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool found = false;

	PG_TRY();
	{
		AtPrepare_Notify();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		if (geterrcode() != ERRCODE_FEATURE_NOT_SUPPORTED)
			PG_RE_THROW();
		FlushErrorState();
		found = true;
	}
	PG_END_TRY();
	return found;
}

/* As PreCommit_Notify() does it; the transaction number before, for a session that waits on the lock shall have one. */
void
prism_commit_lock_notify(void)
{
	if (!has_notifications())
		return;
	(void) GetCurrentTransactionId();
	LockSharedObject(DatabaseRelationId, InvalidOid, 0, AccessExclusiveLock);
	notify_locked = true;
}

void
prism_commit_unlock_notify(void)
{
	if (notify_locked)
		UnlockSharedObject(DatabaseRelationId, InvalidOid, 0, AccessExclusiveLock);
	notify_locked = false;
}

/* Warnings are still reported to the server, whatever its log is to tell: else nobody would hear of them, nor of errors. */
void
prism_commit_be_quiet(void)
{
	if (quiet)
		return;
	quiet = true;
	warning_count = 0;
	client_level = client_min_messages;
	server_level = log_min_messages;
	client_min_messages = Max(client_min_messages, ERROR);
	log_min_messages = server_level == LOG ? WARNING : Min(server_level, WARNING);
}

/* What the server's log is to have; LOG is a level of its own there. */
static bool
is_for_log(int elevel)
{
	if (elevel == LOG || elevel == LOG_SERVER_ONLY)
		return server_level <= ERROR;
	return elevel >= (server_level == LOG ? FATAL : server_level);
}

static void
copy_text(char *copy, size_t size, const char *text)
{
	size_t		bytes = text == NULL ? 0 : pg_mbcliplen(text, strlen(text), size - 1);

	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
}

void
prism_commit_hear(ErrorData *report)
{
	if (!quiet)
		return;
	if (report->elevel == WARNING && client_level <= WARNING && warning_count < WARNINGS_MAX)
	{
		Warning    *warning = &warnings[warning_count++];

		warning->code = report->sqlerrcode;
		copy_text(warning->message, sizeof(warning->message), report->message);
		copy_text(warning->detail, sizeof(warning->detail), report->detail);
	}
	if (!is_for_log(report->elevel))
		report->output_to_server = false;
}

void
prism_commit_order_end(bool committed)
{
	notify_locked = false;
	if (quiet)
	{
		client_min_messages = client_level;
		log_min_messages = server_level;
	}
	if (!committed)
		warning_count = 0;
	quiet = false;
}

/* To the client alone: the server's log has them. */
void
prism_commit_tell(void)
{
	int			count = warning_count;

	warning_count = 0;
	for (int i = 0; i < count; i++)
		ereport(WARNING_CLIENT_ONLY,
				errcode(warnings[i].code),
				errmsg_internal("%s", warnings[i].message),
				warnings[i].detail[0] != '\0' ? errdetail_internal("%s", warnings[i].detail) : 0);
}
