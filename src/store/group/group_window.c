/*-------------------------------------------------------------------------
 *
 * group_window.c
 *	  What a consumer group has read and not finished: a ring of entries.
 *
 * Positions in the ring are counted from the head ("index"), so that an
 * advancing head is the only thing that shifts them.  Those before the head are
 * negative: entries that it has passed and that nothing has overwritten yet.
 *
 * src/store/group/group_window.c
 *
 *-------------------------------------------------------------------------
 */
#include "store/group/group_order.h"

static inline PrismEntry *
entry_at(PrismWindow *window, int32 index)
{
	int32		slot = window->head + index;

	if (slot >= window->size)
		slot -= window->size;
	else if (slot < 0)
		slot += window->size;
	return &window->entries[slot];
}

static inline int32
index_of(PrismWindow *window, const PrismEntry *entry)
{
	int32		index = (int32) (entry - window->entries) - window->head;

	return index >= 0 ? index : index + window->size;
}

/* The only place that changes a state. */
static inline void
set_state(PrismWindow *window, PrismEntry *entry, PrismEntryState state)
{
	window->counts[entry->state]--;
	window->counts[state]++;
	entry->state = state;
}

static inline void
make_available(PrismWindow *window, PrismEntry *entry)
{
	set_state(window, entry, PRISM_ENTRY_AVAILABLE);
	window->scan_from = Min(window->scan_from, index_of(window, entry));
}

/* Nobody has the entry any more. */
static void
release(PrismWindow *window, PrismEntry *entry)
{
	if (window->max_attempts > 0 && entry->attempt >= window->max_attempts)
		set_state(window, entry, PRISM_ENTRY_EXHAUSTED);
	else if (entry->flags & PRISM_ENTRY_FIRST)
		make_available(window, entry);
	else
		set_state(window, entry, PRISM_ENTRY_WAITING);
}

/* Its lease has ended without an acknowledgement. */
static void
fail(PrismEntry *entry, PrismInstant now)
{
	entry->deadline = now;
	if (entry->first_failed == 0)
		entry->first_failed = prism_window_failure_time(now);
}

/* Nobody has it, but its last lease may still be good for a late acknowledgement. */
static inline bool
is_free(const PrismEntry *entry)
{
	return entry->state == PRISM_ENTRY_AVAILABLE || entry->state == PRISM_ENTRY_WAITING ||
		entry->state == PRISM_ENTRY_EXHAUSTED;
}

Size
prism_window_bytes(int32 size)
{
	return offsetof(PrismWindow, entries) + (Size) size * sizeof(PrismEntry) + prism_order_bytes(size);
}

void
prism_window_init(PrismWindow *window, int32 size)
{
	memset(window, 0, offsetof(PrismWindow, entries));
	window->size = size;
	prism_window_reset(window, 0);
}

void
prism_window_reset(PrismWindow *window, int64 position)
{
	window->floor = position;
	window->read_end = position;
	window->head = 0;
	window->used = 0;
	window->passed = 0;
	window->scan_from = 0;
	window->doubtful = 0;
	memset(window->counts, 0, sizeof(window->counts));
	window->next_deadline = PRISM_NEVER;
	prism_order_clear(window);
}

/* After entries have moved, or the order is another one. */
static void
link_all(PrismWindow *window)
{
	prism_order_clear(window);
	for (int32 index = 0; index < window->used; index++)
	{
		PrismEntry *entry = entry_at(window, index);

		if (entry->state != PRISM_ENTRY_FINISHED)
			prism_order_link(window, entry);
	}
}

void
prism_window_configure(PrismWindow *window, PrismOrdering ordering, int32 max_attempts)
{
	if (window->ordering == ordering && window->max_attempts == max_attempts)
		return;
	window->ordering = ordering;
	window->max_attempts = max_attempts;
	link_all(window);
	for (int32 index = 0; index < window->used; index++)
	{
		PrismEntry *entry = entry_at(window, index);

		if (is_free(entry))
			release(window, entry);
	}
}

int64
prism_window_base(const PrismWindow *window)
{
	/* the head is never a tombstone: see trim() */
	return window->used > 0 ? window->entries[window->head].offset : window->read_end;
}

PrismEntry *
prism_window_first(PrismWindow *window)
{
	return window->used > 0 ? entry_at(window, 0) : NULL;
}

static PrismEntry *
unfinished_from(PrismWindow *window, int32 index)
{
	for (; index < window->used; index++)
	{
		PrismEntry *entry = entry_at(window, index);

		if (entry->state != PRISM_ENTRY_FINISHED)
			return entry;
	}
	return NULL;
}

