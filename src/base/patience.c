/*-------------------------------------------------------------------------
 *
 * patience.c
 *	  Which sessions wait for a lock on a relation of a topic, and which do not.
 *
 * src/base/patience.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/patience.h"

#include "access/xact.h"
#include "nodes/pg_list.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"

/* By which our own errors are known: others take it from errors about tables, which name the table as well. */
#define REFUSED_SCHEMA "prism_log"
#define REFUSED_COLUMN "waiting"

bool		prism_never_waits = false;

/* ---------- refusing ---------- */

void
prism_refuse_to_wait(Oid relid)
{
	char	   *name = get_rel_name(relid);

	ereport(ERROR,
			errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			name != NULL ? errmsg("prism_log.%s is locked by another session", name)
			: errmsg("relation %u is locked by another session", relid),
			errhint("It goes on when the lock is gone. To see the process that holds it, run SELECT pid, mode FROM pg_locks WHERE relation = %u AND granted.", relid),
			err_generic_string(PG_DIAG_SCHEMA_NAME, REFUSED_SCHEMA),
			err_generic_string(PG_DIAG_COLUMN_NAME, REFUSED_COLUMN));
}

void
prism_refuse_to_wait_for(const char *message)
{
	ereport(ERROR,
			errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			errmsg("%s", message),
			errhint("It goes on when that is done. pg_stat_activity shows what sessions wait for."),
			err_generic_string(PG_DIAG_SCHEMA_NAME, REFUSED_SCHEMA),
			err_generic_string(PG_DIAG_COLUMN_NAME, REFUSED_COLUMN));
}

int
prism_not_ready(void)
{
	if (!prism_never_waits)
		return errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE);
	err_generic_string(PG_DIAG_SCHEMA_NAME, REFUSED_SCHEMA);
	err_generic_string(PG_DIAG_COLUMN_NAME, REFUSED_COLUMN);
	return errcode(ERRCODE_LOCK_NOT_AVAILABLE);
}

bool
prism_is_refusal(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE &&
		error->schema_name != NULL && strcmp(error->schema_name, REFUSED_SCHEMA) == 0 &&
		error->column_name != NULL && strcmp(error->column_name, REFUSED_COLUMN) == 0;
}

/* By a checksum, a file that is not there, a disk, an index: what one table cannot be read by says nothing of others. */
static bool
is_damage(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TO_CATEGORY(ERRCODE_DATA_CORRUPTED) ||
		error->sqlerrcode == ERRCODE_IO_ERROR || error->sqlerrcode == ERRCODE_UNDEFINED_FILE;
}

static void
tell_damage(const ErrorData *error)
{
	ereport(WARNING,
			errcode(error->sqlerrcode),
			errmsg("something of prism cannot be read: %s", error->message),
			error->detail != NULL ? errdetail_internal("%s", error->detail) : 0);
}

/*
 * In a subtransaction.  A look that does not wait keeps no lock either: it is
 * rolled back in any case, else only for an error.  Returns that, or NULL.
 */
static ErrorData *
look_aside(void (*look) (void *arg), void *arg, bool waits)
{
	bool		before = prism_never_waits;
	MemoryContext caller_cxt = CurrentMemoryContext;
	ResourceOwner caller_owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller_cxt);
	prism_never_waits = before || !waits;
	PG_TRY();
	{
		look(arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller_cxt);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	prism_never_waits = before;
	if (waits && error == NULL)
		ReleaseCurrentSubTransaction();
	else
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller_cxt);
	CurrentResourceOwner = caller_owner;
	return error;
}

bool
prism_look_past_damage(void (*look) (void *arg), void *arg)
{
	ErrorData  *error = look_aside(look, arg, true);

	/* only now: an error that left the subtransaction open would leave the session in it */
	if (error != NULL && !is_damage(error))
		ReThrowError(error);
	if (error != NULL)
		tell_damage(error);
	return error == NULL;
}

bool
prism_look_without_waiting(void (*look) (void *arg), void *arg, const char **damage)
{
	ErrorData  *error = look_aside(look, arg, false);

	if (damage != NULL)
		*damage = NULL;
	if (error != NULL && damage != NULL && is_damage(error))
	{
		*damage = error->message;
		tell_damage(error);
		return false;
	}
	if (error != NULL && error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		ReThrowError(error);
	return error == NULL;
}

/* ---------- what belongs to a table ---------- */

List *
prism_lock_indexes(Relation table, LOCKMODE mode)
{
	List	   *indexes = RelationGetIndexList(table);
	ListCell   *cell;

	foreach(cell, indexes)
		prism_lock_relation(lfirst_oid(cell), mode);
	return indexes;
}

List *
prism_lock_toast(Relation table, LOCKMODE mode)
{
	Relation	toast;
	List	   *locked;

	if (!OidIsValid(table->rd_rel->reltoastrelid))
		return NIL;
	toast = prism_try_relation_open(table->rd_rel->reltoastrelid, mode);
	if (toast == NULL)
		return NIL;
	locked = lappend_oid(prism_lock_indexes(toast, mode), RelationGetRelid(toast));
	relation_close(toast, NoLock);
	return locked;
}

void
prism_unlock(List *relids, LOCKMODE mode)
{
	ListCell   *cell;

	foreach(cell, relids)
		UnlockRelationOid(lfirst_oid(cell), mode);
	list_free(relids);
}

/* ---------- all topics ---------- */

/* Tries to lock all without waiting for one with others locked. */
#define LOCK_ALL_TRIES 100

Oid
prism_try_topics(const List *marks, Oid held)
{
	ListCell   *cell;
	ListCell   *taken;

	foreach(cell, marks)
	{
		if (lfirst_oid(cell) == held || ConditionalLockRelationOid(lfirst_oid(cell), AccessExclusiveLock))
			continue;
		foreach(taken, marks)
		{
			if (taken == cell)
				break;
			if (lfirst_oid(taken) != held)
				UnlockRelationOid(lfirst_oid(taken), AccessExclusiveLock);
		}
		return lfirst_oid(cell);
	}
	return InvalidOid;
}

/*
 * Publishers lock topics in the order in which they come to them.  A wait for
 * one of them with another one locked ends in a deadlock, so here nothing
 * is held while something is waited for; but not for ever, as somebody may
 * always use one of many.
 */
void
prism_lock_all_topics(const List *marks)
{
	Oid			held = InvalidOid;
	ListCell   *cell;

	for (int i = 0; i < LOCK_ALL_TRIES; i++)
	{
		Oid			used = prism_try_topics(marks, held);

		if (!OidIsValid(used))
			return;
		if (OidIsValid(held))
			UnlockRelationOid(held, AccessExclusiveLock);
		LockRelationOid(used, AccessExclusiveLock);
		held = used;
	}
	foreach(cell, marks)
		LockRelationOid(lfirst_oid(cell), AccessExclusiveLock);
}
