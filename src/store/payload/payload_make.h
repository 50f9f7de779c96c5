/*-------------------------------------------------------------------------
 *
 * payload_make.h
 *	  A payload that was handed to publish(), as rows of payload segments and a claim to them.
 *
 * src/store/payload/payload_make.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PAYLOAD_MAKE_H
#define PRISM_PAYLOAD_MAKE_H

#include "store/log/topic.h"
#include "store/payload/claim.h"

/*
 * Write a payload and fill in the claim to it, in the current memory context.
 * The bytes are taken from where they lie: from memory, or, where the argument
 * is out of line and not compressed, a piece at a time, so that there is never
 * a further copy of the whole.  As prism_payload_begin() does, it may wait for
 * a payload segment.
 */
extern void prism_payload_make(PrismTopic *topic, int32 store_id, const pg_uuid_t *id, PrismPayloadEncoding encoding,
							   Datum payload, PrismClaim *claim);

/* The payload's bytes from 'from' on, which are asked for in order; good until the next call. */
typedef const char *(*PrismPayloadSource) (void *source, int64 from, Size length);

/* Likewise of a payload that comes from elsewhere, 'size' bytes of it. */
extern void prism_payload_make_from(PrismTopic *topic, int32 store_id, const pg_uuid_t *id, PrismPayloadEncoding encoding,
									int64 size, PrismPayloadSource bytes_of, void *source, PrismClaim *claim);

/* It is out of line and not compressed: it need never be fetched as a whole. */
extern bool prism_payload_comes_in_pieces(const struct varlena *payload);

#endif							/* PRISM_PAYLOAD_MAKE_H */
