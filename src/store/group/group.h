/*-------------------------------------------------------------------------
 *
 * group.h
 *	  Consumer groups: who has which message, and what is finished.
 *
 * A group's state is a window of unfinished messages in shared memory
 * (group_window.h), made at the group's first use after server start from the
 * progress log.  Handing out messages writes nothing.  An acknowledgement
 * appends one record to the progress log in the transaction that acknowledges
 * and counts once that has committed.
 *
 * What an uncommitted transaction was handed out goes back when it, or the
 * savepoint, is rolled back or its backend ends; after COMMIT it stays leased
 * until the deadline.
 *
 * Files, none of which calls one that stands after it:
 *
 *	group_order.c		which message comes before which
 *	group_ranges.c		sets of offsets
 *	group_window.c		what became of each message: no I/O, no locks
 *	group_options.c		what a group wants
 *	group_attempts.c	what is known of attempts after a restart
 *	group_record.c		what is written to the progress log; group_replay.c what it says
 *	group.c				slots in shared memory
 *	group_changes.c		groups made, altered, dropped
 *	group_wait.c		consumers that sleep
 *	group_state.c		making a window anew
 *	group_catalog.c		prism.consumer_group
 *	group_open.c		a backend's way to a group
 *	group_status.c		how a group stands
 *	group_checkpoint.c	full records
 *	group_seek.c		moving a group
 *	group_lease.c		leases, until when and of whom
 *	group_settlements.c what ends them, and what that means at the commit
 *	group_dead.c		dead letters
 *	group_take.c		reading ahead and taking
 *	group_delivery.c	fetching what was taken
 *	group_call.c		sessions that are told of messages
 *	group_ack.c			acknowledge, give up, reject
 *	group_transaction.c the ends of transactions
 *
 * src/store/group/group.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_GROUP_H
#define PRISM_GROUP_H

#include "base/clock.h"
#include "store/group/group_options.h"
#include "store/log/topic.h"

#include "nodes/pg_list.h"

#define PRISM_GROUP_TRANCHE "prism_group"
#define PRISM_GROUP_NAME_MAX 249
/* The view in prism_log by whose rights a handler's role and who registered it are known; named by its group's number. */
#define PRISM_HANDLER_VIEW "handler_%d"

/* Shared memory, with so many LWLocks of PRISM_GROUP_TRANCHE: see PrismModule. */
extern int	prism_group_lwlocks(void);
extern Size prism_group_shmem_size(void);
extern void prism_group_shmem_init(void);

/*
 * Transaction callbacks: see PrismModule.  pre_commit comes before
 * prism_log_pre_commit(), as it appends to the progress log; end before
 * prism_log_end(), so that nothing below the stable progress offset is missing
 * in the windows.
 */
extern bool prism_group_has_work(void);
extern void prism_group_pre_commit(bool gone);
extern void prism_group_end(bool committed);	/* cannot throw */
extern void prism_group_subcommit(int nest_level);
extern void prism_group_subabort(int nest_level);	/* cannot throw */
/*
 * An error came while this backend read ahead, as it began at this nest level or
 * deeper: others may.  A savepoint within, which was rolled back, is none.
 * Cannot throw.
 */
extern void prism_group_abort_reader(int nest_level);
extern void prism_group_give_back(void);	/* before an error that ends the transaction is sent; cannot throw */

/* Free the slots of a database (topic 0: all), or of one topic. Cannot throw. */
extern void prism_group_forget(Oid database, int32 topic_id);
extern void prism_group_forget_database(Oid database, bool dropped);

/* The topic is being dropped: delete its groups, and free their slots when that commits. */
extern void prism_group_drop_all(int32 topic_id);

/* Called when a group has been dropped, under the lock of its name: its handler goes as well. Set by main.c. */
extern void (*prism_group_end_handler) (int32 group_id);

/* A group as this backend knows it; stays where it is, its content is refreshed by prism_group_open(). */
typedef struct PrismGroupRef PrismGroupRef;

/* 22023 unless the name can be a group's. */
extern void prism_group_check_name(const char *name);

/* What to do about a group that does not exist. */
typedef enum PrismGroupMissing
{
	PRISM_GROUP_MAKE,			/* at the earliest kept position */
	PRISM_GROUP_REFUSE,			/* 42704 */
	PRISM_GROUP_MOVE,			/* likewise; what was its state may be damaged */
	PRISM_GROUP_IGNORE,			/* answer NULL */
	PRISM_GROUP_LOOK			/* answer NULL, also when its window finds no place; takes none from those who consume */
} PrismGroupMissing;

/*
 * Find the group of a topic (whose lock is held) and load its window.  53400
 * when prism.max_groups is used up, XX001 when its state is damaged: moving the
 * group gives it another.
 */
