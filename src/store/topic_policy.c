/*-------------------------------------------------------------------------
 *
 * topic_policy.c
 *	  What a topic's log promises: between C and prism.topic.policy.
 *
 * What is as by default is left out, so that equal policies are equal texts.
 *
 * src/store/topic_policy.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "store/topic_policy.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

/* ---------- reading ---------- */

static JsonbValue *
find(Jsonb *policy, const char *key, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(&policy->root, key, strlen(key), value);
}

static int64
integer(Jsonb *policy, const char *key, int64 missing)
{
	JsonbValue	value;

	if (find(policy, key, &value) == NULL || value.type != jbvNumeric)
		return missing;
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value.val.numeric)));
}

static bool
is(Jsonb *policy, const char *key, const char *word)
{
	JsonbValue	value;

	return find(policy, key, &value) != NULL && value.type == jbvString &&
		value.val.string.len == (int) strlen(word) &&
		memcmp(value.val.string.val, word, value.val.string.len) == 0;
}

void
prism_topic_policy_read(PrismTopicPolicy *policy, Jsonb *stored)
{
	policy->retention_ms = integer(stored, "retention_ms", PRISM_RETENTION_DEFAULT);
	policy->retention_bytes = integer(stored, "retention_bytes", 0);
	policy->for_consumers = is(stored, "retain", "consumers");
	policy->no_replay = is(stored, "replay", "disabled");
	policy->backlog_max = integer(stored, "max_backlog", 0);
	policy->reject = is(stored, "on_full", "reject");
	policy->unordered = is(stored, "ordered", "false");
	policy->synchronous = is(stored, "durability", "strong");
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
	if (policy->synchronous)
		add(&json, "durability", "\"strong\"");
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
