/*-------------------------------------------------------------------------
 *
 * bisect.c
 *	  Which message of a refused batch is the bad one.
 *
 * A broker refuses a produce request as a whole: one message that is too large
 * takes its neighbours along.  So nothing is a dead letter before it was
 * refused alone.  The parts of a batch are sent one after the other, in order:
 * a part that passes is done, one that is refused is cut into halves.
 *
 * src/bgworker/forward/bisect.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/forwarder.h"

#include "utils/memutils.h"

static bool
is_settled(const PrismBatch *batch, int i)
{
	return batch->fates[i] == FATE_OUT || batch->fates[i] == FATE_DEAD;
}

static void
push(PrismBisect *bisect, int lo, int hi)
{
	if (lo >= hi)
		return;
	Assert(bisect->depth < PRISM_BISECT_DEPTH);
	bisect->batch->parts[bisect->depth].lo = lo;
	bisect->batch->parts[bisect->depth].hi = hi;
	bisect->depth++;
}

void
prism_bisect_begin(PrismBisect *bisect, PrismBatch *batch, PrismRange all)
{
	if (batch->parts == NULL)
		batch->parts = MemoryContextAlloc(batch->mcxt, PRISM_BISECT_DEPTH * sizeof(PrismRange));
	bisect->batch = batch;
	bisect->depth = 0;
	push(bisect, all.lo, all.hi);
}

PrismRange
prism_bisect_top(const PrismBisect *bisect)
{
	Assert(bisect->depth > 0);
	return bisect->batch->parts[bisect->depth - 1];
}

/*
 * The range on top was refused.  True: it is one message, *culprit, and off
 * the stack.  Otherwise it was cut: what lies before the refused ones, their
 * two halves, and what comes after them.  Unless it went alone, others may be to
 * blame, and one message is still to be sent alone.
 */
bool
prism_bisect_refused(PrismBisect *bisect, bool alone, int *culprit)
{
	PrismBatch *batch = bisect->batch;
	PrismRange	top;
	int			first = -1;
	int			last = -1;
	int			open = 0;

	Assert(bisect->depth > 0);
	top = batch->parts[--bisect->depth];
	for (int i = top.lo; i < top.hi; i++)
	{
		if (is_settled(batch, i))
			continue;
		open++;
		if (batch->fates[i] != FATE_REJECTED)
			continue;
		if (first < 0)
			first = i;
		last = i;
	}
	Assert(first >= 0);

	if (open == 1 && alone)
	{
		*culprit = first;
		if (bisect->depth == 0)
			bisect->batch = NULL;
		return true;
	}
	push(bisect, last + 1, top.hi);
	if (first == last)
		push(bisect, first, first + 1);
	else
	{
		int			middle = first + (last - first + 1) / 2;

		push(bisect, middle, last + 1);
		push(bisect, first, middle);
	}
	push(bisect, top.lo, first);
	return false;
}

/* The range on top went through; the batch is let go when nothing is left. */
void
prism_bisect_passed(PrismBisect *bisect)
{
	Assert(bisect->depth > 0);
	bisect->depth--;
	if (bisect->depth == 0)
		bisect->batch = NULL;
}
