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
 *	any message to the client  when the client does not read.  Kept back here.
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
 * src/store/commit_order.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "store/commit_order.h"

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/async.h"
#include "commands/tablecmds.h"
#include "storage/lmgr.h"
#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/memutils.h"

static bool notify_locked = false;
static bool quiet = false;
static int	client_level;

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

/* As PreCommit_Notify() does it; the transaction number before, for who waits on the lock shall have one. */
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

/* A warning, as of a standby that is not waited for any longer, is worth it. */
void
prism_commit_be_quiet(void)
{
	if (!quiet)
		client_level = client_min_messages;
	quiet = true;
	client_min_messages = Max(client_min_messages, WARNING);
}

void
prism_commit_order_end(void)
{
	notify_locked = false;
	if (quiet)
		client_min_messages = client_level;
	quiet = false;
}
