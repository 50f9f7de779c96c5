/*-------------------------------------------------------------------------
 *
 * counter.h
 *	  The shared state of a topic: offsets handed out at commit, what is in
 *	  flight, and the stable offset that follows from both.
 *
 * A committing transaction takes a contiguous block of offsets and registers
 * it as in flight under one spinlock, inserts its rows, commits, and takes the
 * registration back in the COMMIT or ABORT callback, which run after the
 * transaction became visible or is gone.  So everything below the smallest
 * block in flight is settled for ever: the stable offset.
 *
 * A PrismCounter may be used only while the topic's lock is held
 * (prism_topic_lookup): dropping a topic frees its slot.
 *
 * src/store/log/counter.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_COUNTER_H
#define PRISM_COUNTER_H

#include "base/clock.h"
#include "base/guc.h"
#include "store/log/topic.h"

#include "access/xlogdefs.h"
#include "lib/ilist.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/spin.h"

/* Offsets that one write of the high-water mark reserves; low 16 bits of the mark hold the timeline. */
#define PRISM_MARK_STEP 65536
/* A new timeline skips this many offsets: those of a lost tail are never used again. */
#define PRISM_TIMELINE_STEP (INT64CONST(1) << 32)

/* All workers that there can be: whoever has many of them can keep no other one from a topic. */
#define PRISM_SUBSCRIBERS_MAX PRISM_WORKERS_MAX
#define PRISM_JUMPS_KEPT 16
#define PRISM_VOIDS_KEPT 32

/* Offsets that hold no message: all of [from, to), or, where commits that came to nothing are told in one, so many of them. */
typedef struct PrismJump
{
	int64		from;
	int64		to;
	int64		skipped;
} PrismJump;

/* Offsets of commits that came to nothing (counter_void.c). */
typedef struct PrismVoid
{
	PrismJump	span;
	bool		saved;			/* seen in prism.jump */
} PrismVoid;

/* A block of offsets whose transaction has not ended yet. One of this backend's own pool. */
typedef struct PrismInFlight
{
	dlist_node	node;
	int64		first;
	int64		end;			/* first offset after the block */
	TimestampTz since;
	int			pid;
} PrismInFlight;

StaticAssertDecl(sizeof(PrismInFlight) == 48, "the documented cost of a place of prism.max_topics_per_transaction");

/* Delayed messages (delay.h): times and numbers that publishers, the scheduler and views share. */
typedef struct PrismCounterDelay
{
	/* of the journal */
	TimestampTz look_at;		/* the commit of a message that is due earlier wakes the scheduler */
	int64		needed_from;	/* what lies below is in no state that counts */
	bool		known;			/* what follows is told of all topics of this database */

	/* of each other topic, as of the scheduler's last look */
	int64		waiting;		/* messages */
	TimestampTz next_due;		/* of the first of them; DT_NOEND: there are none */
} PrismCounterDelay;

/* The tables of payloads that lie beside the log (store/payload/payload_ahead.c). */
typedef struct PrismCounterPayload
{
	int64		current;		/* the one that is written to; 0: nobody has looked since the server started */
	int32		store_id;		/* whose payloads it takes; 0: nobody's */
	int32		wanted_store;	/* one is wanted that takes this store's; 0: none is */
	int64		wanted_above;	/* ... and has a greater number */

	/* since the server started, by whoever does it, under the counter's mutex */
	int64		stored_total;	/* of the messages, those whose payload lies there */
	int64		retrieved_total;	/* handed over with their message */
	int64		removed_total;	/* went with a table */
} PrismCounterPayload;

/* How far consumer groups are behind (backlog.c). */
typedef struct PrismCounterBacklog
{
	int64		behind;			/* no group had more unfinished messages ... */
	int64		end;			/* ... before this offset ... */
	int32		slowest;		/* ... and this one had so many (its group_id) ... */
	PrismInstant seen;			/* ... then; 0: nobody has looked */
	int64		look_us;		/* how long the look took */
	PrismInstant looking;		/* when somebody last began to look */
	PrismInstant warned;			/* when a publisher was told of one that is far behind */
} PrismCounterBacklog;

