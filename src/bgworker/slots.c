/*-------------------------------------------------------------------------
 *
 * slots.c
 *	  Which workers are wanted and which run: slots in shared memory.
 *
 * All of it is under one LWLock that is held for a few loads and stores: the
 * array is short and changes when workers come and go, not when they work.
 *
 * src/bgworker/slots.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/backoff.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/wait_event.h"
#include "bgworker/database.h"
#include "bgworker/slots.h"
#include "bgworker/worker.h"

#include <signal.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* A worker that was asked to leave and is still busy is sent SIGTERM. */
#define STOP_PATIENCE_MS 1000
/* A process that was asked for and has not come is given up. */
#define START_PATIENCE_MS 30000
#define NO_SLOT_RETRY_MS 2000
/* What is due and cannot be done yet is no reason to spin. */
#define RETRY_FLOOR_MS 50
/* A process that lived so long before it failed is no reason for a longer back-off. */
#define HEALTHY_MS 60000

typedef struct WorkerShared
{
	ConditionVariable left;		/* a process has released its slot */
	uint64		nudges;			/* how often workers were told to look again */
	PrismWorkerSlot slots[FLEXIBLE_ARRAY_MEMBER];
} WorkerShared;

PrismWorkerSlot *prism_my_worker = NULL;

static WorkerShared *shared = NULL;
static LWLock *shared_lock = NULL;

static void set_state(PrismWorkerSlot *slot, PrismWorkerState state, PrismInstant retry_at, const char *error);
static PrismWorkerSlot *find_slot(const PrismWorkerIdentity *identity);
static PrismWorkerSlot *free_slot(PrismWorkerKind kind, int64 use_ms);
static void make_room(const PrismWorkerSlot *slot, PrismInstant now);
static bool may_start(PrismWorkerSlot *slot, PrismInstant now);
static int	count_processes(void);
static void ask_to_leave(PrismWorkerSlot *slot, PrismInstant now);
static bool register_process(int slot_number, const PrismWorkerSlot *start);
static void release_slot(int code, Datum arg);
static bool wake_slot(const PrismWorkerSlot *slot);
static void wake_supervisor(PrismWorkerKind kind, Oid database);

int
prism_worker_slots_max(void)
{
	/* The launcher's, and room to show workers that are wanted and get no process. */
	return 1 + 4 * prism_max_workers + 16;
}

static Size
slots_size(void)
{
	return add_size(offsetof(WorkerShared, slots),
					mul_size(prism_worker_slots_max(), sizeof(PrismWorkerSlot)));
}

int
prism_worker_lwlocks(void)
{
	return PRISM_WORKER_LOCKS;
}

Size
prism_worker_shmem_size(void)
{
	return add_size(slots_size(), prism_database_shmem_size());
}

void
prism_worker_shmem_init(void)
{
	bool		found;

	prism_database_shmem_init();
	shared = ShmemInitStruct("prism workers", slots_size(), &found);
	shared_lock = &GetNamedLWLockTranche(PRISM_WORKER_TRANCHE)[PRISM_WORKER_LOCK_SLOTS].lock;
	if (!found)
	{
		memset(shared, 0, slots_size());
		ConditionVariableInit(&shared->left);
		/* the postmaster has been asked for the launcher; nobody but itself changes its slot */
		shared->slots[PRISM_LAUNCHER_SLOT].state = PRISM_WORKER_STARTING;
		shared->slots[PRISM_LAUNCHER_SLOT].since_time = GetCurrentTimestamp();
		shared->slots[PRISM_LAUNCHER_SLOT].since = prism_instant();
	}
}

/* ---------------- states ---------------- */

