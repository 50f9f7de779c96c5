/*-------------------------------------------------------------------------
 *
 * scenario.c
 *	  What a back end promises, one scenario each.
 *
 * test/lib/backend_test/scenario.c
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

typedef struct Numbers
{
	int64		count;
	int64		sum;
} Numbers;

static void
sum_numbers(void *arg, int32 partition, const char *key, Size key_bytes,
			const char *value, Size value_bytes, const char *id, int64 timestamp_ms)
{
	Numbers    *numbers = arg;

	numbers->count++;
	numbers->sum += atol(pnstrdup(value, value_bytes));
}

/* A committed transaction is seen with its position and metadata, an aborted one is not, and leaves no position. */
static void
transactions(StringInfo report)
{
	const char *topic = new_name("transactions");
	Subject    *subject = open_kafka(topic);
	char		metadata[PRISM_ERROR_BYTES] = "left over";
	int64		position = 77;
	Tally		tally = {0};
	Numbers		committed = {0};
	Numbers		all = {0};

	expect_outcome(subject, "fence", subject_fence(subject), PRISM_OK);
	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 2), PRISM_OK);
	expect_outcome(subject, "position_read", subject_position(subject, &position, metadata), PRISM_OK);
	expect(position == -1 && metadata[0] == '\0', "no position, got " INT64_FORMAT " \"%s\"", position, metadata);

	expect_outcome(subject, "begin", subject_begin(subject), PRISM_OK);
	send_numbers(subject, 1, 11, &tally);
	subject_collect(subject, 10, &tally);
	expect_outcome(subject, "commit", subject_commit(subject, 11, "first {\"a\": 1}"), PRISM_OK);

	expect_outcome(subject, "begin", subject_begin(subject), PRISM_OK);
	send_numbers(subject, 11, 21, &tally);
	subject_collect(subject, 20, &tally);
	expect_outcome(subject, "abort", subject_abort(subject, &tally), PRISM_OK);
	expect_outcome(subject, "position_read", subject_position(subject, &position, metadata), PRISM_OK);
	expect(position == 11, "position 11 after the abort, got " INT64_FORMAT, position);

	/* aborted while messages are on their way: each still gets a receipt */
	expect_outcome(subject, "begin", subject_begin(subject), PRISM_OK);
	send_numbers(subject, 21, 31, &tally);
	expect_outcome(subject, "abort", subject_abort(subject, &tally), PRISM_OK);
	subject_collect(subject, 30, &tally);

	/* a transaction without messages moves the position */
	expect_outcome(subject, "begin", subject_begin(subject), PRISM_OK);
	expect_outcome(subject, "commit", subject_commit(subject, INT64CONST(5000000000000), "second"), PRISM_OK);
	expect(!subject->conn->doubt, "no doubt, got: %s", subject->conn->error);
	expect_outcome(subject, "position_read", subject_position(subject, &position, metadata), PRISM_OK);
	expect(position == INT64CONST(5000000000000) && strcmp(metadata, "second") == 0,
		   "the last position, got " INT64_FORMAT " \"%s\"", position, metadata);

	expect_outcome(subject, "position_write", subject_position_write(subject, INT64CONST(5000000000001), "third"), PRISM_OK);
	expect_outcome(subject, "position_read", subject_position(subject, &position, metadata), PRISM_OK);
	expect(position == INT64CONST(5000000000001) && strcmp(metadata, "third") == 0,
		   "the position as written, got " INT64_FORMAT " \"%s\"", position, metadata);

	peer_read(topic, true, sum_numbers, &committed);
	peer_read(topic, false, sum_numbers, &all);
	expect(committed.count == 10 && committed.sum == 55, "10 committed records, got " INT64_FORMAT, committed.count);
	expect(all.count >= 20, "the aborted ones to be there for read_uncommitted, got " INT64_FORMAT, all.count);
	appendStringInfo(report, "slowest call %s %.1f ms", subject->slowest_call, subject->slowest_ms);
	subject_close(subject);
}

/* Two connections with one transactional id: the second one owns it, the first one learns so and writes nothing. */
static void
fencing(StringInfo report)
{
	const char *topic = new_name("fencing");
	Subject    *first = open_kafka(topic);
	Subject    *second = open_kafka(topic);
	char		metadata[PRISM_ERROR_BYTES];
	int64		position;
	Tally		tally = {0};
	Tally		second_tally = {0};
	Numbers		committed = {0};
	PrismOutcome outcome;

	expect_outcome(first, "fence", subject_fence(first), PRISM_OK);
	expect_outcome(first, "prepare", subject_prepare(first, topic, 1), PRISM_OK);
	expect_outcome(first, "begin", subject_begin(first), PRISM_OK);
	send_numbers(first, 1, 11, &tally);
	subject_collect(first, 10, &tally);

	/* the second one ends the first one's transaction, and waits until its position is settled */
	expect_outcome(second, "fence", subject_fence(second), PRISM_OK);
	expect_outcome(second, "prepare", subject_prepare(second, topic, 1), PRISM_OK);
	expect_outcome(second, "position_read", subject_position(second, &position, metadata), PRISM_OK);
	expect(position == -1, "no position, got " INT64_FORMAT, position);

	outcome = subject_commit(first, 11, "first");
	expect_outcome(first, "commit", outcome, PRISM_FENCED);
	expect(first->conn->doubt, "a fenced connection in doubt");
	expect_outcome(first, "begin", subject_begin(second), PRISM_OK);
	send_numbers(second, 100, 101, &second_tally);
	subject_collect(second, 1, &second_tally);
	expect_outcome(second, "commit", subject_commit(second, 101, "second"), PRISM_OK);

	peer_read(topic, true, sum_numbers, &committed);
	expect(committed.count == 1 && committed.sum == 100, "the second one's record alone, got " INT64_FORMAT, committed.count);
	appendStringInfo(report, "fenced: %s", first->conn->error);
	subject_close(first);
	subject_close(second);
}

typedef struct NamedScenario
{
	const char *name;
	Scenario	run;
} NamedScenario;

static const NamedScenario scenarios[] = {
	{"send_in_order", send_in_order},
	{"transactions", transactions},
	{"fencing", fencing},
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
