/*-------------------------------------------------------------------------
 *
 * scheduler.c
 *	  Delivers delayed messages when they are due.
 *
 * A turn is one transaction: it reads the journal on, publishes what is due and
 * records how far it has come (store/delay.h).  Between turns the process
 * sleeps until the next message is due; a publisher that commits an earlier one
 * wakes it.  Messages of the distant future wait in the journal a moment, so
 * that many of them are sorted at once.
 *
 * A turn that only sorts commits asynchronously: what a crash takes back is done
 * again, and nobody has seen it.  One that delivers is flushed, where sessions of
 * the database are: whoever has read a message at its position finds it there
 * after a crash as well.
 *
 * A turn that fails is taken apart: first everything is sorted, then each topic
 * that is due has a turn alone, so that only those wait whose own failure it is
 * (schedule_trouble.c).
 *
 * The process exists while messages wait or buckets do (manager.c).  It is not the
 * maintainer, whose DDL would hold up deliveries.
 *
 * src/bgworker/schedule/scheduler.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/savepoint.h"
#include "bgworker/schedule/scheduler.h"
#include "bgworker/wakeup.h"
#include "bgworker/worker.h"
#include "store/log/counter.h"
#include "store/log/log.h"
#include "store/log/segment_repair.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* How long messages may lie in the journal unsorted, unless they are due before. */
#define SORT_INTERVAL_MS 100
/* Repairs what a lost wake-up or a clock that was set forward would leave; longer when nothing waits. */
#define REPAIR_MS 10000
#define IDLE_REPAIR_MS 60000

/* So many turns in a row sort only, for the order of time; with more to sort what is due cannot wait for it. */
#define SORT_FIRST_TURNS 5

/* After a turn has failed. */
typedef enum Care
{
	CARE_NONE,
	CARE_SORT,					/* nothing is delivered until the journal is sorted */
	CARE_ALONE					/* topics that are due have turns alone, one after another */
} Care;

/* What the process knows between turns. */
typedef struct Scheduler
{
	PrismDelayState *state;		/* NULL: to be loaded */
	List	   *buckets;		/* of PrismDelayBucket, in the state's memory context */
	bool		in_turn;		/* still set when the next turn begins: this one failed */
	int32		journal_id;
	TimestampTz first_unsorted; /* the earliest that may lie in the journal; DT_NOEND: none does */
	PrismInstant sort_at;		/* when the journal has to be read at the latest */
	PrismInstant look_at;		/* when the next turn has something to do */
	int			sorted_first;	/* turns in a row that only sorted, for the order */
	Care		care;
	int32		last_alone;		/* the last topic that had its turn alone */
	int32		served;			/* when not all can be published to in one turn: the last one that was */
} Scheduler;

typedef struct TurnOf
{
	Scheduler  *scheduler;
	PrismTurn  *turn;
} TurnOf;

static bool take_schedule_turn(void *arg);
static void choose_kind(const Scheduler *scheduler, PrismTurn *turn);
static void run_turn(void *arg);
static bool end_turn(Scheduler *scheduler, PrismTurn *turn);
static bool fail_turn(Scheduler *scheduler, PrismTurn *turn, ErrorData *error);
static void move_messages(Scheduler *scheduler, PrismTurn *turn);
static void load_state(Scheduler *scheduler, PrismTurn *turn);
static void forget(Scheduler *scheduler);
static void check_lines(Scheduler *scheduler, const PrismTurn *turn);
static void look_for_first(PrismDelayLine *line, TimestampTz now);
static bool has_bucket(const Scheduler *scheduler, int32 bucket_id);
static void hear_news(Scheduler *scheduler, const PrismTurn *turn, const PrismDelayNews *news);
static bool must_sort_first(Scheduler *scheduler, const PrismTurn *turn, const PrismDelayNews *news);
static PrismInstant next_end(const Scheduler *scheduler, const PrismTurn *turn);
static void retire_buckets(Scheduler *scheduler, PrismTurn *turn);
static bool is_over(Scheduler *scheduler, const PrismDelayBucket *bucket, TimestampTz now);
static void forget_lines(Scheduler *scheduler, int32 bucket_id);
static void wait_for_next(const Scheduler *scheduler);

void
prism_scheduler_main(Datum main_arg)
{
	Scheduler	scheduler = {0};

	prism_worker_enter(main_arg);
	prism_worker_without_triggers();
	for (;;)
	{
		if (!prism_run_step(take_schedule_turn, &scheduler))
			wait_for_next(&scheduler);
	}
}

