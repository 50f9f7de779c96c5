/*-------------------------------------------------------------------------
 *
 * claim_check.h
 *	  The options of the claim check, as prism.topic.chain has them.
 *
 * src/pattern/claim_check.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_CLAIM_CHECK_H
#define PRISM_CLAIM_CHECK_H

#include "pattern/pattern.h"
#include "store/payload/claim.h"

/* When payloads go that were consumed, or are old. */
typedef enum PrismCleanup
{
	PRISM_CLEANUP_ON_CONSUME,
	PRISM_CLEANUP_TTL,
	PRISM_CLEANUP_RETENTION,
	PRISM_CLEANUP_NEVER
} PrismCleanup;

typedef enum PrismOnFull
{
	PRISM_ON_FULL_WARN,
	PRISM_ON_FULL_REJECT
} PrismOnFull;

typedef struct PrismClaimCheckOptions
{
	int32		store_id;		/* where payloads go; 0: nowhere, as of a link that only reads */
	int64		threshold;		/* larger ones are checked in */
	PrismPayloadEncoding encoding;
	PrismCleanup cleanup;
	int64		ttl_ms;			/* of on_consume and ttl */
	const char *metadata_field; /* the header that has the payload's id */
	int64		pending_max;	/* bytes that wait beside the log; 0: as many as there are */
	PrismOnFull on_full;
} PrismClaimCheckOptions;

#endif							/* PRISM_CLAIM_CHECK_H */
