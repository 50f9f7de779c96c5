/*-------------------------------------------------------------------------
 *
 * group_ack.c
 *	  What ends leases: acknowledged, given up, rejected.
 *
 * A verb is checked when it is called and remembered; at pre-commit the entries
 * turn from leased to acking, which never expires, and records are appended to
 * the progress log; the COMMIT callback finishes them, or gives them back.  So
 * an acknowledgement that waits in COMMIT cannot lose its lease, and what a
 * callback has to do was resolved before: it takes locks and stores, nothing
 * else.
 *
 * What is rejected, or given up in its last attempt, becomes a dead letter:
 * published in the same transaction, at once, and finished with it.
 *
 * src/store/group/group_ack.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/group/group_shared.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* A group's records until it writes a checkpoint, from which the next restart can start. */
#define RECORDS_A_CHECKPOINT 1000
/* Positions that an error names. */
#define POSITIONS_NAMED_MAX 10

typedef struct Ack
{
	int64		offset;
	int64		lease_id;
	PrismInstant due;			/* given up: not to be handed out before */
	int			nest_level;
	bool		finishes;		/* acknowledged or rejected; false: given up */
	bool		acking;			/* its entry is in that state for us */
	const char *verb;			/* for an error at pre-commit */
} Ack;

/* Those of one group, by ascending offset. */
typedef struct AckList
{
	struct AckList *next;
	PrismGroup *group;
	uint32		generation;
	uint32		epoch;			/* of the window when acking began */
	bool		checkpoint;		/* it is our turn to write one */
	bool		nacks;			/* some are given up */
	int32		group_id;
	char	   *name;
	PrismCounter *counter;
	Ack		   *acks;
	int			count;
	int			capacity;
} AckList;

/* They live in TopTransactionContext. */
static AckList *ack_lists = NULL;

/* Pre-commit is over: an acknowledgement would come too late. */
static bool sealed = false;

/* ---------- acknowledging ---------- */

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

void
prism_group_refuse(const char *verb, const char *group_name, const int64 *positions, int count)
{
	StringInfoData named;

	initStringInfo(&named);
	for (int i = 0; i < Min(count, POSITIONS_NAMED_MAX); i++)
		appendStringInfo(&named, "%s" INT64_FORMAT, i > 0 ? ", " : "", positions[i]);
	if (count > POSITIONS_NAMED_MAX)
		appendStringInfo(&named, " and %d more", count - POSITIONS_NAMED_MAX);
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("cannot %s messages whose lease is not held", verb),
			errdetail("Consumer group \"%s\", positions: %s.", group_name, named.data),
			errhint("The lease ended and another consumer got the message, or it was never handed out, or it was finished too long ago to tell. Undo the work; if it happens often, ask for a longer lease."));
}

/* A place for another one, which was reserved. */
static Ack *
insert_ack(AckList *list, int place)
{
	Ack		   *ack = &list->acks[place];

	memmove(ack + 1, ack, (list->count - place) * sizeof(Ack));
	list->count++;
	return ack;
}

/* A verb, with all that it was called with. */
typedef struct Verb
{
	const char *name;			/* for errors */
	bool		nack;
	bool		reject;
	bool		spares_nacked;	/* what was given up stays so */
	int64		delay_us;		/* nack; -1: the group's back-off */
	const char *reason;			/* nack, reject; may be NULL */
	PrismInstant now;
} Verb;

/* What a chunk came to. */
typedef struct Chunk
{
	int			settled;		/* new in the list */
	int			lost_count;
	int64		lost[PRISM_POSITIONS_CHUNK];
	int			dead_count;
	PrismDead	dead[PRISM_POSITIONS_CHUNK];
} Chunk;

/* The same of a message that is in the list already. */
static void
settle_again(const Ack *ack, const Verb *verb, Chunk *chunk)
{
	/* who gave it up may give it up again, not finish it: others will process it */
	if (!ack->finishes && !verb->nack && !verb->spares_nacked)
		chunk->lost[chunk->lost_count++] = ack->offset;
}

