/*-------------------------------------------------------------------------
 *
 * endpoint.c
 *	  Which hosts a namespace may name.
 *
 * A foreign server is the usual way: its creator answers for the endpoint, and
 * USAGE on it says who may send there.  Brokers written into the YAML need no
 * secret; they are for superusers, and for hosts that a superuser allowed by
 * prism.allowed_endpoints.
 *
 * src/namespace/endpoint.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "backend/endpoint_rule.h"
#include "backend/option_table.h"
#include "base/compat.h"
#include "base/guc.h"
#include "namespace/complaint.h"
#include "namespace/spec.h"

#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"

static void check_named_server(const PrismNamespace *namespace, const PrismBackendInfo *backend, const char *name, const PrismPlace *place);
static void check_stores(const PrismNamespace *namespace, const List *stores);
static void check_brokers(const PrismNamespace *namespace);

List *
prism_endpoints_read(const List *brokers)
{
	List	   *endpoints = NIL;
	ListCell   *cell;

	foreach(cell, brokers)
	{
		const PrismValue *broker = lfirst(cell);
		char	   *endpoint = palloc(PRISM_ENDPOINT_BYTES);

		if (prism_endpoint_parse(broker->text, endpoint))
			endpoints = lappend(endpoints, endpoint);
		else
			prism_complain(&broker->place,
						   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						   errmsg("\"%s\" is not an endpoint", prism_yaml_show(broker->text)),
						   errhint("Write it as host:port, such as kafka-1:9092."));
	}
	return endpoints;
}

void
prism_namespace_check_server(const PrismNamespace *namespace)
{
	ListCell   *cell;

	if (namespace->server != NULL)
		check_named_server(namespace, namespace->backend, namespace->server,
						   prism_is_given(&namespace->given->backend.server) ? &namespace->given->backend.server.place : namespace->backend_place);
	foreach(cell, namespace->patterns)
		check_stores(namespace, ((const PrismChosenPattern *) lfirst(cell))->stores);
	if (!superuser())
		check_brokers(namespace);
}

static void
check_stores(const PrismNamespace *namespace, const List *stores)
{
	ListCell   *cell;

	foreach(cell, stores)
	{
		const PrismStore *store = lfirst(cell);

		if (store->backend->wrapper != NULL)
			check_named_server(namespace, store->backend, store->server, store->place);
	}
}

static void
check_brokers(const PrismNamespace *namespace)
{
	ListCell   *given;
	ListCell   *cell;

	forboth(cell, namespace->brokers, given, namespace->given->backend.brokers.list)
	{
		const char *endpoint = lfirst(cell);

		if (!prism_endpoint_allowed(prism_allowed_endpoints, endpoint))
			prism_complain(&((const PrismValue *) lfirst(given))->place,
						   errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						   errmsg("endpoint \"%s\" is not allowed", endpoint),
						   errdetail("Only superusers name hosts that prism.allowed_endpoints does not match."),
						   errhint("Name a foreign server instead (\"server: ...\"), or have the host added to prism.allowed_endpoints."));
	}
}

/* It keeps its name until the transaction ends: what is checked is what is taken. */
static ForeignServer *
find_and_lock_server(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, true);

	while (server != NULL)
	{
		Oid			locked = server->serverid;

		LockDatabaseObject(ForeignServerRelationId, locked, 0, AccessShareLock);
		server = GetForeignServerByName(name, true);
		if (server != NULL && server->serverid == locked)
			break;
		UnlockDatabaseObject(ForeignServerRelationId, locked, 0, AccessShareLock);
	}
	return server;
}

/*
 * The foreign server exists, is the back end's, and the caller may use it.  As
 * with a foreign table, the right is asked for when it is named, not each time
 * it is used.
 */
