/*-------------------------------------------------------------------------
 *
 * endpoint.c
 *	  The other side as the catalogue describes it: options, secrets, names.
 *
 * src/bgworker/endpoint.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "bgworker/forwarder.h"

#include "common/hashfn.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

static uint64 endpoint_generation = 1;

static void
endpoint_changed(Datum arg, int cache, uint32 hash)
{
	endpoint_generation++;
}

uint64
prism_endpoint_generation(void)
{
	static bool registered = false;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, endpoint_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(USERMAPPINGOID, endpoint_changed, (Datum) 0);
		registered = true;
	}
	return endpoint_generation;
}

/* What an inline endpoint is called in ids: the same brokers, the same name. */
static const char *
inline_id(const char *brokers)
{
	if (brokers == NULL)
		return "inline";
	return psprintf("inline-%08x",
					hash_bytes((const unsigned char *) brokers, (int) strlen(brokers)));
}

static List *
add_option(List *options, const char *name, const char *value)
{
	PrismOption *option = palloc_object(PrismOption);

	option->name = name;
	option->value = value;
	return lappend(options, option);
}

/* Client libraries and brokers read UTF-8, whatever the database's encoding. */
static void
options_to_utf8(List *options)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		PrismOption *option = lfirst(cell);

		if (option->value != NULL)
			option->value = prism_text_to_utf8(option->value);
	}
}

static List *
inline_options(const PrismSink *sink)
{
	List	   *options = NIL;
	char	   *failures;
	char	   *rest;

	if (sink->brokers != NULL)
		options = add_option(options, "bootstrap.servers", pstrdup(sink->brokers));
	if (sink->failures == NULL)
		return options;
	failures = pstrdup(sink->failures);
	for (char *name = strtok_r(failures, "=", &rest); name != NULL; name = strtok_r(NULL, "=", &rest))
		options = add_option(options, name, strtok_r(NULL, ",", &rest));
	return options;
}

/* Fill forwarder->endpoint for the server of its sinks, one of which is given. In a transaction. */
void
prism_endpoint_load(PrismForwarder *forwarder, const PrismSink *sink)
{
	MemoryContext caller_cxt = MemoryContextSwitchTo(forwarder->mcxt);
	PrismServer *endpoint = &forwarder->endpoint;

	memset(endpoint, 0, sizeof(*endpoint));
	endpoint->identity = forwarder->installation.id;
	endpoint->incarnation = forwarder->incarnation;
	if (OidIsValid(sink->server_oid))
	{
		endpoint->name = pstrdup(sink->server);
		endpoint->options = prism_backend_server_options(prism_backend_info(sink->backend),
														 sink->server_oid);
		/* not its name: another server could be called so next, and the two would fence each other */
		forwarder->endpoint_id = psprintf("%u", sink->server_oid);
	}
	else
	{
		endpoint->name = pstrdup(sink->brokers != NULL ? sink->brokers : sink->backend);
		endpoint->options = inline_options(sink);
		forwarder->endpoint_id = inline_id(sink->brokers);
	}
	options_to_utf8(endpoint->options);
	MemoryContextSwitchTo(caller_cxt);
}

/* Everything about the endpoint that needs a new connection when it changes. */
void
prism_endpoint_fingerprint(const PrismForwarder *forwarder, StringInfo fingerprint)
{
	ListCell   *cell;

	appendStringInfo(fingerprint, "%s\n", forwarder->endpoint.name);
	foreach(cell, forwarder->endpoint.options)
	{
		const PrismOption *option = lfirst(cell);

		appendStringInfo(fingerprint, "%s=%s\n", option->name, option->value);
	}
}
