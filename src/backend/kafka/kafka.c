/*-------------------------------------------------------------------------
 *
 * kafka.c
 *	  Kafka as a queue: the table of operations, and what each of them starts.
 *
 *		kafka_conf.c		options to librdkafka's configuration
 *		kafka_client.c		birth and end of a librdkafka handle
 *		kafka_resolve.c		which addresses it may go to
 *		kafka_send.c		a message becomes a record
 *		kafka_event.c		receipts, errors and log lines come in
 *		kafka_call.c		calls that block, in a thread of their own:
 *		kafka_admin.c			topics, positions
 *		kafka_transaction.c		fence, commit, abort
 *		kafka_error.c		what an error means
 *		kafka_wake.c		waking the thread that collects
 *
 * src/backend/kafka/kafka.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/kafka/kafka.h"

/* Left free in a batch for what librdkafka does not count when it fills one. */
#define BATCH_MARGIN_BYTES 512

static PrismConn *open_connection(const PrismServer *server, const char *transactional_id,
								  MemoryContext mcxt, char *error);
static pgsocket wait_socket(PrismConn *conn);
static PrismOutcome prepare(PrismConn *conn, const PrismQueueTarget *target, PrismQueueShape *shape);
static PrismOutcome look(PrismConn *conn, const PrismQueueTarget *target, PrismQueueShape *shape);
static PrismOutcome reshape(PrismConn *conn, const PrismQueueTarget *target, PrismQueueShape *shape);
static PrismOutcome fence(PrismConn *conn);
static PrismOutcome position_read(PrismConn *conn, const PrismQueueTarget *target,
								  int64 *position, char *metadata);
static PrismOutcome position_write(PrismConn *conn, const PrismQueueTarget *target,
								   int64 position, const char *metadata);
static PrismOutcome begin(PrismConn *conn);
static void purge(PrismConn *conn);
static PrismOutcome commit(PrismConn *conn, const PrismQueueTarget *target,
						   int64 position, const char *metadata);
static PrismOutcome abort_transaction(PrismConn *conn);

static const PrismQueueOps kafka_queue = {
	.open = open_connection,
	.prepare = prepare,
	.look = look,
	.reshape = reshape,
	.fence = fence,
	.position_read = position_read,
	.position_write = position_write,
	.begin = begin,
	.send = kafka_send,
	.collect = kafka_collect,
	.explain = kafka_explain,
	.purge = purge,
	.commit = commit,
	.abort = abort_transaction,
};

static const PrismBackend kafka_backend = {
	.name = "kafka",
	.version = PRISM_VERSION,
	.wait_socket = wait_socket,
	.queue = &kafka_queue,
};

PRISM_BACKEND_LIBRARY(kafka, kafka_backend);

/* The context goes: everything that holds the client first, then the client. */
static void
release_connection(void *foreign)
{
	KafkaConn  *kafka = foreign;

	if (kafka->receipts != NULL)
		rd_kafka_event_destroy(kafka->receipts);
	for (KafkaTopic *topic = kafka->topics; topic != NULL; topic = topic->next)
		if (topic->handle != NULL)
			rd_kafka_topic_destroy(topic->handle);
	kafka_client_close(kafka->client);
}

/* A setting as librdkafka sees it, for those that matter to us too. */
static const char *
setting(const rd_kafka_conf_t *conf, const char *name, char *text, size_t size)
{
	return rd_kafka_conf_get(conf, name, text, &size) == RD_KAFKA_CONF_OK ? text : "";
}

static PrismConn *
open_connection(const PrismServer *server, const char *transactional_id,
				MemoryContext mcxt, char *error)
{
	KafkaConn  *kafka = MemoryContextAllocZero(mcxt, sizeof(KafkaConn));
	PrismHandle *handle = prism_handle_new(mcxt);
	rd_kafka_conf_t *conf;
	char	   *allowed;
	char		text[32];

	prism_handles_at_exit(kafka_clients_wait);
	kafka->conn.backend = &kafka_backend;
	kafka->conn.mcxt = mcxt;
	kafka->transactional = transactional_id != NULL;
	kafka->server_name = MemoryContextStrdup(mcxt, server->name);

	allowed = kafka_allowed_addresses(server);
	conf = kafka_conf_new(server, transactional_id, error);
	if (conf == NULL)
	{
		kafka_clean(error);		/* the option's value is repeated there, in UTF-8 */
		return NULL;
	}
	kafka->compresses = strcmp(setting(conf, "compression.type", text, sizeof(text)), "none") != 0;
	kafka->conn.queue_bytes = strtoll(setting(conf, "queue.buffering.max.kbytes", text, sizeof(text)), NULL, 10) * 1024;
	kafka->conn.queue_messages = strtoll(setting(conf, "queue.buffering.max.messages", text, sizeof(text)), NULL, 10);
	kafka->batch_bytes = strtoll(setting(conf, "batch.size", text, sizeof(text)), NULL, 10);
	kafka->client = kafka_client_new(conf, allowed, error);
	if (kafka->client == NULL)
	{
		kafka_clean(error);
		return NULL;
	}
	prism_handle_hold(handle, release_connection, kafka);
	return &kafka->conn;
}