static bool
take_schedule_turn(void *arg)
{
	Scheduler  *scheduler = arg;
	PrismTurn	turn = {.mcxt = prism_step_mcxt()};
	TurnOf		turn_of = {scheduler, &turn};
	ErrorData  *error;

	if (scheduler->in_turn)
		forget(scheduler);
	scheduler->in_turn = true;
	choose_kind(scheduler, &turn);
	error = prism_worker_attempt(run_turn, &turn_of);
	if (error != NULL)
		return fail_turn(scheduler, &turn, error);
	if (turn.changed)
		prism_delay_state_committed(scheduler->state, scheduler->journal_id);
	if (turn.bucket_retired)
		prism_wake_maintainer();
	scheduler->in_turn = false;
	return end_turn(scheduler, &turn);
}

static void
choose_kind(const Scheduler *scheduler, PrismTurn *turn)
{
	turn->alone_id = scheduler->care == CARE_SORT ? 0 : prism_trouble_next();
	if (scheduler->care == CARE_SORT)
		turn->kind = PRISM_TURN_SORT;
	else if (scheduler->care == CARE_ALONE || turn->alone_id != 0)
		turn->kind = PRISM_TURN_ALONE;
	else
		turn->kind = PRISM_TURN_ALL;
}

/*
 * Before the turn's commit, for this transaction.  No standby is waited for: what
 * is due for other topics would wait too, and a promoted one delivers again.
 */
