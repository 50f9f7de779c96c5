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
 * src/store/backlog.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "store/backlog.h"
#include "store/counter.h"
#include "store/group_shared.h"

#include "utils/timestamp.h"

/* What was seen is used so long. */
#define LOOK_US (1 * USECS_PER_SEC)
/* Publishers of a topic are warned so often. */
#define WARN_US (60 * USECS_PER_SEC)

/* False: the group has been dropped. */
static bool
position_of(PrismTopic *topic, const PrismGroupRow *row, int64 *position)
{
	PrismGroupRef *ref = prism_group_open(topic, row->name, PRISM_GROUP_LOOK);

	if (ref == NULL)
	{
		/* no place to load it: its state is in the progress log */
		*position = prism_group_replay_position(row);
		return true;
	}
	if (!prism_group_lock_if(ref->group, ref->generation))
		return false;
	*position = prism_window_base(ref->group->window);
	prism_group_unlock(ref->group);
	return true;
}

int64
prism_group_slowest(PrismTopic *topic, char **name)
{
	int64		slowest = PG_INT64_MAX;
	ListCell   *cell;

	foreach(cell, prism_group_rows())
	{
		PrismGroupRow *row = lfirst(cell);
		int64		position;

		if (row->topic_id != topic->topic_id || !position_of(topic, row, &position) || position >= slowest)
			continue;
		slowest = position;
		if (name != NULL)
			*name = row->name;
	}
	return slowest;
}

/* Messages that the slowest group has not finished. */
static int64
look(PrismTopic *topic, PrismInstant now, char **name)
{
	PrismCounter *counter = topic->counter;
	int64		next = prism_counter_peek(counter);
	int64		slowest = prism_group_slowest(topic, name);
	int64		behind = prism_counter_distance(topic, Min(slowest, next), next);

	SpinLockAcquire(&counter->mutex);
	counter->backlog.behind = behind;
	counter->backlog.end = next;
	counter->backlog.seen = now;
	SpinLockRelease(&counter->mutex);
	return behind;
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
report(PrismTopic *topic, int elevel, const char *group, int64 backlog, int64 count)
{
	ereport(elevel,
			errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			elevel == ERROR ? errmsg("topic \"%s\" is full", topic->name)
			: errmsg("consumer group \"%s\" of topic \"%s\" is far behind", group, topic->name),
			errdetail("Consumer group \"%s\" has not finished " INT64_FORMAT " messages; with " INT64_FORMAT " more there are more than \"max_backlog\" of the namespace, " INT64_FORMAT ".",
					  group, backlog, count, topic->policy.backlog_max),
			elevel == ERROR
			? errhint("Publish again when it has caught up; or move it with prism.seek(), drop it with prism.drop_group(), or raise \"max_backlog\".")
			: errhint("What it is farther behind is kept for it no longer: let it catch up, or raise \"max_backlog\"."));
}

/* By what was seen a moment ago there is room for so many. */
static bool
had_room(PrismTopic *topic, int64 count, PrismInstant now, PrismCounterBacklog *last)
{
	PrismCounter *counter = topic->counter;
	int64		since;

	prism_counter_init(topic);
	SpinLockAcquire(&counter->mutex);
	*last = counter->backlog;
	SpinLockRelease(&counter->mutex);
	return now - last->seen < LOOK_US &&
		prism_counter_recent_distance(counter, last->end, prism_counter_peek(counter), &since) &&
		last->behind + since + count <= topic->policy.backlog_max;
}

void
prism_backlog_check(PrismTopic *topic, int64 count)
{
	const PrismTopicPolicy *policy = &topic->policy;
	PrismInstant now = prism_instant();
	char	   *group = NULL;
	PrismCounterBacklog last;
	int64		backlog;

	if (policy->backlog_max == 0 || had_room(topic, count, now, &last))
		return;
	if (!policy->reject && now - last.warned < WARN_US)
		return;

	backlog = look(topic, now, &group);
	if (group == NULL || backlog + count <= policy->backlog_max)
		return;
	if (policy->reject)
		report(topic, ERROR, group, backlog, count);
	if (may_warn(topic->counter, now))
		report(topic, WARNING, group, backlog, count);
}

bool
prism_backlog_has_room(PrismTopic *topic, int64 count)
{
	const PrismTopicPolicy *policy = &topic->policy;
	PrismInstant now = prism_instant();
	char	   *group = NULL;
	PrismCounterBacklog last;

	if (policy->backlog_max == 0 || !policy->reject || had_room(topic, count, now, &last))
		return true;
	return look(topic, now, &group) + count <= policy->backlog_max || group == NULL;
}
