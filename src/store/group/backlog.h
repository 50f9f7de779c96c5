/*-------------------------------------------------------------------------
 *
 * backlog.h
 *	  Publishers that must not run away from consumer groups.
 *
 * src/store/group/backlog.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_BACKLOG_H
#define PRISM_BACKLOG_H

#include "store/log/topic.h"

/*
 * Before a transaction publishes 'count' messages: 53400, or a WARNING once a
 * minute, when a consumer group would be farther behind than the topic's policy
 * allows.  At pre-commit, before offsets are registered: it may read the
 * progress log.
 */
extern void prism_backlog_check(PrismTopic *topic, int64 count);

/* The same as a question, for those who can wait: false where the check would throw. */
extern bool prism_backlog_has_room(PrismTopic *topic, int64 count);

#endif							/* PRISM_BACKLOG_H */
