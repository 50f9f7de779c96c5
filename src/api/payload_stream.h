/*-------------------------------------------------------------------------
 *
 * payload_stream.h
 *	  What payloads that come in pieces, and those out of a large object, have in common.
 *
 * src/api/payload_stream.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PAYLOAD_STREAM_H
#define PRISM_PAYLOAD_STREAM_H

#include "pattern/claim_check.h"
#include "store/log/topic.h"

/* How payloads of the topic are checked in; NULL: they are not. */
extern const PrismClaimCheckOptions *prism_stream_claim_check(PrismTopic *topic);

/* A payload of that size is in its message: what lies beside the log is larger than the threshold, or than a row of a dump may be. */
static inline bool
prism_stream_is_inline(const PrismClaimCheckOptions *options, int64 bytes)
{
	return bytes <= Min(options->threshold, PRISM_MESSAGE_BYTES_LIMIT);
}

#endif							/* PRISM_PAYLOAD_STREAM_H */
