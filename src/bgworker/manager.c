/*-------------------------------------------------------------------------
 *
 * manager.c
 *	  Keeps the workers of one database: those that are wanted, minus those that run.
 *
 * It asks the catalogue what is wanted whenever somebody changed it (a wake-up
 * at commit) and whenever a worker has ended, and does nothing in between.
 * Workers live on when their manager is replaced: the next one finds them in
 * shared memory.
 *
 * src/bgworker/manager.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/clock.h"
#include "base/extension.h"
#include "base/patience.h"
#include "base/query.h"
#include "bgworker/slots.h"
#include "bgworker/worker.h"
#include "store/delay/delay.h"
#include "store/handler/handler.h"
#include "store/log/counter.h"

#include "access/xact.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Repairs what a lost wake-up would leave. */
#define REPAIR_MS 60000

/*
 * One row a forwarder: a foreign server that sinks name, or an inline endpoint
 * (store/sink.h).  A sink whose server was dropped has nobody to serve it.
 */
static const char forwarders_query[] =
"SELECT coalesce(v.server_oid, 0::oid), CASE WHEN v.server_oid IS NULL THEN min(s.sink_id) ELSE 0 END"
" FROM prism.sink s LEFT JOIN prism.sink_server v USING (sink_id)"
" WHERE s.server IS NULL OR v.server_oid IS NOT NULL"
" GROUP BY v.server_oid, CASE WHEN v.server_oid IS NULL THEN s.backend END,"
" CASE WHEN v.server_oid IS NULL THEN s.config -> 'brokers' END"
" ORDER BY 1, 2";

typedef struct WantedWorkers
{
	PrismWorkerIdentity *identities;
	int			count;
	int			room;
} WantedWorkers;

/* When a role that has no process has something to do, if nobody wakes us before. */
static PrismInstant next_handler_due = PRISM_NEVER;

static bool supervise(void *arg);
static void ensure_all(const WantedWorkers *wanted);
static bool version_agrees(void);
static WantedWorkers read_wanted(void);
static void want_handlers(WantedWorkers *wanted);
static void dismiss_unwanted(const WantedWorkers *wanted);
static bool is_wanted(const WantedWorkers *wanted, const PrismWorkerIdentity *identity);

void
prism_manager_main(Datum main_arg)
{
	prism_worker_enter(main_arg);
	for (;;)
	{
		if (!prism_run_step(supervise, NULL))
		{
			long		retry_ms = prism_worker_retry_ms(MyDatabaseId);
			long		due_ms = prism_ms_until(next_handler_due, prism_instant());

			prism_worker_wait(Min(retry_ms < 0 ? REPAIR_MS : retry_ms, Min(due_ms, REPAIR_MS)), PGINVALID_SOCKET);
		}
	}
}

static bool
supervise(void *arg)
{
	WantedWorkers wanted = {0};

	if (version_agrees())
		wanted = read_wanted();
	dismiss_unwanted(&wanted);
	ensure_all(&wanted);
	return false;
}

/* A wanted handler's process. */
typedef struct WantedHandler
{
	const PrismWorkerIdentity *identity;
	int64		use_ms;
} WantedHandler;

static int
compare_use(const void *left, const void *right)
{
	int64		a = ((const WantedHandler *) left)->use_ms;
	int64		b = ((const WantedHandler *) right)->use_ms;

	return a < b ? -1 : a > b;
}

/*
 * Handlers that have nothing to do, as far as their last process and the topics'
 * counters tell, need no process, and those who have used least come first.
 */
static void
ensure_all(const WantedWorkers *wanted)
{
	WantedHandler *handlers = palloc(wanted->count * sizeof(WantedHandler));
	PrismInstant now = prism_instant();
	uint64		epoch = prism_worker_nudges_all();
	int			count = 0;

	next_handler_due = PRISM_NEVER;
	prism_counter_unsubscribe_all();
	for (int i = 0; i < wanted->count; i++)
	{
		const PrismWorkerIdentity *identity = &wanted->identities[i];
		PrismInstant due = 0;

		if (identity->kind != PRISM_HANDLER_WORKER)
			(void) prism_worker_ensure(identity, 0);
		else if ((due = prism_handler_role_due(identity->role, epoch)) <= now)
			handlers[count++] = (WantedHandler)
		{
			identity, prism_handler_role_use_ms(identity->role)
		};
		next_handler_due = due > now ? Min(next_handler_due, due) : next_handler_due;
	}
	qsort(handlers, count, sizeof(WantedHandler), compare_use);
	for (int i = 0; i < count; i++)
		(void) prism_worker_ensure(handlers[i].identity, handlers[i].use_ms);
}

