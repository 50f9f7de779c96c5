/*-------------------------------------------------------------------------
 *
 * pattern_keys.c
 *	  The patterns that a configuration may name, and the options of each.
 *
 * A pattern has its keys here whether it is built or not: who builds one says so
 * in its row of src/pattern/pattern.c, and writes no grammar.
 *
 * src/namespace/pattern_keys.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/keys.h"
#include "pattern/pattern.h"

#define DAY_MS (INT64CONST(24) * 3600 * 1000)
#define SECOND_MS 1000

/* Of one capture; that of a topic has as many at most, for a table each. */
#define TABLES_MAX 1000
#define LISTENERS_MAX 16

/* Of texts: names of PostgreSQL, with their schema; of stores; of keys in caches. */
#define NAME_BYTES (NAMEDATALEN - 1)
#define TABLE_BYTES 512
#define BUCKET_BYTES 63
#define PREFIX_BYTES 512
#define HEADER_BYTES 128
#define CACHE_KEY_BYTES 512
#define TOPIC_BYTES 249

#define WORDS(...) (const char *const[]) {__VA_ARGS__, NULL}

/* ---------- where large payloads are, and when they are removed: of patterns and of the needs ---------- */

bool
prism_storage_word(int number, PrismWord *word)
{
	return prism_backend_word(PRISM_ROLE_OBJECT, number, word);
}

static const PrismKey storage_keys[] = {
	{
		.name = "backend",.kind = PRISM_KEY_WORD,.offset = offsetof(PrismStorageKeys, backend),.word = prism_storage_word,
		.default_text = "an object store where messages leave the database, else this one",.help = "What they are kept in; the word alone stands for a map with nothing else."
	},
	{
		.name = "server",.kind = PRISM_KEY_TEXT,.offset = offsetof(PrismStorageKeys, server),.bytes_max = NAME_BYTES,
		.default_text = "as the backend",.help = "The foreign server of the store, on which USAGE is needed."
	},
	{
		.name = "bucket",.kind = PRISM_KEY_TEXT,.offset = offsetof(PrismStorageKeys, bucket),.bytes_max = BUCKET_BYTES,
		.default_text = "the server's, else prism-claim-checks",.help = "The bucket, by its name."
	},
	{
		.name = "prefix",.kind = PRISM_KEY_TEXT,.offset = offsetof(PrismStorageKeys, prefix),.bytes_max = PREFIX_BYTES,
		.default_text = "claim-checks/",.help = "What the names of all objects begin with."
	},
	{0}
};
static const PrismMap storage_map = {.bytes = sizeof(PrismStorageKeys),.keys = storage_keys,.alone = "backend"};

#define STORAGE_ROWS \
	{ \
		.name = "storage",.kind = PRISM_KEY_MAP,.offset = offsetof(PrismPatternKeys, storage),.map = &storage_map, \
		.help = "Where they are kept." \
	}, \
	{ \
		.name = "bucket",.kind = PRISM_KEY_INSIDE,.inside = "storage",.map = &storage_map, \
		.help = "As in storage: in one of the two places." \
	}, \
	{ \
		.name = "prefix",.kind = PRISM_KEY_INSIDE,.inside = "storage",.map = &storage_map, \
		.help = "As in storage: in one of the two places." \
	}

static const PrismKey cleanup_keys[] = {
	{
		.name = "strategy",.kind = PRISM_KEY_WORD,.offset = offsetof(PrismCleanupKeys, strategy),.words = WORDS("on_consume", "ttl", "retention", "never"),
		.default_text = "ttl with a ttl, else retention",.help = "on_consume: when all groups have it; ttl: after that time; retention: with their messages; never: not by us. The word alone stands for a map with nothing else."
	},
	{
		.name = "ttl",.kind = PRISM_KEY_INTERVAL,.offset = offsetof(PrismCleanupKeys, ttl),.minimum = PRISM_RETENTION_MS_MIN,.maximum = PRISM_RETENTION_MS_MAX,
		.default_text = "7days",.help = "After that time they are removed whether they were consumed or not."
	},
	{0}
};
const PrismMap prism_cleanup_map = {.bytes = sizeof(PrismCleanupKeys),.keys = cleanup_keys,.alone = "strategy"};

/* ---------- outbox ---------- */

#define PATTERN(member) offsetof(PrismPatternKeys, member)

