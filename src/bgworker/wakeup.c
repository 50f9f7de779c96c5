/*-------------------------------------------------------------------------
 *
 * wakeup.c
 *	  Asking prism's workers for something from any backend.
 *
 * What is asked for by a transaction is noted in this backend and passed on
 * when others can see what it did: in the COMMIT callback, and for what workers
 * read from the catalogue, when the invalidation messages are out, which
 * PostgreSQL sends after that callback.
 *
 * src/bgworker/wakeup.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/extension.h"
#include "base/module.h"
#include "bgworker/database.h"
#include "bgworker/slots.h"
#include "bgworker/wakeup.h"
#include "store/group/group.h"

#include "fmgr.h"
#include "miscadmin.h"

/* How long a command waits for workers to leave; PostgreSQL itself waits some seconds more for anybody. */
#define LEAVE_TIMEOUT_MS 5000

PG_FUNCTION_INFO_V1(prism_wake_workers);

/* What this transaction asked for. */
static bool wake_wanted = false;	/* prism's configuration changed */
static Oid	dropped_extension = InvalidOid;	/* the first one: a savepoint can bring back only that */
static Oid	new_extension = InvalidOid; /* the last one that was made after it */
static bool servers_changed = false;
static bool functions_changed = false;
static bool roles_changed = false;
static bool relations_restored = false;
static bool databases_changed = false;
static Oid	held_database = InvalidOid;
static bool held_is_dropped = false;
/* Committed, and the invalidations not yet sent. */
static bool wake_when_told = false;
static bool wake_handlers_when_told = false;
static bool wake_all_when_told = false;
/* Settled before the commit: the extension is gone, so is what shared memory knows of its topics. */
static bool forget_topics = false;

static void hear_new_extension(void);

Datum
prism_wake_workers(PG_FUNCTION_ARGS)
{
	prism_wake_at_commit();
	hear_new_extension();
	PG_RETURN_VOID();
}

void
prism_wake_at_commit(void)
{
	wake_wanted = true;
}

void
prism_wake_maintainer(void)
{
	if (prism_preloaded)
		prism_worker_wake(PRISM_MAINTAINER, MyDatabaseId);
}

void
prism_wake_scheduler(void)
{
	if (!prism_worker_wake(PRISM_SCHEDULER, MyDatabaseId))
		(void) prism_worker_wake(PRISM_MANAGER, MyDatabaseId);
}

void
prism_wake_extension_dropped(Oid extension)
{
	wake_wanted = true;
	if (!OidIsValid(dropped_extension))
		dropped_extension = extension;
}

/*
 * The extension's script says so at its end.  Where the same transaction has
 * dropped it before, its numbers begin at one again: what shared memory knows
 * of those of the former one must not be found by who has its number next.
 */
static void
hear_new_extension(void)
{
	Oid			extension;

	if (!OidIsValid(dropped_extension))
		return;
	extension = prism_extension_oid();
	if (!OidIsValid(extension) || extension == dropped_extension || extension == new_extension)
		return;
	if (prism_group_has_work())
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("extension \"prism\" cannot be made anew in a transaction that has used consumer groups of the former one"),
				errhint("Commit before CREATE EXTENSION."));
	new_extension = extension;
	prism_modules_forget_database(MyDatabaseId, false);
}

void
prism_wake_servers_changed(void)
{
	servers_changed = true;
}

void
prism_wake_functions_changed(void)
{
	functions_changed = true;
}

void
prism_wake_roles_changed(void)
{
	roles_changed = true;
}

void
prism_wake_relations_restored(void)
{
	relations_restored = true;
}

void
prism_wake_databases_changed(void)
{
	databases_changed = true;
}

/* Noted first: an error while waiting must let them come back. */
void
prism_wake_hold_off(Oid database, bool to_drop)
{
	if (OidIsValid(held_database))
		prism_database_release(held_database);	/* also the same: one release is to let them come back */
	held_database = database;
	held_is_dropped = to_drop;
	(void) prism_database_hold_off(database, LEAVE_TIMEOUT_MS);
}

/* A savepoint may have brought the extension back: look whether it is really gone. */
bool
prism_wake_pre_commit(void)
{
	if (OidIsValid(dropped_extension))
		forget_topics = !OidIsValid(prism_extension_oid());
	return forget_topics;
}

/* COMMIT PREPARED runs in another session, which could not tell the workers. */
void
prism_wake_pre_prepare(void)
{
	if (wake_wanted)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot PREPARE a transaction that has changed prism's configuration"),
				errhint("Commit it in one phase."));
}

void
prism_wake_end(bool committed)
{
	if (committed && forget_topics)
		prism_modules_forget_database(MyDatabaseId, true);
	else if (OidIsValid(new_extension) && !committed)
		prism_modules_forget_database(MyDatabaseId, false);	/* of groups that have never been; the former ones are read again */
	if (committed && held_is_dropped)
		prism_modules_forget_database(held_database, true);
	if (committed && wake_wanted && prism_preloaded)
		prism_database_look_at(MyDatabaseId);
	wake_when_told = committed && (wake_wanted || servers_changed || relations_restored) && prism_preloaded;
	wake_handlers_when_told = committed && functions_changed && prism_preloaded;
	wake_all_when_told = committed && roles_changed && prism_preloaded;
	if (OidIsValid(held_database))
		prism_database_release(held_database);
	else if (committed && databases_changed)
		prism_database_look_at(InvalidOid);

	wake_wanted = forget_topics = false;
	dropped_extension = new_extension = InvalidOid;
	servers_changed = relations_restored = databases_changed = false;
	functions_changed = roles_changed = false;
	held_database = InvalidOid;
	held_is_dropped = false;
}

/* A worker woken earlier could look before the invalidation reaches it, find nothing new, and sleep on. */
void
prism_wake_told(void)
{
	if (wake_all_when_told)
		prism_worker_wake_database(InvalidOid);		/* roles belong to all databases */
	else if (wake_when_told)
		prism_worker_wake_database(MyDatabaseId);
	else if (wake_handlers_when_told)
		prism_worker_nudge(PRISM_HANDLER_WORKER, MyDatabaseId);
	wake_all_when_told = wake_when_told = wake_handlers_when_told = false;
}
