/*-------------------------------------------------------------------------
 *
 * backlog.c
 *	  How far consumer groups are behind, and publishers that must not run away from them.
 *
 * Looking at all groups of a topic at each commit would cost too much, so what
 * was seen is shared and used for a while.  Groups go forward, so an old answer
 * only makes the backlog look larger, and before a publisher is refused for it,
 * the groups are looked at anew.  A group that has just been made or moved back
 * is noticed a moment later.
 *
 * With more groups than places a look reads the progress log.  However long that
 * takes, it is a tenth of the time at most, and one session's.
 *
 * src/store/group/backlog.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/group/backlog.h"
#include "store/group/group_replay.h"
#include "store/group/group_shared.h"
#include "store/log/counter.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* How long what was seen is used, and for how many times as long as it took to see it. */
#define LOOK_US (1 * USECS_PER_SEC)
#define LOOK_TIMES 10
/* How long others go by what was seen before while somebody looks. */
#define LOOKER_US (10 * USECS_PER_SEC)
/* A look that took this long is not repeated for each publisher that is refused. */
#define LONG_LOOK_US (50 * 1000)
/* How often publishers of a topic are warned. */
#define WARN_US (60 * USECS_PER_SEC)

/* The position of a group that has a place. False: it has none, or has been dropped, and is left to 'others'. */
static bool
position_of(PrismTopic *topic, PrismGroupRow *row, List **others, int64 *position)
{
	PrismGroupRef *ref = prism_group_open(topic, row->name, PRISM_GROUP_LOOK);

	if (ref == NULL)
	{
		*others = lappend(*others, row);
		return false;
	}
	/* one that is only looked at makes way for those that are used, at any moment */
	if (!prism_group_lock_if(ref->group, ref->generation))
	{
		*others = lappend(*others, row);
		return false;
	}
	*position = prism_window_base(ref->group->window);
	prism_group_unlock(ref->group);
	return true;
}

