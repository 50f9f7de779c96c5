/*-------------------------------------------------------------------------
 *
 * group_settlements.c
 *	  What a transaction ends: messages acknowledged, given up, rejected.
 *
 * They are remembered in lists, one a group.  At pre-commit their entries turn
 * from leased to acking, which never expires, and records are appended to the
 * progress log; the COMMIT callback finishes them, or gives them back.  So an
 * acknowledgement that waits in COMMIT cannot lose its lease, and what a callback
 * has to do was resolved before: it takes locks and stores, nothing else.
 *
 * src/store/group/group_settlements.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/group/group_settlements.h"

#include "access/xact.h"
#include "utils/memutils.h"

/* A group's records until it writes a checkpoint, from which the next restart can start. */
#define RECORDS_A_CHECKPOINT 1000

/* Those of one group, by ascending offset. */
struct PrismSettlements
{
	struct PrismSettlements *next;
	PrismGroup *group;
	uint32		generation;
	uint32		epoch;			/* of the window when acking began */
	bool		checkpoint;		/* it is our turn to write one */
	bool		nacks;			/* some are given up */
	int32		group_id;
	char	   *name;
	PrismCounter *counter;
	PrismSettlement *items;
	int			count;
	int			capacity;
};

/* They live in TopTransactionContext. */
static PrismSettlements *lists = NULL;

/* Pre-commit is over: an acknowledgement would come too late. */
static bool sealed = false;

/* ---------- the list ---------- */

PrismSettlements *
prism_settlements_of(PrismGroupRef *ref)
{
	PrismSettlements *list;

	for (list = lists; list != NULL; list = list->next)
	{
		if (list->group == ref->group && list->generation == ref->generation)
			return list;
	}
	list = MemoryContextAllocZero(TopTransactionContext, sizeof(PrismSettlements));
	list->group = ref->group;
	list->generation = ref->generation;
	list->group_id = ref->group_id;
	list->name = MemoryContextStrdup(TopTransactionContext, ref->name);
	list->counter = ref->topic->counter;
	list->next = lists;
	lists = list;
	return list;
}

void
prism_settlements_reserve(PrismSettlements *list, int more, bool nacks)
{
	Size		needed = (Size) list->count + more;

	list->nacks = list->nacks || nacks;
	if (needed <= (Size) list->capacity)
		return;
	needed = Max(needed, 2 * (Size) list->capacity);
	list->items = list->items == NULL
		? MemoryContextAllocHuge(TopTransactionContext, needed * sizeof(PrismSettlement))
		: repalloc_huge(list->items, needed * sizeof(PrismSettlement));
	list->capacity = needed;
}

