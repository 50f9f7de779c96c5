/*-------------------------------------------------------------------------
 *
 * group_wait.c
 *	  Consumers that sleep until there is something for them.
 *
 * What makes a message available wakes one of those who wait for the group, not
 * all: a hundred consumers would look for the one message.  So that no wake-up
 * is lost, whoever stops waiting, for whatever reason, wakes the next, who
 * looks and sleeps on if there is nothing left; and whoever takes messages and
 * leaves some wakes one as well.
 *
 * src/store/group/group_wait.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/wait_event.h"
#include "store/group/group_shared.h"

#include "access/xact.h"
#include "pgstat.h"
#include "utils/wait_event.h"

/* Repairs a lost wake-up, and finds leases that ended. */
#define SLEEP_MAX_MS 5000

/* What this backend waits for; counter NULL: nothing. */
static struct
{
	PrismCounter *counter;
	PrismGroup *group;			/* NULL: any message of the topic */
	uint32		generation;		/* of the slot: another group may have it by now, which nobody finds for us */
	int			nest_level;		/* of the (sub)transaction that prepared to sleep */
}			awaited;

static ConditionVariable *
awaited_variable(void)
{
	return awaited.group != NULL ? &awaited.group->available : &awaited.counter->published;
}

/* Let publishers find the group; 42704 when it has been dropped. */
static void
announce(PrismGroupRef *ref, PrismCounter *counter)
{
	prism_group_lock(ref, LW_EXCLUSIVE);
	ref->group->counter = counter;
	prism_group_unlock(ref->group);
}

void
prism_group_prepare_sleep(PrismTopic *topic, PrismGroupRef *ref)
{
	PrismGroup *group = ref != NULL ? ref->group : NULL;

	if (awaited.counter == topic->counter && awaited.group == group &&
		(group == NULL || awaited.generation == ref->generation))
		return;
	prism_group_cancel_sleep();
	if (ref != NULL)
		announce(ref, topic->counter);
	awaited.counter = topic->counter;
	awaited.group = group;
	awaited.generation = group != NULL ? ref->generation : 0;
	awaited.nest_level = GetCurrentTransactionNestLevel();
	pg_atomic_fetch_add_u32(&topic->counter->sleepers, 1);
	ConditionVariablePrepareToSleep(awaited_variable());
}

bool
prism_group_sleep(PrismInstant look_at, PrismInstant until)
{
	PrismInstant now = prism_instant();
	long		wait_ms;

	Assert(awaited.counter != NULL);
	if (now >= until)
		return false;
	wait_ms = prism_ms_until(Min(look_at, until), now);
	wait_ms = Max(1, Min(wait_ms, SLEEP_MAX_MS));
	(void) ConditionVariableTimedSleep(awaited_variable(), wait_ms, prism_wait_event(PRISM_WAIT_MESSAGE));
	return true;
}

/* The variables stay where they are, also when topic or group have been dropped: that wakes somebody in vain. */
void
prism_group_cancel_sleep(void)
{
	if (awaited.counter == NULL)
		return;
	ConditionVariableCancelSleep();
	pg_atomic_fetch_sub_u32(&awaited.counter->sleepers, 1);
	if (awaited.group != NULL)
		ConditionVariableSignal(&awaited.group->available);
	awaited.counter = NULL;
	awaited.group = NULL;
}

/*
 * A session that waits outside of the savepoint goes on: PostgreSQL has taken it
 * off the variable, so that its sleep returns at once, and it looks again.
 */
void
prism_group_subabort_sleep(int nest_level)
{
	if (awaited.counter != NULL && awaited.nest_level >= nest_level)
		prism_group_cancel_sleep();
}

PrismInstant
prism_group_next_due(PrismGroupRef *ref)
{
	PrismInstant due;

	prism_group_lock(ref, LW_SHARED);
	due = ref->group->window->next_deadline;
	prism_group_unlock(ref->group);
	return due;
}

void
prism_group_took(PrismGroupRef *ref, bool left)
{
	if (left && pg_atomic_read_u32(&ref->topic->counter->sleepers) > 0)
		ConditionVariableSignal(&ref->group->available);
}
