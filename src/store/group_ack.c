/*-------------------------------------------------------------------------
 *
 * group_ack.c
 *	  Acknowledgements, and what the end of a transaction means for a group.
 *
 * An acknowledgement is checked when it is made and remembered; at pre-commit
 * its entries turn from leased to acking, which never expires, and one record
 * is appended to the progress log; the COMMIT callback finishes them.  So an
 * acknowledgement that waits in COMMIT cannot lose its lease, and what a
 * callback has to do was resolved before: it takes locks and stores, nothing
 * else.
 *
 * src/store/group_ack.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "store/group_shared.h"

#include "access/xact.h"
#include "common/pg_prng.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Acknowledgements checked under one hold of the lock. */
#define ACK_CHUNK 256
/* A group's records until it writes a checkpoint, from which the next restart can start. */
#define RECORDS_A_CHECKPOINT 1000
/* Positions that an error names. */
#define POSITIONS_NAMED_MAX 10

/* What a (sub)transaction was handed out. */
typedef struct Taking
{
	struct Taking *next;
	PrismGroup *group;
	uint32		generation;
	PrismCounter *counter;		/* whose sleepers hear of what goes back */
	int64		lease_id;
	int			nest_level;
	uint32		since;			/* the window's look that took the first of them */
	int64		first;			/* offsets under this lease lie in first .. last */
	int64		last;
} Taking;

typedef struct Ack
{
	int64		offset;
	int64		lease_id;
	int			nest_level;
	bool		acking;			/* its entry is in that state for us */
} Ack;

/* Acknowledgements of one group, by ascending offset. */
typedef struct AckList
{
	struct AckList *next;
	PrismGroup *group;
	uint32		generation;
	uint32		epoch;			/* of the window when acking began */
	bool		checkpoint;		/* it is our turn to write one */
	int32		group_id;
	char	   *name;
	PrismCounter *counter;
	Ack		   *acks;
	int			count;
	int			capacity;
} AckList;

/* Both live in TopTransactionContext. */
static Taking *takings = NULL;
static AckList *ack_lists = NULL;

/* Pre-commit is over: an acknowledgement would come too late. */
static bool sealed = false;

/* ---------- leases ---------- */

/* Random, so that a lease id that was mixed up or made up is found out. */
static int64
new_lease_id(void)
{
	static pg_prng_state dice;
	static bool seeded = false;
	int64		id;

	if (!seeded)
	{
		if (!pg_prng_strong_seed(&dice))
			ereport(ERROR,
					errcode(ERRCODE_INTERNAL_ERROR),
					errmsg("could not generate a lease id"));
		seeded = true;
	}
	do
	{
		id = (int64) (pg_prng_uint64(&dice) & PG_INT64_MAX);
	} while (id == 0);
	return id;
}

static Taking *
find_taking(PrismGroupRef *ref, int nest_level)
{
	for (Taking *taking = takings; taking != NULL; taking = taking->next)
	{
		if (taking->group == ref->group && taking->generation == ref->generation &&
			taking->nest_level == nest_level)
			return taking;
	}
	return NULL;
}

/* With what all levels of the transaction have. */
static PrismHolder
holder_of(const Taking *own)
{
	PrismHolder holder = {.lease_id = own->lease_id,.session = prism_group_session(),.first = PG_INT64_MAX};

	for (const Taking *taking = takings; taking != NULL; taking = taking->next)
	{
		if (taking->group != own->group || taking->generation != own->generation || taking->last < 0)
			continue;
		if (holder.first == PG_INT64_MAX || (int32) (taking->since - holder.since) < 0)
			holder.since = taking->since;
		holder.first = Min(holder.first, taking->first);
	}
	return holder;
}

PrismHolder
prism_group_holder(PrismGroupRef *ref)
{
	int			nest_level = GetCurrentTransactionNestLevel();
	Taking	   *taking = find_taking(ref, nest_level);

	if (taking == NULL)
	{
		int64		lease_id = new_lease_id();

		taking = MemoryContextAllocZero(TopTransactionContext, sizeof(Taking));
		taking->group = ref->group;
		taking->generation = ref->generation;
		taking->counter = ref->topic->counter;
		taking->lease_id = lease_id;
		taking->nest_level = nest_level;
		taking->first = PG_INT64_MAX;
		taking->last = -1;
		taking->next = takings;
		takings = taking;
	}
	return holder_of(taking);
}

void
prism_group_note_taken(PrismGroupRef *ref, PrismHolder *holder, const PrismTaken *taken, int count)
{
	Taking	   *taking = find_taking(ref, GetCurrentTransactionNestLevel());

	if (taking->last < 0)
		taking->since = ref->group->window->look;
	taking->first = Min(taking->first, taken[0].offset);
	taking->last = Max(taking->last, taken[count - 1].offset);
	*holder = holder_of(taking);
}