/* Which states may follow; a slot may always stay in its state with other words. */
#define MAY(state) (1 << PRISM_WORKER_##state)
static const uint32 may_follow[] PG_USED_FOR_ASSERTS_ONLY = {
	[PRISM_WORKER_FREE] = MAY(STARTING) | MAY(NO_SLOT),
	[PRISM_WORKER_STARTING] = MAY(RUNNING) | MAY(BACKOFF) | MAY(STOPPING) | MAY(NO_SLOT) | MAY(FAILED) | MAY(ABSENT) | MAY(FREE),
	[PRISM_WORKER_RUNNING] = MAY(BACKOFF) | MAY(STOPPING) | MAY(FAILED) | MAY(ABSENT) | MAY(FREE),
	[PRISM_WORKER_BACKOFF] = MAY(STARTING) | MAY(RUNNING) | MAY(STOPPING) | MAY(NO_SLOT) | MAY(FAILED) | MAY(ABSENT) | MAY(FREE),
	[PRISM_WORKER_STOPPING] = MAY(FREE),
	[PRISM_WORKER_NO_SLOT] = MAY(STARTING) | MAY(FREE),
	[PRISM_WORKER_FAILED] = MAY(RUNNING) | MAY(BACKOFF) | MAY(STOPPING) | MAY(ABSENT) | MAY(FREE),
	[PRISM_WORKER_ABSENT] = MAY(FREE),
};
#undef MAY

/* The one place where a slot changes its state.  error: NULL keeps the text, "" clears it. */
static void
set_state(PrismWorkerSlot *slot, PrismWorkerState state, PrismInstant retry_at, const char *error)
{
	Assert(LWLockHeldByMeInMode(shared_lock, LW_EXCLUSIVE));
	Assert(slot->state == state || (may_follow[slot->state] & (1 << state)) != 0);

	if (state == PRISM_WORKER_FREE)
	{
		uint32		generation = slot->generation + 1;

		memset(slot, 0, sizeof(*slot));
		slot->generation = generation;
		return;
	}
	if (slot->state != state || state == PRISM_WORKER_STARTING)
	{
		slot->since_time = GetCurrentTimestamp();
		slot->since = prism_instant();
	}
	slot->state = state;
	slot->retry_at = retry_at;
	if (error != NULL)
		strlcpy(slot->error, error, pg_mbcliplen(error, strlen(error), sizeof(slot->error) - 1) + 1);
}

int
prism_worker_slots(PrismWorkerSlot *copies)
{
	int			count = 0;

	LWLockAcquire(shared_lock, LW_SHARED);
	for (int i = 0; i < prism_worker_slots_max(); i++)
		if (shared->slots[i].state != PRISM_WORKER_FREE)
			copies[count++] = shared->slots[i];
	LWLockRelease(shared_lock);
	return count;
}

/* ---------------- a process and its slot ---------------- */

bool
prism_worker_attach(int slot_number, uint32 generation)
{
	PrismWorkerSlot *slot = &shared->slots[slot_number];
	bool		wanted;

	Assert(prism_my_worker == NULL);
	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	if (slot_number == PRISM_LAUNCHER_SLOT)
	{
		/* The postmaster restarts the launcher, whatever the slot says. */
		if (slot->started_at != 0)
			slot->restarts++;
		slot->identity.kind = PRISM_LAUNCHER;
		set_state(slot, PRISM_WORKER_STARTING, 0, NULL);
		wanted = true;
	}
	else
		wanted = slot->state == PRISM_WORKER_STARTING && slot->generation == generation && slot->pid == 0;
	if (wanted)
	{
		slot->pid = MyProcPid;
		slot->proc_number = prism_my_proc_number();
		slot->started_at = prism_instant();
		slot->stop_requested = slot->try_at_once = slot->yield_requested = slot->idle = false;
		prism_my_worker = slot;
	}
	LWLockRelease(shared_lock);

	/*
	 * Callbacks run in reverse: this one after those that InitPostgres() will
	 * register, which take us out of the list of running processes.
	 */
	if (wanted)
		on_shmem_exit(release_slot, (Datum) 0);
	return wanted;
}

