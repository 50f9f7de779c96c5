/*-------------------------------------------------------------------------
 *
 * payload_ahead.c
 *	  The payload segment that is written to: found, or asked for and awaited.
 *
 * Which one is current stands in the topic's counter.  It only ever grows while
 * the server runs, and after a start it is the last one of the catalogue: who
 * makes one moves it when the table is committed, so a maintainer that ends in
 * between leaves one that its successor finds and takes.
 *
 * src/store/payload/payload_ahead.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/clock.h"
#include "base/patience.h"
#include "base/query.h"
#include "base/wait_event.h"
#include "store/log/counter.h"
#include "store/log/segment_ahead.h"
#include "store/payload/payload_ahead.h"
#include "store/payload/payload_segment.h"

#include "access/relation.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/inval.h"
#include "utils/rel.h"

/* How long a publisher waits for the maintainer to make a payload segment. */
#define PAYLOAD_PATIENCE_MS 10000
/* How often it looks by itself, should the maintainer's signal be lost. */
#define PAYLOAD_RECHECK_MS 200

typedef struct CurrentSegment
{
	int64		number;			/* 0: there is none */
	int32		store_id;		/* 0: nobody may write to it */
} CurrentSegment;

static CurrentSegment
read_current(PrismCounter *counter)
{
	CurrentSegment current;

	SpinLockAcquire(&counter->mutex);
	current.number = counter->payload.current;
	current.store_id = counter->payload.store_id;
	SpinLockRelease(&counter->mutex);
	return current;
}

/* As the catalogue has it, when nobody has looked since the server started. */
static CurrentSegment
find_current(PrismTopic *topic)
{
	PrismCounter *counter = topic->counter;
	CurrentSegment current = read_current(counter);
	PrismPayloadSegment last;

	if (current.number > 0)
		return current;
	last = prism_payload_segment_to(topic->topic_id, PG_INT64_MAX);
	if (last.number == 0)
		return current;
	SpinLockAcquire(&counter->mutex);
	/* one that was made since then is the current one already */
	if (counter->payload.current == 0)
	{
		counter->payload.current = last.number;
		counter->payload.store_id = last.sealed_end < 0 ? last.store_id : 0;
	}
	SpinLockRelease(&counter->mutex);
	return read_current(counter);
}

int64
prism_payload_current(PrismTopic *topic)
{
	return find_current(topic).number;
}

/* ---------- asking for one ---------- */

/* The caller holds the spinlock. */
static bool
is_wanted(const PrismCounterPayload *payload)
{
	return payload->wanted_store != 0 &&
		(payload->current <= payload->wanted_above || payload->store_id != payload->wanted_store);
}

void
prism_payload_want_next(PrismTopic *topic, int64 number, int32 store_id)
{
	PrismCounter *counter = topic->counter;

	SpinLockAcquire(&counter->mutex);
	counter->payload.wanted_store = store_id;
	counter->payload.wanted_above = Max(counter->payload.wanted_above, number);
	SpinLockRelease(&counter->mutex);
	if (prism_segment_wake != NULL)
		prism_segment_wake();
}

bool
prism_payload_is_wanted(PrismTopic *topic)
{
	PrismCounter *counter = topic->counter;
	bool		wanted;

	SpinLockAcquire(&counter->mutex);
	wanted = is_wanted(&counter->payload);
	SpinLockRelease(&counter->mutex);
	return wanted;
}

bool
prism_payload_make_wanted(PrismTopic *topic, PrismPayloadMade *made)
{
	PrismCounter *counter = topic->counter;
	PrismPayloadSegment last;
	bool		wanted;
	int32		store_id;
	int64		above;

	(void) find_current(topic);
	SpinLockAcquire(&counter->mutex);
	wanted = is_wanted(&counter->payload);
	store_id = counter->payload.wanted_store;
	above = counter->payload.wanted_above;
	SpinLockRelease(&counter->mutex);
	if (!wanted)
		return false;
	made->counter = counter;
	made->mark_relid = topic->mark_relid;
	made->store_id = store_id;
	/* one that a maintainer had made which then came to its end */
	last = prism_payload_segment_to(topic->topic_id, PG_INT64_MAX);
	if (last.number > above && last.store_id == store_id && last.sealed_end < 0 &&
		OidIsValid(prism_payload_segment_relid(topic->topic_id, last.number)))
		made->number = last.number;
	else
		made->number = prism_payload_segment_create(topic->topic_id, store_id);
	return true;
}

