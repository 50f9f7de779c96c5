/*-------------------------------------------------------------------------
 *
 * held_stream.h
 *	  Streams of payload that this session writes: found and locked, with what is known of their bytes.
 *
 * Any number of sessions and transactions may append to a stream, one after the
 * other: whoever does has its lock to the end of his (sub)transaction.  What is
 * known of it is kept with it, so that a COPY of small pieces looks it up once:
 *
 * - where it ends: good in the very subtransaction that asked, as others see
 *	 savepoints come and go;
 * - the SHA-256 of its first bytes: good as long as none of the transactions and
 *	 savepoints is rolled back in which they were written.  Else, and when
 *	 another session has appended, the bytes are read once more at the end.
 *
 * src/api/held_stream.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_HELD_STREAM_H
#define PRISM_HELD_STREAM_H

#include "store/log/topic.h"
#include "store/payload/payload_hash.h"

#include "utils/uuid.h"

typedef struct PrismHeldStream
{
	pg_uuid_t	id;

	/* Asked in this subtransaction, of this transaction, by this role; 0: not any more. */
	LocalTransactionId transaction;
	SubTransactionId subtransaction;
	Oid			role;
	PrismTopic *topic;
	int64		segment_first;	/* no bytes of it lie before */
	int64		end;
	bool		expired;

	PrismPayloadHash *hash;		/* of the first 'hashed' bytes; NULL: nobody has it */
	int64		hashed;
	int			hashed_at;		/* nest level at which bytes went into it in this transaction; 0: none did */
	uint64		used;			/* when: the one that was not used longest makes room */
} PrismHeldStream;

/*
 * Find a stream, and lock it.  42501: the current role may not publish to its
 * topic, or has not opened it; the extension's owner and superusers may have any,
 * as roles have other numbers after a restore.  42704: there is none of the id, as
 * it was published, discarded or given up.
 */
extern PrismHeldStream *prism_held_stream(const pg_uuid_t *id);

/* NULL instead of 42704; also one that has expired. */
extern PrismHeldStream *prism_held_stream_if_any(const pg_uuid_t *id);

/* Bytes were written at its end. */
extern void prism_held_stream_add(PrismHeldStream *stream, const void *bytes, Size length);

/* The SHA-256 of all its bytes, if this session has it. */
extern bool prism_held_stream_hash(PrismHeldStream *stream, unsigned char sha256[PRISM_SHA256_BYTES]);

/* Take away what pins it; 42704 when it has just been given up. */
extern void prism_held_stream_take(PrismHeldStream *stream);

/* It was published or discarded. */
extern void prism_held_stream_forget(PrismHeldStream *stream);

/* The ends of transactions: see PrismModule. */
extern void prism_held_streams_prepared(void);
extern void prism_held_streams_end(bool committed);
extern void prism_held_streams_subcommit(int nest_level);
extern void prism_held_streams_subabort(int nest_level);

#endif							/* PRISM_HELD_STREAM_H */