/* Where an offset is or belongs in the list. */
static int
place_in_list(const PrismSettlements *list, int64 offset)
{
	int			low = 0;
	int			high = list->count;

	if (high == 0 || list->items[high - 1].offset < offset)
		return high;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (list->items[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

PrismSettlement *
prism_settlements_enter(PrismSettlements *list, int64 offset, bool *found)
{
	int			place = place_in_list(list, offset);
	PrismSettlement *settlement = &list->items[place];

	*found = place < list->count && settlement->offset == offset;
	if (!*found)
	{
		Assert(list->count < list->capacity);
		memmove(settlement + 1, settlement, (list->count - place) * sizeof(PrismSettlement));
		list->count++;
		settlement->offset = offset;
	}
	return settlement;
}

int
prism_group_finish_dead(PrismGroupRef *ref, int64 lease_id, PrismDead *dead, int count)
{
	PrismSettlements *list = prism_settlements_of(ref);
	int			kept = 0;

	prism_settlements_reserve(list, count, false);
	for (int i = 0; i < count; i++)
	{
		bool		found;
		PrismSettlement *settlement = prism_settlements_enter(list, dead[i].offset, &found);

		if (found)
			continue;
		dead[kept++] = dead[i];
		*settlement = (PrismSettlement)
		{
			.offset = dead[i].offset,
			.lease_id = lease_id,
			.nest_level = GetCurrentTransactionNestLevel(),
			.finishes = true,
			.refusal = "cannot reject messages whose lease is not held"
		};
	}
	return kept;
}

/* ---------- at pre-commit ---------- */

static void
add_range(PrismOffsetRange *ranges, int *count, int64 from, int64 to)
{
	if (*count > 0 && ranges[*count - 1].to >= from)
		ranges[*count - 1].to = to;
	else
		ranges[(*count)++] = (PrismOffsetRange) {from, to};
}

/* What pre-commit writes of one list. */
typedef struct Settled
{
	PrismOffsetRange *ranges;			/* finished */
	int			range_count;
	PrismAttempt *attempts;		/* given up */
	int			attempt_count;
	PrismInstant now;
} Settled;

static void
begin_settling(PrismSettlement *settlement, PrismWindow *window, PrismEntry *entry, Settled *settled)
{
	if (settlement->finishes)
		add_range(settled->ranges, &settled->range_count, prism_window_range_start(window, entry), settlement->offset + 1);
	else
	{
		PrismAttempt attempt = prism_window_attempt(entry);

		attempt.due = settlement->due;
		if (attempt.first_failed == 0)
			attempt.first_failed = prism_window_failure_time(settled->now);
		settled->attempts[settled->attempt_count++] = attempt;
	}
	prism_window_begin_ack(window, entry);
	settlement->acking = true;
}

/*
 * Turn the list's entries to acking.  Whoever lost a lease since the check, or
 * sees another transaction end the same one, fails here, before anything is
 * written.
 */
static void
begin_list(PrismSettlements *list, Settled *settled)
{
	PrismWindow *window = list->group->window;
	PrismSettlement *lost = NULL;

	if (!prism_group_lock_if(list->group, list->generation))
		prism_group_dropped(list->name);
	for (int i = 0; i < list->count && lost == NULL; i++)
	{
		PrismSettlement *settlement = &list->items[i];
		PrismHolder holder = {.lease_id = settlement->lease_id};

		if (prism_window_lease(window, settlement->offset, holder) == PRISM_LEASE_HELD)
			begin_settling(settlement, window, prism_window_find(window, settlement->offset), settled);
		else
			lost = settlement;
	}
	list->epoch = list->group->epoch;
	list->checkpoint = ++list->group->records >= RECORDS_A_CHECKPOINT;
	if (list->checkpoint)
		list->group->records = 0;
	prism_group_unlock(list->group);
	if (lost != NULL)
		prism_group_refuse(lost->refusal, list->name, &lost->offset, 1);
}

static void
append_list(PrismSettlements *list)
{
	Settled		settled = {.now = prism_instant()};

	settled.ranges = MemoryContextAllocHuge(TopTransactionContext, list->count * sizeof(PrismOffsetRange));
	if (list->nacks)
		settled.attempts = MemoryContextAllocHuge(TopTransactionContext, list->count * sizeof(PrismAttempt));
	begin_list(list, &settled);
	if (settled.range_count > 0)
		prism_group_append_finished(list->group_id, list->epoch, settled.ranges, settled.range_count);
	prism_attempts_shift(settled.attempts, settled.attempt_count, prism_clock_difference());
	if (settled.attempt_count > 0)
		prism_group_append_attempts(list->group_id, list->epoch, settled.attempts, settled.attempt_count);
	pfree(settled.ranges);
	if (settled.attempts != NULL)
		pfree(settled.attempts);
}

void
prism_settlements_append(void)
{
	for (PrismSettlements *list = lists; list != NULL; list = list->next)
	{
		if (list->count == 0)
			continue;
		append_list(list);
		if (list->checkpoint)
			prism_group_checkpoint(list->group_id);
	}
	sealed = true;
}

bool
prism_settlements_are_sealed(void)
{
	return sealed;
}

bool
prism_settlements_exist(void)
{
	return lists != NULL;
}

/* ---------- the end: cannot throw ---------- */

static void
end_list(PrismSettlements *list, bool committed)
{
	PrismWindow *window = list->group->window;
	PrismInstant now = list->nacks ? prism_instant() : 0;
	int32		available;
	bool		wake;

	if (list->count == 0 || !prism_group_lock_if(list->group, list->generation))
		return;
	available = window->counts[PRISM_ENTRY_AVAILABLE];
	/* after a seek an entry of the same offset may be somebody else's by now */
	for (int i = 0; i < list->count; i++)
	{
		PrismEntry *entry;

		if (!list->items[i].acking || list->epoch != list->group->epoch)
			continue;
		entry = prism_window_find(window, list->items[i].offset);
		if (entry == NULL || entry->state != PRISM_ENTRY_ACKING)
			continue;
		if (!committed)
			prism_window_undo_ack(window, entry);
		else if (list->items[i].finishes)
			prism_window_finish(window, entry);
		else
			prism_window_nack(window, entry, list->items[i].due, now);
	}
	/* sleepers also have to know when what was given up is due */
	wake = list->group->starved || list->nacks || window->counts[PRISM_ENTRY_AVAILABLE] > available;
	list->group->starved = false;
	prism_group_unlock(list->group);
	if (wake)
		prism_counter_wake(list->counter);
}

void
prism_settlements_end(bool committed)
{
	for (PrismSettlements *list = lists; list != NULL; list = list->next)
		end_list(list, committed);
	lists = NULL;
	sealed = false;
}

void
prism_settlements_subend(int nest_level, bool committed)
{
	for (PrismSettlements *list = lists; list != NULL; list = list->next)
	{
		int			kept = 0;

		for (int i = 0; i < list->count; i++)
		{
			PrismSettlement *settlement = &list->items[i];

			if (committed)
				settlement->nest_level = Min(settlement->nest_level, nest_level - 1);
			if (settlement->nest_level < nest_level)
				list->items[kept++] = *settlement;
		}
		list->count = kept;
	}
}
