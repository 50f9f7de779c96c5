/*-------------------------------------------------------------------------
 *
 * scenario.c
 *	  What a back end promises, one scenario each.
 *
 * test/module/backend/scenario.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "backend.h"

#include <librdkafka/rdkafka.h>

#include "backend_test.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#define SEND_MESSAGES 100000
#define KEYS 100

/* A name nobody has used, as topics outlive the test's database. */
static const char *
new_name(const char *prefix)
{
	return psprintf("%s.%d.%.0f", prefix, MyProcPid, now_ms());
}

static List *
kafka_options(void)
{
	return options_of("bootstrap.servers", brokers, NULL);
}

static Subject *
open_kafka(const char *transactional_id)
{
	return subject_open("kafka", transactional_id, kafka_options());
}

/* Sends messages 'from' to 'to', keys in turn; the payload is the number. */
static void
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

typedef struct OrderState
{
	int64		last[KEYS];
	int			partition[KEYS];
	int64		count;
	bool		seen[SEND_MESSAGES];
} OrderState;

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

/* Everything sent arrives once, in order per key. */
static void
send_in_order(StringInfo report)
{
	const char *topic = new_name("order");
	Subject    *subject = open_kafka(NULL);
	OrderState *state = palloc0(sizeof(OrderState));
	Tally		tally = {0};

	for (int i = 0; i < KEYS; i++)
		state->last[i] = state->partition[i] = -1;
	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 4), PRISM_OK);
	send_numbers(subject, 0, SEND_MESSAGES, &tally);
	subject_collect(subject, SEND_MESSAGES, &tally);
	expect(tally.count[PRISM_OK] == SEND_MESSAGES, "%d accepted messages, got " INT64_FORMAT,
		   SEND_MESSAGES, tally.count[PRISM_OK]);
	expect(!subject->conn->doubt, "no doubt");
	expect(peer_read(topic, true, check_order, state) == SEND_MESSAGES, "%d records", SEND_MESSAGES);
	appendStringInfo(report, "slowest call %s %.1f ms", subject->slowest_call, subject->slowest_ms);
	subject_close(subject);
}

/* 1,000,000 x 200 bytes against a bare producer with the same settings. */
static void
rate_of(StringInfo report, bool transactional)
{
	const int64 messages = 1000000;
	const int64 batch = 10000;
	const char *topic = new_name("rate");
	const char *peer_topic = new_name("peer");
	Subject    *subject = open_kafka(transactional ? topic : NULL);
	char		payload[200];
	PrismMessage message;
	Tally		tally = {0};
	double		started;
	double		rate;
	double		peer_rate;

	memset(payload, 'x', sizeof(payload));
	expect_outcome(subject, "prepare", subject_prepare(subject, peer_topic, 4), PRISM_OK);
	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 4), PRISM_OK);
	if (transactional)
		expect_outcome(subject, "fence", subject_fence(subject), PRISM_OK);
	peer_rate = peer_produce_rate(peer_topic, messages, sizeof(payload), transactional, batch);

	message = message_of(1, "12345678", payload, sizeof(payload));
	started = now_ms();
	for (int64 i = 0; i < messages; i++)
	{
		char	   *key = VARDATA(DatumGetPointer(message.key));

		memcpy(key, &i, sizeof(i));
		if (transactional && i % batch == 0)
			expect_outcome(subject, "begin", subject_begin(subject), PRISM_OK);
		expect_outcome(subject, "send", subject_send(subject, &message, i, &tally), PRISM_OK);
		if (transactional && (i + 1) % batch == 0)
		{
			subject_collect(subject, i + 1, &tally);
			expect_outcome(subject, "commit", subject_commit(subject, i + 1, "bench"), PRISM_OK);
		}
	}
	subject_collect(subject, messages, &tally);
	rate = messages / ((now_ms() - started) / 1000.0);
	expect(tally.count[PRISM_OK] == messages, "all accepted");
	appendStringInfo(report, "back end %.0f/s, bare producer %.0f/s, ratio %.2f; slowest call %s %.1f ms",
					 rate, peer_rate, rate / peer_rate, subject->slowest_call, subject->slowest_ms);
	subject_close(subject);
}

static void
rate_idempotent(StringInfo report)
{
	rate_of(report, false);
}

static void
rate_transactional(StringInfo report)
{
	rate_of(report, true);
}

typedef struct NamedScenario
{
	const char *name;
	Scenario	run;
} NamedScenario;

static const NamedScenario scenarios[] = {
	{"send_in_order", send_in_order},
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
