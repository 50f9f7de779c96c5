/*-------------------------------------------------------------------------
 *
 * scenario.c
 *	  The scenarios, and what several of them need.
 *
 * test/lib/backend_test/scenario.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "backend/queue.h"

#include <librdkafka/rdkafka.h>

#include "backend_test.h"

#include "miscadmin.h"
#include "utils/memutils.h"

typedef struct NamedScenario
{
	const char *name;
	Scenario	run;
} NamedScenario;

static const NamedScenario scenarios[] = {
	{"send_in_order", send_in_order},
	{"transactions", transactions},
	{"fencing", fencing},
	{"partitions", partitions},
	{"more_partitions", more_partitions},
	{"shapes", shapes},
	{"too_large", too_large},
	{"small_topic", small_topic},
	{"purging", purging},
	{"broker_away", broker_away},
	{"refused_options", refused_options},
	{"refused_numbers", refused_numbers},
	{"late_commit", late_commit},
	{"late_commit_bare", late_commit_bare},
	{"swallowed", swallowed},
	{"unstable_position", unstable_position},
	{"broker_killed", broker_killed},
	{"broker_killed_in_transaction", broker_killed_in_transaction},
	{"memory_faults", memory_faults},
	{"memory_tells_repetition", memory_tells_repetition},
	{"memory_rejects", memory_rejects},
	{"left_open", left_open},
	{"latency", latency},
	{"rate_idempotent", rate_idempotent},
	{"rate_transactional", rate_transactional},
};

Scenario
scenario_find(const char *name)
{
	for (size_t i = 0; i < lengthof(scenarios); i++)
		if (strcmp(scenarios[i].name, name) == 0)
			return scenarios[i].run;
	return NULL;
}

/* A name nobody has used, as topics outlive the test's database. */
const char *
new_name(const char *prefix)
{
	return psprintf("%s.%d.%.0f", prefix, MyProcPid, now_ms());
}

List *
kafka_options(void)
{
	return options_of("bootstrap.servers", brokers, NULL);
}

Subject *
open_kafka(const char *transactional_id)
{
	return subject_open("kafka", transactional_id, kafka_options());
}

/* Sends messages 'from' to 'to', keys in turn; the payload is the number. */
void
send_numbers(Subject *subject, int64 from, int64 to, Tally *tally)
{
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "message", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(each);

	for (int64 i = from; i < to; i++)
	{
		char		key[32];
		char		payload[32];
		PrismMessage message;

		snprintf(key, sizeof(key), "key-%d", (int) (i % KEYS));
		snprintf(payload, sizeof(payload), INT64_FORMAT, i);
		message = message_of(i, key, payload, strlen(payload));
		expect_outcome(subject, "send", subject_send(subject, &message, i, tally), PRISM_OK);
		MemoryContextReset(each);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(each);
}

static void
start_order(OrderState *state)
{
	memset(state, 0, sizeof(OrderState));
	for (int i = 0; i < KEYS; i++)
		state->last[i] = state->partition[i] = -1;
}

/* For peer_read(): every number once, growing within its key, a key in one partition. */
static void
check_order(void *arg, int32 partition, const char *key, Size key_bytes,
			const char *value, Size value_bytes, const char *id, int64 timestamp_ms)
{
	OrderState *state = arg;
	int			slot = atoi(pnstrdup(key, key_bytes) + 4);
	int64		number = atol(pnstrdup(value, value_bytes));

	expect(number > state->last[slot], "order per key: " INT64_FORMAT " after " INT64_FORMAT,
		   number, state->last[slot]);
	expect(state->count == 0 || state->partition[slot] == -1 || state->partition[slot] == partition,
		   "one partition per key");
	expect(!state->seen[number], "message " INT64_FORMAT " once", number);
	expect(strlen(id) == 36 && id[8] == '-', "the id header, got \"%s\"", id);
	expect(timestamp_ms > INT64CONST(1600000000000), "the time of publishing");
	state->last[slot] = number;
	state->partition[slot] = partition;
	state->seen[number] = true;
	state->count++;
}

void
sum_numbers(void *arg, int32 partition, const char *key, Size key_bytes,
			const char *value, Size value_bytes, const char *id, int64 timestamp_ms)
{
	Numbers    *numbers = arg;

	numbers->count++;
	numbers->sum += atol(pnstrdup(value, value_bytes));
}

/* One message of its own batch: sent, and its receipt taken. */
PrismOutcome
send_alone(Subject *subject, const char *key, const char *payload, Size payload_bytes)
{
	PrismMessage message = message_of(1, key, payload, payload_bytes);
	Tally		tally = {0};
	PrismOutcome outcome = subject_send(subject, &message, 1, &tally);

	if (outcome != PRISM_OK)
		return outcome;
	subject_collect(subject, 1, &tally);
	for (outcome = PRISM_OK; tally.count[outcome] == 0; outcome++)
		;
	return outcome;
}

/* Bytes that do not compress. */
char *
noise(Size bytes)
{
	char	   *result = palloc(bytes);

	expect(pg_strong_random(result, bytes), "random bytes");
	return result;
}

/* Everything that was sent is there. */
void
expect_all(const char *topic)
{
	OrderState *state = palloc(sizeof(OrderState));
	int64		missing = 0;
	int64		first = -1;

	start_order(state);
	(void) peer_read(topic, true, check_order, state);
	for (int64 i = 0; i < SEND_MESSAGES; i++)
		if (!state->seen[i])
		{
			first = first < 0 ? i : first;
			missing++;
		}
	expect(missing == 0, "all records, but " INT64_FORMAT " are missing, the first one is " INT64_FORMAT, missing, first);
	pfree(state);
}
