/*-------------------------------------------------------------------------
 *
 * scenario_fault.c
 *	  Brokers that are away, requests that are late, options that are bad.
 *
 * test/lib/backend_test/scenario_fault.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "backend/queue.h"

#include <librdkafka/rdkafka.h>

#include "backend_test.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* Nobody answers at the address: no call waits, memory is bounded, and closing is quick. */
void
broker_away(StringInfo report)
{
	Subject    *subject = open_kafka(NULL);
	Subject    *transactional = open_kafka("away");
	Tally		tally = {0};
	PrismMessage message = message_of(1, "k", noise(1000), 1000);
	char		metadata[PRISM_ERROR_BYTES];
	int64		position;
	int64		sent = 0;

	expect_outcome(transactional, "fence", subject_fence(transactional), PRISM_RETRY);
	expect_outcome(subject, "prepare", subject_prepare(subject, "away", 1), PRISM_RETRY);
	appendStringInfo(report, "%s; ", subject->conn->error);
	expect_outcome(subject, "position_read", subject_position(subject, &position, metadata), PRISM_RETRY);
	while (subject->queue->send(subject->conn, &subject->target, &message, sent) == PRISM_OK)
		sent++;
	expect(sent > 1000 && sent < 100000, "a bounded queue, took " INT64_FORMAT, sent);
	subject->queue->purge(subject->conn);
	subject_collect(subject, sent, &tally);
	expect(tally.count[PRISM_RETRY] == sent, "all of it back");
	appendStringInfo(report, INT64_FORMAT " queued; slowest call %s %.1f ms",
					 sent, subject->slowest_call, subject->slowest_ms);
	subject_close(subject);
	subject_close(transactional);
}

/* The error that open() ends in, without ending the scenario. */
static char *
error_of_open(List *options)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *volatile message = "";

	PG_TRY();
	{
		(void) subject_open("kafka", NULL, options);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		message = CopyErrorData()->message;
		FlushErrorState();
	}
	PG_END_TRY();
	return message;
}

/* open() refuses what is not allowed, whoever filled the catalogue, and repeats no value. */
void
refused_options(StringInfo report)
{
	static const char *const bad[][2] = {
		{"plugin.library.paths", "/tmp/secret.so"}, {"debug", "all"}, {"sasl.kerberos.kinit.cmd", "secret"},
		{"ssl.ca.location", "/secret"}, {"acks", "1"}, {"linger.ms", "secret"}, {"linger_ms", "5"},
		{"ssl.key.pem", "-----BEGIN secret"},
	};

	for (size_t i = 0; i < lengthof(bad); i++)
	{
		char	   *message = error_of_open(options_of("bootstrap.servers", brokers, "security.protocol", "ssl",
													   bad[i][0], bad[i][1], NULL));

		expect(strstr(message, "open refused") != NULL && strstr(message, "secret") == NULL,
			   "option \"%s\" refused without its value, got: %s", bad[i][0], message);
		appendStringInfo(report, "%s%s", i > 0 ? "; " : "", message);
	}
}

/* librdkafka gives no object for such a topic; the numbers may come from an edited row. */
void
refused_numbers(StringInfo report)
{
	Subject    *subject = open_kafka(NULL);

	expect_outcome(subject, "prepare", subject_prepare(subject, new_name("numbers"), 2000000000), PRISM_STOP);
	expect(strstr(subject->conn->error, "partitions") != NULL, "the reason is told, got: %s", subject->conn->error);
	appendStringInfo(report, "%s", subject->conn->error);
	subject_close(subject);
}

/* Begin, send the numbers, take their receipts. */
static void
fill_transaction(Subject *subject, int64 from, int64 to, Tally *tally)
{
	int64		taken = tally_total(tally);

	expect_outcome(subject, "begin", subject_begin(subject), PRISM_OK);
	send_numbers(subject, from, to, tally);
	subject_collect(subject, taken + to - from, tally);
}

static Subject *
open_fenced(const char *topic)
{
	Subject    *subject = open_kafka(topic);

	expect_outcome(subject, "fence", subject_fence(subject), PRISM_OK);
	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 1), PRISM_OK);
	return subject;
}

