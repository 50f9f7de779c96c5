/*-------------------------------------------------------------------------
 *
 * handler.h
 *	  Handlers: SQL functions that a worker calls with the messages of a consumer group.
 *
 * What a handler is stands in prism.handler.  Its function is known by name, so
 * that a dump carries it and it may be made anew.  Its role, and who registered
 * it, are not: somebody else may get such a name.  They are those who hold
 * SELECT and INSERT on the view prism_log.handler_<group_id>.  So PostgreSQL
 * itself keeps a dropped role out, follows one that gets another name, lets
 * DROP OWNED take the consent back, and carries all that through a dump.  How a
 * handler fares stands in shared memory, one slot a handler, written by the one
 * worker that serves it.
 *
 * Files: handler.c slots; handler_catalog.c prism.handler; handler_party.c whose
 * rights it uses; handler_check.c whether a handler can be called.
 *
 * src/store/handler/handler.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_HANDLER_H
#define PRISM_HANDLER_H

#include "store/group/group.h"

#include "nodes/pg_list.h"

#define PRISM_HANDLER_TRANCHE "prism_handler"
#define PRISM_HANDLER_ERROR_BYTES 512
#define PRISM_HANDLER_BATCH_MAX 10000

/* A row of prism.handler. */
typedef struct PrismHandler
{
	int32		group_id;		/* a group has one handler at most */
	int32		topic_id;
	const char *group_name;
	const char *function_schema;
	const char *function_name;
	bool		takes_batch;	/* prism.message[]; false: prism.message */
	const char *role;			/* its name, for people */
	const char *registered_by;
	Oid			role_oid;		/* InvalidOid: dropped, or has taken its consent back */
	Oid			registered_by_oid;	/* likewise */
	bool		role_is_owner;	/* of the extension, whoever that is */
	bool		registered_by_owner;	/* likewise */
	int			batch_size;
	int			timeout_ms;		/* for the calls of one batch */
	TransactionId written_by;	/* another row of the same group has another one */
} PrismHandler;

/* ---------- prism.handler ---------- */

/* All handlers (InvalidOid), or those of a role, in the current memory context. Those whose group is gone are left out. */
extern List *prism_handler_list(Oid role);

/* For people: schema and name, quoted where they must be. */
extern const char *prism_handler_function(const PrismHandler *handler);

/* 42710 when the group has one, 42704 when the group was dropped meanwhile. */
extern void prism_handler_insert(const PrismGroupRef *ref, const PrismHandler *handler);

/* The group's handler goes; false: it has none. The second is for the drop of the group, which holds the lock of its name. */
extern bool prism_handler_remove(const PrismGroupRef *ref);
extern bool prism_handler_delete(int32 group_id);
extern void prism_handler_end(int32 group_id);

/* The topic is being dropped: delete the handlers of all its groups. */
extern void prism_handler_drop_all(int32 topic_id);

/* The row is there: nobody has committed that the handler goes, or that another one takes its place. */
extern bool prism_handler_has_row(const PrismHandler *handler);

/* A role is about to be dropped: 2BP01 with the names of handlers of this database that need it. */
extern void prism_handler_refuse_drop_role(Oid role);

/* ---------- whose rights it uses ---------- */

/* Note that role and registrant have agreed; forget it. */
extern void prism_handler_agree(const PrismHandler *handler);
extern void prism_handler_forget_agreement(int32 group_id);

/* Fill in who they are now: the two roles, and what they are called if they still are. */
extern void prism_handler_read_parties(PrismHandler *handler);

/* They are still who they were when that was asked last. */
extern bool prism_handler_has_consent(const PrismHandler *handler);

/* ---------- can it be called? ---------- */

typedef struct PrismHandlerFault
{
	int			sqlstate;
	const char *message;
	const char *hint;			/* NULL: none */
	bool		of_role;		/* none of its handlers can be called */
} PrismHandlerFault;

/*
 * NULL: it can, by the role and with the rights that it has now, and *function
 * (may be NULL) is what is to be called.  In the current memory context.
 */
extern const PrismHandlerFault *prism_handler_check(const PrismHandler *handler, const PrismTopic *topic, Oid *function);

/*
 * After a call, before its commit: whoever had let the function run as the role
 * did so until now.  A body that was changed while the right to that was taken
 * away may be what was called.  NULL: they do.
 */
extern const PrismHandlerFault *prism_handler_check_again(const PrismHandler *handler, Oid function);

/*
 * Before a call, after what may have waited for others: nobody has committed
 * meanwhile that the handler goes, or another one takes its place, or that one
 * who had agreed to it does not any more.  It was read at this generation of the
 * catalogue.
 */
