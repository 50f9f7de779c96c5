/*-------------------------------------------------------------------------
 *
 * group_delivery.h
 *	  A delivery: what group_take.c took, and group_delivery.c hands out.
 *
 * src/store/group/group_delivery.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_GROUP_DELIVERY_H
#define PRISM_GROUP_DELIVERY_H

#include "store/group/group_shared.h"
#include "store/log/log.h"

struct PrismDelivery
{
	PrismGroupRef *ref;
	MemoryContext mcxt;			/* holds this and what hangs on it */
	MemoryContext row_cxt;		/* the current message */
	PrismHolder holder;

	PrismTaken *taken;			/* ascending; room for 'wanted' */
	int			wanted;
	int			taken_count;
	bool		starved;
	bool		limited;
	bool		exhausted;		/* there are messages whose attempts are used up */
	bool		buried;			/* dead letters were made of such */
	int			next;
	bool		continues;		/* others were handed out before it that come first as well */
	bool		cut;			/* ended before a damaged message */

	int64		room;			/* bytes that the next payloads may have */
	int64		payload_bytes;	/* of the last message */
	int			counted;		/* messages that have taken some */
	bool		full;			/* ended before one for which there was none */

	bool		left;			/* there were more to take */
	int64		read_end;		/* of the window, at that time */

	PrismReader *reader;
	PrismMessage row;			/* what the reader returned last */
	bool		row_valid;
	bool		damaged;		/* ... and it is */
};

#endif							/* PRISM_GROUP_DELIVERY_H */
