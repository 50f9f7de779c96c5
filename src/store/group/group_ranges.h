/*-------------------------------------------------------------------------
 *
 * group_ranges.h
 *	  Sets of offsets as sorted, disjoint ranges: what a group has finished.
 *
 * Used while a group's state is rebuilt from the progress log.  Adding is
 * idempotent and does not depend on the order, so records may be replayed twice
 * and a checkpoint may overlap the records around it.
 *
 * src/store/group/group_ranges.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_GROUP_RANGES_H
#define PRISM_GROUP_RANGES_H

#include "postgres.h"

/* [from, to) */
typedef struct PrismOffsetRange
{
	int64		from;
	int64		to;
} PrismOffsetRange;

typedef struct PrismRanges
{
	int64		floor;			/* everything below belongs to the set */
	int			count;
	int			capacity;
	PrismOffsetRange *ranges;			/* above floor, ascending, no two touch */
} PrismRanges;

/* All offsets below 'floor'; palloc'd in the current memory context. */
extern void prism_ranges_init(PrismRanges *set, int64 floor);
extern void prism_ranges_add(PrismRanges *set, int64 from, int64 to);
extern bool prism_ranges_contain(const PrismRanges *set, int64 offset);

/* The first offset after the last range. */
extern int64 prism_ranges_end(const PrismRanges *set);

#endif							/* PRISM_GROUP_RANGES_H */
