/*-------------------------------------------------------------------------
 *
 * payload_ahead.h
 *	  The payload segment that is written to: found, or asked for and awaited.
 *
 * No .c of its name: not yet.
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

/* The number of the current one, 0 if there is none; all others are former ones, which nobody begins to write to any more. */
extern int64 prism_payload_current(PrismTopic *topic);

/* It is full, or old: the maintainer shall make the next one of its store. */
extern void prism_payload_want_next(PrismTopic *topic, int64 number, int32 store_id);

/* For the maintainer: a segment is wanted. */
extern bool prism_payload_is_wanted(PrismTopic *topic);

/*
 * Make the one that is wanted, in this transaction: what to tell the others when
 * it has committed.  False: there is none to make.
 */
typedef struct PrismPayloadMade
{
	int64		number;
	int32		store_id;
} PrismPayloadMade;

extern bool prism_payload_make_wanted(PrismTopic *topic, PrismPayloadMade *made);
extern void prism_payload_made(struct PrismCounter *counter, const PrismPayloadMade *made);

#endif							/* PRISM_PAYLOAD_AHEAD_H */
