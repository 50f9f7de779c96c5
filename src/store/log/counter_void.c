/*-------------------------------------------------------------------------
 *
 * counter_void.c
 *	  Offsets of commits that came to nothing.
 *
 * A serializable transaction may be refused, and any may be cancelled, when it
 * has taken its offsets already.  They are noted here, so that nobody counts
 * them as messages.  They are jumps like others for who tells a distance, but
 * many, and do not come in order.
 *
 * When there is no room, two neighbours become one span that says how many of
 * its offsets are void.  For a part of it the rows of that part are counted: a
 * span is no longer than PRISM_MARK_STEP and lies in one segment.  A jump
 * ends at such a border, so none lies in a span.
 *
 * The maintainer writes them to prism.jump, only when all jumps are there: what
 * lies between the newest row and a place after it is looked for in the log.
 * Those of the last minute before a crash are lost, and count as messages until
 * they are read past.
 *
 * src/store/log/counter_void.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/query.h"
#include "store/log/counter.h"
#include "store/log/jump_catalog.h"
#include "store/log/segment.h"

#include "catalog/pg_type.h"

/* ---------- in shared memory: the caller holds the spinlock ---------- */

static void
remove_void(PrismCounter *counter, int place)
{
	counter->void_count--;
	memmove(&counter->voids[place], &counter->voids[place + 1],
			(counter->void_count - place) * sizeof(PrismVoid));
}

/* The two may become one: nothing lies between them but messages, and what is in prism.jump stays as it is. */
static bool
may_join(const PrismCounter *counter, const PrismVoid *left, const PrismVoid *right)
{
	int64		first = left->span.from;
	int64		last = right->span.to - 1;

	return !left->saved && !right->saved &&
		first / PRISM_MARK_STEP == last / PRISM_MARK_STEP &&
		first / counter->segment_messages == last / counter->segment_messages;
}

/* Join the two neighbours that make the shortest span; false: there are none. */
static bool
join_nearest(PrismCounter *counter)
{
	int			best = -1;
	int64		best_length = PG_INT64_MAX;

	for (int i = 0; i + 1 < counter->void_count; i++)
	{
		int64		length = counter->voids[i + 1].span.to - counter->voids[i].span.from;

		if (length < best_length && may_join(counter, &counter->voids[i], &counter->voids[i + 1]))
		{
			best = i;
			best_length = length;
		}
	}
	if (best < 0)
		return false;
	counter->voids[best].span.to = counter->voids[best + 1].span.to;
	counter->voids[best].span.skipped += counter->voids[best + 1].span.skipped;
	remove_void(counter, best + 1);
	return true;
}

/* For one at 'from': the lowest goes when it is in prism.jump; or, when nothing else is left, is forgotten. */
static void
make_room_for_void(PrismCounter *counter, int64 from)
{
	bool		may_go = counter->voids[0].saved && counter->voids[0].span.to <= from;

	if (may_go || !join_nearest(counter))
	{
		counter->voids_from = counter->voids[0].span.to;
		remove_void(counter, 0);
	}
}

void
prism_counter_note_void(PrismCounter *counter, int64 from, int64 to)
{
	int			place;

	if (counter->void_count == PRISM_VOIDS_KEPT)
		make_room_for_void(counter, from);
	if (from < counter->voids_from)
		return;					/* those around it are known to the catalogue alone */
	for (place = counter->void_count; place > 0 && counter->voids[place - 1].span.from > from; place--)
		;
	if (place > 0 && counter->voids[place - 1].span.to > from)
	{
		/* it was in flight while those on both sides were joined */
		counter->voids[place - 1].span.skipped += to - from;
		counter->voids[place - 1].saved = false;
		return;
	}
	memmove(&counter->voids[place + 1], &counter->voids[place],
			(counter->void_count - place) * sizeof(PrismVoid));
	counter->voids[place] = (PrismVoid) {.span = {from, to, to - from}};
	counter->void_count++;
}

int
prism_counter_copy_voids(const PrismCounter *counter, int64 from, PrismJump *spans)
{
	int			count = 0;

	for (int i = 0; i < counter->void_count; i++)
	{
		if (counter->voids[i].span.to > from)
			spans[count++] = counter->voids[i].span;
	}
	return count;
}

/* ---------- in the catalogue ---------- */

static bool
is_same(const PrismJump *a, const PrismJump *b)
{
	return a->from == b->from && a->to == b->to && a->skipped == b->skipped;
}

/* Parts of it that were written before they were joined. */
static void
delete_parts(int32 topic_id, const PrismJump *span)
{
	Oid			types[] = {INT4OID, INT8OID, INT8OID};
	Datum		values[] = {Int32GetDatum(topic_id), Int64GetDatum(span->from), Int64GetDatum(span->to)};

	prism_query("DELETE FROM prism.jump WHERE topic_id OPERATOR(pg_catalog.=) $1"
				" AND from_offset OPERATOR(pg_catalog.>=) $2 AND from_offset OPERATOR(pg_catalog.<) $3",
				lengthof(types), types, values, NULL);
}

/* It was seen there; it may have become another one meanwhile. */
static void
note_saved(PrismCounter *counter, const PrismJump *span)
{
	SpinLockAcquire(&counter->mutex);
	for (int i = 0; i < counter->void_count; i++)
	{
		if (is_same(&counter->voids[i].span, span))
			counter->voids[i].saved = true;
	}
	SpinLockRelease(&counter->mutex);
}

/*
 * As for jumps: one counts as saved when it is seen in prism.jump, so not before
 * the next call.  A topic that fills its segments and is not restarted has no
 * jumps, so what retention has passed is deleted here too.
 */
void
prism_counter_save_voids(PrismTopic *topic)
{
	PrismCounter *counter = topic->counter;
	PrismJump	spans[PRISM_VOIDS_KEPT];
	int			count = 0;
	int64		kept_from;
	bool		wrote = false;

	SpinLockAcquire(&counter->mutex);
	for (int i = 0; i < counter->void_count; i++)
	{
		if (!counter->voids[i].saved)
			spans[count++] = counter->voids[i].span;
	}
	SpinLockRelease(&counter->mutex);
	if (count == 0)
		return;

	kept_from = prism_segment_kept_from(topic);
	for (int i = 0; i < count; i++)
	{
		List	   *found = prism_jump_read(topic->topic_id, spans[i].from, spans[i].to, 1);

		/* nobody asks for one that is past */
		if (spans[i].to <= kept_from || (found != NIL && is_same(linitial(found), &spans[i])))
		{
			note_saved(counter, &spans[i]);
			continue;
		}
		delete_parts(topic->topic_id, &spans[i]);
		prism_jump_insert(topic->topic_id, &spans[i]);
		wrote = true;
	}
	if (wrote)
		prism_jump_delete_past(topic->topic_id, kept_from);
}
