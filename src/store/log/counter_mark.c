/*-------------------------------------------------------------------------
 *
 * counter_mark.c
 *	  What of a counter survives a restart: the high-water mark.
 *
 * The mark is a sequence per topic, written non-transactionally in large steps
 * and flushed before an offset below it is handed out.  A restart goes on at
 * the mark: rebuilding the counter from the rows would go backwards, as offsets
 * of aborted transactions have none, and hide new messages from positions that
 * were derived from the stable offset.
 *
 * The sequence's value is a multiple of PRISM_MARK_STEP plus, in the low 16
 * bits, the timeline on which it was written.  On another timeline (promotion,
 * point-in-time recovery) the counter starts PRISM_TIMELINE_STEP further, so
 * that offsets of a lost tail, which the outside may have seen, are never used
 * again.  (Kafka solves the same with leader epochs, KIP-101.)
 *
 * src/store/log/counter_mark.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/patience.h"
#include "store/log/counter.h"
#include "store/log/segment.h"
#include "store/log/segment_repair.h"

#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/rel.h"

/* No position that was ever given is so far behind the last message. */
#define MARK_AHEAD_MAX (2 * PRISM_MARK_STEP)

static int64
timeline_bits(void)
{
	return GetWALInsertionTimeLine() & (PRISM_MARK_STEP - 1);
}

/* The sequence's value as it is now; needs no right and no snapshot. */
static int64
read_mark(Oid mark_relid)
{
	Relation	sequence = relation_open(mark_relid, AccessShareLock);
	Buffer		buffer = ReadBuffer(sequence, 0);
	Page		page;
	HeapTupleHeader tuple;
	int64		value;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	tuple = (HeapTupleHeader) PageGetItem(page, PageGetItemId(page, FirstOffsetNumber));
	value = ((Form_pg_sequence_data) ((char *) tuple + tuple->t_hoff))->last_value;
	UnlockReleaseBuffer(buffer);
	relation_close(sequence, AccessShareLock);
	return value;
}

/* Move the mark and make that durable.  Works in a transaction that was set READ ONLY after it published. */
static void
write_mark(Oid mark_relid, int64 mark)
{
	PrismIdentity identity = prism_enter_owner();
	bool		read_only = XactReadOnly;

	prism_lock_relation(mark_relid, RowExclusiveLock);
	XactReadOnly = false;
	DirectFunctionCall2(setval_oid, ObjectIdGetDatum(mark_relid),
						Int64GetDatum(mark | timeline_bits()));
	XactReadOnly = read_only;
	prism_leave_owner(identity);
	XLogFlush(XactLastRecEnd);
}

/* ---------- start and growth ---------- */

typedef struct EndLook
{
	PrismTopic *topic;
	int64		number;
	int64		end;			/* -1: nothing is in it */
} EndLook;

static void
look_at_end(void *arg)
{
	EndLook    *look = arg;

	look->end = prism_segment_end_below(look->topic, look->number, (look->number + 1) * look->topic->segment_messages);
}

/*
 * Behind the topic's last message; 0: it has none, or a restore is at work whose
 * rows cannot be found yet.  Behind all that may be there, if damage hides it:
 * one page must not keep the whole topic from everybody.
 */
static int64
end_of_messages(PrismTopic *topic, bool *damaged)
{
	*damaged = false;
	if (prism_segments_restoring(topic->topic_id))
		return 0;
	for (int64 number = prism_segment_last(topic->topic_id); number >= 0;
		 number = prism_segment_before(topic->topic_id, number - 1))
	{
		EndLook		look = {topic, number, -1};

		CHECK_FOR_INTERRUPTS();
		/* what the catalogue says may be anything */
		if (number >= PG_INT64_MAX / topic->segment_messages - 1)
			continue;
		*damaged = !prism_look_past_damage(look_at_end, &look);
		if (*damaged)
			return (number + 1) * topic->segment_messages;
		if (look.end >= 0)
			return look.end;
	}
	return 0;
}

static void
tell_mark(const PrismTopic *topic, int64 mark, int64 end, int64 instead)
{
	ereport(WARNING,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("the mark of topic \"%s\" was behind its messages", topic->name),
			errdetail("Sequence prism_log.topic_%d_mark stands for position " INT64_FORMAT ", messages are kept up to " INT64_FORMAT "; the next one gets position " INT64_FORMAT ".",
					  topic->topic_id, mark, end - 1, instead),
			errhint("Nobody but prism may set its sequences: look who is in pg_write_all_data."));
}

