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
#ifndef PRISM_BGWORKER_SHMEM_H
#define PRISM_BGWORKER_SHMEM_H

#include "base/prism.h"
#include "base/clock.h"

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

typedef enum PrismWorkerKind
{
	PRISM_LAUNCHER,
	PRISM_MANAGER,
	PRISM_MAINTAINER,
	PRISM_FORWARDER,
	PRISM_SCHEDULER,
	PRISM_HANDLER_WORKER
} PrismWorkerKind;

/*
 * What makes a worker this one and no other.
 *
 * A forwarder serves the sinks of one foreign server ('server'), or, when that
 * is InvalidOid, the sinks without a server whose back end and endpoint are
 * those of sink 'sink_id' (the smallest number among them).
 *
 * A handler worker serves the handlers of a role; its session is that role's.
 */
typedef struct PrismWorkerIdentity
{
	PrismWorkerKind kind;
	Oid			database;
	Oid			server;
	int32		sink_id;
	Oid			role;
} PrismWorkerIdentity;

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

/* The slot of this process, NULL when it is no worker of prism. Others' slots are read as copies only. */
extern PrismWorkerSlot *prism_my_worker;

/* Copies of all slots in use; returns how many. At most prism_worker_slots_max(). */
extern int	prism_worker_slots(PrismWorkerSlot *copies);
extern int	prism_worker_slots_max(void);

/* For names of processes and views: "forwarder"; "running". */
extern const char *prism_worker_kind_name(PrismWorkerKind kind);
extern const char *prism_worker_state_name(PrismWorkerState state);

/*
 * For supervisors: make sure that the worker runs.  Does nothing when it does,
 * when its back-off is not over, or while its database is held off.  False: no
 * process is to be had (the slot says so).  use_ms: of a handler, else 0; who
 * has used less comes first.  Never throws.
 */
extern bool prism_worker_ensure(const PrismWorkerIdentity *identity, int64 use_ms);

/* For supervisors: let it leave; its slot is freed when it is gone. */
extern void prism_worker_dismiss(const PrismWorkerIdentity *identity);

/* This process changes its own state; error NULL keeps the last text, "" clears it. */
extern void prism_worker_change(PrismWorkerState state, PrismInstant retry_at, const char *error);

/*
 * This process, a handler's: whether it has nothing to do, and what its role's
 * calls have taken lately.  It leaves when somebody waits for its place.
 */
extern void prism_worker_note_load(bool idle, int64 use_ms);

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

/* ---------- places.c; under the lock ---------- */

/* Others come first: the worker of this slot gets no process now, even when one is to be had. */
extern bool prism_place_must_wait(const PrismWorkerSlot *slots, const PrismWorkerSlot *slot, PrismInstant now);

/*
 * Whose place the worker of this slot, which has found none, is to have; NULL:
 * nobody's.  One that is idle leaves at once; else all are asked, one after the
 * other, for nobody knows whose call ends first.
 */
extern PrismWorkerSlot *prism_place_giver(PrismWorkerSlot *slots, const PrismWorkerSlot *slot, PrismInstant now);

/* The handler's process has nothing to do, or has had its turn, and others wait, more than are leaving already. */
extern bool prism_place_is_wanted(const PrismWorkerSlot *slots, const PrismWorkerSlot *self, PrismInstant now);

/*
 * A slot for a worker that has none: a free one, or for a handler, when
 * handlers have all that they may, that of one that waits and has used more.
 * NULL: there is none.
 */
extern PrismWorkerSlot *prism_place_slot(PrismWorkerSlot *slots, PrismWorkerKind kind, int64 use_ms);

/* Whether the server log shall say that there are too few processes. */
extern bool prism_place_is_to_be_told(PrismWorkerKind kind, PrismInstant now);

#endif							/* PRISM_BGWORKER_SHMEM_H */
