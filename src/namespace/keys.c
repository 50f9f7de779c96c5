/*-------------------------------------------------------------------------
 *
 * keys.c
 *	  The keys of a configuration, one row each; those of a single back end are
 *	  in its folder (src/backend/NAME/NAME_info.c).
 *
 * Everything the RFC names is known here; what this version does not do yet
 * says so (0A000) instead of being taken for a typing error (22023).  README.md
 * lists the same keys: test/module/keys compares them.
 *
 * src/namespace/keys.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/apis.h"
#include "namespace/keys.h"
#include "pattern/pattern.h"
#include "store/group/group_options.h"

#define DAY_MS (INT64CONST(24) * 3600 * 1000)
#define US_PER_MS 1000

/* Of one apply(). */
#define NAMESPACES_MAX 1000

#define WORDS(...) (const char *const[]) {__VA_ARGS__, NULL}

/* ---------- patterns, and the options of each ---------- */

static const PrismKey publisher_keys[] = {
	{.name = "interval",.kind = PRISM_KEY_INTERVAL,.offset = offsetof(PrismPublisherKeys, interval),.minimum = 1,.maximum = DAY_MS},
	{.name = "batch_size",.kind = PRISM_KEY_INTEGER,.offset = offsetof(PrismPublisherKeys, batch_size),.minimum = 1,.maximum = 100000},
	{0}
};
static const PrismMap publisher_map = {.bytes = sizeof(PrismPublisherKeys),.keys = publisher_keys};

static const PrismKey outbox_keys[] = {
	{.name = "database",.kind = PRISM_KEY_TEXT,.offset = offsetof(PrismPatternKeys, database)},
	{.name = "table",.kind = PRISM_KEY_TEXT,.offset = offsetof(PrismPatternKeys, table)},
	{.name = "publisher",.kind = PRISM_KEY_MAP,.offset = offsetof(PrismPatternKeys, publisher),.map = &publisher_map},
	{0}
};

static const PrismKey *
keys_of_pattern(const char *type)
{
	return strcmp(type, "outbox") == 0 ? outbox_keys : NULL;
}

/* Those of the registry. */
static bool
pattern_word(int number, PrismWord *word)
{
	const PrismPattern *pattern = prism_patterns()[number];

	if (pattern == NULL)
		return false;
	word->name = pattern->name;
	word->available = pattern->built;
	return true;
}

static const PrismKey pattern_keys[] = {
	{.name = "type",.kind = PRISM_KEY_WORD,.offset = offsetof(PrismPatternKeys, type),.word = pattern_word},
	{.name = "enabled",.kind = PRISM_KEY_BOOLEAN,.offset = offsetof(PrismPatternKeys, enabled)},
	{.name = "config",.kind = PRISM_KEY_OPTIONS},
	{0}
};
static const PrismMap pattern_map = {
	.bytes = sizeof(PrismPatternKeys),.keys = pattern_keys,
	.required = "type",.required_hint = "Add \"type: ...\" to the pattern.",
	.chooser = "type",.keys_of = keys_of_pattern
};

/* ---------- the back end ---------- */

static const PrismKey *
keys_of_backend(const char *type)
{
	const PrismBackendInfo *info = prism_backend_info(type);

	return info != NULL ? info->keys : NULL;
}

/* Those of the registry, then those of the RFC still to come. */
static bool
backend_word(int number, PrismWord *word)
{
	static const char *const later[] = {"nats", "redis", "s3", "clickhouse"};
	int			built = 0;

	while (prism_backend_infos()[built] != NULL)
		built++;
	if (number >= built + (int) lengthof(later))
		return false;
	word->available = number < built;
	word->name = word->available ? prism_backend_infos()[number]->name : later[number - built];
	return true;
}

static const PrismKey backend_keys[] = {
	{PRISM_BACKEND_KEY(type, WORD),.synonym = "queue",.word = backend_word,.standard = PRISM_BACKEND_DEFAULT},
	{PRISM_BACKEND_KEY(topic, TEXT)},
	{.name = "database",.kind = PRISM_KEY_LATER,.pattern = "cache"},
	{0}
};
static const PrismMap backend_map = {
	.bytes = sizeof(PrismBackendKeys),.keys = backend_keys,
	.unknown_hint = "Properties of a client library are options of a foreign server, secrets those of a user mapping; the namespace names the server.",
	.chooser = "type",.keys_of = keys_of_backend
};

