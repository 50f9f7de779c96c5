/*-------------------------------------------------------------------------
 *
 * group_lease.c
 *	  Leases: what a transaction was handed out, and when it goes back.
 *
 * A (sub)transaction that rolls back gives back what it was handed out.  One
 * that commits keeps its leases until their deadlines; of what was handed out
 * before already it writes down how often, so that a message that kills the
 * server does not do so for ever.  First attempts are not written down, except
 * soon after a start, when nobody knows whether they are the first.
 *
 * An attempt counts once the message has been handed over: what is given back
 * before that, as it could not be read, or nobody called the function with it,
 * is as if it had not been taken.  (But a lease that ends by its time counts:
 * nobody knows any more what became of it.)
 *
 * src/store/group/group_lease.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/group/group_shared.h"

#include "access/xact.h"
#include "common/pg_prng.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

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
	bool		open;			/* some were not handed over yet: */
	PrismUnseen unseen;
	int			nest_level;
	uint32		since;			/* the window's look that took the first of them */
	int64		first;			/* offsets under this lease lie in first .. last */
	int64		last;
	int			repeated;		/* of these, at most so many are to be written down */
	int32		group_id;
} Taking;

/* They live in TopTransactionContext. */
static Taking *takings = NULL;

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
		taking->group_id = ref->group_id;
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
prism_group_note_taken(PrismGroupRef *ref, PrismHolder *holder, int64 first, int64 last, int repeated)
{
	Taking	   *taking = find_taking(ref, GetCurrentTransactionNestLevel());

	if (taking->last < 0)
		taking->since = ref->group->window->look;
	if (!taking->open)
	{
		taking->open = true;
		taking->unseen = (PrismUnseen) {.since = ref->group->window->look,.behind = -1};
	}
	taking->first = Min(taking->first, first);
	taking->last = Max(taking->last, last);
	taking->repeated += repeated;
	*holder = holder_of(taking);
}

/* ---------- handing over ---------- */

void
prism_group_hand_over(int64 lease_id, int64 up_to)
{
	for (Taking *taking = takings; taking != NULL; taking = taking->next)
	{
		if (taking->lease_id != lease_id || !taking->open)
			continue;
		if (up_to == PRISM_ALL_OF_LEASE)
			taking->open = false;
		else
			taking->unseen.behind = Max(taking->unseen.behind, up_to);
	}
}

void
prism_group_excuse(void)
{
	for (Taking *taking = takings; taking != NULL; taking = taking->next)
	{
		taking->open = true;
		taking->unseen = (PrismUnseen) {.since = taking->since,.behind = -1};
	}
}

/* ---------- single messages ---------- */

void
prism_group_untake(PrismGroupRef *ref, const int64 *positions, int count, int64 lease_id)
{
	if (count == 0 || !prism_group_lock_if(ref->group, ref->generation))
		return;
	for (int i = 0; i < count; i++)
		(void) prism_window_untake(ref->group->window, positions[i], lease_id);
	prism_group_unlock(ref->group);
	prism_counter_wake(ref->topic->counter);
}

void
prism_group_pass_over(PrismGroupRef *ref, const int64 *positions, int count, int64 lease_id)
{
	if (!prism_group_lock_if(ref->group, ref->generation))
		return;
	for (int i = 0; i < count; i++)
		prism_window_uncount(ref->group->window, positions[i], lease_id);
	prism_group_unlock(ref->group);
}

/* ---------- extending ---------- */

void
prism_group_refuse(const char *refusal, const char *group_name, const int64 *positions, int count)
{
	StringInfoData named;

	initStringInfo(&named);
	for (int i = 0; i < Min(count, POSITIONS_NAMED_MAX); i++)
		appendStringInfo(&named, "%s" INT64_FORMAT, i > 0 ? ", " : "", positions[i]);
	if (count > POSITIONS_NAMED_MAX)
		appendStringInfo(&named, " and %d more", count - POSITIONS_NAMED_MAX);
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("%s", refusal),
			errdetail("Consumer group \"%s\", positions: %s.", group_name, named.data),
			errhint("The lease ended and another consumer got the message, or it was never handed out, or it was finished too long ago to tell. Undo the work; if it happens often, ask for a longer lease."));
}

