/*-------------------------------------------------------------------------
 *
 * refusal.c
 *	  What is told of a document that is not as the tables of keys say.
 *
 * The message names the key, the detail says what the key takes, the hint what
 * was perhaps meant; the place is the context.
 *
 * src/namespace/refusal.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/guess.h"
#include "namespace/complaint.h"
#include "namespace/reference.h"
#include "namespace/refusal.h"

#include "lib/stringinfo.h"

static void add_path(StringInfo path, const PrismLevel *level);
static char *key_path(const PrismLevel *level, const PrismKey *key);
static char *as_map(const PrismLevel *level, const PrismYamlEntry *entry);
static char *as_need(const PrismLevel *level, const PrismYamlEntry *entry);
static char *written_inside(const PrismKey *outer, const PrismKey *inner, const PrismYaml *value);
static const PrismKey *find_known(const PrismLevel *level, const char *name);
static const PrismKey *key_of_word(const PrismLevel *level, const char *text);
static bool complain_of_choice(const PrismLevel *level, const PrismYaml *written, PrismGuess *guess);
static void add_known(StringInfo known, const PrismKey *keys, PrismGuess *guess);
static bool is_switch(const PrismKey *key, const PrismYaml *value);
static int	detail_of(const PrismKey *key);

/* ---------- keys ---------- */

void
prism_refuse_configuration(const PrismYaml *root)
{
	prism_complain(root,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   root->kind == PRISM_YAML_MAP ? errmsg("configuration has no namespace") : errmsg("configuration is not a map"),
				   errdetail("It must be a map with the key \"namespaces\", or one namespace with its \"name\"."));
}

/* Where one namespace stands alone, that key is its name. */
void
prism_refuse_singular(const PrismYaml *list)
{
	prism_complain(list,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("\"namespace\" must not be a list"),
				   errdetail("It is the name of a namespace that stands alone."),
				   errhint("Write \"namespaces:\" before a list."));
}

bool
prism_refuse_key(const PrismLevel *level, const PrismYamlEntry *entry)
{
	const PrismYaml *written = entry->key;
	char	   *nested = as_map(level, entry);
	const PrismKey *of_word;
	StringInfoData known;
	PrismGuess	guess;

	initStringInfo(&known);
	prism_guess_begin(&guess, written->text);
	if (!level->options)
		add_known(&known, level->map->keys, &guess);
	add_known(&known, level->chosen, &guess);
	if (nested == NULL && guess.best == NULL)
		nested = as_need(level, entry);
	of_word = nested == NULL && guess.best == NULL ? key_of_word(level, written->text) : NULL;
	if (of_word != NULL)
		nested = psprintf("%s: %s", of_word->name, written->text);
	if (level->map->keys_of != NULL && complain_of_choice(level, written, &guess))
		return false;
	prism_complain(written,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("unknown key \"%s\"", prism_yaml_show(written->text)),
				   known.len > 0 ? errdetail("The keys known here are: %s.", known.data) : errdetail("No key is known here."),
				   nested != NULL ? errhint("Write %s.", nested) :
				   guess.best != NULL ? errhint("Perhaps you meant \"%s\".", guess.best) :
				   level->map->unknown_hint != NULL ? errhint("%s", level->map->unknown_hint) : 0);
	return level->map->required != NULL && guess.best != NULL &&
		prism_key_find(level->map->keys, guess.best) == prism_key_find(level->map->keys, level->map->required);
}

/* "cdc.enabled: true" as it is to be written; NULL: there is no such map, or it has no such key. */
static char *
as_map(const PrismLevel *level, const PrismYamlEntry *entry)
{
	const char *dot = strchr(entry->key->text, '.');
	const PrismKey *outer;
	const PrismKey *inner;

	if (dot == NULL)
		return NULL;
	outer = find_known(level, pnstrdup(entry->key->text, dot - entry->key->text));
	if (outer == NULL || outer->kind != PRISM_KEY_MAP)
		return NULL;
	inner = prism_key_find(outer->map->keys, dot + 1);
	if (inner == NULL)
		inner = prism_key_find(outer->map->more, dot + 1);
	return inner == NULL ? NULL : written_inside(outer, inner, entry->value);
}

/* "retention: 30days" of a namespace, which is a need. */
static char *
as_need(const PrismLevel *level, const PrismYamlEntry *entry)
{
	const PrismKey *needs = find_known(level, "needs");
	const PrismKey *inner = needs != NULL && needs->kind == PRISM_KEY_MAP ? prism_key_find(needs->map->keys, entry->key->text) : NULL;

	return inner == NULL ? NULL : written_inside(needs, inner, entry->value);
}