/* In a callback: only locks, stores and latches. */
static void
give_back(Taking *taking)
{
	int			count;

	if (taking->last < taking->first || !prism_group_lock_if(taking->group, taking->generation))
		return;
	count = prism_window_give_back(taking->group->window, taking->first, taking->last, taking->lease_id,
								   GetCurrentTimestamp());
	prism_group_unlock(taking->group);
	if (count > 0)
		prism_counter_wake(taking->counter);
}

/* ---------- acknowledging ---------- */

pg_noreturn static void refuse(const char *group_name, const int64 *positions, int count);

static AckList *
ack_list(PrismGroupRef *ref)
{
	AckList    *list;

	for (list = ack_lists; list != NULL; list = list->next)
	{
		if (list->group == ref->group && list->generation == ref->generation)
			return list;
	}
	list = MemoryContextAllocZero(TopTransactionContext, sizeof(AckList));
	list->group = ref->group;
	list->generation = ref->generation;
	list->group_id = ref->group_id;
	list->name = MemoryContextStrdup(TopTransactionContext, ref->name);
	list->counter = ref->topic->counter;
	list->next = ack_lists;
	ack_lists = list;
	return list;
}

static void
reserve(AckList *list, int more)
{
	Size		needed = (Size) list->count + more;

	if (needed <= (Size) list->capacity)
		return;
	needed = Max(needed, 2 * (Size) list->capacity);
	list->acks = list->acks == NULL
		? MemoryContextAllocHuge(TopTransactionContext, needed * sizeof(Ack))
		: repalloc_huge(list->acks, needed * sizeof(Ack));
	list->capacity = needed;
}

