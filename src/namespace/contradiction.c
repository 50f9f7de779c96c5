/*-------------------------------------------------------------------------
 *
 * contradiction.c
 *	  Needs that cannot be had together, and those that are only unwise.
 *
 * Each of the former is a row of a table: two values, and why not both.
 *
 * src/namespace/contradiction.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/complaint.h"
#include "namespace/spec.h"

/* A strict group hands out one message at a time. */
#define STRICT_RATE_MAX 1000

typedef struct Contradiction
{
	PrismCondition wrong;		/* where the error is */
	PrismCondition other;
	const char *why;
} Contradiction;

#define WHY_SEND_ONCE "Nothing is sent once and only once that is not part of a transaction, and that is strong consistency."
#define WHY_STRONG "The outbox makes publishing part of the transaction that publishes, and that is strong consistency."
#define WHY_REPLAYED "What is removed once it is consumed cannot be replayed."
#define WHY_AUDITED "What is audited is kept for ever."

static const Contradiction contradictions[] = {
	{PRISM_WHEN(needs.durability, "relaxed"), PRISM_WHEN(client_api, "durable-queue"), "What a durable queue has taken must not be lost."},
	{PRISM_WHEN(needs.durability, "relaxed"), PRISM_WHEN(needs.audit, "true"), WHY_AUDITED},
	{PRISM_WHEN(needs.consistency, "eventual"), PRISM_WHEN(needs.delivery_guarantee, "exactly_once"), WHY_SEND_ONCE},
	{PRISM_WHEN(needs.consistency, "eventual"), PRISM_WHEN_OPTION("outbox", type, NULL), WHY_STRONG},
	{PRISM_WHEN_CALLED("needs.cleanup", needs.cleanup.strategy, "on_consume"), PRISM_WHEN(needs.replay, "enabled"), WHY_REPLAYED},
	{PRISM_WHEN_CALLED("needs.cleanup", needs.cleanup.strategy, "on_consume"), PRISM_WHEN(needs.audit, "true"), WHY_AUDITED},
	{PRISM_WHEN_OPTION("claim-check", cleanup.strategy, "on_consume"), PRISM_WHEN(needs.replay, "enabled"), WHY_REPLAYED},
	{PRISM_WHEN_OPTION("claim-check", cleanup.strategy, "on_consume"), PRISM_WHEN(needs.audit, "true"), WHY_AUDITED},
	{PRISM_WHEN(needs.replay, "disabled"), PRISM_WHEN(needs.audit, "true"), WHY_AUDITED},
};

static void
refuse_both(const PrismNamespaceKeys *given, const Contradiction *row)
{
	const PrismValue *wrong = prism_condition_value(&row->wrong, given);
	const PrismValue *other = prism_condition_value(&row->other, given);

	if (wrong == NULL || other == NULL)
		return;
	prism_complain(&wrong->place,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("\"%s: %s\" contradicts \"%s: %s\"", row->wrong.key, wrong->text, row->other.key, other->text),
				   errdetail("%s The latter is " PRISM_AT ".", row->why, prism_at(&other->place)),
				   errhint("Remove one of the two."));
}

void
prism_contradictions_check(PrismNamespace *namespace)
{
	for (int i = 0; i < (int) lengthof(contradictions); i++)
		refuse_both(namespace->given, &contradictions[i]);
}

/* ---------- what is only unwise ---------- */

static void
warn_of_strict_groups(PrismNamespace *namespace)
{
	const PrismValue *rate = prism_needs_rate(namespace);
	ListCell   *cell;

	if (rate == NULL || rate->number <= STRICT_RATE_MAX)
		return;
	foreach(cell, namespace->given->consumers.list)
	{
		const PrismConsumerKeys *consumer = lfirst(cell);

		if (prism_value_is(&consumer->ordering, "strict"))
			prism_note(namespace, "warning", &consumer->ordering.place,
					   "consumer group \"%s\" is strict, which is one message at a time, and %s messages a second are asked for (" PRISM_AT ")",
					   prism_yaml_show(consumer->group.text), prism_yaml_show(rate->text), prism_at(&rate->place));
	}
}

static void
warn_of_archived_payloads(PrismNamespace *namespace)
{
	static const PrismCondition removed[] = {
		PRISM_WHEN(needs.cleanup.strategy, "on_consume"),
		PRISM_WHEN_OPTION("claim-check", cleanup.strategy, "on_consume")
	};
	bool		archived = false;
	ListCell   *cell;

	foreach(cell, namespace->patterns)
		archived |= strcmp(((const PrismChosenPattern *) lfirst(cell))->pattern->name, "tiered-storage") == 0;
	for (int i = 0; i < (int) lengthof(removed) && archived; i++)
	{
		const PrismValue *value = prism_condition_value(&removed[i], namespace->given);

		if (value != NULL)
			prism_note(namespace, "warning", &value->place,
					   "messages that tiered-storage keeps lose their large payloads once they are consumed");
	}
}

/* Nothing that the topic takes is as large as that. */
static void
warn_of_idle_claim_check(PrismNamespace *namespace)
{
	const PrismChosenPattern *chosen = prism_namespace_claim_check(namespace);
	const PrismValue *bound = &namespace->given->needs.max_message_size;

	if (chosen != NULL && chosen->given != NULL && prism_is_given(&chosen->given->threshold) &&
		prism_is_given(bound) && chosen->given->threshold.number >= namespace->message_bytes_max)
		prism_note(namespace, "warning", &chosen->given->threshold.place,
				   "no payload is claimed, as none is larger than needs.max_message_size (" PRISM_AT ")", prism_at(&bound->place));
}

void
prism_namespace_warn(PrismNamespace *namespace)
{
	warn_of_idle_claim_check(namespace);
	warn_of_strict_groups(namespace);
	warn_of_archived_payloads(namespace);
}
