/*-------------------------------------------------------------------------
 *
 * counter_jump.c
 *	  Offsets that were skipped on purpose, and how many messages lie between two.
 *
 * A jump is made by a restart (the counter goes on at the mark), by a new
 * timeline, and when a segment is left before it is full.  The last ones are in
 * shared memory, all of them in prism.jump, where the maintainer writes them;
 * a distance is exact however old its begin is.
 *
 * Where commits that came to nothing had taken offsets is kept likewise
 * (counter_void.c).
 *
 * What has not been written yet is lost by a crash, and found again in the
 * rows: a jump ends at a multiple of PRISM_MARK_STEP or of a segment, and the
 * row before that tells where it began.  So a look at every such place from the
 * last jump known on, a descent of an index each, finds them all.
 *
 * src/store/log/counter_jump.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/log/counter.h"
#include "store/log/jump_catalog.h"
#include "store/log/segment.h"
#include "store/log/segment_repair.h"

#include "miscadmin.h"

/* ---------- in shared memory ---------- */

static PrismJump *
newest_jump(PrismCounter *counter)
{
	return &counter->jumps[(counter->jump_count + PRISM_JUMPS_KEPT - 1) % PRISM_JUMPS_KEPT];
}

static bool
is_whole(const PrismJump *jump)
{
	return jump->skipped == jump->to - jump->from;
}

void
prism_counter_note_jump(PrismCounter *counter, const PrismJump *jump)
{
	PrismJump  *last = newest_jump(counter);
	PrismJump  *next = &counter->jumps[counter->jump_count % PRISM_JUMPS_KEPT];

	if (jump->from >= jump->to)
		return;
	if (counter->jump_count > 0 && last->to == jump->from && is_whole(last) && is_whole(jump))
	{
		/* nothing was published in between */
		last->to = jump->to;
		last->skipped += jump->skipped;
		counter->jumps_saved = Min(counter->jumps_saved, counter->jump_count - 1);
		return;
	}
	if (counter->jump_count >= PRISM_JUMPS_KEPT)
		counter->jumps_from = next->to;
	*next = *jump;
	counter->jump_count++;
}

/* Jumps in shared memory, oldest first; returns how many. The caller holds the spinlock. */
static int
copy_recent(const PrismCounter *counter, PrismJump *jumps)
{
	int			count = Min(counter->jump_count, PRISM_JUMPS_KEPT);

	for (int i = 0; i < count; i++)
		jumps[i] = counter->jumps[(counter->jump_count - count + i) % PRISM_JUMPS_KEPT];
	return count;
}

/* Offsets of [from, to) that hold no message for this reason.  False: where in the span they lie has to be looked for. */
static bool
overlap(const PrismJump *jump, int64 from, int64 to, int64 *skipped)
{
	int64		common = Max(Min(jump->to, to) - Max(jump->from, from), 0);
	bool		told = common == 0 || common == jump->to - jump->from || is_whole(jump);

	*skipped = common == 0 || is_whole(jump) ? common : jump->skipped;
	return told;
}

bool
prism_counter_recent_distance(PrismCounter *counter, int64 from, int64 to, int64 *distance)
{
	int64		skipped;
	bool		known;

	*distance = Max(to - from, 0);
	SpinLockAcquire(&counter->mutex);
	known = counter->jumps_known && from >= counter->jumps_from && from >= counter->voids_from;
	for (int i = 0; i < Min(counter->jump_count, PRISM_JUMPS_KEPT) && *distance > 0; i++)
	{
		known &= overlap(&counter->jumps[i], from, to, &skipped);
		*distance -= skipped;
	}
	for (int i = counter->void_count - 1; i >= 0 && counter->voids[i].span.to > from; i--)
	{
		known &= overlap(&counter->voids[i].span, from, to, &skipped);
		*distance -= skipped;
	}
	SpinLockRelease(&counter->mutex);
	*distance = Max(*distance, 0);
	return known;
}

