/*-------------------------------------------------------------------------
 *
 * group_options.c
 *	  How a consumer group wants its messages: order, attempts, leases.
 *
 * src/store/group/group_options.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/group/group_options.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

const PrismGroupOptions prism_group_options_default = {
	.ordering = PRISM_ORDERING_KEY,
	.max_attempts = 5,
	.lease_us = 30 * USECS_PER_SEC,
	.backoff_count = 3,
	.backoff_us = {1 * USECS_PER_SEC, 10 * USECS_PER_SEC, 60 * USECS_PER_SEC}
};

PrismGroupOptions
prism_group_options_of(const PrismTopicPolicy *policy)
{
	PrismGroupOptions options = prism_group_options_default;

	if (policy->unordered)
		options.ordering = PRISM_ORDERING_NONE;
	return options;
}

static const char *const ordering_names[] = {
	[PRISM_ORDERING_KEY] = "key",
	[PRISM_ORDERING_NONE] = "none",
	[PRISM_ORDERING_STRICT] = "strict",
};

const char *
prism_ordering_name(PrismOrdering ordering)
{
	return ordering_names[ordering];
}

bool
prism_ordering_parse(const char *name, PrismOrdering *ordering)
{
	for (int i = 0; i < (int) lengthof(ordering_names); i++)
	{
		if (strcmp(ordering_names[i], name) == 0)
		{
			*ordering = (PrismOrdering) i;
			return true;
		}
	}
	return false;
}

int64
prism_group_backoff(const PrismGroupOptions *options, int attempt)
{
	if (options->backoff_count == 0)
		return 0;
	return options->backoff_us[Max(Min(attempt, options->backoff_count) - 1, 0)];
}

/* ---------- writing ---------- */

static void
append_integer(StringInfo json, const char *key, int64 value)
{
	appendStringInfo(json, "%s\"%s\": " INT64_FORMAT, json->len > 1 ? ", " : "", key, value);
}

static bool
same_backoff(const PrismGroupOptions *a, const PrismGroupOptions *b)
{
	return a->backoff_count == b->backoff_count &&
		memcmp(a->backoff_us, b->backoff_us, a->backoff_count * sizeof(int64)) == 0;
}

char *
prism_group_options_write(const PrismGroupOptions *options)
{
	const PrismGroupOptions *standard = &prism_group_options_default;
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	if (options->ordering != standard->ordering)
		appendStringInfo(&json, "\"ordering\": \"%s\"", prism_ordering_name(options->ordering));
	if (options->max_attempts != standard->max_attempts)
		append_integer(&json, "max_attempts", options->max_attempts);
	if (options->lease_us != standard->lease_us)
		append_integer(&json, "lease_us", options->lease_us);
	if (options->max_in_flight != standard->max_in_flight)
		append_integer(&json, "max_in_flight", options->max_in_flight);
	if (!same_backoff(options, standard))
	{
		appendStringInfo(&json, "%s\"backoff_us\": [", json.len > 1 ? ", " : "");
		for (int i = 0; i < options->backoff_count; i++)
			appendStringInfo(&json, "%s" INT64_FORMAT, i > 0 ? ", " : "", options->backoff_us[i]);
		appendStringInfoChar(&json, ']');
	}
	appendStringInfoChar(&json, '}');
	return json.data;
}

/* ---------- reading ---------- */

/* A number from 'min' to 'max'; anything else leaves the value as it is. */
static void
take_number(const JsonbValue *found, int64 min, int64 max, int64 *value)
{
	double		number;

	if (found->type != jbvNumeric)
		return;
	number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(found->val.numeric)));
	if (number >= (double) min && number <= (double) max)
		*value = (int64) number;
}

static void
read_integer(JsonbContainer *object, const char *key, int64 min, int64 max, int64 *value)
{
	JsonbValue	found;

	if (getKeyJsonValueFromContainer(object, key, strlen(key), &found) != NULL)
		take_number(&found, min, max, value);
}

static void
read_backoff(JsonbContainer *object, PrismGroupOptions *options)
{
	static const char key[] = "backoff_us";
	JsonbValue	list;

	if (getKeyJsonValueFromContainer(object, key, strlen(key), &list) == NULL || list.type != jbvBinary ||
		!JsonContainerIsArray(list.val.binary.data))
		return;
	options->backoff_count = Min(JsonContainerSize(list.val.binary.data), PRISM_BACKOFF_STEPS_MAX);
	memset(options->backoff_us, 0, sizeof(options->backoff_us));
	for (int i = 0; i < options->backoff_count; i++)
	{
		JsonbValue *step = getIthJsonbValueFromContainer(list.val.binary.data, i);

		if (step != NULL)
			take_number(step, 0, PRISM_DELAY_US_MAX, &options->backoff_us[i]);
	}
}

PrismGroupOptions
prism_group_options_read(JsonbContainer *object)
{
	PrismGroupOptions options = prism_group_options_default;
	int64		max_attempts = options.max_attempts;
	int64		max_in_flight = options.max_in_flight;
	JsonbValue	ordering;

	/* the row may hold anything; a group is served with what makes sense of it */
	if (!JsonContainerIsObject(object))
		return options;
	if (getKeyJsonValueFromContainer(object, "ordering", strlen("ordering"), &ordering) != NULL &&
		ordering.type == jbvString)
		(void) prism_ordering_parse(pnstrdup(ordering.val.string.val, ordering.val.string.len), &options.ordering);
	read_integer(object, "max_attempts", 0, PRISM_ATTEMPTS_MAX, &max_attempts);
	read_integer(object, "lease_us", 1, PRISM_LEASE_US_MAX, &options.lease_us);
	read_integer(object, "max_in_flight", 0, PG_INT32_MAX, &max_in_flight);
	options.max_attempts = (int) max_attempts;
	options.max_in_flight = (int) max_in_flight;
	read_backoff(object, &options);
	return options;
}

bool
prism_group_options_equal(const PrismGroupOptions *a, const PrismGroupOptions *b)
{
	return a->ordering == b->ordering && a->max_attempts == b->max_attempts && a->lease_us == b->lease_us &&
		a->max_in_flight == b->max_in_flight && same_backoff(a, b);
}
