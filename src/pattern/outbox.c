/*-------------------------------------------------------------------------
 *
 * outbox.c
 *	  The transactional outbox: a message becomes a row of the log in the
 *	  caller's transaction, workers carry it on after the commit.
 *
 * What stands behind it shapes the message, and the log, which ends every chain,
 * has the row; this link counts what its commit makes visible.
 *
 * src/pattern/outbox.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "pattern/pattern.h"
#include "store/log/log.h"

static void
outbox_publish(PrismLink *link, PrismMessage *message)
{
	prism_link_publish(link->next, message);
	prism_log_count_inserted(link->topic);
}

static const char *const after[] = {"wal", "claim-check", NULL};

const PrismPattern prism_pattern_outbox = {
	.name = "outbox",
	.version = "1.0.0",
	.built = true,
	.apis = PRISM_API_QUEUE | PRISM_API_PUBSUB | PRISM_API_TRANSACT,
	.after = after,
	.depth = PRISM_DEPTH_OUTBOX,
	.process_publish = outbox_publish,
};
