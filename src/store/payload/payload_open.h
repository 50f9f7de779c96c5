/*-------------------------------------------------------------------------
 *
 * payload_open.h
 *	  The one place where a claim becomes bytes.
 *
 * Nothing here throws for what was stored: who reads for many is told what is
 * wrong, with the SQLSTATE that who reads this one alone gets.
 *
 * src/store/payload/payload_open.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PAYLOAD_OPEN_H
#define PRISM_PAYLOAD_OPEN_H

#include "store/log/topic.h"
#include "store/payload/claim.h"

/* Why there are no bytes. */
typedef struct PrismPayloadFault
{
	int			sqlstate;		/* 58P01: they are not there; XX001: they, or the claim, are damaged */
	const char *why;			/* a clause, good as long as the current memory context */
} PrismPayloadFault;

/*
 * Run 'part', which reads rows of payloads.  What the server says of damaged ones
 * by an error is a fault, and what was open is let go of: a group would be stuck
 * behind a page that cannot be read.  False: there is a fault.
 */
extern bool prism_payload_try(void (*part) (void *arg), void *arg, PrismPayloadFault *fault);

/*
 * The claim of a message, which has one.  False: it is damaged.  Its payload may
 * be compressed or out of line, where somebody has stored it so.
 */
extern bool prism_message_claim(PrismClaim *claim, const PrismMessage *message, PrismPayloadFault *fault);

/*
 * Bytes [from, from + bytes) of a payload, raw, as a bytea in the current memory
 * context; fewer where it ends before.  All of them: their SHA-256 is
 * compared with that in the claim.  NULL: 'fault' says why not.
 */
extern bytea *prism_payload_fetch(PrismTopic *topic, const PrismClaim *claim, int64 from, int64 bytes, PrismPayloadFault *fault);

/* All of it is there, and is what it was; nothing is kept of what is read. */
extern bool prism_payload_check(PrismTopic *topic, const PrismClaim *claim, PrismPayloadFault *fault);

/* What is known of the payload of a message stays in its claim, which says that nobody has it any more.  NULL: nothing is. */
extern void prism_payload_mark_lost(PrismMessage *message, const PrismClaim *claim);

/* A payload of that size is handed over with its message, as far as this session wants it. */
extern bool prism_payload_is_inline(const PrismClaim *claim);

/* Bytes of the payload that are handed over with a message: nothing is fetched to tell that. */
extern int64 prism_message_payload_size(const PrismMessage *message);

#endif							/* PRISM_PAYLOAD_OPEN_H */
