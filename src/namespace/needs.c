/*-------------------------------------------------------------------------
 *
 * needs.c
 *	  Which patterns a namespace gets: those it names, and those its needs ask for.
 *
 * src/namespace/needs.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/schema.h"
#include "namespace/spec.h"

/* A need's place in the YAML, or NULL when the namespace does not have it. */
typedef const PrismYaml *(*NeedTest) (const PrismNamespace *namespace);

typedef struct NeedRule
{
	NeedTest	test;
	const char *reason;			/* as people read it */
	const char *pattern;
} NeedRule;

static const PrismYaml *
needs_strong(const PrismNamespace *namespace)
{
	return namespace->strong ? namespace->consistency_place : NULL;
}

static const PrismYaml *
needs_exactly_once(const PrismNamespace *namespace)
{
	return namespace->exactly_once ? namespace->delivery_place : NULL;
}

static const PrismYaml *
is_durable(const PrismNamespace *namespace)
{
	return namespace->api->durable ? namespace->api_place : NULL;
}

static const PrismYaml *
need_is(const PrismNamespace *namespace, const char *need, const char *word)
{
	return namespace->needs != NULL ? prism_yaml_is(namespace->needs, need, word) : NULL;
}

static const PrismYaml *
needs_durability(const PrismNamespace *namespace)
{
	return need_is(namespace, "durability", "strong");
}

static const PrismYaml *
needs_replay(const PrismNamespace *namespace)
{
	return need_is(namespace, "replay", "enabled");
}

static const PrismYaml *
needs_retention(const PrismNamespace *namespace)
{
	return namespace->needs != NULL ? prism_yaml_get(namespace->needs, "retention") : NULL;
}

static const PrismYaml *
needs_consumers(const PrismNamespace *namespace)
{
	return need_is(namespace, "retain", "consumers");
}

static const PrismYaml *
needs_order(const PrismNamespace *namespace)
{
	return need_is(namespace, "ordered", "true");
}

static const PrismYaml *
leaves_database(const PrismNamespace *namespace)
{
	return prism_namespace_has_sink(namespace) ? namespace->backend_place : NULL;
}

/* In the order of the chain.  Sizes that need a claim check are refused in config.c until it exists. */
static const NeedRule rules[] = {
	{is_durable, "client_api is durable-queue", "wal"},
	{needs_durability, "needs.durability is strong", "wal"},
	{needs_replay, "needs.replay is enabled", "wal"},
	{needs_retention, "needs.retention is given", "wal"},
	{needs_consumers, "needs.retain is consumers", "wal"},
	{needs_order, "needs.ordered is true", "wal"},
	{needs_strong, "needs.consistency is strong", "outbox"},
	{needs_exactly_once, "needs.delivery_guarantee is exactly_once", "outbox"},
	{leaves_database, "its messages leave the database", "outbox"},
};

static void add_named(PrismNamespace *namespace, const PrismYaml *patterns);
static void add_needed(PrismNamespace *namespace, const NeedRule *rule, const PrismYaml *patterns);
static const PrismYaml *pattern_type(const PrismYaml *pattern);

void
prism_needs_select(PrismNamespace *namespace, const PrismYaml *patterns)
{
	if (patterns != NULL)
		add_named(namespace, patterns);
	for (int i = 0; i < (int) lengthof(rules); i++)
		if (rules[i].test(namespace) != NULL)
			add_needed(namespace, &rules[i], patterns);
}

static void
add_named(PrismNamespace *namespace, const PrismYaml *patterns)
{
	ListCell   *cell;

	foreach(cell, patterns->items)
	{
		const PrismYaml *type = pattern_type(lfirst(cell));
		PrismChosenPattern *chosen;

		if (!prism_pattern_enabled(lfirst(cell)))
			continue;
		chosen = palloc0(sizeof(*chosen));
		chosen->pattern = prism_pattern_find(type->text);
		chosen->reason = "named in patterns";
		chosen->place = type;
		if (chosen->pattern == NULL)
			elog(ERROR, "pattern \"%s\" has no entry", type->text);
		namespace->patterns = lappend(namespace->patterns, chosen);
	}
}

/* Once, with all that it is needed for; a need for what was switched off is a contradiction. */
static void
add_needed(PrismNamespace *namespace, const NeedRule *rule, const PrismYaml *patterns)
{
	PrismChosenPattern *chosen;
	ListCell   *cell;

	foreach(cell, namespace->patterns)
	{
		chosen = lfirst(cell);
		if (strcmp(chosen->pattern->name, rule->pattern) != 0)
			continue;
		if (chosen->needed)
			chosen->reason = psprintf("%s, %s", chosen->reason, rule->reason);
		return;
	}

	if (patterns != NULL)
		foreach(cell, patterns->items)
		{
			const PrismYaml *type = pattern_type(lfirst(cell));

			if (strcmp(type->text, rule->pattern) == 0)
				ereport(ERROR,
						errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("pattern \"%s\" is needed but switched off " PRISM_AT,
							   rule->pattern, prism_at(type)),
						errdetail("It is needed as %s, " PRISM_AT ".",
								  rule->reason, prism_at(rule->test(namespace))),
						errhint("Remove \"enabled: false\", or the need."));
		}

	chosen = palloc(sizeof(*chosen));
	chosen->pattern = prism_pattern_find(rule->pattern);
	chosen->reason = rule->reason;
	chosen->needed = true;
	chosen->place = rule->test(namespace);
	if (chosen->pattern == NULL)
		elog(ERROR, "pattern \"%s\" has no entry", rule->pattern);
	namespace->patterns = lappend(namespace->patterns, chosen);
}

static const PrismYaml *
pattern_type(const PrismYaml *pattern)
{
	return pattern->kind == PRISM_YAML_SCALAR ? pattern : prism_yaml_get(pattern, "type");
}
