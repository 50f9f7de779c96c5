/*-------------------------------------------------------------------------
 *
 * payload_end.h
 *	  Payload segments come to their end: left for the next one, sealed, dropped.
 *
 * src/store/payload/payload_end.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PAYLOAD_END_H
#define PRISM_PAYLOAD_END_H

#include "store/log/topic.h"

/* When payloads go before their messages do. */
typedef struct PrismPayloadCleanup
{
	bool		on_consume;		/* all consumer groups have finished the message, if there is one */
	int64		ttl_ms;			/* the message is older; 0: that does not matter */
} PrismPayloadCleanup;

/*
 * The maintainer's turn with one payload segment of a topic, in a transaction of
 * its own: it is left, or sealed, or dropped with the messages that needed it.
 * Never waits for others.  True: it was sealed, and may be dropped.
 */
extern bool prism_payload_tend(PrismTopic *topic, int64 number);

/* Likewise with all of a topic that has such a cleanup, one of which is dropped at most.  True: one was, and there may be more. */
extern bool prism_payload_clean(PrismTopic *topic, const PrismPayloadCleanup *cleanup);

/* No message below has its payload any more: as the catalogue has it now. */
extern int64 prism_payload_cleaned(const PrismTopic *topic);

/* Of PrismLogHolder. */
extern int64 prism_payload_bytes(PrismTopic *topic, int64 from, bool open);
extern void prism_payload_drop_all(int32 topic_id);

/* Drop a table of a topic that is gone, unless somebody has it locked or a restore has not come to it yet. */
extern void prism_payload_drop_left(int32 topic_id, int64 number);

#endif							/* PRISM_PAYLOAD_END_H */
