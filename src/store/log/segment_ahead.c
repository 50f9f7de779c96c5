/*-------------------------------------------------------------------------
 *
 * segment_ahead.c
 *	  Segments that publishers find ready, or ask the maintainer for and wait.
 *
 * src/store/log/segment_ahead.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/patience.h"
#include "base/query.h"
#include "base/wait_event.h"
#include "store/log/counter.h"
#include "store/log/segment.h"
#include "store/log/segment_ahead.h"

#include "access/xact.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "utils/inval.h"

/* How long a publisher waits for the maintainer to make a segment. */
#define SEGMENT_PATIENCE_MS 10000
/* How often it looks by itself, should the maintainer's signal be lost. */
#define SEGMENT_RECHECK_MS 200

/* Segments kept ready behind the current one. */
#define SEGMENTS_AHEAD 1

void		(*prism_segment_wake) (void) = NULL;

/* All segments that hold [first, end) exist. */
static bool
segments_exist(PrismTopic *topic, int64 first, int64 end)
{
	for (int64 number = first / topic->segment_messages;
		 number <= (end - 1) / topic->segment_messages; number++)
	{
		if (!OidIsValid(prism_segment_relid(topic, number, NULL)))
			return false;
	}
	return true;
}

bool
prism_segments_are_free(PrismTopic *topic, int64 first, int64 end)
{
	for (int64 number = first / topic->segment_messages;
		 number <= (end - 1) / topic->segment_messages; number++)
	{
		Oid			index_relid;
		Oid			relid = prism_segment_relid(topic, number, &index_relid);

		if (OidIsValid(relid) &&
			(!ConditionalLockRelationOid(relid, RowExclusiveLock) || !ConditionalLockRelationOid(index_relid, RowExclusiveLock)))
			return false;
	}
	return true;
}

bool
prism_segments_lacking(PrismTopic *topic)
{
	PrismCounter *counter = topic->counter;
	int64		next,
				end;

	SpinLockAcquire(&counter->mutex);
	next = counter->next;
	end = Max(counter->wanted_end, next + 1);
	SpinLockRelease(&counter->mutex);
	return !segments_exist(topic, next, end);
}

bool
prism_segments_to_make(PrismTopic *topic, int64 *first, int64 *last)
{
	PrismCounter *counter = topic->counter;
	int64		next,
				wanted_end;

	SpinLockAcquire(&counter->mutex);
	next = counter->next;
	wanted_end = counter->wanted_end;
	SpinLockRelease(&counter->mutex);

	*first = next / topic->segment_messages;
	/* a topic that nobody has used yet has its first segment, and wants no other */
	*last = Max(next, wanted_end - 1) / topic->segment_messages + (next > 0 ? SEGMENTS_AHEAD : 0);
	while (*first <= *last && OidIsValid(prism_segment_relid(topic, *first, NULL)))
		(*first)++;
	return *first <= *last;
}

static void
want_segments(PrismCounter *counter, int64 end)
{
	SpinLockAcquire(&counter->mutex);
	counter->wanted_end = Max(counter->wanted_end, end);
	SpinLockRelease(&counter->mutex);
	if (prism_segment_wake != NULL)
		prism_segment_wake();
}

bool
prism_segment_ready(PrismTopic *topic, int64 messages)
{
	int64		first;

	prism_counter_init(topic);
	first = prism_counter_peek(topic->counter);
	if (segments_exist(topic, first, first + messages))
		return prism_segments_are_free(topic, first, first + messages);
	want_segments(topic->counter, first + messages);
	return false;
}

/* Of a topic that nobody else sees nobody else can make them; also when the transaction was set READ ONLY after it published. */
static void
make_own_segments(PrismTopic *topic, int64 first, int64 end)
{
	int			nest_level = prism_query_begin_without_triggers();
	bool		read_only = XactReadOnly;

	XactReadOnly = false;
	for (int64 number = first / topic->segment_messages;
		 number <= (end - 1) / topic->segment_messages; number++)
		(void) prism_segment_create(topic, number);
	XactReadOnly = read_only;
	prism_query_end_without_triggers(nest_level);
}

void
prism_segment_await(PrismTopic *topic, int64 first, int64 end)
{
	PrismCounter *counter = topic->counter;
	PrismInstant give_up;

	if (segments_exist(topic, first, end))
		return;
	if (prism_counter_is_new(topic->mark_relid))
	{
		make_own_segments(topic, first, end);
		return;
	}
	give_up = prism_instant_after(prism_instant(), SEGMENT_PATIENCE_MS);
	ConditionVariablePrepareToSleep(&counter->segments_changed);
	for (;;)
	{
		want_segments(counter, end);
		AcceptInvalidationMessages();
		if (segments_exist(topic, first, end))
			break;
		if (prism_instant() >= give_up)
			ereport(ERROR,
					errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					errmsg("no segment ready for topic \"%s\"", topic->name),
					errdetail("Offset " INT64_FORMAT " needs one, and none was made within %d seconds.",
							  end - 1, SEGMENT_PATIENCE_MS / 1000),
					errhint("prism's maintainer makes segments: look at prism.workers, max_worker_processes and the server log."));
		ConditionVariableTimedSleep(&counter->segments_changed, SEGMENT_RECHECK_MS, prism_wait_event(PRISM_WAIT_SEGMENT));
	}
	ConditionVariableCancelSleep();
}
