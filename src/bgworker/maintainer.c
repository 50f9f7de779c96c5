/*-------------------------------------------------------------------------
 *
 * maintainer.c
 *	  Keeps a database's logs in order: segments ahead, what a restore lost, what is past.
 *
 * Publishers never run DDL: the segment after the current one is made here,
 * when a transaction enters the current one and says so.  A round goes through
 * all topics; each change is a short transaction of its own.  A topic whose
 * turn fails is tried again in a later round, the others are served meanwhile.
 *
 * src/bgworker/maintainer.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/guc.h"
#include "base/ownership.h"
#include "base/patience.h"
#include "base/query.h"
#include "base/savepoint.h"
#include "bgworker/payload_round.h"
#include "bgworker/slots.h"
#include "bgworker/sweep.h"
#include "bgworker/worker.h"
#include "store/delay/delay.h"
#include "store/delay/delay_bucket.h"
#include "store/log/counter.h"
#include "store/log/retention.h"
#include "store/log/segment.h"
#include "store/log/segment_ahead.h"
#include "store/log/topic.h"
#include "store/payload/payload_ahead.h"
#include "store/sink/sink.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/syscache.h"

/* Repairs what a lost wake-up would leave. */
#define REPAIR_MS 60000
/* Whoever fills a segment wants the next one before he commits: until then nobody can tell that the segments before are past. */
#define COMMIT_MS 1000
/* Housekeeping may have thousands of segments to drop: publishers, who give up after some seconds, are served in between. */
#define SERVE_MS 1000
/* Topics looked at in one transaction, each locked against being dropped: with more, a transaction that drops several would meet a deadlock. */
#define TOPICS_A_LOOK 1
/* What a restore has made, adopted in one transaction. */
#define STRAYS_A_TURN 100
/* Segments made for one topic in a turn, should a transaction want many. */
#define SEGMENTS_A_TURN 16

/* The journal of delayed messages is dropped a segment at a time: one segment of what was delivered is kept at most, or a little more. */
#define JOURNAL_SEGMENT_BYTES (64 * 1024 * 1024)

/* What a round consists of, in this order. */
typedef enum Phase
{
	PHASE_SEGMENTS,				/* publishers may wait for these */
	PHASE_PROGRESS,				/* trim the progress log */
	PHASE_RETENTION,			/* drop what is past */
	PHASE_PAYLOADS,				/* ... and the payloads that went with it */
	PHASE_SWEEP,				/* clean up for patterns */
	PHASE_DROPPED,				/* drop what topics that were dropped have left behind */
	PHASE_JOURNAL,				/* ... what of the journal of delayed messages is done */
	PHASE_DELAYED,				/* ... and their tables */
	PHASE_RESTORED,				/* adopt what a restore has made */
	PHASE_END
} Phase;

/*
 * How far the current round has come.  Outlives a turn that fails, so a turn
 * moves on before it does anything that can throw: what fails is passed over
 * until the next round, and everything else has its turn.
 */
typedef struct Round
{
	Phase		phase;
	bool		in_turn;		/* still set when the next turn begins: this one failed */
	bool		failed;			/* some turn of this round did */
	bool		passed;			/* ... which was left to the next round, so prism.workers shows why */
	bool		had_passed;		/* the round before */
	PrismBackoff failures;		/* of rounds */
	Phase		resume;			/* housekeeping that was interrupted, by a failure or for publishers; PHASE_SEGMENTS: none */
	int32		topic_id;		/* of PHASE_SEGMENTS: the last topic looked at */
	PrismInstant served_at;		/* the last look at all topics was at its end */
	int32		retention_topic_id; /* of PHASE_RETENTION: likewise */
	PrismPayloadRound payloads; /* of PHASE_PAYLOADS: likewise */
	PrismSweep	sweep;			/* of PHASE_SWEEP: likewise */
	int32		left_topic_id;	/* of PHASE_DROPPED: the last segment looked at */
	int64		left_number;
	int32		bucket_id;		/* of PHASE_DELAYED: likewise */
	Oid			stray;			/* of PHASE_RESTORED: likewise */
	PrismInstant retention_due; /* when to look at the progress log and retention again */
	bool		filled;			/* segments were, since the last look */
	int			retention_min;	/* the setting that it went by */
} Round;

