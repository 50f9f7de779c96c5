/*-------------------------------------------------------------------------
 *
 * payload_read.h
 *	  Reading a payload back from the rows of its topic's payload segments.
 *
 * What is found are rows of transactions that have committed, and of the own
 * one (SnapshotSelf), at every isolation level: as the log is read.
 *
 * src/store/payload/payload_read.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PAYLOAD_READ_H
#define PRISM_PAYLOAD_READ_H

#include "store/log/topic.h"

#include "utils/uuid.h"

typedef struct PrismPayloadReader PrismPayloadReader;

/*
 * Read a payload from its byte 'from' on, out of the payload segments
 * first_segment .. first_segment + segments - 1.  NULL: not all of those that
 * hold bytes from there on are there any more.  They are locked against being
 * dropped until the reader is closed, which may be in another call.
 */
extern PrismPayloadReader *prism_payload_open_rows(PrismTopic *topic, const pg_uuid_t *id, int64 first_segment, int32 segments, int64 from);

/*
 * The next bytes, in order and without a gap; they are good until the next
 * call.  False at the end, or where they do not go on as they should: then
 * prism_payload_damage() says what is wrong, a clause, and nothing more comes.
 * How many bytes there should be the reader does not know: who asks for all of
 * them counts them.
 */
extern bool prism_payload_next(PrismPayloadReader *reader, const char **bytes, Size *length);
extern const char *prism_payload_damage(const PrismPayloadReader *reader);
extern void prism_payload_close(PrismPayloadReader *reader);

/* Whoever reads it in several calls keeps those that are there from being dropped in between, to the end of the transaction. */
extern void prism_payload_hold_rows(PrismTopic *topic, int64 first_segment, int32 segments);

/* Where a payload is, as far as it is written. */
typedef struct PrismPayloadExtent
{
	int64		first_segment;	/* 0: no bytes of it are there */
	int32		segments;
	int64		end;			/* behind its last byte */
} PrismPayloadExtent;

/* Sought in the payload segments from 'from_segment' to the current one: for a stream, of which no claim says it. */
extern void prism_payload_extent(PrismTopic *topic, const pg_uuid_t *id, int64 from_segment, PrismPayloadExtent *extent);

#endif							/* PRISM_PAYLOAD_READ_H */