static pgsocket
wait_socket(PrismConn *conn)
{
	return ((KafkaConn *) conn)->client->event_fd;
}

static KafkaJob
new_job(KafkaOperation operation, const PrismQueueTarget *target)
{
	KafkaJob	job;

	memset(&job, 0, sizeof(job));
	job.operation = operation;
	if (target != NULL)
	{
		strlcpy(job.topic, target->name, sizeof(job.topic));
		if (target->position_id != NULL)
			strlcpy(job.group, target->position_id, sizeof(job.group));
		job.partitions = target->partitions;
		job.replication = target->replication;
	}
	return job;
}

/* Clients that are still closing are bounded: a worker that opens and closes in a loop must not collect threads. */
static bool
too_many_closing(KafkaConn *kafka)
{
	if (kafka_clients_closing() <= KAFKA_CLOSING_MAX)
		return false;
	(void) kafka_answer(kafka, PRISM_RETRY, "%d earlier connections are still being closed",
						kafka_clients_closing());
	return true;
}

static void
learn_limit(KafkaTopic *topic, const KafkaJob *job)
{
	topic->record_bytes_max = job->shape.message_bytes_max;
	topic->record_bytes_at = prism_instant();
}

static PrismOutcome
prepare(PrismConn *conn, const PrismQueueTarget *target, PrismQueueShape *shape)
{
	KafkaConn  *kafka = (KafkaConn *) conn;
	KafkaJob	job = new_job(KAFKA_PREPARE, target);
	PrismOutcome outcome;
	int64		batch_bytes_max;

	if (too_many_closing(kafka))
		return PRISM_RETRY;
	outcome = kafka_call(kafka, &kafka->client->admin, &job);
	if (outcome != PRISM_OK)
		return outcome;
	*shape = job.shape;
	kafka_topic(kafka, target->name)->partitions = job.shape.partitions;
	learn_limit(kafka_topic(kafka, target->name), &job);

	/*
	 * A topic that takes less than a whole batch would refuse batches of good
	 * records, and librdkafka does not divide them.  The size of batches can
	 * only be set at open().
	 */
	batch_bytes_max = job.shape.message_bytes_max - BATCH_MARGIN_BYTES;
	if (job.shape.message_bytes_max > 0 && kafka->batch_bytes > batch_bytes_max &&
		batch_bytes_max > BATCH_MARGIN_BYTES)
	{
		kafka_limit_batch(kafka->server_name, batch_bytes_max);
		return kafka_answer(kafka, PRISM_DOUBT,
							"topic \"%s\" takes batches of at most " INT64_FORMAT " bytes: opening anew with smaller ones",
							target->name, job.shape.message_bytes_max);
	}
	return PRISM_OK;
}

static PrismOutcome
look(PrismConn *conn, const PrismQueueTarget *target, PrismQueueShape *shape)
{
	KafkaConn  *kafka = (KafkaConn *) conn;
	KafkaJob	job = new_job(KAFKA_LOOK, target);
	PrismOutcome outcome = kafka_call(kafka, &kafka->client->admin, &job);

	if (outcome == PRISM_OK)
	{
		*shape = job.shape;
		learn_limit(kafka_topic(kafka, target->name), &job);
	}
	return outcome;
}

static PrismOutcome
reshape(PrismConn *conn, const PrismQueueTarget *target, PrismQueueShape *shape)
{
	KafkaConn  *kafka = (KafkaConn *) conn;
	KafkaJob	job = new_job(KAFKA_RESHAPE, target);
	PrismOutcome outcome = kafka_call(kafka, &kafka->client->admin, &job);

	if (outcome != PRISM_AGAIN && job.shape.partitions > 0)
	{
		*shape = job.shape;
		kafka_topic(kafka, target->name)->partitions = job.shape.partitions;
		learn_limit(kafka_topic(kafka, target->name), &job);
	}
	return outcome;
}

