/*-------------------------------------------------------------------------
 *
 * delay.h
 *	  Delayed messages: published now, in the topic's log when they are due.
 *
 * A message with a deliver_at goes through two stores before it is in its
 * topic's log:
 *
 * 1. The journal, an internal topic (PRISM_DELAY_TOPIC).  The publisher's
 *	  commit appends to it as to any topic, so the message is atomic with the
 *	  transaction, and whoever commits late still comes behind all positions
 *	  that have been read: it cannot be overlooked.
 * 2. Buckets (delay_bucket.h), one table for a span of due times.  The
 *	  scheduler sorts the journal into them.
 *
 * When a message is due the scheduler publishes it to its topic.  How far it is
 * in the journal and in each bucket is a record in the journal (delay_state.h),
 * written in the transaction that moves the messages: each is moved once,
 * whatever happens.  Nothing is updated or deleted for a message: segments of
 * the journal and buckets go as whole tables.
 *
 * src/store/delay/delay.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_DELAY_H
#define PRISM_DELAY_H

#include "store/log/topic.h"

/* The journal of a database. */
#define PRISM_DELAY_TOPIC "__prism_delayed"

/* What a record of the journal is: the first character of its key. */
typedef enum PrismDelayKind
{
	PRISM_DELAY_STATE = 's',	/* how far the scheduler is (delay_state.h) */
	PRISM_DELAY_PUBLISH = 'p',	/* a message for a topic */
	PRISM_DELAY_DAMAGED = '\0'	/* nobody knows */
} PrismDelayKind;

/* What the journal knows of a delayed message beside the message itself. */
typedef struct PrismDelayEntry
{
	int32		topic_id;
	TimestampTz due_at;
} PrismDelayEntry;

/* Make the journal of this database if it is not there. Called by apply(). */
extern void prism_delay_ensure(void);

/*
 * Keep the message until the transaction commits, then until due_at.  id and
 * what else the message has are the caller's; created_at becomes the time of
 * delivery.
 */
extern void prism_delay_append(PrismTopic *topic, TimestampTz due_at, const PrismMessage *message);

/* Messages for the topic wait, those not yet sorted included.  The caller keeps the scheduler off the topic by its lock. */
extern bool prism_delay_waiting(int32 topic_id);

/* Messages wait in this database, or buckets to be retired: the scheduler is wanted. Never waits for a lock. */
extern bool prism_delay_has_work(void);

/* Transaction callback: see PrismModule; after the log's, before the counter's. Cannot throw. */
extern void prism_delay_end(bool committed);

/* Called when the scheduler must look: wakes it, or has it started. Set by main.c; must not throw. */
extern void (*prism_delay_wake) (void);

/* ---------- records of the journal: delay_record.c ---------- */

/* The key that a message's record gets. */
extern text *prism_delay_seal(const PrismDelayEntry *entry, const PrismMessage *message);

/* What a record of the journal is; of a message also where it goes and when.  Never throws for what it says. */
extern PrismDelayKind prism_delay_peek(const PrismMessage *record, PrismDelayEntry *entry);

/* The message of a record as it was published: its own key, in the current memory context, in place of the record's. */
extern void prism_delay_unseal(PrismMessage *record);

/* ---------- for the scheduler: what it shares with publishers and views, delay_shared.c ---------- */

/* What publishers have told since the last look. */
typedef struct PrismDelayNews
{
	TimestampTz first_due;		/* the earliest of theirs; DT_NOEND: nothing */
	int64		next;			/* all of them are below this position */
} PrismDelayNews;

/* From now on every commit of a delayed message wakes the scheduler, whose topic lock is held. */
extern void prism_delay_take_news(PrismTopic *journal, PrismDelayNews *news);

/* The scheduler looks again at 'at' by itself: commits of messages that are due later need not wake it. */
extern void prism_delay_look_at(PrismTopic *journal, TimestampTz at);

/* Segments below are in no state that counts. Once the state that says so is committed. */
extern void prism_delay_share_needed(PrismTopic *journal, int64 needed_from);
extern int64 prism_delay_needed_from(PrismTopic *journal);

/* For views: how many messages of a topic wait, and when the first of them is due (DT_NOEND: none). */
extern void prism_delay_share_waiting(PrismTopic *topic, int64 waiting, TimestampTz next_due);
/* False: not known, as no scheduler has looked since the server started. */
extern bool prism_delay_shared_waiting(PrismTopic *topic, int64 *waiting, TimestampTz *next_due);

/* What is shared of all topics is as in the journal. */
extern void prism_delay_share_known(PrismTopic *journal);

#endif							/* PRISM_DELAY_H */
