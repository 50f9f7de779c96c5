/*-------------------------------------------------------------------------
 *
 * apply_places.h
 *	  Are there places among prism.max_topics for what is applied?
 *
 * src/api/apply_places.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_APPLY_PLACES_H
#define PRISM_APPLY_PLACES_H

#include "base/prism.h"
#include "api/apply_parts.h"

/* Among prism.max_topics. */
typedef struct PrismPlaces
{
	int			left;			/* how many topics more can be used in this database; negative: so many of those that it has cannot */
	int			taken;			/* by what plan() does not make: of those that nobody uses now */
} PrismPlaces;

extern PrismPlaces prism_places_count(void);

/* The error of whoever uses a topic for which there is none. */
extern const PrismRefusal *prism_places_refusal(void);

/* How many topics more there will be by the namespace: the second comes with the first message that a consumer group gives up. */
extern int	prism_places_new(const PrismNamespaceWork *work);

/*
 * What plan() says of the namespace, whose new topics ('added') have been taken
 * off 'places->left' already: List of PrismStep.  'uses': making it needs the
 * place at once.
 */
extern List *prism_places_steps(const PrismNamespaceWork *work, bool uses, int added, PrismPlaces *places);

/* What apply() says in its end. */
extern void prism_places_warn(int missing);

#endif							/* PRISM_APPLY_PLACES_H */
