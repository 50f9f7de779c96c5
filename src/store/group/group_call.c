/*-------------------------------------------------------------------------
 *
 * group_call.c
 *	  Sessions that wait by prism.wait(), and are called when there is something for them.
 *
 * A called session comes for its message in a later statement, or never.  As
 * many are called as there are messages, and the others wait for those who were
 * called, but not for long.
 *
 * src/store/group/group_call.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/group/group_shared.h"

/* How long the others wait for a session that was called. */
#define CALLED_US (100 * INT64CONST(1000))

/* Under the lock. */
static bool
calls_count(const PrismGroup *group, PrismInstant now)
{
	return group->called > 0 && group->called_until > now;
}

bool
prism_group_call(PrismGroupRef *ref)
{
	PrismGroup *group = ref->group;
	int			available = prism_group_available(ref);
	PrismInstant now = prism_instant();
	bool		called;

	if (available == 0)
		return false;
	prism_group_lock(ref, LW_EXCLUSIVE);
	if (!calls_count(group, now))
		group->called = 0;
	called = group->called < available;
	if (called)
	{
		group->called++;
		group->called_until = now + CALLED_US;
	}
	prism_group_unlock(group);
	return called;
}

PrismInstant
prism_group_look_at(PrismGroupRef *ref)
{
	PrismGroup *group = ref->group;
	PrismInstant look_at;

	prism_group_lock(ref, LW_SHARED);
	look_at = group->window->next_deadline;
	if (calls_count(group, prism_instant()))
		look_at = Min(look_at, group->called_until);
	prism_group_unlock(group);
	return look_at;
}
