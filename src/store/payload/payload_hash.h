/*-------------------------------------------------------------------------
 *
 * payload_hash.h
 *	  SHA-256 of a payload, taken while its bytes pass.
 *
 * src/store/payload/payload_hash.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PAYLOAD_HASH_H
#define PRISM_PAYLOAD_HASH_H

#include "store/payload/claim.h"

/*
 * A hash in the making.  It lives as long as the memory context in which it was
 * begun, longer than the transaction if that does, and goes with it.
 */
typedef struct PrismPayloadHash PrismPayloadHash;

extern PrismPayloadHash *prism_payload_hash_begin(void);
extern void prism_payload_hash_add(PrismPayloadHash *hash, const void *bytes, Size length);
/* The hash, which is used up and freed. */
extern void prism_payload_hash_finish(PrismPayloadHash *hash, unsigned char sha256[PRISM_SHA256_BYTES]);
extern void prism_payload_hash_drop(PrismPayloadHash *hash);

/* Of bytes that are there as a whole. */
extern void prism_payload_sha256(const void *bytes, Size length, unsigned char sha256[PRISM_SHA256_BYTES]);

#endif							/* PRISM_PAYLOAD_HASH_H */
