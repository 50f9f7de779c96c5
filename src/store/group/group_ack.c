/*-------------------------------------------------------------------------
 *
 * group_ack.c
 *	  The verbs that end leases: acknowledge, give up, reject.
 *
 * A verb is checked when it is called and remembered (group_settlements.c): it
 * counts when the transaction commits.
 *
 * What is rejected, or given up in its last attempt, becomes a dead letter:
 * published in the same transaction, at once, and finished with it.
 *
 * src/store/group/group_ack.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/group/group_settlements.h"

#include "access/xact.h"
#include "miscadmin.h"

/* A verb, with all that it was called with. */
typedef struct AckVerb
{
	const char *refusal;		/* the error, where a lease is not held */
	bool		nack;
	bool		reject;
	bool		spares_nacked;	/* what was given up stays so */
	int64		delay_us;		/* nack; -1: the group's back-off */
	const char *reason;			/* nack, reject; may be NULL */
	PrismInstant now;
} AckVerb;

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
settle_again(const PrismSettlement *settlement, const AckVerb *verb, Chunk *chunk)
{
	/* a consumer that gave it up may give it up again, not finish it: others will process it */
	if (!settlement->finishes && !verb->nack && !verb->spares_nacked)
		chunk->lost[chunk->lost_count++] = settlement->offset;
}

/* Under the slot's lock; room in the list was reserved. */
static void
settle(PrismGroup *group, PrismSettlements *list, const PrismEntry *entry, const AckVerb *verb, Chunk *chunk)
{
	const PrismGroupOptions *options = &group->options;
	bool		last = options->max_attempts > 0 && entry->attempt >= options->max_attempts;
	int64		delay_us = verb->delay_us >= 0 ? verb->delay_us : prism_group_backoff(options, entry->attempt);
	bool		found;
	PrismSettlement *settlement = prism_settlements_enter(list, entry->offset, &found);

	if (found)
	{
		settle_again(settlement, verb, chunk);
		return;
	}
	*settlement = (PrismSettlement)
	{
		.offset = entry->offset,
		.lease_id = entry->lease_id,
		.due = verb->now + delay_us,
		.nest_level = GetCurrentTransactionNestLevel(),
		.finishes = !verb->nack || last,
		.refusal = verb->refusal
	};
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

/* Check up to PRISM_POSITIONS_CHUNK of them. */
static void
settle_chunk(PrismGroupRef *ref, PrismSettlements *list, const int64 *positions, const int64 *lease_ids,
			 int count, const AckVerb *verb, Chunk *chunk)
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
settle_all(PrismGroupRef *ref, const int64 *positions, const int64 *lease_ids, int count, const AckVerb *verb)
{
	PrismSettlements *list = prism_settlements_of(ref);
	Chunk		chunk;
	int			settled = 0;

	if (prism_settlements_are_sealed())
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("cannot acknowledge, give up or reject messages while the transaction commits"));
	for (int done = 0; done < count; done += PRISM_POSITIONS_CHUNK)
	{
		int			size = Min(count - done, PRISM_POSITIONS_CHUNK);

		CHECK_FOR_INTERRUPTS();
		prism_settlements_reserve(list, size, verb->nack);
		settle_chunk(ref, list, positions + done, lease_ids != NULL ? lease_ids + done : NULL,
					 size, verb, &chunk);
		if (chunk.lost_count > 0)
			prism_group_refuse(verb->refusal, ref->name, chunk.lost, chunk.lost_count);
		prism_group_write_dead_letters(ref, chunk.dead, chunk.dead_count, verb->reason);
		settled += chunk.settled;
	}
	return settled;
}

int
prism_group_ack(PrismGroupRef *ref, const int64 *positions, const int64 *lease_ids, int count)
{
	AckVerb		verb = {.refusal = "cannot acknowledge messages whose lease is not held"};

	return settle_all(ref, positions, lease_ids, count, &verb);
}

int
prism_group_ack_rest(PrismGroupRef *ref, const int64 *positions, int count)
{
	AckVerb		verb = {.refusal = "cannot acknowledge messages whose lease is not held",.spares_nacked = true};

	return settle_all(ref, positions, NULL, count, &verb);
}

int
prism_group_nack(PrismGroupRef *ref, const int64 *positions, const int64 *lease_ids, int count,
				 int64 delay_us, const char *reason)
{
	AckVerb		verb = {.refusal = "cannot give up messages whose lease is not held",.nack = true,.delay_us = delay_us,.reason = reason,.now = prism_instant()};

	return settle_all(ref, positions, lease_ids, count, &verb);
}

int
prism_group_reject(PrismGroupRef *ref, const int64 *positions, const int64 *lease_ids, int count,
				   const char *reason)
{
	AckVerb		verb = {.refusal = "cannot reject messages whose lease is not held",.reject = true,.reason = reason,.now = prism_instant()};

	return settle_all(ref, positions, lease_ids, count, &verb);
}
