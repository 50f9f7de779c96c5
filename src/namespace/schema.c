/*-------------------------------------------------------------------------
 *
 * schema.c
 *	  Reads a document by the tables of keys: what is checked is what is kept.
 *
 * Each value is looked at once: its row says what it may be and where it goes.
 * What keys mean together is config.c's.
 *
 * What is refused counts as given, so that nobody says it is missing as well; its
 * list, or the document, goes without the entry that it stands in.
 *
 * src/namespace/schema.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/complaint.h"
#include "namespace/reference.h"
#include "namespace/refusal.h"
#include "namespace/schema.h"
#include "namespace/units.h"

#include "miscadmin.h"

static bool is_fragment(const PrismYaml *root);
static void set_standards(const PrismKey *keys, void *values);
static PrismLevel *begin_map(PrismLevel *level, void *values);
static void read_map(PrismLevel *level, const PrismYaml *node);
static void read_keys(PrismLevel *level, const PrismYaml *node);
static bool read_alone(PrismLevel *level, const PrismYaml *node);
static void note_pattern_apart(const PrismLevel *level, const PrismKey *key, const PrismYaml *written);
static void choose(PrismLevel *level, const PrismYaml *node);
static const PrismYamlEntry *find_entry(const PrismYaml *node, const PrismKey *key);
static bool read_value(const PrismLevel *level, const PrismKey *key, const PrismYaml *node);
static void read_options(const PrismLevel *level, const PrismKey *key, const PrismYaml *node);
static void read_inside(const PrismLevel *level, const PrismKey *key, const PrismYaml *node);
static bool stands_for_map(const PrismKey *key, const PrismYaml *node);
static void read_inner_map(const PrismLevel *level, const PrismKey *key, const PrismYaml *node, void *values);
static void read_more_of_map(const PrismLevel *level, const PrismKey *key, const PrismYaml *node, void *values);
static bool read_retention(const PrismLevel *level, const PrismKey *key, const PrismYaml *node, void *values);
static void read_list(const PrismLevel *level, const PrismKey *key, const PrismYaml *node, PrismValue *value);
static bool is_distinct(const PrismLevel *level, const PrismKey *key, const PrismValue *entry, const List *before);
static void *read_entry(const PrismLevel *level, const PrismKey *key, const PrismYaml *node);
static bool read_scalar(const PrismLevel *level, const PrismKey *key, const PrismYaml *node, PrismValue *value);
static bool is_short_enough(const PrismLevel *level, const PrismKey *key, const PrismYaml *node);
static bool has_text(const PrismYaml *node);
static bool parse(const PrismKey *key, const PrismYaml *node, PrismValue *value);
static bool parse_text(const PrismKey *key, const PrismYaml *node, PrismValue *value);

List *
prism_schema_read(const PrismYaml *root)
{
	PrismConfigurationKeys configuration;
	PrismLevel	whole = {.map = &prism_configuration_map};
	PrismLevel	alone = {.map = &prism_namespace_map};
	const PrismYaml *singular;
	int			before;

	if (root->kind != PRISM_YAML_MAP || root->items == NIL)
	{
		prism_refuse_configuration(root);
		return NIL;
	}
	singular = prism_yaml_get(root, "namespace");
	if (singular != NULL && singular->kind == PRISM_YAML_LIST)
	{
		prism_refuse_singular(singular);
		return NIL;
	}
	if (prism_yaml_get(root, "namespaces") != NULL)
	{
		read_map(begin_map(&whole, &configuration), root);
		return configuration.namespaces.list;
	}
	if (!is_fragment(root))
	{
		/* nobody knows yet which of the two it is to become */
		whole.chosen = prism_namespace_map.keys;
		(void) prism_refuse_key(&whole, linitial(root->items));
		return NIL;
	}
	before = prism_complaints_count();
	read_map(begin_map(&alone, palloc(prism_namespace_map.bytes)), root);
	return prism_complaints_count() == before && !root->faulty ? list_make1(alone.values) : NIL;
}

/* One namespace without the list around it, as the RFC often shows it. */
static bool
is_fragment(const PrismYaml *root)
{
	ListCell   *cell;

	foreach(cell, root->items)
		if (prism_key_find(prism_namespace_map.keys, ((PrismYamlEntry *) lfirst(cell))->key->text) != NULL)
			return true;
	return false;
}

/* ---------- maps ---------- */

