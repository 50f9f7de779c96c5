/*-------------------------------------------------------------------------
 *
 * slots.h
 *	  Which workers are wanted and which run: slots in shared memory.
 *
 * A slot belongs to one wanted worker, told by its identity, whether or not a
 * process runs for it.  The launcher supervises managers, a manager supervises
 * the other workers of its database; the postmaster restarts the launcher
 * alone.  One function changes the state of a slot, under one LWLock.
 *
 * A slot is let go after its process has left the list of running ones, so
 * "no slot with a process" means that DROP DATABASE finds nobody.
 *
 * src/bgworker/slots.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SLOTS_H
#define PRISM_SLOTS_H

#include "base/prism.h"
#include "base/clock.h"
#include "bgworker/kinds.h"

#include <signal.h>

#include "storage/lwlock.h"

/* The launcher's slot; the others are taken as they come. */
#define PRISM_LAUNCHER_SLOT 0
#define PRISM_WORKER_TRANCHE "prism_worker"
/* Its locks; the second may be taken while the first is held. */
enum
{
	PRISM_WORKER_LOCK_SLOTS,
	PRISM_WORKER_LOCK_DATABASES,
	PRISM_WORKER_LOCKS
};
#define PRISM_WORKER_ERROR_BYTES 256
/* A process that was asked for and has not come is given up. */
#define PRISM_START_PATIENCE_MS 30000

typedef enum PrismWorkerState
{
	PRISM_WORKER_FREE,			/* nobody wants this slot */
	PRISM_WORKER_STARTING,		/* the postmaster was asked for a process */
	PRISM_WORKER_RUNNING,
	PRISM_WORKER_BACKOFF,		/* failed; tried again at retry_at, by the same process or a new one */
	PRISM_WORKER_STOPPING,		/* was asked to leave */
	PRISM_WORKER_NO_SLOT,		/* wanted, but no process is to be had */
	PRISM_WORKER_FAILED,		/* wrong settings or versions: waits for a change */
	PRISM_WORKER_ABSENT			/* a manager found no prism in its database; the launcher takes note and frees the slot */
} PrismWorkerState;

typedef struct PrismWorkerSlot
{
	PrismWorkerIdentity identity;
	PrismWorkerState state;
	uint32		generation;		/* grows with each start: a late process finds out that it is not wanted any more */
	bool		stop_requested;
	bool		try_at_once;	/* what it failed on may have been changed */
	bool		yield_requested;	/* others wait for its place (places.c) */
	bool		idle;			/* it has nothing to do */
	int64		use_ms;			/* a handler's: what its role's calls have taken lately */
	int			pid;			/* 0: no process */
	int			proc_number;	/* of pid, for its latch */
	int			failures;		/* processes that failed in a row */
	int			restarts;		/* processes started after the first */
	TimestampTz since_time;		/* of the state, for views */
	PrismInstant since;
	PrismInstant started_at;		/* of the process */
	PrismInstant retry_at;
	char		error[PRISM_WORKER_ERROR_BYTES];	/* the last one; empty: none */
} PrismWorkerSlot;

/* Shared memory, with so many LWLocks of PRISM_WORKER_TRANCHE: see PrismModule. */
extern int	prism_worker_lwlocks(void);
extern Size prism_worker_shmem_size(void);
extern void prism_worker_shmem_init(void);

/* _PG_init of a preloaded library: register the launcher, install the hooks. */
extern void prism_worker_init(void);

/* SIGTERM has come: the end of this process says nothing about the next one. */
extern volatile sig_atomic_t prism_worker_told_to_end;

/* This process has outgrown prism.worker_memory, which is no fault: when the next one is to come at the latest; else PRISM_NEVER. */
extern PrismInstant prism_worker_replaced_by;

/* The slot of this process, NULL when it is no worker of prism. Others' slots are read as copies only. */
extern PrismWorkerSlot *prism_my_worker;

/* Copies of all slots in use; returns how many. At most prism_worker_slots_max(). */
extern int	prism_worker_slots(PrismWorkerSlot *copies);
extern int	prism_worker_slots_max(void);

/* For views: "running". */
extern const char *prism_worker_state_name(PrismWorkerState state);

/* For supervisors: let it leave; its slot is freed when it is gone. */
extern void prism_worker_dismiss(const PrismWorkerIdentity *identity);

/* This process changes its own state; error NULL keeps the last text, "" clears it. */
extern void prism_worker_change(PrismWorkerState state, PrismInstant retry_at, const char *error);

/* A process takes its slot, first thing; false: it is not wanted any more. Released by itself at exit. */
extern bool prism_worker_attach(int slot_number, uint32 generation);

/* Wake workers of a kind in a database (InvalidOid: the launcher). False: none of them has a process. Cannot throw. */
extern bool prism_worker_wake(PrismWorkerKind kind, Oid database);

/* The same for those that back off: what they failed on may have been changed. Cannot throw. */
extern void prism_worker_nudge(PrismWorkerKind kind, Oid database);

/* How often both happened, to any worker: what was read before another number was may have been changed. */
extern uint64 prism_worker_nudges_all(void);

/* A database's configuration changed (InvalidOid: the server's): all its workers look again, those that back off as well. Cannot throw. */
extern void prism_worker_wake_database(Oid database);

/*
 * All workers of a database leave now; those that are busy are sent SIGTERM
 * after a while.  False: some are still there after the wait.
 */
extern bool prism_worker_clear_database(Oid database, long timeout_ms);

/* When the next supervised worker of the database (InvalidOid: managers) may be tried again, in ms; -1: none waits. */
extern long prism_worker_retry_ms(Oid database);

/* ---------- for ensure.c; under the lock, which the first takes ---------- */

/* All slots, prism_worker_slots_max() of them. */
extern PrismWorkerSlot *prism_slots_lock(LWLockMode mode);
extern void prism_slots_unlock(void);

/* NULL: it has none. */
extern PrismWorkerSlot *prism_slot_find(const PrismWorkerIdentity *identity);

/* The one place where a slot changes its state.  error: NULL keeps the text, "" clears it. */
extern void prism_slot_change(PrismWorkerSlot *slot, PrismWorkerState state, PrismInstant retry_at, const char *error);

/* False: it has no process. */
extern bool prism_slot_wake(const PrismWorkerSlot *slot);

#endif							/* PRISM_SLOTS_H */
