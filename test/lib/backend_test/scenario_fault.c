/*-------------------------------------------------------------------------
 *
 * scenario_fault.c
 *	  Brokers that are away, requests that are late, options that are bad.
 *
 * test/lib/backend_test/scenario_fault.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "backend.h"

#include <librdkafka/rdkafka.h>

#include "backend_test.h"

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
