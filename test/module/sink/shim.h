/*-------------------------------------------------------------------------
 *
 * shim.h
 *	  What the slots of sinks see of a server: processes, and a catalogue.
 *
 * test/module/sink/shim.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SINK_SHIM_H
#define SINK_SHIM_H

#include "base/prism.h"

/* Rows of prism.sink, as a query finds them. */
extern int32 shim_sinks[16];
extern int	shim_sink_count;

/* What others do while the query runs, or NULL. */
extern void (*shim_while_querying) (void);

/* What the depth of savepoints is. */
extern int	shim_nest_level;

#endif							/* SINK_SHIM_H */
