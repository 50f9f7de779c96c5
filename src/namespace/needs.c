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
#include "namespace/complaint.h"
#include "namespace/spec.h"

/* A need's place in the YAML, or NULL when the namespace does not have it. */
typedef const PrismPlace *(*NeedTest) (const PrismNamespace *namespace);

typedef struct NeedRule
{
	NeedTest	test;
	const char *reason;			/* as people read it */
	const char *pattern;
} NeedRule;

static const PrismPlace *
when_it_is(const PrismValue *need, const char *word)
{
	return prism_value_is(need, word) ? &need->place : NULL;
}

static const PrismPlace *
needs_strong(const PrismNamespace *namespace)
{
	return when_it_is(&namespace->given->needs.consistency, "strong");
}

static const PrismPlace *
needs_exactly_once(const PrismNamespace *namespace)
{
	return when_it_is(&namespace->given->needs.delivery_guarantee, "exactly_once");
}

static const PrismPlace *
is_durable(const PrismNamespace *namespace)
{
	return namespace->api->durable ? namespace->api_place : NULL;
}

static const PrismPlace *
needs_durability(const PrismNamespace *namespace)
{
	return when_it_is(&namespace->given->needs.durability, "strong");
}

static const PrismPlace *
needs_replay(const PrismNamespace *namespace)
{
	return when_it_is(&namespace->given->needs.replay, "enabled");
}

static const PrismPlace *
needs_retention(const PrismNamespace *namespace)
{
	return prism_is_given(&namespace->given->needs.retention) ? &namespace->given->needs.retention.place : NULL;
}

static const PrismPlace *
needs_consumers(const PrismNamespace *namespace)
{
	return when_it_is(&namespace->given->needs.retain, "consumers");
}

static const PrismPlace *
needs_order(const PrismNamespace *namespace)
{
	return when_it_is(&namespace->given->needs.ordered, "true");
}

static const PrismPlace *
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

static void add_named(PrismNamespace *namespace, const PrismPatternKeys *given);
static bool add_needed(PrismNamespace *namespace, const NeedRule *rule);
static PrismChosenPattern *add_pattern(PrismNamespace *namespace, const char *name, const char *reason, const PrismPlace *place);

void
prism_needs_select(PrismNamespace *namespace)
{
	const char *refused = NULL;
	ListCell   *cell;

	foreach(cell, namespace->given->patterns.list)
		add_named(namespace, lfirst(cell));
	for (int i = 0; i < (int) lengthof(rules); i++)
		if (rules[i].test(namespace) != NULL && (refused == NULL || strcmp(rules[i].pattern, refused) != 0))
			refused = add_needed(namespace, &rules[i]) ? NULL : rules[i].pattern;
}

static void
add_named(PrismNamespace *namespace, const PrismPatternKeys *given)
{
	if (!prism_value_is(&given->enabled, "false"))
		add_pattern(namespace, given->type.text, "named in patterns", &given->type.place);
}

/* Once, with all that it is needed for; a need for what was switched off is a contradiction: false. */
static bool
add_needed(PrismNamespace *namespace, const NeedRule *rule)
{
	ListCell   *cell;

	foreach(cell, namespace->patterns)
	{
		PrismChosenPattern *chosen = lfirst(cell);

		if (strcmp(chosen->pattern->name, rule->pattern) != 0)
			continue;
		if (chosen->needed)
			chosen->reason = psprintf("%s, %s", chosen->reason, rule->reason);
		return true;
	}
	foreach(cell, namespace->given->patterns.list)
	{
		const PrismPatternKeys *given = lfirst(cell);

		if (strcmp(given->type.text, rule->pattern) != 0)
			continue;
		prism_complain(&given->type.place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("pattern \"%s\" is needed but switched off", rule->pattern),
					   errdetail("The reason is: %s, " PRISM_AT ".", rule->reason, prism_at(rule->test(namespace))),
					   errhint("Remove \"enabled: false\", or the need."));
		return false;
	}
	add_pattern(namespace, rule->pattern, rule->reason, rule->test(namespace))->needed = true;
	return true;
}

static PrismChosenPattern *
add_pattern(PrismNamespace *namespace, const char *name, const char *reason, const PrismPlace *place)
{
	PrismChosenPattern *chosen = palloc0(sizeof(*chosen));

	chosen->pattern = prism_pattern_find(name);
	if (chosen->pattern == NULL)
		elog(ERROR, "pattern \"%s\" has no entry", name);
	chosen->reason = reason;
	chosen->place = place;
	namespace->patterns = lappend(namespace->patterns, chosen);
	return chosen;
}
