/*-------------------------------------------------------------------------
 *
 * schedule_deliver.c
 *	  The scheduler's way out: what is due goes into its topic's log.
 *
 * Lines of buckets, and what is due already when it comes out of the journal,
 * are merged by due time; among equals the journal's order, that of the
 * commits, decides.  That holds within a topic.  Between topics a turn is
 * divided: each has its share first, and what is left goes by time.  So a topic
 * of which a million messages are due holds up no other one.  When more topics
 * are due than a transaction can publish to, they take turns.
 *
 * src/bgworker/schedule/schedule_deliver.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/savepoint.h"
#include "bgworker/schedule/scheduler.h"
#include "bgworker/worker.h"
#include "pattern/chain.h"
#include "store/group/backlog.h"
#include "store/log/message_copy.h"
#include "store/log/segment_ahead.h"
#include "store/payload/open_payload.h"
#include "store/payload/payload_open.h"

#include "access/detoast.h"
#include "lib/binaryheap.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* What one turn publishes: readers of its topics wait for its commit. */
#define DELIVER_MESSAGES_MAX 1000
#define DELIVER_BYTES_MAX (8 * 1024 * 1024)

/* What is merged, and the next message of it. */
typedef struct Source
{
	PrismDelayLine *line;		/* NULL: the topic's ready messages */
	PrismDelayScan *scan;
	int			ready_at;		/* number of the ready message */
	int			ready_end;		/* the first one behind */
	int32		topic_id;
	PrismDelayPlace place;
	PrismMessage message;
} Source;

static binaryheap *open_sources(PrismTurn *turn, List **sources);
static bool is_for_turn(PrismTurn *turn, PrismDelayLine *line);
static void begin_topic(PrismTurn *turn, const PrismTarget *target);
static void add_source(List **sources, PrismDelayLine *line);
static void add_ready_sources(PrismTurn *turn, List **sources);
static int	choose_topics(PrismTurn *turn, const List *sources);
static bool has_had_its_share(PrismTurn *turn, const Source *source, int topics);
static bool advance(PrismTurn *turn, Source *source);
static void end_line(PrismTurn *turn, PrismDelayLine *line);
static const char *hint_of_late(const PrismDelayLine *line);
static bool deliver_first(PrismTurn *turn, Source *source, List **left);
static bool begin_publishing(PrismTurn *turn, PrismTarget *target, const Source *source);
static bool set_aside(PrismTurn *turn, Source *source, List **left);
static void publish(PrismTurn *turn, PrismTarget *target, const PrismMessage *message);
static void close_sources(PrismTurn *turn, List *sources, List **left);

void
prism_turn_deliver(PrismTurn *turn)
{
	MemoryContext caller_cxt = MemoryContextSwitchTo(turn->mcxt);
	List	   *sources = NIL;
	List	   *left = NIL;		/* ready messages that this turn does not publish */
	List	   *satisfied = NIL;	/* sources whose topics have had their share */
	binaryheap *heap = open_sources(turn, &sources);
	int			topics = choose_topics(turn, sources);
	ListCell   *cell;

	turn->bytes = 0;
	for (;;)
	{
		Source	   *source;

		CHECK_FOR_INTERRUPTS();
		if (binaryheap_empty(heap))
		{
			if (satisfied == NIL)
				break;
			foreach(cell, satisfied)
				binaryheap_add(heap, PointerGetDatum(lfirst(cell)));
			satisfied = NIL;
			topics = 1;			/* the first one has the rest */
		}
		source = (Source *) DatumGetPointer(binaryheap_first(heap));
		if (topics > 1 && has_had_its_share(turn, source, topics))
		{
			(void) binaryheap_remove_first(heap);
			satisfied = lappend(satisfied, source);
			continue;
		}
		if (turn->moved >= DELIVER_MESSAGES_MAX || turn->bytes >= DELIVER_BYTES_MAX)
		{
			turn->more = true;
			break;
		}
		if (deliver_first(turn, source, &left))
			binaryheap_replace_first(heap, PointerGetDatum(source));
		else
			(void) binaryheap_remove_first(heap);
	}
	close_sources(turn, sources, &left);

	/* now that nothing is being read: they may go into a line that was */
	foreach(cell, left)
	{
		PrismReadyMessage *ready = lfirst(cell);

		(void) prism_turn_place(turn, ready->topic_id, ready->place, &ready->message, true);
	}
	MemoryContextSwitchTo(caller_cxt);
}

/* ---------- sources ---------- */

