/*-------------------------------------------------------------------------
 *
 * chain.h
 *	  The chains of topics: made from prism.topic.chain, kept, and run.
 *
 * src/pattern/chain.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_CHAIN_H
#define PRISM_CHAIN_H

#include "pattern/pattern.h"

typedef struct PrismChain PrismChain;

/*
 * Down.  A transaction keeps the chain with which it first published to the
 * topic.  XX001 for one that cannot be read.
 */
extern void prism_chain_publish(PrismTopic *topic, PrismMessage *message);

/* The topic's link of the pattern, as a message that is published now goes through it; NULL: the chain has none. */
extern const PrismLink *prism_chain_find(PrismTopic *topic, const PrismPattern *pattern);

/* What has to be done for a message that is kept until its time has come. */
extern void prism_chain_delay(PrismTopic *topic, PrismMessage *message);

/*
 * Up, to a session.  NULL: no pattern looks at messages that are read.  Good to
 * the end of the transaction.
 */
extern PrismChain *prism_chain_to_consume(PrismTopic *topic);

/* Of the patterns there are, one looks at messages that are no claims; known when one has asked for a chain. */
extern bool prism_chain_looks_at_all;

/* Somebody looks at the message on its way up.  Most have none, and each instruction counts. */
static inline bool
prism_chain_looks_at(const PrismChain *chain, const PrismMessage *message)
{
	return chain != NULL && (message->claim || prism_chain_looks_at_all);
}

/* What is not PRISM_CONSUMED: *why is a clause. */
extern PrismConsumed prism_chain_consume(PrismChain *chain, PrismMessage *message, const char **why);

/* As the message is shown in a view. */
extern void prism_chain_show(PrismChain *chain, PrismMessage *message);

/*
 * Up, to another server: the chain that the topic has now, 'former' if that is
 * it, else made anew in place of that.  NULL: no pattern looks at messages that
 * are sent.  In a transaction; what follows needs none.
 */
extern PrismChain *prism_chain_to_forward(PrismChain *former, PrismTopic *topic, MemoryContext mcxt);

/* Likewise of messages on their way to another server. */
extern bool prism_chain_sends_all;

static inline bool
prism_chain_sends(const PrismChain *chain, const PrismMessage *message)
{
	return chain != NULL && (message->claim || prism_chain_sends_all);
}

/* PRISM_OK; PRISM_AGAIN and PRISM_REJECT leave the message as it was, and *why is a clause. */
extern PrismOutcome prism_chain_forward(PrismChain *chain, PrismMessage *message, const char **why);

/*
 * The links that have something to clean up, down, the first is 0; NULL: there
 * are no more, or the chain cannot be read.  Good to the end of the transaction.
 */
extern PrismLink *prism_chain_to_sweep(PrismTopic *topic, int place);

/* 22023 for what could not be read back: before it is stored. */
extern void prism_chain_check(const char *stored);

/* Why no chain can be made of that, a clause; NULL: one can. */
extern char *prism_chain_damage(const Jsonb *stored);

/*
 * letters_chain.c: what the topic of a topic's dead letters has of its chain, as
 * text.  Its payloads lie in a store of its own: that one, or, of a topic that is
 * being made or changed, one at the same place as the origin's, made for it.
 */
extern char *prism_chain_of_dead_letters(const Jsonb *stored, int32 store_id);
extern char *prism_chain_for_dead_letters(const Jsonb *stored, int32 letters_id);

/* The ends of transactions: see PrismModule. */
extern void prism_chain_prepared(void);
extern void prism_chain_end(bool committed);
extern void prism_chain_subcommit(int nest_level);
extern void prism_chain_subabort(int nest_level);

#endif							/* PRISM_CHAIN_H */
