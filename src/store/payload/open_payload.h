/*-------------------------------------------------------------------------
 *
 * open_payload.h
 *	  Pins: payloads that no message of their topic's log names yet.
 *
 * A stream that is not published yet, and a message for later whose payload lies
 * in payload segments, are named from outside of the log.  As long as they have a
 * row in prism.open_payload, no payload segment from the pin's first one on is
 * sealed, up to its last one where that is known: a stream may go on, a message
 * for later is whole and holds no segment behind it, however long it waits.
 *
 * A pin is made in a transaction that ends after its payload's first segment was
 * read as the current one, and it is deleted in the transaction that publishes
 * the message to the log, or gives the payload up: in this way whoever seals a
 * segment finds the pin, or finds the lock of the transaction that writes, or
 * finds the message's offset taken.
 *
 * src/store/payload/open_payload.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_OPEN_PAYLOAD_H
#define PRISM_OPEN_PAYLOAD_H

#include "store/log/topic.h"

#include "utils/uuid.h"

typedef enum PrismOpenPayloadKind
{
	PRISM_OPEN_STREAM = 's',
	PRISM_OPEN_DELAYED = 'd'
} PrismOpenPayloadKind;

typedef struct PrismOpenPayload
{
	pg_uuid_t	id;
	int32		topic_id;
	int64		segment_first;	/* no bytes of it lie before */
	PrismOpenPayloadKind kind;
	TimestampTz expires_at;		/* 0: never */
	bool		mine;			/* the current role has made it, or is its topic's owner */
} PrismOpenPayload;

/*
 * Pin a payload from segment_first on; 0: from the topic's current payload
 * segment on.  It is of the current role.  23505: the id is pinned already.
 */
extern void prism_open_payload_insert(PrismTopic *topic, const pg_uuid_t *id, int64 segment_first,
									  PrismOpenPayloadKind kind, TimestampTz expires_at);

/* As it is now.  False: there is none. */
extern bool prism_open_payload_find(const pg_uuid_t *id, PrismOpenPayload *found);

/*
 * Take the pin away, with this transaction: waits for another one that does.
 * False: there is none, or it is gone by now.
 */
extern bool prism_open_payload_delete(const pg_uuid_t *id);

/* Segment 'number' of the topic may hold bytes of a payload that is pinned. */
extern bool prism_open_payload_holds(int32 topic_id, int64 number);

/* For the maintainer: delete the pins of streams that have expired and that nobody has locked; how many. */
extern int64 prism_open_payload_expire(void);

/* All of a topic that is being dropped. */
extern void prism_open_payload_drop_all(int32 topic_id);

#endif							/* PRISM_OPEN_PAYLOAD_H */
