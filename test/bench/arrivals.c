/*-------------------------------------------------------------------------
 *
 * arrivals.c
 *	  When records become visible to a read_committed consumer.
 *
 * arrivals BROKERS TOPIC RECORDS
 *
 * Reads partition 0 from its end on; says "ready" when it does.  The value of
 * a record is the time at which it was sent, in microseconds since 1970.
 * Prints for each of RECORDS records how long it took, in milliseconds.
 *
 * test/bench/arrivals.c
 *
 *-------------------------------------------------------------------------
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLL_TIMEOUT_MS 30000
#define QUERY_TIMEOUT_MS 10000

/* An answer at once when there is something, and the next question at once. */
static const char *const settings[][2] = {
	{"client.id", "bench-arrivals"},
	{"isolation.level", "read_committed"},
	{"fetch.min.bytes", "1"},
	{"fetch.wait.max.ms", "100"},
	{"fetch.error.backoff.ms", "1"},
	{"enable.auto.commit", "false"},
	{"group.id", "bench-arrivals"},
};

static void
fail(const char *what, const char *reason)
{
	fprintf(stderr, "%s: %s\n", what, reason);
	exit(1);
}

static void
check(rd_kafka_resp_err_t error, const char *what)
{
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		fail(what, rd_kafka_err2str(error));
}

static double
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static rd_kafka_t *
open_consumer(const char *brokers, const char *topic)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *partitions = rd_kafka_topic_partition_list_new(1);
	rd_kafka_t *consumer;
	char		error[256];
	int64_t		low;
	int64_t		high;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], error, sizeof(error)) != RD_KAFKA_CONF_OK)
			fail("settings", error);
	rd_kafka_conf_set(conf, "bootstrap.servers", brokers, NULL, 0);
	consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof(error));
	if (consumer == NULL)
		fail("consumer", error);
	rd_kafka_poll_set_consumer(consumer);
	check(rd_kafka_query_watermark_offsets(consumer, topic, 0, &low, &high, QUERY_TIMEOUT_MS), "end of the partition");
	rd_kafka_topic_partition_list_add(partitions, topic, 0)->offset = high;
	check(rd_kafka_assign(consumer, partitions), "assign");
	rd_kafka_topic_partition_list_destroy(partitions);
	return consumer;
}

int
main(int argc, char **argv)
{
	long		records = argc > 3 ? atol(argv[3]) : 0;
	rd_kafka_t *consumer;

	if (records <= 0)
		fail("usage", "arrivals BROKERS TOPIC RECORDS");
	consumer = open_consumer(argv[1], argv[2]);
	fprintf(stderr, "ready\n");
	while (records > 0)
	{
		rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, POLL_TIMEOUT_MS);
		double		arrived = now_us();
		char		sent[32];

		if (message == NULL)
			fail("poll", "nothing came");
		check(message->err, "poll");
		snprintf(sent, sizeof(sent), "%.*s", (int) message->len, (const char *) message->payload);
		printf("%.3f\n", (arrived - atof(sent)) / 1000);
		rd_kafka_message_destroy(message);
		records--;
	}
	rd_kafka_consumer_close(consumer);
	rd_kafka_destroy(consumer);
	return 0;
}
