/*-------------------------------------------------------------------------
 *
 * group_shared.h
 *	  A group's slot in shared memory, and what the group_*.c files share.
 *
 * Slots are taken and freed under the table's LWLock; what is in a slot is
 * under the slot's own.  A slot may be freed at any time (its group is dropped)
 * by who holds both; generation tells those who kept a pointer.
 *
 * No I/O, no palloc, nothing that throws while a slot's lock is held.
 *
 * No .c of its name: it is between the files of group.h.
 *
 * src/store/group/group_shared.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_GROUP_SHARED_H
#define PRISM_GROUP_SHARED_H

#include "base/compat.h"
#include "store/group/group.h"
#include "store/group/group_attempts.h"
#include "store/group/group_options.h"
#include "store/group/group_ranges.h"
#include "store/group/group_window.h"
#include "store/log/counter.h"

#include "lib/stringinfo.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"

typedef struct PrismGroup
{
	LWLock	   *lock;
	uint32		generation;		/* grows when the slot is freed */
	Oid			database;		/* InvalidOid: the slot is free */
	int32		topic_id;
	int32		group_id;
	int64		start_from;		/* where the group begins when the progress log has nothing */

	bool		looked_at;		/* under the table's lock: for a view, loaded or not; whoever needs a place may have this one */
	bool		ready;			/* the window was rebuilt */
	bool		starved;		/* somebody found no room to read ahead */
	int			reader;			/* proc number + 1 of the session that reads ahead or rebuilds; 0: none */
	int			records;		/* appended since somebody wrote a checkpoint */
	int64		damaged_at;		/* a progress record that nobody can read, and that still counts; -1: none */
	uint32		epoch;			/* progress records of another epoch do not count (seek) */
	PrismGroupOptions options;
	ConditionVariable changed;	/* reading ahead or rebuilding has ended */

	PrismCounter *counter;		/* of the topic, once somebody has waited for the group */
	ConditionVariable available;	/* there may be a message: one of those who wait for it is woken */
	int			called;			/* sessions that were told of one and have not come yet */
	PrismInstant called_until;	/* ... and after that are not expected any more */
	PrismWindow *window;
} PrismGroup;

struct PrismGroupRef
{
	/* the key: must be first, all bytes are compared */
	int32		topic_id;
	char		name[PRISM_GROUP_NAME_MAX + 3];

	PrismTopic *topic;
	int32		group_id;
	uint64		catalog_generation; /* the row was seen at this one; 0: never */
	PrismGroup *group;
	uint32		generation;		/* of the slot */
};

/* A row of prism.consumer_group. */
typedef struct PrismGroupRow
{
	int32		group_id;
	int32		topic_id;
	int64		start_from;
	char	   *name;
	PrismGroupOptions options;
	uint32		first_epoch;	/* of a group that was just made */
} PrismGroupRow;

/* ---------- group.c ---------- */

/* Find or take the slot of a group, for use or only to look at it; NULL: all are in use. */
extern PrismGroup *prism_group_attach(const PrismGroupRow *row, bool look, uint32 *generation);
pg_noreturn extern void prism_group_no_place(const char *name);
/* Free what matches: in a database, one group, or one topic's (0: any). Cannot throw. */
extern void prism_group_free_slots(Oid database, int32 topic_id, int32 group_id);
/* The group has other options. Cannot throw. */
extern void prism_group_configure(int32 group_id, const PrismGroupOptions *options);

pg_noreturn extern void prism_group_dropped(const char *name);

/* Lock the slot; 42704 when the group has been dropped. */
extern void prism_group_lock(PrismGroupRef *ref, LWLockMode mode);
/* For callbacks: false, and not locked, when the slot was freed. */
extern bool prism_group_lock_if(PrismGroup *group, uint32 generation);
/* By number, for copying its state: NULL when it is not loaded. */
extern PrismGroup *prism_group_lock_loaded(int32 group_id);
extern void prism_group_unlock(PrismGroup *group);

/*
 * One backend at a time reads ahead.  Claim under the exclusive lock; false:
 * somebody else does.  Released by prism_group_release_reader(), and by itself
 * when the transaction or savepoint ends in an error.
 */
extern bool prism_group_claim_reader(PrismGroupRef *ref);
/* Under the exclusive lock; wake the others after unlocking. False: the group was moved meanwhile, what was read is not wanted. */
extern bool prism_group_release_reader(PrismGroup *group);
/* Wait, unlocked, until nobody reads ahead. */
extern void prism_group_await_reader(PrismGroupRef *ref);

/* This session's number, told to nobody: what leases without ids are checked against. */
extern uint32 prism_group_session(void);

/* ---------- group_changes.c ---------- */

/* Groups made, altered and dropped by this transaction: their slots follow when it turns out whether it commits. */
extern void prism_group_note_created(int32 group_id);
extern void prism_group_note_altered(int32 group_id, const PrismGroupOptions *before,
									 const PrismGroupOptions *after);
