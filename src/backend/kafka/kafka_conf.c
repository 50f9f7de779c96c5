/*-------------------------------------------------------------------------
 *
 * kafka_conf.c
 *	  A server's options become librdkafka's configuration.
 *
 * src/backend/kafka/kafka_conf.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/kafka/kafka.h"
#include "backend/kafka/kafka_option_table.h"

#include "utils/memutils.h"

typedef struct KafkaSetting
{
	const char *name;
	const char *value;
} KafkaSetting;

/* Set first, options override them. */
static const KafkaSetting defaults[] = {
	{"client.id", "prism"},
	{"linger.ms", "0"},
	{"message.max.bytes", "16777216"},	/* the broker's limit decides; batches stay at batch.size */
	{"queue.buffering.max.kbytes", "65536"},	/* one topic fills at most a third of it (stream.c) */
	{"queue.buffering.max.messages", "100000"},
	{"socket.timeout.ms", "30000"},
	{"socket.keepalive.enable", "true"},
	{"reconnect.backoff.max.ms", "5000"},
	{"topic.metadata.refresh.interval.ms", "60000"},
};

/*
 * Set last: what prism's guarantees stand on.
 *
 * One request in flight, and not the five that an idempotent producer may have:
 * a broker that does not know the producer yet takes any sequence number.  When
 * it refuses the first batch of a partition (it is not its leader yet: a new
 * topic, a restart) and takes the second one, librdkafka concludes from the
 * second that the first is there as well, and says so in its receipts.  With
 * five in flight a new topic on a fresh broker lost its first message in two
 * runs of five.  A batch holds up to 10,000 messages, so little speed is lost.
 */
static const KafkaSetting fixed[] = {
	{"enable.idempotence", "true"},
	{"acks", "all"},
	{"partitioner", "murmur2_random"},	/* as Java's, so keys stay where they are; kafka_send.c computes the same */
	{"message.timeout.ms", "0"},	/* else a message is given up while its successors arrive */
	{"max.in.flight.requests.per.connection", "1"}, /* see below */
	{"socket.max.fails", "1"},	/* a request that timed out closes its connection: seen as doubt */
	{"log.queue", "true"},		/* log lines come on our thread */
	{"log.connection.close", "false"},
	{"log.thread.name", "false"},
	{"allow.auto.create.topics", "false"},
};

/* The largest batch, in bytes, that topics of a server take; learned by prepare(), kept for the next open(). */
typedef struct BatchLimit
{
	char	   *server_name;
	int64		batch_bytes;
	struct BatchLimit *next;
} BatchLimit;

static BatchLimit *batch_limits = NULL;

static bool
set(rd_kafka_conf_t *conf, const char *name, const char *value, char *error)
{
	char		reason[PRISM_ERROR_BYTES];

	if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) == RD_KAFKA_CONF_OK)
		return true;
	/* librdkafka's reason may repeat the value, which may be a secret */
	snprintf(error, PRISM_ERROR_BYTES, "option \"%s\" is refused by librdkafka", name);
	return false;
}

static bool
set_all(rd_kafka_conf_t *conf, const KafkaSetting *settings, int count, char *error)
{
	for (int i = 0; i < count; i++)
		if (!set(conf, settings[i].name, settings[i].value, error))
			return false;
	return true;
}

static bool
allowed(const char *name)
{
	for (size_t i = 0; i < lengthof(kafka_option_table); i++)
		if (strcmp(kafka_option_table[i].name, name) == 0)
			return true;
	return false;
}

static bool
set_options(rd_kafka_conf_t *conf, List *options, char *error)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		const PrismOption *option = lfirst(cell);

		if (!allowed(option->name))
		{
			snprintf(error, PRISM_ERROR_BYTES, "option \"%s\" is not allowed", option->name);
			return false;
		}
		if (!set(conf, option->name, option->value, error))
			return false;
	}
	return true;
}

static BatchLimit *
find_batch_limit(const char *server_name)
{
	BatchLimit *limit = batch_limits;

	while (limit != NULL && strcmp(limit->server_name, server_name) != 0)
		limit = limit->next;
	return limit;
}

/* 0: none known */
int64
kafka_batch_bytes(const char *server_name)
{
	BatchLimit *limit = find_batch_limit(server_name);

	return limit != NULL ? limit->batch_bytes : 0;
}

void
kafka_limit_batch(const char *server_name, int64 batch_bytes)
{
	BatchLimit *limit = find_batch_limit(server_name);

	if (limit == NULL)
	{
		char	   *name = MemoryContextStrdup(TopMemoryContext, server_name);

		limit = MemoryContextAllocZero(TopMemoryContext, sizeof(BatchLimit));
		limit->server_name = name;
		limit->batch_bytes = batch_bytes;
		limit->next = batch_limits;
		batch_limits = limit;
	}
	limit->batch_bytes = Min(limit->batch_bytes, batch_bytes);
}

static bool
limit_batch_size(rd_kafka_conf_t *conf, const char *server_name, char *error)
{
	int64		limit = kafka_batch_bytes(server_name);
	char		text[32];
	size_t		size = sizeof(text);

	if (limit == 0 || rd_kafka_conf_get(conf, "batch.size", text, &size) != RD_KAFKA_CONF_OK ||
		strtoll(text, NULL, 10) <= limit)
		return true;
	snprintf(text, sizeof(text), INT64_FORMAT, limit);
	return set(conf, "batch.size", text, error);
}

/* NULL and error when an option is refused. */
rd_kafka_conf_t *
kafka_conf_new(const PrismServer *server, const char *transactional_id, char *error)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
	if (set_all(conf, defaults, lengthof(defaults), error) &&
		set_options(conf, server->options, error) &&
		limit_batch_size(conf, server->name, error) &&
		set_all(conf, fixed, lengthof(fixed), error) &&
		/* A refused batch must not let its successors overtake it; a transaction is aborted instead. */
		(transactional_id != NULL ? set(conf, "transactional.id", transactional_id, error) :
		 set(conf, "enable.gapless.guarantee", "true", error)))
		return conf;
	rd_kafka_conf_destroy(conf);
	return NULL;
}
