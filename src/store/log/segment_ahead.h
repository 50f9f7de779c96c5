/*-------------------------------------------------------------------------
 *
 * segment_ahead.h
 *	  Segments that publishers find ready, or ask the maintainer for and wait.
 *
 * src/store/log/segment_ahead.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SEGMENT_AHEAD_H
#define PRISM_SEGMENT_AHEAD_H

#include "store/log/topic.h"

/*
 * Wait until the segments that hold [first, end) exist, asking the maintainer
 * for them; 53000 with a hint after prism's patience.  Those of a topic that the
 * transaction has made are made here.  Before registration only.
 */
extern void prism_segment_await(PrismTopic *topic, int64 first, int64 end);

/*
 * Likewise without waiting, for the next 'messages' of a topic, and lock them
 * as who writes to them does.  False: the maintainer has been asked for what is
 * missing, or somebody else has one locked.
 */
extern bool prism_segment_ready(PrismTopic *topic, int64 messages);

/* A segment that a publisher needs or waits for is not there. */
extern bool prism_segments_lacking(PrismTopic *topic);

/*
 * Lock the segments that hold [first, end), those that exist, as who writes to
 * them does.  False: somebody else has one locked.
 */
extern bool prism_segments_are_free(PrismTopic *topic, int64 first, int64 end);

/* For the maintainer: the next ones to make, from the first that should be there and is not; false: none. */
extern bool prism_segments_to_make(PrismTopic *topic, int64 *first, int64 *last);

/* Called when a segment is wanted: wakes this database's maintainer. Set by main.c; must not throw. */
extern void (*prism_segment_wake) (void);

#endif							/* PRISM_SEGMENT_AHEAD_H */
