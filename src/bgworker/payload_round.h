/*-------------------------------------------------------------------------
 *
 * payload_round.h
 *	  The maintainer's way through the tables of payloads.
 *
 * src/bgworker/payload_round.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PAYLOAD_ROUND_H
#define PRISM_PAYLOAD_ROUND_H

#include "postgres.h"

/* How far it has come.  Outlives a turn that fails. */
typedef struct PrismPayloadRound
{
	int32		topic_id;		/* the last table looked at; 0: begin with the first */
	int64		number;
	uint64		met;			/* grows when a table's turn begins: what fails from then on is of its topic */
} PrismPayloadRound;

/* Make the table of payloads that publishers of the topic want, if they do. */
extern bool prism_payloads_make(int32 topic_id);

/* One table, in a transaction of its own: left, sealed or dropped.  False: all have been looked at. */
extern bool prism_payloads_next(PrismPayloadRound *round);

#endif							/* PRISM_PAYLOAD_ROUND_H */
