/*-------------------------------------------------------------------------
 *
 * reference.c
 *	  All keys of a configuration, for people: in order, with what each takes.
 *
 * The words that an error, the view prism.config_keys and the reference in
 * README.md have for what a key takes are made here and nowhere else.
 *
 * src/namespace/reference.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/reference.h"

#define SECOND_MS 1000
#define HOUR_MS (INT64CONST(3600) * 1000)

typedef struct Walk
{
	void		(*visit) (const PrismKeyEntry *entry, void *arg);
	void	   *arg;
} Walk;

static void visit_map(const Walk *walk, const PrismKeyEntry *outer, const PrismMap *map);
static void visit_key(const Walk *walk, const PrismKeyEntry *outer, PrismKeyEntry entry);
static bool is_available(const PrismKeyEntry *entry);
static void add_words(char *text, const PrismKey *key);
static void add_bytes(char *text, const PrismKey *key);
static bool add_some_words(char *text, const PrismKey *key, const char *separator, bool available);
static void add_bounds(char *text, const PrismKey *key);

/* ---------- all keys ---------- */

void
prism_keys_visit(void (*visit) (const PrismKeyEntry *entry, void *arg), void *arg)
{
	Walk		walk = {visit, arg};
	PrismKeyEntry document = {.available = true};

	visit_map(&walk, &document, &prism_configuration_map);
}

static void
visit_map(const Walk *walk, const PrismKeyEntry *outer, const PrismMap *map)
{
	PrismWord	word;

	for (const PrismKey *key = map->keys; key->name != NULL; key++)
		visit_key(walk, outer, (PrismKeyEntry) {.key = key,.map = map});
	for (const PrismKey *key = map->more; key != NULL && key->name != NULL; key++)
		visit_key(walk, outer, (PrismKeyEntry) {.key = key,.map = map});
	if (map->chooser == NULL)
		return;
	for (int i = 0; prism_key_word(prism_key_find(map->keys, map->chooser), i, &word); i++)
		for (const PrismKey *key = map->keys_of(word.name); key != NULL && key->name != NULL; key++)
		{
			PrismKeyEntry entry = {.key = key,.map = map,.chosen = true};
			PrismWord	first;

			/* once, however many words it comes with */
			if (prism_key_choice(&entry, 0, &first) && strcmp(first.name, word.name) == 0)
				visit_key(walk, outer, entry);
		}
}

static void
visit_key(const Walk *walk, const PrismKeyEntry *outer, PrismKeyEntry entry)
{
	const PrismMap *inner = entry.key->kind != PRISM_KEY_INSIDE ? entry.key->map : NULL;

	snprintf(entry.path, sizeof(entry.path), "%s%s%s", outer->path, outer->path[0] != '\0' ? "." : "", entry.key->name);
	entry.available = outer->available && is_available(&entry);
	walk->visit(&entry, walk->arg);
	if (inner == &prism_namespace_map)
		entry.path[0] = '\0';
	if (inner != NULL)
		visit_map(walk, &entry, inner);
}

/* One of those that have it is built, and what it needs. */
static bool
is_available(const PrismKeyEntry *entry)
{
	const char *pattern = entry->key->pattern;
	PrismWord	word;

	if (pattern != NULL && (!prism_word_find(prism_key_find(prism_pattern_map.keys, prism_pattern_map.chooser), pattern, &word) || !word.available))
		return false;
	if (!entry->chosen)
		return true;
	for (int i = 0; prism_key_choice(entry, i, &word); i++)
		if (word.available)
			return true;
	return false;
}

const PrismKey *
prism_key_value(const PrismKey *key)
{
	return key->kind == PRISM_KEY_INSIDE ? prism_key_find(key->map->keys, key->name) : key;
}

