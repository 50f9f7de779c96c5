/*-------------------------------------------------------------------------
 *
 * payload_segment.h
 *	  Payload segments: the tables that hold payloads which lie beside the log.
 *
 * The bytes of such a payload are written in publish(), long before anybody
 * knows the offset of its message, so payload segments have numbers of their
 * own, from 1.  A row holds as many bytes as fill a page, and is found by the
 * payload's id and where its bytes begin.
 *
 * A topic has one that is current: who writes a payload opens it, looks whether
 * it still is the current one now that he holds the lock, and keeps the lock to
 * the end of his transaction.  So when the maintainer has made the next one and
 * then gets ShareLock on a former one, all who wrote there have ended: what
 * their messages are has offsets below the counter as it is then, unless it is
 * pinned from outside of the log (open_payload.h).  That offset is kept as
 * sealed_end, and when no message below it needs its payload any more, the table
 * goes.
 *
 * src/store/payload/payload_segment.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PAYLOAD_SEGMENT_H
#define PRISM_PAYLOAD_SEGMENT_H

#include "store/log/topic.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "utils/relcache.h"

/* Columns of a payload segment. */
enum
{
	PRISM_PIECE_PAYLOAD_ID = 1,
	PRISM_PIECE_AT,				/* where its bytes begin in the payload */
	PRISM_PIECE_BYTES,
	PRISM_PIECE_COLUMNS = PRISM_PIECE_BYTES
};

/* Bytes of a payload that a row holds: with its header, id and place they fill a page. */
#define PRISM_PIECE_BYTES_MAX \
	((int) (MaxHeapTupleSize - MAXALIGN(SizeofHeapTupleHeader) - sizeof(pg_uuid_t) - sizeof(int64) - VARHDRSZ))

/* A row of prism.payload_segment. */
typedef struct PrismPayloadSegment
{
	int64		number;			/* 0: there is none */
	int32		store_id;		/* all of its payloads belong to this store */
	TimestampTz created_at;
	int64		sealed_end;		/* messages that name it have offsets below; -1: not sealed yet */
} PrismPayloadSegment;

/* The row type of all of them; lives as long as the backend. */
extern TupleDesc prism_payload_segment_descriptor(void);

/* Somebody may have altered the table: see prism_is_segment(). */
extern bool prism_is_payload_segment(Relation heap);
/* 55000: it has not the columns of a payload segment. */
pg_noreturn extern void prism_payload_segment_refuse(Relation heap);

/* What its table is called: of schema prism_log, in a buffer of NAMEDATALEN. */
extern char *prism_payload_segment_name(char *name, int32 topic_id, int64 number);
/* Its table, or InvalidOid. */
extern Oid	prism_payload_segment_relid(int32 topic_id, int64 number);

/* The first one of a topic from that number on, the last one up to it: as the catalogue has them now. */
extern PrismPayloadSegment prism_payload_segment_from(int32 topic_id, int64 number);
extern PrismPayloadSegment prism_payload_segment_to(int32 topic_id, int64 number);

/* Make the one behind the last one (DDL, as the extension's owner): returns its number.  Others use it when it is committed and made current. */
extern int64 prism_payload_segment_create(int32 topic_id, int32 store_id);

/* Drop one, or what is left of it, with its row; the caller has locked it. */
extern void prism_payload_segment_drop(int32 topic_id, int64 number);

#endif							/* PRISM_PAYLOAD_SEGMENT_H */
