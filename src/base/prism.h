/*-------------------------------------------------------------------------
 *
 * prism.h
 *	  What every file of prism may use: limits, the message, outcomes.
 *
 * No .c of its name: limits and types.
 *
 * src/base/prism.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_H
#define PRISM_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/uuid.h"

/* Kafka's own limit for the name of a topic; ours as well. */
#define PRISM_TOPIC_NAME_MAX 249
/* What librdkafka takes when it makes a topic; it gives no object for more. */
#define PRISM_PARTITIONS_MAX 100000
#define PRISM_REPLICATION_MAX 10000
#define PRISM_KEY_BYTES_MAX 65536
#define PRISM_HEADERS_BYTES_MAX (1024 * 1024)
/*
 * pg_dump writes a bytea as text, two characters a byte, and a row with all
 * its columns must stay below 1 GB there: what cannot be dumped is not taken.
 */
#define PRISM_MESSAGE_BYTES_LIMIT INT64CONST(512000000)

/* What lies beside the log is not written in one row: as much as an object store takes in 10,000 parts of 50 MB. */
#define PRISM_PAYLOAD_BYTES_LIMIT INT64CONST(500000000000)

/* How long messages may be kept: a second to a hundred years. */
#define PRISM_RETENTION_MS_MIN 1000
#define PRISM_RETENTION_MS_MAX (INT64CONST(36500) * 24 * 60 * 60 * 1000)
/* A segment takes some pages even with a single message. */
#define PRISM_RETENTION_BYTES_MIN 1000000

/*
 * A message as it is read from a log.
 *
 * The varlena fields are Datums as they lie in the segment: possibly compressed
 * or out of line; a reader that needs the bytes detoasts them.
 */
typedef struct PrismMessage
{
	int64		offset;			/* position in the topic */
	int32		remaining;		/* messages of the same transaction and topic still to come */
	TimestampTz created_at;		/* when publish() was called; the timestamp of the Kafka record */
	pg_uuid_t	id;
	bool		has_key;
	bool		has_headers;
	bool		has_payload;	/* false: a tombstone */
	bool		claim;			/* payload is a claim (store/payload/claim.h), not the bytes */
	bool		withheld;		/* on its way up: payload is empty, as it is not handed over with the message */
	Datum		key;			/* text */
	Datum		headers;		/* jsonb, a flat object of strings */
	Datum		payload;		/* bytea, or the claim to it */
} PrismMessage;

/*
 * How a step towards the outside ended.  A back end answers with one of these,
 * it never throws for what the outside did.
 */
typedef enum PrismOutcome
{
	PRISM_OK,
	PRISM_AGAIN,				/* not finished: call again when the socket or the timer says so */
	PRISM_RETRY,				/* passing fault: keep the position, back off, call again */
	PRISM_REJECT,				/* this message can never succeed: dead letter */
	PRISM_DOUBT,				/* nobody knows whether it happened: close, open anew, fence, read the position back */
	PRISM_FENCED,				/* somebody else owns the transactional id: stop unless it was ourselves */
	PRISM_STOP					/* wrong settings or rights: wait for a reload */
} PrismOutcome;

#endif							/* PRISM_H */
