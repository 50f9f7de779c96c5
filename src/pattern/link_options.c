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

void
prism_link_options_end(PrismLinkOptions *options)
{
	if (options->complaint == NULL && (int) JsonContainerSize(options->stored) > options->known)
		options->complaint = psprintf("pattern \"%s\" has an option that it does not know", options->pattern);
}