static PrismOutcome
fence(PrismConn *conn)
{
	KafkaConn  *kafka = (KafkaConn *) conn;
	KafkaJob	job = new_job(KAFKA_FENCE, NULL);
	PrismOutcome outcome;

	Assert(kafka->transactional);
	if (too_many_closing(kafka))
		return PRISM_RETRY;
	outcome = kafka_call(kafka, &kafka->client->transaction, &job);
	if (outcome == PRISM_OK && !kafka->fenced)
	{
		kafka->sockets_closed_known = pg_atomic_read_u32(&kafka->client->sockets_closed);
		kafka->fenced = true;
	}
	return outcome;
}

static PrismOutcome
position_read(PrismConn *conn, const PrismQueueTarget *target, int64 *position, char *metadata)
{
	KafkaConn  *kafka = (KafkaConn *) conn;
	KafkaJob	job = new_job(KAFKA_POSITION_READ, target);
	PrismOutcome outcome = kafka_call(kafka, &kafka->client->admin, &job);

	if (outcome == PRISM_OK)
	{
		*position = job.position;
		strlcpy(metadata, job.metadata, PRISM_ERROR_BYTES);
		kafka_clean(metadata);
	}
	return outcome;
}

static PrismOutcome
position_write(PrismConn *conn, const PrismQueueTarget *target, int64 position, const char *metadata)
{
	KafkaConn  *kafka = (KafkaConn *) conn;
	KafkaJob	job = new_job(KAFKA_POSITION_WRITE, target);

	Assert(position >= 0);
	job.position = position;
	strlcpy(job.metadata, metadata, sizeof(job.metadata));
	return kafka_call(kafka, &kafka->client->admin, &job);
}

/* What a doubt that came between two calls is answered with. */
static PrismOutcome
doubt(KafkaConn *kafka)
{
	return rd_kafka_fatal_error(kafka->client->rk, NULL, 0) == RD_KAFKA_RESP_ERR__FENCED ?
		PRISM_FENCED : PRISM_DOUBT;
}

static PrismOutcome
begin(PrismConn *conn)
{
	KafkaConn  *kafka = (KafkaConn *) conn;
	rd_kafka_error_t *error;
	PrismOutcome outcome;

	Assert(kafka->fenced && !kafka->in_transaction && kafka->in_flight == 0);
	kafka_serve(kafka);
	if (conn->doubt)
		return doubt(kafka);
	error = rd_kafka_begin_transaction(kafka->client->rk);	/* does not ask the broker */
	if (error == NULL)
	{
		kafka->in_transaction = true;
		return PRISM_OK;
	}
	outcome = kafka_outcome(rd_kafka_error_code(error)) == PRISM_FENCED ? PRISM_FENCED : PRISM_DOUBT;
	(void) kafka_answer(kafka, outcome, "could not begin a transaction: %s", rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return outcome;
}

static void
purge(PrismConn *conn)
{
	KafkaConn  *kafka = (KafkaConn *) conn;

	rd_kafka_purge(kafka->client->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
	/* librdkafka may call the gap a fatal error; let it be the same every time */
	if (!kafka->transactional)
		conn->doubt = true;		/* the text of why one purges stays */
}

static PrismOutcome
commit(PrismConn *conn, const PrismQueueTarget *target, int64 position, const char *metadata)
{
	KafkaConn  *kafka = (KafkaConn *) conn;
	KafkaJob	job = new_job(KAFKA_COMMIT, target);
	PrismOutcome outcome;

	/* librdkafka drops a negative offset and says that all is well. */
	Assert(kafka->in_transaction && position >= 0);
	kafka_serve(kafka);
	if (conn->doubt)
		return doubt(kafka);
	if (kafka->in_flight > 0)
		return PRISM_AGAIN;		/* receipts first: collect() */
	job.position = position;
	strlcpy(job.metadata, metadata, sizeof(job.metadata));
	outcome = kafka_call(kafka, &kafka->client->transaction, &job);
	if (outcome == PRISM_AGAIN)
		return outcome;
	if (outcome == PRISM_OK)
		kafka->in_transaction = false;
	return conn->doubt ? doubt(kafka) : outcome;
}

static PrismOutcome
abort_transaction(PrismConn *conn)
{
	KafkaConn  *kafka = (KafkaConn *) conn;
	KafkaJob	job = new_job(KAFKA_ABORT, NULL);
	PrismOutcome outcome;

	Assert(kafka->in_transaction);
	kafka_serve(kafka);
	if (conn->doubt)
		return doubt(kafka);
	outcome = kafka_call(kafka, &kafka->client->transaction, &job);
	if (outcome == PRISM_AGAIN)
		return outcome;
	if (outcome == PRISM_OK)
		kafka->in_transaction = false;
	return conn->doubt ? doubt(kafka) : outcome;
}
