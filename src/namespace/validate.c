/*-------------------------------------------------------------------------
 *
 * validate.c
 *	  Do client API, patterns, their order and the back end fit together?
 *
 * The RFC's three errors, each with a SQLSTATE of its own; their details begin
 * with the RFC's name and fields, their hints are the nearest row of its matrix.
 * A pattern that is not built is looked at as any other: that it is not there
 * yet is said last, of what would be all right.
 *
 * src/namespace/validate.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/complaint.h"
#include "namespace/matrix.h"
#include "namespace/spec.h"

#include "lib/stringinfo.h"

/* Of a class of their own, so that programs can tell them from other mistakes. */
#define ERRCODE_INCOMPATIBLE_PATTERN MAKE_SQLSTATE('P', 'R', '0', '0', '1')
#define ERRCODE_INCOMPATIBLE_PATTERN_ORDER MAKE_SQLSTATE('P', 'R', '0', '0', '2')
#define ERRCODE_BACKEND_INCOMPATIBLE_WITH_PATTERNS MAKE_SQLSTATE('P', 'R', '0', '0', '3')

static void check_api(const PrismNamespace *namespace, const PrismChosenPattern *chosen);
static void check_once(const List *given);
static void check_order(const PrismNamespace *namespace);
static bool check_neighbours(const PrismNamespace *namespace, const PrismPattern *first, const PrismPattern *second, const PrismPlace *place);
static void check_backend(const PrismNamespace *namespace);
static int	hint_of_nearest(const PrismNamespace *namespace);
static char *names_of_patterns(const PrismNamespace *namespace);
static char *backends_with(uint32 roles, bool transactional);

/* What follows from a mistake is no second one. */
void
prism_namespace_validate(PrismNamespace *namespace)
{
	int			before = prism_complaints_count();
	ListCell   *cell;

	check_once(namespace->given->patterns.list);
	if (prism_complaints_count() > before)
		return;
	foreach(cell, namespace->patterns)
		check_api(namespace, lfirst(cell));
	if (prism_complaints_count() == before)
		check_order(namespace);
	if (prism_complaints_count() == before)
		check_backend(namespace);
}

static void
check_api(const PrismNamespace *namespace, const PrismChosenPattern *chosen)
{
	StringInfoData serves;

	if (chosen->pattern->apis & namespace->api->api)
		return;

	initStringInfo(&serves);
	for (int i = 0; i < prism_api_count; i++)
		if (chosen->pattern->apis & prism_apis[i].api)
			appendStringInfo(&serves, "%s%s", serves.len > 0 ? ", " : "", prism_apis[i].name);
	prism_complain(chosen->place,
				   errcode(ERRCODE_INCOMPATIBLE_PATTERN),
				   errmsg("pattern \"%s\" cannot serve the client API \"%s\"", chosen->pattern->name, namespace->api->name),
				   errdetail("IncompatiblePattern: pattern %s, api %s. It is %s%s, and works with: %s.",
							 chosen->pattern->name, namespace->api->name,
							 chosen->needed ? "needed, as " : "", chosen->reason, serves.data),
				   hint_of_nearest(namespace));
}

/* Also when others stand in between, and when one of the two is switched off: which of them holds would be a guess. */
static void
check_once(const List *given)
{
	ListCell   *cell;

	foreach(cell, given)
	{
		const PrismPatternKeys *second = lfirst(cell);

		if (prism_complaints_full())
			return;
		/* no more steps than there are types: each is told with the first one of its type */
		for (int i = 0; i < foreach_current_index(cell); i++)
		{
			const PrismPatternKeys *first = list_nth(given, i);

			if (strcmp(first->type.text, second->type.text) != 0)
				continue;
			prism_complain(&second->type.place,
						   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						   errmsg("pattern \"%s\" is given twice", second->type.text),
						   errdetail("The first one is " PRISM_AT ".", prism_at(&first->type.place)),
						   errhint("Remove one of the two."));
			break;
		}
	}
}

