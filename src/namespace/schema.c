/*-------------------------------------------------------------------------
 *
 * schema.c
 *	  Checks a configuration against the table of known keys.
 *
 * Everything the RFC names is known here; what this version does not do yet
 * says so (0A000) instead of being taken for a typing error (22023).
 *
 * src/namespace/schema.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/guess.h"
#include "namespace/schema.h"
#include "pattern/pattern.h"

#include "lib/stringinfo.h"

#define HOUR_MS (INT64CONST(3600) * 1000)
#define DAY_MS (24 * HOUR_MS)

#define KEY(map, name, type) {map, name, true, PRISM_KEY_##type, NULL, 0, 0}
#define KEY_OF(map, name, type, target) {map, name, true, PRISM_KEY_##type, target, 0, 0}
#define RANGE(map, name, type, minimum, maximum) {map, name, true, PRISM_KEY_##type, NULL, minimum, maximum}
#define LATER(map, name, pattern) {map, name, false, PRISM_KEY_TEXT, pattern, 0, 0}

static const PrismKey keys[] = {
	KEY("configuration", "namespaces", NAMESPACES),

	KEY("namespace", "name", TEXT),
	KEY_OF("namespace", "client_api", WORD, "client API"),
	KEY_OF("namespace", "pattern", WORD, "client API"),	/* the RFC's other word for it */
	KEY("namespace", "patterns", PATTERNS),
	KEY_OF("namespace", "backend", WORD_OR_MAP, "backend"),
	KEY_OF("namespace", "needs", MAP, "needs"),
	KEY_OF("namespace", "observability", MAP, "observability"),
	LATER("namespace", "cache", "cache"),
	LATER("namespace", "cdc", "cdc"),
	KEY_OF("namespace", "consumers", MAPS, "consumer"),

	KEY_OF("pattern", "type", WORD, "pattern"),
	KEY("pattern", "enabled", BOOLEAN),
	KEY("pattern", "config", MAP),	/* its keys are those of the pattern's type */

	KEY("outbox", "database", TEXT),
	KEY("outbox", "table", TEXT),
	KEY_OF("outbox", "publisher", MAP, "publisher"),
	RANGE("publisher", "interval", INTERVAL, 1, DAY_MS),
	RANGE("publisher", "batch_size", INTEGER, 1, 100000),

	KEY_OF("backend", "type", WORD, "backend"),
	KEY_OF("backend", "queue", WORD, "backend"),	/* the RFC's other word for it */
	KEY("backend", "server", TEXT),
	KEY("backend", "brokers", TEXT_LIST),
	KEY("backend", "topic", TEXT),
	KEY("backend", "topic_prefix", TEXT),
	RANGE("backend", "partitions", INTEGER, 1, PRISM_PARTITIONS_MAX),
	RANGE("backend", "replication", INTEGER, 1, PRISM_REPLICATION_MAX),
	LATER("backend", "database", "cache"),

	KEY_OF("needs", "consistency", WORD, "consistency"),
	KEY_OF("needs", "delivery_guarantee", WORD, "delivery guarantee"),
	RANGE("needs", "max_message_size", SIZE, 1, PG_INT64_MAX),
	RANGE("needs", "message_size", SIZE, 1, PG_INT64_MAX), /* the RFC's other word for it */
	KEY_OF("needs", "durability", WORD, "durability"),
	KEY_OF("needs", "replay", WORD, "replay"),
	KEY("needs", "ordered", BOOLEAN),
	KEY_OF("needs", "retention", RETENTION, "retention"),
	KEY("retention", "time", RETENTION_TIME),
	KEY("retention", "size", RETENTION_SIZE),
	KEY_OF("needs", "retain", WORD, "retain"),
	RANGE("needs", "max_backlog", INTEGER, 1, PG_INT64_MAX),
	KEY_OF("needs", "on_full", WORD, "on_full"),
	LATER("needs", "write_rps", NULL),
	LATER("needs", "throughput", NULL),
	LATER("needs", "storage_backend", "claim-check"),
	LATER("needs", "cleanup", "claim-check"),
	LATER("needs", "audit", "event-store"),

	KEY("consumer", "group", TEXT),
	KEY("consumer", "name", TEXT),	/* the RFC's other word for it */
	KEY_OF("consumer", "ordering", WORD, "ordering"),
	RANGE("consumer", "max_attempts", INTEGER, 0, 10000),
	RANGE("consumer", "lease", INTERVAL, 1, DAY_MS / 2),
	RANGE("consumer", "max_in_flight", INTEGER, 0, 1048576),
	RANGE("consumer", "backoff", INTERVAL_LIST, 0, 7 * DAY_MS),

	KEY("observability", "trace_patterns", BOOLEAN),
	KEY("observability", "pattern_metrics", BOOLEAN),
	{NULL, NULL, false, PRISM_KEY_TEXT, NULL, 0, 0}
};

