/*-------------------------------------------------------------------------
 *
 * shim.h
 *	  What a forwarder needs of a server, without one: memory, errors, time.
 *
 * test/module/forwarder/shim.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef FORWARDER_SHIM_H
#define FORWARDER_SHIM_H

#include "base/prism.h"
#include "base/clock.h"
#include "base/compat.h"

#include "nodes/pg_list.h"

/* The clock that the forwarder is given; it moves when the test moves it. */
extern PrismInstant shim_now;
extern const PrismClock shim_clock;

/* Dice: the same seed, the same run. */
extern void shim_seed(uint64 seed);
extern int	shim_random(int below);
extern bool shim_chance(int percent);

/* Calls fn; false: it threw, and whatever transaction was open is rolled back. */
extern bool shim_run(void (*fn) (void *arg), void *arg);
pg_noreturn extern void shim_throw(int sqlerrcode, const char *message);

/* With room for so many items. */
extern List *shim_list(int count);

/* The step is over: what was allocated in it is gone. */
extern void shim_end_step(void);

/* So many bytes of memory contexts are in use. */
extern Size shim_bytes_used(void);

/* Something is allocated that is of no use; it is still there. */
extern void shim_waste(void);
extern bool shim_is_wasted(void);

/* What happened, and what of that began with these words, or with "all". */
extern void note(const char *format,...) pg_attribute_printf(1, 2);
extern void show_notes(const char *about);

/* The first thing that went wrong is kept, and ends the test. */
extern void violation(const char *format,...) pg_attribute_printf(1, 2);
extern const char *violated(void);	/* NULL: nothing has */

#endif							/* FORWARDER_SHIM_H */