/* The slowest of groups that are not loaded and its position, out of the progress log, which is read once. */
static int64
replay_slowest(const List *rows, PrismGroupRow **slowest)
{
	MemoryContext replay_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism group positions",
													 ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(replay_cxt);
	HTAB	   *states = prism_replays_make();
	int64		position = PG_INT64_MAX;
	ListCell   *cell;

	foreach(cell, rows)
	{
		PrismGroupRow *row = lfirst(cell);

		prism_replays_add(states, row->group_id, row->start_from);
	}
	prism_replays_run(states);
	foreach(cell, rows)
	{
		PrismGroupRow *row = lfirst(cell);
		PrismReplayedGroup *state = hash_search(states, &row->group_id, HASH_FIND, NULL);

		if (state->finished.floor < position)
		{
			position = state->finished.floor;
			*slowest = row;
		}
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(replay_cxt);
	return position;
}

/* The group that is farthest behind; NULL: the topic has none. */
static PrismGroupRow *
find_slowest(PrismTopic *topic, int64 *slowest)
{
	PrismGroupRow *found = NULL;
	List	   *others = NIL;
	ListCell   *cell;
	int64		position;

	*slowest = PG_INT64_MAX;
	foreach(cell, prism_group_rows())
	{
		PrismGroupRow *row = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		if (row->topic_id != topic->topic_id || !position_of(topic, row, &others, &position) || position >= *slowest)
			continue;
		*slowest = position;
		found = row;
	}
	if (others != NIL)
	{
		PrismGroupRow *other = NULL;

		position = replay_slowest(others, &other);
		if (position < *slowest)
		{
			*slowest = position;
			found = other;
		}
	}
	return found;
}

int64
prism_group_slowest(PrismTopic *topic)
{
	int64		slowest;

	(void) find_slowest(topic, &slowest);
	return slowest;
}

/* ---------- looking ---------- */

static void
end_look(PrismCounter *counter)
{
	SpinLockAcquire(&counter->mutex);
	counter->backlog.looking = 0;
	SpinLockRelease(&counter->mutex);
}

/* Messages that the slowest group has not finished; NULL: there is no group. */
static int64
measure_backlog(PrismTopic *topic, char **name)
{
	PrismCounter *counter = topic->counter;
	int64		next = prism_counter_peek(counter);
	PrismInstant begun = prism_instant();
	PrismInstant seen;
	PrismGroupRow *volatile row = NULL;
	volatile int64 behind = 0;

	PG_TRY();
	{
		int64		slowest;

		row = find_slowest(topic, &slowest);
		behind = prism_counter_distance(topic, Min(slowest, next), next);
	}
	PG_FINALLY();
	{
		end_look(counter);
	}
	PG_END_TRY();

	seen = prism_instant();
	*name = row != NULL ? row->name : NULL;
	SpinLockAcquire(&counter->mutex);
	counter->backlog.behind = behind;
	counter->backlog.end = next;
	counter->backlog.slowest = row != NULL ? row->group_id : 0;
	counter->backlog.seen = seen;
	counter->backlog.look_us = seen - begun;
	SpinLockRelease(&counter->mutex);
	return behind;
}

/* How far it has come meanwhile by the last look's answer. False: nobody can tell out of shared memory. */
static bool
behind_by_now(PrismTopic *topic, const PrismCounterBacklog *last, int64 *behind)
{
	int64		since;

	if (last->seen == 0 || !prism_counter_recent_distance(topic->counter, last->end, prism_counter_peek(topic->counter), &since))
		return false;
	*behind = last->behind + since;
	return true;
}

/* The group that is far behind, as the last look told it; NULL: look anew, as that is quick, long ago, or the group is gone. */
static char *
known_slowest(const PrismCounterBacklog *last, PrismInstant now)
{
	ListCell   *cell;

	if (last->look_us < LONG_LOOK_US || now - last->seen >= LOOK_TIMES * last->look_us)
		return NULL;
	foreach(cell, prism_group_rows())
	{
		PrismGroupRow *row = lfirst(cell);

		if (row->group_id == last->slowest)
			return row->name;
	}
	return NULL;
}

/* It is our turn to warn. */
static bool
may_warn(PrismCounter *counter, PrismInstant now)
{
	bool		warn;

	SpinLockAcquire(&counter->mutex);
	warn = now - counter->backlog.warned >= WARN_US;
	if (warn)
		counter->backlog.warned = now;
	SpinLockRelease(&counter->mutex);
	return warn;
}

static void
report_backlog(PrismTopic *topic, int elevel, const char *group, int64 backlog, int64 count)
{
	ereport(elevel,
			errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			elevel == ERROR ? errmsg("topic \"%s\" is full", topic->name)
			: errmsg("consumer group \"%s\" of topic \"%s\" is far behind", group, topic->name),
			errdetail("Consumer group \"%s\" has not finished " INT64_FORMAT " messages; with " INT64_FORMAT " more there are more than \"max_backlog\" of the namespace, " INT64_FORMAT ".",
					  group, backlog, count, topic->policy.backlog_max),
			elevel == ERROR
			? errhint("Publish again when it has caught up; or move it with prism.seek(), drop it with prism.drop_group(), or raise \"max_backlog\".")
			: errhint("Messages beyond it may be dropped before the group has read them: let it catch up, or raise \"max_backlog\"."));
}

/*
 * By what was seen a moment ago there is room for so many.  While somebody looks
 * anew, the others go by what was seen before.
 */
static bool
had_room(PrismTopic *topic, int64 count, PrismInstant now, PrismCounterBacklog *last)
{
	PrismCounter *counter = topic->counter;
	int64		valid_us;
	bool		valid;
	int64		behind;

	prism_counter_init(topic);
	SpinLockAcquire(&counter->mutex);
	*last = counter->backlog;
	valid_us = Max(LOOK_US, LOOK_TIMES * last->look_us);
	valid = now - last->seen < valid_us || now - last->looking < LOOKER_US;
	if (!valid)
		counter->backlog.looking = now;
	SpinLockRelease(&counter->mutex);
	return valid && behind_by_now(topic, last, &behind) && behind + count <= topic->policy.backlog_max;
}

/* How far the slowest group is behind, and which it is: by the last look where that still tells, else by a new one. */
static int64
backlog_now(PrismTopic *topic, const PrismCounterBacklog *last, PrismInstant now, char **group)
{
	int64		backlog;

	*group = known_slowest(last, now);
	if (*group == NULL || !behind_by_now(topic, last, &backlog))
		backlog = measure_backlog(topic, group);
	return backlog;
}

void
prism_backlog_check(PrismTopic *topic, int64 count)
{
	const PrismTopicPolicy *policy = &topic->policy;
	PrismInstant now = prism_instant();
	PrismCounterBacklog last;
	char	   *group;
	int64		backlog;

	if (policy->backlog_max == 0 || had_room(topic, count, now, &last))
		return;
	if (!policy->reject && now - last.warned < WARN_US)
		return;

	backlog = backlog_now(topic, &last, now, &group);
	if (group == NULL || backlog + count <= policy->backlog_max)
		return;
	if (policy->reject)
		report_backlog(topic, ERROR, group, backlog, count);
	if (may_warn(topic->counter, now))
		report_backlog(topic, WARNING, group, backlog, count);
}

bool
prism_backlog_has_room(PrismTopic *topic, int64 count)
{
	const PrismTopicPolicy *policy = &topic->policy;
	PrismInstant now = prism_instant();
	PrismCounterBacklog last;
	char	   *group;
	int64		backlog;

	if (policy->backlog_max == 0 || !policy->reject || had_room(topic, count, now, &last))
		return true;
	backlog = backlog_now(topic, &last, now, &group);
	return group == NULL || backlog + count <= policy->backlog_max;
}
