/*-------------------------------------------------------------------------
 *
 * prism.c
 *	  Where PostgreSQL enters: load, shared memory, transaction callbacks.
 *
 * src/prism.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "compat.h"
#include "guc.h"
#include "bgworker/shmem.h"
#include "bgworker/wakeup.h"
#include "store/commit_order.h"
#include "store/counter.h"
#include "store/delay.h"
#include "store/group.h"
#include "store/handler.h"
#include "store/log.h"
#include "store/segment.h"
#include "store/sink.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/resowner.h"

PG_MODULE_MAGIC;

bool		prism_preloaded = false;

static shmem_request_hook_type former_shmem_request = NULL;
static shmem_startup_hook_type former_shmem_startup = NULL;
static emit_log_hook_type former_emit_log = NULL;

PGDLLEXPORT void _PG_init(void);

PG_FUNCTION_INFO_V1(prism_version);

/* ---------- shared memory ---------- */

static void
request_shmem(void)
{
	if (former_shmem_request != NULL)
		former_shmem_request();
	RequestAddinShmemSpace(prism_counter_shmem_size());
	RequestNamedLWLockTranche("prism_topic", 1);
	RequestAddinShmemSpace(prism_group_shmem_size());
	RequestNamedLWLockTranche(PRISM_GROUP_TRANCHE, prism_group_lwlocks());
	RequestAddinShmemSpace(prism_handler_shmem_size());
	RequestNamedLWLockTranche(PRISM_HANDLER_TRANCHE, 1);
	RequestAddinShmemSpace(prism_worker_shmem_size());
	RequestNamedLWLockTranche(PRISM_WORKER_TRANCHE, PRISM_WORKER_LOCKS);
	RequestAddinShmemSpace(prism_sink_shmem_size());
	RequestNamedLWLockTranche(PRISM_SINK_TRANCHE, 1);
}

static void
start_shmem(void)
{
	if (former_shmem_startup != NULL)
		former_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	prism_counter_shmem_init();
	prism_group_shmem_init();
	prism_handler_shmem_init();
	prism_worker_shmem_init();
	prism_sink_shmem_init();
	LWLockRelease(AddinShmemInitLock);
}

/* ---------- transactions ---------- */

static void
refuse_prepare(void)
{
	if (prism_log_has_pending() || prism_group_has_work())
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot PREPARE a transaction that has published, consumed or acknowledged messages"),
				errhint("Commit it in one phase."));
	if (prism_counter_has_changes())
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot PREPARE a transaction that has made or dropped topics"),
				errhint("Commit it in one phase."));
	prism_log_pre_commit(false);	/* with nothing to write, it keeps later callbacks from publishing */
}

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
			if (prism_log_has_pending() || prism_group_has_work())
				prism_commit_temporary_tables();
			if (!gone)
				prism_group_pre_commit();
			prism_log_pre_commit(gone);
			break;
		case XACT_EVENT_PRE_PREPARE:
			refuse_prepare();
			prism_wake_pre_prepare();
			break;
		case XACT_EVENT_PREPARE:
			prism_log_end(false);
			break;
		case XACT_EVENT_COMMIT:
			prism_group_end(true);
			prism_sink_commit();
			prism_log_end(true);
			prism_delay_end(true);
			prism_counter_end(true);
			prism_sink_end(true);
			prism_wake_end(true);
			break;
		case XACT_EVENT_ABORT:
			prism_group_end(false);
			prism_log_end(false);
			prism_delay_end(false);
			prism_counter_end(false);
			prism_sink_end(false);
			prism_wake_end(false);
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
	{
		prism_wake_told();
		prism_commit_tell();
	}
}

static void
on_subtransaction(SubXactEvent event, SubTransactionId subxid, SubTransactionId parent, void *arg)
{
	int			nest_level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		prism_group_subcommit(nest_level);
		prism_log_subcommit(nest_level);
		prism_counter_subcommit(nest_level);
		prism_sink_subcommit(nest_level);
	}
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		prism_group_subabort(nest_level);
		prism_log_subabort(nest_level);
		prism_counter_subabort(nest_level);
		prism_sink_subabort(nest_level);
	}
}

/*
 * What a session does alone and others wait for is given back before the error
 * that ended it goes to the client: who does not read would keep it.
 *
 * PostgreSQL calls this only for what the server's log is to have.  The commit
 * sees to that (prism_commit_be_quiet()); elsewhere, with log_min_messages at
 * fatal or panic, an error is sent first, and a client that does not read it
 * keeps others from reading ahead for its group, or from extending the log.
 */
static void
on_report(ErrorData *report)
{
	if ((report->elevel == ERROR || report->elevel == FATAL) && report->output_to_client)
	{
		prism_log_give_back();
		prism_group_abort_reader(1);
		prism_counter_release_extender();
	}
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
	prism_worker_init();
}

void
prism_require_preload(void)
{
	if (!prism_preloaded)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("prism must be loaded at server start"),
				errhint("Add prism to shared_preload_libraries in postgresql.conf and restart the server."));
}

Datum
prism_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(PRISM_VERSION));
}

/* ---------- the extension ---------- */

/* Read pg_extension's row of prism. False: not installed here. */
static bool
extension_row(Oid *extension, Oid *owner)
{
	Relation	catalog = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("prism"));
	scan = systable_beginscan(catalog, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		Form_pg_extension row = (Form_pg_extension) GETSTRUCT(tuple);

		*extension = row->oid;
		*owner = row->extowner;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

Oid
prism_extension_oid(void)
{
	Oid			extension = InvalidOid;
	Oid			owner;

	(void) extension_row(&extension, &owner);
	return extension;
}

Oid
prism_extension_owner(void)
{
	Oid			extension;
	Oid			owner = InvalidOid;

	(void) extension_row(&extension, &owner);
	return owner;
}

Oid
prism_owner(void)
{
	static Oid	owner = InvalidOid;
	static uint64 known_at = 0;
	uint64		now = prism_catalog_generation();

	if (known_at != now)
	{
		Oid			extension;

		if (!extension_row(&extension, &owner))
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("extension \"prism\" is not installed in this database"),
					errhint("Run CREATE EXTENSION prism."));
		prism_check_version();
		known_at = now;
	}
	return owner;
}

PrismIdentity
prism_enter_owner(void)
{
	PrismIdentity identity;

	GetUserIdAndSecContext(&identity.user, &identity.security_context);
	SetUserIdAndSecContext(prism_owner(),
						   identity.security_context | SECURITY_LOCAL_USERID_CHANGE);
	return identity;
}

void
prism_leave_owner(PrismIdentity identity)
{
	SetUserIdAndSecContext(identity.user, identity.security_context);
}