static const PrismKey publisher_keys[] = {
	{
		.name = "interval",.kind = PRISM_KEY_INTERVAL,.offset = offsetof(PrismPublisherKeys, interval),.minimum = 1,.maximum = DAY_MS,
		.help = "Upper bound of the time for which the forwarder collects messages."
	},
	{
		.name = "batch_size",.kind = PRISM_KEY_INTEGER,.offset = offsetof(PrismPublisherKeys, batch_size),.minimum = 1,.maximum = 100000,
		.help = "Upper bound of how many messages the forwarder sends at a time."
	},
	{0}
};
static const PrismMap publisher_map = {.bytes = sizeof(PrismPublisherKeys),.keys = publisher_keys};

static const PrismKey outbox_keys[] = {
	{
		.name = "database",.kind = PRISM_KEY_TEXT,.offset = PATTERN(database),.unkept = true,
		.default_text = "this one",.help = "Where the outbox is: postgres or the name of this database; another one is an error."
	},
	{
		.name = "table",.kind = PRISM_KEY_TEXT,.offset = PATTERN(table),
		.help = "Name of a view in schema prism: INSERT and COPY publish, SELECT shows."
	},
	{
		.name = "publisher",.kind = PRISM_KEY_MAP,.offset = PATTERN(publisher),.map = &publisher_map,
		.help = "Bounds for the forwarder."
	},
	{0}
};

/* ---------- claim-check, tiered-storage ---------- */

static const PrismKey claim_check_keys[] = {
	{
		.name = "threshold",.kind = PRISM_KEY_SIZE,.offset = PATTERN(threshold),.minimum = 1,.maximum = PRISM_MESSAGE_BYTES_LIMIT,
		.default_text = "1MB",.help = "Payloads larger than this are kept elsewhere, and the message says where."
	},
	STORAGE_ROWS,
	{
		.name = "compression",.kind = PRISM_KEY_WORD,.offset = PATTERN(compression),.words = WORDS("none", "gzip", "zstd", "lz4"),
		.default_text = "none",.help = "How they are packed before they are written."
	},
	{
		.name = "cleanup",.kind = PRISM_KEY_MAP,.offset = PATTERN(cleanup),.map = &prism_cleanup_map,
		.help = "When they are removed."
	},
	{
		.name = "metadata_field",.kind = PRISM_KEY_TEXT,.offset = PATTERN(metadata_field),.bytes_max = HEADER_BYTES,
		.default_text = "claim_check_id",.help = "The header in which a message says what its payload is called there."
	},
	{
		.name = "max_pending",.kind = PRISM_KEY_SIZE,.offset = PATTERN(max_pending),.minimum = PRISM_RETENTION_BYTES_MIN,.maximum = PG_INT64_MAX,
		.help = "How much may wait in the database for its store."
	},
	{
		.name = "on_full",.kind = PRISM_KEY_WORD,.offset = PATTERN(on_full),.words = WORDS("warn", "reject"),
		.default_text = "warn",.help = "What happens beyond max_pending: prism.status warns, or such payloads are refused."
	},
	{0}
};

static const PrismKey tiered_storage_keys[] = {
	STORAGE_ROWS,
	{
		.name = "after",.kind = PRISM_KEY_INTERVAL,.offset = PATTERN(after),.minimum = SECOND_MS,.maximum = PRISM_RETENTION_MS_MAX,
		.default_text = "1day",.help = "How long closed segments stay in the database before they are moved."
	},
	{0}
};

/* ---------- cache ---------- */

static bool
cache_word(int number, PrismWord *word)
{
	return prism_backend_word(PRISM_ROLE_CACHE, number, word);
}