bool
prism_key_choice(const PrismKeyEntry *entry, int number, PrismWord *word)
{
	const PrismKey *chooser;

	if (!entry->chosen)
		return false;
	chooser = prism_key_find(entry->map->keys, entry->map->chooser);
	for (int i = 0; prism_key_word(chooser, i, word); i++)
		if (prism_key_find(entry->map->keys_of(word->name), entry->key->name) != NULL && number-- == 0)
			return true;
	return false;
}

/* ---------- what a key takes ---------- */

static void
add_taken(char *text, const char *more)
{
	Size		used = strlen(text);

	snprintf(text + used, PRISM_KEY_TEXT_BYTES - used, "%s", more);
}

/* Bounds of sizes are round numbers, or far away. */
static void
add_taken_size(char *text, const PrismKey *key)
{
	bool		giga = key->maximum % 1000000000 == 0;

	add_taken(text, "a size such as 500k, 1MB or 64MiB");
	if (key->maximum < PG_INT64_MAX)
		snprintf(text + strlen(text), PRISM_KEY_TEXT_BYTES - strlen(text), ", at most " INT64_FORMAT "%s",
				 key->maximum / (giga ? 1000000000 : 1000000), giga ? "GB" : "MB");
	if (key->kind == PRISM_KEY_SIZE_OR_MORE)
		add_taken(text, ", or \">1MB\", in quotes, for more than that");
}

const char *
prism_key_takes(const PrismKey *key, char *text)
{
	text[0] = '\0';
	key = prism_key_value(key);
	switch (key->kind)
	{
		case PRISM_KEY_TEXT:
			add_taken(text, "text");
			add_bytes(text, key);
			break;
		case PRISM_KEY_WORD_LIST:
			add_taken(text, "a list of words, each ");
			add_words(text, key);
			break;
		case PRISM_KEY_WORD:
			add_words(text, key);
			break;
		case PRISM_KEY_BOOLEAN:
			add_taken(text, "true or false");
			break;
		case PRISM_KEY_INTEGER:
			snprintf(text, PRISM_KEY_TEXT_BYTES, "an integer from " INT64_FORMAT " to " INT64_FORMAT, key->minimum, key->maximum);
			break;
		case PRISM_KEY_SIZE:
		case PRISM_KEY_SIZE_OR_MORE:
			add_taken_size(text, key);
			break;
		case PRISM_KEY_RATE:
			snprintf(text, PRISM_KEY_TEXT_BYTES, "a rate such as 5000, 10k msgs/s or 100k+, from " INT64_FORMAT " to " INT64_FORMAT, key->minimum, key->maximum);
			break;
		case PRISM_KEY_INTERVAL:
			add_taken(text, "a time such as 100ms, 5s or 1min");
			add_bounds(text, key);
			break;
		case PRISM_KEY_INTERVAL_LIST:
			add_taken(text, "a list of times such as 100ms, 5s or 1min");
			add_bounds(text, key);
			add_taken(text, " each");
			break;
		case PRISM_KEY_RETENTION:
			add_taken(text, "a time such as 30days, a size such as 10GB, forever, or a map with time and size");
			break;
		case PRISM_KEY_RETENTION_SIZE:
			add_taken(text, "a size such as 10GB, at least 1MB");
			break;
		case PRISM_KEY_RETENTION_TIME:
			add_taken(text, "a time such as 30days, from 1 second to 36500 days, or forever");
			break;
		case PRISM_KEY_TEXT_LIST:
			add_taken(text, "a list of text");
			add_bytes(text, key);
			break;
		case PRISM_KEY_MAP:
			add_taken(text, "a map");
			if (key->map->alone != NULL)
			{
				add_taken(text, ", or ");
				add_words(text, prism_key_find(key->map->keys, key->map->alone));
			}
			break;
		case PRISM_KEY_OPTIONS:
			add_taken(text, "a map");
			break;
		case PRISM_KEY_MAPS:
			snprintf(text, PRISM_KEY_TEXT_BYTES, "a list of %smaps, each with a \"%s\"", key->map->alone != NULL ? "words, or of " : "", key->map->required);
			break;
		case PRISM_KEY_INSIDE:
			break;
	}
	return text;
}