void
prism_counter_roll(PrismTopic *topic, int64 segment_number)
{
	PrismCounter *counter = topic->counter;
	int64		base = (segment_number + 1) * counter->segment_messages;

	/*
	 * The mark first: positions follow the stable offset to the base at once,
	 * and a restart that went on below them would hide new messages.
	 */
	(void) prism_counter_reserve(topic, base - prism_counter_peek(counter));
	SpinLockAcquire(&counter->mutex);
	/* what is not in prism.jump yet must not be pushed out */
	if (counter->next / counter->segment_messages == segment_number && counter->limit >= base &&
		counter->jump_count - counter->jumps_saved < PRISM_JUMPS_KEPT)
	{
		PrismJump	jump = {counter->next, base, base - counter->next};

		prism_counter_note_jump(counter, &jump);
		counter->next = base;
	}
	SpinLockRelease(&counter->mutex);
}

/* Behind the newest of them. */
static int64
end_of_jumps(const List *jumps)
{
	return jumps != NIL ? ((PrismJump *) linitial(jumps))->to : 0;
}

/* ---------- in the rows ---------- */

/* The first offset after the last row that begins below 'offset', where all is settled; not less than 'low'. */
static int64
end_of_rows(PrismTopic *topic, int64 offset, int64 low)
{
	for (int64 number = prism_segment_before(topic->topic_id, (offset - 1) / topic->segment_messages);
		 number >= 0 && (number + 1) * topic->segment_messages > low;
		 number = prism_segment_before(topic->topic_id, number - 1))
	{
		int64		end = prism_segment_end_below(topic, number, offset);

		CHECK_FOR_INTERRUPTS();
		if (end >= 0)
			return Max(end, low);
	}
	return low;
}

/* Jumps within [low, high), all of whose offsets are settled: list of PrismJump, newest first. */
static List *
find_jumps(PrismTopic *topic, int64 low, int64 high)
{
	List	   *jumps = NIL;

	while (high > low)
	{
		int64		to = Max(high - high % PRISM_MARK_STEP, high - high % topic->segment_messages);
		int64		from;

		if (to <= low)
			break;
		from = end_of_rows(topic, to, low);
		high = Min(from, to - 1);
		if (from < to)
		{
			PrismJump  *jump = palloc(sizeof(PrismJump));

			*jump = (PrismJump) {from, to, to - from};
			jumps = lappend(jumps, jump);
		}
	}
	return jumps;
}

/* Jumps below 'high' that are not in prism.jump: newest first. */
static List *
unsaved_jumps(PrismTopic *topic, int64 high)
{
	int64		saved_to = end_of_jumps(prism_jump_read(topic->topic_id, 0, high, 1));

	return find_jumps(topic, Max(saved_to, prism_segment_kept_from(topic)), Min(high, prism_counter_stable(topic->counter, NULL)));
}

/* ---------- what a former server left ---------- */

/* Put those below counter->start, newest first, before what came since. Up to 'saved_to' they are in prism.jump. */
static void
join_former(PrismCounter *counter, int64 start, const List *former, int64 saved_to)
{
	PrismJump	since[PRISM_JUMPS_KEPT];
	PrismJump	kept[PRISM_JUMPS_KEPT];
	int			kept_count = Min(list_length(former), PRISM_JUMPS_KEPT);
	int64		left_out_to = list_length(former) > PRISM_JUMPS_KEPT ?
		((PrismJump *) list_nth(former, PRISM_JUMPS_KEPT))->to : 0;
	int			since_count;

	for (int i = 0; i < kept_count; i++)
		kept[i] = *(PrismJump *) list_nth(former, kept_count - 1 - i);

	SpinLockAcquire(&counter->mutex);
	if (!counter->jumps_known && counter->start == start)
	{
		since_count = copy_recent(counter, since);
		counter->jump_count = counter->jumps_saved = 0;
		counter->jumps_from = left_out_to;
		for (int i = 0; i < kept_count; i++)
		{
			prism_counter_note_jump(counter, &kept[i]);
			if (kept[i].to <= saved_to)
				counter->jumps_saved = counter->jump_count;
		}
		for (int i = 0; i < since_count; i++)
			prism_counter_note_jump(counter, &since[i]);
		counter->jumps_known = true;
	}
	SpinLockRelease(&counter->mutex);
}

/* Learn of the jumps of former servers. False: a restore is at work, whose rows cannot be found yet. */
static bool
know_jumps(PrismTopic *topic)
{
	PrismCounter *counter = topic->counter;
	List	   *saved;
	int64		start;
	bool		known;

	prism_counter_init(topic);
	SpinLockAcquire(&counter->mutex);
	known = counter->jumps_known;
	start = counter->start;
	SpinLockRelease(&counter->mutex);
	if (known)
		return true;
	if (prism_segments_restoring(topic->topic_id))
		return false;
	saved = prism_jump_read(topic->topic_id, 0, start, PRISM_JUMPS_KEPT + 1);
	join_former(counter, start, list_concat(unsaved_jumps(topic, start), saved), end_of_jumps(saved));
	return true;
}