extern PrismGroupRef *prism_group_open(PrismTopic *topic, const char *name, PrismGroupMissing missing);

/* Likewise; NULL, too, when another transaction makes, alters or drops the group and has not ended by 'until'. */
extern PrismGroupRef *prism_group_open_until(PrismTopic *topic, const char *name, PrismGroupMissing missing,
											 PrismInstant until);
/* The group has not been dropped since it was opened. */
extern bool prism_group_is_current(const PrismGroupRef *ref);
extern const char *prism_group_name(const PrismGroupRef *ref);
extern int32 prism_group_number(const PrismGroupRef *ref);

/* Every group of this database: its topic's number and its name. */
typedef struct PrismGroupName
{
	int32		topic_id;
	char	   *name;
} PrismGroupName;

extern List *prism_group_list(void);

/* Make a group that begins at 'start'; 42710 when it is there. Drop one, with its handler: false when it was not there. */
extern void prism_group_create(PrismTopic *topic, const char *name, int64 start,
							   const PrismGroupOptions *options);
extern bool prism_group_drop(PrismTopic *topic, const char *name);

/*
 * Go on at 'position' when this transaction commits, as if everything below
 * were finished and nothing above: whatever was handed out before that cannot
 * be acknowledged any more.  Waits for another transaction that moves the group.
 */
extern void prism_group_seek(PrismGroupRef *ref, int64 position);

/* The options of a group as its row has them; false: there is no such group. */
extern bool prism_group_find_options(int32 topic_id, const char *name, PrismGroupOptions *options);
/* Give a group other options when this transaction commits; one that is not there is made, at the earliest kept position. */
extern void prism_group_set_options(PrismTopic *topic, const char *name, const PrismGroupOptions *options);
/* The lease that its messages are handed out under unless another one is named. */
extern int64 prism_group_lease_us(const PrismGroupRef *ref);
/* Whoever gives a message up in that attempt makes a dead letter of it. */
extern bool prism_group_is_last(const PrismGroupRef *ref, int attempt);

/*
 * The position of the topic's slowest group; PG_INT64_MAX: there are no groups.
 * May load groups, or read the progress log.
 */
extern int64 prism_group_slowest(PrismTopic *topic);

/* ---------- handing out ---------- */

typedef struct PrismDelivery PrismDelivery;

/* Take up to 'max' messages under a lease of this transaction; may wait for another session that reads ahead. */
extern PrismDelivery *prism_group_take(PrismGroupRef *ref, int max, int64 lease_us);
extern int	prism_delivery_count(const PrismDelivery *delivery);
extern int64 prism_delivery_lease(const PrismDelivery *delivery);
/* Nothing was taken, as the group has as many messages in flight as it may. */
extern bool prism_delivery_limited(const PrismDelivery *delivery);
/* Nothing was taken although messages wait: the window has no room. */
extern bool prism_delivery_starved(const PrismDelivery *delivery);

/* The next message that was taken, valid until the next call; its Datums need nothing but memory. */
extern bool prism_delivery_next(PrismDelivery *delivery, PrismMessage *message, int *attempt);

/*
 * Return no more than so many bytes of payloads; but the next message, unless
 * 'some' were handed over before, however large its payload is.  One for which
 * there is no room ends the delivery before it is fetched, and goes back with
 * all behind it as if they had not been taken: then the delivery is full.
 */
extern void prism_delivery_bound(PrismDelivery *delivery, int64 room, bool some);
extern void prism_delivery_uncount(PrismDelivery *delivery);	/* the last message is not handed over, and takes no room */
extern int64 prism_delivery_room(const PrismDelivery *delivery);	/* what is left of it */
extern bool prism_delivery_full(const PrismDelivery *delivery);

/*
 * A damaged message ends the delivery when others come before it, in the same
 * delivery or, if that is said here, in one before; else it is XX001.
 */
extern void prism_delivery_continue(PrismDelivery *delivery);
extern bool prism_delivery_cut(const PrismDelivery *delivery);
extern void prism_delivery_refuse(const PrismDelivery *delivery);	/* of one that was cut: XX001 after all */

/* What prism_delivery_next() has not returned is not wanted: give it back as if it had not been taken. */
extern void prism_delivery_return_rest(PrismDelivery *delivery);
/* Before the first is asked for: likewise those that are not wanted. */
extern void prism_delivery_keep(PrismDelivery *delivery, bool (*is_wanted) (int64 position, const void *arg), const void *arg);
extern void prism_delivery_close(PrismDelivery *delivery);

/* The same for single messages of a lease, whose delivery may be closed. Cannot throw. */
extern void prism_group_untake(PrismGroupRef *ref, const int64 *positions, int count, int64 lease_id);

/* These, which the lease keeps, are not handed over under it: that costs them no attempt. */
extern void prism_group_pass_over(PrismGroupRef *ref, const int64 *positions, int count, int64 lease_id);

