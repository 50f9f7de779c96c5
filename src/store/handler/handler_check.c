/*-------------------------------------------------------------------------
 *
 * handler_check.c
 *	  Whether a handler can be called: its role, its function, the rights of one on the other.
 *
 * Asked when it is registered and again before each call, as all of it may
 * change in between; views ask as well, and so name the same reasons.
 *
 * src/store/handler/handler_check.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/generation.h"
#include "base/guc.h"
#include "store/handler/handler.h"

#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static PrismHandlerFault *
make_fault(int sqlstate, const char *message, const char *hint)
{
	PrismHandlerFault *made = palloc(sizeof(PrismHandlerFault));

	*made = (PrismHandlerFault) {.sqlstate = sqlstate,.message = message,.hint = hint};
	return made;
}

/* ---------- a place ---------- */

const PrismHandlerFault *
prism_handler_no_place(void)
{
	return make_fault(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
					  psprintf("no free place for the handler: all %d of prism.max_groups are in use, over all databases",
							   prism_max_groups),
					  "Raise prism.max_groups and restart the server, or remove handlers that are not needed with prism.off().");
}

/* ---------- the role ---------- */

static PrismHandlerFault *
party_gone(const char *name)
{
	return make_fault(ERRCODE_UNDEFINED_OBJECT,
					  psprintf("role \"%s\" was dropped, or has given up its rights by DROP OWNED", name),
					  "Register the handler again with prism.off() and prism.on().");
}

static PrismHandlerFault *
check_role(Oid role_oid, const char *name)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role_oid));
	FormData_pg_authid role;

	if (!HeapTupleIsValid(tuple))
		return party_gone(name);
	memcpy(&role, GETSTRUCT(tuple), offsetof(FormData_pg_authid, rolconnlimit));
	ReleaseSysCache(tuple);

	if (role.rolsuper)
		return make_fault(ERRCODE_INSUFFICIENT_PRIVILEGE,
						  psprintf("handlers do not run as superuser \"%s\"", name),
						  "Name a role that has no more rights than the function needs: role => '...'.");
	if (!role.rolcanlogin)
		return make_fault(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
						  psprintf("role \"%s\" is not permitted to log in", name),
						  "A worker's session is the role's own: ALTER ROLE ... LOGIN. It needs no password.");
	if (!prism_object_allows(DatabaseRelationId, MyDatabaseId, role_oid, ACL_CONNECT))
		return make_fault(ERRCODE_INSUFFICIENT_PRIVILEGE,
						  psprintf("role \"%s\" is not permitted to connect to this database", name),
						  "GRANT CONNECT ON DATABASE ... to it.");
	return NULL;
}

const PrismHandlerFault *
prism_handler_check_role(Oid role, const char *name)
{
	return check_role(role, name);
}

/* The role that registered the handler could SET ROLE to the one that it runs as, and still can. */
static PrismHandlerFault *
check_registrant(const PrismHandler *handler)
{
	if (!OidIsValid(handler->registered_by_oid))
		return party_gone(handler->registered_by);
	if (prism_member_can_set_role(handler->registered_by_oid, handler->role_oid))
		return NULL;
	return make_fault(ERRCODE_INSUFFICIENT_PRIVILEGE,
					  psprintf("role \"%s\", which registered the handler, cannot SET ROLE \"%s\"",
							   handler->registered_by, handler->role),
					  "Let somebody who can register it again with prism.off() and prism.on().");
}

static PrismHandlerFault *
check_topic(const PrismHandler *handler, const PrismTopic *topic)
{
	if (prism_topic_allows_role(topic, PRISM_CONSUME, handler->role_oid))
		return NULL;
	return make_fault(ERRCODE_INSUFFICIENT_PRIVILEGE,
					  psprintf("role \"%s\" has no right to consume from topic \"%s\"", handler->role, topic->name),
					  "The namespace's administrator can run prism.grant(namespace, 'consume', role).");
}

/* ---------- the function ---------- */

Oid
prism_handler_argument_type(bool takes_batch)
{
	Oid			message = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("message"),
										  ObjectIdGetDatum(get_namespace_oid("prism", false)));

	return takes_batch ? get_array_type(message) : message;
}

