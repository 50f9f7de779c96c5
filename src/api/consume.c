/*-------------------------------------------------------------------------
 *
 * consume.c
 *	  prism.consume().
 *
 * In FROM, consume() hands over all its rows at once; in a SELECT list, where
 * an executor may stop early (LIMIT, a cursor), it returns them one by one and
 * gives back what was not fetched.
 *
 * Payloads may be large, so a call hands over one message, and then no more
 * than prism.consume_bytes of payloads; what comes behind them goes back before it
 * is fetched.  Of its rows few are in memory at a time (kept_rows.h).
 *
 * src/api/consume.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/filter.h"
#include "api/kept_rows.h"
#include "api/message.h"
#include "base/guc.h"
#include "pattern/chain.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(prism_consume);

/* consume() sleeps with a snapshot, which holds back VACUUM: not for long. */
#define WAIT_US_MAX (60 * USECS_PER_SEC)

/* With a filter: messages that are looked at before what is wanted of them is counted again. */
#define FILTER_LOOK_MAX 1024

/* ---------- prism.consume() ---------- */

typedef struct ConsumeArguments
{
	PrismTopic *topic;
	PrismGroupRef *group;
	int			max_messages;
	int64		lease_us;
	PrismInstant wait_until;		/* 0: do not wait */
	PrismFilter *filter;		/* NULL: everything is wanted */
	PrismChain *chain;			/* NULL: nobody looks at messages on their way up */
	MemoryContext message_cxt;	/* what it makes of one of them */
} ConsumeArguments;

/* Where the rows of a call go. */
typedef struct RowReceiver
{
	void		(*put) (struct RowReceiver *receiver, PrismMessageRow *row);
} RowReceiver;

/* Arguments: topic, consumer_group, max_messages, lease, wait, namespace, filter. */
static ConsumeArguments
consume_arguments(FunctionCallInfo fcinfo)
{
	text	   *topic = prism_required_text(fcinfo, 0, "topic");
	text	   *group = prism_required_text(fcinfo, 1, "consumer_group");
	ConsumeArguments arguments = {
		.max_messages = prism_count_argument(fcinfo, 2, "max_messages")
	};
	int64		wait_us = prism_interval_argument(fcinfo, 4, "wait", 0, PG_INT64_MAX);

	prism_require_writable("prism.consume()");
	if (!PG_ARGISNULL(3))
		arguments.lease_us = prism_interval_argument(fcinfo, 3, "lease", 1, PRISM_LEASE_US_MAX);
	if (wait_us > 0)
		arguments.wait_until = prism_instant() + Min(wait_us, WAIT_US_MAX);
	if (!PG_ARGISNULL(6))
		arguments.filter = prism_filter_new(PG_GETARG_JSONPATH_P(6));
	arguments.group = prism_group_argument(topic, group, PRISM_GROUP_MAKE,
										   arguments.wait_until != 0 ? arguments.wait_until : PRISM_NEVER,
										   "prism.consume()", &arguments.topic);
	if (PG_ARGISNULL(3) && arguments.group != NULL)
		arguments.lease_us = prism_group_lease_us(arguments.group);
	if (!PG_ARGISNULL(5))
		prism_topic_check_namespace(arguments.topic, text_to_cstring(PG_GETARG_TEXT_PP(5)));
	arguments.chain = prism_chain_to_consume(arguments.topic);
	if (arguments.chain != NULL)
		arguments.message_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism consumed message", ALLOCSET_SMALL_SIZES);
	return arguments;
}

/* What one round of looking came to. */
typedef struct ConsumeRound
{
	int			handed;
	int64		room;			/* bytes of payloads that it still may hand over */
	int64		lease_id;
	bool		starved;		/* messages wait, and the window has no room for them */
	bool		limited;		/* as many are in flight as the group allows */
	bool		cut;			/* a damaged message comes next: the next call is told */
	bool		full;			/* no room for the payload that comes next */
	bool		buried;			/* a dead letter was made: sessions that wait for what comes after it wait for this transaction */
	PrismInstant passed_over_at; /* messages are passed over since then; 0: none was */
} ConsumeRound;

