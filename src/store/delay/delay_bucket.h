/*-------------------------------------------------------------------------
 *
 * delay_bucket.h
 *	  Buckets: delayed messages in the order of time, one table for a span of it.
 *
 * A bucket is prism_log.delayed_<number>, with one index: topic, due time,
 * position in the journal.  How long its span is depends on how far ahead a
 * message is due when it is sorted: an hour within the next day, a day within
 * two months, a month within five years, and one bucket for what is later
 * still.  So there are at most some 150, spans of different length overlap, and
 * what has been delivered goes within the hour or day in which it was due.
 *
 * Only the scheduler writes buckets; it retires a bucket that is past, and the
 * maintainer drops it.
 *
 * src/store/delay/delay_bucket.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_DELAY_BUCKET_H
#define PRISM_DELAY_BUCKET_H

#include "store/delay/delay_state.h"

#include "nodes/pg_list.h"

typedef struct PrismDelaySpan
{
	TimestampTz from;
	TimestampTz to;				/* first time after it; DT_NOEND: for ever */
} PrismDelaySpan;

typedef struct PrismDelayBucket
{
	int32		bucket_id;
	PrismDelaySpan span;
	bool		made;			/* since they were loaded: by the transaction of now, perhaps */
} PrismDelayBucket;

/* The span of the bucket that a message belongs to which is due at 'due_at' and sorted at 'now'. */
extern PrismDelaySpan prism_delay_span(TimestampTz due_at, TimestampTz now);

/* All buckets that are not retired: list of PrismDelayBucket, oldest first, in the current memory context. */
extern List *prism_delay_buckets(void);

/* Make a bucket (DDL, as the extension's owner), in this transaction. Returns its number. */
extern int32 prism_delay_bucket_create(PrismDelaySpan span);

/* Nothing in a bucket waits, nor will. */
extern void prism_delay_bucket_retire(int32 bucket_id);

/*
 * So many messages of the topic are not found in the bucket.  True: the owner
 * has said that they are gone, and from now on it is noted that they are no
 * longer waited for.
 */
extern bool prism_delay_write_off(int32 bucket_id, int32 topic_id, int64 messages);

/* The bucket has rows of the topic that nobody waited for: it stays until somebody has looked at them. */
extern void prism_delay_bucket_keep(int32 bucket_id, int32 topic_id);

/* Go from a retired bucket of which prism.delay_lost knows nothing to the next one; 0 is before the first.  False: there is none. */
extern bool prism_delay_bucket_next_retired(int32 *bucket_id);

/* Drop one of them, unless somebody reads it or a restore has not come to it yet. */
extern void prism_delay_bucket_drop(int32 bucket_id);

/* Filling; a writer belongs to this transaction. */
typedef struct PrismDelayWriter PrismDelayWriter;

extern PrismDelayWriter *prism_delay_writer_open(int32 bucket_id);
extern void prism_delay_writer_put(PrismDelayWriter *writer, int32 topic_id, PrismDelayPlace place,
								   const PrismMessage *message);
extern void prism_delay_writer_close(PrismDelayWriter *writer);

/* Lock a bucket, and what belongs to it, as who reads or fills it does; false: somebody else has some of it locked. */
extern bool prism_delay_bucket_is_free(int32 bucket_id, LOCKMODE mode);

/*
 * A topic's messages in a bucket behind a place, in order, those put by this
 * transaction included.  A message is valid until the next call; its Datums may
 * be toasted.
 */
typedef struct PrismDelayScan PrismDelayScan;

extern PrismDelayScan *prism_delay_scan_open(int32 bucket_id, int32 topic_id, PrismDelayPlace behind);
extern bool prism_delay_scan_next(PrismDelayScan *scan, PrismDelayPlace *place, PrismMessage *message);
extern void prism_delay_scan_close(PrismDelayScan *scan);

#endif							/* PRISM_DELAY_BUCKET_H */
