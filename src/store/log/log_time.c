/*-------------------------------------------------------------------------
 *
 * log_time.c
 *	  Where in a log a time is.
 *
 * Positions are given out at commit, a message's time is that of its publish():
 * times do not quite ascend.  But a message that was published before a
 * transaction ended stands before those that were published after that, so a
 * search that goes right only where the times are older than TOLERANCE_US
 * passes no message of the wanted time or later, unless a transaction took
 * longer than that from its publish() to its commit.  So it does not believe
 * one transaction: those after it are asked as well, and what was passed was
 * a row of LOOK_MAX that all took so long.  What is left is scanned.
 *
 * src/store/log/log_time.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/log/log.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#define TOLERANCE_US (60 * USECS_PER_SEC)
/* Transactions that are asked at a place. */
#define LOOK_MAX 16

/* The first message at or behind a position; false: there is none. */
static bool
first_from(PrismTopic *topic, int64 from, PrismMessage *message)
{
	PrismReader *reader = prism_reader_open(topic, from);
	bool		found = prism_reader_look(reader, message);

	prism_reader_close(reader);
	return found;
}

/*
 * Do LOOK_MAX transactions follow from a position on, before 'end', that are
 * all older?  *behind: where the last of them ends.  Within one times ascend,
 * so its last message is asked.
 */
static bool
are_older(PrismTopic *topic, int64 from, int64 end, TimestampTz at, int64 *behind)
{
	PrismMessage message;

	*behind = from;
	for (int i = 0; i < LOOK_MAX; i++)
	{
		if (!first_from(topic, *behind, &message) || message.offset >= end)
			return false;
		if (message.remaining > 0 && !first_from(topic, message.offset + message.remaining, &message))
			return false;
		if (message.created_at >= at)
			return false;
		*behind = message.offset + 1;
	}
	return true;
}

/* A position that no message of 'at' or later stands before, as far as the tolerance reaches. */
static int64
search_time(PrismTopic *topic, TimestampTz at)
{
	int64		low = prism_log_earliest(topic);
	int64		high = prism_log_stable(topic);

	while (low < high)
	{
		int64		middle = low + (high - low) / 2;
		int64		behind;

		CHECK_FOR_INTERRUPTS();
		if (are_older(topic, middle, high, at, &behind))
			low = Min(behind, high);
		else
			high = middle;
	}
	return low;
}

int64
prism_log_at_time(PrismTopic *topic, TimestampTz at)
{
	PrismReader *reader;
	PrismMessage message;
	int64		position;

	if (TIMESTAMP_IS_NOBEGIN(at))
		return prism_log_earliest(topic);
	if (TIMESTAMP_IS_NOEND(at))
		return prism_log_stable(topic);

	reader = prism_reader_open(topic, search_time(topic, at - TOLERANCE_US));
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (!prism_reader_look(reader, &message))
		{
			position = prism_reader_position(reader);
			break;
		}
		if (message.created_at >= at)
		{
			position = message.offset;
			break;
		}
	}
	prism_reader_close(reader);
	return position;
}
