/*-------------------------------------------------------------------------
 *
 * handler_loop.c
 *	  The process that calls the handlers of one role.
 *
 * Its session belongs to that role, and it consumes as everybody does: takes a
 * batch, calls the function, acknowledges, all in one transaction.  So what the
 * function did to the database and the position of its group are one, and the
 * process may die at any instruction.
 *
 * The handlers have their turns one after the other, a batch each; a call is
 * bounded in time, so none can keep the others from theirs.  A batch that fails
 * is undone and handed over again one message at a time.  What fails alone
 * rests for a while, or becomes a dead letter, as the group's options say.
 *
 * src/bgworker/handle/handler_loop.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/generation.h"
#include "base/patience.h"
#include "bgworker/ensure.h"
#include "bgworker/handle/handler_loop.h"
#include "bgworker/worker.h"
#include "store/log/counter.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* A lost wake-up is found after this time. */
#define REPAIR_MS 5000
/* How long a message that failed alone rests. */
#define BACKOFF_OF_GROUP (-1)
/* A fault that passes has passed after this many tries, with a back-off in between: else it is the message's. */
#define PASSING_FAULTS_MAX 6

typedef struct Handler
{
	PrismHandler *row;
	PrismHandlerSlot *slot;
	PrismCounter *counter;		/* that wakes us; a hint outside of transactions: its topic may be dropped */
	uint64		wakes;			/* how often it had been woken when we looked */
	PrismBackoff backoff;
	PrismReportLimit report;
	int			faults;			/* passing ones that a single message met, in a row */
	bool		hurried;		/* it tries before its back-off is over: a fault tells nothing new */
	int64		singly_until;	/* a batch up to here failed: its messages come alone; 0: none did */
	PrismInstant due;			/* look for messages then; PRISM_NEVER: when woken */
} Handler;

typedef struct HandlerWorker
{
	MemoryContext mcxt;			/* what was loaded */
	bool		loaded;
	bool		look_around;	/* something woke us: perhaps the catalogue */
	uint64		generation;		/* of the catalogue when it was loaded */
	uint64		epoch;			/* nudges before it was */
	int			count;
	Handler    *handlers;
	int			turn;			/* the handler that had the last one */
	bool		calling;		/* a user's function runs, or what it left for the commit */
	bool		placeless;		/* some have found no place: they look again after a while */
	PrismBackoff places;
	PrismReportLimit places_report;
} HandlerWorker;

static HandlerWorker worker = {.places.clock = &prism_real_clock,.places_report.clock = &prism_real_clock};

static bool serve(void *arg);
static void load_handlers(void);
static void serve_handler(Handler *handler);

/* ---------- the process ---------- */

/* Nobody serves them for now. What ends a process in a call may be the call: no reason to hurry with the next one. */
static void
leave_handlers(int code, Datum arg)
{
	if (worker.calling)
		prism_worker_told_to_end = false;
	for (int i = 0; i < worker.count; i++)
	{
		const Handler *handler = &worker.handlers[i];

		/* for the manager, which decides whether the role needs a process */
		if (code == 0 && prism_my_worker->yield_requested && worker.loaded && handler->counter != NULL && prism_backoff_remaining_ms(&handler->backoff) == 0)
			prism_handler_rest(handler->slot, handler->counter, handler->wakes, handler->due, worker.epoch);
	}
	prism_handler_detach_all();
}

static long
timeout_ms(void)
{
	PrismInstant now = prism_instant();
	long		timeout = worker.placeless ? Min(REPAIR_MS, prism_backoff_remaining_ms(&worker.places)) : REPAIR_MS;

	for (int i = 0; i < worker.count; i++)
	{
		const Handler *handler = &worker.handlers[i];
		long		backoff_ms = prism_backoff_remaining_ms(&handler->backoff);

		if (backoff_ms > 0)
			timeout = Min(timeout, backoff_ms);
		else if (handler->due != PRISM_NEVER)
			timeout = Min(timeout, Max(1, prism_ms_until(handler->due, now)));
	}
	return timeout;
}