/* Those that are refused in the end stand apart. */
static void
add_words(char *text, const PrismKey *key)
{
	bool		some = add_some_words(text, key, "one of: ", true);

	add_some_words(text, key, some ? "; to come: " : "one of those to come: ", false);
}

static bool
add_some_words(char *text, const PrismKey *key, const char *separator, bool available)
{
	bool		some = false;
	PrismWord	word;

	for (int i = 0; prism_key_word(key, i, &word); i++)
	{
		if (word.available != available)
			continue;
		add_taken(text, separator);
		add_taken(text, word.name);
		if (word.synonym != NULL)
		{
			add_taken(text, " (or ");
			add_taken(text, word.synonym);
			add_taken(text, ")");
		}
		separator = ", ";
		some = true;
	}
	return some;
}

static void
add_bytes(char *text, const PrismKey *key)
{
	Size		used = strlen(text);

	if (key->bytes_max > 0)
		snprintf(text + used, PRISM_KEY_TEXT_BYTES - used, " of at most %d bytes", key->bytes_max);
}

/* Of a time; the upper one in whole days or hours. */
static void
add_bounds(char *text, const PrismKey *key)
{
	int			hours = (int) (key->maximum / HOUR_MS);
	bool		in_days = hours % 24 == 0;
	bool		in_seconds = key->minimum > 0 && key->minimum % SECOND_MS == 0;
	Size		used = strlen(text);

	snprintf(text + used, PRISM_KEY_TEXT_BYTES - used, ", from %d %s to %d %s", in_seconds ? (int) (key->minimum / SECOND_MS) : (int) key->minimum,
			 in_seconds ? "s" : "ms", in_days ? hours / 24 : hours, !in_days ? "hours" : hours == 24 ? "day" : "days");
}

const char *
prism_key_type(const PrismKey *key)
{
	key = prism_key_value(key);
	switch (key->kind)
	{
		case PRISM_KEY_TEXT:
			return "text";
		case PRISM_KEY_WORD:
			return "word";
		case PRISM_KEY_BOOLEAN:
			return "boolean";
		case PRISM_KEY_INTEGER:
			return "integer";
		case PRISM_KEY_SIZE:
		case PRISM_KEY_SIZE_OR_MORE:
		case PRISM_KEY_RETENTION_SIZE:
			return "size";
		case PRISM_KEY_RATE:
			return "rate";
		case PRISM_KEY_INTERVAL:
		case PRISM_KEY_RETENTION_TIME:
			return "time";
		case PRISM_KEY_RETENTION:
			return "time, size or map";
		case PRISM_KEY_TEXT_LIST:
			return "list of text";
		case PRISM_KEY_WORD_LIST:
			return "list of words";
		case PRISM_KEY_INTERVAL_LIST:
			return "list of times";
		case PRISM_KEY_MAPS:
			return "list of maps";
		case PRISM_KEY_MAP:
		case PRISM_KEY_OPTIONS:
			return "map";
		case PRISM_KEY_INSIDE:
			break;
	}
	return NULL;
}

const char *
prism_key_unit(const PrismKey *key)
{
	switch (key->kind)
	{
		case PRISM_KEY_SIZE:
		case PRISM_KEY_SIZE_OR_MORE:
		case PRISM_KEY_RETENTION_SIZE:
			return "bytes";
		case PRISM_KEY_RATE:
			return "msgs/s";
		case PRISM_KEY_INTERVAL:
		case PRISM_KEY_INTERVAL_LIST:
		case PRISM_KEY_RETENTION_TIME:
			return "ms";
		default:
			return NULL;
	}
}

bool
prism_key_has_bounds(const PrismKey *key)
{
	return key->kind == PRISM_KEY_INTEGER || prism_key_unit(key) != NULL;
}