/* Where an offset is or belongs in the list. */
static int
place_of(const AckList *list, int64 offset)
{
	int			low = 0;
	int			high = list->count;

	if (high == 0 || list->acks[high - 1].offset < offset)
		return high;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (list->acks[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* False: it is in the list already. Room was reserved. */
static bool
add_ack(AckList *list, int64 offset, int64 lease_id)
{
	int			place = place_of(list, offset);

	if (place < list->count && list->acks[place].offset == offset)
		return false;
	memmove(&list->acks[place + 1], &list->acks[place], (list->count - place) * sizeof(Ack));
	list->acks[place] = (Ack) {offset, lease_id, GetCurrentTransactionNestLevel(), false};
	list->count++;
	return true;
}

static void
refuse(const char *group_name, const int64 *positions, int count)
{
	StringInfoData named;

	initStringInfo(&named);
	for (int i = 0; i < Min(count, POSITIONS_NAMED_MAX); i++)
		appendStringInfo(&named, "%s" INT64_FORMAT, i > 0 ? ", " : "", positions[i]);
	if (count > POSITIONS_NAMED_MAX)
		appendStringInfo(&named, " and %d more", count - POSITIONS_NAMED_MAX);
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("cannot acknowledge messages whose lease is not held"),
			errdetail("Consumer group \"%s\", positions: %s.", group_name, named.data),
			errhint("The lease ended and another consumer got the message, or it was never handed out, or it was finished too long ago to tell. Undo the work; if it happens often, ask for a longer lease."));
}

/* Check up to ACK_CHUNK of them; what is refused is added to 'lost'. Returns how many are new. */
static int
ack_chunk(PrismGroupRef *ref, AckList *list, const int64 *positions, const int64 *lease_ids,
		  int count, int64 *lost, int *lost_count)
{
	PrismWindow *window = ref->group->window;
	int			acknowledged = 0;

	prism_group_lock(ref, LW_SHARED);
	for (int i = 0; i < count; i++)
	{
		PrismHolder holder = {.lease_id = lease_ids != NULL ? lease_ids[i] : 0,.session = prism_group_session()};

		switch (prism_window_lease(window, positions[i], holder))
		{
			case PRISM_LEASE_HELD:
				if (add_ack(list, positions[i], prism_window_find(window, positions[i])->lease_id))
					acknowledged++;
				break;
			case PRISM_LEASE_FINISHED:
				break;
			case PRISM_LEASE_NACKED:
			case PRISM_LEASE_LOST:
				lost[(*lost_count)++] = positions[i];
				break;
		}
	}
	prism_group_unlock(ref->group);
	return acknowledged;
}

int
prism_group_ack(PrismGroupRef *ref, const int64 *positions, const int64 *lease_ids, int count)
{
	AckList    *list = ack_list(ref);
	int64		lost[ACK_CHUNK];
	int			acknowledged = 0;

	if (sealed)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("cannot acknowledge while the transaction commits"));
	for (int done = 0; done < count; done += ACK_CHUNK)
	{
		int			chunk = Min(count - done, ACK_CHUNK);
		int			lost_count = 0;

		CHECK_FOR_INTERRUPTS();
		reserve(list, chunk);
		acknowledged += ack_chunk(ref, list, positions + done,
								  lease_ids != NULL ? lease_ids + done : NULL,
								  chunk, lost, &lost_count);
		if (lost_count > 0)
			refuse(ref->name, lost, lost_count);
	}
	return acknowledged;
}

/* ---------- at pre-commit ---------- */

static void
add_range(PrismRange *ranges, int *count, int64 from, int64 to)
{
	if (*count > 0 && ranges[*count - 1].to >= from)
		ranges[*count - 1].to = to;
	else
		ranges[(*count)++] = (PrismRange) {from, to};
}

/*
 * Turn the list's entries to acking; returns how many ranges are finished with
 * them.  Whoever lost a lease since the check, or sees another transaction
 * acknowledge under the same one, fails here, before anything is written.
 */
static int
begin_acking(AckList *list, PrismRange *ranges)
{
	PrismWindow *window = list->group->window;
	int			count = 0;
	Ack		   *lost = NULL;

	if (!prism_group_lock_if(list->group, list->generation))
		prism_group_dropped(list->name);
	for (int i = 0; i < list->count && lost == NULL; i++)
	{
		Ack		   *ack = &list->acks[i];
		PrismHolder holder = {.lease_id = ack->lease_id};
		PrismEntry *entry;

		if (prism_window_lease(window, ack->offset, holder) != PRISM_LEASE_HELD)
		{
			lost = ack;
			continue;
		}
		entry = prism_window_find(window, ack->offset);
		prism_window_begin_ack(window, entry);
		ack->acking = true;
		add_range(ranges, &count, prism_window_range_start(window, entry), ack->offset + 1);
	}
	list->epoch = list->group->epoch;
	list->checkpoint = ++list->group->records >= RECORDS_A_CHECKPOINT;
	if (list->checkpoint)
		list->group->records = 0;
	prism_group_unlock(list->group);
	if (lost != NULL)
		refuse(list->name, &lost->offset, 1);
	return count;
}

void
prism_group_pre_commit(void)
{
	for (AckList *list = ack_lists; list != NULL; list = list->next)
	{
		PrismRange *ranges;
		int			count;

		if (list->count == 0)
			continue;
		ranges = MemoryContextAllocHuge(TopTransactionContext, list->count * sizeof(PrismRange));
		count = begin_acking(list, ranges);
		prism_group_append_finished(list->group_id, list->epoch, ranges, count);
		pfree(ranges);
		if (list->checkpoint)
			prism_group_checkpoint(list->group_id);
	}
	prism_group_append_seeks();
	sealed = true;
}

bool
prism_group_has_work(void)
{
	return takings != NULL || ack_lists != NULL || prism_group_has_seeks() || prism_group_has_changes();
}

/* ---------- the end: cannot throw ---------- */

static void
end_acks(AckList *list, bool committed)
{
	PrismWindow *window = list->group->window;
	int32		available;
	bool		wake;

	if (list->count == 0 || !prism_group_lock_if(list->group, list->generation))
		return;
	available = window->counts[PRISM_ENTRY_AVAILABLE];
	/* after a seek an entry of the same offset may be somebody else's by now */
	for (int i = 0; i < list->count; i++)
	{
		PrismEntry *entry;

		if (!list->acks[i].acking || list->epoch != list->group->epoch)
			continue;
		entry = prism_window_find(window, list->acks[i].offset);
		if (entry == NULL || entry->state != PRISM_ENTRY_ACKING)
			continue;
		if (committed)
			prism_window_finish(window, entry);
		else
			prism_window_undo_ack(window, entry);
	}
	wake = list->group->starved || window->counts[PRISM_ENTRY_AVAILABLE] > available;
	list->group->starved = false;
	prism_group_unlock(list->group);
	if (wake)
		prism_counter_wake(list->counter);
}

void
prism_group_end(bool committed)
{
	for (AckList *list = ack_lists; list != NULL; list = list->next)
		end_acks(list, committed);
	if (!committed)
	{
		for (Taking *taking = takings; taking != NULL; taking = taking->next)
			give_back(taking);
		prism_group_abort_reader();
	}
	ack_lists = NULL;
	takings = NULL;
	sealed = false;
	prism_group_end_seeks(committed);
	prism_group_end_changes(committed);
}

void
prism_group_subcommit(int nest_level)
{
	for (Taking *taking = takings; taking != NULL; taking = taking->next)
		taking->nest_level = Min(taking->nest_level, nest_level - 1);
	for (AckList *list = ack_lists; list != NULL; list = list->next)
	{
		for (int i = 0; i < list->count; i++)
			list->acks[i].nest_level = Min(list->acks[i].nest_level, nest_level - 1);
	}
	prism_group_subend_seeks(nest_level, true);
	prism_group_subend_changes(nest_level, true);
}

void
prism_group_subabort(int nest_level)
{
	Taking	  **link = &takings;

	prism_group_abort_reader();
	while (*link != NULL)
	{
		if ((*link)->nest_level < nest_level)
		{
			link = &(*link)->next;
			continue;
		}
		give_back(*link);
		*link = (*link)->next;
	}
	for (AckList *list = ack_lists; list != NULL; list = list->next)
	{
		int			kept = 0;

		for (int i = 0; i < list->count; i++)
		{
			if (list->acks[i].nest_level < nest_level)
				list->acks[kept++] = list->acks[i];
		}
		list->count = kept;
	}
	prism_group_subend_seeks(nest_level, false);
	prism_group_subend_changes(nest_level, false);
}