PrismEntry *
prism_window_after(PrismWindow *window, PrismEntry *entry)
{
	return unfinished_from(window, index_of(window, entry) + 1);
}

/* The first index in [low, high) whose entry has an offset not below 'offset', or high. */
static int32
search_window(PrismWindow *window, int32 low, int32 high, int64 offset)
{
	/* offsets ascend, so it stands no farther than its distance from the first: without gaps, just there */
	if (low < high)
	{
		int64		distance = offset - entry_at(window, low)->offset;

		if (distance <= 0)
			return low;
		if (distance < high - low)
		{
			if (entry_at(window, low + (int32) distance)->offset == offset)
				return low + (int32) distance;
			high = low + (int32) distance;
		}
	}
	while (low < high)
	{
		int32		middle = low + (high - low) / 2;

		if (entry_at(window, middle)->offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The entry of an offset, finished or not, between two indexes. */
static PrismEntry *
find_between(PrismWindow *window, int32 low, int32 high, int64 offset)
{
	int32		index = search_window(window, low, high, offset);

	if (index == high || entry_at(window, index)->offset != offset)
		return NULL;
	return entry_at(window, index);
}

PrismEntry *
prism_window_from(PrismWindow *window, int64 offset)
{
	return unfinished_from(window, search_window(window, 0, window->used, offset));
}

PrismEntry *
prism_window_find(PrismWindow *window, int64 offset)
{
	PrismEntry *entry = find_between(window, 0, window->used, offset);

	return entry != NULL && entry->state != PRISM_ENTRY_FINISHED ? entry : NULL;
}

/* Squeeze the tombstones out. */
static void
compact(PrismWindow *window)
{
	int32		kept = 0;
	int32		scan_from = 0;

	for (int32 index = 0; index < window->used; index++)
	{
		PrismEntry *entry = entry_at(window, index);

		if (index == window->scan_from)
			scan_from = kept;
		if (entry->state == PRISM_ENTRY_FINISHED)
			continue;
		if (kept != index)
			*entry_at(window, kept) = *entry;
		kept++;
	}
	window->scan_from = window->scan_from >= window->used ? kept : scan_from;
	window->used = kept;
	window->counts[PRISM_ENTRY_FINISHED] = 0;
	link_all(window);
}

PrismEntry *
prism_window_add(PrismWindow *window, int64 offset, TimestampTz created_at, uint32 key_hash)
{
	PrismEntry *entry;

	Assert(offset >= window->read_end);
	Assert(prism_window_room(window) > 0);

	if (window->used == window->size)
		compact(window);
	entry = entry_at(window, window->used);
	memset(entry, 0, sizeof(*entry));
	entry->offset = offset;
	entry->created_at = created_at;
	entry->key_hash = key_hash;
	prism_order_link(window, entry);
	entry->state = entry->flags & PRISM_ENTRY_FIRST ? PRISM_ENTRY_AVAILABLE : PRISM_ENTRY_WAITING;
	window->counts[entry->state]++;
	if (window->doubtful > 0)
	{
		window->doubtful--;
		entry->flags |= PRISM_ENTRY_DOUBTFUL;
	}
	window->used++;
	window->passed = Min(window->passed, window->size - window->used);
	window->read_end = offset + 1;
	return entry;
}

void
prism_window_read_to(PrismWindow *window, int64 position)
{
	window->read_end = Max(window->read_end, position);
}

void
prism_window_restore(PrismWindow *window, PrismEntry *entry, uint16 attempt, PrismInstant due,
					 uint32 first_failed, PrismInstant now)
{
	entry->attempt = attempt;
	entry->first_failed = first_failed;
	entry->deadline = due;
	if (due > now)
	{
		set_state(window, entry, PRISM_ENTRY_DELAYED);
		window->next_deadline = Min(window->next_deadline, due);
	}
	else
		release(window, entry);
}

void
prism_window_doubt(PrismWindow *window)
{
	for (int32 index = 0; index < window->used; index++)
		entry_at(window, index)->flags |= PRISM_ENTRY_DOUBTFUL;
	window->doubtful = prism_window_room(window);
}

/*
 * A lease that ended keeps its id in the entry until somebody else gets the
 * message: a late acknowledgement that harms nobody is welcome.
 */
void
prism_window_expire(PrismWindow *window, PrismInstant now)
{
	PrismInstant next_deadline = PRISM_NEVER;

	if (now < window->next_deadline)
		return;
	for (int32 index = 0; index < window->used; index++)
	{
		PrismEntry *entry = entry_at(window, index);

		if (entry->state != PRISM_ENTRY_LEASED && entry->state != PRISM_ENTRY_DELAYED)
			continue;
		if (entry->deadline > now)
		{
			next_deadline = Min(next_deadline, entry->deadline);
			continue;
		}
		if (entry->state == PRISM_ENTRY_LEASED)
			fail(entry, now);
		release(window, entry);
	}
	window->next_deadline = next_deadline;
}

static PrismTaken
lease(PrismWindow *window, PrismEntry *entry, PrismHolder holder, PrismInstant deadline)
{
	set_state(window, entry, PRISM_ENTRY_LEASED);
	entry->lease_id = holder.lease_id;
	entry->session = holder.session;
	entry->deadline = deadline;
	entry->look = window->look;
	entry->flags &= ~(PRISM_ENTRY_NACKED | PRISM_ENTRY_UNCOUNTED);
	window->next_deadline = Min(window->next_deadline, deadline);
	return (PrismTaken)
	{
		.offset = entry->offset,
		.attempt = entry->attempt,
		.repeated = entry->attempt > 1 || (entry->flags & PRISM_ENTRY_DOUBTFUL) != 0
	};
}

/* Where to look for work: what waits for the holder's own comes after that. */
static int32
look_from(PrismWindow *window, PrismHolder holder)
{
	int32		held_from;

	if (window->counts[PRISM_ENTRY_WAITING] == 0 || holder.first >= window->read_end)
		return window->counts[PRISM_ENTRY_AVAILABLE] > 0 ? window->scan_from : window->used;
	held_from = search_window(window, 0, window->used, holder.first);
	return Min(held_from, window->scan_from);
}

int
prism_window_take(PrismWindow *window, int max, PrismHolder holder,
				  PrismInstant deadline, PrismTaken *taken)
{
	int			count = 0;
	int32		index = look_from(window, holder);

	window->look++;
	if (holder.first == PG_INT64_MAX)
		holder.since = window->look;
	for (; index < window->used && count < max; index++)
	{
		PrismEntry *entry = entry_at(window, index);

		if (entry->state != PRISM_ENTRY_AVAILABLE &&
			!(entry->state == PRISM_ENTRY_WAITING && prism_order_follows(window, entry, holder)))
			continue;
		if (entry->attempt < PG_UINT16_MAX)
			entry->attempt++;
		taken[count++] = lease(window, entry, holder, deadline);
	}
	window->scan_from = Max(window->scan_from, index);
	return count;
}

int
prism_window_take_exhausted(PrismWindow *window, int max, PrismHolder holder,
							PrismInstant deadline, PrismDead *dead)
{
	int			count = 0;

	window->look++;
	for (int32 index = 0; index < window->used && count < max && window->counts[PRISM_ENTRY_EXHAUSTED] > 0; index++)
	{
		PrismEntry *entry = entry_at(window, index);

		if (entry->state != PRISM_ENTRY_EXHAUSTED)
			continue;
		dead[count++] = (PrismDead)
		{
			.offset = entry->offset,
			.attempts = entry->attempt,
			.first_failure = prism_window_first_failure(entry),
			.last_failure = entry->deadline
		};
		(void) lease(window, entry, holder, deadline);
		entry->flags |= PRISM_ENTRY_UNCOUNTED;
	}
	return count;
}

/* False: the lease does not hold the entry. */
static bool
give_back(PrismWindow *window, PrismEntry *entry, int64 lease_id)
{
	if (entry->lease_id != lease_id)
		return false;
	/* free: it ended before, and now cannot be acknowledged late either */
	if (entry->state != PRISM_ENTRY_LEASED && !is_free(entry))
		return false;
	release(window, entry);
	entry->lease_id = 0;
	entry->session = 0;
	return true;
}

/* Likewise, of what nobody has seen: before it is released, as the last attempt that there may be was not used up. */
static bool
untake(PrismWindow *window, PrismEntry *entry, int64 lease_id)
{
	entry->attempt--;
	if (give_back(window, entry, lease_id))
		return true;
	entry->attempt++;
	return false;
}

static bool
is_unseen(const PrismEntry *entry, const PrismUnseen *unseen)
{
	return unseen != NULL && (int32) (entry->look - unseen->since) >= 0 && entry->offset > unseen->behind &&
		(entry->flags & PRISM_ENTRY_UNCOUNTED) == 0;
}

int
prism_window_give_back(PrismWindow *window, int64 first, int64 last, int64 lease_id, const PrismUnseen *unseen,
					   PrismInstant now)
{
	int			count = 0;

	for (int32 index = search_window(window, 0, window->used, first); index < window->used; index++)
	{
		PrismEntry *entry = entry_at(window, index);

		if (entry->offset > last)
			break;
		if (entry->lease_id != lease_id)
			continue;
		if (is_unseen(entry, unseen))
		{
			count += untake(window, entry, lease_id);
			continue;
		}
		if (entry->state == PRISM_ENTRY_LEASED)
			fail(entry, now);
		count += give_back(window, entry, lease_id);
	}
	return count;
}

bool
prism_window_untake(PrismWindow *window, int64 offset, int64 lease_id)
{
	PrismEntry *entry = prism_window_find(window, offset);

	return entry != NULL && entry->lease_id == lease_id && untake(window, entry, lease_id);
}

void
prism_window_uncount(PrismWindow *window, int64 offset, int64 lease_id)
{
	PrismEntry *entry = prism_window_find(window, offset);

	if (entry == NULL || entry->lease_id != lease_id || entry->state != PRISM_ENTRY_LEASED)
		return;
	entry->attempt--;
	entry->flags |= PRISM_ENTRY_UNCOUNTED;
}

static bool
holds(PrismHolder holder, const PrismEntry *entry)
{
	if (entry->lease_id == 0)
		return false;
	return holder.lease_id != 0 ? entry->lease_id == holder.lease_id : entry->session == holder.session;
}

PrismLease
prism_window_lease(PrismWindow *window, int64 offset, PrismHolder holder)
{
	bool		behind = offset < prism_window_base(window);
	PrismEntry *entry = behind
		? find_between(window, -window->passed, 0, offset)
		: find_between(window, 0, window->used, offset);

	if (entry == NULL || !holds(holder, entry))
		return PRISM_LEASE_LOST;
	if (entry->state == PRISM_ENTRY_FINISHED)
		return PRISM_LEASE_FINISHED;
	if (entry->flags & PRISM_ENTRY_NACKED)
		return PRISM_LEASE_NACKED;
	/* to finish it late would be to finish it before what another has by now */
	if (entry->state == PRISM_ENTRY_WAITING && prism_order_overtaken(window, entry))
		return PRISM_LEASE_LOST;
	return entry->state == PRISM_ENTRY_LEASED || is_free(entry) ? PRISM_LEASE_HELD : PRISM_LEASE_LOST;
}

void
prism_window_extend(PrismWindow *window, PrismEntry *entry, PrismInstant deadline)
{
	Assert(entry->state == PRISM_ENTRY_LEASED || is_free(entry));
	set_state(window, entry, PRISM_ENTRY_LEASED);
	entry->deadline = deadline;
	window->next_deadline = Min(window->next_deadline, deadline);
}

void
prism_window_begin_ack(PrismWindow *window, PrismEntry *entry)
{
	Assert(entry->state == PRISM_ENTRY_LEASED || is_free(entry));
	set_state(window, entry, PRISM_ENTRY_ACKING);
}

void
prism_window_undo_ack(PrismWindow *window, PrismEntry *entry)
{
	Assert(entry->state == PRISM_ENTRY_ACKING);
	set_state(window, entry, PRISM_ENTRY_LEASED);
	window->next_deadline = Min(window->next_deadline, entry->deadline);
}

/* Let the head pass the tombstones in front of it. */
static void
trim(PrismWindow *window)
{
	int32		passed = 0;

	while (passed < window->used && entry_at(window, passed)->state == PRISM_ENTRY_FINISHED)
		window->floor = entry_at(window, passed++)->offset + 1;
	window->counts[PRISM_ENTRY_FINISHED] -= passed;
	window->head = (window->head + passed) % window->size;
	window->used -= passed;
	window->passed = Min(window->passed + passed, window->size - window->used);
	window->scan_from = Max(window->scan_from - passed, 0);
}

void
prism_window_finish(PrismWindow *window, PrismEntry *entry)
{
	PrismEntry *next = prism_order_unlink(window, entry);

	set_state(window, entry, PRISM_ENTRY_FINISHED);
	if (next != NULL && next->state == PRISM_ENTRY_WAITING)
		make_available(window, next);
	if (index_of(window, entry) == 0)
		trim(window);
}

void
prism_window_nack(PrismWindow *window, PrismEntry *entry, PrismInstant due, PrismInstant now)
{
	Assert(entry->state == PRISM_ENTRY_ACKING);
	fail(entry, now);
	entry->flags |= PRISM_ENTRY_NACKED;
	prism_window_restore(window, entry, entry->attempt, due, entry->first_failed, now);
}

int64
prism_window_range_start(PrismWindow *window, PrismEntry *entry)
{
	int32		index = index_of(window, entry);

	return index > 0 ? entry_at(window, index - 1)->offset + 1 : window->floor;
}