/* The words of list "pattern" are those of the registry of patterns. */
static const PrismWord words[] = {
	{"client API", "queue", true},
	{"client API", "durable-queue", true},
	{"client API", "pubsub", true},
	{"client API", "transact", true},
	{"client API", "reader", false},
	{"client API", "cache", false},

	{"backend", "postgres", true},
	{"backend", "memory", true},
	{"backend", "kafka", true},
	{"backend", "nats", false},
	{"backend", "redis", false},
	{"backend", "s3", false},
	{"backend", "clickhouse", false},

	{"ordering", "key", true},
	{"ordering", "none", true},
	{"ordering", "strict", true},

	{"consistency", "strong", true},
	{"consistency", "eventual", true},
	{"delivery guarantee", "at_least_once", true},
	{"delivery guarantee", "exactly_once", true},
	{"durability", "strong", true},
	{"durability", "relaxed", true},
	{"replay", "enabled", true},
	{"replay", "disabled", true},
	{"retain", "time", true},
	{"retain", "consumers", true},
	{"on_full", "warn", true},
	{"on_full", "reject", true},
	{NULL, NULL, false}
};

static bool is_fragment(const PrismYaml *root);
static void check_namespace(const PrismYaml *namespace);
static void check_map(const PrismYaml *map, const char *name, const char *pattern);
static const PrismKey *find_key(const char *map, const char *pattern, const char *name);
static void report_unknown_key(const PrismYaml *key, const char *map, const char *pattern);
static void check_value(const PrismKey *key, const PrismYaml *value);
static void check_scalar(const PrismKey *key, const PrismYaml *value);
static void check_word(const PrismKey *key, const PrismYaml *value);
static void check_list(const PrismKey *key, const PrismYaml *value);
static void check_item(const PrismKey *key, const PrismYaml *item);
static void check_pattern(const PrismKey *key, const PrismYaml *pattern);
static void report_wrong_value(const PrismKey *key, const PrismYaml *value);
static char *key_path(const PrismKey *key);
static char *longest(const PrismKey *key);
static char *expectation(const PrismKey *key);
static char *known_words(const char *list);

static bool next_word(const char *list, int *position, PrismWord *word);

void
prism_schema_check(const PrismYaml *root)
{
	static const PrismKey whole = {"configuration", "configuration", true, PRISM_KEY_MAP, NULL, 0, 0};

	if (root->kind != PRISM_YAML_MAP)
		report_wrong_value(&whole, root);
	if (prism_yaml_get(root, "namespaces") != NULL)
		check_map(root, "configuration", NULL);
	else if (prism_yaml_get(root, "name") != NULL || is_fragment(root))
		check_namespace(root);
	else
	{
		/* nobody knows yet which of the two it is to become */
		check_map(root, "configuration", "namespace");
		report_wrong_value(&whole, root);
	}
}

/* One namespace without the list around it, as the RFC often shows it. */
static bool
is_fragment(const PrismYaml *root)
{
	ListCell   *cell;

	foreach(cell, root->items)
		if (find_key("namespace", NULL, ((PrismYamlEntry *) lfirst(cell))->key->text) != NULL)
			return true;
	return false;
}

static void
check_namespace(const PrismYaml *namespace)
{
	check_map(namespace, "namespace", NULL);
	if (prism_yaml_get(namespace, "name") == NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("namespace has no name " PRISM_AT, prism_at(namespace)),
				errhint("Add \"name: ...\" to it."));
}