static const PrismKey cache_keys[] = {
	{
		.name = "strategy",.kind = PRISM_KEY_WORD,.offset = PATTERN(strategy),.words = WORDS("look-aside", "write-through"),
		.default_text = "look-aside",.help = "look-aside: who misses a row fills it in; write-through: changes do."
	},
	{
		.name = "backend",.kind = PRISM_KEY_WORD,.offset = PATTERN(backend),.word = cache_word,
		.default_text = "the first of them",.help = "What the rows are kept in."
	},
	{
		.name = "server",.kind = PRISM_KEY_TEXT,.offset = PATTERN(server),.bytes_max = NAME_BYTES,
		.default_text = "as the backend",.help = "The foreign server of the cache, on which USAGE is needed."
	},
	{
		.name = "ttl",.kind = PRISM_KEY_INTERVAL,.offset = PATTERN(ttl),.minimum = SECOND_MS,.maximum = PRISM_RETENTION_MS_MAX,
		.help = "How long a row is kept there at most."
	},
	{
		.name = "key_pattern",.kind = PRISM_KEY_TEXT,.offset = PATTERN(key_pattern),.bytes_max = CACHE_KEY_BYTES,
		.default_text = "namespace, table and primary key",.help = "What a row is called there, such as user:{id}:profile with a column of it."
	},
	{0}
};

/* ---------- cdc ---------- */

static bool
source_word(int number, PrismWord *word)
{
	return prism_backend_word(PRISM_ROLE_ROWS, number, word);
}

static bool
sink_word(int number, PrismWord *word)
{
	return prism_backend_word(PRISM_ROLE_QUEUE, number, word);
}

static bool
listener_word(int number, PrismWord *word)
{
	word->name = PRISM_LISTENER_CACHE;
	word->available = true;
	return number == 0;
}

/* A sink's, and a listener's. */
static bool
destination_word(int number, PrismWord *word)
{
	int			sinks = 0;

	if (sink_word(number, word))
		return true;
	while (sink_word(sinks, word))
		sinks++;
	return listener_word(number - sinks, word);
}

static const PrismKey source_keys[] = {
	{
		.name = "backend",.kind = PRISM_KEY_WORD,.offset = offsetof(PrismSourceKeys, backend),.word = source_word,
		.default_text = "this database",.help = "Whose tables; the word alone stands for a map with nothing else."
	},
	{
		.name = "database",.kind = PRISM_KEY_TEXT,.offset = offsetof(PrismSourceKeys, database),.unkept = true,
		.default_text = "this one",.help = "Where the tables are: postgres or the name of this database; another one is an error."
	},
	{
		.name = "table",.kind = PRISM_KEY_TEXT,.offset = offsetof(PrismSourceKeys, table),.bytes_max = TABLE_BYTES,
		.help = "The table, where it is one; tables names several."
	},
	{0}
};
static const PrismMap source_map = {.bytes = sizeof(PrismSourceKeys),.keys = source_keys,.alone = "backend"};

static const PrismKey sink_keys[] = {
	{
		.name = "backend",.kind = PRISM_KEY_WORD,.offset = offsetof(PrismSinkKeys, backend),.word = sink_word,
		.default_text = "that of the namespace",.help = "Where changes go; the word alone stands for a map with nothing else."
	},
	{
		.name = "topic",.kind = PRISM_KEY_TEXT,.offset = offsetof(PrismSinkKeys, topic),.bytes_max = TOPIC_BYTES,
		.default_text = "that of the namespace",.help = "What the topic of the changes is called."
	},
	{0}
};
static const PrismMap sink_map = {.bytes = sizeof(PrismSinkKeys),.keys = sink_keys,.alone = "backend"};

#define OPERATIONS(struct_name) \
	.name = "operations",.kind = PRISM_KEY_WORD_LIST,.offset = offsetof(struct_name, operations),.words = WORDS("INSERT", "UPDATE", "DELETE"), \
	.entries_min = 1,.entries_max = 3,.distinct = true

static const PrismKey listener_keys[] = {
	{
		.name = "type",.kind = PRISM_KEY_WORD,.offset = offsetof(PrismListenerKeys, type),.word = listener_word,
		.help = "What it does; the word alone stands for a map with nothing else."
	},
	{
		.name = "name",.kind = PRISM_KEY_TEXT,.offset = offsetof(PrismListenerKeys, name),.bytes_max = NAME_BYTES,
		.default_text = "as the type",.help = "What it is called among the sinks of the topic."
	},
	{
		.name = "backend",.kind = PRISM_KEY_WORD,.offset = offsetof(PrismListenerKeys, backend),.word = cache_word,
		.default_text = "that of the cache",.help = "The cache that it keeps right."
	},
	{
		OPERATIONS(PrismListenerKeys),
		.default_text = "those that are captured",.help = "Which changes it is told of."
	},
	{
		.name = "key_extractor",.kind = PRISM_KEY_TEXT,.offset = offsetof(PrismListenerKeys, key_extractor),.bytes_max = CACHE_KEY_BYTES,
		.default_text = "the key_pattern of the cache",.help = "What a changed row is called there, such as user:{after.id}:profile."
	},
	{0}
};
static const PrismMap listener_map = {
	.bytes = sizeof(PrismListenerKeys),.keys = listener_keys,.alone = "type",
	.required = "type",.required_hint = "Add \"type: " PRISM_LISTENER_CACHE "\" to the consumer."
};