/* As the namespace writes them; then as they will stand in the chain, with those that are needed. */
static void
check_order(const PrismNamespace *namespace)
{
	const PrismPattern *previous = NULL;
	bool		refused = false;
	ListCell   *cell;

	foreach(cell, namespace->given->patterns.list)
	{
		const PrismPatternKeys *given = lfirst(cell);
		const PrismPattern *pattern = prism_pattern_find(given->type.text);

		if (prism_value_is(&given->enabled, "false"))
			continue;
		if (previous != NULL && !check_neighbours(namespace, previous, pattern, &given->type.place))
			refused = true;
		previous = pattern;
	}
	if (refused)
		return;
	previous = NULL;
	foreach(cell, namespace->patterns)
	{
		const PrismChosenPattern *chosen = lfirst(cell);

		if (previous != NULL)
			(void) check_neighbours(namespace, previous, chosen->pattern, chosen->place);
		previous = chosen->pattern;
	}
}

/* False: they may not be. */
static bool
check_neighbours(const PrismNamespace *namespace, const PrismPattern *first, const PrismPattern *second, const PrismPlace *place)
{
	StringInfoData follows;

	initStringInfo(&follows);
	for (const char *const *after = second->after; after != NULL && *after != NULL; after++)
	{
		if (strcmp(*after, first->name) == 0)
			return true;
		appendStringInfo(&follows, "%s%s", follows.len > 0 ? ", " : "", *after);
	}
	prism_complain(place,
				   errcode(ERRCODE_INCOMPATIBLE_PATTERN_ORDER),
				   errmsg("pattern \"%s\" cannot follow \"%s\"", second->name, first->name),
				   errdetail("IncompatiblePatternOrder: first %s, second %s. It may come first, or follow: %s.",
							 first->name, second->name, follows.data),
				   hint_of_nearest(namespace));
	return false;
}

/* What a pattern keeps is its own store's business (choice.c): here it is what it asks of the namespace's back end. */
static void
check_backend(const PrismNamespace *namespace)
{
	uint32		roles = namespace->api->role;
	ListCell   *cell;

	foreach(cell, namespace->patterns)
		roles |= ((PrismChosenPattern *) lfirst(cell))->pattern->queue_roles;
	if ((namespace->backend->roles & roles) != roles)
		prism_complain(namespace->backend_place,
					   errcode(ERRCODE_BACKEND_INCOMPATIBLE_WITH_PATTERNS),
					   errmsg("backend \"%s\" cannot carry the patterns of namespace \"%s\"",
							  namespace->backend->name, prism_yaml_show(namespace->name)),
					   errdetail("BackendIncompatibleWithPatterns: backend %s, api %s, patterns [%s]. Those that can are: %s.",
								 namespace->backend->name, namespace->api->name, names_of_patterns(namespace), backends_with(roles, false)),
					   hint_of_nearest(namespace));
	else if (namespace->exactly_once && !namespace->backend->transactional)
		prism_complain(namespace->backend_place,
					   errcode(ERRCODE_BACKEND_INCOMPATIBLE_WITH_PATTERNS),
					   errmsg("backend \"%s\" cannot deliver exactly once", namespace->backend->name),
					   errdetail("BackendIncompatibleWithPatterns: backend %s, api %s, patterns [%s], delivery_guarantee exactly_once, " PRISM_AT ".",
								 namespace->backend->name, namespace->api->name, names_of_patterns(namespace),
								 prism_at(&namespace->given->needs.delivery_guarantee.place)),
					   errhint("Those that can are: %s. Otherwise use \"delivery_guarantee: at_least_once\".",
							   backends_with(roles, true)));
}

/* Whether messages leave the database depends on the servers that it has: a text alone cannot be wrong by that. */
static bool
may_be_chosen_otherwise(const PrismNamespace *namespace)
{
	return namespace->words_only && namespace->backend_chosen;
}

