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
#include "base/compat.h"
#include "base/guc.h"
#include "namespace/schema.h"
#include "namespace/spec.h"

#include "foreign/foreign.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"

static char *normalise_endpoint(const PrismYaml *broker);

/* The brokers as "host:port", allowed for the caller. */
List *
prism_endpoints_check(const PrismYaml *brokers)
{
	List	   *endpoints = NIL;
	ListCell   *cell;

	if (brokers->items == NIL || list_length(brokers->items) > PRISM_ENDPOINTS_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"backend.brokers\" " PRISM_AT " must have from 1 to %d entries",
					   prism_at(brokers), PRISM_ENDPOINTS_MAX));
	foreach(cell, brokers->items)
	{
		const PrismYaml *broker = lfirst(cell);
		char	   *endpoint = normalise_endpoint(broker);

		if (!superuser() && !prism_endpoint_allowed(prism_allowed_endpoints, endpoint))
			ereport(ERROR,
					errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("endpoint \"%s\" is not allowed " PRISM_AT, endpoint, prism_at(broker)),
					errdetail("Only superusers name hosts that prism.allowed_endpoints does not match."),
					errhint("Name a foreign server instead (\"server: ...\"), or have the host added to prism.allowed_endpoints."));
		endpoints = lappend(endpoints, endpoint);
	}
	return endpoints;
}

/* With its port, as it is kept. */
static char *
normalise_endpoint(const PrismYaml *broker)
{
	char	   *endpoint = palloc(PRISM_ENDPOINT_BYTES);

	if (!prism_endpoint_parse(broker->text, endpoint))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"%s\" is not an endpoint " PRISM_AT, prism_yaml_show(broker->text), prism_at(broker)),
				errhint("Write it as host:port, such as kafka-1:9092."));
	return endpoint;
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
void
prism_server_check(const PrismNamespace *namespace)
{
	const char *wrapper = namespace->backend->wrapper;
	ForeignServer *server = find_and_lock_server(namespace->server);

	if (server == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("foreign server \"%s\" of namespace \"%s\" does not exist " PRISM_AT,
					   prism_yaml_show(namespace->server), namespace->name,
					   prism_at(namespace->server_place)),
				errhint("CREATE SERVER %s FOREIGN DATA WRAPPER %s OPTIONS (...), or name it by \"server: ...\" in \"backend\".",
						prism_yaml_show(namespace->server), wrapper));
	if (strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, wrapper) != 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("foreign server \"%s\" is not one of back end \"%s\" " PRISM_AT,
					   server->servername, namespace->backend->name, prism_at(namespace->server_place)),
				errdetail("Its wrapper is \"%s\"; \"%s\" is needed.",
						  GetForeignDataWrapper(server->fdwid)->fdwname, wrapper));
	if (!prism_object_allows(ForeignServerRelationId, server->serverid, GetUserId(), ACL_USAGE))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for foreign server %s", server->servername),
				errhint("GRANT USAGE ON FOREIGN SERVER %s TO %s.",
						quote_identifier(server->servername),
						quote_identifier(GetUserNameFromId(GetUserId(), false))));
}