static char *
written_inside(const PrismKey *outer, const PrismKey *inner, const PrismYaml *value)
{
	return psprintf("%s: {%s: %s}", outer->name, inner->name,
					value->kind == PRISM_YAML_SCALAR && !value->quoted && !prism_yaml_is_null(value) ? prism_yaml_show(value->text) : "...");
}

static const PrismKey *
find_known(const PrismLevel *level, const char *name)
{
	const PrismKey *key = level->options ? NULL : prism_key_find(level->map->keys, name);

	return key != NULL ? key : prism_key_find(level->chosen, name);
}

/* The key that takes the text as a value, by itself or as what chooses its options; NULL: none of this map does. */
static const PrismKey *
key_of_word(const PrismLevel *level, const char *text)
{
	for (const PrismKey *key = level->options ? NULL : level->map->keys; key != NULL && key->name != NULL; key++)
	{
		const PrismKey *taker = key->map != NULL && key->map->chooser != NULL ? prism_key_find(key->map->keys, key->map->chooser) : key;
		PrismWord	word;

		if (taker != NULL && taker->kind == PRISM_KEY_WORD && prism_word_find(taker, text, &word))
			return key;
	}
	return NULL;
}

/* An option that would say nothing to what was chosen is not ignored, and is not a typing error.  False: it is none. */
static bool
complain_of_choice(const PrismLevel *level, const PrismYaml *written, PrismGuess *guess)
{
	const PrismKey *chooser = prism_key_find(level->map->keys, level->map->chooser);
	const PrismKey *found = NULL;
	StringInfoData others;
	StringInfoData unused;
	PrismWord	word;
	bool		named;

	initStringInfo(&others);
	initStringInfo(&unused);
	for (int i = 0; prism_key_word(chooser, i, &word); i++)
	{
		const PrismKey *keys = level->map->keys_of(word.name);
		const PrismKey *key = prism_key_find(keys, written->text);

		add_known(&unused, keys, guess);
		if (key == NULL)
			continue;
		found = key;
		appendStringInfo(&others, "%s%s", others.len > 0 ? ", " : "", word.name);
	}
	if (found == NULL)
		return false;
	named = prism_is_given((const PrismValue *) ((const char *) level->values + chooser->offset));
	prism_complain(written,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   named ? errmsg("\"%s\" has no meaning with \"%s: %s\"", key_path(level, found), chooser->name, level->choice) :
				   errmsg("\"%s\" has no meaning without \"%s\"", key_path(level, found), chooser->name),
				   named ? 0 : errdetail("As none is named, the keys are those of \"%s\".", level->choice),
				   errhint("Leave it out, or give %s \"%s\" that it is for: %s.", named ? "another" : "a", chooser->name, others.data));
	return true;
}

static void
add_known(StringInfo known, const PrismKey *keys, PrismGuess *guess)
{
	for (const PrismKey *key = keys; key != NULL && key->name != NULL; key++)
	{
		prism_guess_try(guess, key->name);
		if (key->synonym != NULL)
			prism_guess_try(guess, key->synonym);
		appendStringInfo(known, "%s%s", known->len > 0 ? ", " : "", key->name);
		if (key->synonym != NULL)
			appendStringInfo(known, ", %s", key->synonym);
	}
}

void
prism_refuse_twice(const PrismLevel *level, const PrismKey *key, const PrismYaml *value, const PrismPlace *first)
{
	prism_complain(value,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("key \"%s\" is given twice", key_path(level, key)),
				   key->synonym != NULL ?
				   errdetail("\"%s\" and \"%s\" mean the same; the first value is " PRISM_AT ".", key->name, key->synonym, prism_at(first)) :
				   errdetail("The first value is " PRISM_AT ".", prism_at(first)),
				   errhint("Remove one of the two."));
}

void
prism_refuse_missing(const PrismLevel *level, const PrismYaml *map)
{
	const PrismKey *key = prism_key_find(level->map->keys, level->map->required);

	prism_complain(map,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("key \"%s\" is missing", key_path(level, key)),
				   errhint("%s", level->map->required_hint));
}

/* "needs.retention"; the keys of a namespace and the configuration itself stand alone. */
static char *
key_path(const PrismLevel *level, const PrismKey *key)
{
	StringInfoData path;

	initStringInfo(&path);
	add_path(&path, level);
	if (!level->alone)
		appendStringInfo(&path, "%s%s", path.len > 0 ? "." : "", key->name);
	return path.data;
}

