/*-------------------------------------------------------------------------
 *
 * segment_size.h
 *	  How much disk a segment takes.
 *
 * src/store/log/segment_size.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SEGMENT_SIZE_H
#define PRISM_SEGMENT_SIZE_H

#include "store/log/topic.h"

/* Table, index and toast of a segment; 0 when it is gone. */
extern int64 prism_segment_bytes(PrismTopic *topic, int64 number);

/*
 * Likewise of a settled one, whose size this process remembers: for those who
 * ask for thousands of them, again and again.
 */
extern int64 prism_segment_settled_bytes(PrismTopic *topic, int64 number);

/* The same of a table that is no segment; what was opened to learn it is forgotten. */
extern int64 prism_table_bytes(Oid relid);

#endif							/* PRISM_SEGMENT_SIZE_H */
