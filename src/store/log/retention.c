/*-------------------------------------------------------------------------
 *
 * retention.c
 *	  Dropping segments that are past retention, rolling those that fill slowly.
 *
 * src/store/log/retention.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/ownership.h"
#include "base/patience.h"
#include "store/log/counter.h"
#include "store/log/holders.h"
#include "store/log/log.h"
#include "store/log/progress.h"
#include "store/log/retention.h"
#include "store/log/segment.h"
#include "store/log/segment_repair.h"
#include "store/log/segment_size.h"

#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/timestamp.h"

/* A segment is left at this part of the retention, by time or size, at the latest. */
#define ROLL_PART 4
/* ... but not sooner: a segment is a table. */
#define ROLL_MS_MIN (60 * 1000)

#define FOREVER_MS (-1)

/* The last messages of a segment, whose latest time is told when it is dropped. */
#define LAST_MESSAGES 1024

/* ---------- what may go ---------- */

int64
prism_retention_ms(const PrismTopic *topic)
{
	if (topic->policy.retention_ms != PRISM_RETENTION_DEFAULT)
		return topic->policy.retention_ms;
	return prism_retention_min < 0 ? FOREVER_MS : (int64) prism_retention_min * SECS_PER_MINUTE * 1000;
}

static bool
older_than(TimestampTz at, int64 ms)
{
	/* a time that no disk has damaged */
	return IS_VALID_TIMESTAMP(at) && GetCurrentTimestamp() - at > ms * 1000;
}

static int64
segment_end(const PrismTopic *topic, int64 number)
{
	return (number + 1) * topic->segment_messages;
}

/* Some consumer has not finished the segment, and is waited for. */
static bool
is_awaited(PrismTopic *topic, int64 number, int64 slowest)
{
	const PrismTopicPolicy *policy = &topic->policy;

	if (!policy->for_consumers || slowest >= segment_end(topic, number))
		return false;
	/* a group that is farther behind than that has been warned of */
	return policy->backlog_max == 0 || policy->reject ||
		prism_counter_distance(topic, segment_end(topic, number), prism_log_stable(topic)) <= policy->backlog_max;
}

/* The newest segments are enough to tell: there may be thousands of those that are to go. */
static bool
is_log_too_large(PrismTopic *topic)
{
	int64		limit = topic->policy.retention_bytes;
	int64		settled;
	int64		bytes = 0;

	if (limit == 0)
		return false;
	settled = prism_log_stable(topic) / topic->segment_messages;
	bytes = prism_holders_bytes(topic, prism_segment_kept_from(topic), true);
	for (int64 number = prism_segment_last(topic->topic_id); number >= 0 && bytes <= limit;
		 number = prism_segment_before(topic->topic_id, number - 1))
	{
		CHECK_FOR_INTERRUPTS();
		bytes += number < settled ? prism_segment_settled_bytes(topic, number) : prism_segment_bytes(topic, number);
	}
	return bytes > limit;
}

static bool
is_past(PrismTopic *topic, int64 number)
{
	int64		ms = prism_retention_ms(topic);
	TimestampTz settled_at;

	if (is_log_too_large(topic))
		return true;
	if (ms == FOREVER_MS)
		return false;
	settled_at = prism_segment_settled_at(topic->topic_id, number);
	return settled_at != 0 && older_than(settled_at, ms);
}

/* A policy that does not ask for consumers does not look at them. */
static bool
may_go(PrismTopic *topic, int64 number)
{
	const PrismTopicPolicy *policy = &topic->policy;
	bool		past = is_past(topic, number);
	int64		slowest;
	int64		held_from;

	if (!past && !policy->no_replay)
		return false;
	held_from = prism_holders_slowest(topic, true);
	if (held_from < segment_end(topic, number))
		return false;
	if (!policy->for_consumers && !policy->no_replay)
		return true;
	/* the state of its consumers is made of its messages, too */
	if (prism_segments_restoring(topic->topic_id))
		return false;
	slowest = prism_holders_slowest(topic, false);
	if (is_awaited(topic, number, slowest))
		return false;
	/* without any reader nobody has finished it */
	slowest = Min(slowest, held_from);
	return past || (slowest != PRISM_NOBODY && slowest >= segment_end(topic, number));
}

/* ---------- dropping ---------- */

/*
 * The last message of a segment, sought from its end, and the latest time of it
 * and those before it: the last one may have been published long before its
 * commit.  False: there is none.
 */
static bool
last_message(PrismTopic *topic, int64 number, int64 *offset, TimestampTz *until)
{
	int64		base = number * topic->segment_messages;
	int64		end = prism_segment_end(topic, number);
	bool		found = false;

	*until = DT_NOBEGIN;
	for (int64 span = LAST_MESSAGES, seen = 0; !found && end - seen > base; seen = span, span *= 2)
	{
		PrismReader *reader = prism_reader_open(topic, Max(base, end - span));
		PrismMessage message;

		while (prism_reader_look(reader, &message) && message.offset < end)
		{
			CHECK_FOR_INTERRUPTS();
			*offset = message.offset;
			*until = Max(*until, message.created_at);
			found = true;
		}
		prism_reader_close(reader);
	}
	return found;
}