static void
check_named_server(const PrismNamespace *namespace, const PrismBackendInfo *backend, const char *name, const PrismPlace *place)
{
	ForeignServer *server = find_and_lock_server(name);
	const char *actual = server != NULL ? GetForeignDataWrapper(server->fdwid)->fdwname : NULL;

	if (server == NULL)
		prism_complain(place,
					   errcode(ERRCODE_UNDEFINED_OBJECT),
					   errmsg("foreign server \"%s\" of namespace \"%s\" does not exist",
							  prism_yaml_show(name), prism_yaml_show(namespace->name)),
					   errhint("Run CREATE SERVER %s FOREIGN DATA WRAPPER %s OPTIONS (...), or name another one by \"server: ...\" in \"backend\"%s.",
							   prism_yaml_show(name), backend->wrapper,
							   namespace->backend_chosen && backend == namespace->backend ? ", or do without by \"backend: " PRISM_BACKEND_DEFAULT "\"" : ""));
	else if (strcmp(actual, backend->wrapper) != 0)
		prism_complain(place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("foreign server \"%s\" is not one of backend \"%s\"", server->servername, backend->name),
					   errdetail("Its wrapper is \"%s\"; \"%s\" is needed.", actual, backend->wrapper));
	else if (!prism_object_allows(ForeignServerRelationId, server->serverid, GetUserId(), ACL_USAGE))
		prism_complain(place,
					   errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					   errmsg("permission denied for foreign server %s", server->servername),
					   errhint("Run GRANT USAGE ON FOREIGN SERVER %s TO %s.",
							   quote_identifier(server->servername),
							   quote_identifier(GetUserNameFromId(GetUserId(), false))));
}

/* One that nobody has named is no mistake when it is not there.  What was looked at stays as it is, as above. */
char *
prism_server_lacks(const PrismBackendInfo *backend)
{
	ForeignServer *server = find_and_lock_server(backend->name);

	if (server == NULL)
		return psprintf("there is no foreign server %s", backend->name);
	if (backend->wrapper != NULL && strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, backend->wrapper) != 0)
		return psprintf("the foreign server %s is not one of wrapper %s", backend->name, backend->wrapper);
	if (!prism_object_allows(ForeignServerRelationId, server->serverid, GetUserId(), ACL_USAGE))
		return psprintf("USAGE on the foreign server %s is not granted to %s", backend->name,
						quote_identifier(GetUserNameFromId(GetUserId(), false)));
	return NULL;
}

/* ---------- one cluster or two ---------- */

/* The option that says where the brokers are, as it is called in this table; an underscore may stand for a dot. */
static bool
is_endpoint_option(const PrismOptionTable *table, const char *typed)
{
	const char *name = table->inline_endpoints;

	for (; *name != '\0' && (*typed == *name || (*name == '.' && *typed == '_')); name++)
		typed++;
	return *name == '\0' && *typed == '\0';
}

/* Where the brokers of a foreign server are, or NULL. */
static const char *
server_endpoints(const PrismBackendInfo *backend, const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, true);
	ListCell   *cell;

	if (server == NULL || backend->options == NULL)
		return NULL;
	foreach(cell, server->options)
	{
		DefElem    *option = lfirst(cell);

		if (is_endpoint_option(backend->options, option->defname))
			return defGetString(option);
	}
	return NULL;
}

static bool
lists_endpoint(const char *list, const char *endpoint)
{
	char		text[PRISM_ENDPOINT_BYTES];
	char		other[PRISM_ENDPOINT_BYTES];

	while (prism_endpoint_next(&list, text))
		if (prism_endpoint_parse(text, other) && pg_strcasecmp(other, endpoint) == 0)
			return true;
	return false;
}

bool
prism_endpoints_meet(const PrismNamespace *namespace, const char *server, const char *brokers)
{
	const char *former = server != NULL ? server_endpoints(namespace->backend, server) : brokers;
	const char *list;
	char		text[PRISM_ENDPOINT_BYTES];
	char		endpoint[PRISM_ENDPOINT_BYTES];
	ListCell   *cell;

	if (former == NULL)
		return false;
	foreach(cell, namespace->brokers)
		if (lists_endpoint(former, lfirst(cell)))
			return true;
	list = namespace->server != NULL ? server_endpoints(namespace->backend, namespace->server) : NULL;
	while (list != NULL && prism_endpoint_next(&list, text))
		if (prism_endpoint_parse(text, endpoint) && lists_endpoint(former, endpoint))
			return true;
	return false;
}
