/*-------------------------------------------------------------------------
 *
 * topic_policy.h
 *	  What a topic's log promises, as its namespace says.
 *
 * src/store/log/topic_policy.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_TOPIC_POLICY_H
#define PRISM_TOPIC_POLICY_H

#include "postgres.h"

#include "utils/jsonb.h"

#define PRISM_RETENTION_DEFAULT (-2)	/* as prism.retention says */
#define PRISM_RETENTION_FOREVER (-1)

typedef struct PrismTopicPolicy
{
	int64		retention_ms;	/* how long messages are kept; or one of the above */
	int64		retention_bytes;	/* how many bytes are kept; 0: no limit */
	bool		for_consumers;	/* what a consumer group has not finished is kept longer */
	bool		no_replay;		/* what all groups and sinks have finished may go at once */
	int64		backlog_max;	/* messages that a group may be behind; 0: any number */
	bool		reject;			/* beyond that, publishers are refused; otherwise warned, and the group is not waited for */
	bool		unordered;		/* groups that say nothing else need no order */
} PrismTopicPolicy;

/* From prism.topic.policy.  False: it holds what prism has not written, and is not to be believed. */
extern bool prism_topic_policy_read(PrismTopicPolicy *policy, Jsonb *stored);

/* The column's text, palloc'd. */
extern char *prism_topic_policy_text(const PrismTopicPolicy *policy);
/* That of the topic's dead letters: kept as long, without any other promise. */
extern char *prism_topic_policy_of_dead_letters(const PrismTopicPolicy *policy);

#endif							/* PRISM_TOPIC_POLICY_H */