static void
commit_as(bool delivered)
{
	bool		flushed = delivered && synchronous_commit != SYNCHRONOUS_COMMIT_OFF;

	(void) set_config_option("synchronous_commit", flushed ? "local" : "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

static void
run_turn(void *arg)
{
	TurnOf	   *turn_of = arg;
	PrismTurn  *turn = turn_of->turn;
	bool		busy;

	prism_worker_begin("moving delayed messages");
	turn->journal = prism_topic_try(PRISM_DELAY_TOPIC, &busy);
	if (turn->journal != NULL)
		move_messages(turn_of->scheduler, turn);
	else
		turn_of->scheduler->look_at =
			busy ? prism_instant_after(prism_instant(), PRISM_BUSY_RETRY_MS) : PRISM_NEVER;
	commit_as(turn->moved > 0);
	prism_worker_commit();
}

/* True: there is more to do at once. */
static bool
end_turn(Scheduler *scheduler, PrismTurn *turn)
{
	switch (turn->kind)
	{
		case PRISM_TURN_ALL:
		case PRISM_TURN_SORT_FIRST:
			return turn->more;
		case PRISM_TURN_SORT:
			if (!turn->more)
				scheduler->care = CARE_ALONE;
			scheduler->last_alone = 0;
			return true;
		case PRISM_TURN_ALONE:
			if (turn->alone_id == 0)
				scheduler->care = CARE_NONE;	/* all of them have had their turn */
			else
				prism_trouble_clear(turn->alone_id);
			return true;
	}
	return false;
}

static bool
tells_of_damage(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_DATA_CORRUPTED || error->sqlerrcode == ERRCODE_INDEX_CORRUPTED ||
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_SYSTEM_ERROR;
}

/* An error that no topic or bucket has caused ends the step: everything waits for the worker's back-off. */
static bool
fail_turn(Scheduler *scheduler, PrismTurn *turn, ErrorData *error)
{
	if (turn->filling != 0 && tells_of_damage(error))
		prism_bucket_avoid(turn->filling, error);
	else if (turn->alone_name != NULL)
		prism_trouble_note(turn->alone_id, turn->alone_name, error);
	else if (turn->kind == PRISM_TURN_ALL && turn->publishing)
	{
		scheduler->care = CARE_SORT;
		prism_trouble_begin(error);
	}
	else
		ReThrowError(error);
	return true;
}

static void
move_messages(Scheduler *scheduler, PrismTurn *turn)
{
	PrismDelayNews news;

	turn->message_cxt = AllocSetContextCreate(turn->mcxt, "prism delayed message", ALLOCSET_DEFAULT_SIZES);
	prism_delay_take_news(turn->journal, &news);
	turn->now = GetCurrentTimestamp();
	turn->instant = prism_instant();
	if (scheduler->state == NULL && prism_delay_state_begin_anew(turn->journal))
	{
		turn->more = true;
		return;
	}
	if (scheduler->state == NULL)
		load_state(scheduler, turn);
	turn->state = scheduler->state;
	turn->buckets = &scheduler->buckets;
	turn->served = scheduler->served;
	prism_delay_share_needed(turn->journal, prism_delay_state_needed_from(turn->state));

	hear_news(scheduler, turn, &news);
	if (turn->kind == PRISM_TURN_ALONE)
	{
		if (turn->alone_id == 0)
			turn->alone_id = scheduler->last_alone = prism_turn_next_alone(turn, scheduler->last_alone);
		if (turn->alone_id != 0)
			prism_turn_deliver(turn);
		prism_turn_close_writers(turn);
	}
	else if (turn->kind == PRISM_TURN_SORT || Min(scheduler->sort_at, prism_turn_next_due(turn)) <= turn->instant)
	{
		if (turn->kind == PRISM_TURN_ALL && must_sort_first(scheduler, turn, &news))
			turn->kind = PRISM_TURN_SORT_FIRST;
		prism_turn_sort(turn);
		if (!turn->more)
		{
			/* messages of transactions that are still committing come with news of their own, and those after them too */
			scheduler->sort_at = PRISM_NEVER;
			if (turn->state->position >= news.next)
				scheduler->first_unsorted = DT_NOEND;
		}
		if (turn->kind == PRISM_TURN_ALL)
			prism_turn_deliver(turn);
		prism_turn_close_writers(turn);
	}
	scheduler->served = turn->served;
	if (turn->changed)
		prism_delay_state_append(turn->state, turn->journal);
	retire_buckets(scheduler, turn);	/* after the record that says that nothing of them waits */
	prism_turn_show(turn);

	scheduler->look_at = Min(prism_turn_next_due(turn), Min(scheduler->sort_at, next_end(scheduler, turn)));
	/* nobody needs to wake us for what we shall see by ourselves in a moment, if all is seen that was told */
	if ((scheduler->first_unsorted == DT_NOEND || scheduler->sort_at != PRISM_NEVER) &&
		scheduler->look_at <= prism_instant_after(turn->instant, SORT_INTERVAL_MS))
		prism_delay_look_at(turn->journal, turn->now + (scheduler->look_at - turn->instant));
}

/* ---------- loading ---------- */

/* A failed transaction leaves the state in memory ahead of the one on disk. */
static void
forget(Scheduler *scheduler)
{
	if (scheduler->state != NULL)
		prism_delay_state_free(scheduler->state);
	scheduler->state = NULL;
	scheduler->buckets = NIL;
	prism_hold_forget();
}

static void
load_state(Scheduler *scheduler, PrismTurn *turn)
{
	PrismDelayState *state = prism_delay_state_load(turn->journal);
	MemoryContext caller_cxt;

	/* a reader passes over segments that are not there, and what was in them would be lost */
	if (state == NULL || prism_segments_missing(turn->journal->topic_id) != NIL ||
		prism_segments_restoring(turn->journal->topic_id))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("the journal of delayed messages has no state that tells how far they are"),
				errhint("If a restore is under way, wait until it has ended; otherwise restore the journal from a backup."));
	MemoryContextSetParent(state->mcxt, TopMemoryContext);
	scheduler->state = state;
	scheduler->journal_id = turn->journal->topic_id;
	caller_cxt = MemoryContextSwitchTo(state->mcxt);
	scheduler->buckets = prism_delay_buckets();
	MemoryContextSwitchTo(caller_cxt);
	turn->state = state;
	check_lines(scheduler, turn);
	prism_turn_show_all(turn);

	/* nobody told us what is in the journal already */
	scheduler->first_unsorted = turn->now;
	scheduler->sort_at = turn->instant;
}

/* The state, the catalogue and the buckets belong together; a restore brings them one after the other. */
static void
check_lines(Scheduler *scheduler, const PrismTurn *turn)
{
	HASH_SEQ_STATUS status;
	PrismDelayLine *line;

	hash_seq_init(&status, scheduler->state->lines);
	while ((line = hash_seq_search(&status)) != NULL)
	{
		if (has_bucket(scheduler, line->bucket_id))
			look_for_first(line, turn->now);
		else if (line->waiting == 0)
			hash_search(scheduler->state->lines, line, HASH_REMOVE, NULL);
		else
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("bucket %d of delayed messages is not in the catalogue", line->bucket_id),
					errhint("If a restore is under way, wait until it has ended; otherwise restore the bucket from a backup."));
	}
}

