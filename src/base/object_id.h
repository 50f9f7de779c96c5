/*-------------------------------------------------------------------------
 *
 * object_id.h
 *	  Numbers of what prism makes: namespaces, topics, sinks, delay buckets.
 *
 * src/base/object_id.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_OBJECT_ID_H
#define PRISM_OBJECT_ID_H

#include "postgres.h"

/* The next number, from prism.object_id; never one by which relations in prism_log are named. */
extern int32 prism_next_object_id(void);

#endif							/* PRISM_OBJECT_ID_H */
