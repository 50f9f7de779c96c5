/*-------------------------------------------------------------------------
 *
 * needs.c
 *	  Which patterns a namespace gets: those it names, and those its needs ask for.
 *
 * The table of rules is the RFC's: these and no others give each of its
 * configurations the chain that it shows.
 *
 * src/namespace/needs.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/complaint.h"
#include "namespace/spec.h"

/* What is larger than this needs a claim check. */
#define INLINE_BYTES INT64CONST(1000000)

/* What is kept as long as this is more than the log should hold. */
#define LONG_RETENTION_MS (INT64CONST(30) * 24 * 3600 * 1000)

typedef struct NeedRule
{
	const char *pattern;
	PrismCondition when;
	bool		(*and) (const PrismNamespaceKeys *given);	/* NULL: nothing else */
} NeedRule;

/* ---------- what is asked for ---------- */

const PrismPatternKeys *
prism_pattern_named(const PrismNamespaceKeys *given, const char *pattern)
{
	ListCell   *cell;

	foreach(cell, given->patterns.list)
	{
		const PrismPatternKeys *named = lfirst(cell);

		if (strcmp(named->type.text, pattern) == 0)
			return named;
	}
	return NULL;
}

const PrismValue *
prism_condition_value(const PrismCondition *condition, const PrismNamespaceKeys *given)
{
	const void *values = given;
	const PrismValue *value;

	if (condition->pattern != NULL)
	{
		const PrismPatternKeys *named = prism_pattern_named(given, condition->pattern);

		if (named == NULL || prism_value_is(&named->enabled, "false"))
			return NULL;
		values = named;
	}
	value = (const PrismValue *) ((const char *) values + condition->offset);
	return prism_is_given(value) && (condition->word == NULL || strcmp(value->text, condition->word) == 0) ? value : NULL;
}

static bool
counts_on_its_log(const PrismNamespaceKeys *given)
{
	return prism_value_is(&given->client_api, "durable-queue") || prism_value_is(&given->needs.durability, "strong") ||
		prism_value_is(&given->needs.replay, "enabled");
}

static bool
is_large(const PrismNamespaceKeys *given)
{
	return given->needs.max_message_size.more || given->needs.max_message_size.number > INLINE_BYTES;
}

static bool
is_kept_long(const PrismNamespaceKeys *given)
{
	const PrismValue *time = &given->needs.retention.time;

	return !counts_on_its_log(given) && (time->number == PRISM_RETENTION_FOREVER || time->number >= LONG_RETENTION_MS);
}

/*
 * In the order of the chain.  A retention is a reason more for who counts on his
 * log, and alone none for the wal.  What asks for cdc and cache are maps, which
 * name the pattern.
 */
static const NeedRule rules[] = {
	{"wal", PRISM_WHEN(client_api, "durable-queue"), NULL},
	{"wal", PRISM_WHEN(needs.durability, "strong"), NULL},
	{"wal", PRISM_WHEN(needs.replay, "enabled"), NULL},
	{"wal", PRISM_WHEN_CALLED("needs.retention", needs.retention.time, NULL), counts_on_its_log},
	{"wal", PRISM_WHEN(needs.ordered, "true"), NULL},
	{"wal", PRISM_WHEN(needs.retain, "consumers"), NULL},
	{"wal", PRISM_WHEN(needs.write_rps, NULL), NULL},
	{"wal", PRISM_WHEN(needs.audit, "true"), NULL},
	{"outbox", PRISM_WHEN(needs.consistency, "strong"), NULL},
	{"outbox", PRISM_WHEN(needs.delivery_guarantee, "exactly_once"), NULL},
	{"claim-check", PRISM_WHEN(needs.max_message_size, NULL), is_large},
	{"claim-check", PRISM_WHEN(needs.storage_backend, NULL), NULL},
	{"claim-check", PRISM_WHEN_CALLED("needs.cleanup", needs.cleanup.strategy, NULL), NULL},
	{"claim-check", PRISM_WHEN(needs.cleanup.ttl, NULL), NULL},
	{"tiered-storage", PRISM_WHEN_CALLED("needs.retention", needs.retention.time, NULL), is_kept_long},
	{"event-store", PRISM_WHEN(needs.audit, "true"), NULL},
};

/* ---------- what is chosen ---------- */

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

static void
add_named(PrismNamespace *namespace, const PrismPatternKeys *given)
{
	if (!prism_value_is(&given->enabled, "false"))
		add_pattern(namespace, given->type.text, psprintf("named in %s", given->apart ? given->type.text : "patterns"), &given->type.place)->given = given;
}

/* A large message may also stay in the log, while that takes it: who says so gets it. */
static bool
does_without(const PrismNamespace *namespace, const NeedRule *rule)
{
	return rule->and == is_large && !namespace->given->needs.max_message_size.more &&
		namespace->given->needs.max_message_size.number <= PRISM_MESSAGE_BYTES_LIMIT;
}

/* Once, with all that it is needed for; a need for what was switched off is a contradiction: false. */
static bool
add_needed(PrismNamespace *namespace, const NeedRule *rule, const PrismValue *need)
{
	const char *reason = psprintf("%s is %s", rule->when.key, prism_yaml_show(need->text));
	const PrismPatternKeys *switched_off;
	ListCell   *cell;

	foreach(cell, namespace->patterns)
	{
		PrismChosenPattern *chosen = lfirst(cell);

		if (strcmp(chosen->pattern->name, rule->pattern) != 0)
			continue;
		if (chosen->needed)
			chosen->reason = psprintf("%s, %s", chosen->reason, reason);
		return true;
	}
	switched_off = prism_pattern_named(namespace->given, rule->pattern);
	if (switched_off == NULL)
		add_pattern(namespace, rule->pattern, reason, &need->place)->needed = true;
	if (switched_off == NULL || does_without(namespace, rule))
		return true;
	prism_complain(&switched_off->type.place,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("pattern \"%s\" is needed but switched off", rule->pattern),
				   errdetail("The reason is: %s, " PRISM_AT ".", reason, prism_at(&need->place)),
				   errhint("Remove \"enabled: false\", or the need."));
	return false;
}

static int
compare_depth(const ListCell *a, const ListCell *b)
{
	const PrismChosenPattern *first = lfirst(a);
	const PrismChosenPattern *second = lfirst(b);

	return first->pattern->depth - second->pattern->depth;
}

void
prism_needs_select(PrismNamespace *namespace)
{
	const char *refused = NULL;
	ListCell   *cell;

	foreach(cell, namespace->given->patterns.list)
		add_named(namespace, lfirst(cell));
	for (int i = 0; i < (int) lengthof(rules); i++)
	{
		const PrismValue *need = prism_condition_value(&rules[i].when, namespace->given);

		if (need == NULL || (rules[i].and != NULL && !rules[i].and(namespace->given)) ||
			(refused != NULL && strcmp(rules[i].pattern, refused) == 0))
			continue;
		if (!add_needed(namespace, &rules[i], need))
			refused = rules[i].pattern;
	}
	list_sort(namespace->patterns, compare_depth);
}