/* What became of the messages of a delivery. */
typedef struct HandedOver
{
	int			handed;
	int			passed_over;
	List	   *gone;			/* Gone */
} HandedOver;

/* A link says that nobody can get the message any more. */
typedef struct Gone
{
	int64		position;
	const char *why;
} Gone;

/* Up the chain.  False: it is none of those that are handed over. */
static bool
pass_up(const ConsumeArguments *arguments, PrismMessage *message, HandedOver *over)
{
	MemoryContext caller;
	const char *why;
	PrismConsumed consumed;
	Gone	   *gone;

	MemoryContextReset(arguments->message_cxt);
	caller = MemoryContextSwitchTo(arguments->message_cxt);
	consumed = prism_chain_consume(arguments->chain, message, &why);
	MemoryContextSwitchTo(caller);
	if (consumed == PRISM_CONSUMED)
		return true;
	gone = palloc_object(Gone);
	*gone = (Gone) {message->offset, pstrdup(why)};
	over->gone = lappend(over->gone, gone);
	return false;
}

/*
 * Those that are gone become dead letters when this transaction commits: nobody
 * shall try them again and again.  While they cannot, they are left to their lease.
 */
static void
bury_gone(const ConsumeArguments *arguments, List *all)
{
	ListCell   *cell;

	if (all == NIL || !prism_group_can_bury(arguments->group))
		return;
	foreach(cell, all)
	{
		const Gone *gone = lfirst(cell);

		(void) prism_group_reject(arguments->group, &gone->position, NULL, 1, gone->why);
	}
}

/* What the filter passes over is acknowledged, what comes after the last one wanted goes back. */
static void
settle_unwanted(const ConsumeArguments *arguments, PrismDelivery *delivery, int64 *unwanted, int count)
{
	prism_delivery_return_rest(delivery);
	if (count > 0)
	{
		(void) prism_group_ack(arguments->group, unwanted, NULL, count);
		prism_group_pass_over(arguments->group, unwanted, count, prism_delivery_lease(delivery));
	}
	pfree(unwanted);
}

/* Hand over up to 'max' of what was taken. */
static HandedOver
hand_over(const ConsumeArguments *arguments, PrismDelivery *delivery, int max, RowReceiver *receiver)
{
	HandedOver	over = {0};
	int64	   *unwanted = NULL;
	PrismMessageRow row;
	PrismMessage message;
	int			attempt;

	if (arguments->filter != NULL)
		unwanted = palloc((prism_delivery_count(delivery) + 1) * sizeof(int64));
	prism_message_row_init(&row, arguments->topic->name, prism_group_name(arguments->group),
						   prism_delivery_lease(delivery));
	while (over.handed < max && prism_delivery_next(delivery, &message, &attempt))
	{
		if (prism_chain_looks_at(arguments->chain, &message) && !pass_up(arguments, &message, &over))
		{
			prism_delivery_uncount(delivery);
			continue;
		}
		if (unwanted != NULL && !prism_filter_matches(arguments->filter, &message))
		{
			prism_delivery_uncount(delivery);
			unwanted[over.passed_over++] = message.offset;
			continue;
		}
		prism_message_row_fill(&row, &message, attempt);
		receiver->put(receiver, &row);
		over.handed++;
	}
	if (unwanted != NULL)
		settle_unwanted(arguments, delivery, unwanted, over.passed_over);
	bury_gone(arguments, over.gone);
	return over;
}

static void
warn_starved(const ConsumeArguments *arguments)
{
	ereport(WARNING,
			errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			errmsg("consumer group \"%s\" has as many unfinished messages as its window holds",
				   prism_group_name(arguments->group)),
			errdetail("Others wait behind them until some are acknowledged or their leases end."),
			errhint("Acknowledge what was consumed, or raise prism.group_window."));
}

