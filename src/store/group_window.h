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
 * Pure bookkeeping in memory that the caller locks: no clock, no palloc,
 * nothing that throws, so that COMMIT and ABORT callbacks may use all of it and
 * test/module can test it without a server.
 *
 * src/store/group_window.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_GROUP_WINDOW_H
#define PRISM_GROUP_WINDOW_H

#include "postgres.h"

#include "datatype/timestamp.h"

typedef enum PrismEntryState
{
	PRISM_ENTRY_FINISHED,		/* a tombstone */
	PRISM_ENTRY_AVAILABLE,
	PRISM_ENTRY_LEASED,			/* handed out until the deadline */
	PRISM_ENTRY_ACKING,			/* its acknowledgement is being committed: never expires */
	PRISM_ENTRY_DELAYED,		/* not before the deadline */
	PRISM_ENTRY_STATES
} PrismEntryState;

typedef struct PrismEntry
{
	int64		offset;
	int64		lease_id;		/* of the last lease that was not given back; 0: none */
	TimestampTz deadline;		/* leased: until then; delayed: from then on */
	TimestampTz created_at;		/* of the message: for the age of the oldest */
	uint32		key_hash;		/* 0: no key */
	uint32		session;		/* of the lease: lets a session acknowledge without lease ids */
	uint16		attempt;		/* how often it was handed out */
	uint8		state;			/* PrismEntryState */
	uint8		unused[5];
} PrismEntry;

StaticAssertDecl(sizeof(PrismEntry) == 48, "the documented cost of an entry of prism.group_window");

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
	TimestampTz next_deadline;	/* no lease or delay ends before */
	PrismEntry	entries[FLEXIBLE_ARRAY_MEMBER];
} PrismWindow;

/* What a lease is worth at the moment. */
typedef enum PrismLease
{
	PRISM_LEASE_HELD,			/* ours; nobody got the message after us */
	PRISM_LEASE_FINISHED,		/* the message was finished under it */
	PRISM_LEASE_LOST			/* somebody else's, never handed out, or finished so long ago that nobody knows */
} PrismLease;

/* Whose lease is meant: by id, or by session when the id is 0. */
typedef struct PrismHolder
{
	int64		lease_id;
	uint32		session;
} PrismHolder;

typedef struct PrismTaken
{
	int64		offset;
	int32		attempt;
} PrismTaken;

extern Size prism_window_bytes(int32 size);
extern void prism_window_init(PrismWindow *window, int32 size);

/* Forget all entries and go on reading at 'position'. */
extern void prism_window_reset(PrismWindow *window, int64 position);

/* Everything below is finished. */
extern int64 prism_window_base(const PrismWindow *window);

/* Entries that are not finished, and how many more the window can hold. */
extern int32 prism_window_unfinished(const PrismWindow *window);
extern int32 prism_window_room(const PrismWindow *window);

/* The oldest unfinished entry, or NULL; the unfinished one behind 'entry', or NULL. */
extern PrismEntry *prism_window_first(PrismWindow *window);
extern PrismEntry *prism_window_after(PrismWindow *window, PrismEntry *entry);

/* The unfinished entry of an offset, or NULL. */
extern PrismEntry *prism_window_find(PrismWindow *window, int64 offset);

/* Append an entry behind all others; needs room. */
extern PrismEntry *prism_window_add(PrismWindow *window, int64 offset,
									TimestampTz created_at, uint32 key_hash);

/* Reading ahead came to 'position': what lies between the last entry and it was never there. */
extern void prism_window_read_to(PrismWindow *window, int64 position);

/* Make available what was leased or delayed until 'now' or earlier. */
extern void prism_window_expire(PrismWindow *window, TimestampTz now);

/* Lease up to 'max' available entries, lowest offsets first; returns how many. */
extern int	prism_window_take(PrismWindow *window, int max, PrismHolder holder,
							  TimestampTz deadline, PrismTaken *taken);

/* Take back what this lease still holds of the offsets first .. last; returns how many. */
extern int	prism_window_give_back(PrismWindow *window, int64 first, int64 last, int64 lease_id);

/* The same for one offset that was not delivered after all: the attempt does not count. */
extern bool prism_window_untake(PrismWindow *window, int64 offset, int64 lease_id);

extern PrismLease prism_window_lease(PrismWindow *window, int64 offset, PrismHolder holder);

/* Acknowledging in two steps: begin at pre-commit, then finish or undo. */
extern void prism_window_begin_ack(PrismWindow *window, PrismEntry *entry);
extern void prism_window_undo_ack(PrismWindow *window, PrismEntry *entry);
extern void prism_window_finish(PrismWindow *window, PrismEntry *entry);

/*
 * The first offset that is certain to be finished once this entry is: what
 * lies between it and the slot before was never there or is finished.
 */
extern int64 prism_window_range_start(PrismWindow *window, PrismEntry *entry);

#endif							/* PRISM_GROUP_WINDOW_H */