/* 'pattern' is the type of the pattern whose keys may stand there too, or NULL. */
static void
check_map(const PrismYaml *map, const char *name, const char *pattern)
{
	ListCell   *cell;

	foreach(cell, map->items)
	{
		PrismYamlEntry *entry = lfirst(cell);
		const PrismKey *key = find_key(name, pattern, entry->key->text);

		if (key == NULL)
			report_unknown_key(entry->key, name, pattern);
		if (key->available)
			check_value(key, entry->value);
		else if (!(entry->value->kind == PRISM_YAML_MAP && !prism_pattern_enabled(entry->value)))
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("\"%s\" is not available yet in this version " PRISM_AT,
						   key_path(key), prism_at(entry->key)),
					key->target != NULL ? errdetail("It needs the pattern \"%s\".", key->target) : 0,
					errhint("Leave it out for now."));
	}
}

static const PrismKey *
find_key(const char *map, const char *pattern, const char *name)
{
	for (const PrismKey *key = keys; key->map != NULL; key++)
		if (strcmp(key->name, name) == 0 &&
			(strcmp(key->map, map) == 0 || (pattern != NULL && strcmp(key->map, pattern) == 0)))
			return key;
	return NULL;
}

static void
report_unknown_key(const PrismYaml *written, const char *map, const char *pattern)
{
	StringInfoData known;
	PrismGuess	guess;

	initStringInfo(&known);
	prism_guess_begin(&guess, written->text);
	for (const PrismKey *key = keys; key->map != NULL; key++)
		if (strcmp(key->map, map) == 0 || (pattern != NULL && strcmp(key->map, pattern) == 0))
		{
			prism_guess_try(&guess, key->name);
			if (key->available)
				appendStringInfo(&known, "%s%s", known.len > 0 ? ", " : "", key->name);
		}

	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("unknown key \"%s\" " PRISM_AT, prism_yaml_show(written->text), prism_at(written)),
			errdetail("Known here: %s.", known.data),
			guess.best ? errhint("Perhaps you meant \"%s\".", guess.best) :
			strcmp(map, "backend") == 0 ?
			errhint("Properties of a client library are options of a foreign server, secrets those of a user mapping; the namespace names the server.") : 0);
}

static void
check_value(const PrismKey *key, const PrismYaml *value)
{
	switch (key->type)
	{
		case PRISM_KEY_RETENTION:
			if (value->kind == PRISM_YAML_MAP)
				check_map(value, key->target, NULL);
			else
				check_scalar(key, value);
			break;
		case PRISM_KEY_MAP:
			if (value->kind != PRISM_YAML_MAP)
				report_wrong_value(key, value);
			if (key->target != NULL)
				check_map(value, key->target, NULL);
			break;
		case PRISM_KEY_WORD_OR_MAP:
			if (value->kind == PRISM_YAML_MAP)
				check_map(value, key->target, NULL);
			else
				check_word(key, value);
			break;
		case PRISM_KEY_TEXT_LIST:
		case PRISM_KEY_INTERVAL_LIST:
		case PRISM_KEY_MAPS:
		case PRISM_KEY_NAMESPACES:
		case PRISM_KEY_PATTERNS:
			check_list(key, value);
			break;
		case PRISM_KEY_WORD:
			check_word(key, value);
			break;
		default:
			check_scalar(key, value);
	}
}