/* What holds unless it is given, also within maps that are not. */
static void
set_standards(const PrismKey *keys, void *values)
{
	for (const PrismKey *key = keys; key != NULL && key->name != NULL; key++)
	{
		void	   *value = (char *) values + key->offset;

		if (key->standard != NULL)
			((PrismValue *) value)->text = unconstify(char *, key->standard);
		if (key->kind == PRISM_KEY_MAP || key->kind == PRISM_KEY_RETENTION)
			set_standards(key->map->keys, value);
	}
}

/* Nothing is given in 'values', nor in the maps within. */
static PrismLevel *
begin_map(PrismLevel *level, void *values)
{
	level->values = values;
	memset(values, 0, level->map->bytes);
	set_standards(level->map->keys, values);
	set_standards(level->map->more, values);
	return level;
}

/* Of the level are given: name, map, values, in which may be already what stands beside the map. */
static void
read_map(PrismLevel *level, const PrismYaml *node)
{
	PrismPlace *place = level->values;
	const PrismKey *required;

	place->line = node->line;
	place->column = node->column;
	level->chosen = level->map->more;
	if (level->map->chooser != NULL)
		choose(level, node);
	else if (node->kind == PRISM_YAML_SCALAR)
		(void) read_alone(level, node);
	if (node->kind == PRISM_YAML_MAP)
		read_keys(level, node);
	if (level->map->required == NULL || level->unchosen || level->misspelt)
		return;
	required = prism_key_find(level->map->keys, level->map->required);
	Assert(required != NULL);
	if (!prism_is_given((PrismValue *) ((char *) level->values + required->offset)))
		prism_refuse_missing(level, node);
}

static void
read_keys(PrismLevel *level, const PrismYaml *node)
{
	ListCell   *cell;

	foreach(cell, node->items)
	{
		const PrismYamlEntry *entry = lfirst(cell);
		const PrismKey *key = prism_key_find(level->chosen, entry->key->text);

		if (prism_complaints_full())
			return;
		if (key == NULL && !level->options)
			key = prism_key_find(level->map->keys, entry->key->text);
		if (key == NULL)
		{
			if (!level->unchosen)
				level->misspelt |= prism_refuse_key(level, entry);
			continue;
		}
		if (key->kind == PRISM_KEY_OPTIONS)
			read_options(level, key, entry->value);
		else if (key->kind == PRISM_KEY_INSIDE)
			read_inside(level, key, entry->value);
		else
			(void) read_value(level, key, entry->value);
		if (level->map == &prism_namespace_map && key->pattern != NULL)
			note_pattern_apart(level, key, entry->key);
	}
}

/* A map of the namespace that stands for a pattern. */
static void
note_pattern_apart(const PrismLevel *level, const PrismKey *key, const PrismYaml *written)
{
	PrismPatternKeys *pattern = (PrismPatternKeys *) ((char *) level->values + key->offset);

	pattern->apart = true;
	pattern->type.text = unconstify(char *, key->pattern);
	pattern->type.place.line = written->line;
	pattern->type.place.column = written->column;
}

/*
 * The key that says which others there are comes first, wherever it stands.  If
 * it is refused, only the keys that all have are read.
 */
static void
choose(PrismLevel *level, const PrismYaml *node)
{
	const PrismKey *key = prism_key_find(level->map->keys, level->map->chooser);
	const PrismYamlEntry *entry = node->kind == PRISM_YAML_MAP ? find_entry(node, key) : NULL;
	PrismValue *choice;

	Assert(key != NULL && key->kind == PRISM_KEY_WORD);
	choice = (PrismValue *) ((char *) level->values + key->offset);
	if (node->kind == PRISM_YAML_SCALAR)
		level->unchosen = !read_alone(level, node);
	else if (entry != NULL)
		level->unchosen = !read_value(level, key, entry->value);
	else if (key->standard == NULL)
	{
		level->unchosen = true;
		prism_refuse_missing(level, node);
	}
	if (level->unchosen)
		return;
	level->choice = choice->text;
	level->chosen = level->map->keys_of(choice->text);
	set_standards(level->chosen, level->values);
}

/* A value in place of the map.  False: it is not taken. */
static bool
read_alone(PrismLevel *level, const PrismYaml *node)
{
	const PrismKey *key = prism_key_find(level->map->keys, level->map->alone);

	Assert(key != NULL);
	level->alone = true;
	return read_value(level, key, node);
}

static const PrismYamlEntry *
find_entry(const PrismYaml *node, const PrismKey *key)
{
	ListCell   *cell;

	foreach(cell, node->items)
	{
		const PrismYamlEntry *entry = lfirst(cell);

		if (strcmp(entry->key->text, key->name) == 0 ||
			(key->synonym != NULL && strcmp(entry->key->text, key->synonym) == 0))
			return entry;
	}
	return NULL;
}

/* ---------- values ---------- */

