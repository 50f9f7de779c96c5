/*-------------------------------------------------------------------------
 *
 * generation.h
 *	  Whether prism's catalogue is what it was.
 *
 * Every change of it ends with prism_catalog_changed(), which sends a relcache
 * invalidation for prism.topic at commit; whoever keeps something made from the
 * catalogue keeps the generation beside it, and looks again when that has grown.
 *
 * src/base/generation.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_GENERATION_H
#define PRISM_GENERATION_H

#include "postgres.h"

/* Grows with each invalidation this backend heard of.  In a transaction; 55000 where prism is not installed. */
extern uint64 prism_catalog_generation(void);

/* None was heard of since that generation; 0 is before all.  Looks nothing up, and cannot throw. */
extern bool prism_catalog_is_of(uint64 generation);

/* Tell all sessions (at commit) that prism's catalogue changed. Call after each write of it. */
extern void prism_catalog_changed(void);

/* The oid of prism.topic; 55000 where prism is not installed. */
extern Oid	prism_topic_catalog(void);

#endif							/* PRISM_GENERATION_H */
