/*-------------------------------------------------------------------------
 *
 * other_side.c
 *	  The other side as the catalogue describes it: options, secrets, names.
 *
 * src/bgworker/forward/other_side.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "backend/server_options.h"
#include "base/guc.h"
#include "bgworker/forward/forwarder.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#define INLINE_ID_BYTES 16

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
	static char *allowed = NULL;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(AUTHOID, endpoint_changed, (Datum) 0);	/* an owner is a superuser or not */
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, endpoint_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(USERMAPPINGOID, endpoint_changed, (Datum) 0);
		registered = true;
	}
	if (allowed == NULL || strcmp(allowed, prism_allowed_endpoints) != 0)
	{
		char	   *copy = MemoryContextStrdup(TopMemoryContext, prism_allowed_endpoints);

		if (allowed != NULL)
			pfree(allowed);
		allowed = copy;
		endpoint_generation++;
	}
	return endpoint_generation;
}

/*
 * What an inline endpoint is called in ids: the same brokers, the same name.
 * Nobody can find other brokers of the same name, whose forwarder would fence
 * this one's.
 */
static const char *
inline_id(const char *brokers)
{
	pg_cryptohash_ctx *hash;
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	StringInfoData id;

	if (brokers == NULL)
		return "inline";
	hash = pg_cryptohash_create(PG_SHA256);
	if (hash == NULL || pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, (const uint8 *) brokers, strlen(brokers)) < 0 ||
		pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not hash the addresses of brokers");
	pg_cryptohash_free(hash);
	initStringInfo(&id);
	appendStringInfoString(&id, "inline-");
	for (int i = 0; i < INLINE_ID_BYTES; i++)
		appendStringInfo(&id, "%02x", digest[i]);
	return id.data;
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
	const PrismBackendInfo *info = prism_backend_info(sink->backend);
	List	   *options = NIL;
	char	   *rest;
	char	   *value;

	if (sink->brokers != NULL && info->options != NULL)
		options = add_option(options, info->options->inline_endpoints, pstrdup(sink->brokers));
	if (sink->failures == NULL || !info->fails_on_request)
		return options;
	rest = pstrdup(sink->failures);
	while ((value = strsep(&rest, ",")) != NULL)
	{
		const char *name = strsep(&value, "=");

		if (value != NULL)		/* somebody may have written the row by hand */
			options = add_option(options, name, value);
	}
	return options;
}

/*
 * For what brokers advertise prism.allowed_endpoints holds where it held for
 * what was written: not for a superuser's server, nor for brokers that a
 * superuser named, even if others did as well.
 */
static bool
goes_anywhere(List *sinks, const PrismSink *leading)
{
	ListCell   *cell;

	if (OidIsValid(leading->server_oid))
		return superuser_arg(GetForeignServer(leading->server_oid)->owner);
	foreach(cell, sinks)
		if (((const PrismSink *) lfirst(cell))->any_endpoint)
			return true;
	return false;
}

/* Fill forwarder->endpoint for the server of its sinks, one of which tells of it. In a transaction. */
void
prism_endpoint_load(PrismForwarder *forwarder, List *sinks, const PrismSink *sink)
{
	MemoryContext caller_cxt = MemoryContextSwitchTo(forwarder->mcxt);
	PrismServer *endpoint = &forwarder->endpoint;

	memset(endpoint, 0, sizeof(*endpoint));
	endpoint->identity = forwarder->installation.id;
	endpoint->incarnation = forwarder->incarnation;
	if (OidIsValid(sink->server_oid))
	{
		endpoint->name = pstrdup(sink->server);
		endpoint->options = prism_server_options(prism_backend_info(sink->backend),
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
	if (!goes_anywhere(sinks, sink))
		endpoint->allowed = pstrdup(prism_allowed_endpoints);
	MemoryContextSwitchTo(caller_cxt);
}

/* Everything about the endpoint that needs a new connection when it changes. */
void
prism_endpoint_fingerprint(const PrismForwarder *forwarder, StringInfo fingerprint)
{
	ListCell   *cell;

	appendStringInfo(fingerprint, "%s %s\n", forwarder->endpoint.name,
					 forwarder->endpoint.allowed != NULL ? forwarder->endpoint.allowed : "anywhere");
	foreach(cell, forwarder->endpoint.options)
	{
		const PrismOption *option = lfirst(cell);

		appendStringInfo(fingerprint, "%s=%s\n", option->name, option->value);
	}
}
