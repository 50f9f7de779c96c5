/*-------------------------------------------------------------------------
 *
 * carrier.h
 *	  How batches cross: what a lane's carrier does for its routes.
 *
 * Lanes and routes know connections, positions, faults and back-off; how what
 * a route holds gets to the other side, and when it is out, the carrier knows.
 * There are two, both for queues: stream.c, at least once, and transact.c,
 * exactly once.  A carrier for another kind of other side (objects, tables) is a
 * file and a lane.
 *
 * A carrier moves a route's position by prism_route_move(), when what lies below
 * the new one is out for good, and never else.  No callback is NULL.
 *
 * No .c of its name: an interface, behind which are stream.c and transact.c.
 *
 * src/bgworker/forward/carrier.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_CARRIER_H
#define PRISM_CARRIER_H

#include "bgworker/forward/forwarder.h"

typedef struct PrismCarrier
{
	/*
	 * The position lies at the other side, where it moves together with the
	 * messages.  Then the lane's connection has a name and fences whoever had it
	 * before, a route asks for its position and writes it under our name before
	 * it is ready, and what is in doubt is settled by asking again.  Else the
	 * progress log alone knows the position.
	 */
	bool		owns_position;

	/* What it keeps of a connection: lane->state, zeroed when that is opened. */
	Size		state_bytes;

	/* The route whose transaction is under way: until its end no other route starts.  NULL: none.  The lane may be closed. */
	PrismRoute *(*under_way) (const PrismLane *lane);

	/* When it wants the next turn of an open lane, whatever its routes wish; -1: no wish. */
	long		(*timeout_ms) (const PrismLane *lane);

	/* How many batches the route may hold just now. */
	int			(*batches_max) (const PrismRoute *route);

	/*
	 * The lane is open, and nothing casts doubt on its connection; receipts were
	 * taken just before (turn.c), and fates say what became of the messages.  Do
	 * what can be done now; true: there is more to do at once.
	 */
	bool		(*turn) (PrismLane *lane);

	/* Nothing more will be sent: let go of what is out.  True: the position has moved. */
	bool		(*advance) (PrismRoute *route);

	/*
	 * The connection is gone, or the route begins anew: what it holds and is not
	 * out will be sent again, in order.  What the receipts said of messages that
	 * were refused is not forgotten.
	 */
	void		(*rewind) (PrismRoute *route);
} PrismCarrier;

extern const PrismCarrier prism_stream_carrier;
extern const PrismCarrier prism_transact_carrier;

#endif							/* PRISM_CARRIER_H */
