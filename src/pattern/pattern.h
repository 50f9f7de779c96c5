/*-------------------------------------------------------------------------
 *
 * pattern.h
 *	  How: a chain of small objects between the client's call and the log.
 *
 * A pattern is one constant table of callbacks; a NULL callback means "pass on
 * to the next link".  process_publish runs down the chain in the namespace's
 * order, in the caller's transaction, without network.  The last link of every
 * chain is the outbox: it appends the message to the topic's log.
 *
 * A new pattern is one file, one line in pattern.c, one test.
 *
 * src/pattern/pattern.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PATTERN_H
#define PRISM_PATTERN_H

#include "base/prism.h"

#include "store/log/topic.h"

/* Client APIs (the RFC's layer 3). */
#define PRISM_API_QUEUE		(1 << 0)
#define PRISM_API_PUBSUB	(1 << 1)
#define PRISM_API_READER	(1 << 2)
#define PRISM_API_TRANSACT	(1 << 3)
#define PRISM_API_CACHE		(1 << 4)

typedef struct PrismLink PrismLink;

typedef struct PrismPattern
{
	/* metadata (the RFC's PatternMetadata) */
	const char *name;			/* as written in YAML */
	const char *version;
	bool		built;			/* false: known from the RFC, refused by apply */
	uint32		apis;			/* PRISM_API_* it may serve */
	uint32		roles;			/* PRISM_ROLE_* it needs from back ends, beyond the queue */
	const char *const *after;	/* patterns that may stand before it, ended by NULL; NULL: none, it comes first */

	/* in the caller's transaction: no network; what is put into message must live as long as it */
	void		(*process_publish) (PrismLink *link, PrismMessage *message);
} PrismPattern;

struct PrismLink
{
	const PrismPattern *pattern;
	PrismTopic *topic;
	PrismLink  *next;			/* NULL: the last one */
};

/* pattern.c */
extern const PrismPattern *prism_pattern_find(const char *name);	/* NULL: unknown */
extern const PrismPattern *const *prism_patterns(void); /* ended by NULL */

/* chain.c */
extern void prism_chain_publish(PrismTopic *topic, PrismMessage *message);
extern void prism_link_publish(PrismLink *link, PrismMessage *message);

extern const PrismPattern prism_pattern_outbox;
extern const PrismPattern prism_pattern_wal;

#endif							/* PRISM_PATTERN_H */