/* Under the slot's lock; room in the list was reserved. */
static void
settle(PrismGroup *group, AckList *list, const PrismEntry *entry, const Verb *verb, Chunk *chunk)
{
	const PrismGroupOptions *options = &group->options;
	int			place = place_of(list, entry->offset);
	bool		last = options->max_attempts > 0 && entry->attempt >= options->max_attempts;
	int64		delay_us = verb->delay_us >= 0 ? verb->delay_us : prism_group_backoff(options, entry->attempt);
	Ack		   *ack = &list->acks[place];

	if (place < list->count && ack->offset == entry->offset)
	{
		settle_again(ack, verb, chunk);
		return;
	}
	ack = insert_ack(list, place);
	*ack = (Ack)
	{
		.offset = entry->offset,
		.lease_id = entry->lease_id,
		.due = verb->now + delay_us,
		.nest_level = GetCurrentTransactionNestLevel(),
		.finishes = !verb->nack || last,
		.verb = verb->name
	};
	list->nacks = list->nacks || verb->nack;
	chunk->settled++;
	if (verb->reject || (verb->nack && last))
		chunk->dead[chunk->dead_count++] = (PrismDead)
	{
		.offset = entry->offset,
		.attempts = entry->attempt,
		.first_failure = prism_window_first_failure(entry),
		.last_failure = verb->now
	};
}

int
prism_group_finish_dead(PrismGroupRef *ref, int64 lease_id, PrismDead *dead, int count)
{
	AckList    *list = ack_list(ref);
	int			kept = 0;

	reserve(list, count);
	for (int i = 0; i < count; i++)
	{
		int			place = place_of(list, dead[i].offset);

		if (place < list->count && list->acks[place].offset == dead[i].offset)
			continue;
		dead[kept++] = dead[i];
		*insert_ack(list, place) = (Ack)
		{
			.offset = dead[i].offset,
			.lease_id = lease_id,
			.nest_level = GetCurrentTransactionNestLevel(),
			.finishes = true,
			.verb = "reject"
		};
	}
	return kept;
}

/* Check up to PRISM_POSITIONS_CHUNK of them. */
static void
settle_chunk(PrismGroupRef *ref, AckList *list, const int64 *positions, const int64 *lease_ids,
			 int count, const Verb *verb, Chunk *chunk)
{
	PrismWindow *window = ref->group->window;

	chunk->settled = chunk->lost_count = chunk->dead_count = 0;
	prism_group_lock(ref, LW_SHARED);
	for (int i = 0; i < count; i++)
	{
		PrismHolder holder = {.lease_id = lease_ids != NULL ? lease_ids[i] : 0,.session = prism_group_session()};

		switch (prism_window_lease(window, positions[i], holder))
		{
			case PRISM_LEASE_HELD:
				settle(ref->group, list, prism_window_find(window, positions[i]), verb, chunk);
				break;
			case PRISM_LEASE_FINISHED:
				break;
			case PRISM_LEASE_NACKED:
				if (!verb->nack)
					chunk->lost[chunk->lost_count++] = positions[i];
				break;
			case PRISM_LEASE_LOST:
				chunk->lost[chunk->lost_count++] = positions[i];
				break;
		}
	}
	prism_group_unlock(ref->group);
}

static int
settle_all(PrismGroupRef *ref, const int64 *positions, const int64 *lease_ids, int count, const Verb *verb)
{
	AckList    *list = ack_list(ref);
	Chunk		chunk;
	int			settled = 0;

	if (sealed)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("cannot %s messages while the transaction commits", verb->name));
	for (int done = 0; done < count; done += PRISM_POSITIONS_CHUNK)
	{
		int			size = Min(count - done, PRISM_POSITIONS_CHUNK);

		CHECK_FOR_INTERRUPTS();
		reserve(list, size);
		settle_chunk(ref, list, positions + done, lease_ids != NULL ? lease_ids + done : NULL,
					 size, verb, &chunk);
		if (chunk.lost_count > 0)
			prism_group_refuse(verb->name, ref->name, chunk.lost, chunk.lost_count);
		prism_group_write_dead_letters(ref, chunk.dead, chunk.dead_count, verb->reason);
		settled += chunk.settled;
	}
	return settled;
}

int
prism_group_ack(PrismGroupRef *ref, const int64 *positions, const int64 *lease_ids, int count)
{
	Verb		verb = {.name = "acknowledge"};

	return settle_all(ref, positions, lease_ids, count, &verb);
}

int
prism_group_ack_rest(PrismGroupRef *ref, const int64 *positions, int count)
{
	Verb		verb = {.name = "acknowledge",.spares_nacked = true};

	return settle_all(ref, positions, NULL, count, &verb);
}

int
prism_group_nack(PrismGroupRef *ref, const int64 *positions, const int64 *lease_ids, int count,
				 int64 delay_us, const char *reason)
{
	Verb		verb = {.name = "give up",.nack = true,.delay_us = delay_us,.reason = reason,.now = prism_instant()};

	return settle_all(ref, positions, lease_ids, count, &verb);
}

