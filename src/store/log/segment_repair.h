/*-------------------------------------------------------------------------
 *
 * segment_repair.h
 *	  Segments that the catalogue knows and the database does not have.
 *
 * src/store/log/segment_repair.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SEGMENT_REPAIR_H
#define PRISM_SEGMENT_REPAIR_H

#include "base/prism.h"

#include "nodes/pg_list.h"

/* Numbers (List of int64 pointers) of the topic's segments that have no table. */
extern List *prism_segments_missing(int32 topic_id);

/* A restore is at work: what there is of the topic's segments cannot be read yet. */
extern bool prism_segments_restoring(int32 topic_id);

/* Put empty segments in their place. */
extern void prism_segments_repair(int32 topic_id);

#endif							/* PRISM_SEGMENT_REPAIR_H */