static int
compare_ready(const void *a, const void *b)
{
	const PrismReadyMessage *left = a;
	const PrismReadyMessage *right = b;

	if (left->topic_id != right->topic_id)
		return left->topic_id < right->topic_id ? -1 : 1;
	if (prism_delay_is_before(left->place, right->place))
		return -1;
	return prism_delay_is_before(right->place, left->place) ? 1 : 0;
}

/* The earliest is the largest: it is on top. */
static int
compare_sources(Datum a, Datum b, void *arg)
{
	const Source *left = (Source *) DatumGetPointer(a);
	const Source *right = (Source *) DatumGetPointer(b);

	if (prism_delay_is_before(left->place, right->place))
		return 1;
	return prism_delay_is_before(right->place, left->place) ? -1 : 0;
}

static binaryheap *
open_sources(PrismTurn *turn, List **sources)
{
	HASH_SEQ_STATUS status;
	PrismDelayLine *line;
	binaryheap *heap;
	ListCell   *cell;

	hash_seq_init(&status, turn->state->lines);
	while ((line = hash_seq_search(&status)) != NULL)
	{
		if (is_for_turn(turn, line))
			add_source(sources, line);
	}
	add_ready_sources(turn, sources);

	heap = binaryheap_allocate(list_length(*sources) + 1, compare_sources, NULL);
	foreach(cell, *sources)
	{
		if (advance(turn, lfirst(cell)))
			binaryheap_add_unordered(heap, PointerGetDatum(lfirst(cell)));
	}
	binaryheap_build(heap);
	return heap;
}

static bool
is_for_turn(PrismTurn *turn, PrismDelayLine *line)
{
	const PrismTarget *target;

	if (line->next_due > turn->now || prism_hold_until(line->topic_id) > turn->instant)
		return false;
	if (turn->kind == PRISM_TURN_ALONE ? line->topic_id != turn->alone_id : prism_trouble_has(line->topic_id))
		return false;
	target = prism_turn_target(turn, line->topic_id);
	if (target->state == PRISM_TARGET_GONE)
	{
		/* what it still has goes with the bucket */
		line->waiting = 0;
		line->next_due = DT_NOEND;
		line->changed = turn->changed = true;
		return false;
	}
	if (target->state == PRISM_TARGET_BUSY || !prism_delay_bucket_is_free(line->bucket_id, AccessShareLock))
	{
		/* other topics need not wait for that */
		prism_hold(line->topic_id, prism_instant_after(turn->instant, PRISM_BUSY_RETRY_MS));
		return false;
	}
	begin_topic(turn, target);
	return true;
}

/* From here on, where its rows are read, a failure may be that of this topic. */
static void
begin_topic(PrismTurn *turn, const PrismTarget *target)
{
	turn->publishing = true;
	if (turn->kind == PRISM_TURN_ALONE && turn->alone_name == NULL)
		turn->alone_name = pstrdup(target->topic->name);
}

static void
add_source(List **sources, PrismDelayLine *line)
{
	Source	   *source = palloc0(sizeof(Source));

	source->line = line;
	source->topic_id = line->topic_id;
	source->scan = prism_delay_scan_open(line->bucket_id, line->topic_id, line->done);
	*sources = lappend(*sources, source);
}

/* One for each topic. */
static void
add_ready_sources(PrismTurn *turn, List **sources)
{
	int			end;

	if (turn->ready_count > 1)
		qsort(turn->ready, turn->ready_count, sizeof(PrismReadyMessage), compare_ready);
	for (int i = 0; i < turn->ready_count; i = end)
	{
		Source	   *source = palloc0(sizeof(Source));

		for (end = i + 1; end < turn->ready_count && turn->ready[end].topic_id == turn->ready[i].topic_id;)
			end++;
		source->topic_id = turn->ready[i].topic_id;
		source->ready_at = i - 1;
		source->ready_end = end;
		*sources = lappend(*sources, source);
	}
}

/* Those that have this turn: all, or as many as can, by number behind those of the turn before. Returns how many. */
static int
choose_topics(PrismTurn *turn, const List *sources)
{
	int			max = prism_max_topics_per_transaction - 1; /* one is left for the journal */
	List	   *topics = NIL;
	int			first = 0;
	int			count;
	ListCell   *cell;

	foreach(cell, sources)
	{
		const PrismTarget *target = prism_turn_target(turn, ((Source *) lfirst(cell))->topic_id);

		if (target->state == PRISM_TARGET_HERE)
			topics = list_append_unique_int(topics, target->topic_id);
	}
	count = list_length(topics);
	if (count <= max)
		return count;

	list_sort(topics, list_int_cmp);
	while (first < count && list_nth_int(topics, first) <= turn->served)
		first++;
	for (int i = max; i < count; i++)
		prism_turn_target(turn, list_nth_int(topics, (first + i) % count))->passed_over = true;
	turn->served = list_nth_int(topics, (first + max - 1) % count);
	return max;
}