/*
 * The script holds back the request that commits the first transaction and
 * resets the connection; librdkafka repeats it and says that all is well.  The
 * late copy arrives while a second transaction is open, which is then aborted.
 */
void
late_commit(StringInfo report)
{
	const char *topic = new_name("late");
	Subject    *subject = open_fenced(topic);
	char		metadata[PRISM_ERROR_BYTES];
	int64		position;
	Tally		tally = {0};
	Tally		second_tally = {0};
	Numbers		committed = {0};
	PrismOutcome outcome;

	fill_transaction(subject, 1, 11, &tally);
	tell("filled");
	wait_for("holding");
	outcome = subject_commit(subject, 11, "first");
	expect(outcome == PRISM_DOUBT && subject->conn->doubt, "a commit in doubt, got %s", outcome_name(outcome));
	appendStringInfo(report, "%s", subject->conn->error);
	subject_close(subject);

	subject = open_fenced(topic);
	expect_outcome(subject, "position_read", subject_position(subject, &position, metadata), PRISM_OK);
	expect(position == -1 || position == 11, "the first transaction to be there or not, got " INT64_FORMAT, position);
	fill_transaction(subject, 11, 21, &second_tally);
	tell("filled");
	wait_for("released");
	expect_outcome(subject, "abort", subject_abort(subject, &second_tally), PRISM_OK);
	subject_close(subject);
	peer_read(topic, true, sum_numbers, &committed);
	appendStringInfo(report, "; position " INT64_FORMAT ", " INT64_FORMAT " committed records", position, committed.count);
	expect(committed.count == (position == 11 ? 10 : 0) && committed.sum == (position == 11 ? 55 : 0),
		   "what the position says, got " INT64_FORMAT " records", committed.count);
}

/* The same with librdkafka alone: the aborted records are committed.  Else the scenario above proves nothing. */
void
late_commit_bare(StringInfo report)
{
	const char *topic = new_name("late");
	Numbers		committed = {0};
	Subject    *subject = open_kafka(NULL);

	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 1), PRISM_OK);
	subject_close(subject);
	peer_late_commit(topic);
	peer_read(topic, true, sum_numbers, &committed);
	appendStringInfo(report, INT64_FORMAT " committed records", committed.count);
	expect(committed.count == 20, "the aborted records to be visible, got " INT64_FORMAT " records", committed.count);
}

/* Every packet vanishes while a transaction is being committed: no call waits, and one can leave at once. */
void
swallowed(StringInfo report)
{
	const char *topic = new_name("swallowed");
	Subject    *subject = open_fenced(topic);
	Tally		tally = {0};
	double		started;

	fill_transaction(subject, 1, 11, &tally);
	tell("filled");
	wait_for("swallowing");
	started = now_ms();
	for (int calls = 0; calls < 20; calls++)
	{
		PrismOutcome outcome = subject_commit_once(subject, 11, "first");

		expect(outcome == PRISM_AGAIN, "no answer yet, got %s", outcome_name(outcome));
		subject_wait(subject, &tally);
	}
	appendStringInfo(report, "gave up after %.0f ms; slowest call %s %.1f ms",
					 now_ms() - started, subject->slowest_call, subject->slowest_ms);
	subject_close(subject);
}

/* The process ends with a connection open and a commit under way: the script sees how soon. */
void
left_open(StringInfo report)
{
	Subject    *subject = open_fenced(new_name("left"));
	Tally		tally = {0};

	fill_transaction(subject, 1, 11, &tally);
	tell("filled");
	wait_for("swallowing");
	expect(subject_commit_once(subject, 11, "first") == PRISM_AGAIN, "a commit under way");
	appendStringInfo(report, "%d", MyProcPid);
}