int
prism_group_reject(PrismGroupRef *ref, const int64 *positions, const int64 *lease_ids, int count,
				   const char *reason)
{
	Verb		verb = {.name = "reject",.reject = true,.reason = reason,.now = prism_instant()};

	return settle_all(ref, positions, lease_ids, count, &verb);
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

/* What pre-commit writes of one list. */
typedef struct Settled
{
	PrismRange *ranges;			/* finished */
	int			range_count;
	PrismAttempt *attempts;		/* given up */
	int			attempt_count;
	PrismInstant now;
} Settled;

static void
begin_settling(Ack *ack, PrismWindow *window, PrismEntry *entry, Settled *settled)
{
	if (ack->finishes)
		add_range(settled->ranges, &settled->range_count, prism_window_range_start(window, entry), ack->offset + 1);
	else
	{
		PrismAttempt attempt = prism_window_attempt(entry);

		attempt.due = ack->due;
		if (attempt.first_failed == 0)
			attempt.first_failed = prism_window_failure_time(settled->now);
		settled->attempts[settled->attempt_count++] = attempt;
	}
	prism_window_begin_ack(window, entry);
	ack->acking = true;
}

/*
 * Turn the list's entries to acking.  Whoever lost a lease since the check, or
 * sees another transaction end the same one, fails here, before anything is
 * written.
 */
static void
begin_list(AckList *list, Settled *settled)
{
	PrismWindow *window = list->group->window;
	Ack		   *lost = NULL;

	if (!prism_group_lock_if(list->group, list->generation))
		prism_group_dropped(list->name);
	for (int i = 0; i < list->count && lost == NULL; i++)
	{
		Ack		   *ack = &list->acks[i];
		PrismHolder holder = {.lease_id = ack->lease_id};

		if (prism_window_lease(window, ack->offset, holder) == PRISM_LEASE_HELD)
			begin_settling(ack, window, prism_window_find(window, ack->offset), settled);
		else
			lost = ack;
	}
	list->epoch = list->group->epoch;
	list->checkpoint = ++list->group->records >= RECORDS_A_CHECKPOINT;
	if (list->checkpoint)
		list->group->records = 0;
	prism_group_unlock(list->group);
	if (lost != NULL)
		prism_group_refuse(lost->verb, list->name, &lost->offset, 1);
}

static void
append_list(AckList *list)
{
	Settled		settled = {.now = prism_instant()};

	settled.ranges = MemoryContextAllocHuge(TopTransactionContext, list->count * sizeof(PrismRange));
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
prism_group_pre_commit(bool gone)
{
	if (gone)
		return;
	for (AckList *list = ack_lists; list != NULL; list = list->next)
	{
		if (list->count == 0)
			continue;
		append_list(list);
		if (list->checkpoint)
			prism_group_checkpoint(list->group_id);
	}
	prism_group_append_leases();
	prism_group_append_seeks();
	sealed = true;
}

bool
prism_group_has_work(void)
{
	return prism_group_has_leases() || ack_lists != NULL || prism_group_has_seeks() || prism_group_has_changes();
}

/* ---------- the end: cannot throw ---------- */

static void
end_acks(AckList *list, bool committed)
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

		if (!list->acks[i].acking || list->epoch != list->group->epoch)
			continue;
		entry = prism_window_find(window, list->acks[i].offset);
		if (entry == NULL || entry->state != PRISM_ENTRY_ACKING)
			continue;
		if (!committed)
			prism_window_undo_ack(window, entry);
		else if (list->acks[i].finishes)
			prism_window_finish(window, entry);
		else
			prism_window_nack(window, entry, list->acks[i].due, now);
	}
	/* sleepers also have to know when what was given up is due */
	wake = list->group->starved || list->nacks || window->counts[PRISM_ENTRY_AVAILABLE] > available;
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
	prism_group_end_leases(committed);
	if (!committed)
	{
		prism_group_abort_reader(1);
		prism_group_cancel_sleep();
	}
	ack_lists = NULL;
	sealed = false;
	prism_group_end_seeks(committed);
	prism_group_end_changes(committed);
}

void
prism_group_subcommit(int nest_level)
{
	for (AckList *list = ack_lists; list != NULL; list = list->next)
	{
		for (int i = 0; i < list->count; i++)
			list->acks[i].nest_level = Min(list->acks[i].nest_level, nest_level - 1);
	}
	prism_group_subend_leases(nest_level, true);
	prism_group_subend_seeks(nest_level, true);
	prism_group_subend_changes(nest_level, true);
}

void
prism_group_subabort(int nest_level)
{
	prism_group_abort_reader(nest_level);
	prism_group_subabort_sleep(nest_level);
	prism_group_subend_leases(nest_level, false);
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
