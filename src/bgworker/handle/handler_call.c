/*-------------------------------------------------------------------------
 *
 * handler_call.c
 *	  A batch of messages, and the call of a user's function with it.
 *
 * The function is the only foreign code in a worker.  It runs in a session
 * whose user is the handler's role, so there is nobody else that RESET ROLE or
 * RESET SESSION AUTHORIZATION could lead to, and deferred triggers are the
 * role's own as well.  It finds the settings that the role's sessions begin
 * with; what it sets is taken back after the call.
 *
 * src/bgworker/handle/handler_call.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/savepoint.h"
#include "bgworker/handle/handler_loop.h"
#include "bgworker/worker.h"
#include "pattern/chain.h"
#include "store/log/message_row.h"

#include <signal.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "commands/prepare.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/typcache.h"

/* A function that catches its cancellation and goes on is given this much more time, then the process ends. */
#define OVERDUE_FACTOR 2
#define OVERDUE_MS 1000

/* The lease has to outlast a batch; it ends with the transaction unless the process is frozen. */
#define LEASE_FACTOR 2
#define LEASE_EXTRA_MS 60000

static TimeoutId overdue_timeout;

/* ---------- taking and reading ---------- */

static Datum
make_message(TupleDesc descriptor, PrismMessageRow *row)
{
	return HeapTupleGetDatum(heap_form_tuple(descriptor, row->values, row->nulls));
}

/* A link of the chain says that nobody can get the message any more: it becomes a dead letter; while it cannot, it is left to its lease. */
static bool
is_gone(PrismChain *chain, MemoryContext message_cxt, PrismGroupRef *group, PrismMessage *message)
{
	MemoryContext caller;
	PrismConsumed consumed;
	const char *why;

	if (!prism_chain_looks_at(chain, message))
		return false;
	MemoryContextReset(message_cxt);
	caller = MemoryContextSwitchTo(message_cxt);
	consumed = prism_chain_consume(chain, message, &why);
	MemoryContextSwitchTo(caller);
	if (consumed == PRISM_CONSUMED)
		return false;
	if (prism_group_can_bury(group))
		(void) prism_group_reject(group, &message->offset, NULL, 1, why);
	return true;
}

/* True: dead letters were made. */
static bool
read_batch(const PrismHandler *handler, PrismGroupRef *group, PrismDelivery *delivery, PrismHandlerBatch *batch)
{
	TupleDesc	descriptor = lookup_rowtype_tupdesc_copy(prism_handler_argument_type(false), -1);
	int			room = prism_delivery_count(delivery) + 1;
	Size		bytes = 0;
	PrismTopic *topic = prism_topic_lookup_id(handler->topic_id, false);
	PrismChain *chain = prism_chain_to_consume(topic);
	MemoryContext message_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism handed message", ALLOCSET_SMALL_SIZES);
	bool		gone = false;
	PrismMessageRow row;
	PrismMessage message;
	int			attempt;

	batch->lease_id = prism_delivery_lease(delivery);
	batch->count = 0;
	batch->positions = palloc(room * sizeof(int64));
	batch->messages = palloc(room * sizeof(Datum));
	prism_message_row_init(&row, topic->name, handler->group_name, batch->lease_id);
	prism_delivery_bound(delivery, PRISM_HANDLER_BATCH_BYTES, false);
	while (bytes < PRISM_HANDLER_BATCH_BYTES && prism_delivery_next(delivery, &message, &attempt))
	{
		if (is_gone(chain, message_cxt, group, &message))
		{
			prism_delivery_uncount(delivery);
			gone = true;
			continue;
		}
		prism_message_row_fill(&row, &message, attempt);
		batch->positions[batch->count] = message.offset;
		batch->messages[batch->count] = make_message(descriptor, &row);
		batch->attempt = attempt;
		bytes += HeapTupleHeaderGetDatumLength(DatumGetHeapTupleHeader(batch->messages[batch->count]));
		batch->count++;
	}
	MemoryContextDelete(message_cxt);
	prism_delivery_return_rest(delivery);
	return gone;
}

bool
prism_handler_take(const PrismHandler *handler, PrismGroupRef *group, int max, PrismHandlerBatch *batch)
{
	int64		lease_ms = LEASE_FACTOR * (int64) handler->timeout_ms + LEASE_EXTRA_MS;
	PrismDelivery *delivery = prism_group_take(group, max, lease_ms * 1000);
	bool		buried;

	buried = read_batch(handler, group, delivery, batch);
	/* before the call: it reads on, and an error there must not undo what was done, and count as an attempt */
	buried = prism_delivery_buried(delivery) || buried;
	prism_delivery_close(delivery);
	return buried;
}

/* ---------- time-outs ---------- */

/* In a signal handler. An error could be caught, the end of the process cannot. */
static void
end_overdue(void)
{
	kill(MyProcPid, SIGTERM);
}

