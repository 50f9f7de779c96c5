/*-------------------------------------------------------------------------
 *
 * kafka_mock.c
 *	  librdkafka's mock of a cluster, for what a real broker does not do on request.
 *
 *		kafka_mock TOPIC...
 *
 * makes these topics, of one partition each, and prints the addresses of its
 * brokers.  Then it obeys its input, a line each, and answers "ok" or "error":
 *
 *		leader TOPIC BROKER		who leads the topic's partition: 1, 2, or -1 for nobody
 *
 * It ends with its input.
 *
 * test/module/kafka_mock/kafka_mock.c
 *
 *-------------------------------------------------------------------------
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define BROKERS 2

static void
say(const char *text)
{
	printf("%s\n", text);
	fflush(stdout);
}

/* False: the line is none that we know, or cannot be done. */
static bool
obey(rd_kafka_mock_cluster_t *cluster, const char *line)
{
	char		topic[256];
	int			broker;

	return sscanf(line, "leader %255s %d", topic, &broker) == 2 &&
		rd_kafka_mock_partition_set_leader(cluster, topic, 0, broker) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

int
main(int argc, char **argv)
{
	char		error[512] = "";
	char		line[512];
	rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), error, sizeof(error));
	rd_kafka_mock_cluster_t *cluster = handle != NULL ? rd_kafka_mock_cluster_new(handle, BROKERS) : NULL;

	if (cluster == NULL)
	{
		fprintf(stderr, "no mock: %s\n", error);
		return 1;
	}
	for (int i = 1; i < argc; i++)
		if (rd_kafka_mock_topic_create(cluster, argv[i], 1, 1) != RD_KAFKA_RESP_ERR_NO_ERROR)
			return 1;
	say(rd_kafka_mock_cluster_bootstraps(cluster));
	while (fgets(line, sizeof(line), stdin) != NULL)
		say(obey(cluster, line) ? "ok" : "error");
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(handle);
	return 0;
}