#define PRISM_ALL_OF_LEASE PG_INT64_MAX

/*
 * What was taken under the lease so far is in the caller's hands now, up to a
 * position or all of it.  Until then a rollback takes it back as if it had not
 * been taken; from then on it was an attempt.
 */
extern void prism_group_hand_over(int64 lease_id, int64 up_to);

/* This transaction fails for no fault of the messages that it has: none of them is to lose an attempt by that. */
extern void prism_group_excuse(void);

/* How many messages could be taken now; reads ahead to find one. */
extern int	prism_group_available(PrismGroupRef *ref);

/*
 * Sleeping until a message may have become available for the group (NULL: for
 * any group of the topic).
 *
 * Prepare before the check that precedes a sleep, again when it is another
 * group's; cancel after the last one: that wakes the next session that waits, so nobody
 * keeps a wake-up to himself.  Errors cancel by themselves.  The topic's lock is
 * needed to prepare, not to sleep.
 */
extern void prism_group_prepare_sleep(PrismTopic *topic, PrismGroupRef *ref);
/* Sleep until woken, or 'look_at', or a few seconds have passed; false, at once: 'until' has come. */
extern bool prism_group_sleep(PrismInstant look_at, PrismInstant until);
extern void prism_group_cancel_sleep(void);	/* cannot throw */
extern void prism_group_subabort_sleep(int nest_level);	/* what was prepared there; cannot throw */
/* No lease or delay of the group ends before: when to look though nobody wakes us. */
extern PrismInstant prism_group_next_due(PrismGroupRef *ref);

/*
 * Shall this waiting session be woken?  True for as many sessions
 * as there are messages, until they come or are not expected any more.
 */
extern bool prism_group_call(PrismGroupRef *ref);
/* When to ask that again, at the latest. */
extern PrismInstant prism_group_look_at(PrismGroupRef *ref);

/* A message of the topic may have become available: wake one session that waits, of each group. Cannot throw. */
extern void prism_group_wake(struct PrismCounter *counter);

/* A dead letter was made of a message that came to its last attempt: it waits for this transaction's commit. */
extern bool prism_delivery_buried(const PrismDelivery *delivery);

/* ---------- ending leases ---------- */

/*
 * At the commit of this transaction: acknowledge; give up for a time
 * (delay_us -1: the group's back-off), in the last attempt for good; reject.
 * lease_ids NULL: leases of this session.  Return how many were unfinished, or
 * not given up, until now; 55000, naming the positions, when some lease is not
 * held any more.
 */
extern int	prism_group_ack(PrismGroupRef *ref, const int64 *positions, const int64 *lease_ids, int count);
/* For a caller that was handed out all of them in this transaction: acknowledge those that it has not given up. */
extern int	prism_group_ack_rest(PrismGroupRef *ref, const int64 *positions, int count);
extern int	prism_group_nack(PrismGroupRef *ref, const int64 *positions, const int64 *lease_ids, int count,
							 int64 delay_us, const char *reason);
extern int	prism_group_reject(PrismGroupRef *ref, const int64 *positions, const int64 *lease_ids, int count,
							   const char *reason);

/* Let leases end lease_us from now: at once, and not undone by a rollback. */
extern int	prism_group_extend(PrismGroupRef *ref, const int64 *positions, const int64 *lease_ids, int count,
							   int64 lease_us);

/* ---------- seen from outside ---------- */

typedef struct PrismGroupStatus
{
	int64		position;		/* everything below is finished */
	int64		read_end;		/* everything below has been read ahead */
	PrismOrdering ordering;
	int			available;		/* read ahead, nobody has it */
	int			in_flight;		/* leased or being acknowledged */
	int			delayed;
	int64		lag_messages;	/* unfinished and not yet read */
	TimestampTz oldest;			/* when the oldest unfinished message was published; 0: there is none */
	bool		oldest_unknown; /* it would have to be read from tables that somebody has locked */
	bool		lag_unknown;	/* likewise: then it is too large */
	TimestampTz oldest_held;	/* when the oldest one in flight was published; 0: none is */
	int			consumers;		/* sessions that hold messages */
	bool		full;			/* the window has no room for what waits */
} PrismGroupStatus;

/* False: the window has had to make way for a group that is in use. */
extern bool prism_group_status(PrismGroupRef *ref, PrismGroupStatus *status);

/*
 * Write a full record of every group of this database to the current
 * transaction.  Returns the progress offset below which no record of a group
 * is needed once that has committed.
 */
extern int64 prism_group_checkpoint_all(void);

/* False: the topic of its dead letters has no place among prism.max_topics; what is given up for good stays unfinished. */
extern bool prism_group_can_bury(const PrismGroupRef *ref);

#endif							/* PRISM_GROUP_H */
