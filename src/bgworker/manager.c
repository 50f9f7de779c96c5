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
#include "bgworker/ensure.h"
#include "bgworker/worker.h"
#include "store/log/counter.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Repairs what a lost wake-up would leave. */
#define REPAIR_MS 60000

/* When one that has no process has something to do, if nobody wakes us before. */
static PrismInstant next_due = PRISM_NEVER;

static bool supervise(void *arg);
static void ensure_all(PrismWantedList *wanted);
static bool version_agrees(void);
static PrismWantedList read_wanted(void);
static void dismiss_unwanted(const PrismWantedList *wanted);
static bool is_worker_wanted(const PrismWantedList *wanted, const PrismWorkerIdentity *identity);

void
prism_manager_main(Datum main_arg)
{
	prism_worker_enter(main_arg);
	for (;;)
	{
		if (!prism_run_step(supervise, NULL))
		{
			long		retry_ms = prism_worker_retry_ms(MyDatabaseId);
			long		due_ms = prism_ms_until(next_due, prism_instant());

			prism_worker_wait(Min(retry_ms < 0 ? REPAIR_MS : retry_ms, Min(due_ms, REPAIR_MS)), PGINVALID_SOCKET);
		}
	}
}

static bool
supervise(void *arg)
{
	PrismWantedList wanted = {0};

	if (version_agrees())
		wanted = read_wanted();
	dismiss_unwanted(&wanted);
	ensure_all(&wanted);
	return false;
}

static int
compare_use(const void *left, const void *right)
{
	int64		a = (*(const PrismWanted *const *) left)->use_ms;
	int64		b = (*(const PrismWanted *const *) right)->use_ms;

	return a < b ? -1 : a > b;
}

/* Those that are served last come last, of them who has used least first, and none that has nothing to do. */
static void
ensure_all(PrismWantedList *wanted)
{
	const PrismWanted **last = palloc(wanted->count * sizeof(*last));
	PrismInstant now = prism_instant();
	uint64		epoch = prism_worker_nudges_all();
	int			count = 0;

	next_due = PRISM_NEVER;
	prism_counter_unsubscribe_all();
	for (int i = 0; i < wanted->count; i++)
	{
		PrismWanted *worker = &wanted->workers[i];
		const PrismWorkerKindInfo *kind = prism_worker_kind(worker->identity.kind);

		if (prism_worker_is_off(worker->identity.kind))
			continue;
		if (kind->look != NULL)
			kind->look(worker, epoch);
		if (worker->due > now)
			next_due = Min(next_due, worker->due);
		else if (kind->place == PRISM_PLACE_LAST)
			last[count++] = worker;
		else
			(void) prism_worker_ensure(&worker->identity, worker->use_ms);
	}
	qsort(last, count, sizeof(*last), compare_use);
	for (int i = 0; i < count; i++)
		(void) prism_worker_ensure(&last[i]->identity, last[i]->use_ms);
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

static PrismWantedList
read_wanted(void)
{
	PrismWantedList wanted = {0};
	MemoryContext caller_cxt;

	prism_worker_begin("reading which workers are wanted");
	caller_cxt = MemoryContextSwitchTo(prism_step_mcxt());
	for (PrismWorkerKind kind = 0; kind < PRISM_WORKER_KIND_COUNT; kind++)
		if (prism_worker_kind(kind)->want != NULL)
			prism_worker_kind(kind)->want(&wanted);
	MemoryContextSwitchTo(caller_cxt);
	prism_worker_commit();
	return wanted;
}

/* Those that are switched off leave by themselves when they have done what they are at. */
static void
dismiss_unwanted(const PrismWantedList *wanted)
{
	PrismWorkerSlot *slots = palloc(prism_worker_slots_max() * sizeof(*slots));
	int			count = prism_worker_slots(slots);

	for (int i = 0; i < count; i++)
	{
		const PrismWorkerIdentity *identity = &slots[i].identity;

		if (prism_worker_kind(identity->kind)->want != NULL &&
			identity->database == MyDatabaseId &&
			(!is_worker_wanted(wanted, identity) || (slots[i].pid == 0 && prism_worker_is_off(identity->kind))))
			prism_worker_dismiss(identity);
	}
}

static bool
is_worker_wanted(const PrismWantedList *wanted, const PrismWorkerIdentity *identity)
{
	for (int i = 0; i < wanted->count; i++)
		if (memcmp(&wanted->workers[i].identity, identity, sizeof(*identity)) == 0)
			return true;
	return false;
}
