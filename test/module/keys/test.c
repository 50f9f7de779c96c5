/*-------------------------------------------------------------------------
 *
 * test.c
 *	  The tables of the configuration's keys, without a server.
 *
 * The reader trusts its tables; here they are looked at: what a row says makes
 * sense, no value lies on another, and the README has the same keys.
 *
 * test/module/keys/test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>

#include "backend/kafka/kafka_options.h"
#include "namespace/keys.h"
#include "pattern/pattern.h"
#include "store/group/group_options.h"

#undef printf					/* the system's: this program links nothing of the server */
#undef fprintf
#undef snprintf

#include "../tap.h"

#define KEYS_MAX 200
#define PATH_BYTES 200
#define CELL_BYTES 100
#define LINE_BYTES 2000

/* ---------- what the tables need of the server ---------- */

const PrismPattern prism_pattern_outbox = {.name = "outbox",.built = true};
const PrismPattern prism_pattern_wal = {.name = "wal",.built = true};
const PrismOptionTable prism_kafka_options = {0};

const char *
prism_ordering_name(PrismOrdering ordering)
{
	return ordering == PRISM_ORDERING_KEY ? "key" : ordering == PRISM_ORDERING_NONE ? "none" : "strict";
}

bool
errstart(int elevel, const char *domain)
{
	abort();
}

bool
errstart_cold(int elevel, const char *domain)
{
	abort();
}

int
errmsg_internal(const char *format,...)
{
	return 0;
}

void
errfinish(const char *filename, int line, const char *function)
{
}

/* ---------- a list of keys, from the tables or from the README ---------- */

typedef struct Entry
{
	char		path[PATH_BYTES];
	char		synonym[PATH_BYTES];	/* or empty */
	char		standard[CELL_BYTES];	/* or empty */
	char		line[LINE_BYTES];	/* of the README */
	const PrismKey *key;		/* of a table */
	bool		plain_map;		/* which its keys stand for */
} Entry;

typedef struct Entries
{
	Entry		entry[KEYS_MAX];
	int			count;
} Entries;

static Entry *
find_entry(Entries *entries, const char *path)
{
	for (int i = 0; i < entries->count; i++)
		if (strcmp(entries->entry[i].path, path) == 0)
			return &entries->entry[i];
	return NULL;
}

static Entry *
add_entry(Entries *entries, const char *path)
{
	Entry	   *entry = &entries->entry[entries->count];

	if (++entries->count > KEYS_MAX)
		abort();
	snprintf(entry->path, PATH_BYTES, "%s", path);
	return entry;
}

/* ---------- walking through the tables ---------- */

static bool
is_number(const PrismKey *key)
{
	return key->kind == PRISM_KEY_INTEGER || key->kind == PRISM_KEY_SIZE ||
		key->kind == PRISM_KEY_INTERVAL || key->kind == PRISM_KEY_INTERVAL_LIST;
}

static bool
is_list(const PrismKey *key)
{
	return key->kind == PRISM_KEY_TEXT_LIST || key->kind == PRISM_KEY_INTERVAL_LIST || key->kind == PRISM_KEY_MAPS;
}

static bool
is_word_of(const PrismKey *key, const char *text)
{
	PrismWord	word;

	for (int i = 0; prism_key_word(key, i, &word); i++)
		if (strcmp(word.name, text) == 0)
			return word.available;
	return false;
}

static bool
has_a_word_twice(const PrismKey *key)
{
	PrismWord	word;
	PrismWord	other;

	for (int i = 0; prism_key_word(key, i, &word); i++)
		for (int k = i + 1; prism_key_word(key, k, &other); k++)
			if (strcmp(word.name, other.name) == 0)
				return true;
	return false;
}

static bool
has_value(const PrismKey *key)
{
	return key->kind != PRISM_KEY_LATER && key->kind != PRISM_KEY_OPTIONS;
}

static Size
bytes_of(const PrismKey *key)
{
	return key->kind == PRISM_KEY_MAP || key->kind == PRISM_KEY_RETENTION ? key->map->bytes : sizeof(PrismValue);
}

