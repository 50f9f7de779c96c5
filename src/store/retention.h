/*-------------------------------------------------------------------------
 *
 * retention.h
 *	  Space comes back by dropping whole segments.
 *
 * src/store/retention.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_RETENTION_H
#define PRISM_RETENTION_H

#include "store/topic.h"

/*
 * Drop the topic's oldest segment when its last message is older than
 * prism.retention and out by every sink, and let a topic that fills slowly go
 * on in its next segment.  Never waits for a lock: what is being read stays
 * until the next time.  In a transaction; true: something was dropped, and
 * there may be more.
 */
extern bool prism_retention_enforce(PrismTopic *topic);

#endif							/* PRISM_RETENTION_H */
