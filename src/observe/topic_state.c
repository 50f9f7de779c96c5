/*-------------------------------------------------------------------------
 *
 * topic_state.c
 *	  How each topic stands, out of shared memory: behind prism.topics,
 *	  prism.status and prism.metrics.
 *
 * src/observe/topic_state.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/patience.h"
#include "base/query.h"
#include "store/delay/delay.h"
#include "store/log/counter.h"
#include "store/log/holders.h"
#include "store/log/log.h"
#include "store/log/segment.h"
#include "store/log/segment_ahead.h"
#include "store/log/segment_size.h"
#include "store/log/topic.h"
#include "store/payload/payload_count.h"

#include "access/xlog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(prism_topic_states);
PG_FUNCTION_INFO_V1(prism_topic_size);
PG_FUNCTION_INFO_V1(prism_topics_full);

/* Columns of prism_internal.topic_states(). */
enum
{
	STATE_TOPIC_ID,
	STATE_NAMESPACE_ID,
	STATE_FIRST_POSITION,
	STATE_NEXT_POSITION,
	STATE_MESSAGES,
	STATE_BYTES,
	STATE_LAST_PUBLISH,
	STATE_COMMITTING_PID,
	STATE_COMMITTING_SINCE,
	STATE_DELAYED,
	STATE_NEXT_DUE,
	STATE_LOCKED,
	STATE_KEPT,
	STATE_LACKING,
	STATE_PLACELESS,
	STATE_INSERTED,
	STATE_PAYLOADS_STORED,
	STATE_PAYLOADS_RETRIEVED,
	STATE_PAYLOADS_REMOVED,
	STATE_COLUMNS
};

/* The numbers of all topics, in the current memory context. */
static List *
topic_ids(void)
{
	PrismQueryRows rows = prism_query_read("SELECT topic_id FROM prism.topic ORDER BY topic_id", 0, NULL, NULL, 0);
	List	   *ids = NIL;

	for (uint64 i = 0; i < rows.count; i++)
		ids = lappend_int(ids, prism_column_int32(&rows.row[i], 1));
	prism_query_free(&rows);
	return ids;
}

static void
put_value(Datum *values, bool *nulls, int column, Datum value, bool known)
{
	values[column] = value;
	nulls[column] = !known;
}

/* What has to be read from the log. */
typedef struct Look
{
	PrismTopic *topic;
	int64		first;
	int64		kept;
	bool		is_free;
	bool		is_lacking;
} Look;

static void
look_at_log(void *arg)
{
	Look	   *look = arg;
	int64		next;

	look->first = prism_log_earliest(look->topic);
	look->kept = prism_counter_distance(look->topic, look->first, prism_log_stable(look->topic));
	next = prism_counter_peek(look->topic->counter);
	look->is_lacking = prism_segments_lacking(look->topic);
	look->is_free = prism_segments_are_free(look->topic, next, next + 1);
}

static void
put_payloads(PrismCounter *counter, Datum *values, bool *nulls)
{
	int64		stored;
	int64		retrieved;
	int64		removed;

	prism_payload_counts(counter, &stored, &retrieved, &removed);
	put_value(values, nulls, STATE_PAYLOADS_STORED, Int64GetDatum(stored), true);
	put_value(values, nulls, STATE_PAYLOADS_RETRIEVED, Int64GetDatum(retrieved), true);
	put_value(values, nulls, STATE_PAYLOADS_REMOVED, Int64GetDatum(removed), true);
}