static const char *
fault_of_row(const PrismMap *map, const PrismKey *key)
{
	bool		has_map = key->kind == PRISM_KEY_MAP || key->kind == PRISM_KEY_MAPS || key->kind == PRISM_KEY_RETENTION;

	if (has_value(key) && (key->offset < sizeof(PrismPlace) || key->offset + bytes_of(key) > map->bytes))
		return "its value is not in its map's struct";
	if (is_number(key) ? key->maximum <= key->minimum || key->minimum < 0 : key->maximum != 0 || key->minimum != 0)
		return "its bounds are none";
	if (is_list(key) ? key->entries_max != 0 && key->entries_max < key->entries_min : key->entries_max != 0 || key->entries_min != 0)
		return "its number of entries is none";
	if ((key->kind == PRISM_KEY_WORD) != (key->words != NULL || key->word != NULL))
		return "it has words and takes none, or the other way round";
	if (key->kind == PRISM_KEY_WORD && has_a_word_twice(key))
		return "a word is given twice";
	if (has_map != (key->map != NULL))
		return "it has a map and takes none, or the other way round";
	if (key->standard != NULL && (key->kind != PRISM_KEY_WORD || !is_word_of(key, key->standard)))
		return "what it is by default is none of its words";
	return NULL;
}

static const char *
fault_of_pair(const PrismKey *a, const PrismKey *b)
{
	if (prism_key_find(a, b->name) == a || (b->synonym != NULL && prism_key_find(a, b->synonym) == a))
		return "the name is given twice";
	if (has_value(a) && has_value(b) && a->offset < b->offset + bytes_of(b) && b->offset < a->offset + bytes_of(a))
		return "two values lie on each other";
	return NULL;
}

static const char *
fault_of_map(const PrismMap *map)
{
	const PrismKey *chooser = map->chooser != NULL ? prism_key_find(map->keys, map->chooser) : NULL;

	if (map->required != NULL && (prism_key_find(map->keys, map->required) == NULL || map->required_hint == NULL))
		return "what it requires is none of its keys, or without a hint";
	if ((map->chooser != NULL) != (map->keys_of != NULL) || (map->chooser != NULL && (chooser == NULL || chooser->kind != PRISM_KEY_WORD)))
		return "it chooses by what is no word";
	return NULL;
}

static int	faults;

static void
note(const char *path, const char *fault)
{
	if (fault == NULL)
		return;
	faults++;
	printf("# %s: %s\n", path[0] != '\0' ? path : "configuration", fault);
}

static void walk(Entries *entries, const char *path, const PrismMap *map);

/* 'more' are further keys of the map, or NULL. */
static void
walk_keys(Entries *entries, const char *path, const PrismMap *map, const PrismKey *keys, const PrismKey *more)
{
	for (const PrismKey *key = keys; key != NULL && key->name != NULL; key++)
	{
		char		inner[PATH_BYTES];
		Entry	   *entry;

		snprintf(inner, PATH_BYTES, "%s%s%s", path, path[0] != '\0' ? "." : "", key->name);
		note(inner, fault_of_row(map, key));
		for (const PrismKey *other = key + 1; other->name != NULL; other++)
			note(inner, fault_of_pair(key, other));
		for (const PrismKey *other = more; other != NULL && other->name != NULL; other++)
			note(inner, fault_of_pair(key, other));
		if (key->kind == PRISM_KEY_LATER || find_entry(entries, inner) != NULL)
			continue;			/* of two back ends */
		entry = add_entry(entries, inner);
		entry->key = key;
		entry->plain_map = key->kind == PRISM_KEY_MAP && key->map->chooser == NULL;
		snprintf(entry->synonym, PATH_BYTES, "%s", key->synonym != NULL ? key->synonym : "");
		snprintf(entry->standard, CELL_BYTES, "%s", key->standard != NULL ? key->standard : "");
		if (key->map != NULL)
			walk(entries, key->map == &prism_namespace_map ? "" : inner, key->map);
	}
}

static void
walk(Entries *entries, const char *path, const PrismMap *map)
{
	const PrismKey *chooser = map->chooser != NULL ? prism_key_find(map->keys, map->chooser) : NULL;
	PrismWord	word;

	note(path, fault_of_map(map));
	walk_keys(entries, path, map, map->keys, NULL);
	for (int i = 0; chooser != NULL && prism_key_word(chooser, i, &word); i++)
		walk_keys(entries, path, map, map->keys_of(word.name), map->keys);
}