static void
release_slot(int code, Datum arg)
{
	PrismWorkerSlot *slot = prism_my_worker;
	PrismWorkerIdentity identity;
	PrismInstant now = prism_instant();

	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	identity = slot->identity;
	slot->pid = 0;
	if (slot->state == PRISM_WORKER_ABSENT)
		 /* the launcher frees it */ ;
	else if (identity.kind != PRISM_LAUNCHER && (code == 0 || slot->stop_requested))
		set_state(slot, PRISM_WORKER_FREE, 0, NULL);
	else
	{
		PrismBackoff backoff = {.clock = &prism_real_clock};

		if (prism_worker_told_to_end || prism_has_passed(slot->started_at, now, HEALTHY_MS))
			slot->failures = 0;
		backoff.failures = slot->failures;
		set_state(slot, PRISM_WORKER_BACKOFF, prism_backoff_fail(&backoff),
				  slot->error[0] == '\0' ? "the process ended; the server log says why" : NULL);
		/* A new process costs more than a new step, and two lines of log: the wait grows twice as fast. */
		slot->failures = backoff.failures + 1;
	}
	prism_my_worker = NULL;
	/* its place is free, and who was asked for one like it may stay until somebody asks again */
	for (int i = 1; i < prism_worker_slots_max(); i++)
	{
		if (shared->slots[i].state == PRISM_WORKER_NO_SLOT)
			shared->slots[i].retry_at = now;
		if (identity.kind == PRISM_HANDLER_WORKER)
			shared->slots[i].yield_requested = false;
	}
	LWLockRelease(shared_lock);

	ConditionVariableBroadcast(&shared->left);
	wake_supervisor(identity.kind, identity.database);
}

void
prism_worker_change(PrismWorkerState state, PrismInstant retry_at, const char *error)
{
	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	if (prism_my_worker->state != PRISM_WORKER_STOPPING &&
		(state != PRISM_WORKER_ABSENT || !prism_my_worker->try_at_once))
		set_state(prism_my_worker, state, retry_at, error);
	LWLockRelease(shared_lock);
}

void
prism_worker_note_load(bool idle, int64 use_ms)
{
	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	prism_my_worker->idle = idle;
	prism_my_worker->use_ms = use_ms;
	if (prism_place_is_wanted(shared->slots, prism_my_worker, prism_instant()))
		prism_my_worker->yield_requested = true;
	LWLockRelease(shared_lock);
}

/* ---------------- for supervisors ---------------- */

bool
prism_worker_ensure(const PrismWorkerIdentity *identity, int64 use_ms)
{
	PrismInstant now = prism_instant();
	PrismWorkerSlot *slot;
	PrismWorkerSlot start;
	bool		was_told;

	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	slot = find_slot(identity);
	if (slot != NULL && slot->pid == 0)
		slot->use_ms = use_ms;
	if (prism_database_is_held(identity->database) || (slot != NULL && !may_start(slot, now)))
	{
		bool		served = slot == NULL || slot->state != PRISM_WORKER_NO_SLOT;

		LWLockRelease(shared_lock);
		return served;
	}
	if (slot == NULL && (slot = free_slot(identity->kind, use_ms)) == NULL)
	{
		LWLockRelease(shared_lock);
		return false;			/* shown by those that are in the slots */
	}
	was_told = slot->state == PRISM_WORKER_NO_SLOT;
	if (slot->started_at != 0)
		slot->restarts++;
	slot->identity = *identity;
	slot->use_ms = use_ms;
	slot->generation++;
	if (count_processes() >= prism_max_workers || prism_place_must_wait(shared->slots, slot, now))
	{
		set_state(slot, PRISM_WORKER_NO_SLOT, prism_instant_after(now, NO_SLOT_RETRY_MS),
				  "prism.max_workers is used up");
		make_room(slot, now);
	}
	else
		set_state(slot, PRISM_WORKER_STARTING, 0, was_told ? "" : NULL);
	start = *slot;
	LWLockRelease(shared_lock);

	if (start.state == PRISM_WORKER_STARTING && register_process(slot - shared->slots, &start))
		return true;

	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	if (slot->generation == start.generation && slot->state == PRISM_WORKER_STARTING)
	{
		set_state(slot, PRISM_WORKER_NO_SLOT, prism_instant_after(now, NO_SLOT_RETRY_MS),
				  "max_worker_processes is used up");
		make_room(slot, now);
	}
	start = *slot;
	LWLockRelease(shared_lock);
	if (!was_told && start.state == PRISM_WORKER_NO_SLOT && prism_place_is_to_be_told(identity->kind, now))
		ereport(LOG,
				errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("prism cannot start a %s for database %u: %s",
					   prism_worker_kind_name(identity->kind), identity->database, start.error),
				errhint("Raise max_worker_processes (now %d) or prism.max_workers (now %d) and restart the server.",
						max_worker_processes, prism_max_workers));
	return false;
}