/* ---------- needs ---------- */

static const PrismKey retention_keys[] = {
	{.name = "time",.kind = PRISM_KEY_RETENTION_TIME,.offset = offsetof(PrismRetentionKeys, time)},
	{.name = "size",.kind = PRISM_KEY_RETENTION_SIZE,.offset = offsetof(PrismRetentionKeys, size)},
	{0}
};
static const PrismMap retention_map = {.bytes = sizeof(PrismRetentionKeys),.keys = retention_keys};

#define NEED(member) offsetof(PrismNeedsKeys, member)

static const PrismKey needs_keys[] = {
	{.name = "consistency",.kind = PRISM_KEY_WORD,.offset = NEED(consistency),.words = WORDS("strong", "eventual")},
	{.name = "delivery_guarantee",.kind = PRISM_KEY_WORD,.offset = NEED(delivery_guarantee),.words = WORDS("at_least_once", "exactly_once")},
	{.name = "max_message_size",.synonym = "message_size",.kind = PRISM_KEY_SIZE,.offset = NEED(max_message_size),.minimum = 1,.maximum = PG_INT64_MAX},
	{.name = "durability",.kind = PRISM_KEY_WORD,.offset = NEED(durability),.words = WORDS("strong", "relaxed")},
	{.name = "replay",.kind = PRISM_KEY_WORD,.offset = NEED(replay),.words = WORDS("enabled", "disabled")},
	{.name = "ordered",.kind = PRISM_KEY_BOOLEAN,.offset = NEED(ordered)},
	{.name = "retention",.kind = PRISM_KEY_RETENTION,.offset = NEED(retention),.map = &retention_map},
	{.name = "retain",.kind = PRISM_KEY_WORD,.offset = NEED(retain),.words = WORDS("time", "consumers")},
	{.name = "max_backlog",.kind = PRISM_KEY_INTEGER,.offset = NEED(max_backlog),.minimum = 1,.maximum = PG_INT64_MAX},
	{.name = "on_full",.kind = PRISM_KEY_WORD,.offset = NEED(on_full),.words = WORDS("warn", "reject")},
	{.name = "write_rps",.kind = PRISM_KEY_LATER},
	{.name = "throughput",.kind = PRISM_KEY_LATER},
	{.name = "storage_backend",.kind = PRISM_KEY_LATER,.pattern = "claim-check"},
	{.name = "cleanup",.kind = PRISM_KEY_LATER,.pattern = "claim-check"},
	{.name = "audit",.kind = PRISM_KEY_LATER,.pattern = "event-store"},
	{0}
};
static const PrismMap needs_map = {.bytes = sizeof(PrismNeedsKeys),.keys = needs_keys};

/* ---------- consumers: within the bounds of a group's options ---------- */

#define CONSUMER(member) offsetof(PrismConsumerKeys, member)

static bool
ordering_word(int number, PrismWord *word)
{
	static const PrismOrdering orderings[] = {PRISM_ORDERING_KEY, PRISM_ORDERING_NONE, PRISM_ORDERING_STRICT};

	if (number >= (int) lengthof(orderings))
		return false;
	word->name = prism_ordering_name(orderings[number]);
	word->available = true;
	return true;
}