/*
 * What a function does is up to its owner, at any time; and whoever may write to
 * its schema could take its name once that is free.  So what is called with a
 * role's rights belongs to who has them: the role itself, who can SET ROLE to
 * it, or a superuser.
 */
static PrismHandlerFault *
check_owner(const PrismHandler *handler, const char *shown, Oid owner)
{
	const char *owner_name;

	if (prism_member_can_set_role(owner, handler->role_oid))
		return NULL;
	owner_name = GetUserNameFromId(owner, true);
	return make_fault(ERRCODE_INSUFFICIENT_PRIVILEGE,
					  psprintf("function %s belongs to role \"%s\", which cannot SET ROLE \"%s\"",
							   shown, owner_name != NULL ? owner_name : "?", handler->role),
					  "Its owner decides what it does, now and later: let it belong to the role, to a member of it, or to a superuser.");
}

static const char *
show_function(const PrismHandler *handler)
{
	return psprintf("%s(%s)", prism_handler_function(handler),
					format_type_be(prism_handler_argument_type(handler->takes_batch)));
}

static PrismHandlerFault *
check_function(const PrismHandler *handler, Oid *found)
{
	Oid			schema = get_namespace_oid(handler->function_schema, true);
	Oid			argument = prism_handler_argument_type(handler->takes_batch);
	oidvector  *arguments = buildoidvector(&argument, 1);
	const char *shown = show_function(handler);
	HeapTuple	tuple = NULL;
	FormData_pg_proc function;

	if (OidIsValid(schema))
		tuple = SearchSysCache3(PROCNAMEARGSNSP, CStringGetDatum(handler->function_name),
								PointerGetDatum(arguments), ObjectIdGetDatum(schema));
	if (!HeapTupleIsValid(tuple))
		return make_fault(ERRCODE_UNDEFINED_FUNCTION, psprintf("function %s does not exist", shown),
						  "A handler is known by the name of its function.");
	memcpy(&function, GETSTRUCT(tuple), offsetof(FormData_pg_proc, proargtypes));
	ReleaseSysCache(tuple);

	if (OidIsValid(function.provariadic))
		return make_fault(ERRCODE_INVALID_FUNCTION_DEFINITION, psprintf("%s is variadic", shown),
						  "A handler takes its messages as one array.");
	if (function.prokind != PROKIND_FUNCTION || function.proretset || function.prorettype != VOIDOID)
		return make_fault(ERRCODE_INVALID_FUNCTION_DEFINITION,
						  psprintf("%s is not a function that returns void", shown),
						  "A handler returns nothing; what it could not do, it says by an error.");
	if (!prism_object_allows(NamespaceRelationId, schema, handler->role_oid, ACL_USAGE) ||
		!prism_object_allows(ProcedureRelationId, function.oid, handler->role_oid, ACL_EXECUTE))
		return make_fault(ERRCODE_INSUFFICIENT_PRIVILEGE,
						  psprintf("role \"%s\" has no right to execute function %s", handler->role, shown),
						  "It needs EXECUTE on the function and USAGE on its schema.");
	if (found != NULL)
		*found = function.oid;
	return check_owner(handler, shown, function.proowner);
}

const PrismHandlerFault *
prism_handler_check(const PrismHandler *handler, const PrismTopic *topic, Oid *function)
{
	PrismHandlerFault *fault = check_role(handler->role_oid, handler->role);

	if (fault != NULL)
	{
		fault->of_role = true;
		return fault;
	}
	fault = check_registrant(handler);
	if (fault == NULL)
		fault = check_topic(handler, topic);
	return fault != NULL ? fault : check_function(handler, function);
}

bool
prism_handler_stands(const PrismHandler *handler, uint64 generation)
{
	AcceptInvalidationMessages();
	return (prism_catalog_generation() == generation || prism_handler_has_row(handler)) &&
		prism_handler_has_consent(handler);
}

const PrismHandlerFault *
prism_handler_check_again(const PrismHandler *handler, Oid function)
{
	PrismHandlerFault *fault;
	HeapTuple	tuple;
	Oid			owner;

	AcceptInvalidationMessages();
	fault = check_registrant(handler);
	if (fault != NULL)
		return fault;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return NULL;			/* gone: with its owner's consent, or its own doing */
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return check_owner(handler, show_function(handler), owner);
}
