/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  Finds the databases that have prism and keeps a manager in each.
 *
 * Which databases there are stands in pg_database, which it can read; whether
 * one has the extension, only a process inside can tell.  So it sends a manager
 * to each database once, a few at a time, and those that find nothing report
 * that and leave.  From then on CREATE EXTENSION calls.
 *
 * src/bgworker/launcher.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/database.h"
#include "bgworker/ensure.h"
#include "bgworker/utility.h"
#include "bgworker/worker.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Managers that may look for the extension at a time. */
#define PROBES_MAX 2
/* Repairs what a lost wake-up would leave. */
#define REPAIR_MS 60000

typedef struct LauncherDatabase
{
	Oid			oid;
	bool		present;		/* seen in the last look at pg_database */
	bool		absent;			/* a manager found no prism in it */
} LauncherDatabase;

static LauncherDatabase *databases = NULL;
static int	database_count = 0;
static int	databases_max = 0;

static bool look_around(void *arg);
static void read_databases(void);
static void note_database(Oid oid);
static void drop_missing(void);
static LauncherDatabase *find_database(Oid oid);
static void collect_reports(void);
static void dismiss_strays(void);
static void take_requests(void);
static void start_managers(void);
static int	probes_under_way(void);
static long launcher_wait_ms(void);

void
prism_worker_init(void)
{
	BackgroundWorker launcher = {
		.bgw_restart_time = 1,
		.bgw_main_arg = Int32GetDatum(PRISM_LAUNCHER_SLOT),
	};

	prism_worker_kind_describe(PRISM_LAUNCHER, &launcher);
	prism_utility_init();
	if (!IsBinaryUpgrade)
		RegisterBackgroundWorker(&launcher);
}

void
prism_launcher_main(Datum main_arg)
{
	prism_worker_enter(main_arg);
	for (;;)
	{
		if (!prism_run_step(look_around, NULL))
			prism_worker_wait(launcher_wait_ms(), PGINVALID_SOCKET);
	}
}

static long
launcher_wait_ms(void)
{
	long		retry_ms = prism_worker_retry_ms(InvalidOid);
	long		hold_ms = prism_database_hold_ms();
	long		wait_ms = REPAIR_MS;

	if (retry_ms >= 0)
		wait_ms = Min(wait_ms, retry_ms);
	if (hold_ms >= 0)
		wait_ms = Min(wait_ms, hold_ms);
	return wait_ms;
}

/* Reports come first: a request that came after one must not be overruled by it. */
static bool
look_around(void *arg)
{
	read_databases();
	collect_reports();
	take_requests();
	dismiss_strays();
	start_managers();
	return false;
}

/* ---------- pg_database ---------- */

static void
read_databases(void)
{
	Relation	catalog;
	TableScanDesc scan;
	HeapTuple	tuple;

	for (int i = 0; i < database_count; i++)
		databases[i].present = false;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	catalog = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(catalog, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database row = (Form_pg_database) GETSTRUCT(tuple);

		/* a limit of -2 marks what an interrupted DROP DATABASE has left */
		if (row->datallowconn && !row->datistemplate && row->datconnlimit >= -1)
			note_database(row->oid);
	}
	table_endscan(scan);
	table_close(catalog, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(prism_step_mcxt());
	drop_missing();
}

static void
note_database(Oid oid)
{
	LauncherDatabase *database = find_database(oid);

	if (database == NULL)
	{
		if (database_count == databases_max)
		{
			databases_max = Max(16, databases_max * 2);
			databases = databases == NULL
				? MemoryContextAlloc(TopMemoryContext, databases_max * sizeof(*databases))
				: repalloc(databases, databases_max * sizeof(*databases));
		}
		database = &databases[database_count++];
		database->oid = oid;
		database->absent = false;
	}
	database->present = true;
}

/* Databases that were dropped, became templates or take no connections any more. */
static void
drop_missing(void)
{
	int			kept = 0;

	for (int i = 0; i < database_count; i++)
		if (databases[i].present)
			databases[kept++] = databases[i];
	database_count = kept;
}

static LauncherDatabase *
find_database(Oid oid)
{
	for (int i = 0; i < database_count; i++)
		if (databases[i].oid == oid)
			return &databases[i];
	return NULL;
}

/* ---------- managers ---------- */

static void
collect_reports(void)
{
	PrismWorkerSlot *slots = palloc(prism_worker_slots_max() * sizeof(*slots));
	int			count = prism_worker_slots(slots);

	for (int i = 0; i < count; i++)
	{
		LauncherDatabase *database;

		if (slots[i].identity.kind != PRISM_MANAGER || slots[i].state != PRISM_WORKER_ABSENT || slots[i].pid != 0)
			continue;
		database = find_database(slots[i].identity.database);
		if (database != NULL && !slots[i].try_at_once)	/* else it was made meanwhile */
			database->absent = true;
		prism_worker_dismiss(&slots[i].identity);
	}
}

static void
take_requests(void)
{
	bool		all;
	Oid			oid = prism_database_look_next(&all);

	for (int i = 0; all && i < database_count; i++)
		databases[i].absent = false;
	for (; OidIsValid(oid); oid = prism_database_look_next(&all))
	{
		LauncherDatabase *database = find_database(oid);

		if (database != NULL)
			database->absent = false;
	}
}

/* Workers of databases that are not ours to serve, and those whose manager found no prism. */
static void
dismiss_strays(void)
{
	PrismWorkerSlot *slots = palloc(prism_worker_slots_max() * sizeof(*slots));
	int			count = prism_worker_slots(slots);

	for (int i = 0; i < count; i++)
	{
		LauncherDatabase *database = find_database(slots[i].identity.database);

		if (slots[i].identity.kind == PRISM_LAUNCHER)
			continue;
		if (database == NULL || (database->absent && slots[i].identity.kind != PRISM_MANAGER))
			prism_worker_dismiss(&slots[i].identity);
	}
}

static void
start_managers(void)
{
	int			probes = probes_under_way();

	for (int i = 0; i < database_count && probes < PROBES_MAX; i++)
	{
		PrismWorkerIdentity manager = {.kind = PRISM_MANAGER, .database = databases[i].oid};

		if (databases[i].absent)
			continue;
		if (!prism_worker_ensure(&manager, 0))
			break;				/* nor is there a process for the others */
		probes = probes_under_way();
	}
}

/* Managers that were asked for and have not said yet whether there is prism in their database. */
static int
probes_under_way(void)
{
	PrismWorkerSlot *slots = palloc(prism_worker_slots_max() * sizeof(*slots));
	int			count = prism_worker_slots(slots);
	int			probes = 0;

	for (int i = 0; i < count; i++)
		probes += slots[i].identity.kind == PRISM_MANAGER && slots[i].state == PRISM_WORKER_STARTING;
	pfree(slots);
	return probes;
}
