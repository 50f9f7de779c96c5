/*-------------------------------------------------------------------------
 *
 * main.c
 *	  Where PostgreSQL enters: load, shared memory, ends of transactions.
 *
 * src/main.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/held_stream.h"
#include "api/outbox_replica.h"
#include "base/extension.h"
#include "base/guc.h"
#include "base/module.h"
#include "bgworker/database.h"
#include "bgworker/slots.h"
#include "bgworker/wakeup.h"
#include "pattern/chain.h"
#include "store/delay/delay.h"
#include "store/group/backlog.h"
#include "store/group/group.h"
#include "store/handler/handler.h"
#include "store/log/commit_order.h"
#include "store/log/counter.h"
#include "store/log/dead_letter.h"
#include "store/log/holders.h"
#include "store/log/log.h"
#include "store/log/segment_ahead.h"
#include "store/payload/payload_copy.h"
#include "store/payload/payload_end.h"
#include "store/payload/payload_progress.h"
#include "store/payload/store_catalog.h"
#include "store/sink/sink.h"
#include "store/sink/sink_ddl.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/resowner.h"

PG_MODULE_MAGIC;

static shmem_request_hook_type former_shmem_request = NULL;
static shmem_startup_hook_type former_shmem_startup = NULL;
static emit_log_hook_type former_emit_log = NULL;

PGDLLEXPORT void _PG_init(void);

/*
 * The parts of prism, in the order in which each of their callbacks is called.
 * Most of it matters to those who look in between, for a moment that no test can
 * hold: test/lint/source asks that the table is in the order of this list.
 *
 *	groups			before the log: acknowledgements are records of the progress
 *					log, and a window has what lies below its stable offset
 *	skipped sinks	before the log: a process that finds the new position in the
 *					log has been told to drop what it holds
 *	log				before delays and topics, whose counters it gives back to
 *	delays			after the log: who is woken finds the messages
 *	chains			which nobody asks for any more
 *	streams
 *	progress
 *	topics			after all that use a topic's slot, which may be freed here
 *	handlers
 *	sinks			after the log: who is told to resume reads the position there
 *	databases		which workers stay away from
 *	workers			after all: they look at what the transaction has left; and
 *					what is forgotten of a database is forgotten last
 *	client			at the very end, as a client that does not read makes it wait
 */
static const PrismModule modules[] = {
	{
		.name = "groups",
		.shmem_size = prism_group_shmem_size,
		.shmem_init = prism_group_shmem_init,
		.tranche = PRISM_GROUP_TRANCHE,
		.lwlocks = prism_group_lwlocks,
		.has_work = prism_group_has_work,
		.pre_commit = prism_group_pre_commit,
		.end = prism_group_end,
		.subcommit = prism_group_subcommit,
		.subabort = prism_group_subabort,
		.give_back = prism_group_give_back,
		.forget_database = prism_group_forget_database,
	},
	{
		.name = "skipped sinks",
		.end = prism_sink_end_skips,
	},
	{
		.name = "log",
		.has_work = prism_log_has_pending,
		.pre_commit = prism_log_pre_commit,
		.pre_prepare = prism_log_pre_prepare,
		.prepared = prism_log_prepared,
		.end = prism_log_end,
		.subcommit = prism_log_subcommit,
		.subabort = prism_log_subabort,
		.give_back = prism_log_give_back,
	},
	{
		.name = "delays",
		.end = prism_delay_end,
	},
	{
		.name = "chains",
		.prepared = prism_chain_prepared,
		.end = prism_chain_end,
		.subcommit = prism_chain_subcommit,
		.subabort = prism_chain_subabort,
	},
	{
		.name = "streams",
		.prepared = prism_held_streams_prepared,
		.end = prism_held_streams_end,
		.subcommit = prism_held_streams_subcommit,
		.subabort = prism_held_streams_subabort,
	},
	{
		.name = "progress",
		.shmem_size = prism_payload_progress_shmem_size,
		.shmem_init = prism_payload_progress_shmem_init,
		.end = prism_payload_progress_transaction_end,
		.subabort = prism_payload_progress_subabort,
	},
	{
		.name = "topics",
		.shmem_size = prism_counter_shmem_size,
		.shmem_init = prism_counter_shmem_init,
		.tranche = PRISM_COUNTER_TRANCHE,
		.pre_prepare = prism_counter_pre_prepare,
		.end = prism_counter_end,
		.subcommit = prism_counter_subcommit,
		.subabort = prism_counter_subabort,
		.give_back = prism_counter_release_extender,
		.forget_database = prism_counter_forget_database,
	},
	{
		.name = "handlers",
		.shmem_size = prism_handler_shmem_size,
		.shmem_init = prism_handler_shmem_init,
		.tranche = PRISM_HANDLER_TRANCHE,
		.forget_database = prism_handler_forget_database,
	},
	{
		.name = "sinks",
		.shmem_size = prism_sink_shmem_size,
		.shmem_init = prism_sink_shmem_init,
		.tranche = PRISM_SINK_TRANCHE,
		.end = prism_sink_end,
		.subcommit = prism_sink_subcommit,
		.subabort = prism_sink_subabort,
		.forget_database = prism_sink_forget_database,
	},
	{
		.name = "databases",
		.shmem_size = prism_database_shmem_size,
		.shmem_init = prism_database_shmem_init,
	},
	{
		.name = "workers",
		.shmem_size = prism_worker_shmem_size,
		.shmem_init = prism_worker_shmem_init,
		.tranche = PRISM_WORKER_TRANCHE,
		.lwlocks = prism_worker_lwlocks,
		.pre_prepare = prism_wake_pre_prepare,
		.end = prism_wake_end,
		.told = prism_wake_told,
	},
	{
		.name = "client",
		.told = prism_commit_tell,
	},
};