static void
check_scalar(const PrismKey *key, const PrismYaml *value)
{
	int64		number = 0;
	bool		good;

	if (value->kind != PRISM_YAML_SCALAR || prism_yaml_is_null(value) || value->text[0] == '\0')
		report_wrong_value(key, value);

	switch (key->type)
	{
		case PRISM_KEY_TEXT:
			return;
		case PRISM_KEY_BOOLEAN:
			good = !value->quoted &&
				(strcmp(value->text, "true") == 0 || strcmp(value->text, "false") == 0);
			break;
		case PRISM_KEY_INTEGER:
			good = prism_parse_integer(value->text, &number);
			break;
		case PRISM_KEY_SIZE:
			good = prism_parse_size(value->text, &number);
			break;
		case PRISM_KEY_INTERVAL:
		case PRISM_KEY_INTERVAL_LIST:
			good = prism_parse_interval(value->text, &number);
			break;
		case PRISM_KEY_RETENTION_TIME:
			good = prism_parse_retention_time(value->text, &number);
			break;
		case PRISM_KEY_RETENTION:
			/* a number without a unit could be either */
			good = !prism_parse_integer(value->text, &number) &&
				(prism_parse_retention_time(value->text, &number) ||
				 prism_parse_retention_size(value->text, &number));
			break;
		case PRISM_KEY_RETENTION_SIZE:
			good = prism_parse_retention_size(value->text, &number);
			break;
		default:
			elog(ERROR, "key \"%s\" is not a scalar", key->name);
	}
	if (key->maximum > 0 && (number < key->minimum || number > key->maximum))
		good = false;
	if (!good)
		report_wrong_value(key, value);
}

static void
check_word(const PrismKey *key, const PrismYaml *value)
{
	PrismGuess	guess;
	PrismWord	word;
	int			position = 0;

	if (value->kind != PRISM_YAML_SCALAR || prism_yaml_is_null(value))
		report_wrong_value(key, value);

	prism_guess_begin(&guess, value->text);
	while (next_word(key->target, &position, &word))
	{
		prism_guess_try(&guess, word.word);
		if (strcmp(word.word, value->text) != 0)
			continue;
		if (!word.available)
			ereport(ERROR,
					errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("%s \"%s\" is not available yet in this version " PRISM_AT,
						   key->target, word.word, prism_at(value)),
					errdetail("Available: %s.", known_words(key->target)));
		return;
	}
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("unknown %s \"%s\" " PRISM_AT,
				   key->target, prism_yaml_show(value->text), prism_at(value)),
			errdetail("Available: %s.", known_words(key->target)),
			guess.best ? errhint("Perhaps you meant \"%s\".", guess.best) : 0);
}

static void
check_list(const PrismKey *key, const PrismYaml *value)
{
	ListCell   *cell;

	if (value->kind != PRISM_YAML_LIST)
		report_wrong_value(key, value);
	foreach(cell, value->items)
		check_item(key, lfirst(cell));
}

static void
check_item(const PrismKey *key, const PrismYaml *item)
{
	bool		is_map = key->type == PRISM_KEY_NAMESPACES || key->type == PRISM_KEY_MAPS;

	if (key->type == PRISM_KEY_PATTERNS)
		check_pattern(key, item);
	else if (item->kind != (is_map ? PRISM_YAML_MAP : PRISM_YAML_SCALAR))
		report_wrong_value(key, item);
	else if (key->type == PRISM_KEY_NAMESPACES)
		check_namespace(item);
	else if (key->type == PRISM_KEY_MAPS)
		check_map(item, key->target, NULL);
	else if (key->type == PRISM_KEY_INTERVAL_LIST)
		check_scalar(key, item);
}

/* A pattern that is switched off is not looked into unless this version knows it. */
static void
check_pattern(const PrismKey *key, const PrismYaml *pattern)
{
	const PrismKey *type_key = find_key("pattern", NULL, "type");
	const PrismYaml *type;
	const PrismYaml *enabled;
	const PrismYaml *config;
	const PrismPattern *known;

	if (pattern->kind == PRISM_YAML_SCALAR)
	{
		check_word(type_key, pattern);
		return;
	}
	if (pattern->kind != PRISM_YAML_MAP)
		report_wrong_value(key, pattern);
	type = prism_yaml_get(pattern, "type");
	if (type == NULL)
		report_wrong_value(key, pattern);
	enabled = prism_yaml_get(pattern, "enabled");
	if (enabled != NULL)
		check_scalar(find_key("pattern", NULL, "enabled"), enabled);

	if (!prism_pattern_enabled(pattern))
	{
		if (type->kind != PRISM_YAML_SCALAR)
			report_wrong_value(type_key, type);
		known = prism_pattern_find(type->text);
		if (known != NULL && !known->built)
			return;
	}
	check_word(type_key, type);
	check_map(pattern, "pattern", type->text);
	config = prism_yaml_get(pattern, "config");
	if (config != NULL)
		check_map(config, type->text, NULL);
}

