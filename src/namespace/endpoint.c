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
#include "prism.h"
#include "compat.h"
#include "guc.h"
#include "namespace/namespace.h"
#include "namespace/schema.h"

#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#define BROKERS_MAX 32
#define HOST_BYTES_MAX 253
#define DEFAULT_PORT 9092

static char *normalise_endpoint(const PrismYaml *broker);
static bool endpoint_allowed(const char *endpoint);

/* The brokers as "host:port", allowed for the caller. */
List *
prism_endpoints_check(const PrismYaml *brokers)
{
	List	   *endpoints = NIL;
	ListCell   *cell;

	if (brokers->items == NIL || list_length(brokers->items) > BROKERS_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"backend.brokers\" " PRISM_AT " must have from 1 to %d entries",
					   prism_at(brokers), BROKERS_MAX));
	foreach(cell, brokers->items)
	{
		const PrismYaml *broker = lfirst(cell);
		char	   *endpoint = normalise_endpoint(broker);

		if (!superuser() && !endpoint_allowed(endpoint))
			ereport(ERROR,
					errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("endpoint \"%s\" is not allowed " PRISM_AT, endpoint, prism_at(broker)),
					errdetail("Only superusers name hosts that prism.allowed_endpoints does not match."),
					errhint("Name a foreign server instead (\"server: ...\"), or have the host added to prism.allowed_endpoints."));
		endpoints = lappend(endpoints, endpoint);
	}
	return endpoints;
}

/*
 * host or host:port.  The characters are those of host names, so nothing in it
 * can be taken for a URL, a user, a path, a list or an option by anybody.
 */
static char *
normalise_endpoint(const PrismYaml *broker)
{
	const char *text = broker->text;
	Size		host_bytes = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
	int64		port = DEFAULT_PORT;
	bool		good = host_bytes > 0 && host_bytes <= HOST_BYTES_MAX && text[0] != '-' && text[0] != '.';

	if (text[host_bytes] == ':')
		good = good && prism_parse_integer(text + host_bytes + 1, &port) && port >= 1 && port <= 65535;
	else
		good = good && text[host_bytes] == '\0';
	if (!good)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"%s\" is not an endpoint " PRISM_AT, prism_yaml_show(text), prism_at(broker)),
				errhint("Write it as host:port, such as kafka-1:9092."));
	return psprintf("%.*s:%d", (int) host_bytes, text, (int) port);
}

static bool
endpoint_allowed(const char *endpoint)
{
	char	   *patterns = pstrdup(prism_allowed_endpoints ? prism_allowed_endpoints : "");
	char	   *rest = NULL;

	for (char *pattern = strtok_r(patterns, ", \t\n", &rest); pattern != NULL;
		 pattern = strtok_r(NULL, ", \t\n", &rest))
		if (prism_glob_match(pattern, endpoint))
			return true;
	return false;
}

/* '*' matches any characters; case does not count, as in host names. Linear in practice, no recursion. */
bool
prism_glob_match(const char *pattern, const char *text)
{
	const char *star = NULL;
	const char *star_text = NULL;

	while (*text != '\0')
	{
		if (*pattern == '*')
		{
			star = pattern++;
			star_text = text;
		}
		else if (pg_tolower((unsigned char) *pattern) == pg_tolower((unsigned char) *text))
		{
			pattern++;
			text++;
		}
		else if (star != NULL)
		{
			pattern = star + 1;
			text = ++star_text;
		}
		else
			return false;
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* The foreign server exists, is the back end's, and the caller may use it. */
void
prism_server_check(const PrismNamespace *namespace)
{
	const char *wrapper = namespace->backend->wrapper;
	ForeignServer *server = GetForeignServerByName(namespace->server, true);

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