/* At once, and not undone by a rollback: a consumer extends its lease from within a long transaction. */
int
prism_group_extend(PrismGroupRef *ref, const int64 *positions, const int64 *lease_ids, int count, int64 lease_us)
{
	PrismWindow *window = ref->group->window;
	int64		lost[PRISM_POSITIONS_CHUNK];
	int			extended = 0;

	for (int done = 0; done < count; done += PRISM_POSITIONS_CHUNK)
	{
		int			lost_count = 0;
		PrismInstant deadline = prism_instant() + lease_us;

		CHECK_FOR_INTERRUPTS();
		prism_group_lock(ref, LW_EXCLUSIVE);
		for (int i = done; i < Min(count, done + PRISM_POSITIONS_CHUNK); i++)
		{
			PrismHolder holder = {.lease_id = lease_ids != NULL ? lease_ids[i] : 0,.session = prism_group_session()};
			PrismLease	lease = prism_window_lease(window, positions[i], holder);

			if (lease == PRISM_LEASE_HELD)
			{
				prism_window_extend(window, prism_window_find(window, positions[i]), deadline);
				extended++;
			}
			else if (lease != PRISM_LEASE_FINISHED)
				lost[lost_count++] = positions[i];
		}
		prism_group_unlock(ref->group);
		if (lost_count > 0)
			prism_group_refuse("cannot extend the lease of messages whose lease is not held", ref->name, lost, lost_count);
	}
	return extended;
}

/* ---------- at pre-commit ---------- */

/* Under the slot's lock: what the lease keeps, and should be known after a restart. */
static int
collect_attempts(const Taking *taking, PrismAttempt *attempts)
{
	PrismWindow *window = taking->group->window;
	int			count = 0;

	for (PrismEntry *entry = prism_window_from(window, taking->first);
		 entry != NULL && entry->offset <= taking->last && count < taking->repeated;
		 entry = prism_window_after(window, entry))
	{
		if (entry->state == PRISM_ENTRY_LEASED && entry->lease_id == taking->lease_id &&
			(entry->attempt > 1 || (entry->flags & PRISM_ENTRY_DOUBTFUL) != 0))
			attempts[count++] = prism_window_attempt(entry);
	}
	return count;
}

/* After this transaction's acknowledgements have begun: what they end is not kept. */
void
prism_group_append_leases(void)
{
	for (Taking *taking = takings; taking != NULL; taking = taking->next)
	{
		PrismAttempt *attempts;
		uint32		epoch;
		int			count;

		if (taking->repeated == 0)
			continue;
		attempts = MemoryContextAllocHuge(TopTransactionContext, taking->repeated * sizeof(PrismAttempt));
		if (!prism_group_lock_if(taking->group, taking->generation))
			continue;
		count = collect_attempts(taking, attempts);
		epoch = taking->group->epoch;
		taking->group->records += count > 0;
		prism_group_unlock(taking->group);
		prism_attempts_shift(attempts, count, prism_clock_difference());
		if (count > 0)
			prism_group_append_attempts(taking->group_id, epoch, attempts, count);
		pfree(attempts);
	}
}

bool
prism_group_has_leases(void)
{
	return takings != NULL;
}

/* ---------- the end: cannot throw ---------- */

static void
give_back_taken(Taking *taking)
{
	int			count;

	if (taking->last < taking->first || !prism_group_lock_if(taking->group, taking->generation))
		return;
	count = prism_window_give_back(taking->group->window, taking->first, taking->last, taking->lease_id,
								   taking->open ? &taking->unseen : NULL, prism_instant());
	prism_group_unlock(taking->group);
	if (count > 0)
		prism_counter_wake(taking->counter);
}

void
prism_group_end_leases(bool committed)
{
	for (Taking *taking = takings; taking != NULL && !committed; taking = taking->next)
		give_back_taken(taking);
	takings = NULL;
}

void
prism_group_subend_leases(int nest_level, bool committed)
{
	Taking	  **link = &takings;

	while (*link != NULL)
	{
		if ((*link)->nest_level < nest_level)
		{
			link = &(*link)->next;
			continue;
		}
		if (committed)
		{
			(*link)->nest_level = nest_level - 1;
			link = &(*link)->next;
			continue;
		}
		give_back_taken(*link);
		*link = (*link)->next;
	}
}
