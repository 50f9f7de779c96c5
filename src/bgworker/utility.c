/*-------------------------------------------------------------------------
 *
 * utility.c
 *	  Commands that concern prism's workers while they run.
 *
 * DROP DATABASE, ALTER DATABASE RENAME and SET TABLESPACE, and CREATE DATABASE
 * with a TEMPLATE fail when somebody else is connected to the database.  Nobody
 * should have to know that prism's workers are: they are asked to leave first
 * and come back afterwards, if the database is still there.
 *
 * That the extension itself comes, changes or goes is seen by the object access
 * hook, whatever command does it; so are changes of functions and roles, which
 * may be what a handler waits for.
 *
 * src/bgworker/utility.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/extension.h"
#include "bgworker/utility.h"
#include "bgworker/wakeup.h"
#include "store/handler/handler.h"
#include "store/log/log.h"
#include "store/log/segment.h"
#include "store/log/topic.h"

#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_user_mapping.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/syscache.h"

/* What a command wants with a database. */
typedef struct DatabaseCommand
{
	const char *name;			/* NULL: none must be left alone */
	bool		copies;			/* reads it as a template */
	bool		changes_list;	/* pg_database may look different afterwards */
} DatabaseCommand;

static ProcessUtility_hook_type former_utility = NULL;
static object_access_hook_type former_object_access = NULL;

static DatabaseCommand database_command(Node *statement);
static bool takes_prism(Node *statement);
static bool restores_relation(Node *statement);
static bool changes_rights(Node *statement);
static const char *option_string(List *options, const char *name);
static Oid	database_to_empty(const DatabaseCommand *command);
static bool may_disturb(Oid database, bool copies);

/* The workers come back at the end of the transaction, whose only command this is. */
static void
process_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo parameters,
				QueryEnvironment *environment, DestReceiver *receiver, QueryCompletion *completion)
{
	DatabaseCommand command = database_command(statement->utilityStmt);
	Oid			database = database_to_empty(&command);
	bool		discards = IsA(statement->utilityStmt, DiscardStmt) &&
		((DiscardStmt *) statement->utilityStmt)->target == DISCARD_ALL;

	if (command.changes_list)
		prism_wake_databases_changed();
	if (takes_prism(statement->utilityStmt))
	{
		prism_segments_await_dropped();
		/* workers read the catalogue and then lock topics */
		prism_wake_hold_off(MyDatabaseId, false);
		prism_topic_lock_all();
	}
	if (OidIsValid(database))
		prism_wake_hold_off(database, IsA(statement->utilityStmt, DropdbStmt));
	if (context == PROCESS_UTILITY_TOPLEVEL &&
		(restores_relation(statement->utilityStmt) || changes_rights(statement->utilityStmt)))
		prism_wake_relations_restored();

	if (former_utility != NULL)
		former_utility(statement, query, read_only_tree, context, parameters, environment, receiver, completion);
	else
		standard_ProcessUtility(statement, query, read_only_tree, context, parameters, environment, receiver, completion);

	if (discards)
		prism_log_forget_last_positions();	/* a pooler gives the session to somebody else */
}

static DatabaseCommand
database_command(Node *statement)
{
	DatabaseCommand command = {0};

	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			command.name = ((DropdbStmt *) statement)->dbname;
			break;
		case T_RenameStmt:
			if (((RenameStmt *) statement)->renameType == OBJECT_DATABASE)
				command.name = ((RenameStmt *) statement)->subname;
			break;
		case T_AlterDatabaseStmt:
			command.changes_list = true;	/* ALLOW_CONNECTIONS, IS_TEMPLATE */
			if (option_string(((AlterDatabaseStmt *) statement)->options, "tablespace") != NULL)
				command.name = ((AlterDatabaseStmt *) statement)->dbname;
			break;
		case T_CreatedbStmt:
			command.changes_list = true;
			command.copies = true;
			command.name = option_string(((CreatedbStmt *) statement)->options, "template");
			if (command.name == NULL)
				command.name = "template1";
			break;
		default:
			break;
	}
	return command;
}

/* DROP OWNED and REASSIGN OWNED take what is the owner's, the extension and its relations among it. */
static bool
names_owner(const List *roles)
{
	Oid			owner = prism_extension_owner();
	ListCell   *cell;

	if (!OidIsValid(owner) || !has_privs_of_role(GetUserId(), owner))
		return false;
	foreach(cell, roles)
	{
		if (get_rolespec_oid(lfirst_node(RoleSpec, cell), true) == owner)
			return true;
	}
	return false;
}

static bool
names_prism(const DropStmt *drop)
{
	Oid			extension;
	ListCell   *cell;

	if (drop->removeType != OBJECT_EXTENSION)
		return false;
	extension = prism_extension_oid();
	if (!OidIsValid(extension) || !prism_extension_ownercheck(extension, GetUserId()))
		return false;
	foreach(cell, drop->objects)
	{
		if (strcmp(strVal(lfirst(cell)), "prism") == 0)
			return true;
	}
	return false;
}

