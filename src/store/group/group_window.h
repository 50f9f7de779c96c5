/*-------------------------------------------------------------------------
 *
 * group_window.h
 *	  What a consumer group has read and not finished: a ring of entries.
 *
 * Entries stand in the order of their offsets, as reading ahead appends them.
 * Everything below read_end that has no unfinished entry is finished or was
 * never there, so finished offsets need no memory: a finished entry stays as a
 * tombstone until the head passes it or the ring runs out of slots and is
 * compacted.  One message that nobody finishes therefore costs one slot, not
 * the window.
 *
 * Which messages may be handed out is known at any time (group_order.h): what
 * waits for an earlier message has a state of its own, so looking for work passes
 * no candidates that turn out to be blocked.
 *
 * Pure bookkeeping in memory that the caller locks: no clock, no palloc,
 * nothing that throws, so that COMMIT and ABORT callbacks may use all of it and
 * test/module can test it without a server.  Its times are instants (clock.h);
 * one that is taken out for the log or a header is made a time.
 *
 * src/store/group/group_window.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_GROUP_WINDOW_H
#define PRISM_GROUP_WINDOW_H

#include "base/clock.h"
#include "store/group/group_attempts.h"
#include "store/group/group_options.h"

typedef enum PrismEntryState
{
	PRISM_ENTRY_FINISHED,		/* a tombstone */
	PRISM_ENTRY_AVAILABLE,
	PRISM_ENTRY_WAITING,		/* nobody has it, but an earlier one comes first */
	PRISM_ENTRY_LEASED,			/* handed out until the deadline */
	PRISM_ENTRY_ACKING,			/* its acknowledgement, or what else ends its lease, is being committed: never expires */
	PRISM_ENTRY_DELAYED,		/* not before the deadline */
	PRISM_ENTRY_EXHAUSTED,		/* its attempts are used up: is to become a dead letter */
	PRISM_ENTRY_STATES
} PrismEntryState;

/* Flags of an entry. */
#define PRISM_ENTRY_FIRST 0x01	/* no unfinished one comes before it in its order */
#define PRISM_ENTRY_NACKED 0x02	/* its last holder gave it up */
#define PRISM_ENTRY_DOUBTFUL 0x04	/* was perhaps handed out before the server started */
#define PRISM_ENTRY_UNCOUNTED 0x08	/* its lease is no attempt: it was taken to become a dead letter, or passed over */

typedef struct PrismEntry
{
	int64		offset;
	int64		lease_id;		/* of the last lease that was not given back; 0: none */
	PrismInstant deadline;		/* leased: until then; delayed: from then on; exhausted: when it failed last */
	TimestampTz created_at;		/* of the message: for the age of the oldest */
	uint32		key_hash;		/* 0: no key */
	uint32		session;		/* of the lease: lets a session acknowledge without lease ids */
	uint32		first_failed;	/* when it was first not acknowledged, in seconds; 0: never */
	uint32		look;			/* which look at the window took it */
	int32		order_prev;		/* slots in its order: the one before, of the first one the last */
	int32		order_next;		/* -1: none */
	int32		bucket_next;	/* first ones of other orders in the same bucket; -1: none */
	uint16		attempt;		/* how often it was handed out; of one that is leased, the lease included */
	uint8		state;			/* PrismEntryState */
	uint8		flags;
} PrismEntry;

StaticAssertDecl(sizeof(PrismEntry) == 64, "the documented cost of an entry of prism.group_window");

typedef struct PrismWindow
{
	int64		floor;			/* everything below was finished when the head passed it */
	int64		read_end;		/* first offset not read ahead */
	int32		size;
	int32		head;			/* slot of the first entry */
	int32		used;			/* slots from head on, tombstones included */
	int32		passed;			/* slots before head that still hold what was there: whose the last finished ones were */
	int32		scan_from;		/* no entry before this one, counted from head, is available */
	int32		counts[PRISM_ENTRY_STATES]; /* entries by state */
	int32		doubtful;		/* how many of the next entries get the flag */
	uint32		look;			/* grows with each look for work */
	PrismOrdering ordering;
	int32		max_attempts;	/* 0: no limit */
	PrismInstant next_deadline;	/* no lease or delay ends before */
	PrismEntry	entries[FLEXIBLE_ARRAY_MEMBER];	/* and after them the buckets of group_order.c */
} PrismWindow;

/* What a lease is worth at the moment. */
typedef enum PrismLease
{
	PRISM_LEASE_HELD,			/* ours; nobody got the message after us */
	PRISM_LEASE_FINISHED,		/* the message was finished under it */
	PRISM_LEASE_NACKED,			/* we gave it up, and nobody got the message after us */
	PRISM_LEASE_LOST			/* somebody else's, never handed out, or finished so long ago that nobody knows */
} PrismLease;

/*
 * Whose lease is meant: by id, or by session when the id is 0.  Of the leases
 * of the holder's transaction it is known where in the window they begin, and
 * when it took the first one.
 */
typedef struct PrismHolder
{
	int64		lease_id;
	uint32		session;
	int64		first;			/* the transaction has nothing below this offset; PG_INT64_MAX: nothing at all */
	uint32		since;			/* what the session took from this look on is the transaction's */
} PrismHolder;

typedef struct PrismTaken
{
	int64		offset;
	int32		attempt;
	bool		repeated;		/* handed out before, perhaps */
} PrismTaken;