/* A slot in use: is it time for a (new) process? */
static bool
may_start(PrismWorkerSlot *slot, PrismInstant now)
{
	if (slot->pid != 0)
		return false;
	if (slot->state == PRISM_WORKER_STARTING)
		return prism_has_passed(slot->since, now, START_PATIENCE_MS);
	return (slot->state == PRISM_WORKER_BACKOFF || slot->state == PRISM_WORKER_NO_SLOT) &&
		slot->retry_at <= now;
}

static bool
register_process(int slot_number, const PrismWorkerSlot *start)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,	/* by its supervisor, who knows whether it is still wanted */
		.bgw_library_name = "prism",
		.bgw_main_arg = Int32GetDatum(slot_number),
		.bgw_notify_pid = MyProcPid,
	};
	const char *kind = prism_worker_kind_name(start->identity.kind);
	BackgroundWorkerHandle *handle;
	bool		registered;

	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "prism %s", kind);
	snprintf(worker.bgw_type, sizeof(worker.bgw_type), "prism %s", kind);
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "prism_%s_main", kind);
	memcpy(worker.bgw_extra, &start->generation, sizeof(start->generation));

	registered = RegisterDynamicBackgroundWorker(&worker, &handle);
	if (registered)
		pfree(handle);
	return registered;
}

void
prism_worker_dismiss(const PrismWorkerIdentity *identity)
{
	PrismWorkerSlot *slot;

	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	slot = find_slot(identity);
	if (slot != NULL)
		ask_to_leave(slot, prism_instant());
	LWLockRelease(shared_lock);
}

/*
 * Friendly first; with SIGTERM when it is still busy after a while.  The
 * signal is sent under the lock: while the slot holds the pid, the pid is its.
 */
static void
ask_to_leave(PrismWorkerSlot *slot, PrismInstant now)
{
	if (slot->pid == 0)
	{
		set_state(slot, PRISM_WORKER_FREE, 0, NULL);	/* a process under way finds another generation */
		return;
	}
	if (!slot->stop_requested)
	{
		slot->stop_requested = true;
		if (slot->state != PRISM_WORKER_ABSENT)
			set_state(slot, PRISM_WORKER_STOPPING, 0, NULL);
		wake_slot(slot);
	}
	else if (prism_has_passed(slot->since, now, STOP_PATIENCE_MS))
		kill(slot->pid, SIGTERM);
}

long
prism_worker_retry_ms(Oid database)
{
	PrismInstant now = prism_instant();
	PrismInstant first = PRISM_NEVER;

	LWLockAcquire(shared_lock, LW_SHARED);
	for (int i = 1; i < prism_worker_slots_max(); i++)
	{
		const PrismWorkerSlot *slot = &shared->slots[i];
		bool		is_manager = slot->identity.kind == PRISM_MANAGER;
		PrismInstant due = PRISM_NEVER;

		if (OidIsValid(database) ? (is_manager || slot->identity.database != database) : !is_manager)
			continue;
		if (slot->state == PRISM_WORKER_STOPPING)
			due = prism_instant_after(slot->since, STOP_PATIENCE_MS + 1);
		else if (slot->state == PRISM_WORKER_STARTING && slot->pid == 0)
			due = prism_instant_after(slot->since, START_PATIENCE_MS + 1);
		else if ((slot->state == PRISM_WORKER_BACKOFF && slot->pid == 0) || slot->state == PRISM_WORKER_NO_SLOT)
			due = slot->retry_at;
		first = Min(first, due);
	}
	LWLockRelease(shared_lock);

	if (first == PRISM_NEVER)
		return -1;
	return Max(prism_ms_until(first, now), RETRY_FLOOR_MS);
}

/* ---------------- waking ---------------- */

static bool
wake_slot(const PrismWorkerSlot *slot)
{
	if (slot->pid == 0)
		return false;
	SetLatch(&ProcGlobal->allProcs[slot->proc_number].procLatch);
	return true;
}

bool
prism_worker_wake(PrismWorkerKind kind, Oid database)
{
	bool		woken = false;

	LWLockAcquire(shared_lock, LW_SHARED);
	for (int i = 0; i < prism_worker_slots_max(); i++)
		if (shared->slots[i].identity.kind == kind && shared->slots[i].identity.database == database &&
			wake_slot(&shared->slots[i]))
			woken = true;
	LWLockRelease(shared_lock);
	return woken;
}