static void
start_clock(int timeout_ms)
{
	enable_timeout_after(STATEMENT_TIMEOUT, timeout_ms);
	enable_timeout_after(overdue_timeout, OVERDUE_FACTOR * timeout_ms + OVERDUE_MS);
}

/* A cancellation that comes at the last moment has nothing left to cancel. */
static void
stop_clock(void)
{
	disable_timeout(STATEMENT_TIMEOUT, false);
	disable_timeout(overdue_timeout, false);
	QueryCancelPending = false;
}

/*
 * Triggers that a call has deferred more than once run in the commit.  When
 * PRE_COMMIT comes they have; prism's own part of the commit is not to be
 * cancelled.
 */
static void
end_of_foreign_code(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_ABORT)
		stop_clock();
}

/* The callback registered last is called first, so before prism's others. */
void
prism_handler_call_init(void)
{
	overdue_timeout = RegisterTimeout(USER_TIMEOUT, end_overdue);
	RegisterXactCallback(end_of_foreign_code, NULL);
}

/* ---------- calling ---------- */

typedef struct Call
{
	const PrismHandler *handler;
	Oid			function;
	const PrismHandlerBatch *batch;
} Call;

static Datum
batch_array(const PrismHandlerBatch *batch)
{
	return PointerGetDatum(construct_array(batch->messages, batch->count, prism_handler_argument_type(false),
										   -1, false, TYPALIGN_DOUBLE));
}

static void
call_once(FmgrInfo *function, Datum argument)
{
	LOCAL_FCINFO(call, 1);
	PgStat_FunctionCallUsage usage;

	InitFunctionCallInfoData(*call, function, 1, InvalidOid, NULL, NULL);
	call->args[0] = (NullableDatum) {argument, false};
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_init_function_usage(call, &usage);
	(void) FunctionCallInvoke(call);
	pgstat_end_function_usage(&usage, true);
	PopActiveSnapshot();
	CommandCounterIncrement();
}

/* By its oid: a statement would look for the name again, and by then another function might have it. */
static void
execute(const Call *call)
{
	MemoryContext caller_cxt = CurrentMemoryContext;
	MemoryContext call_cxt = AllocSetContextCreate(caller_cxt, "prism handler's call", ALLOCSET_DEFAULT_SIZES);
	int			calls = call->handler->takes_batch ? 1 : call->batch->count;
	FmgrInfo	function;

	fmgr_info(call->function, &function);
	InvokeFunctionExecuteHook(call->function);
	for (int i = 0; i < calls; i++)
	{
		MemoryContextSwitchTo(call_cxt);
		call_once(&function, call->handler->takes_batch ? batch_array(call->batch) : call->batch->messages[i]);
		MemoryContextSwitchTo(caller_cxt);
		MemoryContextReset(call_cxt);
	}
	MemoryContextDelete(call_cxt);
}

/* What the function left for the end of the transaction is its fault as well, and found out while it can be undone. */
static void
fire_deferred_triggers(void)
{
	ConstraintsSetStmt statement = {.type = T_ConstraintsSetStmt, .constraints = NIL, .deferred = false};

	AfterTriggerSetState(&statement);
}

static void
call_function(void *arg)
{
	const Call *call = arg;
	int			nest_level = NewGUCNestLevel();

	start_clock(call->handler->timeout_ms);
	prism_worker_session_settings();
	execute(call);
	fire_deferred_triggers();
	/* the commit would fetch all rows of those WITH HOLD */
	PortalHashTableDeleteAll();
	AtEOXact_GUC(false, nest_level);
}

ErrorData *
prism_handler_call(const PrismHandler *handler, Oid function, const PrismHandlerBatch *batch)
{
	Call		call = {handler, function, batch};
	ErrorData  *error = prism_savepoint_try(call_function, &call);

	if (error != NULL)
		stop_clock();
	return error;
}

/*
 * No message is to blame: the server had no room, was being stopped, or others
 * were in the way.  So says the error; a function can raise any.
 */
bool
prism_handler_passes(int sqlstate)
{
	int			category = ERRCODE_TO_CATEGORY(sqlstate);

	return category == ERRCODE_INSUFFICIENT_RESOURCES || category == ERRCODE_SYSTEM_ERROR ||
		category == ERRCODE_TRANSACTION_ROLLBACK || sqlstate == ERRCODE_LOCK_NOT_AVAILABLE ||
		(category == ERRCODE_OPERATOR_INTERVENTION && sqlstate != ERRCODE_QUERY_CANCELED);
}

/* ---------- afterwards ---------- */

/* Also what triggers have set in the commit, which the call's nest level has not seen. */
void
prism_handler_discard_session(void *arg)
{
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	SetConfigOption("role", "none", PGC_SUSET, PGC_S_SESSION);
	ResetAllOptions();
	PortalHashTableDeleteAll();
	DropAllPreparedStatements();
	LockReleaseAll(USER_LOCKMETHOD, true);
	ResetTempTableNamespace();
	ResetSequenceCaches();
	PopActiveSnapshot();
	CommitTransactionCommand();
}
