/*-------------------------------------------------------------------------
 *
 * outbox_replica.c
 *	  No INSERT or COPY into an outbox, or of a payload's pieces, whose trigger would not fire.
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

/* What such a trigger does, and what does it as well. */
typedef struct InsertTrigger
{
	const char *function;
	const char *view;
	const char *does;
	const char *instead;
} InsertTrigger;

static const InsertTrigger insert_triggers[] = {
	{"outbox_insert", "outbox", "publishes", "prism.publish()"},
	{"payload_piece_insert", "view", "appends", "prism.payload_append()"},
};

/* NULL: it is none of ours. */
static const InsertTrigger *
our_trigger(Oid function)
{
	const char *name = get_func_name(function);

	for (int i = 0; i < (int) lengthof(insert_triggers); i++)
	{
		if (name != NULL && strcmp(name, insert_triggers[i].function) == 0 &&
			get_func_namespace(function) == get_namespace_oid("prism", true))
			return &insert_triggers[i];
	}
	return NULL;
}

/* A view, be it prism's or one of somebody's own, with our trigger, which does not fire. */
static const InsertTrigger *
loses_rows(Oid relid)
{
	Relation	view;
	const InsertTrigger *found = NULL;

	if (get_rel_relkind(relid) != RELKIND_VIEW)
		return NULL;
	view = relation_open(relid, AccessShareLock);
	for (int i = 0; found == NULL && view->trigdesc != NULL && i < view->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &view->trigdesc->triggers[i];

		if (TRIGGER_FOR_INSERT(trigger->tgtype) && TRIGGER_FOR_INSTEAD(trigger->tgtype) &&
			trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN)
			found = our_trigger(trigger->tgfoid);
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
		const InsertTrigger *trigger = (need->requiredPerms & ACL_INSERT) != 0 ? loses_rows(need->relid) : NULL;

		if (trigger == NULL)
			continue;
		if (!report)
			return false;
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("cannot insert into %s \"%s\" under session_replication_role = replica", trigger->view, get_rel_name(need->relid)),
				errdetail("PostgreSQL does not call the trigger that %s: the row would be lost.", trigger->does),
				errhint("Call %s, which works in every role; also in the triggers of a table that a subscription fills.", trigger->instead));
	}
	return true;
}

void
prism_outbox_init(void)
{
	former_check_perms = ExecutorCheckPerms_hook;
	ExecutorCheckPerms_hook = check_perms;
}
