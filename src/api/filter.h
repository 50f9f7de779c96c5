/*-------------------------------------------------------------------------
 *
 * filter.h
 *	  Which messages a consumer wants: a jsonpath over their payloads.
 *
 * src/api/filter.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_FILTER_H
#define PRISM_FILTER_H

#include "base/prism.h"

#include "utils/jsonpath.h"

/* Lives in the memory context in which it was made, and keeps 'path'. */
typedef struct PrismFilter PrismFilter;

extern PrismFilter *prism_filter_new(JsonPath *path);

/*
 * A path that is a predicate ($.amount > 100) must be true of the payload, any
 * other one must select something of it.  What is not JSON matches nothing,
 * nor does a payload on which the path fails.
 */
extern bool prism_filter_matches(PrismFilter *filter, const PrismMessage *message);

#endif							/* PRISM_FILTER_H */