typedef struct LastMessage
{
	PrismTopic *topic;
	int64		number;			/* of the segment */
	bool		found;
	int64		offset;
	TimestampTz until;
} LastMessage;

static void
look_at_last(void *arg)
{
	LastMessage *last = arg;

	last->found = last_message(last->topic, last->number, &last->offset, &last->until);
}

/* What cannot be read goes as the rest does: all of the segment counts as messages then, until it was settled. */
static bool
find_last(LastMessage *last)
{
	const char *damage;

	if (prism_look_without_waiting(look_at_last, last, &damage))
		return true;
	if (damage == NULL)
		return false;
	last->found = true;
	last->offset = segment_end(last->topic, last->number) - 1;
	last->until = prism_segment_settled_at(last->topic->topic_id, last->number);
	if (last->until == 0)
		last->until = GetCurrentTimestamp();
	return true;
}

/* Its table is there, its index not: what it holds cannot be told, and a restore is about to make it. */
static bool
lacks_index(PrismTopic *topic, int64 number)
{
	return !OidIsValid(prism_segment_relid(topic, number, NULL)) && OidIsValid(topic->segment_relid);
}

/* Never waits: somebody who reads the segment, or restores it, keeps it until the next time. */
static bool
lock_unless_read(PrismTopic *topic, int64 number)
{
	Oid			relid = prism_segment_table(topic, number);

	return !OidIsValid(relid) ||
		(ConditionalLockRelationOid(relid, AccessExclusiveLock) && !lacks_index(topic, number) && prism_is_guarded(relid));
}

static bool
drop_oldest(PrismTopic *topic, int64 current)
{
	int64		number = prism_segment_next(topic->topic_id, 0);
	LastMessage last = {.topic = topic,.number = number};

	if (number < 0 || number >= current || lacks_index(topic, number) || !may_go(topic, number))
		return false;
	/* in this order: nobody shall find the segment locked by a session that waits for another one */
	if (!prism_topic_try_row(topic->topic_id) || !lock_unless_read(topic, number))
		return false;
	/* by a policy that an apply() has changed meanwhile nothing goes any more */
	AcceptInvalidationMessages();
	if (!prism_topic_is_current(topic))
		return false;
	if (!find_last(&last))
		return false;
	prism_segment_drop(topic->topic_id, number);
	if (last.found)
		prism_topic_note_dropped(topic->topic_id, last.offset + 1, last.until);
	return true;
}

/* A topic with little traffic would keep its first message for ever, one with large messages too many of them. */
static void
roll_slow(PrismTopic *topic, int64 current)
{
	int64		ms = prism_retention_ms(topic);
	int64		bytes = topic->policy.retention_bytes;
	PrismSegmentAge age;

	if (lacks_index(topic, current))
		return;
	prism_segment_age(topic, current, &age);
	if (!age.used || !OidIsValid(prism_segment_relid(topic, current + 1, NULL)))
		return;
	if ((ms != FOREVER_MS && older_than(age.begun_at, Max(ms / ROLL_PART, ROLL_MS_MIN))) ||
		(bytes > 0 && prism_segment_bytes(topic, current) +
		 prism_holders_bytes(topic, current * topic->segment_messages, false) > bytes / ROLL_PART))
		prism_counter_roll(topic, current);
}

void
prism_retention_roll_large(PrismTopic *topic, int64 bytes)
{
	int64		current;

	prism_counter_init(topic);
	current = prism_counter_peek(topic->counter) / topic->segment_messages;
	if (prism_segment_bytes(topic, current) > bytes && OidIsValid(prism_segment_relid(topic, current + 1, NULL)))
		prism_counter_roll(topic, current);
}

bool
prism_retention_enforce(PrismTopic *topic)
{
	int64		current;

	/* how far groups and sinks are is not known */
	if (prism_progress_is_restoring())
		return false;
	prism_counter_init(topic);
	current = prism_counter_peek(topic->counter) / topic->segment_messages;
	prism_segment_note_settled(topic->topic_id, prism_log_stable(topic) / topic->segment_messages);
	if (drop_oldest(topic, current))
		return true;
	roll_slow(topic, current);
	return false;
}

/* ---------- the progress log and the journal of delayed messages ---------- */

int64
prism_retention_checkpoint(PrismTopic *progress)
{
	int64		current = prism_counter_peek(progress->counter) / progress->segment_messages;
	int64		oldest = prism_segment_next(progress->topic_id, 0);

	if (oldest < 0 || oldest >= current || prism_segments_restoring(progress->topic_id))
		return 0;
	return prism_holders_checkpoint();
}

void
prism_retention_drop_below(PrismTopic *topic, int64 needed_from)
{
	int64		number = -1;

	for (int i = 0; i < PRISM_SEGMENTS_A_TRANSACTION; i++)
	{
		number = prism_segment_next(topic->topic_id, number + 1);
		if (number < 0 || segment_end(topic, number) > needed_from)
			break;
		if (!lock_unless_read(topic, number))
			break;
		prism_segment_drop(topic->topic_id, number);
	}
}
