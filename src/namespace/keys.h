/*-------------------------------------------------------------------------
 *
 * keys.h
 *	  What a configuration says, key by key.
 *
 * One struct a map, one member a key: the rows of keys.c point to them.  Each
 * struct begins with its map's place; that of "backend" is in backend/registry.h.
 *
 * src/namespace/keys.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_KEYS_H
#define PRISM_KEYS_H

#include "backend/registry.h"
#include "base/config_key.h"

typedef struct PrismPublisherKeys
{
	PrismPlace	place;
	PrismValue	interval;
	PrismValue	batch_size;
} PrismPublisherKeys;

typedef struct PrismPatternKeys
{
	PrismPlace	place;			/* also of the word alone */
	PrismValue	type;
	PrismValue	enabled;

	/* outbox */
	PrismValue	database;
	PrismValue	table;
	PrismPublisherKeys publisher;
} PrismPatternKeys;

typedef struct PrismRetentionKeys
{
	PrismPlace	place;			/* also of the value alone */
	PrismValue	time;
	PrismValue	size;
} PrismRetentionKeys;

/* When large payloads are removed. */
typedef struct PrismCleanupKeys
{
	PrismPlace	place;			/* also of the word alone */
	PrismValue	strategy;
	PrismValue	ttl;
} PrismCleanupKeys;

typedef struct PrismNeedsKeys
{
	PrismPlace	place;
	PrismValue	consistency;
	PrismValue	delivery_guarantee;
	PrismValue	max_message_size;
	PrismValue	durability;
	PrismValue	replay;
	PrismValue	ordered;
	PrismRetentionKeys retention;
	PrismValue	retain;
	PrismValue	max_backlog;
	PrismValue	on_full;
	PrismValue	write_rps;
	PrismValue	throughput;
	PrismValue	storage_backend;
	PrismCleanupKeys cleanup;
	PrismValue	audit;
} PrismNeedsKeys;

typedef struct PrismConsumerKeys
{
	PrismPlace	place;
	PrismValue	group;
	PrismValue	ordering;
	PrismValue	max_attempts;
	PrismValue	lease;
	PrismValue	max_in_flight;
	PrismValue	backoff;
} PrismConsumerKeys;

typedef struct PrismObservabilityKeys
{
	PrismPlace	place;
	PrismValue	trace_patterns;
	PrismValue	pattern_metrics;
} PrismObservabilityKeys;

typedef struct PrismNamespaceKeys
{
	PrismPlace	place;
	PrismValue	name;
	PrismValue	client_api;
	PrismValue	patterns;		/* list of PrismPatternKeys */
	PrismBackendKeys backend;
	PrismNeedsKeys needs;
	PrismValue	consumers;		/* list of PrismConsumerKeys */
	PrismObservabilityKeys observability;
} PrismNamespaceKeys;

typedef struct PrismConfigurationKeys
{
	PrismPlace	place;
	PrismValue	namespaces;		/* list of PrismNamespaceKeys */
} PrismConfigurationKeys;

extern const PrismMap prism_configuration_map;
extern const PrismMap prism_namespace_map;

/* The row of a key, by its name or synonym, or NULL; 'keys' may be NULL. */
extern const PrismKey *prism_key_find(const PrismKey *keys, const char *name);

/* The number-th word of a key, from 0; false: there are no more. */
extern bool prism_key_word(const PrismKey *key, int number, PrismWord *word);

/* A value is given, and is this word. */
extern bool prism_value_is(const PrismValue *value, const char *word);

#endif							/* PRISM_KEYS_H */
