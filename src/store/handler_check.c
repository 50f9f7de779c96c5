/*-------------------------------------------------------------------------
 *
 * handler_check.c
 *	  Whether a handler can be called: its role, its function, the rights of one on the other.
 *
 * Asked when it is registered and again before each call, as all of it may
 * change in between; views ask as well, and so name the same reasons.
 *
 * src/store/handler_check.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "compat.h"
#include "store/handler.h"

#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static PrismHandlerFault *
make_fault(int sqlstate, const char *message, const char *hint)
{
	PrismHandlerFault *made = palloc(sizeof(PrismHandlerFault));

	*made = (PrismHandlerFault) {.sqlstate = sqlstate,.message = message,.hint = hint};
	return made;
}

/* ---------- the role ---------- */

static PrismHandlerFault *
check_role(const PrismHandler *handler)
{
	HeapTuple	tuple = SearchSysCache1(AUTHNAME, CStringGetDatum(handler->role));
	FormData_pg_authid role;

	if (!HeapTupleIsValid(tuple))
		return make_fault(ERRCODE_UNDEFINED_OBJECT,
						  psprintf("role \"%s\" does not exist", handler->role), NULL);
	memcpy(&role, GETSTRUCT(tuple), offsetof(FormData_pg_authid, rolconnlimit));
	ReleaseSysCache(tuple);

	if (role.rolsuper)
		return make_fault(ERRCODE_INSUFFICIENT_PRIVILEGE,
						  psprintf("handlers do not run as superuser \"%s\"", handler->role),
						  "Name a role that has no more rights than the function needs: role => '...'.");
	if (!role.rolcanlogin)
		return make_fault(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
						  psprintf("role \"%s\" is not permitted to log in", handler->role),
						  "A worker's session is the role's own: ALTER ROLE ... LOGIN. It needs no password.");
	if (!prism_object_allows(DatabaseRelationId, MyDatabaseId, role.oid, ACL_CONNECT))
		return make_fault(ERRCODE_INSUFFICIENT_PRIVILEGE,
						  psprintf("role \"%s\" is not permitted to connect to this database", handler->role),
						  "GRANT CONNECT ON DATABASE ... to it.");
	return NULL;
}

static PrismHandlerFault *
check_topic(const PrismHandler *handler, const PrismTopic *topic)
{
	if (prism_topic_allows_role(topic, PRISM_CONSUME, get_role_oid(handler->role, false)))
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

const char *
prism_handler_function(const PrismHandler *handler)
{
	return quote_qualified_identifier(handler->function_schema, handler->function_name);
}

/*
 * A function is known by its name, and whoever may write to its schema could
 * take that name once it is free.  What is called with a role's rights is what
 * the one wrote who was trusted, the role itself, or a superuser.
 */
static PrismHandlerFault *
check_owner(const PrismHandler *handler, const char *shown, Oid owner)
{
	const char *owner_name = GetUserNameFromId(owner, true);

	if (owner == get_role_oid(handler->role, false) || superuser_arg(owner) ||
		(owner_name != NULL && strcmp(owner_name, handler->function_owner) == 0))
		return NULL;
	return make_fault(ERRCODE_INSUFFICIENT_PRIVILEGE,
					  psprintf("function %s belongs to role \"%s\", not to \"%s\" as when it was registered",
							   shown, owner_name != NULL ? owner_name : "?", handler->function_owner),
					  "See what it does, then register it again with prism.off() and prism.on().");
}

static PrismHandlerFault *
check_function(const PrismHandler *handler, Oid *found)
{
	Oid			role = get_role_oid(handler->role, false);
	Oid			schema = get_namespace_oid(handler->function_schema, true);
	Oid			argument = prism_handler_argument_type(handler->takes_batch);
	oidvector  *arguments = buildoidvector(&argument, 1);
	const char *shown = psprintf("%s(%s)", prism_handler_function(handler), format_type_be(argument));
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
	if (!prism_object_allows(NamespaceRelationId, schema, role, ACL_USAGE) ||
		!prism_object_allows(ProcedureRelationId, function.oid, role, ACL_EXECUTE))
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
	PrismHandlerFault *fault = check_role(handler);

	if (fault != NULL)
	{
		fault->of_role = true;
		return fault;
	}
	fault = check_topic(handler, topic);
	return fault != NULL ? fault : check_function(handler, function);
}