static bool
has_had_its_share(PrismTurn *turn, const Source *source, int topics)
{
	const PrismTarget *target = prism_turn_target(turn, source->topic_id);

	return target->published > 0 &&
		(target->published >= DELIVER_MESSAGES_MAX / topics || target->bytes >= DELIVER_BYTES_MAX / topics);
}

/* Go to the source's next message that is due. False: it has none. */
static bool
advance(PrismTurn *turn, Source *source)
{
	if (source->line == NULL)
	{
		if (++source->ready_at >= source->ready_end)
			return false;
		source->place = turn->ready[source->ready_at].place;
		source->message = turn->ready[source->ready_at].message;
		return true;
	}
	/* rows that nobody waits for stay where they are: prism_turn_account() tells */
	if (source->line->waiting == 0 || !prism_delay_scan_next(source->scan, &source->place, &source->message))
	{
		end_line(turn, source->line);
		return false;
	}
	source->line->next_due = source->place.due_at;
	return source->place.due_at <= turn->now;
}

/*
 * Not found is not gone: a restore brings rows, an index may lack some.  The
 * topic waits with all that it has, also what lies behind, until they are found
 * or the owner says that they are not to be had.
 */
static void
end_line(PrismTurn *turn, PrismDelayLine *line)
{
	const PrismTarget *target = prism_turn_target(turn, line->topic_id);
	const char *name = target->topic != NULL ? target->topic->name : "";

	line->next_due = DT_NOEND;
	if (line->waiting == 0)
		return;
	if (!prism_delay_write_off(line->bucket_id, line->topic_id, line->waiting))
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg(INT64_FORMAT " delayed messages of topic \"%s\" are not found in prism_log.delayed_%d",
					   line->waiting, name, line->bucket_id),
				errdetail("They may be rows that a restore has not brought yet, or that an index lacks, or that somebody has deleted."),
				errhint("Let the restore end, or restore or REINDEX TABLE prism_log.delayed_%d.%s When they are gone, let the owner of the extension say so: INSERT INTO prism.delay_lost (bucket_id, topic_id, messages) VALUES (%d, %d, " INT64_FORMAT "); SELECT prism.wake_workers().",
						line->bucket_id, hint_of_late(line), line->bucket_id, line->topic_id, line->waiting));
	ereport(WARNING,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg(INT64_FORMAT " delayed messages of topic \"%s\" are written off", line->waiting, name),
			errdetail("The owner of the extension has said that they are gone. prism_log.delayed_%d is kept until DELETE FROM prism.delay_lost WHERE bucket_id = %d.",
					  line->bucket_id, line->bucket_id));
	/* they may come after all: then they are not taken for others, which get another bucket */
	line->done = PRISM_DELAY_LAST_PLACE;
	line->waiting = 0;
	line->changed = turn->changed = true;
}

/* A row that came when later ones had been delivered: nobody looks for it at its place. */
static const char *
hint_of_late(const PrismDelayLine *line)
{
	if (TIMESTAMP_NOT_FINITE(line->done.due_at))
		return "";
	return psprintf(" What lies in the table at a due_at up to %s, and came when others had been delivered, is found when it has a later one: UPDATE prism_log.delayed_%d SET due_at = now() WHERE topic_id = %d AND id = ..., of those that the topic has not.",
					timestamptz_to_str(line->done.due_at), line->bucket_id, line->topic_id);
}

bool
prism_turn_account(PrismTurn *turn, int32 bucket_id)
{
	HASH_SEQ_STATUS status;
	PrismDelayLine *line;
	bool		told = prism_delay_bucket_is_free(bucket_id, AccessShareLock);

	hash_seq_init(&status, turn->state->lines);
	while ((line = hash_seq_search(&status)) != NULL)
	{
		PrismDelayLine first;	/* nothing of it waits, so the line itself is never due */
		PrismTargetState state;
		ErrorData  *error;

		if (line->bucket_id != bucket_id || !told)
			continue;
		state = prism_turn_target(turn, line->topic_id)->state;
		told = state != PRISM_TARGET_BUSY;
		if (state != PRISM_TARGET_HERE)
			continue;			/* what is gone has no messages */
		first = *line;
		error = prism_savepoint_try(prism_turn_find_first, &first);
		/* a table that is not there is nobody's to drop */
		if (error != NULL ? error->sqlerrcode == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE : first.next_due == DT_NOBEGIN)
			continue;
		ereport(WARNING,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("prism_log.delayed_%d has rows of topic %d that did not wait", bucket_id, line->topic_id),
				errdetail("They are not delivered. The table is kept until DELETE FROM prism.delay_lost WHERE bucket_id = %d.", bucket_id));
		prism_delay_bucket_keep(bucket_id, line->topic_id);
	}
	return told;
}

