/*-------------------------------------------------------------------------
 *
 * matrix.h
 *	  The RFC's composition matrix: which patterns serve which client API, and where.
 *
 * src/namespace/matrix.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_MATRIX_H
#define PRISM_MATRIX_H

#include "base/prism.h"

#include "nodes/pg_list.h"

/* A row of it; all lists are ended by NULL. */
typedef struct PrismComposition
{
	const char *api;
	const char *patterns[3];	/* in order */
	const char *backends[3];	/* the first one is the usual one */
	const char *yaml;			/* its patterns with the options without which it would be something else, or NULL */
	const char *use;			/* what it is for */
} PrismComposition;

extern const PrismComposition prism_compositions[];
extern const int prism_composition_count;

/*
 * The nearest row, as a line of YAML to paste: of the same client API if any row
 * has it, with the fewest patterns more or less; of those the first that can be had
 * now, or what it lacks is said behind the YAML.
 */
extern char *prism_nearest_composition(uint32 api, const List *patterns, const char *backend);

#endif							/* PRISM_MATRIX_H */
