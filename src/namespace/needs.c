/*-------------------------------------------------------------------------
 *
 * needs.c
 *	  Which patterns a namespace gets: those it names, and those its needs ask for.
 *
 * src/namespace/needs.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "namespace/namespace.h"
#include "namespace/schema.h"

/* A need's place in the YAML, or NULL when the namespace does not have it. */
typedef const PrismYaml *(*NeedTest) (const PrismNamespace *namespace);

typedef struct NeedRule
{
	NeedTest	test;
	const char *reason;			/* as plan() says it */
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
leaves_database(const PrismNamespace *namespace)
{
	return prism_namespace_has_sink(namespace) ? namespace->backend_place : NULL;
}

/* In the order of the chain.  Sizes that need a claim check are refused in config.c until it exists. */
static const NeedRule rules[] = {
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
		chosen = palloc(sizeof(*chosen));
		chosen->pattern = prism_pattern_find(type->text);
		chosen->reason = "named in patterns";
		chosen->place = type;
		if (chosen->pattern == NULL)
			elog(ERROR, "pattern \"%s\" has no entry", type->text);
		namespace->patterns = lappend(namespace->patterns, chosen);
	}
}

/* Unless it is there already; a need for what was switched off is a contradiction. */
static void
add_needed(PrismNamespace *namespace, const NeedRule *rule, const PrismYaml *patterns)
{
	PrismChosenPattern *chosen;
	ListCell   *cell;

	foreach(cell, namespace->patterns)
		if (strcmp(((PrismChosenPattern *) lfirst(cell))->pattern->name, rule->pattern) == 0)
			return;

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
