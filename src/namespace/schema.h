/*-------------------------------------------------------------------------
 *
 * schema.h
 *	  Which keys a namespace may have: one table, and the check against it.
 *
 * src/namespace/schema.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SCHEMA_H
#define PRISM_SCHEMA_H

#include "namespace/yaml.h"

typedef enum PrismKeyType
{
	PRISM_KEY_TEXT,
	PRISM_KEY_WORD,				/* one of the words listed under the key's target */
	PRISM_KEY_BOOLEAN,
	PRISM_KEY_INTEGER,			/* minimum .. maximum */
	PRISM_KEY_SIZE,				/* bytes, minimum .. maximum */
	PRISM_KEY_INTERVAL,			/* milliseconds, minimum .. maximum */
	PRISM_KEY_RETENTION,		/* a time or a size, or a map with both, whose keys are the target's */
	PRISM_KEY_RETENTION_TIME,
	PRISM_KEY_RETENTION_SIZE,
	PRISM_KEY_TEXT_LIST,
	PRISM_KEY_INTERVAL_LIST,	/* each minimum .. maximum milliseconds */
	PRISM_KEY_MAP,				/* whose keys are those of the map named by the target */
	PRISM_KEY_MAPS,				/* a list of such maps */
	PRISM_KEY_WORD_OR_MAP,		/* the word stands for {type: word} */
	PRISM_KEY_NAMESPACES,		/* a list of maps */
	PRISM_KEY_PATTERNS			/* a list of words or of maps with a type */
} PrismKeyType;

typedef struct PrismKey
{
	const char *map;			/* the map it stands in */
	const char *name;
	bool		available;		/* false: known, but not in this version */
	PrismKeyType type;
	const char *target;			/* words or keys it leads to; when not available: the pattern it needs, or NULL */
	int64		minimum;
	int64		maximum;
} PrismKey;

/* A word that a key may have as its value. */
typedef struct PrismWord
{
	const char *list;
	const char *word;
	bool		available;
} PrismWord;

/* Throws with line and column unless the tree is a correct configuration. */
extern void prism_schema_check(const PrismYaml *root);

/* value.c: what has been checked, as C values. */
extern bool prism_yaml_boolean(const PrismYaml *node);
extern int64 prism_yaml_integer(const PrismYaml *node);
extern int64 prism_yaml_interval_ms(const PrismYaml *node);

/* The value of a key when it is this word, or NULL. */
extern const PrismYaml *prism_yaml_is(const PrismYaml *map, const char *key, const char *word);

/* The value of a key or of the RFC's second word for it, or NULL; both at once contradict or repeat. */
extern const PrismYaml *prism_yaml_one_of(const PrismYaml *map, const char *key, const char *synonym);

/* The options of a pattern stand beside its type or under "config". */
extern PrismYaml *prism_pattern_option(const PrismYaml *pattern, const char *key);
extern bool prism_pattern_enabled(const PrismYaml *pattern);

/* units.c: false: not a size (bytes), not an interval (milliseconds), not an integer */
extern bool prism_parse_size(const char *text, int64 *bytes);
extern bool prism_parse_interval(const char *text, int64 *ms);
extern bool prism_parse_integer(const char *text, int64 *number);
/* How long messages are kept: milliseconds, -1 for "forever". */
extern bool prism_parse_retention_time(const char *text, int64 *ms);
/* How many bytes are kept. */
extern bool prism_parse_retention_size(const char *text, int64 *bytes);

#endif							/* PRISM_SCHEMA_H */
