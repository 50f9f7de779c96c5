/*-------------------------------------------------------------------------
 *
 * group_window.c
 *	  What a consumer group has read and not finished: a ring of entries.
 *
 * Positions in the ring are counted from the head ("index"), so that an
 * advancing head is the only thing that shifts them.  Those before the head are
 * negative: entries that it has passed and that nothing has overwritten yet.
 *
 * src/store/group_window.c
 *
 *-------------------------------------------------------------------------
 */
#include "store/group_window.h"

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
make_available(PrismWindow *window, PrismEntry *entry, int32 index)
{
	set_state(window, entry, PRISM_ENTRY_AVAILABLE);
	window->scan_from = Min(window->scan_from, index);
}

Size
prism_window_bytes(int32 size)
{
	return offsetof(PrismWindow, entries) + (Size) size * sizeof(PrismEntry);
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
	memset(window->counts, 0, sizeof(window->counts));
	window->next_deadline = DT_NOEND;
}

int64
prism_window_base(const PrismWindow *window)
{
	/* the head is never a tombstone: see trim() */
	return window->used > 0 ? window->entries[window->head].offset : window->read_end;
}

int32
prism_window_unfinished(const PrismWindow *window)
{
	return window->used - window->counts[PRISM_ENTRY_FINISHED];
}

int32
prism_window_room(const PrismWindow *window)
{
	return window->size - prism_window_unfinished(window);
}

PrismEntry *
prism_window_first(PrismWindow *window)
{
	return window->used > 0 ? entry_at(window, 0) : NULL;
}

PrismEntry *
prism_window_after(PrismWindow *window, PrismEntry *entry)
{
	for (int32 index = index_of(window, entry) + 1; index < window->used; index++)
	{
		PrismEntry *next = entry_at(window, index);

		if (next->state != PRISM_ENTRY_FINISHED)
			return next;
	}
	return NULL;
}

/* The first index in [low, high) whose entry has an offset not below 'offset', or high. */
static int32
search(PrismWindow *window, int32 low, int32 high, int64 offset)
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
	int32		index = search(window, low, high, offset);

	if (index == high || entry_at(window, index)->offset != offset)
		return NULL;
	return entry_at(window, index);
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
	entry->state = PRISM_ENTRY_AVAILABLE;
	window->counts[PRISM_ENTRY_AVAILABLE]++;
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

/*
 * A lease that ended keeps its id in the entry until somebody else gets the
 * message: a late acknowledgement that harms nobody is welcome.
 */
void
prism_window_expire(PrismWindow *window, TimestampTz now)
{
	TimestampTz next_deadline = DT_NOEND;

	if (now < window->next_deadline)
		return;
	for (int32 index = 0; index < window->used; index++)
	{
		PrismEntry *entry = entry_at(window, index);

		if (entry->state != PRISM_ENTRY_LEASED && entry->state != PRISM_ENTRY_DELAYED)
			continue;
		if (entry->deadline <= now)
			make_available(window, entry, index);
		else
			next_deadline = Min(next_deadline, entry->deadline);
	}
	window->next_deadline = next_deadline;
}

int
prism_window_take(PrismWindow *window, int max, PrismHolder holder,
				  TimestampTz deadline, PrismTaken *taken)
{
	int			count = 0;
	int32		index = window->scan_from;

	for (; index < window->used && count < max; index++)
	{
		PrismEntry *entry = entry_at(window, index);

		if (entry->state != PRISM_ENTRY_AVAILABLE)
			continue;
		set_state(window, entry, PRISM_ENTRY_LEASED);
		entry->lease_id = holder.lease_id;
		entry->session = holder.session;
		entry->deadline = deadline;
		if (entry->attempt < PG_UINT16_MAX)
			entry->attempt++;
		taken[count].offset = entry->offset;
		taken[count].attempt = entry->attempt;
		count++;
	}
	window->scan_from = index;
	if (count > 0)
		window->next_deadline = Min(window->next_deadline, deadline);
	return count;
}

/* False: the lease does not hold the entry. */
static bool
give_back(PrismWindow *window, PrismEntry *entry, int32 index, int64 lease_id)
{
	if (entry->lease_id != lease_id)
		return false;
	/* available: it ended before, and now cannot be acknowledged late either */
	if (entry->state != PRISM_ENTRY_LEASED && entry->state != PRISM_ENTRY_AVAILABLE)
		return false;
	make_available(window, entry, index);
	entry->lease_id = 0;
	entry->session = 0;
	return true;
}

int
prism_window_give_back(PrismWindow *window, int64 first, int64 last, int64 lease_id)
{
	int			count = 0;

	for (int32 index = search(window, 0, window->used, first); index < window->used; index++)
	{
		PrismEntry *entry = entry_at(window, index);

		if (entry->offset > last)
			break;
		if (give_back(window, entry, index, lease_id))
			count++;
	}
	return count;
}

bool
prism_window_untake(PrismWindow *window, int64 offset, int64 lease_id)
{
	PrismEntry *entry = prism_window_find(window, offset);

	if (entry == NULL || !give_back(window, entry, index_of(window, entry), lease_id))
		return false;
	entry->attempt--;
	return true;
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
	switch ((PrismEntryState) entry->state)
	{
		case PRISM_ENTRY_FINISHED:
			return PRISM_LEASE_FINISHED;
		case PRISM_ENTRY_LEASED:
		case PRISM_ENTRY_AVAILABLE:
			return PRISM_LEASE_HELD;
		default:
			return PRISM_LEASE_LOST;
	}
}

void
prism_window_begin_ack(PrismWindow *window, PrismEntry *entry)
{
	Assert(entry->state == PRISM_ENTRY_LEASED || entry->state == PRISM_ENTRY_AVAILABLE);
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
	set_state(window, entry, PRISM_ENTRY_FINISHED);
	if (index_of(window, entry) == 0)
		trim(window);
}

int64
prism_window_range_start(PrismWindow *window, PrismEntry *entry)
{
	int32		index = index_of(window, entry);

	return index > 0 ? entry_at(window, index - 1)->offset + 1 : window->floor;
}
