/*-------------------------------------------------------------------------
 *
 * payload_letter.c
 *	  Payloads of dead letters.
 *
 * src/store/payload/payload_letter.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/payload/payload_letter.h"
#include "store/payload/payload_open.h"

void
prism_payload_to_dead_letter(PrismTopic *origin, PrismTopic *letters, PrismMessage *letter)
{
	PrismPayloadFault fault;
	PrismClaim	claim;

	if (!prism_message_claim(&claim, letter, &fault))
		prism_payload_mark_lost(letter, NULL);
	else if (!prism_payload_check(origin, &claim, &fault))
		prism_payload_mark_lost(letter, &claim);
}