/*
 * Tables, sequences and views that go with the extension but do not know it: a
 * restore makes them without the dependency.  Prism's schemas hold nothing else.
 */
static const char strays_query[] =
"SELECT c.oid FROM pg_catalog.pg_class c"
" WHERE c.oid OPERATOR(pg_catalog.>) $1 AND (c.relnamespace OPERATOR(pg_catalog.=) 'prism_log'::pg_catalog.regnamespace AND c.relkind IN ('r', 'S', 'v', 'f')"
" OR c.relnamespace OPERATOR(pg_catalog.=) 'prism'::pg_catalog.regnamespace AND c.relkind OPERATOR(pg_catalog.=) 'v')"
" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d"
" WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) c.oid"
" AND d.objsubid OPERATOR(pg_catalog.=) 0"
" AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype IN ('a', 'e'))"
" ORDER BY 1";

static bool maintain(void *arg);
static bool is_of_topic(const Round *round, const Round *former, const ErrorData *error);
static void leave_to_next_round(Round *round, ErrorData *error);
static void take_round_turn(void *arg);
static long maintainer_wait_ms(const Round *round);
static bool find_topic_in_need(Round *round);
static bool look_at_topics(Round *round, int *seen);
static bool make_segments(int32 topic_id);
static void pass_over(Round *round);
static void serve_publishers(Round *round, Phase resume);
static void end_round(Round *round);
static Phase first_housekeeping(Round *round);
static bool adopt_strays(Round *round);
static bool enforce_retention(Round *round);
static void trim_progress(void);
static bool drop_left(Round *round);
static void trim_journal(void);
static bool drop_bucket(Round *round);

void
prism_maintainer_main(Datum main_arg)
{
	Round		round = {.failures.clock = &prism_real_clock};

	prism_worker_enter(main_arg);
	prism_worker_without_triggers();
	for (;;)
	{
		if (!prism_run_step(maintain, &round))
			prism_worker_wait(maintainer_wait_ms(&round), PGINVALID_SOCKET);
	}
}

static long
maintainer_wait_ms(const Round *round)
{
	long		retry_ms = prism_backoff_remaining_ms(&round->failures);

	if (retry_ms == 0)
		retry_ms = Max(prism_ms_until(round->retention_due, prism_instant()), 1);
	return Min(retry_ms, REPAIR_MS);
}

/* One turn; more to do until the round is at its end. */
static bool
maintain(void *arg)
{
	Round	   *round = arg;
	Round		former = *round;
	ErrorData  *error;

	if (round->in_turn)
		pass_over(round);
	round->in_turn = true;
	error = prism_worker_attempt(take_round_turn, round);
	if (error != NULL && !is_of_topic(round, &former, error))
		ReThrowError(error);
	if (error != NULL)
		leave_to_next_round(round, error);
	round->in_turn = false;
	if (round->phase != PHASE_END)
		return true;
	end_round(round);
	return false;
}

/*
 * Somebody has its tables locked, or it needs a segment and cannot have one, or
 * one of it cannot be dropped, or a pattern cannot clean up: if many were in trouble, with a back-off of the
 * worker for each, publishers of all others would wait for that.  A fault of the
 * whole database comes again, before the next turn has come to a topic.
 */
static bool
is_of_topic(const Round *round, const Round *former, const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		(round->phase == PHASE_SEGMENTS && round->topic_id != former->topic_id) ||
		(round->phase == PHASE_RETENTION && round->retention_topic_id != former->retention_topic_id) ||
		(round->phase == PHASE_PAYLOADS && round->payloads.met != former->payloads.met) ||
		(round->phase == PHASE_SWEEP && round->sweep.met != former->sweep.met);
}

