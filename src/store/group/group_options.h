/*-------------------------------------------------------------------------
 *
 * group_options.h
 *	  How a consumer group wants its messages: order, attempts, leases.
 *
 * They are kept in prism.consumer_group.config, where only what differs from
 * the defaults is written, and copied into the group's slot in shared memory.
 * The keys there: ordering, max_attempts, lease_us, max_in_flight, backoff_us.
 *
 * src/store/group/group_options.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_GROUP_OPTIONS_H
#define PRISM_GROUP_OPTIONS_H

#include "postgres.h"

#include "store/log/topic_policy.h"

#include "datatype/timestamp.h"

/* What a message waits for. */
typedef enum PrismOrdering
{
	PRISM_ORDERING_KEY,			/* for earlier unfinished messages of its key */
	PRISM_ORDERING_NONE,		/* for nothing */
	PRISM_ORDERING_STRICT		/* for all earlier unfinished messages */
} PrismOrdering;

/* As the configuration takes them, the functions that make groups, and the reader of a row of one. */
#define PRISM_ATTEMPTS_MAX 10000
#define PRISM_LEASE_US_MAX (12 * USECS_PER_HOUR)
#define PRISM_IN_FLIGHT_MAX 1048576
/* A delayed message keeps its place in the window, and its key waits for it. */
#define PRISM_DELAY_US_MAX (7 * USECS_PER_DAY)
#define PRISM_BACKOFF_STEPS_MAX 16

typedef struct PrismGroupOptions
{
	PrismOrdering ordering;
	int			max_attempts;	/* deliveries before a message becomes a dead letter; 0: no limit */
	int64		lease_us;
	int			max_in_flight;	/* 0: what the window holds */
	int			backoff_count;
	int64		backoff_us[PRISM_BACKOFF_STEPS_MAX];	/* after the first attempt, the second ...; the last one repeats */
} PrismGroupOptions;

extern const PrismGroupOptions prism_group_options_default;
/* Those of a topic's groups that say nothing else. */
extern PrismGroupOptions prism_group_options_of(const PrismTopicPolicy *policy);

/* "key", "none", "strict". False: no such ordering. */
extern const char *prism_ordering_name(PrismOrdering ordering);
extern bool prism_ordering_parse(const char *name, PrismOrdering *ordering);

/* How long a message rests after an attempt. */
extern int64 prism_group_backoff(const PrismGroupOptions *options, int attempt);

/* The text of a JSON object; and from one that prism has written, or checked. */
struct JsonbContainer;
extern char *prism_group_options_write(const PrismGroupOptions *options);
extern PrismGroupOptions prism_group_options_read(struct JsonbContainer *object);

extern bool prism_group_options_equal(const PrismGroupOptions *a, const PrismGroupOptions *b);

#endif							/* PRISM_GROUP_OPTIONS_H */