static const PrismKey consumer_keys[] = {
	{.name = "group",.synonym = "name",.kind = PRISM_KEY_TEXT,.offset = CONSUMER(group)},
	{.name = "ordering",.kind = PRISM_KEY_WORD,.offset = CONSUMER(ordering),.word = ordering_word},
	{.name = "max_attempts",.kind = PRISM_KEY_INTEGER,.offset = CONSUMER(max_attempts),.maximum = PRISM_ATTEMPTS_MAX},
	{.name = "lease",.kind = PRISM_KEY_INTERVAL,.offset = CONSUMER(lease),.minimum = 1,.maximum = PRISM_LEASE_US_MAX / US_PER_MS},
	{.name = "max_in_flight",.kind = PRISM_KEY_INTEGER,.offset = CONSUMER(max_in_flight),.maximum = PRISM_IN_FLIGHT_MAX},
	{.name = "backoff",.kind = PRISM_KEY_INTERVAL_LIST,.offset = CONSUMER(backoff),.maximum = PRISM_DELAY_US_MAX / US_PER_MS,.entries_max = PRISM_BACKOFF_STEPS_MAX},
	{0}
};
static const PrismMap consumer_map = {
	.bytes = sizeof(PrismConsumerKeys),.keys = consumer_keys,
	.required = "group",.required_hint = "Add \"group: ...\" to the consumer: the name that prism.consume() is called with."
};

/* ---------- the namespace ---------- */

static const PrismKey observability_keys[] = {
	{.name = "trace_patterns",.kind = PRISM_KEY_BOOLEAN,.offset = offsetof(PrismObservabilityKeys, trace_patterns)},
	{.name = "pattern_metrics",.kind = PRISM_KEY_BOOLEAN,.offset = offsetof(PrismObservabilityKeys, pattern_metrics)},
	{0}
};
static const PrismMap observability_map = {.bytes = sizeof(PrismObservabilityKeys),.keys = observability_keys};

#define NAMESPACE(member) offsetof(PrismNamespaceKeys, member)

static const PrismKey namespace_keys[] = {
	{.name = "name",.synonym = "namespace",.kind = PRISM_KEY_TEXT,.offset = NAMESPACE(name)},
	{.name = "client_api",.synonym = "pattern",.kind = PRISM_KEY_WORD,.offset = NAMESPACE(client_api),.word = prism_api_word,.standard = "pubsub"},
	{.name = "patterns",.kind = PRISM_KEY_MAPS,.offset = NAMESPACE(patterns),.map = &pattern_map},
	{.name = "backend",.kind = PRISM_KEY_MAP,.offset = NAMESPACE(backend),.map = &backend_map},
	{.name = "needs",.kind = PRISM_KEY_MAP,.offset = NAMESPACE(needs),.map = &needs_map},
	{.name = "observability",.kind = PRISM_KEY_MAP,.offset = NAMESPACE(observability),.map = &observability_map},
	{.name = "cache",.kind = PRISM_KEY_LATER,.pattern = "cache"},
	{.name = "cdc",.kind = PRISM_KEY_LATER,.pattern = "cdc"},
	{.name = "consumers",.kind = PRISM_KEY_MAPS,.offset = NAMESPACE(consumers),.map = &consumer_map},
	{0}
};
const PrismMap prism_namespace_map = {
	.bytes = sizeof(PrismNamespaceKeys),.keys = namespace_keys,
	.required = "name",.required_hint = "Add \"name: ...\" to the namespace."
};

static const PrismKey configuration_keys[] = {
	{
		.name = "namespaces",.kind = PRISM_KEY_MAPS,.offset = offsetof(PrismConfigurationKeys, namespaces),.map = &prism_namespace_map,
		.entries_max = NAMESPACES_MAX,.entries_hint = "Apply them in several calls."
	},
	{0}
};
const PrismMap prism_configuration_map = {.bytes = sizeof(PrismConfigurationKeys),.keys = configuration_keys};

/* ---------- looking up ---------- */

const PrismKey *
prism_key_find(const PrismKey *keys, const char *name)
{
	for (const PrismKey *key = keys; key != NULL && key->name != NULL; key++)
		if (strcmp(key->name, name) == 0 || (key->synonym != NULL && strcmp(key->synonym, name) == 0))
			return key;
	return NULL;
}

bool
prism_key_word(const PrismKey *key, int number, PrismWord *word)
{
	if (key->word != NULL)
		return key->word(number, word);
	word->name = key->words[number];
	word->available = true;
	return word->name != NULL;
}

bool
prism_value_is(const PrismValue *value, const char *word)
{
	return prism_is_given(value) && strcmp(value->text, word) == 0;
}
