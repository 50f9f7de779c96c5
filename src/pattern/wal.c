/*-------------------------------------------------------------------------
 *
 * wal.c
 *	  The durable operation log (the RFC's pattern 1).
 *
 * The RFC's proxy keeps a log of its own beside the queue.  Here a topic is a
 * log already: appended to in the caller's transaction, kept for replay, read in
 * order, as the topic's policy says.  What is left to this link is that it is on
 * disk: with "flush" a commit that publishes is flushed before it returns, also
 * where the session would not have waited for that.
 *
 * src/pattern/wal.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "pattern/pattern.h"
#include "store/log/log.h"

#include "access/xact.h"

typedef struct WalOptions
{
	bool		flush;
} WalOptions;

static void
wal_configure(PrismLink *link, PrismLinkOptions *stored)
{
	WalOptions *options = link->options;

	options->flush = prism_link_boolean(stored, "flush", false);
}

static void
wal_publish(PrismLink *link, PrismMessage *message)
{
	const WalOptions *options = link->options;

	prism_link_publish(link->next, message);
	if (options->flush)
		prism_log_flush_commit(link->topic);
}

/* It lies in the journal of delayed messages, which makes no promise of its own; a savepoint that is rolled back leaves a flush too many. */
static void
wal_delay(PrismLink *link, PrismMessage *message)
{
	const WalOptions *options = link->options;

	if (options->flush)
		ForceSyncCommit();
}

static const char *const after[] = {"outbox", NULL};

const PrismPattern prism_pattern_wal = {
	.name = "wal",
	.version = "1.0.0",
	.built = true,
	.apis = PRISM_API_QUEUE | PRISM_API_PUBSUB | PRISM_API_TRANSACT,
	.after = after,
	.depth = PRISM_DEPTH_WAL,
	.options_size = sizeof(WalOptions),
	.configure = wal_configure,
	.process_publish = wal_publish,
	.process_delay = wal_delay,
};
