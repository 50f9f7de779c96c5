/*-------------------------------------------------------------------------
 *
 * dead_letter.c
 *	  Messages that the other side will never take.
 *
 * They are published to the topic <origin>.dlq, made when it is first needed.
 * The progress record in the same transaction names the message, so a crash
 * before the position has moved past it does not write it twice.
 *
 * src/bgworker/dead_letter.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "bgworker/forwarder.h"
#include "store/log.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#define DEAD_LETTER_SUFFIX ".dlq"

/* Headers that tell where a dead letter comes from. */
#define HEADER_TOPIC "dead_letter_topic"
#define HEADER_POSITION "dead_letter_position"
#define HEADER_SINK "dead_letter_sink"
#define HEADER_REASON "dead_letter_reason"
#define HEADER_ATTEMPTS "dead_letter_attempts"

static PrismTopic *
dead_letter_topic(const PrismTopic *origin)
{
	char		name[PRISM_TOPIC_NAME_MAX + 1];
	int			room = PRISM_TOPIC_NAME_MAX - (int) strlen(DEAD_LETTER_SUFFIX);
	PrismTopic *topic;

	snprintf(name, sizeof(name), "%.*s%s", room, origin->name, DEAD_LETTER_SUFFIX);
	topic = prism_topic_lookup(name, true);
	if (topic == NULL)
	{
		(void) prism_topic_create(name, origin->namespace_id, origin->message_bytes_max,
								  prism_topic_policy_of_dead_letters(&origin->policy));
		topic = prism_topic_lookup(name, false);
	}
	return topic;
}

static void
push_header(JsonbParseState **state, const char *name, const char *value)
{
	JsonbValue	item = {.type = jbvString};

	item.val.string.val = unconstify(char *, name);
	item.val.string.len = strlen(name);
	pushJsonbValue(state, WJB_KEY, &item);
	item.val.string.val = unconstify(char *, value);
	item.val.string.len = strlen(value);
	pushJsonbValue(state, WJB_VALUE, &item);
}

/* The message's own headers, and ours; of equal names the last one counts. */
static Datum
dead_letter_headers(const PrismRoute *route, const PrismMessage *message,
					const char *reason, int attempts)
{
	JsonbParseState *state = NULL;
	JsonbValue *object;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (message->has_headers)
	{
		JsonbIterator *iterator = JsonbIteratorInit(&DatumGetJsonbP(message->headers)->root);
		JsonbValue	item;
		JsonbIteratorToken token;

		while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
			if (token == WJB_KEY || token == WJB_VALUE)
				pushJsonbValue(&state, token, &item);
	}
	push_header(&state, HEADER_TOPIC, route->sink.topic_name);
	push_header(&state, HEADER_POSITION, psprintf(INT64_FORMAT, message->offset));
	push_header(&state, HEADER_SINK, route->sink.backend);
	push_header(&state, HEADER_REASON, reason);
	push_header(&state, HEADER_ATTEMPTS, psprintf("%d", attempts));
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbPGetDatum(JsonbValueToJsonb(object));
}

static void
bury(PrismRoute *route, PrismBatch *batch, int i)
{
	const PrismMessage *message = &batch->messages[i];
	const char *reason = route->lane->reject_error;
	PrismMessage letter = *message;
	PrismTopic *origin;

	prism_worker_begin("writes a dead letter");
	origin = prism_topic_lookup_id(route->sink.topic_id, true);
	if (origin != NULL)
	{
		letter.headers = dead_letter_headers(route, message, reason, 1);
		letter.has_headers = true;
		prism_log_append(dead_letter_topic(origin), &letter);
		prism_sink_record(route->sink.sink_id, PRISM_SINK_DEAD, message->offset);
		/* the position that moves past it may be on the other side's disk first */
		ForceSyncCommit();
	}
	prism_worker_commit();

	prism_route_remember_dead(route, message->offset);
	prism_batch_settle(batch, i, FATE_DEAD);
	route->condemned--;
	prism_sink_count(route->slot, PRISM_SINK_DEAD_LETTERS, 1);
	prism_lane_report(route->lane, psprintf("topic \"%s\": a message was refused", route->sink.topic_name),
					  reason,
					  psprintf("Message " INT64_FORMAT " is now a dead letter in topic \"%s%s\".",
							   message->offset, route->sink.topic_name, DEAD_LETTER_SUFFIX));
}

/* Write the dead letters of the condemned messages, in order. */
void
prism_batches_bury(PrismRoute *route)
{
	dlist_iter	iter;

	if (route->condemned == 0)
		return;
	dlist_foreach(iter, &route->window)
	{
		PrismBatch *batch = dlist_container(PrismBatch, node, iter.cur);

		for (int i = 0; i < batch->count && route->condemned > 0; i++)
			if (batch->fates[i] == FATE_CONDEMNED)
				bury(route, batch, i);
	}
}
