/*-------------------------------------------------------------------------
 *
 * difference.h
 *	  What a configuration changes of the one before, key by key.
 *
 * src/namespace/difference.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_DIFFERENCE_H
#define PRISM_DIFFERENCE_H

#include "base/prism.h"
#include "namespace/spec.h"

/* When a change holds; in ascending order, the last one that is asked for counts. */
typedef enum PrismChangeMode
{
	PRISM_CHANGE_ONLINE,		/* at the commit, for all */
	PRISM_CHANGE_NEXT,			/* for what is published after the commit */
	PRISM_CHANGE_DRAIN,			/* a worker makes it, when what is under way is settled */
	PRISM_CHANGE_REFUSED		/* apply() does not make it */
} PrismChangeMode;

typedef struct PrismDifference
{
	const char *path;			/* as in prism.config_keys, with the name of a pattern or a group in it */
	char	   *before;			/* as in YAML; NULL: it was not there */
	char	   *after;			/* likewise */
	PrismChangeMode mode;
	const char *reason;			/* why not online, or NULL */
	const PrismPlace *place;	/* where the configuration says so */
} PrismDifference;

extern const char *prism_change_mode_name(PrismChangeMode mode);

/* Between normalised configurations, as prism_namespace_config() writes them: List of PrismDifference, by path. NIL: they are equal. */
extern List *prism_namespace_differences(const char *stored, const char *config, const PrismNamespace *wanted);

#endif							/* PRISM_DIFFERENCE_H */
