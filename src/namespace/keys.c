/*-------------------------------------------------------------------------
 *
 * keys.c
 *	  The keys of a configuration, one row each; those of patterns are in
 *	  pattern_keys.c, those of a single back end in its folder
 *	  (src/backend/NAME/NAME_info.c).
 *
 * Everything the RFC names is known here, and taken; what needs something that is
 * not built is refused as that (0A000), last of all.  README.md lists the same
 * keys: ./dev reference writes that from these rows.
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

#define US_PER_MS 1000

/* Of one apply(). */
#define NAMESPACES_MAX 1000

#define RATE_MAX INT64CONST(1000000000)

#define WORDS(...) (const char *const[]) {__VA_ARGS__, NULL}

/* ---------- the back end ---------- */

static const PrismKey *
keys_of_backend(const char *type)
{
	const PrismBackendInfo *info = prism_backend_info(type);

	return info != NULL ? info->keys : NULL;
}

/* Those of the registry: config.c says which are not built. */
static bool
backend_word(int number, PrismWord *word)
{
	return prism_backend_word(0, number, word);
}

static const PrismKey backend_keys[] = {
	{
		PRISM_BACKEND_KEY(type, WORD),.synonym = "queue",.word = backend_word,.standard = PRISM_BACKEND_DEFAULT,
		.help = "Where messages go; the word alone stands for a map with nothing else."
	},
	{
		PRISM_BACKEND_KEY(topic, TEXT),
		.default_text = "the name",.help = "First argument of prism.publish(); it belongs to one namespace."
	},
	{0}
};
static const PrismMap backend_map = {
	.bytes = sizeof(PrismBackendKeys),.keys = backend_keys,
	.unknown_hint = "Properties of a client library are options of a foreign server, secrets those of a user mapping; the namespace names the server.",
	.alone = "type",.chooser = "type",.keys_of = keys_of_backend
};

/* ---------- needs ---------- */

static const PrismKey retention_keys[] = {
	{
		.name = "time",.kind = PRISM_KEY_RETENTION_TIME,.offset = offsetof(PrismRetentionKeys, time),
		.minimum = PRISM_RETENTION_MS_MIN,.maximum = PRISM_RETENTION_MS_MAX,
		.help = "How long messages are kept."
	},
	{
		.name = "size",.kind = PRISM_KEY_RETENTION_SIZE,.offset = offsetof(PrismRetentionKeys, size),
		.minimum = PRISM_RETENTION_BYTES_MIN,.maximum = PG_INT64_MAX,
		.help = "How much of a topic is kept."
	},
	{0}
};
static const PrismMap retention_map = {.bytes = sizeof(PrismRetentionKeys),.keys = retention_keys};

#define NEED(member) offsetof(PrismNeedsKeys, member)