/* ---------- the README's table ---------- */

/* "| `a` (or `b`), `c` | default | meaning |" */
static void
read_row(Entries *entries, const char *line)
{
	const char *end = strchr(line + 1, '|');
	const char *standard = end + 1 + strspn(end + 1, " ");
	int			standard_bytes = (int) strcspn(standard, " |");
	Entry	   *entry = NULL;

	for (const char *at = strchr(line, '`'); at != NULL && at < end; at = strchr(at, '`'))
	{
		bool		is_synonym = entry != NULL && at - line >= 4 && strncmp(at - 4, "(or ", 4) == 0;
		int			bytes = (int) strcspn(at + 1, "`");
		char		name[PATH_BYTES];

		snprintf(name, PATH_BYTES, "%.*s", bytes, at + 1);
		if (is_synonym)
			snprintf(entry->synonym, PATH_BYTES, "%s", name);
		else
		{
			entry = add_entry(entries, name);
			snprintf(entry->standard, CELL_BYTES, "%.*s", standard_bytes, standard);
			snprintf(entry->line, LINE_BYTES, "%s", line);
		}
		at += bytes + 2;
	}
}

static void
read_readme(Entries *entries, const char *path)
{
	char		line[LINE_BYTES];
	bool		inside = false;
	FILE	   *file = fopen(path, "r");

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
	{
		if (strcmp(line, "| key | default | meaning |\n") == 0)
			inside = true;
		else if (line[0] != '|')
			inside = false;
		else if (inside && line[2] == '`')
			read_row(entries, line);
	}
	if (file != NULL)
		fclose(file);
}

/* A word that the key takes and the README does not tell, or NULL. */
static const char *
untold_word(const PrismKey *key, const char *line)
{
	PrismWord	word;

	for (int i = 0; key->kind == PRISM_KEY_WORD && prism_key_word(key, i, &word); i++)
		if (word.available && strstr(line, word.name) == NULL)
			return word.name;
	return NULL;
}

static bool
readme_has_all(Entries *tables, Entries *readme)
{
	int			missing = 0;

	for (int i = 0; i < tables->count; i++)
	{
		const Entry *entry = &tables->entry[i];
		const Entry *told = find_entry(readme, entry->path);

		if (told == NULL)
		{
			if (entry->plain_map)
				continue;
			printf("# not in the README: %s\n", entry->path);
		}
		else if (strcmp(told->synonym, entry->synonym) != 0)
			printf("# %s has the synonym \"%s\", in the README \"%s\"\n", entry->path, entry->synonym, told->synonym);
		else if (untold_word(entry->key, told->line) != NULL)
			printf("# %s may be \"%s\", which the README does not tell\n", entry->path, untold_word(entry->key, told->line));
		else if (entry->standard[0] != '\0' && strcmp(told->standard, entry->standard) != 0)
			printf("# %s is \"%s\" by default, in the README \"%s\"\n", entry->path, entry->standard, told->standard);
		else
			continue;
		missing++;
	}
	return missing == 0;
}

static bool
tables_have_all(Entries *tables, Entries *readme)
{
	int			missing = 0;

	for (int i = 0; i < readme->count; i++)
	{
		if (find_entry(tables, readme->entry[i].path) != NULL)
			continue;
		missing++;
		printf("# in no table: %s\n", readme->entry[i].path);
	}
	return missing == 0;
}

int
main(int count, char **arguments)
{
	static Entries tables;
	static Entries readme;

	walk(&tables, "", &prism_configuration_map);
	ok(tables.count > 0 && find_entry(&tables, "needs.retention.time") != NULL, "the tables lead to all keys");
	ok(faults == 0, "what rows say makes sense, and no value lies on another");
	read_readme(&readme, count > 1 ? arguments[1] : "");
	ok(readme.count > 0, "the README has a table");
	ok(readme_has_all(&tables, &readme), "it has all keys, with their synonyms, words and defaults");
	ok(tables_have_all(&tables, &readme), "and no others");
	return end_tests();
}
