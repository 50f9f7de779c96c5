/*-------------------------------------------------------------------------
 *
 * test.c
 *	  The tables of the configuration's keys, without a server.
 *
 * The reader trusts its tables; here they are looked at: what a row says makes
 * sense, no value lies on another, each key has its help, and the README has the
 * reference that the tables make.  Called without an argument, it prints that.
 *
 * test/module/keys/test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/kafka/kafka_options.h"
#include "namespace/reference.h"
#include "pattern/pattern.h"
#include "store/group/group_options.h"

#undef printf					/* the system's: this program links nothing of the server */
#undef fprintf
#undef snprintf
#undef vsnprintf

#include "../tap.h"

/* ---------- what the tables need of the server ---------- */

const PrismPattern prism_pattern_outbox = {.name = "outbox",.built = true};
const PrismPattern prism_pattern_wal = {.name = "wal",.built = true};
const PrismPattern prism_pattern_claim_check = {.name = "claim-check",.built = true};
const PrismOptionTable prism_kafka_options = {0};
const PrismOptionTable prism_nats_options = {0};
const PrismOptionTable prism_redis_options = {0};
const PrismOptionTable prism_s3_options = {0};
const PrismOptionTable prism_clickhouse_options = {0};

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

int
pg_snprintf(char *text, size_t bytes, const char *format,...)
{
	va_list		arguments;
	int			length;

	va_start(arguments, format);
	length = vsnprintf(text, bytes, format, arguments);
	va_end(arguments);
	return length;
}

/* ---------- walking through the tables ---------- */

static bool
is_number(const PrismKey *key)
{
	return key->kind == PRISM_KEY_INTEGER || key->kind == PRISM_KEY_SIZE || key->kind == PRISM_KEY_SIZE_OR_MORE || key->kind == PRISM_KEY_RATE ||
		key->kind == PRISM_KEY_INTERVAL || key->kind == PRISM_KEY_INTERVAL_LIST ||
		key->kind == PRISM_KEY_RETENTION_TIME || key->kind == PRISM_KEY_RETENTION_SIZE;
}

