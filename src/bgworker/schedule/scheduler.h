/*-------------------------------------------------------------------------
 *
 * scheduler.h
 *	  Delayed messages on their way: between scheduler.c and schedule_*.c.
 *
 * src/bgworker/schedule/scheduler.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SCHEDULER_H
#define PRISM_SCHEDULER_H

#include "store/delay/delay.h"
#include "store/delay/delay_bucket.h"
#include "store/delay/delay_state.h"

/* A topic that is met in a turn. */
typedef enum PrismTargetState
{
	PRISM_TARGET_HERE,
	PRISM_TARGET_BUSY,			/* not now: it is full, has no segment, or somebody is dropping it and may think better of it */
	PRISM_TARGET_GONE
} PrismTargetState;

typedef struct PrismTarget
{
	int32		topic_id;
	PrismTargetState state;
	PrismTopic *topic;			/* NULL: it cannot be used */
	bool		passed_over;	/* others have this turn, as more are due than can be published to */
	int64		published;		/* by this turn */
	int64		bytes;			/* of them */

	/* for views, at the end of the turn */
	int64		waiting;
	TimestampTz next_due;
} PrismTarget;

/* A message of the journal that is due already when it is read. */
typedef struct PrismReadyMessage
{
	int32		topic_id;
	PrismDelayPlace place;
	PrismMessage message;
} PrismReadyMessage;

typedef enum PrismTurnKind
{
	PRISM_TURN_ALL,				/* sort, and deliver what is due */
	PRISM_TURN_SORT,			/* deliver nothing: what is due goes into buckets as well */
	PRISM_TURN_SORT_FIRST,		/* the same: what is not yet sorted may be due before what is */
	PRISM_TURN_ALONE			/* deliver to one topic: a failure is its own */
} PrismTurnKind;

/* What one turn reads of the journal: a bound for its time, its memory and its transaction. */
#define PRISM_SORT_MESSAGES_MAX 2000

/* One transaction of the scheduler. */
typedef struct PrismTurn
{
	PrismTurnKind kind;
	int32		alone_id;		/* the topic; 0: there is none */
	char	   *alone_name;

	PrismDelayState *state;
	List	  **buckets;		/* of PrismDelayBucket, in the state's memory context */
	PrismTopic *journal;
	TimestampTz now;			/* taken before the journal's end: whoever committed before it is read */
	PrismInstant instant;		/* the same by the other clock */
	MemoryContext mcxt;			/* of this turn */
	MemoryContext message_cxt;	/* of one message */

	List	   *targets;		/* of PrismTarget */
	int32		served;			/* when not all can be published to in one turn: the last topic, by number, of the turn before, and then of this one */
	bool		publishing;		/* a failure may be that of one of the topics */
	List	   *writers;		/* open buckets */
	int32		filling;		/* a bucket into which a message is put: a failure may be its own; 0: none */
	PrismReadyMessage *ready;
	int			ready_count;
	int			sorted;			/* messages of the journal */
	int			sort_max;		/* how many may be, at this moment, and how many bytes */
	int64		sort_bytes_max;
	bool		bucket_made;
	bool		bucket_retired;
	int			moved;			/* messages published */
	int64		bytes;			/* read, and published */

	bool		more;			/* a bound ended the turn, not the lack of work */
	bool		changed;		/* the state has to be recorded */
} PrismTurn;

/* Read the journal on: what is due is made ready, the other messages go to their buckets. */
extern void prism_turn_sort(PrismTurn *turn);

/* Publish what is due, of buckets and of the journal together, in the order of time. */
extern void prism_turn_deliver(PrismTurn *turn);

/* When the first message of a line is due that should have some; at once, if it has none. The argument is a PrismDelayLine. */
extern void prism_turn_find_first(void *line);

/*
 * Before a bucket is retired, of which nothing waits: what else lies behind the
 * last that was delivered keeps its table.  False: somebody has some of it
 * locked, and it cannot be told now.
 */
extern bool prism_turn_account(PrismTurn *turn, int32 bucket_id);

/*
 * Put a message into the bucket of its time.  False, with nothing done: it
 * needs a new bucket, this turn has made one, and the message can wait ('must'
 * says that it cannot).
 */
extern bool prism_turn_place(PrismTurn *turn, int32 topic_id, PrismDelayPlace place,
							 const PrismMessage *message, bool must);

/* Close what this turn has open for filling. */
extern void prism_turn_close_writers(PrismTurn *turn);

/* ---------- topics of a turn (schedule_turn.c) ---------- */

/* A topic of this turn, looked up once. */
extern PrismTarget *prism_turn_target(PrismTurn *turn, int32 topic_id);

/* When it will be so late, if nobody sets the clock; what is past is now. */
extern PrismInstant prism_turn_instant(const PrismTurn *turn, TimestampTz time);

/* When the first message in a bucket is due; PRISM_NEVER: there is none. */
extern PrismInstant prism_turn_next_due(const PrismTurn *turn);

/* The next topic, by number, that is due and not in trouble; 0: there is none. */
extern int32 prism_turn_next_alone(const PrismTurn *turn, int32 last_alone);

/*
 * For views: the topics that this turn has met; and after a start all, those
 * with nothing waiting as well, let go at once, as a transaction may have no room
 * for the locks of all.
 */
extern void prism_turn_show(PrismTurn *turn);
extern void prism_turn_show_all(PrismTurn *turn);

/* ---------- topics that wait (schedule_trouble.c) ---------- */

/*
 * A topic is busy: nothing is delivered to it before that, whatever it has, lest
 * what is due later passes what waits.  Forgotten with the state.
 */
extern void prism_hold(int32 topic_id, PrismInstant until);
extern PrismInstant prism_hold_until(int32 topic_id);	/* 0: never */
extern void prism_hold_forget(void);

/* A bucket is damaged, and not filled any more: its span gets another one. Forgotten when workers are nudged. */
extern void prism_bucket_avoid(int32 bucket_id, const ErrorData *error);
extern bool prism_bucket_is_avoided(int32 bucket_id);

/* To which it could not be delivered even alone. */
extern bool prism_trouble_has(int32 topic_id);

/* When one is tried again; 0: it is not in trouble. */
extern PrismInstant prism_trouble_until(int32 topic_id);

/* One that is to be tried now; 0: there is none. */
extern int32 prism_trouble_next(void);

/* A turn has failed, and topics will have turns alone. */
extern void prism_trouble_begin(const ErrorData *error);

/* A turn for it alone has failed, or succeeded. */
extern void prism_trouble_note(int32 topic_id, const char *topic_name, const ErrorData *error);
extern void prism_trouble_clear(int32 topic_id);

#endif							/* PRISM_SCHEDULER_H */
