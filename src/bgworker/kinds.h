/*-------------------------------------------------------------------------
 *
 * kinds.h
 *	  The kinds of workers that there are: one line each.
 *
 * A new kind is a line of PRISM_WORKER_KINDS below, and a folder with its main,
 * prism_<name>_main().  Whatever else knows of kinds asks the table that is made
 * of it (kinds.c): only the two that supervise others, launcher and manager,
 * are known by their names elsewhere.
 *
 * src/bgworker/kinds.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_KINDS_H
#define PRISM_KINDS_H

#include "base/prism.h"
#include "base/clock.h"

#include "fmgr.h"
#include "postmaster/bgworker.h"

/* Which workers get a process when there are too few (places.c). */
typedef enum PrismWorkerPlace
{
	PRISM_PLACE_FIRST,
	PRISM_PLACE_LAST			/* users can make any number of them: after all others, and in turns */
} PrismWorkerPlace;

/*
 * In code; in names of processes and views, and of its main; its place; carries
 * messages, which prism.enabled ends (the others look after the log: without
 * segments nobody could publish); has a view of what it serves that tells of its
 * troubles (else prism.status does); what wants it in a database (wanted.c; NULL: no manager starts it); what it
 * has to do (NULL: it finds out itself).
 */
#define PRISM_WORKER_KINDS(KIND) \
	KIND(PRISM_LAUNCHER, launcher, PRISM_PLACE_FIRST, false, false, NULL, NULL) \
	KIND(PRISM_MANAGER, manager, PRISM_PLACE_FIRST, false, false, NULL, NULL) \
	KIND(PRISM_MAINTAINER, maintainer, PRISM_PLACE_FIRST, false, false, prism_want_maintainer, NULL) \
	KIND(PRISM_FORWARDER, forwarder, PRISM_PLACE_FIRST, true, true, prism_want_forwarders, NULL) \
	KIND(PRISM_SCHEDULER, scheduler, PRISM_PLACE_FIRST, true, false, prism_want_scheduler, NULL) \
	KIND(PRISM_HANDLER_WORKER, handler, PRISM_PLACE_LAST, true, true, prism_want_handlers, prism_look_for_calls)

#define PRISM_KIND_MEMBER(kind, name, place, carries, has_view, want, look) kind,
typedef enum PrismWorkerKind
{
	PRISM_WORKER_KINDS(PRISM_KIND_MEMBER)
} PrismWorkerKind;

/* Entry points of worker processes, for PostgreSQL's dynamic loader. */
#define PRISM_KIND_MAIN(kind, name, place, carries, has_view, want, look) \
extern PGDLLEXPORT void prism_##name##_main(Datum main_arg);
PRISM_WORKER_KINDS(PRISM_KIND_MAIN)

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

/* A worker that a database needs, and what it has to do. */
typedef struct PrismWanted
{
	PrismWorkerIdentity identity;
	PrismInstant due;			/* when, if nobody wakes us before; what is past is now */
	int64		use_ms;			/* the worker that has used less comes first */
} PrismWanted;

typedef struct PrismWantedList
{
	PrismWanted *workers;
	int			count;
	int			room;
} PrismWantedList;

typedef struct PrismWorkerKindInfo
{
	const char *name;			/* "forwarder" */
	const char *main;			/* "prism_forwarder_main" */
	PrismWorkerPlace place;
	bool		carries;
	bool		has_view;

	/* Append those of this kind that this database needs; in a transaction of its manager. */
	void		(*want) (PrismWantedList *wanted);

	/*
	 * Say when it has something to do, and what it has used; outside of
	 * transactions.  Whatever happened before prism_worker_nudges_all() was
	 * 'epoch' is known.
	 */
	void		(*look) (PrismWanted *wanted, uint64 epoch);
} PrismWorkerKindInfo;

#define PRISM_KIND_ONE(kind, name, place, carries, has_view, want, look) + 1
#define PRISM_WORKER_KIND_COUNT (0 PRISM_WORKER_KINDS(PRISM_KIND_ONE))

extern const PrismWorkerKindInfo *prism_worker_kind(PrismWorkerKind kind);

/* It does not run for the time being, as prism.enabled is off. */
extern bool prism_worker_is_off(PrismWorkerKind kind);

/* What the postmaster has to know of a process of this kind; the rest of 'worker' is zero. */
extern void prism_worker_kind_describe(PrismWorkerKind kind, BackgroundWorker *worker);

#endif							/* PRISM_KINDS_H */
