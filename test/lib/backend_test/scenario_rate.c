/*-------------------------------------------------------------------------
 *
 * scenario_rate.c
 *	  How fast, beside a bare producer.
 *
 * test/lib/backend_test/scenario_rate.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "backend/queue.h"

#include <librdkafka/rdkafka.h>

#include "backend_test.h"

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

void
rate_idempotent(StringInfo report)
{
	rate_of(report, false);
}

void
rate_transactional(StringInfo report)
{
	rate_of(report, true);
}

static int
compare_doubles(const void *a, const void *b)
{
	double		left = *(const double *) a;
	double		right = *(const double *) b;

	return left < right ? -1 : left > right;
}

/* From send() to the receipt, one message at a time. */
void
latency(StringInfo report)
{
	const char *topic = new_name("latency");
	Subject    *subject = open_kafka(NULL);
	double		times[2000];

	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 1), PRISM_OK);
	for (size_t i = 0; i < lengthof(times); i++)
	{
		double		started = now_ms();

		expect_outcome(subject, "send", send_alone(subject, "k", "v", 1), PRISM_OK);
		times[i] = now_ms() - started;
	}
	qsort(times, lengthof(times), sizeof(double), compare_doubles);
	appendStringInfo(report, "p50 %.2f ms, p99 %.2f ms", times[lengthof(times) / 2], times[lengthof(times) * 99 / 100]);
	subject_close(subject);
}
