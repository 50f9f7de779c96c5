/*-------------------------------------------------------------------------
 *
 * producer.c
 *	  The peer of prism's forwarder: a bare librdkafka producer that sends
 *	  records of the same size, with the same header and the same settings.
 *
 * producer BROKERS TOPIC RECORDS BYTES [RECORDS_A_TRANSACTION [RATE]]
 *
 * Without a rate: prints records a second, from the first record handed over
 * to the last acknowledgement (or the end of the last transaction).
 *
 * With one: so many records a second, each with the time of its turn as its
 * value (arrivals.c reads it).  A transaction takes what is due when it
 * begins, as prism's forwarder does.
 *
 * test/bench/producer.c
 *
 *-------------------------------------------------------------------------
 */
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRANSACTION_TIMEOUT_MS 60000
#define FLUSH_TIMEOUT_MS 60000

/* As src/backend/kafka_conf.c sets them. */
static const char *const settings[][2] = {
	{"client.id", "bench"},
	{"log_level", "3"},			/* errors alone */
	{"linger.ms", "0"},
	{"message.max.bytes", "16777216"},
	{"queue.buffering.max.kbytes", "32768"},
	{"queue.buffering.max.messages", "50000"},
	{"enable.idempotence", "true"},
	{"max.in.flight.requests.per.connection", "1"},
	{"acks", "all"},
	{"partitioner", "murmur2_random"},
	{"message.timeout.ms", "0"},
};

static long undelivered = 0;

static void
fail(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static void
check(rd_kafka_error_t *error, const char *what)
{
	if (error != NULL)
		fail("%s: %s", what, rd_kafka_error_string(error));
}

static void
on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		fail("delivery: %s", rd_kafka_err2str(message->err));
	undelivered--;
}

static rd_kafka_t *
open_producer(const char *brokers, int transactional)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *producer;
	char		error[256];
	char		transactional_id[64];

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], error, sizeof(error)) != RD_KAFKA_CONF_OK)
			fail("%s", error);
	rd_kafka_conf_set(conf, "bootstrap.servers", brokers, NULL, 0);
	if (transactional)
	{
		snprintf(transactional_id, sizeof(transactional_id), "bench-%d", (int) getpid());
		rd_kafka_conf_set(conf, "transactional.id", transactional_id, NULL, 0);
	}
	else
		rd_kafka_conf_set(conf, "enable.gapless.guarantee", "true", NULL, 0);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
	if (producer == NULL)
		fail("%s", error);
	if (transactional)
		check(rd_kafka_init_transactions(producer, TRANSACTION_TIMEOUT_MS), "init_transactions");
	return producer;
}

static void
send_one(rd_kafka_t *producer, const char *topic, const char *value, size_t bytes)
{
	static const char id[] = "01920000-0000-7000-8000-000000000000";
	rd_kafka_resp_err_t error;

	do
	{
		error = rd_kafka_producev(producer,
								  RD_KAFKA_V_TOPIC(topic),
								  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
								  RD_KAFKA_V_VALUE((void *) value, bytes),
								  RD_KAFKA_V_HEADER("id", id, sizeof(id) - 1),
								  RD_KAFKA_V_END);
		rd_kafka_poll(producer, error == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 10 : 0);
	} while (error == RD_KAFKA_RESP_ERR__QUEUE_FULL);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		fail("produce: %s", rd_kafka_err2str(error));
	undelivered++;
}

/* The last records arrive. */
static void
end(rd_kafka_t *producer, long transaction)
{
	if (transaction > 0)
		check(rd_kafka_commit_transaction(producer, TRANSACTION_TIMEOUT_MS), "commit_transaction");
	else if (rd_kafka_flush(producer, FLUSH_TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR || undelivered != 0)
		fail("%ld records were not acknowledged", undelivered);
}

static double
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static double
now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* As fast as it goes. */
static void
send_backlog(rd_kafka_t *producer, const char *topic, long records, size_t bytes, long transaction)
{
	char	   *value = malloc(bytes);
	double		begin = now_s();

	memset(value, 'x', bytes);
	for (long i = 0; i < records; i++)
	{
		if (transaction > 0 && i % transaction == 0)
		{
			if (i > 0)
				check(rd_kafka_commit_transaction(producer, TRANSACTION_TIMEOUT_MS), "commit_transaction");
			check(rd_kafka_begin_transaction(producer), "begin_transaction");
		}
		send_one(producer, topic, value, bytes);
	}
	end(producer, transaction);
	printf("%.0f\n", records / (now_s() - begin));
	free(value);
}

/* Each when its turn has come; whoever is late is late by the clock of the turns. */
static void
send_paced(rd_kafka_t *producer, const char *topic, long records, long transaction, double rate)
{
	double		begin = now_s();
	double		begin_us = now_us();
	long		i = 0;

	while (i < records)
	{
		double		wait_s = i / rate - (now_s() - begin);

		if (wait_s > 0)
			usleep((useconds_t) (wait_s * 1e6));
		if (transaction > 0)
			check(rd_kafka_begin_transaction(producer), "begin_transaction");
		do
		{
			char		value[32];

			snprintf(value, sizeof(value), "%.0f", begin_us + i / rate * 1e6);
			send_one(producer, topic, value, strlen(value));
			i++;
		} while (i < records && i / rate <= now_s() - begin);
		if (transaction > 0)
			check(rd_kafka_commit_transaction(producer, TRANSACTION_TIMEOUT_MS), "commit_transaction");
	}
	if (transaction == 0)
		end(producer, 0);
}

int
main(int argc, char **argv)
{
	long		records = argc > 4 ? atol(argv[3]) : 0;
	long		bytes = argc > 4 ? atol(argv[4]) : 0;
	long		transaction = argc > 5 ? atol(argv[5]) : 0;
	double		rate = argc > 6 ? atof(argv[6]) : 0;
	rd_kafka_t *producer;

	if (records <= 0 || (bytes <= 0 && rate <= 0))
		fail("usage: producer BROKERS TOPIC RECORDS BYTES [RECORDS_A_TRANSACTION [RATE]]");
	producer = open_producer(argv[1], transaction > 0);
	if (rate > 0)
		send_paced(producer, argv[2], records, transaction, rate);
	else
		send_backlog(producer, argv[2], records, bytes, transaction);
	rd_kafka_destroy(producer);
	return 0;
}
