/*-------------------------------------------------------------------------
 *
 * yaml.h
 *	  YAML as a small tree in which every value knows its place.
 *
 * The subset that configuration needs: one document, maps, lists and scalars.
 * Anchors, aliases and tags are refused: they are how YAML grows behind the
 * reader's back.  Every complaint is 22023 with its place.
 *
 * src/namespace/yaml.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_YAML_H
#define PRISM_YAML_H

#include "base/prism.h"
#include "base/config_key.h"

#include "nodes/pg_list.h"

#define PRISM_YAML_BYTES_MAX (1024 * 1024)
#define PRISM_YAML_DEPTH_MAX 32
#define PRISM_YAML_VALUES_MAX 100000	/* all scalars, lists and maps of the document */
#define PRISM_YAML_KEYS_MAX 64	/* of one map */
#define PRISM_YAML_TAGS_MAX 16	/* %TAG directives, which say nothing here */

typedef enum PrismYamlKind
{
	PRISM_YAML_SCALAR,
	PRISM_YAML_LIST,
	PRISM_YAML_MAP
} PrismYamlKind;

typedef struct PrismYaml
{
	PrismYamlKind kind;
	int			line;			/* from 1 */
	int			column;			/* from 1, in characters */
	char	   *text;			/* of a scalar */
	bool		quoted;			/* "true" is text, true is a boolean */
	bool		faulty;			/* a key in it is given twice, which is complained of */
	List	   *items;			/* PrismYaml of a list, PrismYamlEntry of a map */
} PrismYaml;

typedef struct PrismYamlEntry
{
	PrismYaml  *key;			/* always a scalar */
	PrismYaml  *value;
} PrismYamlEntry;

/* Where an error is, within its ereport(): the place is context, the message stays one sentence. */
#define prism_errplace(place) errcontext("line %d, column %d of the configuration", (place)->line, (place)->column)

/* A second place, for a detail: errdetail("... " PRISM_AT ".", ..., prism_at(place)) */
#define PRISM_AT "at line %d, column %d"
#define prism_at(place) (place)->line, (place)->column

/* Read a document (in the database's encoding) into the current memory context; NULL: it is complained of. */
extern PrismYaml *prism_yaml_read(const char *text, Size bytes);

/* The value of a key of a map, or NULL. */
extern PrismYaml *prism_yaml_get(const PrismYaml *map, const char *key);

/* Nothing is written there: "key:", "key: ~" or "key: null". */
extern bool prism_yaml_is_null(const PrismYaml *node);

/* A user's text for an error message: cut to 64 characters, control characters escaped. */
extern char *prism_yaml_show(const char *text);

#endif							/* PRISM_YAML_H */