extern void prism_group_note_dropped(int32 group_id);
extern bool prism_group_has_changes(void);
extern void prism_group_end_changes(bool committed);
extern void prism_group_subend_changes(int nest_level, bool committed);

/* ---------- group_catalog.c ---------- */

/* The row as of now, whatever the transaction's snapshot. */
extern bool prism_group_find_row(int32 topic_id, const char *name, PrismGroupRow *row);
extern List *prism_group_rows(void);

/* Look the group up or make it, and attach its slot. False: as 'missing' allows. */
extern bool prism_group_resolve(PrismGroupRef *ref, PrismGroupMissing missing, PrismInstant until);

/* Keep out others who would move, make or drop the group, until the transaction ends; not those who look it up. */
extern void prism_group_lock_name(const PrismGroupRef *ref);

/* ---------- group_state.c ---------- */

/* The window of a new group, of which the log has nothing yet. */
extern void prism_group_start(PrismGroupRef *ref, uint32 epoch);
/*
 * Rebuild the window from the progress log unless somebody did; damaged_at may
 * be set then.  False: it would hold too many messages, which is an error
 * (53400) for all but those who only look, or whoever looks has lost the place.
 */
extern bool prism_group_rebuild(PrismGroupRef *ref, bool look);
/* What reading ahead, or rebuilding, found. */
typedef struct PrismArrival
{
	int64		offset;
	TimestampTz created_at;
	uint32		key_hash;
} PrismArrival;

extern PrismArrival prism_group_arrival(const PrismMessage *message);

/* ---------- group_checkpoint.c ---------- */

/* A full record of a loaded group, in this transaction. */
extern void prism_group_checkpoint(int32 group_id);

/* ---------- group_record.c ---------- */

/* The first record of a group, or of its next epoch: everything below 'start' is finished, nothing above. */
extern void prism_group_append_start(int32 group_id, uint32 epoch, int64 start);
/* Everything below 'base', and up to 'read_end' all but these, is finished; so says the progress log below 'covers'. */
extern void prism_group_append_checkpoint(int32 group_id, uint32 epoch, int64 covers, int64 base, int64 read_end,
										  const PrismAttempt *attempts, int count);
/* What is to be known of unfinished messages after a restart. */
extern void prism_group_append_attempts(int32 group_id, uint32 epoch, const PrismAttempt *attempts, int count);
extern void prism_group_append_finished(int32 group_id, uint32 epoch, const PrismOffsetRange *ranges, int count);

/* ---------- group_seek.c: called by group_transaction.c ---------- */

extern bool prism_group_has_seeks(void);
extern void prism_group_append_seeks(void);	/* at pre-commit */
extern void prism_group_end_seeks(bool committed);	/* cannot throw */
extern void prism_group_subend_seeks(int nest_level, bool committed);	/* cannot throw */

/* ---------- group_wait.c ---------- */

/* Somebody has looked for messages, and left some: wake the next one. */
extern void prism_group_took(PrismGroupRef *ref, bool left);

/* ---------- group_lease.c: the callbacks are called by group_transaction.c ---------- */

/* The lease of this (sub)transaction; what it takes goes back when it rolls back. */
extern PrismHolder prism_group_holder(PrismGroupRef *ref);
/*
 * The lease was given offsets first .. last, 'repeated' of which are to be
 * written down if it keeps them; the holder knows of it then.  Cannot throw; the
 * slot's lock is held since they were taken.
 */
extern void prism_group_note_taken(PrismGroupRef *ref, PrismHolder *holder, int64 first, int64 last, int repeated);

/* Positions that are checked under one hold of the lock. */
#define PRISM_POSITIONS_CHUNK 256

/* 55000: the positions' leases are not held. The refusal says so in a whole sentence. */
pg_noreturn extern void prism_group_refuse(const char *refusal, const char *group_name,
										   const int64 *positions, int count);

extern bool prism_group_has_leases(void);
extern void prism_group_append_leases(void);	/* at pre-commit */
extern void prism_group_end_leases(bool committed);	/* cannot throw */
extern void prism_group_subend_leases(int nest_level, bool committed);	/* cannot throw */

/* ---------- group_settlements.c: the rest is in its header ---------- */

/*
 * These, under the lease, are finished when the transaction commits.  Those that
 * it has acknowledged, under a lease that ended, are taken out; returns how many
 * are left.
 */
extern int	prism_group_finish_dead(PrismGroupRef *ref, int64 lease_id, PrismDead *dead, int count);

/* ---------- group_dead.c ---------- */

/* Publish them in this transaction, which finishes them; ascending or not. */
extern void prism_group_write_dead_letters(PrismGroupRef *ref, const PrismDead *dead, int count,
										   const char *reason);

/* Take those whose attempts are used up, and do it with them; returns how many. */
extern int	prism_group_bury_exhausted(PrismGroupRef *ref);

#endif							/* PRISM_GROUP_SHARED_H */
