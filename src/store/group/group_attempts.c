/*-------------------------------------------------------------------------
 *
 * group_attempts.c
 *	  What the progress log says of unfinished messages: attempts, rests, failures.
 *
 * src/store/group/group_attempts.c
 *
 *-------------------------------------------------------------------------
 */
#include "store/group/group_attempts.h"

#define FIRST_CAPACITY 64

/* To the nearest second, so that many restarts do not shift it far. */
uint32
prism_seconds_shift(uint32 seconds, int64 difference)
{
	int64		shifted = ((int64) seconds * USECS_PER_SEC + difference + USECS_PER_SEC / 2) / USECS_PER_SEC;

	return seconds == 0 ? 0 : (uint32) Min(Max(shifted, 1), PG_UINT32_MAX);
}

void
prism_attempts_init(PrismAttempts *set)
{
	set->count = set->settled = 0;
	set->capacity = FIRST_CAPACITY;
	set->items = palloc_array(PrismAttempt, set->capacity);
}

void
prism_attempts_add(PrismAttempts *set, const PrismAttempt *attempt, const PrismRanges *finished)
{
	if (set->count == set->capacity)
	{
		prism_attempts_settle(set, finished);
		/* half of it free again, it was worth it */
		if (set->count > set->capacity / 2)
		{
			set->capacity *= 2;
			set->items = repalloc_huge(set->items, set->capacity * sizeof(PrismAttempt));
		}
	}
	set->items[set->count++] = *attempt;
}

/* By offset, and of one offset what counts last. */
static int
compare_attempts(const void *left, const void *right)
{
	const PrismAttempt *a = left;
	const PrismAttempt *b = right;

	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	if (a->attempt != b->attempt)
		return a->attempt < b->attempt ? -1 : 1;
	if (a->due != b->due)
		return a->due < b->due ? -1 : 1;
	return 0;
}

/* The earlier of two first failures, of which either may not be known. */
static uint32
earlier(uint32 a, uint32 b)
{
	if (a == 0 || b == 0)
		return Max(a, b);
	return Min(a, b);
}

void
prism_attempts_settle(PrismAttempts *set, const PrismRanges *finished)
{
	int			kept = 0;

	if (set->settled == set->count)
		return;
	qsort(set->items, set->count, sizeof(PrismAttempt), compare_attempts);
	for (int i = 0; i < set->count; i++)
	{
		PrismAttempt attempt = set->items[i];

		if (prism_ranges_contain(finished, attempt.offset))
			continue;
		if (kept > 0 && set->items[kept - 1].offset == attempt.offset)
		{
			kept--;
			attempt.first_failed = earlier(attempt.first_failed, set->items[kept].first_failed);
		}
		set->items[kept++] = attempt;
	}
	set->count = set->settled = kept;
}

void
prism_attempts_shift(PrismAttempt *attempts, int count, int64 difference)
{
	for (int i = 0; i < count; i++)
	{
		if (attempts[i].due != 0)
			attempts[i].due += difference;
		attempts[i].first_failed = prism_seconds_shift(attempts[i].first_failed, difference);
	}
}

const PrismAttempt *
prism_attempts_find(const PrismAttempts *set, int64 offset)
{
	int			low = 0;
	int			high = set->count;

	Assert(set->settled == set->count);
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (set->items[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low < set->count && set->items[low].offset == offset ? &set->items[low] : NULL;
}