static const PrismKey needs_keys[] = {
	{
		.name = "consistency",.kind = PRISM_KEY_WORD,.offset = NEED(consistency),.words = WORDS("strong", "eventual"),
		.default_text = "eventual",.help = "strong: publishing is part of the transaction that publishes; strong selects the outbox."
	},
	{
		.name = "delivery_guarantee",.kind = PRISM_KEY_WORD,.offset = NEED(delivery_guarantee),.words = WORDS("at_least_once", "exactly_once"),
		.default_text = "at_least_once",.help = "How often a message may come to the back end; exactly_once selects the outbox."
	},
	{
		.name = "max_message_size",.synonym = "message_size",.kind = PRISM_KEY_SIZE_OR_MORE,.offset = NEED(max_message_size),.minimum = 1,.maximum = PRISM_PAYLOAD_BYTES_LIMIT,
		.default_text = "5GB with the claim-check, else 1MB to Kafka and 256MB otherwise",.help = "Publishing more is an error; more than 1MB selects the claim-check; without that at most 512MB, as pg_dump cannot write longer rows."
	},
	{
		.name = "durability",.kind = PRISM_KEY_WORD,.offset = NEED(durability),.words = WORDS("strong", "relaxed"),
		.default_text = "as the session",.help = "strong: a commit that publishes here is on disk when it returns, also with synchronous_commit = off; relaxed: what the session asks for, said aloud; strong selects the wal."
	},
	{
		.name = "replay",.kind = PRISM_KEY_WORD,.offset = NEED(replay),.words = WORDS("enabled", "disabled"),
		.default_text = "enabled",.help = "enabled: messages are kept as long as the retention says; disabled: also no longer than any group or sink needs them; enabled selects the wal."
	},
	{
		.name = "ordered",.kind = PRISM_KEY_BOOLEAN,.offset = NEED(ordered),
		.default_text = "true",.help = "true: groups are ordered by key or strictly; false: groups that say nothing else have \"ordering: none\"; true selects the wal."
	},
	{
		.name = "retention",.kind = PRISM_KEY_RETENTION,.offset = NEED(retention),.map = &retention_map,
		.default_text = "prism.retention",.help = "How long or how many messages are kept, of a map what comes first; selects the wal."
	},
	{
		.name = "retain",.kind = PRISM_KEY_WORD,.offset = NEED(retain),.words = WORDS("time", "consumers"),
		.default_text = "time",.help = "consumers: what a consumer group has not finished is kept longer, which selects the wal."
	},
	{
		.name = "max_backlog",.kind = PRISM_KEY_INTEGER,.offset = NEED(max_backlog),.minimum = 1,.maximum = PG_INT64_MAX,
		.help = "With \"retain: consumers\": how many messages a group may be behind."
	},
	{
		.name = "on_full",.kind = PRISM_KEY_WORD,.offset = NEED(on_full),.words = WORDS("warn", "reject"),
		.default_text = "warn",.help = "What happens beyond max_backlog: publishers are warned and the group is waited for no longer, or what they publish is refused."
	},
	{
		.name = "write_rps",.kind = PRISM_KEY_RATE,.offset = NEED(write_rps),.minimum = 1,.maximum = RATE_MAX,
		.help = "How many messages a second are published; selects the wal."
	},
	{
		.name = "throughput",.kind = PRISM_KEY_RATE,.offset = NEED(throughput),.minimum = 1,.maximum = RATE_MAX,
		.help = "How many messages a second are sent."
	},
	{
		.name = "storage_backend",.kind = PRISM_KEY_WORD,.offset = NEED(storage_backend),.word = prism_storage_word,.pattern = "claim-check",
		.help = "Where large payloads are kept; selects the claim-check."
	},
	{
		.name = "cleanup",.kind = PRISM_KEY_MAP,.offset = NEED(cleanup),.map = &prism_cleanup_map,.pattern = "claim-check",
		.help = "When large payloads are removed; selects the claim-check."
	},
	{
		.name = "audit",.kind = PRISM_KEY_BOOLEAN,.offset = NEED(audit),.pattern = "event-store",
		.default_text = "false",.help = "true: each change is kept for ever; selects the event-store."
	},
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
	*word = (PrismWord) {.name = prism_ordering_name(orderings[number]),.available = true};
	return true;
}

static const PrismKey consumer_keys[] = {
	{
		.name = "group",.synonym = "name",.kind = PRISM_KEY_TEXT,.offset = CONSUMER(group),
		.help = "The name that prism.consume() is called with."
	},
	{
		.name = "ordering",.kind = PRISM_KEY_WORD,.offset = CONSUMER(ordering),.word = ordering_word,
		.default_text = "key",.help = "What a message waits for: those before it with its key, all before it, or none."
	},
	{
		.name = "max_attempts",.kind = PRISM_KEY_INTEGER,.offset = CONSUMER(max_attempts),.maximum = PRISM_ATTEMPTS_MAX,
		.default_text = "5",.help = "Deliveries before a message becomes a dead letter; 0: no limit."
	},
	{
		.name = "lease",.kind = PRISM_KEY_INTERVAL,.offset = CONSUMER(lease),.minimum = 1,.maximum = PRISM_LEASE_US_MAX / US_PER_MS,
		.default_text = "30s",.help = "How long a consumer has a message if prism.consume() does not say."
	},
	{
		.name = "max_in_flight",.kind = PRISM_KEY_INTEGER,.offset = CONSUMER(max_in_flight),.maximum = PRISM_IN_FLIGHT_MAX,
		.default_text = "0",.help = "How many messages are handed out at a time; 0: what prism.group_window holds."
	},
	{
		.name = "backoff",.kind = PRISM_KEY_INTERVAL_LIST,.offset = CONSUMER(backoff),.maximum = PRISM_DELAY_US_MAX / US_PER_MS,.entries_max = PRISM_BACKOFF_STEPS_MAX,
		.default_text = "1s, 10s, 1min",.help = "Rests after the first, second ... attempt."
	},
	{0}
};
static const PrismMap consumer_map = {
	.bytes = sizeof(PrismConsumerKeys),.keys = consumer_keys,
	.required = "group",.required_hint = "Add \"group: ...\" to the consumer: the name that prism.consume() is called with."
};

