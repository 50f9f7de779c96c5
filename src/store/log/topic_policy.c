/*-------------------------------------------------------------------------
 *
 * topic_policy.c
 *	  What a topic's log promises: between C and prism.topic.policy.
 *
 * What is as by default is left out, so that equal policies are equal texts.
 *
 * src/store/log/topic_policy.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/log/topic_policy.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

/* The largest that a double holds: by such a one it is compared. */
#define NUMBER_MAX (PG_INT64_MAX - 1023)

/* ---------- reading ---------- */

/* How often a value was found: whoever counts all finds what is nobody's. */
typedef struct Reading
{
	Jsonb	   *stored;
	int			known;
} Reading;

static bool
find_key(Reading *reading, const char *key, enum jbvType type, JsonbValue *value)
{
	if (getKeyJsonValueFromContainer(&reading->stored->root, key, strlen(key), value) == NULL || value->type != type)
		return false;
	reading->known++;
	return true;
}

/* A number from 'min' to 'max'; what is not there is 'missing', what is wrong is not counted. */
static int64
integer(Reading *reading, const char *key, int64 min, int64 max, int64 missing)
{
	JsonbValue	value;
	double		number;

	if (!find_key(reading, key, jbvNumeric, &value))
		return missing;
	number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value.val.numeric)));
	if (number >= (double) min && number <= (double) max)
		return DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value.val.numeric)));
	reading->known--;
	return missing;
}

static bool
is(Reading *reading, const char *key, const char *word)
{
	JsonbValue	value;

	if (!find_key(reading, key, jbvString, &value))
		return false;
	if (value.val.string.len == (int) strlen(word) && memcmp(value.val.string.val, word, value.val.string.len) == 0)
		return true;
	reading->known--;
	return false;
}

bool
prism_topic_policy_read(PrismTopicPolicy *policy, Jsonb *stored)
{
	Reading		reading = {.stored = stored};

	memset(policy, 0, sizeof(*policy));
	if (!JB_ROOT_IS_OBJECT(stored))
		return false;
	policy->retention_ms = integer(&reading, "retention_ms", PRISM_RETENTION_DEFAULT, PRISM_RETENTION_MS_MAX, PRISM_RETENTION_DEFAULT);
	/* nothing is dropped for what nobody can have written */
	if (policy->retention_ms >= 0 && policy->retention_ms < PRISM_RETENTION_MS_MIN)
		return false;
	policy->retention_bytes = integer(&reading, "retention_bytes", 0, NUMBER_MAX, 0);
	policy->for_consumers = is(&reading, "retain", "consumers");
	policy->no_replay = is(&reading, "replay", "disabled");
	policy->backlog_max = integer(&reading, "max_backlog", 0, NUMBER_MAX, 0);
	policy->reject = is(&reading, "on_full", "reject");
	policy->unordered = is(&reading, "ordered", "false");
	return reading.known == (int) JB_ROOT_COUNT(stored);
}

/* ---------- writing ---------- */

static void
add(StringInfo json, const char *key, const char *value)
{
	appendStringInfo(json, "%s\"%s\": %s", json->len > 1 ? ", " : "", key, value);
}

char *
prism_topic_policy_text(const PrismTopicPolicy *policy)
{
	StringInfoData json;
	Jsonb	   *jsonb;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	if (policy->retention_ms != PRISM_RETENTION_DEFAULT)
		add(&json, "retention_ms", psprintf(INT64_FORMAT, policy->retention_ms));
	if (policy->retention_bytes > 0)
		add(&json, "retention_bytes", psprintf(INT64_FORMAT, policy->retention_bytes));
	if (policy->for_consumers)
		add(&json, "retain", "\"consumers\"");
	if (policy->no_replay)
		add(&json, "replay", "\"disabled\"");
	if (policy->backlog_max > 0)
		add(&json, "max_backlog", psprintf(INT64_FORMAT, policy->backlog_max));
	if (policy->reject)
		add(&json, "on_full", "\"reject\"");
	if (policy->unordered)
		add(&json, "ordered", "\"false\"");
	appendStringInfoChar(&json, '}');
	/* as the column gives it back */
	jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
	return JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
}

char *
prism_topic_policy_of_dead_letters(const PrismTopicPolicy *policy)
{
	PrismTopicPolicy dead = {
		.retention_ms = policy->retention_ms,
		.retention_bytes = policy->retention_bytes
	};

	return prism_topic_policy_text(&dead);
}
