/*-------------------------------------------------------------------------
 *
 * schema.h
 *	  Reads a document by the tables of keys (base/config_key.h).
 *
 * src/namespace/schema.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SCHEMA_H
#define PRISM_SCHEMA_H

#include "namespace/keys.h"
#include "namespace/yaml.h"

/* A map that is being read; those around it make the path of its keys. */
typedef struct PrismLevel
{
	const struct PrismLevel *outer; /* NULL: the document itself */
	const char *name;			/* of the key that leads here */
	const PrismMap *map;
	const PrismKey *chosen;		/* further keys, or NULL */
	const char *choice;			/* the word that chose them, or NULL */
	bool		alone;			/* the word stands in place of the map */
	bool		options;		/* only the chosen keys may stand here */
	void	   *values;			/* the map's struct */
} PrismLevel;

/*
 * The namespaces of a document, as a list of PrismNamespaceKeys.  Whatever is
 * not as its row says is an error with its place.
 */
extern List *prism_schema_read(const PrismYaml *root);

/* refusal.c: what is wrong at a place of the document.  All of them throw. */
extern void prism_refuse_configuration(const PrismYaml *root) pg_attribute_noreturn();
extern void prism_refuse_key(const PrismLevel *level, const PrismYaml *written) pg_attribute_noreturn();
extern void prism_refuse_later(const PrismLevel *level, const PrismKey *key, const PrismYaml *written) pg_attribute_noreturn();
extern void prism_refuse_twice(const PrismLevel *level, const PrismKey *key, const PrismYaml *value,
							   const PrismPlace *first) pg_attribute_noreturn();
extern void prism_refuse_missing(const PrismLevel *level, const PrismYaml *map) pg_attribute_noreturn();
extern void prism_refuse_value(const PrismLevel *level, const PrismKey *key, const PrismYaml *value) pg_attribute_noreturn();
extern void prism_refuse_entry(const PrismLevel *level, const PrismKey *key, const PrismYaml *entry) pg_attribute_noreturn();
extern void prism_refuse_word(const PrismLevel *level, const PrismKey *key, const PrismYaml *value) pg_attribute_noreturn();
extern void prism_refuse_entries(const PrismLevel *level, const PrismKey *key, const PrismYaml *list) pg_attribute_noreturn();

/* units.c: false: not a size (bytes), not an interval (milliseconds), not an integer */
extern bool prism_parse_size(const char *text, int64 *bytes);
extern bool prism_parse_interval(const char *text, int64 *ms);
extern bool prism_parse_integer(const char *text, int64 *number);
/* How long messages are kept: milliseconds, -1 for "forever". */
extern bool prism_parse_retention_time(const char *text, int64 *ms);
/* How many bytes are kept. */
extern bool prism_parse_retention_size(const char *text, int64 *bytes);

#endif							/* PRISM_SCHEMA_H */
