/*-------------------------------------------------------------------------
 *
 * queue.h
 *	  The role of a queue: messages in order per key, and the position beside them.
 *
 * No .c of its name: an interface, behind which are the libraries.
 *
 * src/backend/queue.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_QUEUE_H
#define PRISM_QUEUE_H

#include "backend/backend.h"

/* Where the messages of one topic go. */
typedef struct PrismQueueTarget
{
	const char *name;			/* the Kafka topic */
	const char *position_id;	/* the Kafka group under which the position is kept */
	int			partitions;		/* wanted; 0: the broker's default when the topic has to be made, else as many as it has */
	int			replication;	/* wanted when the topic has to be made; 0: the broker's default */
	int64		message_bytes_max;
} PrismQueueTarget;

/* What the other side has made of a target; 0: not known, as it does not tell. */
typedef struct PrismQueueShape
{
	int			partitions;
	int			replication;
	int64		message_bytes_max;	/* of a record, with all that is around the payload */
} PrismQueueShape;

/* What became of one sent message. */
typedef struct PrismReceipt
{
	uint64		tag;			/* as given to send() */
	PrismOutcome outcome;		/* OK, RETRY, REJECT, STOP */
	int			code;			/* the back end's own error code, 0 when OK */
} PrismReceipt;

/*
 * A queue: messages in order per key.
 *
 * Without a transactional id: prepare, then send and collect.  A message may
 * arrive twice after a crash, never out of order within its key.  When one is
 * rejected, what followed it in its partition is not accepted either (RETRY)
 * and the connection is in doubt: collect until every message has its receipt,
 * open anew, and send those without an OK again, in order.
 *
 * With one: fence once after open, prepare and position_read for each target,
 * then rounds of begin, send and collect, commit (or abort).  The position
 * travels inside the transaction.  When a receipt or commit says RETRY, REJECT
 * or STOP, the transaction can only be aborted.
 *
 * One that has no transactions (PrismBackendInfo.transactional) leaves fence,
 * position_read, position_write, begin, commit and abort NULL.
 *
 * After PRISM_DOUBT or PRISM_FENCED, or when conn->doubt is set, from any call:
 * close, open anew, fence, read the position back.  conn->doubt is looked at
 * after commit too: what commit said counts only without it.
 *
 * While an operation answers PRISM_AGAIN, collect() has to go on: some of them
 * (commit, abort) end only when the receipts were taken.
 */
typedef struct PrismQueueOps
{
	/*
	 * A new connection in 'mcxt'; returns at once, does not wait for the network.
	 * transactional_id: NULL for an idempotent producer.  NULL is returned
	 * (and *error filled) when the options are refused by the library.
	 */
	PrismConn  *(*open) (const PrismServer *server, const char *transactional_id,
						 MemoryContext mcxt, char *error);

	/*
	 * The target exists (it is made when absent) and can take messages.  May
	 * answer PRISM_DOUBT once: what it learned needs another connection.  With
	 * PRISM_OK *shape says how the target is; the keys are spread over so many
	 * partitions, whatever the other side adds to them, until reshape() or the
	 * next connection's prepare().
	 */
	PrismOutcome (*prepare) (PrismConn *conn, const PrismQueueTarget *target, PrismQueueShape *shape);

	/* How the target is by now, while messages are under way.  Nothing changes. */
	PrismOutcome (*look) (PrismConn *conn, const PrismQueueTarget *target, PrismQueueShape *shape);

	/*
	 * Nothing of the target is under way, so that keys can move: give it as many
	 * partitions as are wanted, if it has fewer, and use all that it has by then.
	 * Can be asked for again after it was cut off anywhere.  Otherwise than with
	 * PRISM_OK it has fewer than are wanted, conn->error says why, and sending
	 * goes on: *shape is filled as far as the other side has answered.
	 *
	 * look and reshape are NULL where a target has no partitions.
	 */
	PrismOutcome (*reshape) (PrismConn *conn, const PrismQueueTarget *target, PrismQueueShape *shape);

	/*
	 * Own the transactional id from here on: everybody before us is fenced.
	 * After RETRY call again on the same connection: the attempt goes on, and
	 * on another one it could be overtaken by its own predecessor.
	 */
	PrismOutcome (*fence) (PrismConn *conn);

	/*
	 * The position kept at the outside: the first offset that is not there.
	 * -1: none kept.  metadata (at least PRISM_ERROR_BYTES; longer ones are cut)
	 * is what commit() stored beside it.  Waits out open transactions of other
	 * producers.  prepare() comes first.
	 */
	PrismOutcome (*position_read) (PrismConn *conn, const PrismQueueTarget *target,
								   int64 *position, char *metadata);

	/* Store the position without a message (re-commit of an idle group; outside of a transaction). */
	PrismOutcome (*position_write) (PrismConn *conn, const PrismQueueTarget *target,
									int64 position, const char *metadata);

	PrismOutcome (*begin) (PrismConn *conn);

	/*
	 * Copy the message into the send queue.  PRISM_AGAIN: the queue is full,
	 * nothing was taken: collect, then call again.  PRISM_REJECT: known to be
	 * refused, nothing was taken, nothing else is harmed.  The id header is
	 * added here.
	 *
	 * The message's values are not out of line (there is no transaction to fetch
	 * them in); they may be compressed.  tag comes back in the receipt.
	 */
	PrismOutcome (*send) (PrismConn *conn, const PrismQueueTarget *target,
						  const PrismMessage *message, uint64 tag);

	/*
	 * Receipts that have come in, in any order across keys, each once; also
	 * takes in the library's errors and log lines.
	 *
	 * REJECT says that this message *or one that travelled with it* can never
	 * succeed: only a message that was sent alone and rejected is to blame.
	 */
	int			(*collect) (PrismConn *conn, PrismReceipt *receipts, int receipts_max);

	/* What the code of a receipt for this target means, in PRISM_ERROR_BYTES: conn->error may be about a later one. */
	void		(*explain) (PrismConn *conn, const PrismQueueTarget *target, int code, char *text);

	/*
	 * Drop what is queued and not yet on the wire; receipts (RETRY) come for
	 * each.  Outside of a transaction the connection is in doubt from then on:
	 * what is sent again must not overtake what is on the wire.
	 */
	void		(*purge) (PrismConn *conn);

	/*
	 * Position (always >= 0) and metadata go into the transaction, then it is
	 * committed.  Takes effect only after a receipt came for each message.
	 */
	PrismOutcome (*commit) (PrismConn *conn, const PrismQueueTarget *target,
							int64 position, const char *metadata);
	PrismOutcome (*abort) (PrismConn *conn);
} PrismQueueOps;

#endif							/* PRISM_QUEUE_H */
