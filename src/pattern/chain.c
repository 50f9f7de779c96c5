/*-------------------------------------------------------------------------
 *
 * chain.c
 *	  The chain of patterns that a message passes on its way to the log.
 *
 * Of the patterns that stand before the outbox only the wal is built, and it
 * passes everything on, so each chain is the outbox alone; chains are made here
 * and nowhere else.
 *
 * src/pattern/chain.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "pattern/pattern.h"

#include "utils/memutils.h"

static PrismLink *
make_chain(PrismTopic *topic)
{
	PrismLink  *link = MemoryContextAllocZero(TopMemoryContext, sizeof(PrismLink));

	link->pattern = &prism_pattern_outbox;
	link->topic = topic;
	return link;
}

void
prism_link_publish(PrismLink *link, PrismMessage *message)
{
	while (link != NULL && link->pattern->process_publish == NULL)
		link = link->next;
	if (link != NULL)
		link->pattern->process_publish(link, message);
}

void
prism_chain_publish(PrismTopic *topic, PrismMessage *message)
{
	if (topic->chain == NULL)
		topic->chain = make_chain(topic);
	prism_link_publish(topic->chain, message);
}
