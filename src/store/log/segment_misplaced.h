/*-------------------------------------------------------------------------
 *
 * segment_misplaced.h
 *	  Rows that lie in another segment than that of their offset.
 *
 * src/store/log/segment_misplaced.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SEGMENT_MISPLACED_H
#define PRISM_SEGMENT_MISPLACED_H

#include "store/log/topic.h"

/* Messages of one row. */
typedef struct PrismMisplaced
{
	int64		first;
	int32		messages;
} PrismMisplaced;

/*
 * A segment of the topic has such rows.  Looks at the ends of each index; passes
 * over what it would have to wait for, and then sets *complete to false.
 */
extern bool prism_segments_misplaced(PrismTopic *topic, bool *complete);

/*
 * Move such rows to their segments, in the caller's transaction: list of
 * PrismMisplaced, by offset.  Waits for those who use the topic and keeps
 * others out until the end of the transaction.
 */
extern List *prism_segments_put_right(const char *topic_name);

#endif							/* PRISM_SEGMENT_MISPLACED_H */