/* Half of the lease under which messages were passed over is left for the rest of the transaction. */
static PrismInstant
look_until(const ConsumeArguments *arguments, const ConsumeRound *round)
{
	return round->passed_over_at == 0 ? PRISM_NEVER : round->passed_over_at + arguments->lease_us / 2;
}

/*
 * With a filter, look at more and more messages at a time until enough of them
 * are wanted.  Those passed over stay in the window until the transaction
 * commits, so its size bounds what one call looks at.
 */
static ConsumeRound
take_round(const ConsumeArguments *arguments, PrismInstant passed_over_at, RowReceiver *receiver)
{
	ConsumeRound		round = {.passed_over_at = passed_over_at,.room = prism_consume_kb * INT64CONST(1024)};
	int			look = arguments->max_messages;
	int			taken;

	do
	{
		PrismInstant now = prism_instant();
		PrismDelivery *delivery = prism_group_take(arguments->group, look, arguments->lease_us);
		HandedOver	over;

		/* an error would take back what is handed out and passed over already */
		if (round.handed > 0 || round.passed_over_at != 0)
			prism_delivery_continue(delivery);
		taken = prism_delivery_count(delivery);
		round.lease_id = prism_delivery_lease(delivery);
		round.starved = prism_delivery_starved(delivery);
		round.limited = prism_delivery_limited(delivery);
		round.buried = round.buried || prism_delivery_buried(delivery);
		prism_delivery_bound(delivery, round.room, round.handed > 0);
		over = hand_over(arguments, delivery, arguments->max_messages - round.handed, receiver);
		round.room = prism_delivery_room(delivery);
		round.full = prism_delivery_full(delivery);
		round.handed += over.handed;
		round.buried = round.buried || over.gone != NIL;
		round.cut = prism_delivery_cut(delivery);
		prism_delivery_close(delivery);
		if (over.passed_over > 0 && round.passed_over_at == 0)
			round.passed_over_at = now;
		look = Max(arguments->max_messages - round.handed, Min(2 * over.passed_over, FILTER_LOOK_MAX));
	} while (arguments->filter != NULL && taken > 0 && !round.cut && !round.full && round.handed < arguments->max_messages &&
			 prism_instant() < look_until(arguments, &round));
	return round;
}

/* The messages filtered out fill the window or what may be in flight.  No error: they are finished at commit, and the next call goes on. */
static bool
is_at_its_bound(const ConsumeRound *round)
{
	return (round->starved || round->limited) && round->passed_over_at != 0;
}

/* Returns the lease of what was taken, for the caller that hands it over. */
static int64
consume(const ConsumeArguments *arguments, RowReceiver *receiver)
{
	ConsumeRound		round = {0};

	if (arguments->group == NULL)
		return 0;				/* it had to wait for that all the time that it was given */
	if (arguments->wait_until == 0)
		round = take_round(arguments, 0, receiver);
	else
	{
		for (;;)
		{
			prism_group_prepare_sleep(arguments->topic, arguments->group);
			round = take_round(arguments, round.passed_over_at, receiver);
			if (round.handed > 0 || round.buried || round.cut || is_at_its_bound(&round) ||
				!prism_group_sleep(prism_group_next_due(arguments->group),
								   Min(arguments->wait_until, look_until(arguments, &round))))
				break;
			CHECK_FOR_INTERRUPTS();
		}
		prism_group_cancel_sleep();
	}
	if (round.starved && round.handed == 0 && !is_at_its_bound(&round))
		warn_starved(arguments);
	return round.lease_id;
}

typedef struct StoreReceiver
{
	RowReceiver receiver;
	ReturnSetInfo *result;
} StoreReceiver;