/* ---------- the distance ---------- */

/* Offsets of [from, to) without a message, of a span: counted in the rows when it is cut by an end and not told. */
static int64
skipped_in(PrismTopic *topic, const PrismJump *jump, int64 from, int64 to)
{
	int64		skipped;

	if (!overlap(jump, from, to, &skipped))
	{
		from = Max(from, jump->from);
		to = Min(to, jump->to);
		/* what somebody has written there may be anything */
		if (from / topic->segment_messages == (to - 1) / topic->segment_messages)
			skipped = to - from - prism_segment_count(topic, from, to);
	}
	return skipped;
}

/* Skipped offsets of [from, to), all of it below those in shared memory. */
static int64
former_skipped(PrismTopic *topic, int64 from, int64 to)
{
	List	   *jumps = list_concat(unsaved_jumps(topic, to), prism_jump_read(topic->topic_id, from, to, 0));
	int64		skipped = 0;
	ListCell   *cell;

	foreach(cell, jumps)
		skipped += skipped_in(topic, lfirst(cell), from, to);
	list_free_deep(jumps);
	return skipped;
}

int64
prism_counter_distance(PrismTopic *topic, int64 from, int64 to)
{
	PrismCounter *counter = topic->counter;
	PrismJump	spans[PRISM_JUMPS_KEPT + PRISM_VOIDS_KEPT];
	int			count;
	int64		recent_from;
	int64		distance;

	/* what retention has dropped is nobody's any more */
	from = Max(from, topic->dropped_end);
	if (prism_counter_recent_distance(counter, from, to, &distance))
		return distance;
	if (!know_jumps(topic))
		return Max(to - from, 0);

	SpinLockAcquire(&counter->mutex);
	recent_from = Max(counter->jumps_from, counter->voids_from);
	count = copy_recent(counter, spans);
	count += prism_counter_copy_voids(counter, Max(from, recent_from), spans + count);
	SpinLockRelease(&counter->mutex);
	if (from < recent_from)
		from = Max(from, prism_segment_kept_from(topic));
	distance = Max(to - from, 0);
	for (int i = 0; i < count; i++)
		distance -= skipped_in(topic, &spans[i], Max(from, recent_from), to);
	if (from < recent_from)
		distance -= former_skipped(topic, from, Min(to, recent_from));
	return Max(distance, 0);
}

/* ---------- keeping them ---------- */

/*
 * A jump counts as saved when it is seen in prism.jump, so not before the next
 * call: the transaction that writes it may fail.
 */
void
prism_counter_save_jumps(PrismTopic *topic)
{
	PrismCounter *counter = topic->counter;
	PrismJump	jumps[PRISM_JUMPS_KEPT];
	int64		saved_to;
	int64		recent_from;
	int			count;
	bool		complete;
	ListCell   *cell;

	if (!know_jumps(topic))
		return;
	SpinLockAcquire(&counter->mutex);
	complete = counter->jumps_saved == counter->jump_count;
	recent_from = counter->jumps_from;
	count = copy_recent(counter, jumps);
	SpinLockRelease(&counter->mutex);
	if (complete)
	{
		prism_counter_save_voids(topic);
		return;
	}

	saved_to = end_of_jumps(prism_jump_read(topic->topic_id, 0, PG_INT64_MAX, 1));
	if (saved_to < jumps[count - 1].to)
	{
		List	   *former = unsaved_jumps(topic, recent_from);

		foreach(cell, former)
			prism_jump_insert(topic->topic_id, lfirst(cell));
		for (int i = 0; i < count; i++)
		{
			if (jumps[i].to > saved_to)
				prism_jump_insert(topic->topic_id, &jumps[i]);
		}
		prism_jump_delete_past(topic->topic_id, prism_segment_kept_from(topic));
		return;
	}
	SpinLockAcquire(&counter->mutex);
	if (newest_jump(counter)->to <= saved_to)
		counter->jumps_saved = counter->jump_count;
	SpinLockRelease(&counter->mutex);
}
