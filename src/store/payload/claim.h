/*-------------------------------------------------------------------------
 *
 * claim.h
 *	  What stands in the log in place of a large payload: whose bytes they are, and where.
 *
 * A message with a claim is a row of its own in its segment, with messages = -1
 * and the claim as its payload: who looks for claims walks rows, and opens no
 * record batch.  The format is portable, as a dump takes it elsewhere:
 *
 *		version 1, kind, encoding, flags: a byte each
 *		payload id (16 bytes), size, stored size, SHA-256 of the raw payload (32 bytes), store
 *		ROWS:	first payload segment, how many segments
 *		COPY:	source store, source payload id (16 bytes)
 *		encoded: raw bytes of a block, how many blocks, stored bytes of each
 *
 * Numbers are varints, each in its shortest form, so that one claim has one form.
 *
 * src/store/payload/claim.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_CLAIM_H
#define PRISM_CLAIM_H

#include "base/prism.h"

#define PRISM_SHA256_BYTES 32

typedef enum PrismClaimKind
{
	PRISM_CLAIM_ROWS = 1,		/* the bytes are rows of payload segments */
	PRISM_CLAIM_OBJECT,			/* an object of the store, which was there before the message */
	PRISM_CLAIM_COPY,			/* to be copied from another payload's object */
	PRISM_CLAIM_LOST			/* nobody has them any more: of a dead letter; all else may be 0, where that was lost as well */
} PrismClaimKind;

typedef enum PrismPayloadEncoding
{
	PRISM_PAYLOAD_PLAIN,
	PRISM_PAYLOAD_GZIP,
	PRISM_PAYLOAD_ZSTD,
	PRISM_PAYLOAD_LZ4
} PrismPayloadEncoding;

typedef struct PrismClaim
{
	PrismClaimKind kind;
	PrismPayloadEncoding encoding;
	bool		sha256_declared;	/* by who published it, not computed here */
	pg_uuid_t	payload_id;		/* UUID version 7; to users the claim_check_id */
	int64		size;			/* of the raw payload */
	int64		stored_size;	/* as it is stored; LOST: 0 */
	unsigned char sha256[PRISM_SHA256_BYTES];	/* of the raw payload */
	int32		store_id;		/* number in prism.store */

	/* ROWS: the payload segments that hold rows of it */
	int64		first_segment;
	int32		segments;

	/* COPY */
	int32		source_store_id;
	pg_uuid_t	source_payload_id;

	/* encoded */
	int32		block_bytes;	/* raw bytes of each block but the last */
	int32		block_count;
	int64	   *block_stored;	/* stored bytes of each block */
} PrismClaim;

/* In the current memory context. */
extern bytea *prism_claim_write(const PrismClaim *claim);

/*
 * NULL, or a clause that says what is wrong with the bytes, which anybody may
 * have written; then nothing of the claim is to be believed.  Never throws for
 * what they say; block_stored is palloc'd.
 */
extern const char *prism_claim_read(PrismClaim *claim, const void *bytes, Size length);

#endif							/* PRISM_CLAIM_H */
