/*-------------------------------------------------------------------------
 *
 * test.h
 *	  Between test.c and random.c: a forwarder's process.
 *
 * test/module/forwarder/test.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef FORWARDER_TEST_H
#define FORWARDER_TEST_H

#include "shim.h"
#include "world.h"

/* The forwarder of the process that runs. */
extern PrismForwarder *forwarder;

/* Of the back end "memory": name and value, both for good; the next connections have them. */
extern void process_option(const char *name, int64 value);
extern void process_options_none(void);

/* A new process; the one before has ended, well or not. */
extern void process_start(void);
extern void process_end(void);
extern void process_crash(bool server_too);

/* What the process does between two sleeps; false: nothing more to do at once. */
extern bool process_step(void);
/* It sleeps, undisturbed. */
extern void process_sleep(void);
/* Some settings have changed: all comes to its end, and is loaded anew. */
extern void process_load_anew(void);

/* The catalogue has changed: a sink was paused or not, or is to be resumed. */
extern void process_look(WorldTopic *topic);
extern PrismRoute *process_route(const WorldTopic *topic);	/* NULL: nothing is loaded */

/* ---------- random.c ---------- */

/* Nothing is there, and nothing has happened. */
extern void model_begin(void);

/* The other side has it, or it is a dead letter. */
extern bool model_is_out(const WorldTopic *topic, int64 offset);

/* A step of the process, and what the model makes of it. */
extern bool model_step(void);

/* prism.skip() has committed. */
extern void model_skip(WorldTopic *topic, int64 position);

extern void test_random_faults(uint64 seed);

#endif							/* FORWARDER_TEST_H */
