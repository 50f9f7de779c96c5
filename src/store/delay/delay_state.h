/*-------------------------------------------------------------------------
 *
 * delay_state.h
 *	  How far the scheduler is: in the journal, and in each bucket.
 *
 * A line is what one bucket holds for one topic.  It is delivered in the order
 * of due times, so a place in it (due time, and among equals the position in
 * the journal) says what has been delivered.
 *
 * The journal is sorted in its order, but for topics of which there is so much
 * that others would wait for it: they are left behind, and what lies ahead is
 * sorted without them.  So a message is sorted when it lies below the position,
 * or below 'ahead' and its topic was not left behind before it.
 *
 * The state is written to the journal itself, by the transaction that moves
 * messages: a record tells the lines that have changed, every so often all of
 * them.  It is rebuilt from the last full record and those after it.
 *
 * src/store/delay/delay_state.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_DELAY_STATE_H
#define PRISM_DELAY_STATE_H

#include "base/clock.h"
#include "store/log/topic.h"

#include "utils/hsearch.h"

typedef struct PrismDelayPlace
{
	TimestampTz due_at;
	int64		sequence;		/* position in the journal */
} PrismDelayPlace;

/* Before every message. */
#define PRISM_DELAY_FIRST_PLACE ((PrismDelayPlace) {DT_NOBEGIN, 0})
/* Behind every message: a line that is there takes no more. */
#define PRISM_DELAY_LAST_PLACE ((PrismDelayPlace) {DT_NOEND, PG_INT64_MAX})

static inline bool
prism_delay_is_before(PrismDelayPlace a, PrismDelayPlace b)
{
	return a.due_at != b.due_at ? a.due_at < b.due_at : a.sequence < b.sequence;
}

typedef struct PrismDelayLine
{
	/* hash key; must be first */
	int32		bucket_id;
	int32		topic_id;

	PrismDelayPlace done;		/* everything up to here has been delivered */
	int64		waiting;		/* messages behind it */
	bool		changed;		/* since the last record */

	/* the scheduler's own, in no record */
	TimestampTz next_due;		/* of the first message that waits; DT_NOEND: there is none */
} PrismDelayLine;

/* A topic that is left behind. */
typedef struct PrismDelayBehind
{
	int32		topic_id;		/* hash key; must be first */
	int64		from;			/* its messages below were sorted with the others */
} PrismDelayBehind;

typedef struct PrismDelayState
{
	MemoryContext mcxt;
	int64		position;		/* in the journal: what lies below is delivered or in a bucket */
	int64		ahead;			/* likewise, but for the topics that are left behind; not below position */
	HTAB	   *behind;			/* of PrismDelayBehind; empty when the two are equal */
	HTAB	   *lines;			/* of PrismDelayLine */
	int64		full_at;		/* position of the last full record */
	int			records;		/* after it */
} PrismDelayState;

/* The first record of a new journal, in this transaction. */
extern void prism_delay_state_begin(PrismTopic *journal);

/*
 * A restore brought the journal's tables, with the indexes that come last, and
 * none of its rows: it left the messages out, so none waits.  False: it is
 * not so.
 */
extern bool prism_delay_state_begin_anew(PrismTopic *journal);

/* As of the last record that is settled, in a memory context of its own below the current one; NULL: the journal has none that is sound. */
extern PrismDelayState *prism_delay_state_load(PrismTopic *journal);
extern void prism_delay_state_free(PrismDelayState *state);

/* Find a line, or make it. */
extern PrismDelayLine *prism_delay_state_line(PrismDelayState *state, int32 bucket_id, int32 topic_id);
extern PrismDelayLine *prism_delay_state_find(PrismDelayState *state, int32 bucket_id, int32 topic_id);

/* Messages of the topic (0: any) wait in buckets. */
extern bool prism_delay_state_waiting(PrismDelayState *state, int32 topic_id);

/* The message of the topic at this place of the journal is delivered or in a bucket. */
extern bool prism_delay_state_is_sorted(PrismDelayState *state, int32 topic_id, int64 offset);

/* The topic is left behind. */
extern bool prism_delay_state_is_behind(PrismDelayState *state, int32 topic_id);

/* From here on the topic is left behind.  False: there are too many of them. */
extern bool prism_delay_state_leave_behind(PrismDelayState *state, int32 topic_id, int64 from);
/* None is any more: the position is where 'ahead' is. */
extern void prism_delay_state_catch_up(PrismDelayState *state);

/* Append a record of what has changed; when this transaction fails, load the state anew. */
extern void prism_delay_state_append(PrismDelayState *state, PrismTopic *journal);

/* The transaction of the last append has committed. */
extern void prism_delay_state_committed(PrismDelayState *state, int32 journal_id);

/* What lies below in the journal is not needed to load the state. */
extern int64 prism_delay_state_needed_from(const PrismDelayState *state);

#endif							/* PRISM_DELAY_STATE_H */