typedef struct PrismCounter
{
	/* identity: set when the slot is taken, under the table's LWLock */
	Oid			database;		/* InvalidOid: the slot is free */
	Oid			mark_relid;

	slock_t		mutex;			/* for all that follows */
	bool		ready;			/* read from the mark since the server started */
	int64		next;			/* first offset not handed out */
	int64		limit;			/* the durable mark: offsets below may be handed out */
	int64		segment_messages;
	dlist_head	in_flight;		/* PrismInFlight, by ascending first */
	XLogRecPtr	commit_end;		/* end of the last commit record that published here */
	int64		messages_total; /* committed since the server started */
	int64		bytes_total;
	int64		inserted_total;	/* of the messages, those that came through an outbox */
	TimestampTz last_publish;
	int			extender;		/* proc number of the backend that moves the mark, or -1 */
	int64		wanted_end;		/* somebody waits for segments up to here */
	int			subscribers[PRISM_SUBSCRIBERS_MAX];	/* proc numbers of workers to wake */
	int			subscriber_count;
	uint64		wakes;			/* how often they were to be woken, over all topics that had the place */
	int64		start;			/* where this server began: jumps of former ones lie below */
	bool		jumps_known;	/* those have been looked for (counter_jump.c) */
	int			jump_count;		/* noted; the last PRISM_JUMPS_KEPT are here */
	int			jumps_saved;	/* of these, seen in prism.jump */
	int64		jumps_from;		/* whatever ends after it is here */
	PrismJump	jumps[PRISM_JUMPS_KEPT];
	int			void_count;
	int64		voids_from;		/* whatever ends after it is here */
	PrismVoid	voids[PRISM_VOIDS_KEPT];	/* by ascending offset */
	PrismCounterBacklog backlog;
	PrismCounterDelay delay;
	PrismCounterPayload payload;

	ConditionVariable extended; /* the mark moved, or the extender gave up */
	ConditionVariable published;	/* the stable offset moved, or a consumer gave something back */
	pg_atomic_uint32 sleepers;	/* how many wait for that, or for a group of the topic */
	ConditionVariable segments_changed; /* the maintainer made a segment, or a table of payloads */
} PrismCounter;

#define PRISM_COUNTER_TRANCHE "prism_topic"

extern Size prism_counter_shmem_size(void);
extern void prism_counter_shmem_init(void);

/* Find or take the slot of a topic.  Returns NULL when prism.max_topics is used up: callers that cannot go on raise prism_counter_no_place(). */
extern PrismCounter *prism_counter_attach(Oid mark_relid, int64 segment_messages);
pg_noreturn extern void prism_counter_no_place(void);

/* How many of prism.max_topics are used. */
extern int	prism_counter_slots_used(void);

/* How many topics of this database can be used at a time: what others leave of prism.max_topics. */
extern int	prism_counter_slots_left(void);

/* Free the slots of a database (InvalidOid as mark: all of them). Nothing in here can throw. */
extern void prism_counter_forget(Oid database, Oid mark_relid);
extern void prism_counter_forget_database(Oid database, bool dropped);

/*
 * A topic was made (dropped) in this transaction: its slot is freed when the
 * transaction or savepoint aborts (when the transaction commits).
 */
extern void prism_counter_created(Oid mark_relid);
extern void prism_counter_dropped(Oid mark_relid);
extern bool prism_counter_is_new(Oid mark_relid);	/* made in this transaction: nobody else sees the topic */
extern void prism_counter_pre_prepare(void);	/* throws when there was one */
extern void prism_counter_subcommit(int nest_level);
extern void prism_counter_subabort(int nest_level);	/* cannot throw */
extern void prism_counter_end(bool committed);	/* cannot throw */

/*
 * Become the one who moves the mark, as 'count' offsets are not left; may wait.
 * False: they are by now.  An error leaves the role to prism_counter_end().
 */
extern bool prism_counter_claim_extender(PrismCounter *counter, int64 count, int64 *next);
/* Give up the role, if it is ours. Cannot throw. */
extern void prism_counter_release_extender(void);