/* ---------- the namespace ---------- */

static const PrismKey observability_keys[] = {
	{
		.name = "trace_patterns",.kind = PRISM_KEY_BOOLEAN,.offset = offsetof(PrismObservabilityKeys, trace_patterns),
		.default_text = "false",.help = "Kept in the configuration."
	},
	{
		.name = "pattern_metrics",.kind = PRISM_KEY_BOOLEAN,.offset = offsetof(PrismObservabilityKeys, pattern_metrics),
		.default_text = "false",.help = "Kept in the configuration."
	},
	{0}
};
static const PrismMap observability_map = {.bytes = sizeof(PrismObservabilityKeys),.keys = observability_keys};

#define NAMESPACE(member) offsetof(PrismNamespaceKeys, member)

static const PrismKey namespace_keys[] = {
	{
		.name = "name",.synonym = "namespace",.kind = PRISM_KEY_TEXT,.offset = NAMESPACE(name),
		.help = "Unique in the database: letters, digits, \".\", \"_\", \"-\"."
	},
	{
		.name = "client_api",.synonym = "pattern",.kind = PRISM_KEY_WORD,.offset = NAMESPACE(client_api),.word = prism_api_word,.standard = "pubsub",
		.help = "What applications use it for; a durable queue has \"durability: strong\"."
	},
	{
		.name = "patterns",.kind = PRISM_KEY_MAPS,.offset = NAMESPACE(patterns),.map = &prism_pattern_map,
		.default_text = "as the needs ask",.help = "The chain, in order; a pattern stands in it once."
	},
	{
		.name = "backend",.kind = PRISM_KEY_MAP,.offset = NAMESPACE(backend),.map = &backend_map,
		.help = "Where messages go beyond the log."
	},
	{
		.name = "needs",.kind = PRISM_KEY_MAP,.offset = NAMESPACE(needs),.map = &needs_map,
		.help = "What is asked for; patterns are selected by it."
	},
	{
		.name = "observability",.kind = PRISM_KEY_MAP,.offset = NAMESPACE(observability),.map = &observability_map,
		.help = "What is seen from outside."
	},
	{
		.name = "cache",.kind = PRISM_KEY_MAP,.offset = NAMESPACE(cache),.map = &prism_cache_map,.pattern = "cache",
		.help = "Another place for the pattern cache, with its options."
	},
	{
		.name = "cdc",.kind = PRISM_KEY_MAP,.offset = NAMESPACE(cdc),.map = &prism_cdc_map,.pattern = "cdc",
		.help = "Another place for the pattern cdc, with its options."
	},
	{
		.name = "consumers",.kind = PRISM_KEY_MAPS,.offset = NAMESPACE(consumers),.map = &consumer_map,
		.default_text = "none",.help = "Consumer groups of the topic, made at its earliest message; those not named here are left alone."
	},
	{0}
};
const PrismMap prism_namespace_map = {
	.bytes = sizeof(PrismNamespaceKeys),.keys = namespace_keys,
	.required = "name",.required_hint = "Add \"name: ...\" to the namespace."
};

static const PrismKey configuration_keys[] = {
	{
		.name = "namespaces",.kind = PRISM_KEY_MAPS,.offset = offsetof(PrismConfigurationKeys, namespaces),.map = &prism_namespace_map,
		.entries_max = NAMESPACES_MAX,.entries_hint = "Apply them in several calls.",
		.help = "The namespaces of the configuration; or one of them stands alone, by its keys."
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
	*word = (PrismWord) {.available = true};
	if (key->word != NULL)
		return key->word(number, word);
	word->name = key->words[number];
	return word->name != NULL;
}

bool
prism_word_find(const PrismKey *key, const char *text, PrismWord *word)
{
	for (int i = 0; prism_key_word(key, i, word); i++)
		if (strcmp(word->name, text) == 0 || (word->synonym != NULL && strcmp(word->synonym, text) == 0))
			return true;
	return false;
}

bool
prism_value_is(const PrismValue *value, const char *word)
{
	return prism_is_given(value) && strcmp(value->text, word) == 0;
}