/* Of one kind, or all; of one database, or all. */
static void
nudge(bool all_kinds, PrismWorkerKind kind, Oid database)
{
	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	shared->nudges++;
	for (int i = 1; i < prism_worker_slots_max(); i++)
	{
		PrismWorkerSlot *slot = &shared->slots[i];

		if (slot->state == PRISM_WORKER_FREE || (!all_kinds && slot->identity.kind != kind) ||
			(OidIsValid(database) && slot->identity.database != database))
			continue;
		/* who has waited since long ago would be forgotten (places.c) */
		slot->retry_at = slot->state == PRISM_WORKER_NO_SLOT ? prism_instant() : 0;
		slot->try_at_once = true;
		wake_slot(slot);
	}
	LWLockRelease(shared_lock);
}

void
prism_worker_nudge(PrismWorkerKind kind, Oid database)
{
	nudge(false, kind, database);
}

void
prism_worker_wake_database(Oid database)
{
	nudge(true, 0, database);
}

uint64
prism_worker_nudges_all(void)
{
	return shared->nudges;		/* an older number is harmless: who asks has been woken too */
}

static void
wake_supervisor(PrismWorkerKind kind, Oid database)
{
	if (kind == PRISM_MANAGER)
		prism_worker_wake(PRISM_LAUNCHER, InvalidOid);
	else if (kind != PRISM_LAUNCHER)
		prism_worker_wake(PRISM_MANAGER, database);
}

bool
prism_worker_clear_database(Oid database, long timeout_ms)
{
	PrismInstant start = prism_instant();
	int			still_there;

	ConditionVariablePrepareToSleep(&shared->left);
	for (;;)
	{
		PrismInstant now = prism_instant();

		still_there = 0;
		LWLockAcquire(shared_lock, LW_EXCLUSIVE);
		for (int i = 1; i < prism_worker_slots_max(); i++)
		{
			PrismWorkerSlot *slot = &shared->slots[i];

			if (slot->state == PRISM_WORKER_FREE || slot->identity.database != database)
				continue;
			ask_to_leave(slot, now);
			still_there += slot->pid != 0;
		}
		LWLockRelease(shared_lock);
		if (still_there == 0 || prism_has_passed(start, now, timeout_ms))
			break;
		(void) ConditionVariableTimedSleep(&shared->left, STOP_PATIENCE_MS / 4, prism_wait_event(PRISM_WAIT_WORKERS_LEFT));
	}
	ConditionVariableCancelSleep();
	return still_there == 0;
}

/* ---------------- helpers; the lock is held ---------------- */

static PrismWorkerSlot *
find_slot(const PrismWorkerIdentity *identity)
{
	for (int i = 1; i < prism_worker_slots_max(); i++)
	{
		PrismWorkerSlot *slot = &shared->slots[i];

		if (slot->state != PRISM_WORKER_FREE &&
			slot->identity.kind == identity->kind &&
			slot->identity.database == identity->database &&
			slot->identity.server == identity->server &&
			slot->identity.sink_id == identity->sink_id &&
			slot->identity.role == identity->role)
			return slot;
	}
	return NULL;
}

static PrismWorkerSlot *
free_slot(PrismWorkerKind kind, int64 use_ms)
{
	PrismWorkerSlot *slot = prism_place_slot(shared->slots, kind, use_ms);

	if (slot != NULL && slot->state != PRISM_WORKER_FREE)
		set_state(slot, PRISM_WORKER_FREE, 0, NULL);
	return slot;
}

static void
make_room(const PrismWorkerSlot *slot, PrismInstant now)
{
	PrismWorkerSlot *giver;

	do
	{
		giver = prism_place_giver(shared->slots, slot, now);
		if (giver == NULL)
			return;
		giver->yield_requested = true;
		wake_slot(giver);
	} while (!giver->idle);
}

/* Processes that run or were asked for; the launcher does not count. */
static int
count_processes(void)
{
	int			count = 0;

	for (int i = 1; i < prism_worker_slots_max(); i++)
		count += shared->slots[i].pid != 0 || shared->slots[i].state == PRISM_WORKER_STARTING;
	return count;
}
