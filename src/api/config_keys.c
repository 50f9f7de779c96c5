/*-------------------------------------------------------------------------
 *
 * config_keys.c
 *	  prism.config_keys: the keys of a configuration, from the tables that it is
 *	  read by.
 *
 * src/api/config_keys.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "namespace/reference.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(prism_config_keys);

/* Columns of prism_internal.config_keys(). */
enum
{
	KEY_PATH,
	KEY_SYNONYM,
	KEY_TYPE,
	KEY_UNIT,
	KEY_DEFAULT,
	KEY_MINIMUM,
	KEY_MAXIMUM,
	KEY_WORDS,
	KEY_LATER_WORDS,
	KEY_ONLY_WITH,
	KEY_AVAILABLE,
	KEY_HELP,
	KEY_COLUMNS
};

static void
put_key_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	if (text != NULL)
		values[column] = CStringGetTextDatum(text);
}

static void
put_key_words(Datum *values, bool *nulls, int column, ArrayBuildState *words)
{
	nulls[column] = words == NULL;
	if (words != NULL)
		values[column] = makeArrayResult(words, CurrentMemoryContext);
}

static ArrayBuildState *
append_text(ArrayBuildState *texts, const char *text)
{
	return accumArrayResult(texts, CStringGetTextDatum(text), false, TEXTOID, CurrentMemoryContext);
}

static ArrayBuildState *
add_word(ArrayBuildState *words, const PrismWord *word)
{
	words = append_text(words, word->name);
	return word->synonym != NULL ? append_text(words, word->synonym) : words;
}

static void
put_key(const PrismKeyEntry *entry, void *arg)
{
	ReturnSetInfo *result = arg;
	const PrismKey *key = prism_key_value(entry->key);
	Datum		values[KEY_COLUMNS] = {0};
	bool		nulls[KEY_COLUMNS] = {false};
	ArrayBuildState *words[] = {NULL, NULL};
	ArrayBuildState *choices = NULL;
	PrismWord	word;

	for (int i = 0; (key->kind == PRISM_KEY_WORD || key->kind == PRISM_KEY_WORD_LIST) && prism_key_word(key, i, &word); i++)
		words[!word.available] = add_word(words[!word.available], &word);
	for (int i = 0; prism_key_choice(entry, i, &word); i++)
		choices = append_text(choices, word.name);
	put_key_text(values, nulls, KEY_PATH, entry->path);
	put_key_text(values, nulls, KEY_SYNONYM, key->synonym);
	put_key_text(values, nulls, KEY_TYPE, prism_key_type(key));
	put_key_text(values, nulls, KEY_UNIT, prism_key_unit(key));
	put_key_text(values, nulls, KEY_DEFAULT, key->standard != NULL ? key->standard : key->default_text);
	values[KEY_MINIMUM] = Int64GetDatum(key->minimum);
	values[KEY_MAXIMUM] = Int64GetDatum(key->maximum);
	nulls[KEY_MINIMUM] = !prism_key_has_bounds(key);
	nulls[KEY_MAXIMUM] = nulls[KEY_MINIMUM] || key->maximum == PG_INT64_MAX;
	put_key_words(values, nulls, KEY_WORDS, words[0]);
	put_key_words(values, nulls, KEY_LATER_WORDS, words[1]);
	put_key_words(values, nulls, KEY_ONLY_WITH, choices);
	values[KEY_AVAILABLE] = BoolGetDatum(entry->available);
	put_key_text(values, nulls, KEY_HELP, entry->key->help);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
prism_config_keys(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	prism_keys_visit(put_key, fcinfo->resultinfo);
	return (Datum) 0;
}