/*
 * What is given twice, be it as a synonym or in "config", would be lost once.
 * Of a map, one half of the keys may stand there and the other half here.
 * False: a word, number or text that is not taken.
 */
static bool
read_value(const PrismLevel *level, const PrismKey *key, const PrismYaml *node)
{
	void	   *value = (char *) level->values + key->offset;
	PrismPlace *place = value;
	bool		taken = true;

	Assert(key->offset + sizeof(PrismPlace) <= level->map->bytes);
	if (place->line == node->line && place->column == node->column)
		return true;			/* choose() has read it */
	if (place->line > 0 && key->kind == PRISM_KEY_MAP && key->map->chooser == NULL && stands_for_map(key, node))
	{
		read_more_of_map(level, key, node, value);
		return true;
	}
	if (place->line > 0)
	{
		prism_refuse_twice(level, key, node, place);
		return true;
	}

	switch (key->kind)
	{
		case PRISM_KEY_MAP:
			read_inner_map(level, key, node, value);
			break;
		case PRISM_KEY_RETENTION:
			taken = read_retention(level, key, node, value);
			break;
		case PRISM_KEY_MAPS:
		case PRISM_KEY_TEXT_LIST:
		case PRISM_KEY_WORD_LIST:
		case PRISM_KEY_INTERVAL_LIST:
			read_list(level, key, node, value);
			break;
		default:
			taken = read_scalar(level, key, node, value);
	}
	place->line = node->line;
	place->column = node->column;
	return taken;
}

/* They go where those beside "config" go. */
static void
read_options(const PrismLevel *level, const PrismKey *key, const PrismYaml *node)
{
	PrismLevel	inner = *level;

	inner.outer = level;
	inner.name = key->name;
	inner.options = true;
	if (node->kind == PRISM_YAML_MAP)
		read_keys(&inner, node);
	else
		prism_refuse_value(level, key, node);
}

/* What stands beside the map goes where it would go in there. */
static void
read_inside(const PrismLevel *level, const PrismKey *key, const PrismYaml *node)
{
	const PrismKey *outer = prism_key_find(level->chosen, key->inside);
	PrismLevel	inner = {.outer = level,.name = outer->name,.map = outer->map,.values = (char *) level->values + outer->offset};

	(void) read_value(&inner, prism_key_find(outer->map->keys, key->name), node);
}

/* A map, or what may stand in its place. */
static bool
stands_for_map(const PrismKey *key, const PrismYaml *node)
{
	return node->kind == PRISM_YAML_MAP || (key->map->alone != NULL && has_text(node));
}

static void
read_inner_map(const PrismLevel *level, const PrismKey *key, const PrismYaml *node, void *values)
{
	PrismLevel	inner = {.outer = level,.name = key->name,.map = key->map,.values = values};

	if (stands_for_map(key, node))
		read_map(&inner, node);
	else
		prism_refuse_value(level, key, node);
}

/* What stands in it goes to what the first one has left; its place stays that of the first. */
static void
read_more_of_map(const PrismLevel *level, const PrismKey *key, const PrismYaml *node, void *values)
{
	PrismLevel	inner = {.outer = level,.name = key->name,.map = key->map,.chosen = key->map->more,.values = values};

	if (node->kind == PRISM_YAML_MAP)
		read_keys(&inner, node);
	else
		(void) read_alone(&inner, node);
}

/* One value says by its unit whether it is a time or a size; without one it could be either. */
static bool
read_retention(const PrismLevel *level, const PrismKey *key, const PrismYaml *node, void *values)
{
	PrismValue	value;
	int64		number;

	if (node->kind == PRISM_YAML_MAP)
	{
		read_inner_map(level, key, node, values);
		return true;
	}
	if (has_text(node) && !prism_parse_integer(node->text, &number))
		for (const PrismKey *inner = key->map->keys; inner->name != NULL; inner++)
			if (parse(inner, node, &value))
				return read_scalar(level, inner, node, (PrismValue *) ((char *) values + inner->offset));
	prism_refuse_value(level, key, node);
	return false;
}

static void
read_list(const PrismLevel *level, const PrismKey *key, const PrismYaml *node, PrismValue *value)
{
	ListCell   *cell;

	if (node->kind != PRISM_YAML_LIST)
	{
		prism_refuse_value(level, key, node);
		return;
	}
	if (list_length(node->items) < key->entries_min ||
		(key->entries_max > 0 && list_length(node->items) > key->entries_max))
		prism_refuse_entries(level, key, node);
	foreach(cell, node->items)
	{
		void	   *entry = read_entry(level, key, lfirst(cell));

		CHECK_FOR_INTERRUPTS();
		if (prism_complaints_full() || (key->entries_max > 0 && foreach_current_index(cell) >= key->entries_max))
			return;
		if (entry != NULL && (!key->distinct || is_distinct(level, key, entry, value->list)))
			value->list = lappend(value->list, entry);
	}
}

