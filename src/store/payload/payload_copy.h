/*-------------------------------------------------------------------------
 *
 * payload_copy.h
 *	  A payload of its own for a message that was made of another one.
 *
 * No two messages name one payload: whose it is, and when nobody needs it any
 * more, then follows from one message.
 *
 * src/store/payload/payload_copy.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PAYLOAD_COPY_H
#define PRISM_PAYLOAD_COPY_H

#include "store/payload/payload_open.h"

/*
 * Copy the payload of a claim of topic 'from' to 'to', as it is stored, and make
 * 'copy' the claim to that; in constant memory.  False, and 'fault' says why: it is
 * not what it was, or not there; nobody will read what was copied by then.
 */
extern bool prism_payload_copy(PrismTopic *from, const PrismClaim *claim, PrismTopic *to, int32 store_id,
							   PrismClaim *copy, PrismPayloadFault *fault);

/*
 * Give a message that becomes a dead letter a payload of its own.  What is not to
 * be had any more is lost for good, and the letter's claim says so.  Returns how
 * many bytes were stored.
 */
extern int64 prism_payload_to_dead_letter(PrismTopic *origin, PrismTopic *letters, PrismMessage *letter);

#endif							/* PRISM_PAYLOAD_COPY_H */
