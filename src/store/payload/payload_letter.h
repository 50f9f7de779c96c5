/*-------------------------------------------------------------------------
 *
 * payload_letter.h
 *	  Payloads of dead letters.
 *
 * src/store/payload/payload_letter.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PAYLOAD_LETTER_H
#define PRISM_PAYLOAD_LETTER_H

#include "store/log/topic.h"

/* Of a message that becomes a letter: what is not to be had any more is lost for good, and the letter's claim says so. */
extern void prism_payload_to_dead_letter(PrismTopic *origin, PrismTopic *letters, PrismMessage *letter);

#endif							/* PRISM_PAYLOAD_LETTER_H */