static bool
is_distinct(const PrismLevel *level, const PrismKey *key, const PrismValue *entry, const List *before)
{
	ListCell   *cell;

	foreach(cell, before)
	{
		const PrismValue *first = lfirst(cell);

		if (strcmp(first->text, entry->text) != 0)
			continue;
		prism_refuse_entry_twice(level, key, entry, &first->place);
		return false;
	}
	return true;
}

/* NULL: something in it is not as it should be. */
static void *
read_entry(const PrismLevel *level, const PrismKey *key, const PrismYaml *node)
{
	PrismLevel	inner = {.outer = level,.name = key->name,.map = key->map};
	PrismValue *value;
	int			before = prism_complaints_count();

	if (key->kind == PRISM_KEY_MAPS)
	{
		if (!stands_for_map(key, node))
		{
			prism_refuse_entry(level, key, node);
			return NULL;
		}
		read_map(begin_map(&inner, palloc(key->map->bytes)), node);
		return prism_complaints_count() == before && !node->faulty ? inner.values : NULL;
	}
	value = palloc0(sizeof(*value));
	if (!has_text(node) || !parse(key, node, value))
	{
		prism_refuse_entry(level, key, node);
		return NULL;
	}
	value->place.line = node->line;
	value->place.column = node->column;
	return is_short_enough(level, key, node) ? value : NULL;
}

static bool
read_scalar(const PrismLevel *level, const PrismKey *key, const PrismYaml *node, PrismValue *value)
{
	if (!has_text(node) || !parse(key, node, value))
	{
		if (has_text(node) && key->kind == PRISM_KEY_WORD)
			prism_refuse_word(level, key, node);
		else
			prism_refuse_value(level, key, node);
		return false;
	}
	value->place.line = node->line;
	value->place.column = node->column;
	return is_short_enough(level, key, node);
}

static bool
is_short_enough(const PrismLevel *level, const PrismKey *key, const PrismYaml *node)
{
	if (key->bytes_max == 0 || strlen(node->text) <= (Size) key->bytes_max)
		return true;
	prism_refuse_long(level, key, node);
	return false;
}

static bool
has_text(const PrismYaml *node)
{
	return node->kind == PRISM_YAML_SCALAR && !prism_yaml_is_null(node) && node->text[0] != '\0';
}

/* What a scalar, or an entry of a list, stands for; false: it is nothing that the key takes. */
static bool
parse(const PrismKey *key, const PrismYaml *node, PrismValue *value)
{
	value->text = node->text;
	return parse_text(key, node, value) &&
		(!prism_key_has_bounds(key) || key->kind == PRISM_KEY_RETENTION_TIME ||
		 (value->number >= key->minimum && value->number <= key->maximum));
}

static bool
parse_text(const PrismKey *key, const PrismYaml *node, PrismValue *value)
{
	PrismWord	word;

	switch (key->kind)
	{
		case PRISM_KEY_WORD:
		case PRISM_KEY_WORD_LIST:
			if (!prism_word_find(key, node->text, &word))
				return false;
			value->text = unconstify(char *, word.name);
			return true;
		case PRISM_KEY_TEXT:
		case PRISM_KEY_TEXT_LIST:
			return true;
		case PRISM_KEY_BOOLEAN:
			value->number = strcmp(node->text, "true") == 0;
			return !node->quoted && (value->number == 1 || strcmp(node->text, "false") == 0);
		case PRISM_KEY_RETENTION_TIME:
			return prism_parse_retention_time(node->text, &value->number);
		case PRISM_KEY_RETENTION_SIZE:
			return prism_parse_retention_size(node->text, &value->number);
		case PRISM_KEY_INTEGER:
			return prism_parse_integer(node->text, &value->number);
		case PRISM_KEY_SIZE:
			return prism_parse_size(node->text, &value->number);
		case PRISM_KEY_SIZE_OR_MORE:
			return prism_parse_size_or_more(node->text, &value->number, &value->more);
		case PRISM_KEY_RATE:
			return prism_parse_rate(node->text, &value->number, &value->more);
		case PRISM_KEY_INTERVAL:
		case PRISM_KEY_INTERVAL_LIST:
			return prism_parse_interval(node->text, &value->number);
		default:
			elog(ERROR, "key \"%s\" is not a scalar", key->name);
	}
}
