/*-------------------------------------------------------------------------
 *
 * peer.c
 *	  The other side: a plain consumer, and a bare producer to compare with.
 *
 * These block and run in the test's own process, which prism's code never does.
 *
 * test/lib/backend_test/peer.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "backend/queue.h"

#include <librdkafka/rdkafka.h>

#include "backend_test.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include <signal.h>

#define READ_WAIT_MS 15000

static rd_kafka_t *
peer_new(rd_kafka_type_t type, const char *const *settings)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char		error[PRISM_ERROR_BYTES];
	rd_kafka_t *rk;
	sigset_t	all;
	sigset_t	saved;

	if (type == RD_KAFKA_PRODUCER)
		rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
	for (int i = 0; settings[i] != NULL; i += 2)
		if (rd_kafka_conf_set(conf, settings[i], settings[i + 1], error, sizeof(error)) != RD_KAFKA_CONF_OK)
			elog(ERROR, "peer: %s", error);
	if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, error, sizeof(error)) != RD_KAFKA_CONF_OK)
		elog(ERROR, "peer: %s", error);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	rk = rd_kafka_new(type, conf, error, sizeof(error));
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	if (rk == NULL)
		elog(ERROR, "peer: %s", error);
	return rk;
}

/* How many partitions the topic has. */
static int
partition_count(rd_kafka_t *rk, const char *topic)
{
	rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
	const struct rd_kafka_metadata *metadata;
	int			count;

	if (rd_kafka_metadata(rk, 0, handle, &metadata, READ_WAIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
		elog(ERROR, "peer: no metadata of topic \"%s\"", topic);
	count = metadata->topics[0].partition_cnt;
	rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(handle);
	return count;
}

static void
check_record(rd_kafka_message_t *record, RecordCheck check, void *state)
{
	rd_kafka_headers_t *headers;
	const void *id = NULL;
	size_t		id_bytes = 0;
	char		id_text[64] = "";

	if (rd_kafka_message_headers(record, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
		rd_kafka_header_get_last(headers, "id", &id, &id_bytes) == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		memcpy(id_text, id, Min(id_bytes, sizeof(id_text) - 1));
		id_text[Min(id_bytes, sizeof(id_text) - 1)] = '\0';
	}
	check(state, record->partition, record->key, record->key_len, record->payload, record->len,
		  id_text, rd_kafka_message_timestamp(record, NULL));
}

/* The offset at which a reader of the partition is done: its end now. */
static int64
end_of(rd_kafka_t *rk, const char *topic, int partition)
{
	int64_t		first;
	int64_t		end;

	if (rd_kafka_query_watermark_offsets(rk, topic, partition, &first, &end, READ_WAIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
		elog(ERROR, "peer: topic \"%s\" does not tell its end", topic);
	return end;
}

/* Read a topic from its beginning to what is its end now; how many records there were. */
int64
peer_read(const char *topic, bool committed_only, RecordCheck check, void *state)
{
	const char *const settings[] = {
		"group.id", "peer", "enable.partition.eof", "true", "enable.auto.commit", "false",
		"isolation.level", committed_only ? "read_committed" : "read_uncommitted", NULL
	};
	rd_kafka_t *rk = peer_new(RD_KAFKA_CONSUMER, settings);
	rd_kafka_topic_partition_list_t *partitions = rd_kafka_topic_partition_list_new(1);
	int			partition_total = partition_count(rk, topic);
	int			open_partitions = partition_total;
	int64	   *ends = palloc(partition_total * sizeof(int64));
	int64		count = 0;

	for (int i = 0; i < partition_total; i++)
	{
		ends[i] = end_of(rk, topic, i);
		rd_kafka_topic_partition_list_add(partitions, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
	}
	rd_kafka_assign(rk, partitions);
	while (open_partitions > 0)
	{
		rd_kafka_message_t *record = rd_kafka_consumer_poll(rk, READ_WAIT_MS);

		if (record == NULL)
			elog(ERROR, "peer: topic \"%s\" does not end", topic);
		if (record->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
		{
			if (record->offset >= ends[record->partition])
			{
				ends[record->partition] = PG_INT64_MAX;	/* counted once */
				open_partitions--;
			}
		}
		else if (record->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		{
			count++;
			if (check != NULL)
				check_record(record, check, state);
		}
		rd_kafka_message_destroy(record);
	}
	rd_kafka_topic_partition_list_destroy(partitions);
	rd_kafka_destroy(rk);
	return count;
}

/* A topic with a limit of its own. */
void
peer_create_topic(const char *topic, int partitions, const char *max_message_bytes)
{
	const char *const settings[] = {NULL};
	rd_kafka_t *rk = peer_new(RD_KAFKA_PRODUCER, settings);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	char		error[PRISM_ERROR_BYTES];
	rd_kafka_NewTopic_t *request = rd_kafka_NewTopic_new(topic, partitions, 1, error, sizeof(error));
	rd_kafka_event_t *event;

	rd_kafka_NewTopic_set_config(request, "max.message.bytes", max_message_bytes);
	rd_kafka_CreateTopics(rk, &request, 1, NULL, queue);
	event = rd_kafka_queue_poll(queue, READ_WAIT_MS);
	expect(event != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR,
		   "topic \"%s\" to be made", topic);
	rd_kafka_event_destroy(event);
	rd_kafka_NewTopic_destroy(request);
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy(rk);
}

typedef struct RateState
{
	int64		acknowledged;
	rd_kafka_queue_t *queue;
} RateState;

static void
take_receipts(RateState *state, int wait_ms)
{
	rd_kafka_event_t *event;

	while ((event = rd_kafka_queue_poll(state->queue, wait_ms)) != NULL)
	{
		if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR)
		{
			const rd_kafka_message_t *message;

			while ((message = rd_kafka_event_message_next(event)) != NULL)
			{
				expect(message->err == 0, "the bare producer's records to arrive");
				state->acknowledged++;
			}
		}
		rd_kafka_event_destroy(event);
		wait_ms = 0;
	}
}

static void
produce_numbers(rd_kafka_t *rk, RateState *state, const char *topic, int from, int to)
{
	int64		taken = state->acknowledged;

	for (int i = from; i < to; i++)
	{
		char	   *payload = psprintf("%d", i);

		expect(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
								 RD_KAFKA_V_VALUE(payload, strlen(payload)), RD_KAFKA_V_END) == 0,
			   "the peer's record to be taken");
	}
	while (state->acknowledged < taken + to - from)
		take_receipts(state, 100);
}

/* A transaction committed, its end held back by the script; a second one aborted when it comes. */
void
peer_late_commit(const char *topic)
{
	const char *const settings[] = {"transactional.id", topic, NULL};
	rd_kafka_t *rk = peer_new(RD_KAFKA_PRODUCER, settings);
	RateState	state = {.queue = rd_kafka_queue_get_main(rk)};

	expect(rd_kafka_init_transactions(rk, READ_WAIT_MS) == NULL, "the peer's transactional id");
	expect(rd_kafka_begin_transaction(rk) == NULL, "the peer's transaction to begin");
	produce_numbers(rk, &state, topic, 1, 11);
	tell("filled");
	wait_for("holding");
	expect(rd_kafka_commit_transaction(rk, READ_WAIT_MS) == NULL, "the peer to be told that all is well");
	expect(rd_kafka_begin_transaction(rk) == NULL, "the peer's second transaction to begin");
	produce_numbers(rk, &state, topic, 11, 21);
	tell("filled");
	wait_for("released");
	rd_kafka_error_destroy(rd_kafka_abort_transaction(rk, READ_WAIT_MS));
	rd_kafka_queue_destroy(state.queue);
	rd_kafka_destroy(rk);
}

/*
 * Messages a second that a bare producer reaches with the settings of the back
 * end under test; transactional: 'batch' of them in each transaction.
 */
double
peer_produce_rate(const char *topic, int64 messages, Size payload_bytes, bool transactional, int64 batch)
{
	const char *const settings[] = {
		"enable.idempotence", "true", "linger.ms", "0", "queue.buffering.max.kbytes", "32768",
		"queue.buffering.max.messages", "50000", "partitioner", "murmur2_random",
		"message.timeout.ms", "0", "socket.timeout.ms", "30000", "max.in.flight", "1",
		transactional ? "transactional.id" : NULL, psprintf("peer.%s", topic), NULL
	};
	rd_kafka_t *rk = peer_new(RD_KAFKA_PRODUCER, settings);
	RateState	state = {0};
	char	   *payload = palloc0(payload_bytes);
	double		started;
	rd_kafka_topic_t *handle;

	state.queue = rd_kafka_queue_get_main(rk);
	handle = rd_kafka_topic_new(rk, topic, NULL);
	(void) partition_count(rk, topic);
	if (transactional)
		expect(rd_kafka_init_transactions(rk, READ_WAIT_MS) == NULL, "the peer's transactional id");

	started = now_ms();
	for (int64 i = 0; i < messages; i++)
	{
		if (transactional && i % batch == 0)
			expect(rd_kafka_begin_transaction(rk) == NULL, "the peer's transaction to begin");
		while (rd_kafka_producev(rk, RD_KAFKA_V_RKT(handle), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
								 RD_KAFKA_V_VALUE(payload, payload_bytes), RD_KAFKA_V_KEY(&i, sizeof(i)),
								 RD_KAFKA_V_HEADER("id", "00000000-0000-0000-0000-000000000000", 36),
								 RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
			take_receipts(&state, 10);
		if (i % 1000 == 0)
			take_receipts(&state, 0);
		if (transactional && ((i + 1) % batch == 0 || i + 1 == messages))
		{
			while (state.acknowledged < i + 1)
				take_receipts(&state, 100);
			expect(rd_kafka_commit_transaction(rk, READ_WAIT_MS) == NULL, "the peer's commit");
		}
		CHECK_FOR_INTERRUPTS();
	}
	while (state.acknowledged < messages)
		take_receipts(&state, 100);
	started = now_ms() - started;
	rd_kafka_queue_destroy(state.queue);
	rd_kafka_topic_destroy(handle);
	rd_kafka_destroy(rk);
	return messages / (started / 1000.0);
}