/* What stays in tables of this database is out of reach for who is handed the message elsewhere. */
void
prism_namespace_check_reach(PrismNamespace *namespace)
{
	const PrismChosenPattern *chosen = prism_namespace_claim_check(namespace);
	const PrismStore *store = chosen != NULL ? linitial(chosen->stores) : NULL;
	const PrismBackendInfo *outside = prism_object_store();

	if (store == NULL || !prism_namespace_has_sink(namespace) || store->backend->wrapper != NULL || may_be_chosen_otherwise(namespace))
		return;
	prism_complain(store->place,
				   errcode(ERRCODE_BACKEND_INCOMPATIBLE_WITH_PATTERNS),
				   errmsg("backend \"%s\" cannot carry messages whose payloads stay in the database", namespace->backend->name),
				   errdetail("BackendIncompatibleWithPatterns: backend %s, api %s, patterns [%s], storage %s. Who reads them there cannot fetch a payload from here.",
							 namespace->backend->name, namespace->api->name, names_of_patterns(namespace), store->backend->name),
				   errhint("Keep the payloads where both can fetch them (\"storage: %s\"%s), or the messages in the database (\"backend: " PRISM_BACKEND_DEFAULT "\").",
						   outside->name, outside->built ? "" : ", which is not available yet"));
}

static int
hint_of_nearest(const PrismNamespace *namespace)
{
	return errhint("The nearest composition that fits: %s",
				   prism_nearest_composition(namespace->api->api, namespace->patterns, namespace->backend->name));
}

static char *
names_of_patterns(const PrismNamespace *namespace)
{
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, namespace->patterns)
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", ((PrismChosenPattern *) lfirst(cell))->pattern->name);
	return names.data;
}

static char *
backends_with(uint32 roles, bool transactional)
{
	StringInfoData able;

	initStringInfo(&able);
	for (const PrismBackendInfo *const *info = prism_backend_infos(); *info != NULL; info++)
		if (((*info)->roles & roles) == roles && ((*info)->transactional || !transactional))
			appendStringInfo(&able, "%s%s", able.len > 0 ? ", " : "", (*info)->name);
	return able.len > 0 ? able.data : pstrdup("none");
}

/* ---------- what is not there yet ---------- */

/* What was needed, and what the log does as well, for as long as nothing else can. */
static const char *
stands_in(const PrismNamespace *namespace, const PrismChosenPattern *chosen)
{
	const PrismNeedsKeys *needs = &namespace->given->needs;

	if (!chosen->needed)
		return NULL;
	if (strcmp(chosen->pattern->name, "tiered-storage") == 0)
		return "all messages stay in the log";
	if (strcmp(chosen->pattern->name, "claim-check") == 0 && !prism_is_given(&needs->storage_backend) &&
		!prism_is_given(&needs->cleanup) && namespace->message_bytes_max <= PRISM_MESSAGE_BYTES_LIMIT)
		return "large messages go through the log as they are";
	return NULL;
}

/* "patterns [wal, claim-check], backends [kafka, s3, postgres], 10 partitions": the RFC's way to write the whole. */
static char *
describe_whole(const PrismNamespace *namespace)
{
	StringInfoData whole;
	List	   *backends = list_make1(unconstify(PrismBackendInfo *, namespace->backend));
	ListCell   *cell;

	foreach(cell, namespace->patterns)
	{
		ListCell   *other;

		foreach(other, ((const PrismChosenPattern *) lfirst(cell))->stores)
			backends = list_append_unique_ptr(backends, unconstify(PrismBackendInfo *, ((const PrismStore *) lfirst(other))->backend));
	}
	/* where the log is */
	backends = list_append_unique_ptr(backends, unconstify(PrismBackendInfo *, prism_backend_info(PRISM_BACKEND_DEFAULT)));

	initStringInfo(&whole);
	appendStringInfo(&whole, "patterns [%s], backends [", names_of_patterns(namespace));
	foreach(cell, backends)
		appendStringInfo(&whole, "%s%s", foreach_current_index(cell) > 0 ? ", " : "", ((PrismBackendInfo *) lfirst(cell))->name);
	appendStringInfoChar(&whole, ']');
	if (namespace->partitions > 0)
		appendStringInfo(&whole, ", %d partitions", namespace->partitions);
	return whole.data;
}