/* A handler that was told to try at once does so, whatever has failed. */
static void
wake_handlers(void)
{
	static uint64 nudges_seen = 0;
	bool		nudged = nudges_seen != prism_worker_nudges();

	nudges_seen = prism_worker_nudges();
	worker.look_around = true;
	if (nudged)
		worker.places.retry_at = 0;
	for (int i = 0; i < worker.count; i++)
	{
		worker.handlers[i].due = 0;
		if (!nudged || worker.handlers[i].backoff.retry_at == 0)
			continue;
		worker.handlers[i].hurried |= prism_backoff_remaining_ms(&worker.handlers[i].backoff) > 0;
		worker.handlers[i].backoff.retry_at = 0;
	}
}

/* For who shares out the processes. */
static void
note_load(bool idle)
{
	prism_worker_note_load(idle, prism_handler_role_use_ms(GetSessionUserId()));
}

/* One that backs off keeps its turn: with a new process it would be tried at once. */
static bool
is_loop_idle(void)
{
	bool		idle = worker.loaded && !worker.placeless;

	for (int i = 0; i < worker.count; i++)
		idle = idle && prism_backoff_remaining_ms(&worker.handlers[i].backoff) == 0;
	return idle;
}

void
prism_handler_main(Datum main_arg)
{
	prism_worker_enter(main_arg);
	prism_handler_call_init();
	before_shmem_exit(leave_handlers, (Datum) 0);
	for (;;)
	{
		if (prism_run_step(serve, NULL))
			continue;
		note_load(is_loop_idle());
		prism_worker_wait(timeout_ms(), PGINVALID_SOCKET);
		note_load(false);
		wake_handlers();
	}
}

/* ---------- what there is ---------- */

static Handler *
find_handler(int32 group_id)
{
	for (int i = 0; i < worker.count; i++)
		if (worker.handlers[i].row->group_id == group_id)
			return &worker.handlers[i];
	return NULL;
}

/*
 * What is known of a handler that was there before; when something was changed
 * the wait after a failure is over.  False: it finds no place.
 */
static bool
init_handler(Handler *handler, PrismHandler *row, bool changed)
{
	const Handler *former = find_handler(row->group_id);
	int64		broken_call;

	*handler = former != NULL ? *former : (Handler) {.backoff.clock = &prism_real_clock, .report.clock = &prism_real_clock};
	handler->row = row;
	if (changed)
		handler->due = handler->backoff.retry_at = 0;
	/* also one that was there before: another role's process may have had it in between */
	handler->slot = prism_handler_attach(row->group_id);
	if (handler->slot == NULL || former != NULL)
		return handler->slot != NULL;
	prism_handler_change(handler->slot, PRISM_HANDLER_WAITING, 0, NULL);
	broken_call = prism_handler_broken_call(handler->slot);
	if (broken_call >= 0)
	{
		handler->singly_until = broken_call + 1;
		prism_handler_count(handler->slot, PRISM_HANDLER_FAILURES, 1);
		prism_handler_change(handler->slot, PRISM_HANDLER_WAITING, 0, "the process ended during a call");
	}
	return true;
}

static bool
is_listed(const List *rows, int32 group_id)
{
	ListCell   *cell;

	foreach(cell, rows)
		if (((PrismHandler *) lfirst(cell))->group_id == group_id)
			return true;
	return false;
}

/* Each subscribes again when it has its turn. */
static void
let_go(const List *rows)
{
	for (int i = 0; i < worker.count; i++)
	{
		const Handler *handler = &worker.handlers[i];

		if (handler->counter != NULL)
			prism_counter_unsubscribe(handler->counter);
		if (!is_listed(rows, handler->row->group_id))
			prism_handler_detach(handler->row->group_id);
	}
}

