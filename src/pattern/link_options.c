/*-------------------------------------------------------------------------
 *
 * link_options.c
 *	  A link's options: between prism.topic.chain and C.
 *
 * src/pattern/link_options.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "pattern/link_options.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

char *
prism_link_type(const JsonbValue *stored)
{
	JsonbValue	type;

	if (stored->type != jbvBinary || !JsonContainerIsObject(stored->val.binary.data) ||
		getKeyJsonValueFromContainer(stored->val.binary.data, "type", strlen("type"), &type) == NULL ||
		type.type != jbvString)
		return NULL;
	return pnstrdup(type.val.string.val, type.val.string.len);
}

/* A key, of any type; false: it is not there. */
static bool
find_option(PrismLinkOptions *options, const char *key, JsonbValue *value)
{
	if (getKeyJsonValueFromContainer(options->stored, key, strlen(key), value) == NULL)
		return false;
	options->known++;
	return true;
}

static void
complain(PrismLinkOptions *options, const char *key, const char *what)
{
	if (options->complaint == NULL)
		options->complaint = psprintf("option \"%s\" of pattern \"%s\" is %s", key, options->pattern, what);
}

bool
prism_link_boolean(PrismLinkOptions *options, const char *key, bool missing)
{
	JsonbValue	value;

	if (!find_option(options, key, &value))
		return missing;
	if (value.type == jbvBool)
		return value.val.boolean;
	complain(options, key, "neither true nor false");
	return missing;
}

int64
prism_link_integer(PrismLinkOptions *options, const char *key, int64 min, int64 max, int64 missing)
{
	JsonbValue	value;
	double		number;

	if (!find_option(options, key, &value))
		return missing;
	if (value.type == jbvNumeric)
	{
		number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value.val.numeric)));
		if (number >= (double) min && number <= (double) max && number == rint(number))
			return (int64) number;
	}
	complain(options, key, psprintf("no whole number from " INT64_FORMAT " to " INT64_FORMAT, min, max));
	return missing;
}

/* NULL: it is no text. */
static char *
text_of(const JsonbValue *value)
{
	return value->type == jbvString ? pnstrdup(value->val.string.val, value->val.string.len) : NULL;
}

int
prism_link_word(PrismLinkOptions *options, const char *key, const char *const *words, int missing)
{
	JsonbValue	value;
	char	   *text;

	if (!find_option(options, key, &value))
		return missing;
	text = text_of(&value);
	for (int i = 0; text != NULL && words[i] != NULL; i++)
		if (strcmp(words[i], text) == 0)
			return i;
	complain(options, key, "none of its words");
	return missing;
}

const char *
prism_link_text(PrismLinkOptions *options, const char *key, int bytes_max, const char *missing)
{
	JsonbValue	value;
	char	   *text;

	if (!find_option(options, key, &value))
		return missing;
	text = text_of(&value);
	if (text != NULL && text[0] != '\0' && strlen(text) <= (Size) bytes_max)
		return text;
	complain(options, key, psprintf("no text of 1 to %d bytes", bytes_max));
	return missing;
}

void
prism_link_options_end(PrismLinkOptions *options)
{
	if (options->complaint == NULL && (int) JsonContainerSize(options->stored) > options->known)
		options->complaint = psprintf("pattern \"%s\" has an option that it does not know", options->pattern);
}
