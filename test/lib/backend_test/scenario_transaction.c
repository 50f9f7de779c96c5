/*-------------------------------------------------------------------------
 *
 * scenario_transaction.c
 *	  Transactions, positions and fencing.
 *
 * test/lib/backend_test/scenario_transaction.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "backend/queue.h"

#include <librdkafka/rdkafka.h>

#include "backend_test.h"

/* A committed transaction is seen with its position and metadata, an aborted one is not, and leaves no position. */
void
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
void
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