/* The others need not wait for that. */
static void
leave_to_next_round(Round *round, ErrorData *error)
{
	round->failed = round->passed = true;
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		prism_worker_report(error);
	prism_worker_show(PRISM_WORKER_BACKOFF, error->message);
}

/* A turn moves on before it does anything that can throw. */
static void
take_round_turn(void *arg)
{
	Round	   *round = arg;

	if (round->phase != PHASE_SEGMENTS && round->phase != PHASE_END &&
		prism_has_passed(round->served_at, prism_instant(), SERVE_MS))
		serve_publishers(round, round->phase);
	switch (round->phase)
	{
		case PHASE_SEGMENTS:
			if (!find_topic_in_need(round))
				round->phase = first_housekeeping(round);
			else if (make_segments(round->topic_id))
			{
				/* where segments are filled, others may have to go */
				round->retention_due = 0;
				round->filled = true;
			}
			break;
		case PHASE_PROGRESS:
			round->phase = PHASE_RETENTION;
			trim_progress();
			break;
		case PHASE_RETENTION:
			if (!enforce_retention(round))
				round->phase = PHASE_PAYLOADS;
			break;
		case PHASE_PAYLOADS:
			if (!prism_payloads_next(&round->payloads))
				round->phase = PHASE_SWEEP;
			break;
		case PHASE_SWEEP:
			if (prism_sweep_next(&round->sweep))
				break;
			round->phase = PHASE_DROPPED;
			if (round->sweep.left)
				round->retention_due = 0;	/* the next round comes at once */
			break;
		case PHASE_DROPPED:
			round->phase = PHASE_JOURNAL;
			if (drop_left(round))
				round->phase = PHASE_DROPPED;	/* there may be more */
			break;
		case PHASE_JOURNAL:
			round->phase = PHASE_DELAYED;
			trim_journal();
			break;
		case PHASE_DELAYED:
			round->phase = PHASE_RESTORED;
			if (drop_bucket(round))
				round->phase = PHASE_DELAYED;	/* there may be more */
			break;
		case PHASE_RESTORED:
			round->phase = PHASE_END;
			if (adopt_strays(round))
				round->phase = PHASE_RESTORED;	/* there may be more */
			break;
		case PHASE_END:
			break;
	}
}

/* A turn failed.  Housekeeping can wait, publishers cannot: the next round serves them and then goes on here. */
static void
pass_over(Round *round)
{
	round->failed = true;
	if (round->phase == PHASE_SEGMENTS)
		return;
	round->resume = round->phase == PHASE_END ? PHASE_SEGMENTS : round->phase;
	round->phase = PHASE_END;
}

/* Between two pieces of housekeeping. */
static void
serve_publishers(Round *round, Phase resume)
{
	round->phase = PHASE_SEGMENTS;
	round->topic_id = 0;
	round->resume = resume;
}

static void
end_round(Round *round)
{
	if (round->failed)
		(void) prism_backoff_fail(&round->failures);
	else
		prism_backoff_reset(&round->failures);
	if (!round->passed && round->had_passed)
		prism_worker_show(PRISM_WORKER_RUNNING, NULL);
	round->had_passed = round->passed;
	round->failed = round->passed = false;
	round->phase = PHASE_SEGMENTS;
	round->topic_id = 0;
}

static Phase
first_housekeeping(Round *round)
{
	PrismInstant now = prism_instant();
	Phase		resume = round->resume;

	round->served_at = now;
	round->resume = PHASE_SEGMENTS;
	if (resume != PHASE_SEGMENTS)
		return resume;
	if (now < round->retention_due && round->retention_min == prism_retention_min)
		return PHASE_DROPPED;
	round->retention_due = prism_instant_after(now, round->filled ? COMMIT_MS : REPAIR_MS);
	round->filled = false;
	round->retention_min = prism_retention_min;
	return PHASE_PROGRESS;
}

/* ---------- segments ahead ---------- */