StaticAssertDecl(lengthof(modules) <= PRISM_MODULES_MAX, "base/module.h has room for all");

/*
 * Those who hold the logs back, in the order in which each of their callbacks is
 * called:
 *
 *	handlers	before groups, whose rows say which topic a handler is of
 *	groups		before sinks: the offset of the progress log up to which nothing
 *				is needed any more is taken before any state is read
 *	sinks
 *	stores
 *	payloads
 */
static const PrismLogHolder holders[] = {
	{
		.name = "handlers",
		.drop = prism_handler_drop_all,
	},
	{
		.name = "groups",
		.slowest = prism_group_slowest,
		.checkpoint = prism_group_checkpoint_all,
		.admit = prism_backlog_check,
		.wake = prism_group_wake,
		.drop = prism_group_drop_all,
	},
	{
		.name = "sinks",
		.slowest = prism_sink_slowest,
		.always = true,
		.checkpoint = prism_sink_checkpoint_all,
		.drop = prism_sink_drop_all,
	},
	{
		.name = "stores",
		.drop = prism_store_drop_all,
	},
	{
		.name = "payloads",
		.bytes = prism_payload_bytes,
		.drop = prism_payload_drop_all,
	},
};

/* ---------- shared memory ---------- */

static void
request_shmem(void)
{
	if (former_shmem_request != NULL)
		former_shmem_request();
	prism_modules_request_shmem();
}

static void
start_shmem(void)
{
	if (former_shmem_startup != NULL)
		former_shmem_startup();
	prism_modules_init_shmem();
}

/* ---------- transactions ---------- */

/*
 * PRE_COMMIT may fail or wait; COMMIT and ABORT come after the fact and must
 * not throw: an ERROR there is a PANIC.
 */
static void
on_transaction(XactEvent event, void *arg)
{
	bool		gone;

	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			gone = prism_wake_pre_commit();
			if (prism_modules_have_work())
				prism_commit_temporary_tables();
			prism_modules_pre_commit(gone);
			break;
		case XACT_EVENT_PRE_PREPARE:
			prism_modules_pre_prepare();
			break;
		case XACT_EVENT_PREPARE:
			prism_modules_prepared();
			break;
		case XACT_EVENT_COMMIT:
			prism_modules_end(true);
			break;
		case XACT_EVENT_ABORT:
			prism_modules_end(false);
			break;
		default:
			break;
	}
}

/* The only one that PostgreSQL calls after it has sent the transaction's invalidation messages. */
static void
on_release(ResourceReleasePhase phase, bool is_commit, bool is_top_level, void *arg)
{
	if (phase == RESOURCE_RELEASE_AFTER_LOCKS && is_top_level)
		prism_modules_told();
}

static void
on_subtransaction(SubXactEvent event, SubTransactionId subxid, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		prism_modules_subcommit(GetCurrentTransactionNestLevel());
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		prism_modules_subabort(GetCurrentTransactionNestLevel());
}

/*
 * PostgreSQL calls this only for what the server's log is to have.  The commit
 * sees to that (prism_commit_be_quiet()); elsewhere, with log_min_messages at
 * fatal or panic, an error is sent first, and a client that does not read it
 * keeps others from reading ahead for its group, or from extending the log.
 */
static void
on_report(ErrorData *report)
{
	if ((report->elevel == ERROR || report->elevel == FATAL) && report->output_to_client)
		prism_modules_give_back();
	prism_commit_hear(report);
	if (report->output_to_server && former_emit_log != NULL)
		former_emit_log(report);
}

/* ---------- load ---------- */

void
_PG_init(void)
{
	prism_preloaded = process_shared_preload_libraries_in_progress;
	prism_define_settings();
	prism_modules_register(modules, lengthof(modules));
	prism_holders_register(holders, lengthof(holders));
	prism_group_end_handler = prism_handler_end;
	prism_outbox_init();
	if (!prism_preloaded)
		return;

	former_shmem_request = shmem_request_hook;
	shmem_request_hook = request_shmem;
	former_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = start_shmem;
	former_emit_log = emit_log_hook;
	emit_log_hook = on_report;
	RegisterXactCallback(on_transaction, NULL);
	RegisterSubXactCallback(on_subtransaction, NULL);
	RegisterResourceReleaseCallback(on_release, NULL);
	prism_segment_wake = prism_wake_maintainer;
	prism_delay_wake = prism_wake_scheduler;
	prism_dead_letter_chain = prism_chain_for_dead_letters;
	prism_dead_letter_claim = prism_payload_to_dead_letter;
	prism_worker_init();
}