static bool
is_list(const PrismKey *key)
{
	return key->kind == PRISM_KEY_TEXT_LIST || key->kind == PRISM_KEY_WORD_LIST || key->kind == PRISM_KEY_INTERVAL_LIST || key->kind == PRISM_KEY_MAPS;
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
is_named(const PrismWord *word, const char *name)
{
	return strcmp(word->name, name) == 0 || (word->synonym != NULL && strcmp(word->synonym, name) == 0);
}

static bool
has_a_word_twice(const PrismKey *key)
{
	PrismWord	word;
	PrismWord	other;

	for (int i = 0; prism_key_word(key, i, &word); i++)
		for (int k = i + 1; prism_key_word(key, k, &other); k++)
			if (is_named(&other, word.name) || (word.synonym != NULL && is_named(&other, word.synonym)))
				return true;
	return false;
}

static bool
has_value(const PrismKey *key)
{
	return key->kind != PRISM_KEY_INSIDE && key->kind != PRISM_KEY_OPTIONS;
}

static Size
bytes_of(const PrismKey *key)
{
	return key->kind == PRISM_KEY_MAP || key->kind == PRISM_KEY_RETENTION ? key->map->bytes : sizeof(PrismValue);
}

static const char *
fault_of_row(const PrismMap *map, const PrismKey *key)
{
	bool		has_map = key->kind == PRISM_KEY_INSIDE || key->kind == PRISM_KEY_MAP || key->kind == PRISM_KEY_MAPS || key->kind == PRISM_KEY_RETENTION;

	if (has_value(key) && (key->offset < sizeof(PrismPlace) || key->offset + bytes_of(key) > map->bytes))
		return "its value is not in its map's struct";
	if (is_number(key) ? key->maximum <= key->minimum || key->minimum < 0 : key->maximum != 0 || key->minimum != 0)
		return "its bounds are none";
	if (prism_key_has_bounds(key) != is_number(key))
		return "it is a number and shows no bounds, or the other way round";
	if (is_list(key) ? key->entries_max != 0 && key->entries_max < key->entries_min : key->entries_max != 0 || key->entries_min != 0)
		return "its number of entries is none";
	if (key->bytes_max != 0 && key->kind != PRISM_KEY_TEXT && key->kind != PRISM_KEY_TEXT_LIST)
		return "it counts the bytes of what is no text";
	if (key->distinct && key->kind != PRISM_KEY_TEXT_LIST && key->kind != PRISM_KEY_WORD_LIST)
		return "it compares entries that are no texts";
	if ((key->inside != NULL) != (key->kind == PRISM_KEY_INSIDE))
		return "it stands inside another one and has no value there, or the other way round";
	if ((key->kind == PRISM_KEY_WORD || key->kind == PRISM_KEY_WORD_LIST) != (key->words != NULL || key->word != NULL))
		return "it has words and takes none, or the other way round";
	if ((key->kind == PRISM_KEY_WORD || key->kind == PRISM_KEY_WORD_LIST) && has_a_word_twice(key))
		return "a word is given twice";
	if (has_map != (key->map != NULL))
		return "it has a map and takes none, or the other way round";
	if (key->help == NULL || strlen(key->help) < 10 || key->help[strlen(key->help) - 1] != '.' || strpbrk(key->help, "|\n`") != NULL)
		return "its help is no sentence";
	if (key->standard != NULL && (key->kind != PRISM_KEY_WORD || !is_word_of(key, key->standard)))
		return "what it is by default is none of its words";
	return NULL;
}

/* What stands beside a map is a key of that map, and the map one of the same table. */
static const char *
fault_of_inner(const PrismKey *keys, const PrismKey *key)
{
	const PrismKey *outer;

	if (key->kind != PRISM_KEY_INSIDE)
		return NULL;
	outer = prism_key_find(keys, key->inside);
	if (outer == NULL || outer->kind != PRISM_KEY_MAP || outer->map != key->map || outer->map->chooser != NULL)
		return "there is no such map beside it";
	return prism_key_find(outer->map->keys, key->name) != NULL ? NULL : "the map beside it has no such key";
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
	if (map->alone != NULL && (prism_key_find(map->keys, map->alone) == NULL || prism_key_find(map->keys, map->alone)->kind != PRISM_KEY_WORD))
		return "what stands in its place is no word";
	if (map->chooser != NULL && (map->alone == NULL || strcmp(map->alone, map->chooser) != 0))
		return "what chooses cannot stand alone";
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

static void
check_keys(const char *path, const PrismMap *map, const PrismKey *keys, const PrismKey *more)
{
	for (const PrismKey *key = keys; key != NULL && key->name != NULL; key++)
	{
		char		inner[PRISM_KEY_PATH_BYTES];

		snprintf(inner, sizeof(inner), "%s%s%s", path, path[0] != '\0' ? "." : "", key->name);
		note(inner, fault_of_row(map, key));
		note(inner, fault_of_inner(keys, key));
		for (const PrismKey *other = key + 1; other->name != NULL; other++)
			note(inner, fault_of_pair(key, other));
		for (const PrismKey *other = more; other != NULL && other->name != NULL; other++)
			note(inner, fault_of_pair(key, other));
	}
}

static void
check_map(const char *path, const PrismMap *map)
{
	const PrismKey *chooser = map->chooser != NULL ? prism_key_find(map->keys, map->chooser) : NULL;
	PrismWord	word;

	note(path, fault_of_map(map));
	check_keys(path, map, map->keys, map->more);
	check_keys(path, map, map->more, NULL);
	for (int i = 0; chooser != NULL && prism_key_word(chooser, i, &word); i++)
		check_keys(path, map, map->keys_of(word.name), map->keys);
}

static int	visited;
static bool leads_to_retention;

static void
check_entry(const PrismKeyEntry *entry, void *arg)
{
	visited++;
	leads_to_retention |= strcmp(entry->path, "needs.retention.time") == 0;
	if (entry->key->map != NULL)
		check_map(entry->path, entry->key->map);
}

/* ---------- the reference ---------- */

#define BEGIN "<!-- ./dev reference -->\n"
#define END "<!-- end -->\n"
#define REFERENCE_BYTES 200000

static char reference[REFERENCE_BYTES];

static void
add_line(const char *format,...)
{
	size_t		used = strlen(reference);
	va_list		arguments;

	va_start(arguments, format);
	if (vsnprintf(reference + used, REFERENCE_BYTES - used, format, arguments) >= (int) (REFERENCE_BYTES - used))
		abort();
	va_end(arguments);
}

static void
add_entry(const PrismKeyEntry *entry, void *arg)
{
	const PrismKey *key = entry->key;
	char		takes[PRISM_KEY_TEXT_BYTES];
	const PrismKey *value = prism_key_value(key);
	const char *standard = value->standard != NULL ? value->standard : value->default_text;
	PrismWord	word;

	add_line("| `%s`%s", entry->path, entry->available ? "" : " *to come*");
	if (key->synonym != NULL)
		add_line(" (or `%s`)", key->synonym);
	add_line(" |");
	for (int i = 0; prism_key_choice(entry, i, &word); i++)
		add_line("%s %s", i > 0 ? "," : "", word.name);
	add_line(" | %s | %s | %s |\n", prism_key_takes(key, takes), standard != NULL ? standard : "", key->help);
}

static void
make_reference(void)
{
	add_line("| key | only with | takes | default | meaning |\n|---|---|---|---|---|\n");
	prism_keys_visit(add_entry, NULL);
}

/* What the page has between the two marks, or NULL. */
static char *
reference_of(const char *path)
{
	static char page[REFERENCE_BYTES];
	FILE	   *file = fopen(path, "r");
	char	   *begin;
	char	   *end;

	if (file == NULL)
		return NULL;
	page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
	fclose(file);
	begin = strstr(page, BEGIN);
	end = begin != NULL ? strstr(begin, END) : NULL;
	if (end == NULL)
		return NULL;
	*end = '\0';
	return begin + strlen(BEGIN);
}

/* Without an argument the reference, else a test of the page. */
int
main(int count, char **arguments)
{
	const char *told;

	make_reference();
	if (count == 1)
	{
		printf("%s", reference);
		return 0;
	}
	check_map("", &prism_configuration_map);
	prism_keys_visit(check_entry, NULL);
	ok(visited > 50 && leads_to_retention, "the tables lead to all keys");
	ok(faults == 0, "what rows say makes sense, and no value lies on another");
	told = reference_of(arguments[1]);
	ok(told != NULL, "the README has a reference");
	ok(told != NULL && strcmp(told, reference) == 0, "it is what the tables say: ./dev reference writes it");
	return end_tests();
}
