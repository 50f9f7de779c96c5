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
	bool		unchosen;		/* nobody can tell which further keys there are: those that are not known are passed over */
	bool		misspelt;		/* an unknown key is perhaps the one that must be given */
	bool		options;		/* only the chosen keys may stand here */
	void	   *values;			/* the map's struct */
} PrismLevel;

/*
 * The namespaces of a document, as a list of PrismNamespaceKeys.  Whatever is
 * not as its row says is complained of, and a namespace that has such a thing is
 * not in the list.
 */
extern List *prism_schema_read(const PrismYaml *root);

#endif							/* PRISM_SCHEMA_H */