/* Read the mark if nobody did since the server started. Before any other use. 25006 on a standby. */
extern void prism_counter_init(PrismTopic *topic);

/*
 * Make sure that 'count' offsets can be taken without touching the mark; may
 * wait.  Returns the first offset that would be handed out now: a hint for
 * opening segments.
 */
extern int64 prism_counter_reserve(PrismTopic *topic, int64 count);

/* Somebody has started it from its mark: until then the server has to read the log first. */
extern bool prism_counter_is_ready(PrismCounter *counter);
/* The first offset that would be handed out now: a hint for opening segments. */
extern int64 prism_counter_peek(PrismCounter *counter);

/*
 * Take 'count' offsets and register them as in flight, in one step.  False,
 * with nothing taken, when the mark is too low or the block would leave the
 * segments first_segment .. last_segment that the caller holds open.
 */
extern bool prism_counter_take(PrismCounter *counter, int64 count,
							   int64 first_segment, int64 last_segment,
							   PrismInFlight *in_flight);

/*
 * The block is settled; wakes those who wait for the stable offset.  Called by
 * COMMIT and ABORT callbacks: cannot throw.  commit_end is InvalidXLogRecPtr
 * after an abort.
 */
extern void prism_counter_settle(PrismCounter *counter, PrismInFlight *in_flight,
								 XLogRecPtr commit_end, int64 bytes, int64 inserted, int64 payloads);

/* Wake all who wait for messages: one that somebody had may have become available again. Cannot throw. */
extern void prism_counter_wake(PrismCounter *counter);

/* Everything below is settled. *flush_to: WAL position up to which it must be flushed before it may leave the server. */
extern int64 prism_counter_stable(PrismCounter *counter, XLogRecPtr *flush_to);

/* Go on at the first offset of the segment after the current one; a recorded jump. Moves the mark; may wait. */
extern void prism_counter_roll(PrismTopic *topic, int64 segment_number);

/* The oldest block in flight, for views; false: none. */
extern bool prism_counter_oldest(PrismCounter *counter, PrismInFlight *copy);

/*
 * Messages that are kept between two offsets: without jumps, without commits
 * that came to nothing, and without what retention has dropped.  May read
 * prism.jump and the log.
 */
extern int64 prism_counter_distance(PrismTopic *topic, int64 from, int64 to);

/* The same out of shared memory alone; false: it does not go back so far. */
extern bool prism_counter_recent_distance(PrismCounter *counter, int64 from, int64 to, int64 *distance);

/* Jumps come in ascending order; the caller holds the spinlock. */
extern void prism_counter_note_jump(PrismCounter *counter, const PrismJump *jump);

/*
 * [from, to) was taken by a commit that came to nothing.  The caller holds the
 * spinlock.  Cannot throw.
 */
extern void prism_counter_note_void(PrismCounter *counter, int64 from, int64 to);

/* Those that end behind 'from', to 'spans', which takes PRISM_VOIDS_KEPT; returns how many. The caller holds the spinlock. */
extern int	prism_counter_copy_voids(const PrismCounter *counter, int64 from, PrismJump *spans);

/* Wake this process's latch whenever the stable offset moves, until unsubscribed or process exit. 53400 when too many workers do. */
extern void prism_counter_subscribe(PrismCounter *counter);
/* How often subscribers were to be woken; another number: look again. */
extern uint64 prism_counter_wakes(PrismCounter *counter);
extern void prism_counter_unsubscribe_all(void);
extern void prism_counter_unsubscribe(PrismCounter *counter);

/* This backend's pool of in-flight blocks: index below prism.max_topics_per_transaction. */
extern PrismInFlight *prism_counter_block(int index);

/* Write jumps and voids to prism.jump: the maintainer calls it now and then, in a transaction. */
extern void prism_counter_save_jumps(PrismTopic *topic);

/* The voids, when all jumps are seen there (counter_void.c). */
extern void prism_counter_save_voids(PrismTopic *topic);

#endif							/* PRISM_COUNTER_H */