void
prism_turn_find_first(void *arg)
{
	PrismDelayLine *line = arg;
	PrismDelayScan *scan = prism_delay_scan_open(line->bucket_id, line->topic_id, line->done);
	PrismDelayPlace place;
	PrismMessage message;

	line->next_due = prism_delay_scan_next(scan, &place, &message) ? place.due_at : DT_NOBEGIN;
	prism_delay_scan_close(scan);
}

static void
close_sources(PrismTurn *turn, List *sources, List **left)
{
	ListCell   *cell;

	foreach(cell, sources)
	{
		Source	   *source = lfirst(cell);

		if (source->scan != NULL)
			prism_delay_scan_close(source->scan);
		if (source->line == NULL)
			for (int i = source->ready_at; i < source->ready_end; i++)
				*left = lappend(*left, &turn->ready[i]);
	}
}

/* ---------- publishing ---------- */

/* False: the source has no more for this turn. */
static bool
deliver_first(PrismTurn *turn, Source *source, List **left)
{
	PrismTarget *target = prism_turn_target(turn, source->topic_id);

	/* one of its lines cannot be read now: what another one has may be due later */
	if (target->state == PRISM_TARGET_HERE && prism_hold_until(target->topic_id) > turn->instant)
		target->state = PRISM_TARGET_BUSY;
	if (target->state == PRISM_TARGET_HERE && target->published == 0 && !begin_publishing(turn, target, source))
		return set_aside(turn, source, left);
	/* refused at the commit it would take all others along */
	if (target->state == PRISM_TARGET_HERE && !prism_backlog_has_room(target->topic, target->published + 1))
		target->state = PRISM_TARGET_BUSY;
	if (target->state == PRISM_TARGET_BUSY)
	{
		prism_hold(target->topic_id, prism_instant_after(turn->instant, PRISM_BUSY_RETRY_MS));
		return set_aside(turn, source, left);
	}

	turn->changed = true;
	if (target->state == PRISM_TARGET_HERE)
		publish(turn, target, &source->message);
	if (source->line != NULL)
	{
		source->line->done = source->place;
		source->line->waiting--;
		source->line->changed = true;
	}
	return advance(turn, source);
}

/*
 * False: not in this turn.  A commit would wait for the topic's segment, and
 * with it all other topics: the maintainer is told, and the topic waits alone.
 */
static bool
begin_publishing(PrismTurn *turn, PrismTarget *target, const Source *source)
{
	int64		messages = source->line != NULL ? source->line->waiting : source->ready_end - source->ready_at;

	if (target->passed_over)
	{
		turn->more = true;
		return false;
	}
	begin_topic(turn, target);
	if (!prism_segment_ready(target->topic, Min(messages, DELIVER_MESSAGES_MAX)))
		target->state = PRISM_TARGET_BUSY;
	return true;
}

/* Not in this turn: a line stays as it is, the ready ones behind have a turn of their own. */
static bool
set_aside(PrismTurn *turn, Source *source, List **left)
{
	if (source->line != NULL)
		return false;
	*left = lappend(*left, &turn->ready[source->ready_at]);
	return advance(turn, source);
}

/* The topic's log names the payload from now on; a claim that is damaged is told to who reads it. */
static void
release_payload(const PrismMessage *message)
{
	PrismPayloadFault fault;
	PrismClaim	claim;

	if (prism_message_claim(&claim, message, &fault))
		(void) prism_open_payload_delete(&claim.payload_id);
}

/* Its time in the log is that of its delivery: retention and seeking by time go by it. */
static void
publish(PrismTurn *turn, PrismTarget *target, const PrismMessage *message)
{
	MemoryContext caller_cxt = MemoryContextSwitchTo(turn->message_cxt);
	PrismMessage copy = *message;

	copy.created_at = turn->now;
	prism_message_copy_stored(&copy);
	target->bytes += prism_message_stored_bytes(&copy);
	turn->bytes += prism_message_stored_bytes(&copy);
	prism_chain_publish(target->topic, &copy);
	if (copy.claim)
		release_payload(&copy);
	turn->moved++;
	target->published++;
	MemoryContextSwitchTo(caller_cxt);
	MemoryContextReset(turn->message_cxt);
}
