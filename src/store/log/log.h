/*-------------------------------------------------------------------------
 *
 * log.h
 *	  A topic's log: what a transaction will append, and the one reader.
 *
 * No .c of its name: it is the face of pending.c, append.c, published.c and reader.c.
 *
 * src/store/log/log.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_LOG_H
#define PRISM_LOG_H

#include "store/log/topic.h"

#include "access/xlogdefs.h"

/*
 * Appending (pending.c, append.c).
 *
 * prism_log_append() keeps the message in this backend until the transaction
 * commits; offset and remaining are filled in then.  A savepoint that is
 * rolled back takes its messages along.
 */
extern void prism_log_append(PrismTopic *topic, const PrismMessage *message);

/* Whether that can be done now: 25006, 25000, 55000. For who has much to do before it. */
extern void prism_log_check_may_publish(void);

/* Of the message that was appended last: the commit that has it is flushed before it returns; it is one of those that an outbox counts; so many bytes of its payload lie beside the log. */
extern void prism_log_flush_commit(PrismTopic *topic);
extern void prism_log_count_inserted(PrismTopic *topic);
extern void prism_log_count_payload(PrismTopic *topic, int64 bytes);

/* Messages of this transaction, in order; for prism.outbox. Returns false at the end. */
typedef struct PrismPendingScan PrismPendingScan;
extern PrismPendingScan *prism_pending_scan(PrismTopic *topic);
extern bool prism_pending_next(PrismPendingScan *scan, PrismMessage *message);

/* Forget what this transaction would publish to a topic that it drops. */
extern void prism_pending_discard(int32 topic_id);

/* This transaction has something to publish. */
extern bool prism_log_has_pending(void);

/*
 * What the last committed transaction of this session published; with
 * 'of_users' the last one that published to a topic of a user, if it was under
 * the role that the session has now.
 */
typedef struct PrismLastPosition
{
	int32		topic_id;
	int64		first;
	int64		last;
} PrismLastPosition;

extern int	prism_log_last_positions(bool of_users, const PrismLastPosition **positions);
extern void prism_log_forget_last_positions(void);

/* published.c: a commit notes what it publishes, begin() first; keep() when it has committed, which cannot throw. */
extern void prism_published_begin(int topics);
extern void prism_published_add(int32 topic_id, int64 first, int64 last_offset, bool of_user);
extern void prism_published_keep(void);

/* Transaction callbacks: see PrismModule. */
extern void prism_log_pre_commit(bool gone);	/* gone: the extension was dropped, and with it all topics */
extern void prism_log_pre_prepare(void);
extern void prism_log_prepared(void);
extern void prism_log_give_back(void);	/* before an error that ends the transaction is sent; cannot throw */
extern void prism_log_end(bool committed);	/* cannot throw */
extern void prism_log_subcommit(int nest_level);
extern void prism_log_subabort(int nest_level);

/*
 * Reading (reader.c): the one function through which everything reads.
 *
 * Opening takes the stable offset once; the reader returns the messages from
 * 'from' up to it, exact at every isolation level (SnapshotSelf).  Needs a
 * transaction and, for payloads out of line, an active snapshot.  A message is
 * valid until the next call; its Datums may be toasted.
 */
typedef struct PrismReader PrismReader;

extern PrismReader *prism_reader_open(PrismTopic *topic, int64 from);
/* A message that is damaged is an error, XX001, that tells the way past it. */
extern bool prism_reader_next(PrismReader *reader, PrismMessage *message);

/*
 * The same for those who want to know what is there, or who must not be
 * stopped by one topic: never throws for what a row says.  After a message that
 * is damaged, prism_reader_damage() says how, and of the message itself there is
 * the offset alone, and the time, or 0; the reader goes on behind its row.
 */
extern bool prism_reader_look(PrismReader *reader, PrismMessage *message);
extern const char *prism_reader_damage(const PrismReader *reader);	/* a clause; NULL: the last message is good */
extern void prism_reader_refuse(const PrismReader *reader);	/* the error of prism_reader_next() */
extern void prism_reader_warn(const PrismReader *reader, const char *consequence);	/* as a warning, and a sentence more */
/* The message that was returned last is damaged as well, as who opened its values found: a clause that lives on. */
extern void prism_reader_set_damage(PrismReader *reader, const PrismMessage *message, const char *damage);
extern char *prism_reader_tell_damage(const PrismReader *reader);	/* as what stops a sink */
extern void prism_reader_close(PrismReader *reader);

/* From now on it ends with the segment that it has open: what lies behind is not worth waiting for. */
extern void prism_reader_stay(PrismReader *reader);

/* A value of a row that is neither compressed nor out of line: itself, or palloc'd. NULL: it is damaged, where PostgreSQL would throw. */
extern struct varlena *prism_log_value(Datum stored);
/* Likewise, but what is compressed stays so, and nobody looks whether it is sound. */
extern struct varlena *prism_log_value_inline(Datum stored);

/* Where the next reader goes on: after the last message returned, or the stable offset when all were. */
extern int64 prism_reader_position(const PrismReader *reader);
extern int64 prism_reader_stable(const PrismReader *reader);

/* WAL up to here must be flushed before anything read may leave the server (XLogFlush). */
extern XLogRecPtr prism_reader_flush_to(const PrismReader *reader);

/* The position of the first message kept, or the stable offset of an empty topic. */
extern int64 prism_log_earliest(PrismTopic *topic);
extern int64 prism_log_stable(PrismTopic *topic);

/* Something at the position or after it was dropped by retention (log_gap.c). */
extern bool prism_log_lost(PrismTopic *topic, int64 position);
/* 55000, naming the first position kept, when that is so; 'group' is whose position it is, or NULL. */
extern void prism_log_refuse_lost(PrismTopic *topic, int64 position, const char *group);

/*
 * The position of the first message that was published at 'at' or later, or the
 * stable offset.  Times of publish() do not quite ascend (log_time.c): behind a
 * transaction that took more than a minute from there to its commit, earlier
 * ones may be found instead of the first.
 */
extern int64 prism_log_at_time(PrismTopic *topic, TimestampTz at);

#endif							/* PRISM_LOG_H */