static const PrismKey cdc_keys[] = {
	{
		.name = "source",.kind = PRISM_KEY_MAP,.offset = PATTERN(source),.map = &source_map,
		.help = "Which tables are captured; none: nothing is until one is named."
	},
	{
		.name = "sink",.kind = PRISM_KEY_MAP,.offset = PATTERN(sink),.map = &sink_map,
		.help = "Where the changes go beyond the log."
	},
	{
		.name = "topic",.kind = PRISM_KEY_INSIDE,.inside = "sink",.map = &sink_map,
		.help = "As in sink: in one of the two places."
	},
	{
		.name = "destination",.kind = PRISM_KEY_WORD,.offset = PATTERN(destination),.word = destination_word,.unkept = true,
		.help = "Another way to name the sink's backend, or a consumer by its type."
	},
	{
		.name = "tables",.kind = PRISM_KEY_TEXT_LIST,.offset = PATTERN(tables),.entries_min = 1,.entries_max = TABLES_MAX,.distinct = true,.bytes_max = TABLE_BYTES,
		.help = "The tables that are captured, by their names or schema.name."
	},
	{
		OPERATIONS(PrismPatternKeys),
		.default_text = "all three",.help = "Which changes are captured."
	},
	{
		.name = "consumers",.kind = PRISM_KEY_MAPS,.offset = PATTERN(consumers),.map = &listener_map,.entries_max = LISTENERS_MAX,
		.default_text = "none",.help = "Who is told of changes besides: not the consumer groups of the namespace."
	},
	{0}
};

/* ---------- patterns ---------- */

static const PrismKey *
keys_of_pattern(const char *type)
{
	static const struct
	{
		const char *type;
		const PrismKey *keys;
	}			all[] = {
		{"outbox", outbox_keys}, {"claim-check", claim_check_keys}, {"tiered-storage", tiered_storage_keys},
		{"cache", cache_keys}, {"cdc", cdc_keys},
	};

	for (int i = 0; i < (int) lengthof(all); i++)
		if (strcmp(all[i].type, type) == 0)
			return all[i].keys;
	return NULL;
}

/* Those of the registry. */
static bool
pattern_word(int number, PrismWord *word)
{
	const PrismPattern *pattern = prism_patterns()[number];

	if (pattern == NULL)
		return false;
	word->name = pattern->name;
	word->synonym = pattern->synonym;
	word->available = pattern->built;
	return true;
}

#define ENABLED_ROW \
	{ \
		.name = "enabled",.kind = PRISM_KEY_BOOLEAN,.offset = PATTERN(enabled), \
		.default_text = "true",.help = "false: as if it were not there, and the needs must not ask for it." \
	}

static const PrismKey pattern_keys[] = {
	{
		.name = "type",.kind = PRISM_KEY_WORD,.offset = PATTERN(type),.word = pattern_word,
		.help = "Which pattern it is; the word alone stands for a map with nothing else."
	},
	ENABLED_ROW,
	{
		.name = "config",.kind = PRISM_KEY_OPTIONS,
		.help = "Its options, which may also stand beside the type: each in one of the two places, of maps each key."
	},
	{0}
};
const PrismMap prism_pattern_map = {
	.bytes = sizeof(PrismPatternKeys),.keys = pattern_keys,
	.required = "type",.required_hint = "Add \"type: ...\" to the pattern.",
	.alone = "type",.chooser = "type",.keys_of = keys_of_pattern
};

static const PrismKey keys_apart[] = {
	ENABLED_ROW,
	{0}
};
const PrismMap prism_cache_map = {.bytes = sizeof(PrismPatternKeys),.keys = keys_apart,.more = cache_keys};
const PrismMap prism_cdc_map = {.bytes = sizeof(PrismPatternKeys),.keys = keys_apart,.more = cdc_keys};