extern bool prism_handler_stands(const PrismHandler *handler, uint64 generation);

/* NULL: a worker can have a session of the role. */
extern const PrismHandlerFault *prism_handler_check_role(Oid role, const char *name);

/* What it says of a handler that has found no slot. */
extern const PrismHandlerFault *prism_handler_no_place(void);

/* The type that a handler takes: prism.message, or the array of it. */
extern Oid	prism_handler_argument_type(bool takes_batch);

/* ---------- how it fares ---------- */

typedef enum PrismHandlerState
{
	PRISM_HANDLER_STARTING,		/* no process serves it */
	PRISM_HANDLER_WAITING,		/* for messages */
	PRISM_HANDLER_RUNNING,
	PRISM_HANDLER_BACKOFF,		/* a passing fault; tried again at retry_at */
	PRISM_HANDLER_FAILED		/* cannot be called: see prism_handler_check() */
} PrismHandlerState;

typedef enum PrismHandlerCounter
{
	PRISM_HANDLER_CALLS,
	PRISM_HANDLER_MESSAGES,		/* processed */
	PRISM_HANDLER_FAILURES,		/* calls that failed */
	PRISM_HANDLER_COUNTERS
} PrismHandlerCounter;

/* A copy of a slot. */
typedef struct PrismHandlerStatus
{
	PrismHandlerState state;
	TimestampTz since;
	TimestampTz retry_at;		/* 0: none */
	TimestampTz error_at;		/* 0: never */
	char		error[PRISM_HANDLER_ERROR_BYTES];	/* the last one */
	int64		counters[PRISM_HANDLER_COUNTERS];	/* since the server started */
} PrismHandlerStatus;

typedef struct PrismHandlerSlot PrismHandlerSlot;

/* Shared memory, with one LWLock of PRISM_HANDLER_TRANCHE: see PrismModule. */
extern Size prism_handler_shmem_size(void);
extern void prism_handler_shmem_init(void);

/*
 * Find or take the slot of a handler of this database, for this process; NULL:
 * processes have all of them.  A slot without a process waits for the next one
 * of its handler, and makes way for a handler that finds no free one.
 */
extern PrismHandlerSlot *prism_handler_attach(int32 group_id);
/* The handler is gone: its slot is free, unless it has gone to another process. */
extern void prism_handler_detach(int32 group_id);
/* This process ends. */
extern void prism_handler_detach_all(void);

/* Free the slots of a database. Cannot throw. */
extern void prism_handler_forget_database(Oid database, bool dropped);

/* The one place where a handler's state changes.  error NULL: the last text stays. Cannot throw. */
extern void prism_handler_change(PrismHandlerSlot *slot, PrismHandlerState state,
								 PrismInstant retry_at, const char *error);
extern void prism_handler_count(PrismHandlerSlot *slot, PrismHandlerCounter counter, int64 more);

/*
 * A call is under way with messages up to a position.  When the process ends
 * meanwhile, the next one finds that out: broken_call() answers once, -1: there
 * is no such call.
 */
extern void prism_handler_begin_call(PrismHandlerSlot *slot, int64 last);
extern void prism_handler_end_call(PrismHandlerSlot *slot);
extern int64 prism_handler_broken_call(PrismHandlerSlot *slot);

/* ---------- who gets a process, when there are more roles than processes ---------- */

/*
 * The process of a handler leaves, has looked for messages when the counter had
 * been woken so often, and found none that is due before.  In another epoch its
 * handlers may be other ones.
 */
extern void prism_handler_rest(PrismHandlerSlot *slot, struct PrismCounter *counter, uint64 wakes, PrismInstant due,
							   uint64 epoch);

/* The handlers of this session's role are those that this process has; what others were is forgotten. */
extern void prism_handler_disown_others(void);

/*
 * When the handlers of a role have something to do that their last process did
 * not know of: some time in the past, now, or when a message is due.  This
 * process is woken when it becomes earlier.
 */
extern PrismInstant prism_handler_role_due(Oid role, uint64 epoch);

/* A call took so long; and what those of a role have taken lately: half of it is forgotten in PRISM_HANDLER_USE_HALVED_MS. */
#define PRISM_HANDLER_USE_HALVED_MS 10000
extern void prism_handler_use(PrismHandlerSlot *slot, int64 call_us);
extern int64 prism_handler_role_use_ms(Oid role);

/* False: nobody has served it since the server started. */
extern bool prism_handler_status(int32 group_id, PrismHandlerStatus *status);
/* It has a slot, or would get one; no: see prism_handler_no_place(). */
extern bool prism_handler_finds_place(int32 group_id);
extern const char *prism_handler_state_name(PrismHandlerState state);

#endif							/* PRISM_HANDLER_H */
