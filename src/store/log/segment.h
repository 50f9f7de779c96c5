/*-------------------------------------------------------------------------
 *
 * segment.h
 *	  Segments: ordinary tables in schema prism_log, each for a fixed range of offsets.
 *
 * offset / segment_messages is the number of the segment, so an offset's
 * segment never changes and rolling to the next has no race.  DDL never
 * happens in a publisher's commit: the maintainer keeps one segment ahead, and
 * publishers that find none wait for it a short while.
 *
 * src/store/log/segment.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SEGMENT_H
#define PRISM_SEGMENT_H

#include "store/log/topic.h"

#include "access/tupdesc.h"
#include "utils/relcache.h"

/* Columns of a segment, in their physical order: what is patched at commit comes first. */
enum
{
	PRISM_COLUMN_OFFSET = 1,
	PRISM_COLUMN_CREATED_AT,
	PRISM_COLUMN_REMAINING,
	PRISM_COLUMN_MESSAGES,		/* more than one: payload is a record batch (record_batch.h); or PRISM_MESSAGES_CLAIM */
	PRISM_COLUMN_ID,
	PRISM_COLUMN_KEY,
	PRISM_COLUMN_HEADERS,
	PRISM_COLUMN_PAYLOAD,
	PRISM_SEGMENT_COLUMNS = PRISM_COLUMN_PAYLOAD
};

/* One message, whose payload is a claim (store/payload/claim.h): who looks for those looks at this column alone. */
#define PRISM_MESSAGES_CLAIM (-1)

/* The row type of every segment; lives as long as the backend. */
extern TupleDesc prism_segment_descriptor(void);

/* Somebody may have altered a table of ours: who writes or reads what it is not would do so beyond its rows' ends. */
extern bool prism_has_columns(Relation heap, TupleDesc wanted);
extern bool prism_is_segment(Relation heap);
/* 55000: it has not the columns of a segment. */
pg_noreturn extern void prism_segment_refuse(Relation heap);

/* The table of a segment and its unique index on offset, or InvalidOid. */
extern Oid	prism_segment_relid(PrismTopic *topic, int64 segment_number, Oid *index_relid);
/* The table alone: a restore makes it long before its index. */
extern Oid	prism_segment_table(PrismTopic *topic, int64 segment_number);

/* The smallest existing segment number >= from, or -1. */
extern int64 prism_segment_next(int32 topic_id, int64 from);
/* The largest existing segment number <= to, or -1. */
extern int64 prism_segment_before(int32 topic_id, int64 to);
/* The largest existing segment number, or -1. */
extern int64 prism_segment_last(int32 topic_id);
/* The first offset of what is kept. */
extern int64 prism_segment_kept_from(const PrismTopic *topic);

/* The first offset after the last message of a segment, dead ones included; -1: it has none. */
extern int64 prism_segment_end(PrismTopic *topic, int64 segment_number);
/* The same of those that begin below an offset, without dead ones: all of them are to be settled. */
extern int64 prism_segment_end_below(PrismTopic *topic, int64 segment_number, int64 below);

/* Messages of [from, to), which lies in one segment and is settled: counted in its rows. */
extern int64 prism_segment_count(PrismTopic *topic, int64 from, int64 to);

/* By when a segment's messages were committed, whenever they were published. */
typedef struct PrismSegmentAge
{
	bool		used;			/* it has rows */
	TimestampTz begun_at;		/* the first one was not committed before */
} PrismSegmentAge;

/* When all of a segment's messages were committed, as the catalogue says; 0: not yet, as far as is known. */
extern TimestampTz prism_segment_settled_at(int32 topic_id, int64 segment_number);

extern void prism_segment_age(PrismTopic *topic, int64 segment_number, PrismSegmentAge *age);

/* All offsets of the segments below that number are settled by now: their age counts from the first call that says so. */
extern void prism_segment_note_settled(int32 topic_id, int64 below);

/* Make a segment (DDL, as the extension's owner), in its transaction. False: it was there. */
extern bool prism_segment_create(PrismTopic *topic, int64 segment_number);

/* What its table is called: of schema prism_log, in a buffer of NAMEDATALEN. */
extern char *prism_segment_name(char *name, int32 topic_id, int64 segment_number);

/* Segments that one transaction drops: 256 locks of the 6,400 that a server has as it comes. */
#define PRISM_SEGMENTS_A_TRANSACTION 64

/* Drop a segment, or what is left of it; the caller has set lock_timeout. */
extern void prism_segment_drop(int32 topic_id, int64 segment_number);

/*
 * Drop all segments of a topic that is being dropped.  A transaction has room
 * for the locks of so many tables only: with more, the rest is left to the
 * maintainer, who finds them marked.
 */
extern void prism_segments_drop_all(int32 topic_id);

/* Go from one of those left behind to the next one; (0, 0) is before the first.  False: there is none. */
extern bool prism_segment_next_left(int32 *topic_id, int64 *segment_number);

/* Drop one of them, unless somebody has it locked or a restore has not come to it yet. */
extern void prism_segment_drop_left(int32 topic_id, int64 segment_number);

/* Before the extension is dropped, which locks all that is left: wait for the maintainer, outside of a transaction block and for a minute at most. */
extern void prism_segments_await_dropped(void);

#endif							/* PRISM_SEGMENT_H */
