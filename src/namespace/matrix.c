/*-------------------------------------------------------------------------
 *
 * matrix.c
 *	  The RFC's composition matrix as data.
 *
 * It decides nothing: validate.c takes all that the patterns say of themselves.
 * Who is refused is shown the nearest of these rows, which are what people want.
 *
 * src/namespace/matrix.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/matrix.h"
#include "namespace/spec.h"

#include "lib/stringinfo.h"

const PrismComposition prism_compositions[] = {
	{"pubsub", {"claim-check"}, {"kafka", "nats"}, NULL, "large payload pub/sub"},
	{"pubsub", {"outbox", "claim-check"}, {"kafka"}, NULL, "transactional large payloads"},
	{"queue", {"claim-check"}, {"kafka"}, NULL, "large message queue"},
	{"queue", {"wal", "tiered-storage"}, {"postgres", "kafka"}, NULL, "fast writes and archival"},
	{"reader", {"cache"}, {"postgres"}, NULL, "frequent reads"},
	{
		"reader", {"cdc"}, {"postgres"},
		"{type: cdc, consumers: [{name: cache-invalidator, type: cache_invalidator, backend: redis}]}",
		"fresh cached reads"
	},
	{"transact", {"outbox"}, {"kafka", "postgres"}, NULL, "transactional messaging"},
	{"transact", {"event-store", "projection"}, {"postgres"}, NULL, "audit and performance"},
};
const int	prism_composition_count = lengthof(prism_compositions);

static bool
row_has(const PrismComposition *row, const char *pattern)
{
	for (const char *const *name = row->patterns; *name != NULL; name++)
		if (strcmp(*name, pattern) == 0)
			return true;
	return false;
}

/* How many patterns have to come or go. */
static int
distance(const PrismComposition *row, const List *patterns)
{
	int			both = 0;
	int			of_row = 0;
	ListCell   *cell;

	foreach(cell, patterns)
		both += row_has(row, ((const PrismChosenPattern *) lfirst(cell))->pattern->name);
	while (row->patterns[of_row] != NULL)
		of_row++;
	return of_row + list_length(patterns) - 2 * both;
}

/* The first of what the row needs that is not built: a pattern, or where it keeps what is read elsewhere; NULL: all is. */
static const char *
unbuilt_of(const PrismComposition *row)
{
	bool		keeps_payloads = false;

	for (const char *const *name = row->patterns; *name != NULL; name++)
	{
		const PrismPattern *pattern = prism_pattern_find(*name);

		if (!pattern->built)
			return *name;
		keeps_payloads |= prism_is_claim_check(pattern);
	}
	return keeps_payloads && !prism_object_store()->built ? prism_object_store()->name : NULL;
}

/* Of rows that are as near, the first that can be had now. */
static const PrismComposition *
nearest(uint32 api, const List *patterns)
{
	const PrismComposition *found = NULL;
	bool		found_serves = false;
	int			found_distance = 0;

	for (int i = 0; i < prism_composition_count; i++)
	{
		const PrismComposition *row = &prism_compositions[i];
		bool		serves = prism_api_find(row->api)->api == api;
		int			row_distance = distance(row, patterns);

		if (found == NULL || serves > found_serves ||
			(serves == found_serves && row_distance < found_distance) ||
			(serves == found_serves && row_distance == found_distance &&
			 unbuilt_of(row) == NULL && unbuilt_of(found) != NULL))
		{
			found = row;
			found_serves = serves;
			found_distance = row_distance;
		}
	}
	return found;
}

/* The one that is asked for, if the row has it. */
static const char *
backend_of_row(const PrismComposition *row, const char *wanted)
{
	for (const char *const *name = row->backends; *name != NULL; name++)
		if (strcmp(*name, wanted) == 0)
			return wanted;
	return row->backends[0];
}

char *
prism_nearest_composition(uint32 api, const List *patterns, const char *backend)
{
	const PrismComposition *row = nearest(api, patterns);
	const char *unbuilt = unbuilt_of(row);
	StringInfoData list;

	initStringInfo(&list);
	if (row->yaml != NULL)
		appendStringInfoString(&list, row->yaml);
	else
		for (const char *const *name = row->patterns; *name != NULL; name++)
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", *name);
	return psprintf("{client_api: %s, patterns: [%s], backend: %s}%s", row->api, list.data, backend_of_row(row, backend),
					unbuilt == NULL ? "" : psprintf(" (needs %s, which is not available yet)", unbuilt));
}