/* A position that travels in a transaction whose end is under way is waited for; the old one is never given. */
void
unstable_position(StringInfo report)
{
	const char *topic = new_name("unstable");
	Subject    *subject = open_fenced(topic);
	Subject    *reader;
	char		metadata[PRISM_ERROR_BYTES];
	int64		position = 0;
	Tally		tally = {0};
	PrismOutcome outcome;

	fill_transaction(subject, 1, 11, &tally);
	expect_outcome(subject, "commit", subject_commit(subject, 11, "first"), PRISM_OK);
	fill_transaction(subject, 11, 21, &tally);
	tell("filled");
	wait_for("holding");
	expect(subject_commit_once(subject, 21, "second") == PRISM_AGAIN, "a commit under way");
	tell("committing");
	wait_for("held");

	brokers = direct;
	reader = open_kafka(NULL);
	expect_outcome(reader, "prepare", subject_prepare(reader, topic, 1), PRISM_OK);
	outcome = subject_position(reader, &position, metadata);
	expect(outcome == PRISM_RETRY, "no position while it is not stable, got %s " INT64_FORMAT,
		   outcome_name(outcome), position);
	appendStringInfo(report, "%s", reader->conn->error);
	tell("refused");
	expect_outcome(subject, "commit", subject_commit(subject, 21, "second"), PRISM_OK);
	expect_outcome(reader, "position_read", subject_position(reader, &position, metadata), PRISM_OK);
	expect(position == 21 && strcmp(metadata, "second") == 0, "the new position, got " INT64_FORMAT, position);
	subject_close(reader);
	subject_close(subject);
}

/* The script kills the broker under way and starts it again: each record arrives once, in order. */
void
broker_killed(StringInfo report)
{
	const char *topic = new_name("killed");
	Subject    *subject = open_kafka(NULL);
	Tally		tally = {0};

	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 4), PRISM_OK);
	send_numbers(subject, 0, SEND_MESSAGES / 2, &tally);
	tell("half");
	wait_for("killed");
	send_numbers(subject, SEND_MESSAGES / 2, SEND_MESSAGES, &tally);
	subject_collect(subject, SEND_MESSAGES, &tally);
	expect(tally.count[PRISM_OK] == SEND_MESSAGES && !subject->conn->doubt,
		   "%d accepted messages without doubt, got " INT64_FORMAT, SEND_MESSAGES, tally.count[PRISM_OK]);
	expect_all(topic);
	appendStringInfo(report, "slowest call %s %.1f ms", subject->slowest_call, subject->slowest_ms);
	subject_close(subject);
}

/* The same inside a transaction: it is in doubt, and can be taken up anew without loss or repetition. */
void
broker_killed_in_transaction(StringInfo report)
{
	const char *topic = new_name("killed");
	Subject    *subject = open_fenced(topic);
	char		metadata[PRISM_ERROR_BYTES];
	int64		position;
	Tally		tally = {0};
	Tally		again = {0};
	Numbers		committed = {0};
	PrismOutcome outcome;

	fill_transaction(subject, 1, 11, &tally);
	expect_outcome(subject, "commit", subject_commit(subject, 11, "first"), PRISM_OK);
	fill_transaction(subject, 11, 21, &tally);
	tell("half");
	wait_for("killed");
	outcome = subject_commit(subject, 21, "second");
	expect(outcome == PRISM_DOUBT, "a commit in doubt, got %s", outcome_name(outcome));
	subject_close(subject);

	subject = open_kafka(topic);
	while ((outcome = subject_fence(subject)) == PRISM_RETRY)
		;
	expect_outcome(subject, "fence", outcome, PRISM_OK);
	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 1), PRISM_OK);
	expect_outcome(subject, "position_read", subject_position(subject, &position, metadata), PRISM_OK);
	expect(position == 11 || position == 21, "one of both positions, got " INT64_FORMAT, position);
	if (position == 11)
	{
		fill_transaction(subject, 11, 21, &again);
		expect_outcome(subject, "commit", subject_commit(subject, 21, "second"), PRISM_OK);
	}
	peer_read(topic, true, sum_numbers, &committed);
	expect(committed.count == 20 && committed.sum == 210, "each record once, got " INT64_FORMAT, committed.count);
	appendStringInfo(report, "taken up at " INT64_FORMAT, position);
	subject_close(subject);
}
