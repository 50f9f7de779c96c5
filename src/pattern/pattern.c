/*-------------------------------------------------------------------------
 *
 * pattern.c
 *	  The patterns there are: those built, and those of the RFC still to come.
 *
 * src/pattern/pattern.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "backend/registry.h"
#include "pattern/pattern.h"

#define MESSAGING (PRISM_API_QUEUE | PRISM_API_PUBSUB | PRISM_API_TRANSACT)

#define AFTER(...) (const char *const[]) {__VA_ARGS__, NULL}

/* Known from the RFC: apply() names them and refuses. */
static const PrismPattern tiered_storage = {
	.name = "tiered-storage",
	.version = "0",
	.apis = MESSAGING,
	.store_roles = PRISM_ROLE_OBJECT,
	.after = AFTER("wal", "outbox", "claim-check"),
	.depth = PRISM_DEPTH_TIERED_STORAGE,
};
static const PrismPattern cdc = {
	.name = "cdc",
	.version = "0",
	.apis = MESSAGING | PRISM_API_READER,
	.after = AFTER("wal", "outbox", "claim-check", "tiered-storage", "cache"),
	.depth = PRISM_DEPTH_CDC,
};
static const PrismPattern cache = {
	.name = "cache",
	.version = "0",
	.apis = PRISM_API_READER | PRISM_API_CACHE,
	.queue_roles = PRISM_ROLE_ROWS,
	.store_roles = PRISM_ROLE_CACHE,
	.after = AFTER("cdc"),
	.depth = PRISM_DEPTH_CACHE,
};
static const PrismPattern event_store = {
	.name = "event-store",
	.synonym = "event-sourcing",
	.version = "0",
	.apis = PRISM_API_TRANSACT | PRISM_API_QUEUE,
	.after = AFTER("wal", "outbox"),
	.depth = PRISM_DEPTH_EVENT_STORE,
};
static const PrismPattern projection = {
	.name = "projection",
	.synonym = "materialized-views",
	.version = "0",
	.apis = PRISM_API_TRANSACT | PRISM_API_READER,
	.after = AFTER("cdc", "cache", "event-store"),
	.depth = PRISM_DEPTH_PROJECTION,
};

/* In the order of the chain. */
static const PrismPattern *const patterns[] = {
	&prism_pattern_wal, &prism_pattern_outbox, &prism_pattern_claim_check, &tiered_storage,
	&cdc, &cache, &event_store, &projection, NULL
};

const PrismPattern *const *
prism_patterns(void)
{
	return patterns;
}

const PrismPattern *
prism_pattern_find(const char *name)
{
	for (int i = 0; patterns[i] != NULL; i++)
	{
		if (strcmp(patterns[i]->name, name) == 0)
			return patterns[i];
	}
	return NULL;
}
