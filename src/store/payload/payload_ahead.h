/*-------------------------------------------------------------------------
 *
 * payload_ahead.h
 *	  The payload segment that is written to: found, or asked for and awaited.
 *
 * src/store/payload/payload_ahead.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PAYLOAD_AHEAD_H
#define PRISM_PAYLOAD_AHEAD_H

#include "store/log/topic.h"

#include "utils/relcache.h"

/*
 * Open the topic's current payload segment for writing, and lock it to the end
 * of the transaction; waits for the maintainer to make one of the store, 53000
 * with a hint after prism's patience.  That of a topic that the transaction has
 * made is made here.  Not in the callbacks of a commit.
 */
extern Relation prism_payload_open_current(PrismTopic *topic, int32 store_id, int64 *number);

/* The number of the current one, 0 if there is none: nobody begins to write to one with a smaller number any more. */
extern int64 prism_payload_current(PrismTopic *topic);

/* It is full, or old: the maintainer shall make the next one, of this store. */
extern void prism_payload_want_next(PrismTopic *topic, int64 number, int32 store_id);

/* For the maintainer: one is wanted. */
extern bool prism_payload_is_wanted(PrismTopic *topic);

/* What the maintainer tells the others when it has committed. */
typedef struct PrismPayloadMade
{
	struct PrismCounter *counter;
	Oid			mark_relid;		/* whose counter that was */
	int64		number;
	int32		store_id;
} PrismPayloadMade;

/* Make the one that is wanted, in this transaction.  False: none is. */
extern bool prism_payload_make_wanted(PrismTopic *topic, PrismPayloadMade *made);

/* It is there: make it the current one, and wake who waits.  The topic may be gone by now. */
extern void prism_payload_made(const PrismPayloadMade *made);

#endif							/* PRISM_PAYLOAD_AHEAD_H */
