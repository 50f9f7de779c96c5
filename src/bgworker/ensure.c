/*-------------------------------------------------------------------------
 *
 * ensure.c
 *	  Processes for workers that are wanted: a slot, a place, the postmaster.
 *
 * Never more than prism.max_workers, nor than max_worker_processes leaves; who
 * has to wait for whom is decided in places.c.
 *
 * src/bgworker/ensure.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/guc.h"
#include "bgworker/database.h"
#include "bgworker/ensure.h"
#include "bgworker/places.h"

#include "miscadmin.h"
#include "postmaster/bgworker.h"

#define NO_SLOT_RETRY_MS 2000

static PrismWorkerSlot *free_worker_slot(PrismWorkerSlot *slots, PrismWorkerKind kind, int64 use_ms);
static void make_room_for_worker(PrismWorkerSlot *slots, const PrismWorkerSlot *slot, PrismInstant now);
static bool may_start(const PrismWorkerSlot *slot, PrismInstant now);
static int	count_processes(const PrismWorkerSlot *slots);
static bool register_process(int slot_number, const PrismWorkerSlot *start);

bool
prism_worker_ensure(const PrismWorkerIdentity *identity, int64 use_ms)
{
	PrismInstant now = prism_instant();
	PrismWorkerSlot *slots = prism_slots_lock(LW_EXCLUSIVE);
	PrismWorkerSlot *slot = prism_slot_find(identity);
	PrismWorkerSlot start;
	bool		was_told;

	if (slot != NULL && slot->pid == 0)
		slot->use_ms = use_ms;
	if (prism_database_is_held(identity->database) || (slot != NULL && !may_start(slot, now)))
	{
		bool		served = slot == NULL || slot->state != PRISM_WORKER_NO_SLOT;

		prism_slots_unlock();
		return served;
	}
	if (slot == NULL && (slot = free_worker_slot(slots, identity->kind, use_ms)) == NULL)
	{
		prism_slots_unlock();
		return false;			/* shown by those that are in the slots */
	}
	was_told = slot->state == PRISM_WORKER_NO_SLOT;
	if (slot->started_at != 0)
		slot->restarts++;
	slot->identity = *identity;
	slot->use_ms = use_ms;
	slot->generation++;
	if (count_processes(slots) >= prism_max_workers || prism_place_must_wait(slots, slot, now))
	{
		prism_slot_change(slot, PRISM_WORKER_NO_SLOT, prism_instant_after(now, NO_SLOT_RETRY_MS),
				  "prism.max_workers is used up");
		make_room_for_worker(slots, slot, now);
	}
	else
		prism_slot_change(slot, PRISM_WORKER_STARTING, 0, was_told ? "" : NULL);
	start = *slot;
	prism_slots_unlock();

	if (start.state == PRISM_WORKER_STARTING && register_process(slot - slots, &start))
		return true;

	(void) prism_slots_lock(LW_EXCLUSIVE);
	if (slot->generation == start.generation && slot->state == PRISM_WORKER_STARTING)
	{
		prism_slot_change(slot, PRISM_WORKER_NO_SLOT, prism_instant_after(now, NO_SLOT_RETRY_MS),
				  "max_worker_processes is used up");
		make_room_for_worker(slots, slot, now);
	}
	start = *slot;
	prism_slots_unlock();
	if (!was_told && start.state == PRISM_WORKER_NO_SLOT && prism_place_is_to_be_told(identity->kind, now))
		ereport(LOG,
				errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("prism cannot start a %s for database %u: %s",
					   prism_worker_kind(identity->kind)->name, identity->database, start.error),
				errhint("Raise max_worker_processes (now %d) or prism.max_workers (now %d) and restart the server.",
						max_worker_processes, prism_max_workers));
	return false;
}

/* A slot in use: is it time for a (new) process? */
static bool
may_start(const PrismWorkerSlot *slot, PrismInstant now)
{
	if (slot->pid != 0)
		return false;
	if (slot->state == PRISM_WORKER_STARTING)
		return prism_has_passed(slot->since, now, PRISM_START_PATIENCE_MS);
	return (slot->state == PRISM_WORKER_BACKOFF || slot->state == PRISM_WORKER_NO_SLOT) &&
		slot->retry_at <= now;
}

static bool
register_process(int slot_number, const PrismWorkerSlot *start)
{
	BackgroundWorker worker = {
		.bgw_restart_time = BGW_NEVER_RESTART,	/* by its supervisor, who knows whether it is still wanted */
		.bgw_main_arg = Int32GetDatum(slot_number),
		.bgw_notify_pid = MyProcPid,
	};
	BackgroundWorkerHandle *handle;
	bool		registered;

	prism_worker_kind_describe(start->identity.kind, &worker);
	memcpy(worker.bgw_extra, &start->generation, sizeof(start->generation));

	registered = RegisterDynamicBackgroundWorker(&worker, &handle);
	if (registered)
		pfree(handle);
	return registered;
}

static PrismWorkerSlot *
free_worker_slot(PrismWorkerSlot *slots, PrismWorkerKind kind, int64 use_ms)
{
	PrismWorkerSlot *slot = prism_place_slot(slots, kind, use_ms);

	if (slot != NULL && slot->state != PRISM_WORKER_FREE)
		prism_slot_change(slot, PRISM_WORKER_FREE, 0, NULL);
	return slot;
}

static void
make_room_for_worker(PrismWorkerSlot *slots, const PrismWorkerSlot *slot, PrismInstant now)
{
	PrismWorkerSlot *giver;

	do
	{
		giver = prism_place_giver(slots, slot, now);
		if (giver == NULL)
			return;
		giver->yield_requested = true;
		(void) prism_slot_wake(giver);
	} while (!giver->idle);
}

/* Processes that run or were asked for; the launcher does not count. */
static int
count_processes(const PrismWorkerSlot *slots)
{
	int			count = 0;

	for (int i = 1; i < prism_worker_slots_max(); i++)
		count += slots[i].pid != 0 || slots[i].state == PRISM_WORKER_STARTING;
	return count;
}

void
prism_worker_note_load(bool idle, int64 use_ms)
{
	PrismWorkerSlot *slots = prism_slots_lock(LW_EXCLUSIVE);

	prism_my_worker->idle = idle;
	prism_my_worker->use_ms = use_ms;
	if (prism_place_is_wanted(slots, prism_my_worker, prism_instant()))
		prism_my_worker->yield_requested = true;
	prism_slots_unlock();
}