static const char *
hint_of_unbuilt(const PrismNamespace *namespace, const PrismChosenPattern *chosen)
{
	if (!chosen->needed)
		return "Leave it out for now.";
	if (chosen->place == &namespace->given->needs.max_message_size.place)
		return "Use at most 512MB, which pg_dump can still write; keep what is larger elsewhere and publish where it is.";
	return "Leave out for now what asks for it.";
}

static void
refuse_unbuilt(const PrismNamespace *namespace, const PrismChosenPattern *chosen)
{
	prism_complain(chosen->place,
				   errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				   errmsg("pattern \"%s\" is not available yet", chosen->pattern->name),
				   errdetail("It is %s%s. The whole would be: %s.",
							 chosen->needed ? "needed, as " : "", chosen->reason, describe_whole(namespace)),
				   errhint("%s", hint_of_unbuilt(namespace, chosen)));
}

/* The first of what it keeps somewhere that is not built; NULL: all of it is. */
static const PrismStore *
unbuilt_store(const PrismNamespace *namespace, const PrismChosenPattern *chosen)
{
	ListCell   *cell;

	foreach(cell, chosen->stores)
	{
		const PrismStore *store = lfirst(cell);

		if (!store->backend->built && !(store->reason != NULL && may_be_chosen_otherwise(namespace)))
			return store;
	}
	return NULL;
}

static void
refuse_unbuilt_store(const PrismNamespace *namespace, const PrismChosenPattern *chosen, const PrismStore *store)
{
	prism_complain(store->place,
				   errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				   errmsg("backend \"%s\" is not available yet as a store", store->backend->name),
				   errdetail("Pattern \"%s\" would keep there what is large: %s. The whole would be: %s.", chosen->pattern->name,
							 store->reason != NULL ? store->reason : "it is named", describe_whole(namespace)),
				   errhint("%s", prism_namespace_has_sink(namespace) ?
						   "For now keep the messages in the database (\"backend: " PRISM_BACKEND_DEFAULT "\", \"storage: " PRISM_BACKEND_DEFAULT "\"), or publish no large ones." :
						   "For now write \"storage: " PRISM_BACKEND_DEFAULT "\": then large payloads stay in tables of this database."));
}

static void
note_stores(PrismNamespace *namespace, const PrismChosenPattern *chosen)
{
	ListCell   *cell;

	foreach(cell, chosen->stores)
	{
		const PrismStore *store = lfirst(cell);

		if (store->reason != NULL)
			prism_note(namespace, "storage", store->place, "%s for %s: %s", store->backend->name, chosen->pattern->name, store->reason);
	}
}

void
prism_namespace_check_built(PrismNamespace *namespace)
{
	List	   *built = NIL;
	bool		refused = false;
	ListCell   *cell;

	foreach(cell, namespace->patterns)
	{
		PrismChosenPattern *chosen = lfirst(cell);
		const char *instead = stands_in(namespace, chosen);
		const PrismStore *store = unbuilt_store(namespace, chosen);

		if (chosen->pattern->built && store == NULL)
		{
			built = lappend(built, chosen);
			note_stores(namespace, chosen);
		}
		else if (instead != NULL && chosen->pattern->built)
			prism_note(namespace, "warning", chosen->place, "%s: needed, as %s, but %s is not available yet as its store: %s",
					   chosen->pattern->name, chosen->reason, store->backend->name, instead);
		else if (chosen->pattern->built)
		{
			refuse_unbuilt_store(namespace, chosen, store);
			refused = true;
		}
		else if (instead != NULL)
			prism_note(namespace, "warning", chosen->place, "%s: needed, as %s, but not available yet: %s",
					   chosen->pattern->name, chosen->reason, instead);
		else
		{
			refuse_unbuilt(namespace, chosen);
			refused = true;
		}
	}
	if (!refused && !namespace->api->built)
		prism_complain(namespace->api_place,
					   errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					   errmsg("client API \"%s\" is not available yet", namespace->api->name));
	if (!namespace->backend->built)
		prism_complain(namespace->backend_place,
					   errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					   errmsg("backend \"%s\" is not available yet", namespace->backend->name),
					   errhint("Use another one for now."));
	namespace->patterns = built;
}