/* A slot that another topic has taken since then is another's: a mark says whose it is. */
void
prism_payload_made(const PrismPayloadMade *made)
{
	PrismCounter *counter = made->counter;

	SpinLockAcquire(&counter->mutex);
	if (counter->database == MyDatabaseId && counter->mark_relid == made->mark_relid &&
		counter->payload.current < made->number)
	{
		counter->payload.current = made->number;
		counter->payload.store_id = made->store_id;
		if (!is_wanted(&counter->payload))
			counter->payload.wanted_store = 0;
	}
	SpinLockRelease(&counter->mutex);
	ConditionVariableBroadcast(&counter->segments_changed);
}

/* ---------- opening it ---------- */

/* NULL: its table is gone. */
static Relation
open_numbered(PrismTopic *topic, int64 number)
{
	Oid			relid = prism_payload_segment_relid(topic->topic_id, number);
	Relation	heap = OidIsValid(relid) ? prism_try_relation_open(relid, RowExclusiveLock) : NULL;

	if (heap != NULL && !prism_is_payload_segment(heap))
		prism_payload_segment_refuse(heap);
	return heap;
}

/* Of a topic that nobody else sees nobody else can make it; also when the transaction was set READ ONLY after it published. */
static Relation
open_own(PrismTopic *topic, int32 store_id, int64 *number)
{
	PrismPayloadSegment last = prism_payload_segment_to(topic->topic_id, PG_INT64_MAX);
	int			nest_level;
	bool		read_only = XactReadOnly;

	*number = last.number;
	if (last.number == 0 || last.store_id != store_id)
	{
		nest_level = prism_query_begin_without_triggers();
		XactReadOnly = false;
		*number = prism_payload_segment_create(topic->topic_id, store_id);
		XactReadOnly = read_only;
		prism_query_end_without_triggers(nest_level);
	}
	return open_numbered(topic, *number);
}

/*
 * The current segment, if it is of the store.  Between the look at its number
 * and the lock it may have been left for the next one, and be sealed by now: so
 * there is another look behind the lock.
 */
static Relation
try_current(PrismTopic *topic, int32 store_id, int64 *number)
{
	for (;;)
	{
		CurrentSegment current = find_current(topic);
		Relation	heap;

		*number = current.number;
		if (current.number == 0 || current.store_id != store_id)
			return NULL;
		heap = open_numbered(topic, current.number);
		if (heap == NULL || read_current(topic->counter).number == current.number)
			return heap;
		relation_close(heap, RowExclusiveLock);
		CHECK_FOR_INTERRUPTS();
	}
}

pg_noreturn static void
give_up_waiting(const PrismTopic *topic)
{
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			errmsg("no payload segment ready for topic \"%s\"", topic->name),
			errdetail("Its payload needs one, and none was made within %d seconds.", PAYLOAD_PATIENCE_MS / 1000),
			errhint("prism's maintainer makes them: look at prism.workers, max_worker_processes and the server log."));
}

Relation
prism_payload_open_current(PrismTopic *topic, int32 store_id, int64 *number)
{
	PrismCounter *counter = topic->counter;
	Relation	heap;
	PrismInstant give_up;

	if (prism_counter_is_new(topic->mark_relid))
		heap = open_own(topic, store_id, number);
	else
		heap = try_current(topic, store_id, number);
	if (heap != NULL)
		return heap;
	give_up = prism_instant_after(prism_instant(), PAYLOAD_PATIENCE_MS);
	ConditionVariablePrepareToSleep(&counter->segments_changed);
	for (;;)
	{
		AcceptInvalidationMessages();
		heap = try_current(topic, store_id, number);
		if (heap != NULL)
			break;
		if (prism_instant() >= give_up)
			give_up_waiting(topic);
		prism_payload_want_next(topic, *number, store_id);
		ConditionVariableTimedSleep(&counter->segments_changed, PAYLOAD_RECHECK_MS, prism_wait_event(PRISM_WAIT_SEGMENT));
	}
	ConditionVariableCancelSleep();
	return heap;
}