static void
report_wrong_value(const PrismKey *key, const PrismYaml *value)
{
	const char *found;

	if (value->kind == PRISM_YAML_MAP)
		found = "a map";
	else if (value->kind == PRISM_YAML_LIST)
		found = "a list";
	else if (prism_yaml_is_null(value))
		found = "nothing";
	else
		found = psprintf("\"%s\"", prism_yaml_show(value->text));

	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("\"%s\" " PRISM_AT " must be %s", key_path(key), prism_at(value), expectation(key)),
			errdetail("Found %s.", found));
}

/* "needs.retention"; the keys of a namespace and the configuration itself stand alone. */
static char *
key_path(const PrismKey *key)
{
	if (strcmp(key->map, "namespace") == 0 || strcmp(key->map, "configuration") == 0)
		return pstrdup(key->name);
	return psprintf("%s.%s", key->map, key->name);
}

/* An interval's upper bound: whole days or hours. */
static char *
longest(const PrismKey *key)
{
	int			hours = (int) (key->maximum / HOUR_MS);

	if (hours % 24 == 0)
		return psprintf("%d day%s", hours / 24, hours > 24 ? "s" : "");
	return psprintf("%d hours", hours);
}

static char *
expectation(const PrismKey *key)
{
	switch (key->type)
	{
		case PRISM_KEY_TEXT:
			return "text";
		case PRISM_KEY_WORD:
			return psprintf("one of %s", known_words(key->target));
		case PRISM_KEY_BOOLEAN:
			return "true or false";
		case PRISM_KEY_INTEGER:
			return psprintf("an integer from " INT64_FORMAT " to " INT64_FORMAT,
							key->minimum, key->maximum);
		case PRISM_KEY_SIZE:
			return "a size such as 500k, 1MB or 64MiB";
		case PRISM_KEY_INTERVAL:
			return psprintf("a time such as 100ms, 5s or 1min, from %d ms to %s",
							(int) key->minimum, longest(key));
		case PRISM_KEY_INTERVAL_LIST:
			return psprintf("a list of times such as 100ms, 5s or 1min, from %d ms to %s each",
							(int) key->minimum, longest(key));
		case PRISM_KEY_RETENTION:
			return "a time such as 30days, a size such as 10GB, forever, or a map with time and size";
		case PRISM_KEY_RETENTION_SIZE:
			return "a size such as 10GB, at least 1MB";
		case PRISM_KEY_RETENTION_TIME:
			return "a time such as 30days, from 1 second to 36500 days, or forever";
		case PRISM_KEY_TEXT_LIST:
			return "a list of text";
		case PRISM_KEY_MAP:
			return strcmp(key->name, "configuration") == 0 ?
				"a map with the key \"namespaces\", or one namespace with its \"name\"" : "a map";
		case PRISM_KEY_MAPS:
			return "a list of maps";
		case PRISM_KEY_WORD_OR_MAP:
			return psprintf("a map, or one of %s", known_words(key->target));
		case PRISM_KEY_NAMESPACES:
			return "a list of maps, each with a \"name\"";
		case PRISM_KEY_PATTERNS:
			return "a list of maps, each with a \"type\"";
	}
	return "something else";
}

static char *
known_words(const char *list)
{
	StringInfoData known;
	PrismWord	word;
	int			position = 0;

	initStringInfo(&known);
	while (next_word(list, &position, &word))
		if (word.available)
			appendStringInfo(&known, "%s%s", known.len > 0 ? ", " : "", word.word);
	return known.data;
}

/* Begin with position 0; false: there are no more. */
static bool
next_word(const char *list, int *position, PrismWord *word)
{
	if (strcmp(list, "pattern") == 0)
	{
		const PrismPattern *pattern = prism_patterns()[(*position)++];

		if (pattern == NULL)
			return false;
		word->word = pattern->name;
		word->available = pattern->built;
		return true;
	}
	for (; words[*position].list != NULL; (*position)++)
		if (strcmp(words[*position].list, list) == 0)
		{
			*word = words[(*position)++];
			return true;
		}
	return false;
}