/* With another version's SQL no worker could do anything but fail; ALTER EXTENSION wakes us. */
static bool
version_agrees(void)
{
	char		error[PRISM_WORKER_ERROR_BYTES];
	char	   *installed;
	bool		agrees;

	StartTransactionCommand();
	installed = prism_installed_version();
	agrees = installed == NULL || strcmp(installed, PRISM_VERSION) == 0;
	if (!agrees)
		snprintf(error, sizeof(error), "the library is prism %s, its SQL in this database is %s: run ALTER EXTENSION prism UPDATE",
				 PRISM_VERSION, installed);
	CommitTransactionCommand();
	MemoryContextSwitchTo(prism_step_mcxt());

	if (!agrees && prism_my_worker->state != PRISM_WORKER_FAILED)
		ereport(LOG,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("prism's workers wait: %s", error));
	if (!agrees || prism_my_worker->state == PRISM_WORKER_FAILED)
		prism_worker_show(PRISM_WORKER_FAILED, agrees ? NULL : error);
	return agrees;
}

static PrismWorkerIdentity *
want(WantedWorkers *wanted, PrismWorkerKind kind)
{
	PrismWorkerIdentity *identity;

	if (wanted->count == wanted->room)
	{
		wanted->room *= 2;
		wanted->identities = repalloc(wanted->identities, wanted->room * sizeof(PrismWorkerIdentity));
	}
	identity = &wanted->identities[wanted->count++];
	memset(identity, 0, sizeof(*identity));
	identity->kind = kind;
	identity->database = MyDatabaseId;
	return identity;
}

/* Whether a scheduler is wanted; when the journal cannot be looked at, it finds out itself. */
static void
ask_for_work(void *arg)
{
	*(bool *) arg = prism_delay_has_work();
}

static WantedWorkers
read_wanted(void)
{
	WantedWorkers wanted = {0};
	bool		isnull;
	bool		delayed;
	bool		has_work = false;

	wanted.room = prism_worker_slots_max();
	wanted.identities = MemoryContextAlloc(prism_step_mcxt(), wanted.room * sizeof(PrismWorkerIdentity));
	(void) want(&wanted, PRISM_MAINTAINER);
	prism_worker_begin("reading which workers are wanted");
	delayed = !prism_look_without_waiting(ask_for_work, &has_work, NULL) || has_work;
	prism_query_read(forwarders_query, 0, NULL, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		PrismWorkerIdentity *forwarder = want(&wanted, PRISM_FORWARDER);

		forwarder->server = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		forwarder->sink_id = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull));
	}
	if (delayed)
		(void) want(&wanted, PRISM_SCHEDULER);
	want_handlers(&wanted);
	prism_worker_commit();
	return wanted;
}

/*
 * One for each role that has handlers.  A role that cannot connect would make
 * process after process fail: prism.handlers says why there is none.  When
 * there are more than slots, not always the same ones find none.
 */
static void
want_handlers(WantedWorkers *wanted)
{
	List	   *roles = NIL;
	ListCell   *cell;

	foreach(cell, prism_handler_list(InvalidOid))
	{
		const PrismHandler *handler = lfirst(cell);

		if (!list_member_oid(roles, handler->role_oid) &&
			prism_handler_check_role(handler->role_oid, handler->role) == NULL)
			roles = list_insert_nth_oid(roles, (int) pg_prng_uint64_range(&pg_global_prng_state, 0, list_length(roles)),
										handler->role_oid);
	}
	foreach(cell, roles)
		want(wanted, PRISM_HANDLER_WORKER)->role = lfirst_oid(cell);
}

static void
dismiss_unwanted(const WantedWorkers *wanted)
{
	PrismWorkerSlot *slots = palloc(prism_worker_slots_max() * sizeof(*slots));
	int			count = prism_worker_slots(slots);

	for (int i = 0; i < count; i++)
	{
		const PrismWorkerIdentity *identity = &slots[i].identity;

		if (identity->kind != PRISM_LAUNCHER && identity->kind != PRISM_MANAGER &&
			identity->database == MyDatabaseId && !is_wanted(wanted, identity))
			prism_worker_dismiss(identity);
	}
}

static bool
is_wanted(const WantedWorkers *wanted, const PrismWorkerIdentity *identity)
{
	for (int i = 0; i < wanted->count; i++)
		if (memcmp(&wanted->identities[i], identity, sizeof(*identity)) == 0)
			return true;
	return false;
}
