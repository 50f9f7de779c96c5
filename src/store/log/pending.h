/*-------------------------------------------------------------------------
 *
 * pending.h
 *	  What the current transaction will publish: between pending.c and append.c.
 *
 * src/store/log/pending.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PENDING_H
#define PRISM_PENDING_H

#include "store/log/log.h"
#include "store/log/row.h"

#include "access/htup.h"
#include "nodes/pg_list.h"
#include "utils/tuplestore.h"

/* Rows [start, end) of a topic, all published at one level of nesting. */
typedef struct PrismPendingRange
{
	int64		start;
	int64		end;
	int64		messages;		/* in these rows */
	int64		inserted;		/* of them, those that came through an outbox */
	int64		payloads;		/* of them, those whose payload lies beside the log */
	int64		payload_bytes;	/* ... as it is stored there */
	int			nest_level;
} PrismPendingRange;

/*
 * A topic's messages as rows, numbered from 0 in the order of publish().
 * Small messages of one level that follow each other share a row; the last row
 * may still be open for more, it is made when it is sealed.  The first
 * 'spilled' rows are in the tuplestore, the others in 'tuples'.  Live are those
 * in 'ranges', ascending; what a rolled back savepoint published is in none (a
 * tuplestore cannot be cut at its tail).
 */
typedef struct PrismPending
{
	PrismTopic *topic;
	int32		topic_id;
	Oid			mark_relid;		/* of the topic then: its number comes again with a new extension */
	int64		rows;			/* numbers given out */
	int64		live;			/* messages that will be published, unless the topic is dropped */
	int64		inserted;		/* of them, those that came through an outbox */
	int64		payloads;		/* of them, those whose payload lies beside the log */
	int64		payload_bytes;	/* ... as it is stored there */
	bool		flush;			/* the commit is flushed before it returns */
	int			drop_level;		/* nest level at which this transaction dropped the topic; 0: it did not */
	int64		bytes;			/* of the tuples in memory */
	uint32		tuple_bytes_max;	/* of all tuples ever */

	HeapTuple  *tuples;			/* the open row's is NULL */
	int64		tuples_max;
	PrismBatchBuilder *batch;	/* what the open row will hold; NULL until there is one */
	bool		open;			/* the last row is open */
	bool		joinable;		/* the last row is one small message: the next one may join it */

	Tuplestorestate *store;
	int64		spilled;
	bool		spilling;		/* stays set when an error came in the middle: the store is unusable */

	PrismPendingRange *ranges;
	int			range_count;
	int			range_max;
} PrismPending;

/* Read pointers of the tuplestore. */
#define PRISM_PENDING_READ_COMMIT 0
#define PRISM_PENDING_READ_SCAN 1

/* This transaction's topics with pending messages: list of PrismPending, in order of first use. */
extern List *prism_pending_topics(void);

/* 55000 when an error left the tuplestore unusable. */
extern void prism_pending_check_usable(const PrismPending *pending);

/* Make the open row, if there is one.  Before the registration: it needs memory. */
extern void prism_pending_seal(PrismPending *pending);

/* Live rows; none is open. */
extern int64 prism_pending_rows(const PrismPending *pending);

/* Take the next live row of a topic for insertion, in order; NULL at the end. Allocated in the current context if it was spilled. */
typedef struct PrismPendingCursor
{
	PrismPending *pending;
	int			pointer;		/* read pointer of the tuplestore */
	int			range;
	int64		next;			/* number of the next row */
	int64		store_at;		/* number of the next tuple in the tuplestore */
	struct TupleTableSlot *slot;
} PrismPendingCursor;

extern void prism_pending_begin(PrismPendingCursor *cursor, PrismPending *pending, int pointer);
extern HeapTuple prism_pending_fetch(PrismPendingCursor *cursor);

/* All is inserted, or the transaction is over. */
extern void prism_pending_close(void);	/* ends the tuplestores; may throw */
extern void prism_pending_forget(void); /* drops the pointers; cannot throw */

/* Set once prism's pre-commit has run: publish() after that would be lost. */
extern bool prism_pending_sealed;

#endif							/* PRISM_PENDING_H */