/* From the topic after the round's last one. */
static bool
find_topic_in_need(Round *round)
{
	int			seen;

	do
	{
		bool		found;

		prism_worker_begin("looking for topics that need a segment");
		found = look_at_topics(round, &seen);
		prism_worker_commit();
		if (found)
			return true;
	} while (seen == TOPICS_A_LOOK);
	return false;
}

static bool
look_at_topics(Round *round, int *seen)
{
	Oid			type = INT4OID;
	Datum		after = Int32GetDatum(round->topic_id);
	PrismQueryRows rows = prism_query_read("SELECT topic_id FROM prism.topic WHERE topic_id > $1 ORDER BY 1", 1, &type, &after, TOPICS_A_LOOK);

	*seen = (int) rows.count;
	for (int i = 0; i < *seen; i++)
	{
		PrismTopic *topic;
		bool		busy;
		int64		first,
					last;

		round->topic_id = prism_column_int32(&rows.row[i], 1);
		topic = prism_topic_try_id(round->topic_id, &busy);
		if (topic == NULL)
			continue;			/* dropped, or about to be: others need segments meanwhile */
		prism_counter_init(topic);
		/* publishers first: jumps are looked for in the rows, which may be damaged */
		if (prism_segments_to_make(topic, &first, &last) || prism_payload_is_wanted(topic))
			return true;
		prism_counter_save_jumps(topic);
	}
	return false;
}

/* Up to 'count' of them; false: there was none to make, or there is the table of one, for which a restore is about to make the index. */
static bool
make_some(int32 topic_id, int count, bool *more)
{
	bool		made = false;
	PrismCounter *counter = NULL;
	PrismTopic *topic;
	bool		busy;
	int64		first,
				last;

	*more = false;
	prism_worker_begin("making segments");
	topic = prism_topic_try_id(topic_id, &busy);
	if (topic != NULL && prism_segments_to_make(topic, &first, &last))
	{
		counter = topic->counter;
		for (int64 number = first; number <= last && number < first + count; number++)
			made |= prism_segment_create(topic, number);
		*more = last >= first + count;
	}
	prism_worker_commit();

	/* A counter's condition variables outlive the topic. */
	if (counter != NULL)
		ConditionVariableBroadcast(&counter->segments_changed);
	return made;
}

/* The next one by itself: publishers who wait for it need not wait for one behind it, which perhaps cannot be made. */
static bool
make_segments(int32 topic_id)
{
	bool		more;
	bool		made = make_some(topic_id, 1, &more);

	if (more)
		made |= make_some(topic_id, SEGMENTS_A_TURN - 1, &more);
	return prism_payloads_make(topic_id) || made;
}

/* ---------- retention ---------- */

/* The next topic by number; 0: that was the last. */
static int32
topic_after(int32 topic_id)
{
	Oid			type = INT4OID;
	Datum		after = Int32GetDatum(topic_id);
	PrismQueryRows next = prism_query_read("SELECT topic_id FROM prism.topic WHERE topic_id > $1 AND namespace_id IS NOT NULL"
										   " ORDER BY 1 LIMIT 1", 1, &type, &after, 1);

	return next.count == 0 ? 0 : prism_column_int32(&next.row[0], 1);
}

/* Checkpoint, commit, drop: in this order a crash leaves too much, never too little. */
static void
trim_progress(void)
{
	PrismTopic *progress;
	int64		needed_from = 0;

	prism_worker_begin("writing checkpoints of groups and sinks");
	progress = prism_topic_lookup(PRISM_PROGRESS_TOPIC, true);
	if (progress != NULL)
	{
		prism_counter_init(progress);
		needed_from = prism_retention_checkpoint(progress);
	}
	prism_worker_commit();
	if (needed_from == 0)
		return;

	prism_worker_begin("dropping segments of the progress log");
	progress = prism_topic_lookup(PRISM_PROGRESS_TOPIC, true);
	if (progress != NULL)
		prism_retention_drop_below(progress, needed_from);
	prism_worker_commit();
}

