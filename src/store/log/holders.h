/*-------------------------------------------------------------------------
 *
 * holders.h
 *	  Those who read the logs and hold them back.
 *
 * As replication slots hold back WAL: the log asks each kind of reader, and knows
 * none of them.  A kind is a line of one table (main.c), and its callbacks are
 * called in the table's order; all may be NULL.
 *
 * src/store/log/holders.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_HOLDERS_H
#define PRISM_HOLDERS_H

#include "store/log/counter.h"
#include "store/log/topic.h"

/* The position of those of whom there are none. */
#define PRISM_NOBODY PG_INT64_MAX

typedef struct PrismLogHolder
{
	const char *name;

	/*
	 * The first position of the topic that its readers have not finished, or
	 * PRISM_NOBODY.  Nothing after it goes, where the namespace says so ("retain:
	 * consumers"), or always.  In a transaction.
	 */
	int64		(*slowest) (PrismTopic *topic);
	bool		always;

	/*
	 * Repeat in the progress log, in this transaction, how far its readers are:
	 * returns the offset of the progress log from which records are still needed,
	 * 0 for all, PRISM_NOBODY for none of those that are there.
	 */
	int64		(*checkpoint) (void);

	/*
	 * Before a transaction publishes so many messages to a topic whose policy
	 * bounds how far readers may be behind: may throw.  At pre-commit, before
	 * offsets are registered.
	 */
	void		(*admit) (PrismTopic *topic, int64 count);

	/*
	 * Bytes that it keeps beside the log for messages from an offset on, which come
	 * back when these are dropped; 'open': with those that messages to come may be
	 * kept in.
	 */
	int64		(*bytes) (PrismTopic *topic, int64 from, bool open);

	/* Messages have been published: whoever of them sleeps is woken.  Cannot throw; called after a commit, for sleepers only. */
	void		(*wake) (PrismCounter *counter);

	/* The topic is being dropped, under its lock: delete what belongs to it in the catalogue. */
	void		(*drop) (int32 topic_id);
} PrismLogHolder;

/* Once, by main.c. */
extern void prism_holders_register(const PrismLogHolder *holders, int count);

/* The slowest of those who hold the topic back always, or of the others. */
extern int64 prism_holders_slowest(PrismTopic *topic, bool always);

/* The callbacks of all of them. */
extern int64 prism_holders_checkpoint(void);
extern void prism_holders_admit(PrismTopic *topic, int64 count);
extern int64 prism_holders_bytes(PrismTopic *topic, int64 from, bool open);
extern void prism_holders_wake(PrismCounter *counter);
extern void prism_holders_drop(int32 topic_id);

#endif							/* PRISM_HOLDERS_H */
