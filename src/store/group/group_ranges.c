/*-------------------------------------------------------------------------
 *
 * group_ranges.c
 *	  Sets of offsets as sorted, disjoint ranges: what a group has finished.
 *
 * src/store/group/group_ranges.c
 *
 *-------------------------------------------------------------------------
 */
#include "store/group/group_ranges.h"

#include "utils/palloc.h"

#define FIRST_CAPACITY 16

void
prism_ranges_init(PrismRanges *set, int64 floor)
{
	set->floor = floor;
	set->count = 0;
	set->capacity = FIRST_CAPACITY;
	set->ranges = palloc(FIRST_CAPACITY * sizeof(PrismOffsetRange));
}

/* The first range that ends at 'offset' or after it. */
static int
lower_bound(const PrismRanges *set, int64 offset)
{
	int			low = 0;
	int			high = set->count;

	/* records come nearly in order: look at the end first */
	if (high > 0 && set->ranges[high - 1].to < offset)
		return high;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (set->ranges[middle].to < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Replace the ranges [first, last) by one, or make room for it. */
static void
splice(PrismRanges *set, int first, int last, PrismOffsetRange range)
{
	if (first == last)
	{
		if (set->count == set->capacity)
		{
			set->capacity *= 2;
			set->ranges = repalloc_huge(set->ranges, set->capacity * sizeof(PrismOffsetRange));
		}
		memmove(&set->ranges[first + 1], &set->ranges[first],
				(set->count - first) * sizeof(PrismOffsetRange));
		set->count++;
	}
	else
	{
		memmove(&set->ranges[first + 1], &set->ranges[last],
				(set->count - last) * sizeof(PrismOffsetRange));
		set->count -= last - first - 1;
	}
	set->ranges[first] = range;
}

/* The first range moves into the floor when it touches it. */
static void
raise_floor(PrismRanges *set, int64 floor)
{
	int			passed = 0;

	set->floor = Max(set->floor, floor);
	while (passed < set->count && set->ranges[passed].from <= set->floor)
	{
		set->floor = Max(set->floor, set->ranges[passed].to);
		passed++;
	}
	if (passed > 0)
	{
		set->count -= passed;
		memmove(set->ranges, &set->ranges[passed], set->count * sizeof(PrismOffsetRange));
	}
}

void
prism_ranges_add(PrismRanges *set, int64 from, int64 to)
{
	int			first;
	int			last;

	if (from >= to || to <= set->floor)
		return;
	if (from <= set->floor)
	{
		raise_floor(set, to);
		return;
	}

	first = lower_bound(set, from);
	for (last = first; last < set->count && set->ranges[last].from <= to; last++)
	{
		from = Min(from, set->ranges[last].from);
		to = Max(to, set->ranges[last].to);
	}
	splice(set, first, last, (PrismOffsetRange) {from, to});
}

bool
prism_ranges_contain(const PrismRanges *set, int64 offset)
{
	int			index;

	if (offset < set->floor)
		return true;
	index = lower_bound(set, offset + 1);
	return index < set->count && set->ranges[index].from <= offset;
}

int64
prism_ranges_end(const PrismRanges *set)
{
	return set->count > 0 ? set->ranges[set->count - 1].to : set->floor;
}