/* One topic, one segment a transaction. False: all topics have been looked at. */
static bool
enforce_retention(Round *round)
{
	int32		former_id = round->retention_topic_id;
	int32		topic_id;
	PrismTopic *topic;
	bool		busy;

	prism_worker_begin("dropping segments past retention");
	topic_id = topic_after(former_id);
	round->retention_topic_id = topic_id;
	topic = topic_id != 0 ? prism_topic_try_id(topic_id, &busy) : NULL;
	if (topic != NULL && prism_retention_enforce(topic))
		round->retention_topic_id = former_id;	/* there may be more of it */
	prism_worker_commit();
	return topic_id != 0;
}

/* ---------- what is nobody's any more ---------- */

/*
 * Several in one transaction, each by itself: what cannot be dropped, because a
 * view of somebody's hangs on it, must not keep all that is behind it.
 */
static void
try_each(Round *round, void (*part) (void *arg), void *arg)
{
	ErrorData  *error = prism_savepoint_try(part, arg);

	if (error != NULL)
		leave_to_next_round(round, error);
}

static void
drop_left_segment(void *arg)
{
	const Round *round = arg;

	prism_segment_drop_left(round->left_topic_id, round->left_number);
}

/* False: all have been looked at. */
static bool
drop_left(Round *round)
{
	int			seen = 0;

	prism_worker_begin("dropping what topics have left");
	while (seen < PRISM_SEGMENTS_A_TRANSACTION && prism_segment_next_left(&round->left_topic_id, &round->left_number))
	{
		CHECK_FOR_INTERRUPTS();
		try_each(round, drop_left_segment, round);
		seen++;
	}
	if (seen < PRISM_SEGMENTS_A_TRANSACTION)
		round->left_topic_id = round->left_number = 0;
	prism_worker_commit();
	return seen == PRISM_SEGMENTS_A_TRANSACTION;
}

static void
trim_journal(void)
{
	PrismTopic *journal;
	bool		busy;

	prism_worker_begin("dropping segments of the journal of delayed messages");
	journal = prism_topic_try(PRISM_DELAY_TOPIC, &busy);
	if (journal != NULL)
	{
		prism_retention_roll_large(journal, JOURNAL_SEGMENT_BYTES);
		prism_retention_drop_below(journal, prism_delay_needed_from(journal));
	}
	prism_worker_commit();
}

static void
drop_next_bucket(void *arg)
{
	const Round *round = arg;

	prism_delay_bucket_drop(round->bucket_id);
}

/* One a transaction. False: all have been looked at. */
static bool
drop_bucket(Round *round)
{
	bool		found;

	prism_worker_begin("dropping what delayed messages have left");
	found = prism_delay_bucket_next_retired(&round->bucket_id);
	if (found)
		try_each(round, drop_next_bucket, round);
	else
		round->bucket_id = 0;
	prism_worker_commit();
	return found;
}

/* ---------- after a restore ---------- */

static void
adopt(void *arg)
{
	prism_own_restored(*(Oid *) arg);
}

/*
 * Some of them a transaction, as each is locked to its end.  What is locked
 * exclusively is being made or dropped: next time.  False: all have been looked
 * at, and the next round begins with the first.
 */
static bool
adopt_strays(Round *round)
{
	Oid			type = OIDOID;
	Datum		after = ObjectIdGetDatum(round->stray);
	PrismQueryRows rows;

	prism_worker_begin("looking for what a restore has made");
	rows = prism_query_read(strays_query, 1, &type, &after, STRAYS_A_TURN);
	round->stray = rows.count == STRAYS_A_TURN ? prism_column_oid(&rows.row[rows.count - 1], 1) : InvalidOid;
	for (uint64 i = 0; i < rows.count; i++)
	{
		Oid			relid = prism_column_oid(&rows.row[i], 1);

		if (!ConditionalLockRelationOid(relid, AccessShareLock))
			continue;
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
			try_each(round, adopt, &relid);
	}
	/* after the last of them: what default privileges gave is taken by then */
	if (!OidIsValid(round->stray))
		prism_own_note_granted(0);
	prism_worker_commit();
	return OidIsValid(round->stray);
}
