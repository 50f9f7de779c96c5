/*-------------------------------------------------------------------------
 *
 * dead_letter.h
 *	  Messages that cannot be processed: the topic <origin>.dlq, and its headers.
 *
 * A dead letter is a copy of the message, with headers that tell where it comes
 * from.  Its topic is one like any other, made when it is first needed; it
 * belongs to the origin's namespace, and to the origin by number, not by name.
 *
 * src/store/log/dead_letter.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_DEAD_LETTER_H
#define PRISM_DEAD_LETTER_H

#include "store/log/topic.h"

#include "utils/jsonb.h"

#define PRISM_DEAD_LETTER_SUFFIX ".dlq"

/* Why, and who says so. */
typedef struct PrismDeadLetter
{
	const char *sink;			/* the back end that refused it; NULL: a group's */
	const char *group;			/* the consumer group that gave it up; NULL: a sink's */
	const char *reason;			/* cut when it is very long */
	int			attempts;
	TimestampTz first_failure;	/* 0: not told */
	TimestampTz last_failure;	/* likewise */
} PrismDeadLetter;

/*
 * Publish a dead letter in this transaction, with the rights of the extension's
 * owner.  What is a dead letter already stays where it is: nothing is done.
 */
extern void prism_dead_letter_append(PrismTopic *origin, const PrismMessage *message,
									 const PrismDeadLetter *about);

/* The topic holds dead letters, and its messages become no other ones. */
extern bool prism_dead_letter_stays(const PrismTopic *origin);

/* Is there one among prism.max_topics for the topic of its dead letters, which the first one makes?  Without, that raises 53400. */
extern bool prism_dead_letter_has_place(const PrismTopic *origin);

/* The topic of an origin's dead letters, as its row says; NULL: there is none. */
extern PrismTopic *prism_dead_letter_topic(const PrismTopic *origin);

/* What the topic of dead letters, which is being made, has of its origin's chain of patterns, as text (pattern/chain.c). Set by main.c. */
extern char *(*prism_dead_letter_chain) (const Jsonb *origin, int32 letters_id);

/* Make the claim to its payload, which it still has of the message, one of the letter's own: returns how many bytes lie beside the log for it.  Set by main.c. */
extern int64 (*prism_dead_letter_claim) (PrismTopic *origin, PrismTopic *letters, PrismMessage *letter);

/* How the topic of an origin's dead letters is called, and whether a name is one that only such topics have. */
extern char *prism_dead_letter_topic_name(const char *origin);
extern bool prism_dead_letter_reserves(const char *topic_name);

/* The headers of a message without those that make it a dead letter; NULL: none are left. */
extern Jsonb *prism_dead_letter_strip(Jsonb *headers);

#endif							/* PRISM_DEAD_LETTER_H */
