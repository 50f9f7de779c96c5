/*-------------------------------------------------------------------------
 *
 * wal.c
 *	  The durable operation log (the RFC's pattern 1).
 *
 * The RFC's proxy keeps a log of its own beside the queue.  Here a topic is a
 * log already: appended to in the caller's transaction, flushed with its
 * commit, kept for replay, read in order.  So this link has nothing to do with
 * a message; it states that the namespace counts on the log.  What it is
 * promised (needs: durability, replay, retention) is the topic's policy, which
 * the store keeps to.
 *
 * src/pattern/wal.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "pattern/pattern.h"

static const char *const after[] = {"outbox", NULL};

const PrismPattern prism_pattern_wal = {
	.name = "wal",
	.version = "1.0.0",
	.built = true,
	.apis = PRISM_API_QUEUE | PRISM_API_PUBSUB | PRISM_API_TRANSACT,
	.after = after,
};
