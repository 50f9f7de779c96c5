/*-------------------------------------------------------------------------
 *
 * retention.h
 *	  Space comes back by dropping whole segments.
 *
 * src/store/log/retention.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_RETENTION_H
#define PRISM_RETENTION_H

#include "store/log/topic.h"

/*
 * Drop the topic's oldest segment when it is past the topic's retention, out by
 * every sink and, where the policy waits for them, finished by every consumer
 * group; and let a topic that fills slowly go on in its next segment.  Never waits for a lock: what is being read stays
 * until the next time.  In a transaction; true: something was dropped, and
 * there may be more.
 */
extern bool prism_retention_enforce(PrismTopic *topic);

/* How long its messages are kept; -1: for ever. */
extern int64 prism_retention_ms(const PrismTopic *topic);

/*
 * The progress log: when a segment of it is full, repeat the state of all
 * groups and sinks.  Returns the offset below which the log is not needed once
 * this transaction has committed; 0: nothing was to do.
 */
extern int64 prism_retention_checkpoint(PrismTopic *progress);

/* Drop the segments that end at or below 'needed_from', those that nobody reads. */
extern void prism_retention_drop_below(PrismTopic *topic, int64 needed_from);

/* Leave the current segment once it has more bytes: for topics without a retention of their own. */
extern void prism_retention_roll_large(PrismTopic *topic, int64 bytes);

#endif							/* PRISM_RETENTION_H */
