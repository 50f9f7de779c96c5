/*-------------------------------------------------------------------------
 *
 * retention.c
 *	  Dropping segments that are past retention, rolling those that fill slowly.
 *
 * src/store/retention.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "compat.h"
#include "guc.h"
#include "store/counter.h"
#include "store/group.h"
#include "store/retention.h"
#include "store/segment.h"
#include "store/sink.h"

#include "storage/lmgr.h"
#include "utils/timestamp.h"

/* A segment is left this part of the retention after its first message at the latest. */
#define ROLL_PART 4

static bool
older_than(TimestampTz at, int64 minutes)
{
	return GetCurrentTimestamp() - at > minutes * USECS_PER_MINUTE;
}

/* Everything in the segment is out: no sink will read it again. */
static bool
is_out(PrismTopic *topic, int64 segment_number)
{
	int64		slowest = prism_sink_slowest(topic->topic_id);

	return slowest < 0 || slowest >= (segment_number + 1) * topic->segment_messages;
}

/* Never waits: somebody who reads the segment keeps it until the next time. */
static bool
drop_unless_read(PrismTopic *topic, int64 number)
{
	Oid			relid = prism_segment_relid(topic, number, NULL);

	if (OidIsValid(relid) && !ConditionalLockRelationOid(relid, AccessExclusiveLock))
		return false;
	prism_segment_drop(topic->topic_id, number);
	return true;
}

static bool
drop_oldest(PrismTopic *topic, int64 current)
{
	int64		number = prism_segment_next(topic->topic_id, 0);
	PrismSegmentAge age;

	if (number < 0 || number >= current || !is_out(topic, number))
		return false;
	prism_segment_age(topic, number, &age);
	if (!older_than(age.last, prism_retention_min))
		return false;
	return drop_unless_read(topic, number);
}

/* A topic with little traffic would keep its first message for ever. */
static void
roll_slow(PrismTopic *topic, int64 current)
{
	PrismSegmentAge age;

	prism_segment_age(topic, current, &age);
	if (age.used && older_than(age.first, Max(prism_retention_min / ROLL_PART, 1)) &&
		OidIsValid(prism_segment_relid(topic, current + 1, NULL)))
		prism_counter_roll(topic, current);
}

bool
prism_retention_enforce(PrismTopic *topic)
{
	int64		current;

	if (prism_retention_min < 0)
		return false;
	prism_counter_init(topic);
	current = prism_counter_peek(topic->counter) / topic->segment_messages;
	if (drop_oldest(topic, current))
		return true;
	roll_slow(topic, current);
	return false;
}

int64
prism_retention_checkpoint(PrismTopic *progress)
{
	int64		current = prism_counter_peek(progress->counter) / progress->segment_messages;
	int64		oldest = prism_segment_next(progress->topic_id, 0);
	int64		needed_from;

	if (oldest < 0 || oldest >= current)
		return 0;
	/* what is settled by now is in the states that are read after it; sinks repeat no more than is in the log */
	needed_from = prism_group_checkpoint_all();
	prism_sink_checkpoint_all();
	return needed_from;
}

void
prism_retention_drop_below(PrismTopic *topic, int64 needed_from)
{
	int64		number = -1;

	while ((number = prism_segment_next(topic->topic_id, number + 1)) >= 0 &&
		   (number + 1) * topic->segment_messages <= needed_from)
	{
		if (!drop_unless_read(topic, number))
			break;
	}
}
