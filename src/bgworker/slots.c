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
#include "bgworker/slots.h"

#include <signal.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
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
/* What is due and cannot be done yet is no reason to spin. */
#define RETRY_FLOOR_MS 50
/* A process that lived this long before it failed is no reason for a longer back-off. */
#define HEALTHY_MS 60000

typedef struct WorkerShared
{
	ConditionVariable left;		/* a process has released its slot */
	uint64		nudges;			/* how often workers were told to look again */
	PrismWorkerSlot slots[FLEXIBLE_ARRAY_MEMBER];
} WorkerShared;

volatile sig_atomic_t prism_worker_told_to_end = false;
PrismInstant prism_worker_replaced_by = PRISM_NEVER;
PrismWorkerSlot *prism_my_worker = NULL;

static WorkerShared *shared = NULL;
static LWLock *shared_lock = NULL;

static void ask_to_leave(PrismWorkerSlot *slot, PrismInstant now);
static void release_slot(int code, Datum arg);
static void wake_supervisor(PrismWorkerKind kind, Oid database);

int
prism_worker_slots_max(void)
{
	/* The launcher's, and room to show workers that are wanted and get no process. */
	return 1 + 4 * prism_max_workers + 16;
}

int
prism_worker_lwlocks(void)
{
	return PRISM_WORKER_LOCKS;
}

Size
prism_worker_shmem_size(void)
{
	return add_size(offsetof(WorkerShared, slots),
					mul_size(prism_worker_slots_max(), sizeof(PrismWorkerSlot)));
}

void
prism_worker_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("prism workers", prism_worker_shmem_size(), &found);
	shared_lock = &GetNamedLWLockTranche(PRISM_WORKER_TRANCHE)[PRISM_WORKER_LOCK_SLOTS].lock;
	if (!found)
	{
		memset(shared, 0, prism_worker_shmem_size());
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

void
prism_slot_change(PrismWorkerSlot *slot, PrismWorkerState state, PrismInstant retry_at, const char *error)
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

const char *
prism_worker_state_name(PrismWorkerState state)
{
	static const char *const names[] = {
		[PRISM_WORKER_FREE] = "free",
		[PRISM_WORKER_STARTING] = "starting",
		[PRISM_WORKER_RUNNING] = "running",
		[PRISM_WORKER_BACKOFF] = "backoff",
		[PRISM_WORKER_STOPPING] = "stopping",
		[PRISM_WORKER_NO_SLOT] = "no_worker_slot",
		[PRISM_WORKER_FAILED] = "failed",
		[PRISM_WORKER_ABSENT] = "absent",
	};

	return names[state];
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
		prism_slot_change(slot, PRISM_WORKER_STARTING, 0, NULL);
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
		prism_slot_change(slot, PRISM_WORKER_FREE, 0, NULL);
	else
	{
		PrismBackoff backoff = {.clock = &prism_real_clock};
		PrismInstant retry_at;

		if (prism_worker_told_to_end || prism_has_passed(slot->started_at, now, HEALTHY_MS))
			slot->failures = 0;
		backoff.failures = slot->failures;
		retry_at = prism_backoff_fail(&backoff);
		prism_slot_change(slot, PRISM_WORKER_BACKOFF, Min(retry_at, prism_worker_replaced_by),
				  slot->error[0] == '\0' ? "the process ended; the server log says why" : NULL);
		/* A new process costs more than a new step, and two lines of log: the wait grows twice as fast. */
		slot->failures = backoff.failures + 1;
	}
	prism_my_worker = NULL;
	/* its place is free, and a worker that was asked for one like it may stay until somebody asks again */
	for (int i = 1; i < prism_worker_slots_max(); i++)
	{
		if (shared->slots[i].state == PRISM_WORKER_NO_SLOT)
			shared->slots[i].retry_at = now;
		if (prism_worker_kind(identity.kind)->place == PRISM_PLACE_LAST)
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
		prism_slot_change(prism_my_worker, state, retry_at, error);
	LWLockRelease(shared_lock);
}

/* ---------------- for supervisors ---------------- */

void
prism_worker_dismiss(const PrismWorkerIdentity *identity)
{
	PrismWorkerSlot *slot;

	LWLockAcquire(shared_lock, LW_EXCLUSIVE);
	slot = prism_slot_find(identity);
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
		prism_slot_change(slot, PRISM_WORKER_FREE, 0, NULL);	/* a process under way finds another generation */
		return;
	}
	if (!slot->stop_requested)
	{
		slot->stop_requested = true;
		if (slot->state != PRISM_WORKER_ABSENT)
			prism_slot_change(slot, PRISM_WORKER_STOPPING, 0, NULL);
		prism_slot_wake(slot);
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
			due = prism_instant_after(slot->since, PRISM_START_PATIENCE_MS + 1);
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

bool
prism_slot_wake(const PrismWorkerSlot *slot)
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
			prism_slot_wake(&shared->slots[i]))
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
		/* a worker that has waited since long ago would be forgotten (places.c) */
		slot->retry_at = slot->state == PRISM_WORKER_NO_SLOT ? prism_instant() : 0;
		slot->try_at_once = true;
		prism_slot_wake(slot);
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
	return shared->nudges;		/* an older number is harmless: the one that asks has been woken too */
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

/* ---------------- under the lock ---------------- */

PrismWorkerSlot *
prism_slots_lock(LWLockMode mode)
{
	LWLockAcquire(shared_lock, mode);
	return shared->slots;
}

void
prism_slots_unlock(void)
{
	LWLockRelease(shared_lock);
}

PrismWorkerSlot *
prism_slot_find(const PrismWorkerIdentity *identity)
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
