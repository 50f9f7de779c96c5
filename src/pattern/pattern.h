/*-------------------------------------------------------------------------
 *
 * pattern.h
 *	  How: a chain of small objects between the client's call and the log.
 *
 * A pattern is one constant table of callbacks.  A topic's chain has a link for
 * each pattern that prism.topic.chain names, by 'depth': publish() is nearest to
 * the surface, the log is the ground.  A message goes down when it is published,
 * and up when it is handed to a session or sent to another server.  A NULL
 * callback: the message passes the link by.
 *
 * A stored message says by itself how it is read.  So a link that
 * process_consume and process_forward are called with may be one of today's
 * chain or, with its options as by default, of a pattern that the chain does not
 * name any more: they look at the message, and pass on what is none of theirs.
 *
 * A new pattern is one file, one row in pattern.c, one test (README.md).
 *
 * src/pattern/pattern.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PATTERN_H
#define PRISM_PATTERN_H

#include "base/prism.h"

#include "pattern/link_options.h"
#include "store/log/topic.h"

/* Client APIs (the RFC's layer 3). */
#define PRISM_API_QUEUE		(1 << 0)
#define PRISM_API_PUBSUB	(1 << 1)
#define PRISM_API_READER	(1 << 2)
#define PRISM_API_TRANSACT	(1 << 3)
#define PRISM_API_CACHE		(1 << 4)

/* Where a pattern stands in every chain that has it, however it was written. */
#define PRISM_DEPTH_WAL				10
#define PRISM_DEPTH_OUTBOX			20
#define PRISM_DEPTH_CLAIM_CHECK		30
#define PRISM_DEPTH_TIERED_STORAGE	40
#define PRISM_DEPTH_CDC				50
#define PRISM_DEPTH_CACHE			60
#define PRISM_DEPTH_EVENT_STORE		70
#define PRISM_DEPTH_PROJECTION		80

typedef struct PrismLink PrismLink;

/* What a link made of a message on its way up. */
typedef enum PrismConsumed
{
	PRISM_CONSUMED,				/* it can be handed over */
	PRISM_GONE,					/* nobody can get it any more, as it is damaged: link->why */
	PRISM_MISSING				/* likewise, as part of it is not there */
} PrismConsumed;

typedef struct PrismPattern
{
	/* metadata (the RFC's PatternMetadata) */
	const char *name;			/* as written in YAML */
	const char *synonym;		/* another word for it there, or NULL */
	const char *version;
	bool		built;			/* false: known from the RFC, refused by apply */
	uint32		apis;			/* PRISM_API_* it may serve */
	uint32		queue_roles;	/* PRISM_ROLE_* it needs of the namespace's back end, beyond what the client API does */
	uint32		store_roles;	/* PRISM_ROLE_* it needs of a back end of its own ("storage", or its "backend"); 0: it has none */
	const char *const *after;	/* patterns that may stand right before it, ended by NULL; NULL: none, it comes first */

	int			depth;			/* PRISM_DEPTH_*; of one depth is one pattern */
	bool		for_dead_letters;	/* the topic of a topic's dead letters has this link as well */
	bool		only_claims;	/* process_consume, process_show and process_forward pass on what has no claim: they are not called for it where no other pattern is */
	Size		options_size;	/* of link->options, zeroed; 0: it has none */

	/* Read the options; cannot throw, what is wrong is left with them (link_options.h).  In the chain's memory. */
	void		(*configure) (PrismLink *link, PrismLinkOptions *stored);

	/*
	 * In the caller's transaction, no network.  Goes on by
	 * prism_link_publish(link->next, message), once, before or after its own
	 * work.  What is put into the message must live as long as it.
	 */
	void		(*process_publish) (PrismLink *link, PrismMessage *message);

	/*
	 * Likewise, for a message that is kept until its time has come, before it is:
	 * it comes to process_publish when it is delivered.  Called for one link
	 * after the other, down.
	 */
	void		(*process_delay) (PrismLink *link, PrismMessage *message);

	/*
	 * In the transaction of a session that is handed the message; may wait.
	 * Called for one link after the other, up, until one says that it is gone.
	 * Payload, key and headers need nothing but memory, but may be compressed;
	 * what is put there instead is palloc'd.
	 */
	PrismConsumed (*process_consume) (PrismLink *link, PrismMessage *message);

	/*
	 * Likewise, of a message that is shown in a view: what is kept elsewhere is
	 * not fetched for that, and what is wrong with it is no fault of the view.
	 */
	void		(*process_show) (PrismLink *link, PrismMessage *message);

	/*
	 * In a worker, no transaction, no waiting, no error thrown.  Called for one link after the
	 * other, up: PRISM_OK; PRISM_AGAIN, not yet; PRISM_REJECT, never, for link->why.
	 * Key and headers are UTF-8 here; what is put there instead is palloc'd.
	 */
	PrismOutcome (*process_forward) (PrismLink *link, PrismMessage *message);

	/*
	 * Clean up what the pattern has left in the topic, between messages.  In the
	 * maintainer of the database, about once a minute, sooner where segments were
	 * filled; one link after the other, down, each call in a transaction of its
	 * own, as prism's owner, the topic locked against being dropped.  No network, and a
	 * fraction of a second: publishers may wait for a segment meanwhile.  True:
	 * there is more to do now, and it is called again, the others after a second
	 * of that.  An error is told, and keeps nobody else from being called.  Only
	 * for links of today's chain: what is left when the pattern is taken out has
	 * to be found otherwise.
	 */
	bool		(*sweep) (PrismLink *link);
} PrismPattern;

struct PrismLink
{
	const PrismPattern *pattern;
	PrismTopic *topic;
	PrismLink  *next;			/* the next one down that has process_publish: the log is the last one */
	void	   *options;		/* options_size bytes; NULL: it has none */
	const char *why;			/* why the message that it was called with last is gone, refused, or has to wait; for people */
};

/* pattern.c */
extern const PrismPattern *prism_pattern_find(const char *name);	/* NULL: unknown */
extern const PrismPattern *const *prism_patterns(void); /* ended by NULL */

static inline void
prism_link_publish(PrismLink *link, PrismMessage *message)
{
	link->pattern->process_publish(link, message);
}

extern const PrismPattern prism_pattern_outbox;
extern const PrismPattern prism_pattern_wal;
extern const PrismPattern prism_pattern_claim_check;

#endif							/* PRISM_PATTERN_H */