/* What a lease took and nobody was handed over yet: by this look or a later one, behind this offset. */
typedef struct PrismUnseen
{
	uint32		since;
	int64		behind;
} PrismUnseen;

/* An entry whose attempts are used up. */
typedef struct PrismDead
{
	int64		offset;
	int			attempts;
	PrismInstant first_failure;	/* 0: not known */
	PrismInstant last_failure;
} PrismDead;

extern Size prism_window_bytes(int32 size);
extern void prism_window_init(PrismWindow *window, int32 size);

/* Set what the group wants; entries that nobody has are looked at anew. */
extern void prism_window_configure(PrismWindow *window, PrismOrdering ordering, int32 max_attempts);

/* Forget all entries and go on reading at 'position'. */
extern void prism_window_reset(PrismWindow *window, int64 position);

/* Everything below is finished. */
extern int64 prism_window_base(const PrismWindow *window);

/* Entries that are not finished, and how many more the window can hold. */
static inline int32
prism_window_unfinished(const PrismWindow *window)
{
	return window->used - window->counts[PRISM_ENTRY_FINISHED];
}

static inline int32
prism_window_room(const PrismWindow *window)
{
	return window->size - prism_window_unfinished(window);
}

/* The first unfinished entry from an offset on, or NULL. */
extern PrismEntry *prism_window_from(PrismWindow *window, int64 offset);

/* The oldest unfinished entry, or NULL; the unfinished one behind 'entry', or NULL. */
extern PrismEntry *prism_window_first(PrismWindow *window);
extern PrismEntry *prism_window_after(PrismWindow *window, PrismEntry *entry);

/* The unfinished entry of an offset, or NULL. */
extern PrismEntry *prism_window_find(PrismWindow *window, int64 offset);

/* Append an entry behind all others; needs room. */
extern PrismEntry *prism_window_add(PrismWindow *window, int64 offset,
									TimestampTz created_at, uint32 key_hash);

/* What the progress log knows of an entry just added: attempts, rest until 'due' (0: none), first failure. */
extern void prism_window_restore(PrismWindow *window, PrismEntry *entry, uint16 attempt,
								 PrismInstant due, uint32 first_failed, PrismInstant now);

/* Entries so far, and as many as have room, were perhaps handed out before the server started. */
extern void prism_window_doubt(PrismWindow *window);

/* Reading ahead came to 'position': what lies between the last entry and it was never there. */
extern void prism_window_read_to(PrismWindow *window, int64 position);

/* Make available what was leased or delayed until 'now' or earlier. */
extern void prism_window_expire(PrismWindow *window, PrismInstant now);

/*
 * Lease up to 'max' entries, lowest offsets first; returns how many.  Those
 * that wait only for what the holder's transaction has are taken with it.
 */
extern int	prism_window_take(PrismWindow *window, int max, PrismHolder holder,
							  PrismInstant deadline, PrismTaken *taken);

/* Lease exhausted entries, to make dead letters of them; no new attempt. */
extern int	prism_window_take_exhausted(PrismWindow *window, int max, PrismHolder holder,
										PrismInstant deadline, PrismDead *dead);

/*
 * Take back what this lease still holds of the offsets first .. last; returns
 * how many.  'unseen' (may be NULL): what of it was not handed over.
 */
extern int	prism_window_give_back(PrismWindow *window, int64 first, int64 last, int64 lease_id,
								   const PrismUnseen *unseen, PrismInstant now);

/* The same for one offset that was not delivered after all: the attempt does not count. */
extern bool prism_window_untake(PrismWindow *window, int64 offset, int64 lease_id);

/* The lease keeps it, but nobody is handed it under that: the attempt does not count. */
extern void prism_window_uncount(PrismWindow *window, int64 offset, int64 lease_id);

extern PrismLease prism_window_lease(PrismWindow *window, int64 offset, PrismHolder holder);

/* The lease, which is held, ends at another time. */
extern void prism_window_extend(PrismWindow *window, PrismEntry *entry, PrismInstant deadline);

/* Ending a lease in two steps: begin at pre-commit, then finish, nack or undo. Nack: rest until 'due'. */
extern void prism_window_begin_ack(PrismWindow *window, PrismEntry *entry);
extern void prism_window_undo_ack(PrismWindow *window, PrismEntry *entry);
extern void prism_window_finish(PrismWindow *window, PrismEntry *entry);
extern void prism_window_nack(PrismWindow *window, PrismEntry *entry, PrismInstant due, PrismInstant now);

/* What is to be known of the entry after a restart; its times are instants still: prism_attempts_shift(). */
static inline PrismAttempt
prism_window_attempt(const PrismEntry *entry)
{
	return (PrismAttempt)
	{
		.offset = entry->offset,
		.due = entry->state == PRISM_ENTRY_DELAYED ? entry->deadline : 0,
		.first_failed = entry->first_failed,
		.attempt = entry->attempt
	};
}

/* An instant as entries keep it: in seconds, never 0. */
static inline uint32
prism_window_failure_time(PrismInstant at)
{
	return (uint32) Max(at / USECS_PER_SEC, 1);
}

/* When the entry first failed; 0: never. */
static inline PrismInstant
prism_window_first_failure(const PrismEntry *entry)
{
	return entry->first_failed * USECS_PER_SEC;
}

/*
 * The first offset that is certain to be finished once this entry is: what
 * lies between it and the slot before was never there or is finished.
 */
extern int64 prism_window_range_start(PrismWindow *window, PrismEntry *entry);

#endif							/* PRISM_GROUP_WINDOW_H */
