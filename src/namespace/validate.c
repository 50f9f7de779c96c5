/*-------------------------------------------------------------------------
 *
 * validate.c
 *	  Do client API, patterns, their order and the back end fit together?
 *
 * The RFC's three errors (pattern and API, order of patterns, patterns and
 * back end), each with a hint that says what would work.
 *
 * src/namespace/validate.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/complaint.h"
#include "namespace/spec.h"

#include "lib/stringinfo.h"

static void check_api(const PrismNamespace *namespace, const PrismChosenPattern *chosen);
static void check_once(const List *given);
static void check_order(const PrismChosenPattern *first, const PrismChosenPattern *second);
static void check_backend(const PrismNamespace *namespace);
static char *backends_with(uint32 roles, bool transactional);

void
prism_namespace_validate(PrismNamespace *namespace)
{
	const PrismChosenPattern *previous = NULL;
	int			before = prism_complaints_count();
	ListCell   *cell;

	check_once(namespace->given->patterns.list);
	if (prism_complaints_count() > before)
		return;
	foreach(cell, namespace->patterns)
	{
		const PrismChosenPattern *chosen = lfirst(cell);

		check_api(namespace, chosen);
		if (previous != NULL)
			check_order(previous, chosen);
		previous = chosen;
	}
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
		if (prism_apis[i].built && (chosen->pattern->apis & prism_apis[i].api))
			appendStringInfo(&serves, "%s%s", serves.len > 0 ? ", " : "", prism_apis[i].name);
	prism_complain(chosen->place,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("pattern \"%s\" cannot serve the client API \"%s\"", chosen->pattern->name, namespace->api->name),
				   errhint("It works with: %s.", serves.data));
}

/* Also when others stand in between, and when one of the two is switched off: which of them holds would be a guess. */
static void
check_once(const List *given)
{
	ListCell   *cell;

	foreach(cell, given)
	{
		const PrismPatternKeys *second = lfirst(cell);

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

static void
check_order(const PrismChosenPattern *first, const PrismChosenPattern *second)
{
	StringInfoData follows;
	const char *const *after = second->pattern->after;

	initStringInfo(&follows);
	for (; after != NULL && *after != NULL; after++)
	{
		if (strcmp(*after, first->pattern->name) == 0)
			return;
		appendStringInfo(&follows, "%s%s", follows.len > 0 ? ", " : "", *after);
	}
	prism_complain(second->place,
				   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				   errmsg("pattern \"%s\" cannot follow \"%s\"", second->pattern->name, first->pattern->name),
				   follows.len > 0 ? errhint("It may follow: %s.", follows.data) :
				   errhint("Put it first."));
}

static void
check_backend(const PrismNamespace *namespace)
{
	uint32		roles = PRISM_ROLE_QUEUE;
	ListCell   *cell;

	foreach(cell, namespace->patterns)
		roles |= ((PrismChosenPattern *) lfirst(cell))->pattern->roles;
	if ((namespace->backend->roles & roles) != roles)
		prism_complain(namespace->backend_place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("backend \"%s\" cannot carry the patterns of namespace \"%s\"",
							  namespace->backend->name, prism_yaml_show(namespace->name)),
					   errhint("Those that can are: %s.", backends_with(roles, false)));
	if (namespace->exactly_once && !namespace->backend->transactional)
		prism_complain(&namespace->given->needs.delivery_guarantee.place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("backend \"%s\" cannot deliver exactly once", namespace->backend->name),
					   errhint("Those that can are: %s. Otherwise use \"delivery_guarantee: at_least_once\".",
							   backends_with(roles, true)));
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
