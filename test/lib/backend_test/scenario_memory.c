/*-------------------------------------------------------------------------
 *
 * scenario_memory.c
 *	  The back end that fails on request keeps its promises too.
 *
 * test/lib/backend_test/scenario_memory.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "backend/queue.h"

#include <librdkafka/rdkafka.h>

#include "backend_test.h"

#define ROUNDS 100
#define ROUND_MESSAGES 10

/* Opened, fenced and prepared, however often it says that it is away. */
static Subject *
open_memory(const char *topic, List *options, int64 *position)
{
	Subject    *subject = subject_open("memory", "memory", options);
	char		metadata[PRISM_ERROR_BYTES];
	PrismOutcome outcome;

	while ((outcome = subject_fence(subject)) == PRISM_RETRY)
		;
	expect_outcome(subject, "fence", outcome, PRISM_OK);
	while ((outcome = subject_prepare(subject, topic, 1)) == PRISM_RETRY)
		;
	expect_outcome(subject, "prepare", outcome, PRISM_OK);
	expect_outcome(subject, "position_read", subject_position(subject, position, metadata), PRISM_OK);
	*position = Max(*position, 0);
	return subject;
}

/* One transaction from the position on; what it ended in. */
static PrismOutcome
one_round(Subject *subject, int64 position)
{
	Tally		tally = {0};
	PrismOutcome outcome = subject_begin(subject);

	if (outcome != PRISM_OK)
		return outcome;
	send_numbers(subject, position, position + ROUND_MESSAGES, &tally);
	subject_collect(subject, ROUND_MESSAGES, &tally);
	expect(tally.count[PRISM_STOP] == 0, "no message twice or out of order: %s", subject->conn->error);
	if (tally.count[PRISM_OK] < ROUND_MESSAGES)
	{
		expect_outcome(subject, "abort", subject_abort(subject, &tally), PRISM_OK);
		return PRISM_RETRY;
	}
	return subject_commit(subject, position + ROUND_MESSAGES, "metadata");
}

/* Whoever reads the position back after each doubt sends everything once, whatever fails. */
void
memory_faults(StringInfo report)
{
	const char *topic = new_name("memory");
	List	   *options = options_of("again", "2", "away", "3", "retry_every", "77", "doubt_every", "5",
									 "lose_every", "7", "fence_every", "11", NULL);
	int64		position;
	Subject    *subject = open_memory(topic, options, &position);
	int			opened = 1;
	int			aborted = 0;

	while (position < ROUNDS * ROUND_MESSAGES)
	{
		PrismOutcome outcome = one_round(subject, position);

		if (outcome == PRISM_OK)
			position += ROUND_MESSAGES;
		else if (outcome == PRISM_RETRY)
			aborted++;
		else
		{
			expect(subject->conn->doubt, "a doubt that stays, after %s", outcome_name(outcome));
			subject_close(subject);
			subject = open_memory(topic, options, &position);
			opened++;
		}
	}
	expect(opened > 10 && aborted > 5, "faults: opened %d times, aborted %d times", opened, aborted);
	appendStringInfo(report, "opened %d times, aborted %d times", opened, aborted);
	subject_close(subject);
}

/* Whoever does not is told: the commit in doubt was done, its messages come again. */
void
memory_tells_repetition(StringInfo report)
{
	const char *topic = new_name("memory");
	int64		position;
	Subject    *subject = open_memory(topic, NIL, &position);
	Tally		tally = {0};

	expect_outcome(subject, "commit", one_round(subject, 0), PRISM_OK);
	expect_outcome(subject, "begin", subject_begin(subject), PRISM_OK);
	send_numbers(subject, 5, 6, &tally);
	subject_collect(subject, 1, &tally);
	expect(tally.count[PRISM_STOP] == 1, "a repeated message to be told");
	appendStringInfo(report, "%s", subject->conn->error);
	subject_close(subject);
}

/* One message that is too large takes all of its batch with it, as on Kafka. */
void
memory_rejects(StringInfo report)
{
	Subject    *subject = subject_open("memory", NULL, options_of("reject_bytes", "5", "queue_messages", "20", NULL));
	PrismMessage message = message_of(11, "key", "too large", 9);
	Tally		tally = {0};
	Tally		next = {0};

	expect_outcome(subject, "prepare", subject_prepare(subject, new_name("memory"), 1), PRISM_OK);
	send_numbers(subject, 1, 11, &tally);
	expect_outcome(subject, "send", subject_send(subject, &message, 11, &tally), PRISM_OK);
	subject_collect(subject, 11, &tally);
	expect(tally.count[PRISM_REJECT] == 11, "all of the batch rejected, got " INT64_FORMAT, tally.count[PRISM_REJECT]);
	expect(subject->conn->doubt, "a connection to be made anew");
	send_numbers(subject, 12, 13, &next);
	subject_collect(subject, 1, &next);
	expect(next.count[PRISM_RETRY] == 1, "what follows not taken");
	subject_close(subject);
}
