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

/* Where large payloads and old segments are.  What stands beside it goes here as well, without its place. */
typedef struct PrismStorageKeys
{
	PrismPlace	place;			/* also of the word alone */
	PrismValue	backend;
	PrismValue	server;
	PrismValue	bucket;
	PrismValue	prefix;
} PrismStorageKeys;

/* When large payloads are removed. */
typedef struct PrismCleanupKeys
{
	PrismPlace	place;			/* also of the word alone */
	PrismValue	strategy;
	PrismValue	ttl;
} PrismCleanupKeys;

/* The tables whose changes are captured. */
typedef struct PrismSourceKeys
{
	PrismPlace	place;			/* also of the word alone */
	PrismValue	backend;
	PrismValue	database;
	PrismValue	table;
} PrismSourceKeys;

/* Where changes go; "topic" may stand beside it. */
typedef struct PrismSinkKeys
{
	PrismPlace	place;			/* also of the word alone */
	PrismValue	backend;
	PrismValue	topic;
} PrismSinkKeys;

/* Whoever is told of changes besides. */
typedef struct PrismListenerKeys
{
	PrismPlace	place;			/* also of the word alone */
	PrismValue	type;
	PrismValue	name;
	PrismValue	backend;
	PrismValue	operations;		/* list of PrismValue */
	PrismValue	key_extractor;
} PrismListenerKeys;

typedef struct PrismPatternKeys
{
	PrismPlace	place;			/* also of the word alone */
	bool		apart;			/* it is a map of the namespace, and so has no place in "patterns" */
	PrismValue	type;
	PrismValue	enabled;

	/* outbox */
	PrismValue	database;
	PrismValue	table;
	PrismPublisherKeys publisher;

	/* claim-check */
	PrismValue	threshold;
	PrismStorageKeys storage;	/* of tiered-storage as well */
	PrismValue	compression;
	PrismCleanupKeys cleanup;
	PrismValue	metadata_field;
	PrismValue	max_pending;
	PrismValue	on_full;

	/* tiered-storage */
	PrismValue	after;

	/* cache */
	PrismValue	strategy;
	PrismValue	backend;
	PrismValue	server;
	PrismValue	ttl;
	PrismValue	key_pattern;

	/* cdc */
	PrismSourceKeys source;
	PrismSinkKeys sink;
	PrismValue	destination;	/* another word for sink, or for one of the consumers: pattern_options.c puts it there */
	PrismValue	tables;			/* list of PrismValue */
	PrismValue	operations;		/* list of PrismValue */
	PrismValue	consumers;		/* list of PrismListenerKeys */
} PrismPatternKeys;

typedef struct PrismRetentionKeys
{
	PrismPlace	place;			/* also of the value alone */
	PrismValue	time;
	PrismValue	size;
} PrismRetentionKeys;

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
	PrismValue	patterns;		/* list of PrismPatternKeys, at its end those of the maps below */
	PrismPatternKeys cache;
	PrismPatternKeys cdc;
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

/* pattern_keys.c */
extern const PrismMap prism_pattern_map;	/* an entry of "patterns" */
extern const PrismMap prism_cache_map;	/* the maps of a namespace that stand for a pattern */
extern const PrismMap prism_cdc_map;
extern const PrismMap prism_cleanup_map;
extern bool prism_storage_word(int number, PrismWord *word);

/* The one type of a consumer of changes. */
#define PRISM_LISTENER_CACHE "cache_invalidator"

/* The row of a key, by its name or synonym, or NULL; 'keys' may be NULL. */
extern const PrismKey *prism_key_find(const PrismKey *keys, const char *name);

/* The number-th word of a key, from 0; false: there are no more. */
extern bool prism_key_word(const PrismKey *key, int number, PrismWord *word);

/* The word that a text stands for; false: none. */
extern bool prism_word_find(const PrismKey *key, const char *text, PrismWord *word);

/* A value is given, and is this word. */
extern bool prism_value_is(const PrismValue *value, const char *word);

#endif							/* PRISM_KEYS_H */
