/*-------------------------------------------------------------------------
 *
 * outbox_replica.c
 *	  No INSERT or COPY into an outbox whose trigger would not fire.
 *
 * Under session_replication_role = replica, as in the apply worker of a
 * subscription and whatever its triggers call, PostgreSQL passes over the
 * INSTEAD OF trigger of a view and counts the row as inserted: the message
 * would be lost without a word.  ENABLE ALWAYS TRIGGER is not to be had for
 * views; set in the catalogue, it would be in dumps that no restore takes.  So
 * such a statement is refused before it begins.
 *
 * src/api/outbox_replica.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/outbox_replica.h"
#include "base/compat.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"

static ExecutorCheckPerms_hook_type former_check_perms = NULL;

static bool
is_our_function(Oid function)
{
	const char *name = get_func_name(function);

	return name != NULL && strcmp(name, "outbox_insert") == 0 &&
		get_func_namespace(function) == get_namespace_oid("prism", true);
}

/* A view, be it prism's or one of somebody's own, with our trigger, which does not fire. */
static bool
loses_rows(Oid relid)
{
	Relation	view;
	bool		found = false;

	if (get_rel_relkind(relid) != RELKIND_VIEW)
		return false;
	view = relation_open(relid, AccessShareLock);
	for (int i = 0; view->trigdesc != NULL && i < view->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &view->trigdesc->triggers[i];

		if (TRIGGER_FOR_INSERT(trigger->tgtype) && TRIGGER_FOR_INSTEAD(trigger->tgtype) &&
			trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN && is_our_function(trigger->tgfoid))
			found = true;
	}
	relation_close(view, AccessShareLock);
	return found;
}

/* Of each statement, before it begins: an ordinary session pays for the look at its role alone. */
static bool
check_perms(PRISM_CHECK_PERMS_PARAMETERS)
{
	ListCell   *cell;

	if (former_check_perms != NULL && !former_check_perms(PRISM_CHECK_PERMS_ARGUMENTS))
		return false;
	if (likely(SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA))
		return true;
	foreach(cell, needs)
	{
		const PrismNeededPerms *need = lfirst(cell);

		if ((need->requiredPerms & ACL_INSERT) == 0 || !loses_rows(need->relid))
			continue;
		if (!report)
			return false;
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("cannot insert into outbox \"%s\" under session_replication_role = replica", get_rel_name(need->relid)),
				errdetail("PostgreSQL does not call the trigger that publishes: the row would be lost."),
				errhint("Call prism.publish(), which works in every role; also in the triggers of a table that a subscription fills."));
	}
	return true;
}

void
prism_outbox_init(void)
{
	former_check_perms = ExecutorCheckPerms_hook;
	ExecutorCheckPerms_hook = check_perms;
}