static void
note_placeless(const List *placeless)
{
	worker.placeless = placeless != NIL;
	if (!worker.placeless)
		prism_backoff_reset(&worker.places);
	else if (prism_backoff_remaining_ms(&worker.places) == 0)
	{
		prism_backoff_fail(&worker.places);
		prism_handler_report_places(&worker.places_report, placeless);
	}
}

/* In a transaction. */
static void
read_handlers(bool changed)
{
	MemoryContext mcxt = AllocSetContextCreate(prism_step_mcxt(), "prism handlers", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller_cxt = MemoryContextSwitchTo(mcxt);
	List	   *rows = prism_handler_list(GetSessionUserId());
	Handler    *handlers = palloc0((list_length(rows) + 1) * sizeof(Handler));
	MemoryContext former_cxt = worker.mcxt;
	List	   *placeless = NIL;
	int			count = 0;
	ListCell   *cell;

	foreach(cell, rows)
		if (init_handler(&handlers[count], lfirst(cell), changed))
			count++;
		else
			placeless = lappend(placeless, lfirst(cell));
	let_go(rows);
	prism_handler_disown_others();
	note_placeless(placeless);
	MemoryContextSetParent(mcxt, TopMemoryContext);
	worker.mcxt = mcxt;
	worker.handlers = handlers;
	worker.count = count;
	MemoryContextSwitchTo(caller_cxt);
	if (former_cxt != NULL)
		MemoryContextDelete(former_cxt);
}

static bool
looks_for_places(void)
{
	return worker.placeless && prism_backoff_remaining_ms(&worker.places) == 0;
}

/* First what we know, then what there is: a change in between is found later, not lost. */
static void
load_handlers(void)
{
	bool		changed;


	worker.look_around = false;
	worker.epoch = prism_worker_nudges_all();
	prism_worker_begin_session("reads the catalogue");
	changed = !worker.loaded || worker.generation != prism_catalog_generation();
	if (changed || looks_for_places())
	{
		uint64		generation = prism_catalog_generation();

		worker.loaded = false;
		read_handlers(changed);
		worker.generation = generation;
		worker.loaded = true;
	}
	prism_worker_commit();
	if (worker.count == 0 && !worker.placeless)
		prism_worker_leave(0);
}

/* ---------- turns ---------- */

static Handler *
next_handler(void)
{
	PrismInstant now = prism_instant();

	for (int i = 0; i < worker.count; i++)
	{
		Handler    *handler;

		worker.turn = (worker.turn + 1) % worker.count;
		handler = &worker.handlers[worker.turn];
		if (handler->due <= now && prism_backoff_remaining_ms(&handler->backoff) == 0)
			return handler;
	}
	return NULL;
}

static bool
serve(void *arg)
{
	Handler    *handler;

	if (!worker.loaded || worker.look_around || looks_for_places())
		load_handlers();
	handler = next_handler();
	if (handler != NULL)
		serve_handler(handler);
	return handler != NULL;
}

/* ---------- failures ---------- */

/* The whole handler waits. */
static void
back_off(Handler *handler, PrismHandlerState state, const char *error)
{
	prism_handler_change(handler->slot, state, prism_backoff_fail(&handler->backoff), error);
}

/* A call failed and is undone; the transaction is as it was before. */
static void
call_failed(Handler *handler, PrismGroupRef *group, const PrismHandlerBatch *batch, const ErrorData *error)
{
	bool		single = batch->count == 1;
	bool		passing = prism_handler_passes(error->sqlerrcode);

	/* once a back-off: any user can make workers try at once, and must not use up a message's attempts with that */
	if (passing && single && !handler->hurried)
		passing = ++handler->faults < PASSING_FAULTS_MAX;
	handler->hurried = false;

	prism_handler_count(handler->slot, PRISM_HANDLER_FAILURES, 1);
	prism_handler_report(handler->row, &handler->report, error, single ? "a single message" : "a batch, whose messages are tried one by one");
	if (passing)
		back_off(handler, PRISM_HANDLER_BACKOFF, error->message);
	else
		prism_handler_change(handler->slot, PRISM_HANDLER_RUNNING, 0, error->message);
	if (!single)
		handler->singly_until = batch->positions[batch->count - 1] + 1;
	if (passing || !single)
	{
		prism_group_untake(group, batch->positions, batch->count, batch->lease_id);
		return;
	}
	handler->faults = 0;
	/* in the last attempt, what cannot become a dead letter is left to its lease, in whose end nothing fails: others come meanwhile */
	if (prism_group_is_last(group, batch->attempt) && !prism_group_can_bury(group))
		return;
	(void) prism_group_nack(group, batch->positions, NULL, batch->count, BACKOFF_OF_GROUP, error->message);
}

/* ---------- one turn ---------- */

typedef struct Turn
{
	Handler    *handler;
	int			count;			/* messages with which the function was called; 0: it was not */
	int64		last;			/* the last one's position */
	bool		failed;			/* it failed, and is undone */
	bool		busy;			/* somebody drops the topic, or has its mark locked */
	bool		leave;			/* the role cannot be served any more */
} Turn;

/* What is in the catalogue is something else than what was loaded. */
static void
load_again(void)
{
	worker.look_around = true;
	worker.generation = 0;
}

/* What was called may have been written by who had lost the right to that by then: nothing of it stays. */
static void
require_consent(const PrismHandler *row, Oid function)
{
	const PrismHandlerFault *fault = prism_handler_check_again(row, function);

	if (fault != NULL)
		ereport(ERROR,
				errcode(fault->sqlstate),
				errmsg_internal("%s", fault->message));
}

static void
handle_batch(Turn *turn, PrismGroupRef *group, Oid function, PrismHandlerBatch *batch)
{
	Handler    *handler = turn->handler;
	ErrorData  *error;

	if (!prism_handler_stands(handler->row, worker.generation))
	{
		prism_group_untake(group, batch->positions, batch->count, batch->lease_id);
		load_again();
		return;
	}
	turn->count = batch->count;
	turn->last = batch->positions[batch->count - 1];
	if (batch->positions[0] >= handler->singly_until)
		handler->singly_until = 0;
	prism_handler_change(handler->slot, PRISM_HANDLER_RUNNING, 0, NULL);
	prism_handler_begin_call(handler->slot, turn->last);
	worker.calling = true;
	prism_group_hand_over(batch->lease_id, PRISM_ALL_OF_LEASE);
	error = prism_handler_call(handler->row, function, batch);
	prism_handler_count(handler->slot, PRISM_HANDLER_CALLS, 1);
	if (error == NULL)
	{
		handler->faults = 0;
		(void) prism_group_ack_rest(group, batch->positions, batch->count);
		require_consent(handler->row, function);
	}
	else
	{
		turn->failed = true;
		call_failed(handler, group, batch, error);
	}
}

static void
look_for_messages(Turn *turn, PrismTopic *topic, PrismGroupRef *group, Oid function)
{
	Handler    *handler = turn->handler;
	PrismHandlerBatch batch = {0};
	bool		buried;

	/* before the look: what comes after it wakes us */
	handler->counter = topic->counter;
	prism_counter_subscribe(handler->counter);
	handler->wakes = prism_counter_wakes(handler->counter);
	buried = prism_handler_take(handler->row, group, handler->singly_until > 0 ? 1 : handler->row->batch_size, &batch);
	if (batch.count > 0)
		handle_batch(turn, group, function, &batch);
	else
		handler->singly_until = 0;
	/* dead letters of the take itself may have made room for others, once they are committed */
	handler->due = batch.count > 0 || buried ? 0 : prism_group_next_due(group);
}

/* Everything of a turn that can be undone. */
static void
turn_steps(Turn *turn)
{
	Handler    *handler = turn->handler;
	PrismHandler *row = handler->row;
	const PrismHandlerFault *fault;
	PrismTopic *topic;
	Oid			function;
	bool		busy = false;

	prism_worker_begin_session(psprintf("calls %s for consumer group \"%s\"", prism_handler_function(row), row->group_name));
	handler->due = PRISM_NEVER;
	topic = worker.generation == prism_catalog_generation() ? prism_topic_try_id(row->topic_id, &busy) : NULL;
	prism_handler_read_parties(row);
	if (topic == NULL && busy)
		turn->busy = true;
	else if (topic == NULL)
		worker.look_around = true;	/* it was changed under us */
	else if ((fault = prism_handler_check(row, topic, &function)) != NULL)
	{
		back_off(handler, PRISM_HANDLER_FAILED, fault->message);
		turn->leave = fault->of_role;
	}
	else
	{
		PrismGroupRef *group = prism_group_open(topic, row->group_name, PRISM_GROUP_REFUSE);

		/* another one may have got the name: its messages are not this handler's */
		if (prism_group_number(group) == row->group_id)
			look_for_messages(turn, topic, group, function);
		else
			load_again();
	}
	prism_worker_commit();
}

/* In one transaction. */
static void
turn_transaction(void *arg)
{
	PG_TRY();
	{
		turn_steps(arg);
	}
	PG_CATCH();
	{
		/* a failed call was caught already, so this is what comes after it: a topic that is full, say */
		if (prism_handler_passes(geterrcode()))
			prism_group_excuse();
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* A session that cannot be cleared of what a call has left is not for the next one. */
static void
clear_session(Handler *handler)
{
	ErrorData  *error = prism_worker_attempt(prism_handler_discard_session, NULL);

	if (error == NULL)
		return;
	prism_handler_report(handler->row, &handler->report, error, "clearing the session after a call");
	prism_worker_leave(1);
}

/* Somebody has the topic's tables locked, or drops it: the handlers of other topics go on. */
static void
await_topic(Handler *handler, const char *why)
{
	handler->due = prism_instant_after(prism_instant(), PRISM_BUSY_RETRY_MS);
	prism_handler_change(handler->slot, PRISM_HANDLER_BACKOFF, handler->due, why);
}

/* The transaction could not be committed, or not even begun. */
static void
turn_failed(const Turn *turn, const ErrorData *error)
{
	Handler    *handler = turn->handler;

	if (prism_is_refusal(error))
	{
		await_topic(handler, error->message);
		return;
	}
	prism_handler_report(handler->row, &handler->report, error, "the transaction of a batch");
	prism_handler_count(handler->slot, PRISM_HANDLER_FAILURES, 1);
	if (turn->count > 1)
		handler->singly_until = turn->last + 1;
	handler->due = 0;
	back_off(handler, PRISM_HANDLER_BACKOFF, error->message);
}

static void
serve_handler(Handler *handler)
{
	Turn		turn = {.handler = handler};
	PrismInstant begin = prism_instant();
	ErrorData  *error = prism_worker_attempt(turn_transaction, &turn);

	prism_handler_end_call(handler->slot);
	worker.calling = false;
	if (turn.count > 0)
	{
		prism_handler_use(handler->slot, prism_instant() - begin);
		note_load(false);
		clear_session(handler);
	}
	if (error != NULL)
	{
		turn_failed(&turn, error);
		return;
	}
	if (turn.leave)
		prism_worker_leave(0);	/* the manager knows when there is work for the role again */
	if (turn.busy)
	{
		await_topic(handler, "the topic is locked by another session, or being dropped");
		return;
	}
	if (turn.count > 0 && !turn.failed)
		prism_handler_count(handler->slot, PRISM_HANDLER_MESSAGES, turn.count);
	if (turn.failed || prism_backoff_remaining_ms(&handler->backoff) > 0)
		return;
	prism_backoff_reset(&handler->backoff);
	if (turn.count == 0)
		prism_handler_change(handler->slot, PRISM_HANDLER_WAITING, 0, NULL);
}