/*
 * DROP EXTENSION locks the catalogue's tables before the topics', publishers
 * lock theirs the other way round: without the topics' locks first, it would
 * end in a deadlock whenever somebody publishes.  So it is with all commands
 * that drop the extension or give it to another owner.  False as well for those
 * who are not allowed to.
 */
static bool
takes_prism(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_DropStmt:
			return names_prism((DropStmt *) statement);
		case T_DropOwnedStmt:
			return names_owner(((DropOwnedStmt *) statement)->roles);
		case T_ReassignOwnedStmt:
			return names_owner(((ReassignOwnedStmt *) statement)->roles);
		default:
			return false;
	}
}

/*
 * Prism makes its relations at run time by itself, never by a client's
 * command: that is a restore, which leaves out their dependency.
 */
static bool
restores_relation(Node *statement)
{
	const RangeVar *relation = NULL;

	switch (nodeTag(statement))
	{
		case T_CreateStmt:
			relation = ((CreateStmt *) statement)->relation;
			break;
		case T_CreateForeignTableStmt:
			relation = ((CreateForeignTableStmt *) statement)->base.relation;
			break;
		case T_CreateSeqStmt:
			relation = ((CreateSeqStmt *) statement)->sequence;
			break;
		case T_ViewStmt:
			relation = ((ViewStmt *) statement)->view;
			break;
		case T_IndexStmt:
			/* the last thing that a restore makes: from here on the tables are as they were */
			relation = ((IndexStmt *) statement)->relation;
			break;
		default:
			break;
	}
	return relation != NULL && relation->schemaname != NULL &&
		(strcmp(relation->schemaname, "prism_log") == 0 || strcmp(relation->schemaname, "prism") == 0);
}

/* By hand, what prism.grant() has given: the maintainer keeps what is noted of it as it is. */
static bool
changes_rights(Node *statement)
{
	ListCell   *cell;

	if (IsA(statement, DropOwnedStmt))
		return true;
	if (IsA(statement, RenameStmt))
		return ((RenameStmt *) statement)->renameType == OBJECT_ROLE;
	if (!IsA(statement, GrantStmt) || ((GrantStmt *) statement)->objtype != OBJECT_TABLE)
		return false;
	if (((GrantStmt *) statement)->targtype != ACL_TARGET_OBJECT)
		return true;
	foreach(cell, ((GrantStmt *) statement)->objects)
	{
		const RangeVar *relation = lfirst_node(RangeVar, cell);

		if (relation->schemaname != NULL && strcmp(relation->schemaname, "prism_log") == 0)
			return true;
	}
	return false;
}

static const char *
option_string(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, name) == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;
}

/* The database that workers must leave, InvalidOid: none. */
static Oid
database_to_empty(const DatabaseCommand *command)
{
	Oid			database;

	if (command->name == NULL)
		return InvalidOid;
	database = get_database_oid(command->name, true);
	if (!OidIsValid(database) || (database == MyDatabaseId && !command->copies))
		return InvalidOid;		/* the command itself says what is wrong */
	return may_disturb(database, command->copies) ? database : InvalidOid;
}

/* Workers do not stop for a command that will be refused anyway. */
static bool
may_disturb(Oid database, bool copies)
{
	HeapTuple	tuple;
	bool		may_create = false;
	bool		is_template = false;

	if (superuser())
		return true;
	if (prism_database_ownercheck(database, GetUserId()))
		return true;
	if (!copies)
		return false;

	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		may_create = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	if (HeapTupleIsValid(tuple))
	{
		is_template = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return may_create && is_template;
}

/* ---------- the extension and its servers ---------- */

static void
on_object_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	if (former_object_access != NULL)
		former_object_access(access, class_id, object_id, sub_id, arg);
	if (access != OAT_POST_CREATE && access != OAT_POST_ALTER && access != OAT_DROP)
		return;

	if (class_id == ExtensionRelationId)
	{
		/* a new extension says so itself, at the end of its script */
		if (access == OAT_DROP && object_id == prism_extension_oid())
			prism_wake_extension_dropped(object_id);
		else if (access == OAT_POST_ALTER)
			prism_wake_at_commit();
	}
	else if (class_id == AuthIdRelationId)
	{
		const char *installed = access == OAT_DROP ? prism_installed_version() : NULL;

		prism_wake_roles_changed();
		if (installed != NULL && strcmp(installed, PRISM_VERSION) == 0)
			prism_handler_refuse_drop_role(object_id);
	}
	else if (class_id == ProcedureRelationId)
		prism_wake_functions_changed();
	else if ((class_id == ForeignServerRelationId || class_id == UserMappingRelationId) &&
			 OidIsValid(prism_extension_oid()))
		prism_wake_servers_changed();
}

void
prism_utility_init(void)
{
	former_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	former_object_access = object_access_hook;
	object_access_hook = on_object_access;
}