/* What stands in the way is said by a turn for this topic alone, at once: others do not wait for that. */
static void
look_for_first(PrismDelayLine *line, TimestampTz now)
{
	ErrorData  *error = line->waiting > 0 ? prism_savepoint_try(prism_turn_find_first, line) : NULL;

	if (error == NULL)
		return;
	line->next_due = now;
	FreeErrorData(error);
}

static bool
has_bucket(const Scheduler *scheduler, int32 bucket_id)
{
	ListCell   *cell;

	foreach(cell, scheduler->buckets)
		if (((PrismDelayBucket *) lfirst(cell))->bucket_id == bucket_id)
			return true;
	return false;
}

/* ---------- when to look ---------- */

static void
hear_news(Scheduler *scheduler, const PrismTurn *turn, const PrismDelayNews *news)
{
	scheduler->first_unsorted = Min(scheduler->first_unsorted, news->first_due);
	if (news->first_due != DT_NOEND)
		scheduler->sort_at = Min(scheduler->sort_at,
								 Min(prism_turn_instant(turn, scheduler->first_unsorted),
									 prism_instant_after(turn->instant, SORT_INTERVAL_MS)));
}

/* This turn does not come to the journal's end, and what lies there may be due before what the turn would deliver. */
static bool
must_sort_first(Scheduler *scheduler, const PrismTurn *turn, const PrismDelayNews *news)
{
	if (prism_counter_distance(turn->journal, turn->state->position, news->next) <= PRISM_SORT_MESSAGES_MAX)
	{
		scheduler->sorted_first = 0;
		return false;
	}
	if (scheduler->sorted_first == SORT_FIRST_TURNS)
		return false;
	scheduler->sorted_first++;
	return true;
}

/* When the next bucket can be retired. One that has ended and is not retired waits for its messages. */
static PrismInstant
next_end(const Scheduler *scheduler, const PrismTurn *turn)
{
	TimestampTz first = DT_NOEND;
	ListCell   *cell;

	foreach(cell, scheduler->buckets)
	{
		TimestampTz end = ((PrismDelayBucket *) lfirst(cell))->span.to;

		if (end > turn->now)
			first = Min(first, end);
	}
	return prism_turn_instant(turn, first);
}

/* The latch knows whole milliseconds only. */
static void
wait_for_next(const Scheduler *scheduler)
{
	int64		left_us = scheduler->look_at - prism_instant();

	if (scheduler->in_turn)
		prism_worker_wait(REPAIR_MS, PGINVALID_SOCKET); /* it failed: the back-off decides */
	else if (scheduler->look_at == PRISM_NEVER)
		prism_worker_wait(IDLE_REPAIR_MS, PGINVALID_SOCKET);
	else if (left_us >= 1000)
		prism_worker_wait(Min(left_us / 1000, REPAIR_MS), PGINVALID_SOCKET);
	else if (left_us > 0)
		pg_usleep(left_us);
}

/* ---------- buckets that are past ---------- */

static void
retire_buckets(Scheduler *scheduler, PrismTurn *turn)
{
	ListCell   *cell;

	foreach(cell, scheduler->buckets)
	{
		PrismDelayBucket *bucket = lfirst(cell);

		if (!is_over(scheduler, bucket, turn->now) || !prism_turn_account(turn, bucket->bucket_id))
			continue;
		prism_delay_bucket_retire(bucket->bucket_id);
		forget_lines(scheduler, bucket->bucket_id);
		scheduler->buckets = foreach_delete_current(scheduler->buckets, cell);
		turn->bucket_retired = true;
	}
}

static bool
is_over(Scheduler *scheduler, const PrismDelayBucket *bucket, TimestampTz now)
{
	HASH_SEQ_STATUS status;
	PrismDelayLine *line;

	if (bucket->span.to > now && bucket->span.to != DT_NOEND)
		return false;
	hash_seq_init(&status, scheduler->state->lines);
	while ((line = hash_seq_search(&status)) != NULL)
	{
		if (line->bucket_id == bucket->bucket_id && line->waiting > 0)
		{
			hash_seq_term(&status);
			return false;
		}
	}
	return true;
}

static void
forget_lines(Scheduler *scheduler, int32 bucket_id)
{
	HASH_SEQ_STATUS status;
	PrismDelayLine *line;

	hash_seq_init(&status, scheduler->state->lines);
	while ((line = hash_seq_search(&status)) != NULL)
		if (line->bucket_id == bucket_id)
			hash_search(scheduler->state->lines, line, HASH_REMOVE, NULL);
}