static void
put_into_store(RowReceiver *receiver, PrismMessageRow *row)
{
	ReturnSetInfo *result = ((StoreReceiver *) receiver)->result;

	tuplestore_putvalues(result->setResult, result->setDesc, row->values, row->nulls);
}

static Datum
consume_at_once(FunctionCallInfo fcinfo)
{
	StoreReceiver receiver = {{put_into_store}, (ReturnSetInfo *) fcinfo->resultinfo};
	ConsumeArguments arguments = consume_arguments(fcinfo);

	prism_rows_begin(fcinfo);
	prism_group_hand_over(consume(&arguments, &receiver.receiver), PRISM_ALL_OF_LEASE);
	return (Datum) 0;
}

/* Rows that are returned one by one. */
typedef struct OneByOne
{
	RowReceiver receiver;
	PrismGroupRef *group;
	int64		lease_id;
	PrismKeptRows *rows;
	int64	   *positions;
	int			count;
	int			room;
	int			returned;
} OneByOne;

static void
keep(RowReceiver *receiver, PrismMessageRow *row)
{
	OneByOne   *state = (OneByOne *) receiver;

	if (state->count == state->room)
	{
		state->room *= 2;
		state->positions = repalloc_huge(state->positions, state->room * sizeof(int64));
	}
	state->positions[state->count++] = DatumGetInt64(row->values[PRISM_MESSAGE_POSITION - 1]);
	prism_kept_rows_add(state->rows, row->values, row->nulls);
}

/* The executor lost interest. */
static void
return_rest(Datum arg)
{
	OneByOne   *state = (OneByOne *) DatumGetPointer(arg);

	prism_kept_rows_end(state->rows);
	prism_group_untake(state->group, state->positions + state->returned, state->count - state->returned,
					   state->lease_id);
}

/* Everything is fetched in the first call: nothing of the log stays open between calls. */
static OneByOne *
begin_one_by_one(FunctionCallInfo fcinfo, TupleDesc descriptor)
{
	ConsumeArguments arguments = consume_arguments(fcinfo);
	OneByOne   *state = palloc0(sizeof(OneByOne));

	state->receiver.put = keep;
	state->group = arguments.group;
	state->rows = prism_kept_rows_new(descriptor);
	state->room = 64;
	state->positions = palloc(state->room * sizeof(int64));
	state->lease_id = consume(&arguments, &state->receiver);
	return state;
}

static Datum
consume_one_by_one(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	FuncCallContext *context;
	OneByOne   *state;
	Datum		row;

	if (SRF_IS_FIRSTCALL())
	{
		TupleDesc	descriptor;
		MemoryContext caller;

		context = SRF_FIRSTCALL_INIT();
		caller = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "prism.consume() must return rows");
		context->user_fctx = begin_one_by_one(fcinfo, BlessTupleDesc(descriptor));
		MemoryContextSwitchTo(caller);
		RegisterExprContextCallback(result->econtext, return_rest, PointerGetDatum(context->user_fctx));
	}
	context = SRF_PERCALL_SETUP();
	state = context->user_fctx;
	if (prism_kept_rows_next(state->rows, &row))
	{
		/* those after it may never be asked for */
		prism_group_hand_over(state->lease_id, state->positions[state->returned++]);
		SRF_RETURN_NEXT(context, row);
	}
	prism_group_hand_over(state->lease_id, PRISM_ALL_OF_LEASE);
	UnregisterExprContextCallback(result->econtext, return_rest, PointerGetDatum(state));
	prism_kept_rows_end(state->rows);
	SRF_RETURN_DONE(context);
}

Datum
prism_consume(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	if (result != NULL && IsA(result, ReturnSetInfo) &&
		(result->allowedModes & SFRM_Materialize_Preferred) == 0 &&
		(result->allowedModes & SFRM_ValuePerCall) != 0)
		return consume_one_by_one(fcinfo);
	return consume_at_once(fcinfo);
}
