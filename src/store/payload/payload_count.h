/*-------------------------------------------------------------------------
 *
 * payload_count.h
 *	  How many payloads were stored, handed over and removed since the server started.
 *
 * src/store/payload/payload_count.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PAYLOAD_COUNT_H
#define PRISM_PAYLOAD_COUNT_H

#include "store/log/counter.h"

/* One was handed over with its message; whether that commits is not looked at. */
extern void prism_payload_count_retrieved(PrismCounter *counter);

/* The table of payloads, which the caller has locked, is about to be dropped, and all that it holds goes. */
extern void prism_payload_count_removed(PrismTopic *topic, int64 number);

/* So many of each. */
extern void prism_payload_counts(PrismCounter *counter, int64 *stored, int64 *retrieved, int64 *removed);

#endif							/* PRISM_PAYLOAD_COUNT_H */