static void
add_path(StringInfo path, const PrismLevel *level)
{
	if (level->outer == NULL || level->map == &prism_namespace_map)
		return;
	add_path(path, level->outer);
	appendStringInfo(path, "%s%s", path->len > 0 ? "." : "", level->name);
}

/* ---------- values ---------- */

void
prism_refuse_value(const PrismLevel *level, const PrismKey *key, const PrismYaml *value)
{
	char	   *path = key_path(level, key);

	prism_complain(value,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   value->kind == PRISM_YAML_MAP ? errmsg("\"%s\" must not be a map", path) :
				   value->kind == PRISM_YAML_LIST ? errmsg("\"%s\" must not be a list", path) :
				   prism_yaml_is_null(value) ? errmsg("\"%s\" has no value", path) :
				   errmsg("invalid value for \"%s\": \"%s\"", path, prism_yaml_show(value->text)),
				   detail_of(key),
				   is_switch(key, value) ? errhint("Write %s: {enabled: %s}.", key->name, value->text) : 0);
}

/* "cdc: true". */
static bool
is_switch(const PrismKey *key, const PrismYaml *value)
{
	return key->kind == PRISM_KEY_MAP && prism_key_find(key->map->keys, "enabled") != NULL &&
		value->kind == PRISM_YAML_SCALAR && (strcmp(value->text, "true") == 0 || strcmp(value->text, "false") == 0);
}

void
prism_refuse_entry(const PrismLevel *level, const PrismKey *key, const PrismYaml *entry)
{
	char	   *path = key_path(level, key);

	prism_complain(entry,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   entry->kind == PRISM_YAML_MAP ? errmsg("an entry of \"%s\" must not be a map", path) :
				   entry->kind == PRISM_YAML_LIST ? errmsg("an entry of \"%s\" must not be a list", path) :
				   prism_yaml_is_null(entry) ? errmsg("an entry of \"%s\" has no value", path) :
				   errmsg("invalid entry of \"%s\": \"%s\"", path, prism_yaml_show(entry->text)),
				   detail_of(key));
}

void
prism_refuse_entries(const PrismLevel *level, const PrismKey *key, const PrismYaml *list)
{
	char	   *path = key_path(level, key);
	int			count = list_length(list->items);

	if (count < key->entries_min)
	{
		prism_complain(list,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("\"%s\" has too few entries", path),
					   errdetail("It has %d; there must be at least %d.", count, key->entries_min));
		return;
	}
	prism_complain(list,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("\"%s\" has too many entries", path),
				   errdetail("It has %d; the limit is %d.", count, key->entries_max),
				   key->entries_hint != NULL ? errhint("%s", key->entries_hint) : 0);
}

void
prism_refuse_entry_twice(const PrismLevel *level, const PrismKey *key, const PrismValue *entry, const PrismPlace *first)
{
	prism_complain(&entry->place,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("\"%s\" has the entry \"%s\" twice", key_path(level, key), prism_yaml_show(entry->text)),
				   errdetail("The first one is " PRISM_AT ".", prism_at(first)),
				   errhint("Remove one of the two."));
}

void
prism_refuse_long(const PrismLevel *level, const PrismKey *key, const PrismYaml *value)
{
	prism_complain(value,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("\"%s\" is too long: \"%s\"", key_path(level, key), prism_yaml_show(value->text)),
				   errdetail("It has %zu bytes; the limit is %d.", strlen(value->text), key->bytes_max));
}

void
prism_refuse_word(const PrismLevel *level, const PrismKey *key, const PrismYaml *value)
{
	const PrismKey *other = key_of_word(level, value->text);
	PrismGuess	guess;
	PrismWord	word;

	prism_guess_begin(&guess, value->text);
	for (int i = 0; prism_key_word(key, i, &word); i++)
	{
		prism_guess_try(&guess, word.name);
		if (word.synonym != NULL)
			prism_guess_try(&guess, word.synonym);
	}
	prism_complain(value,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("invalid value for \"%s\": \"%s\"", key_path(level, key), prism_yaml_show(value->text)),
				   detail_of(key),
				   other != NULL ? errhint("\"%s\" is a value of \"%s\".", value->text, other->name) :
				   guess.best != NULL ? errhint("Perhaps you meant \"%s\".", guess.best) : 0);
}

static int
detail_of(const PrismKey *key)
{
	char		takes[PRISM_KEY_TEXT_BYTES];

	return errdetail("It must be %s.", prism_key_takes(key, takes));
}