static void
tell_damaged_end(const PrismTopic *topic, int64 end, int64 instead)
{
	ereport(WARNING,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("the last messages of topic \"%s\" cannot be read", topic->name),
			errdetail("There may be some up to position " INT64_FORMAT "; the next one gets position " INT64_FORMAT ".",
					  end - 1, instead),
			errhint("prism.seek() and prism.skip() lead past them."));
}

void
prism_counter_init(PrismTopic *topic)
{
	PrismCounter *counter = topic->counter;
	int64		end = 0;
	bool		damaged = false;
	int64		value;
	int64		mark;
	int64		start;
	bool		looked;
	bool		ready;
	bool		new_timeline;

	/* a mark at zero is looked at again: a restore makes the sequence first and sets it last */
	SpinLockAcquire(&counter->mutex);
	looked = counter->ready;
	ready = counter->ready && counter->limit > 0;
	SpinLockRelease(&counter->mutex);
	if (ready)
		return;

	/* a mark read here would go out of date with the promotion */
	if (RecoveryInProgress())
		ereport(ERROR,
				errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				errmsg("cannot read topic \"%s\" during recovery", topic->name),
				errdetail("Which offsets are settled is known on the primary only."),
				errhint("Connect to the primary."));

	/*
	 * Somebody may have set the sequence back, which PostgreSQL lets nobody
	 * guard: going on there would hide new messages from all who have read the
	 * old ones.  The mark was ahead of the messages, and positions may have been
	 * too.  The messages first: their mark was written before them.
	 */
	if (!looked)
		end = end_of_messages(topic, &damaged);

	/* whoever comes first sets it; the mark cannot have moved before that */
	value = read_mark(topic->mark_relid);
	mark = value & ~((int64) PRISM_MARK_STEP - 1);
	new_timeline = (value & (PRISM_MARK_STEP - 1)) != timeline_bits();
	if (new_timeline)
		mark += PRISM_TIMELINE_STEP;
	start = end <= mark ? mark : (int64) TYPEALIGN64(PRISM_MARK_STEP, end) + MARK_AHEAD_MAX;

	SpinLockAcquire(&counter->mutex);
	ready = counter->ready && (counter->limit > 0 || mark == 0 || counter->extender >= 0);
	if (!ready)
	{
		counter->next = counter->limit = counter->start = start;
		counter->jumps_known = start == 0;
		counter->ready = true;
	}
	SpinLockRelease(&counter->mutex);
	if (!ready && start > mark && damaged)
		tell_damaged_end(topic, end, start);
	else if (!ready && start > mark)
		tell_mark(topic, mark, end, start);
	if (!ready && new_timeline)
		ereport(LOG,
				errmsg("topic \"%s\" goes on at a new timeline", topic->name),
				errdetail("Offsets from " INT64_FORMAT " to " INT64_FORMAT " are skipped, as some may have been lost.",
						  mark - PRISM_TIMELINE_STEP, mark));
}

/* Whoever took offsets from zero on would take those of messages that are there: their mark comes last. */
static void
refuse_while_restoring(PrismTopic *topic)
{
	PrismCounter *counter = topic->counter;
	bool		fresh;

	SpinLockAcquire(&counter->mutex);
	fresh = counter->limit == 0;
	SpinLockRelease(&counter->mutex);
	if (fresh && prism_segments_restoring(topic->topic_id))
		ereport(ERROR,
				prism_not_ready(),
				errmsg("topic \"%s\" is not restored yet", topic->name),
				errhint("Try again when the restore that is under way has come to its end."));
}

int64
prism_counter_reserve(PrismTopic *topic, int64 count)
{
	PrismCounter *counter = topic->counter;
	int64		next;
	int64		mark;
	bool		enough;

	SpinLockAcquire(&counter->mutex);
	enough = counter->ready && counter->limit - counter->next >= count;
	next = counter->next;
	SpinLockRelease(&counter->mutex);
	if (enough)
		return next;

	prism_counter_init(topic);
	refuse_while_restoring(topic);
	if (!prism_counter_claim_extender(counter, count, &next))
		return next;

	/*
	 * Others go on taking offsets below the limit meanwhile; what they leave
	 * may not be enough for 'count': then the caller comes here again.
	 * An error leaves the role to prism_counter_end() of the abort.
	 */
	mark = TYPEALIGN64(PRISM_MARK_STEP, next + count + PRISM_MARK_STEP / 2);
	write_mark(topic->mark_relid, mark);
	SpinLockAcquire(&counter->mutex);
	counter->limit = Max(counter->limit, mark);
	SpinLockRelease(&counter->mutex);
	prism_counter_release_extender();
	return next;
}
