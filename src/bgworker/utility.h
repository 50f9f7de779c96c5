/*-------------------------------------------------------------------------
 *
 * utility.h
 *	  Commands that concern prism's workers while they run.
 *
 * src/bgworker/utility.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_UTILITY_H
#define PRISM_UTILITY_H

/* Install the hooks; _PG_init of a preloaded library. */
extern void prism_utility_init(void);

#endif							/* PRISM_UTILITY_H */