/* What only a server that has prism in shared memory knows. */
static void
put_shared(PrismTopic *topic, Datum *values, bool *nulls)
{
	PrismCounter *counter = topic->counter;
	PrismInFlight oldest = {0};
	bool		committing;
	int64		messages;
	int64		bytes;
	int64		inserted;
	TimestampTz last_publish;
	TimestampTz next_due;
	bool		known;
	Look		look = {.topic = topic};
	const char *damage;
	bool		looked = prism_look_without_waiting(look_at_log, &look, &damage);

	put_value(values, nulls, STATE_LOCKED, BoolGetDatum(!looked || !look.is_free), damage == NULL);
	put_value(values, nulls, STATE_LACKING, BoolGetDatum(look.is_lacking), looked);
	put_value(values, nulls, STATE_FIRST_POSITION, Int64GetDatum(look.first), looked);
	put_value(values, nulls, STATE_NEXT_POSITION, Int64GetDatum(prism_counter_peek(counter)), prism_counter_is_ready(counter));
	put_value(values, nulls, STATE_KEPT, Int64GetDatum(look.kept), looked);

	SpinLockAcquire(&counter->mutex);
	messages = counter->messages_total;
	bytes = counter->bytes_total;
	inserted = counter->inserted_total;
	last_publish = counter->last_publish;
	SpinLockRelease(&counter->mutex);
	put_value(values, nulls, STATE_MESSAGES, Int64GetDatum(messages), true);
	put_value(values, nulls, STATE_BYTES, Int64GetDatum(bytes), true);
	put_value(values, nulls, STATE_INSERTED, Int64GetDatum(inserted), true);
	put_payloads(counter, values, nulls);
	put_value(values, nulls, STATE_LAST_PUBLISH, TimestampTzGetDatum(last_publish), last_publish != 0);

	committing = prism_counter_oldest(counter, &oldest);
	put_value(values, nulls, STATE_COMMITTING_PID, Int32GetDatum(oldest.pid), committing);
	put_value(values, nulls, STATE_COMMITTING_SINCE, TimestampTzGetDatum(oldest.since), committing);

	known = prism_delay_shared_waiting(topic, &messages, &next_due);
	put_value(values, nulls, STATE_DELAYED, Int64GetDatum(messages), known);
	put_value(values, nulls, STATE_NEXT_DUE, TimestampTzGetDatum(next_due), known && next_due != DT_NOEND);
}

/* Without preload, on a standby and of a topic that found no place, what is in shared memory is NULL. */
Datum
prism_topic_states(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	bool		has_shared = prism_preloaded && !RecoveryInProgress();
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, topic_ids())
	{
		bool		busy;
		PrismTopic *topic = prism_topic_look_id(lfirst_int(cell), &busy);
		Datum		values[STATE_COLUMNS] = {0};
		bool		nulls[STATE_COLUMNS];

		CHECK_FOR_INTERRUPTS();
		if (topic == NULL)
			continue;
		if (!prism_topic_is_visible(topic))
		{
			prism_topic_release(topic);
			continue;
		}
		memset(nulls, true, sizeof(nulls));
		put_value(values, nulls, STATE_TOPIC_ID, Int32GetDatum(topic->topic_id), true);
		put_value(values, nulls, STATE_NAMESPACE_ID, Int32GetDatum(topic->namespace_id), topic->namespace_id > 0);
		put_value(values, nulls, STATE_PLACELESS, BoolGetDatum(topic->counter == NULL), has_shared);
		if (has_shared && topic->counter != NULL)
			put_shared(topic, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		prism_topic_release(topic);
	}
	return (Datum) 0;
}

/* A topic that is made now, as that of dead letters is by itself, finds no place. */
Datum
prism_topics_full(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(prism_preloaded && !RecoveryInProgress() && prism_counter_slots_used() >= prism_max_topics);
}

/* ---------- on disk ---------- */

typedef struct TopicSize
{
	PrismTopic *topic;
	int64		segments;
	int64		bytes;
	int64		payload_bytes;
} TopicSize;

static void
add_up(void *arg)
{
	TopicSize  *size = arg;
	int64		number = -1;

	/* what is locked is counted all the same */
	while ((number = prism_segment_next(size->topic->topic_id, number + 1)) >= 0)
	{
		CHECK_FOR_INTERRUPTS();
		size->segments++;
	}
	number = -1;
	while ((number = prism_segment_next(size->topic->topic_id, number + 1)) >= 0)
	{
		CHECK_FOR_INTERRUPTS();
		size->bytes += prism_segment_bytes(size->topic, number);
	}
	size->payload_bytes = prism_holders_bytes(size->topic, 0, true);
}

/* Argument: topic_id.  No row for those who may not see it. */
Datum
prism_topic_size(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	TopicSize	size = {0};
	Datum		values[3];
	bool		nulls[3] = {false, false, false};
	bool		busy;
	const char *damage;

	InitMaterializedSRF(fcinfo, 0);
	size.topic = prism_topic_look_id(PG_GETARG_INT32(0), &busy);
	if (size.topic == NULL)
		return (Datum) 0;
	if (prism_topic_is_visible(size.topic))
	{
		nulls[1] = nulls[2] = !prism_look_without_waiting(add_up, &size, &damage);
		values[0] = Int64GetDatum(size.segments);
		values[1] = Int64GetDatum(size.bytes);
		values[2] = Int64GetDatum(size.payload_bytes);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	prism_topic_release(size.topic);
	return (Datum) 0;
}
