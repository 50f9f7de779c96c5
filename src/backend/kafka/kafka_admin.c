/*-------------------------------------------------------------------------
 *
 * kafka_admin.c
 *	  Topics and positions at the broker, as they run in a caller thread.
 *
 * src/backend/kafka/kafka_admin.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/kafka/kafka.h"

#include <stdlib.h>
#include <time.h>

#define LEADER_WAIT_MS 50
#define UNSTABLE_WAIT_MS 20

/*
 * Sends one request; its answer comes to the queue.  False: librdkafka refuses
 * what it is asked for, and gives NULL instead of an object; the job says why.
 */
typedef bool (*AdminRequest) (KafkaClient *client, KafkaJob *job,
							  const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue);

static void
nap(int ms)
{
	struct timespec time = {.tv_sec = ms / 1000,.tv_nsec = (ms % 1000) * 1000000L};

	nanosleep(&time, NULL);
}

/*
 * Ask and wait.  NULL: the job says why.  On success the caller destroys the event.
 */
static rd_kafka_event_t *
ask(KafkaClient *client, KafkaJob *job, rd_kafka_admin_op_t operation, AdminRequest request)
{
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client->rk, operation);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(client->rk);
	rd_kafka_event_t *event = NULL;
	char		text[PRISM_ERROR_BYTES];
	bool		asked;

	rd_kafka_AdminOptions_set_request_timeout(options, KAFKA_CALL_MS, text, sizeof(text));
	asked = request(client, job, options, queue);
	/* librdkafka answers at the timeout at the latest. */
	if (asked)
		event = rd_kafka_queue_poll(queue, KAFKA_CALL_MS * 2);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);

	if (!asked)
		Assert(job->outcome != PRISM_OK);
	else if (event == NULL)
		kafka_job_error(job, PRISM_RETRY, RD_KAFKA_RESP_ERR__TIMED_OUT, "the broker did not answer");
	else if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		kafka_job_error(job, kafka_outcome(rd_kafka_event_error(event)), rd_kafka_event_error(event),
						"%s", rd_kafka_event_error_string(event));
		rd_kafka_event_destroy(event);
		event = NULL;
	}
	return event;
}

/* What to grant when the broker says no. */
static void
explain_rights(KafkaJob *job, const char *operations, const char *resource, const char *name)
{
	char		reason[PRISM_ERROR_BYTES / 2];

	if (job->outcome != PRISM_STOP)
		return;
	switch (job->code)
	{
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
			strlcpy(reason, job->error, sizeof(reason));
			kafka_job_error(job, PRISM_STOP, job->code,
							"%s: allow the operations %s on %s \"%s\" in the broker's access control list",
							reason, operations, resource, name);
			break;
		default:
			break;
	}
}

/* How many partitions, and copies of the one that has fewest.  False: one has no leader, and nothing is said. */
static bool
read_partitions(const struct rd_kafka_metadata_topic *topic, PrismQueueShape *shape)
{
	int			replication = topic->partition_cnt > 0 ? topic->partitions[0].replica_cnt : 0;

	for (int i = 0; i < topic->partition_cnt; i++)
	{
		if (topic->partitions[i].leader < 0)
			return false;
		replication = Min(replication, topic->partitions[i].replica_cnt);
	}
	shape->partitions = topic->partition_cnt;
	shape->replication = replication;
	return true;
}

/*
 * Does the topic exist, and has every partition a leader?  OK, RETRY, STOP in
 * the job; *absent when it must be made.
 */
static void
look_up_topic(KafkaClient *client, KafkaJob *job, bool *absent)
{
	rd_kafka_topic_t *topic = rd_kafka_topic_new(client->rk, job->topic, NULL);
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_resp_err_t code;

	*absent = false;
	if (topic == NULL)
	{
		kafka_job_error(job, PRISM_STOP, RD_KAFKA_RESP_ERR__INVALID_ARG,
						"topic name \"%s\" is refused by librdkafka", job->topic);
		return;
	}
	code = rd_kafka_metadata(client->rk, 0, topic, &metadata, KAFKA_CALL_MS);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt != 1)
		code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		code = metadata->topics[0].err;
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR && !read_partitions(&metadata->topics[0], &job->shape))
		code = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
	if (metadata != NULL)
		rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(topic);

	if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
		*absent = true;
	job->error[0] = '\0';
	job->outcome = PRISM_OK;
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		kafka_job_error(job, kafka_outcome(code), code, "could not look up topic \"%s\": %s",
						job->topic, rd_kafka_err2str(code));
	explain_rights(job, "Describe, Write and Create", "topic", job->topic);
}

static bool
refused(KafkaJob *job, const char *what, const char *name, const char *why)
{
	kafka_job_error(job, PRISM_STOP, RD_KAFKA_RESP_ERR__INVALID_ARG, "%s \"%s\" is refused by librdkafka: %s", what, name, why);
	return false;
}

static bool
request_create(KafkaClient *client, KafkaJob *job,
			   const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
	char		text[PRISM_ERROR_BYTES] = "";
	rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(job->topic,
													   job->partitions > 0 ? job->partitions : -1,
													   job->replication > 0 ? job->replication : -1,
													   text, sizeof(text));

	if (topic == NULL)
		return refused(job, "to create topic", job->topic, text);
	rd_kafka_CreateTopics(client->rk, &topic, 1, options, queue);
	rd_kafka_NewTopic_destroy(topic);
	return true;
}

/* Of a request for one topic; *text lives as long as the event. */
static rd_kafka_resp_err_t
result_of(const rd_kafka_topic_result_t **topics, size_t count, const char **text)
{
	rd_kafka_resp_err_t code = count == 1 ? rd_kafka_topic_result_error(topics[0]) : RD_KAFKA_RESP_ERR__FAIL;

	*text = count == 1 ? rd_kafka_topic_result_error_string(topics[0]) : NULL;
	if (*text == NULL)
		*text = rd_kafka_err2str(code);
	return code;
}

static void
create_topic(KafkaClient *client, KafkaJob *job)
{
	rd_kafka_event_t *event = ask(client, job, RD_KAFKA_ADMIN_OP_CREATETOPICS, request_create);
	const rd_kafka_topic_result_t **topics;
	const char *text;
	size_t		count = 0;
	rd_kafka_resp_err_t code;

	if (event == NULL)
		return;
	topics = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
	code = result_of(topics, count, &text);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
		job->outcome = PRISM_OK;
	else
		kafka_job_error(job, kafka_outcome(code), code, "could not create topic \"%s\": %s", job->topic, text);
	rd_kafka_event_destroy(event);
	explain_rights(job, "Create", "topic", job->topic);
}

static bool
request_limits(KafkaClient *client, KafkaJob *job,
			   const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
	rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, job->topic);

	if (resource == NULL)
		return refused(job, "topic name", job->topic, "it has no settings");
	rd_kafka_DescribeConfigs(client->rk, &resource, 1, options, queue);
	rd_kafka_ConfigResource_destroy(resource);
	return true;
}

/*
 * The topic's max.message.bytes, or 0.  A broker that does not let us read it
 * is no fault: then it refuses a batch, and the forwarder divides it.
 */
static void
read_limits(KafkaClient *client, KafkaJob *job)
{
	rd_kafka_event_t *event = ask(client, job, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, request_limits);
	const rd_kafka_ConfigResource_t **resources;
	const rd_kafka_ConfigEntry_t **entries = NULL;
	size_t		resource_count = 0;
	size_t		entry_count = 0;

	job->outcome = PRISM_OK;
	job->error[0] = '\0';
	job->shape.message_bytes_max = 0;
	if (event == NULL)
		return;
	resources = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event),
														  &resource_count);
	if (resource_count == 1)
		entries = rd_kafka_ConfigResource_configs(resources[0], &entry_count);
	for (size_t i = 0; i < entry_count; i++)
		if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "max.message.bytes") == 0 &&
			rd_kafka_ConfigEntry_value(entries[i]) != NULL)
			job->shape.message_bytes_max = strtoll(rd_kafka_ConfigEntry_value(entries[i]), NULL, 10);
	rd_kafka_event_destroy(event);
}

void
kafka_job_prepare(KafkaClient *client, KafkaJob *job)
{
	bool		absent;
	bool		made = false;
	int			waited_ms = 0;

	look_up_topic(client, job, &absent);
	if (absent)
	{
		create_topic(client, job);
		made = job->outcome == PRISM_OK;
	}
	/* A new topic is not known to every broker at once. */
	while (made && waited_ms < KAFKA_CALL_MS && !pg_atomic_read_u32(&client->closing))
	{
		look_up_topic(client, job, &absent);
		if (job->outcome == PRISM_OK || job->outcome == PRISM_STOP)
			break;
		nap(LEADER_WAIT_MS);
		waited_ms += LEADER_WAIT_MS;
	}
	if (job->outcome == PRISM_OK && !pg_atomic_read_u32(&client->closing))
		read_limits(client, job);
}

void
kafka_job_look(KafkaClient *client, KafkaJob *job)
{
	bool		absent;

	look_up_topic(client, job, &absent);
	if (job->outcome == PRISM_OK && !pg_atomic_read_u32(&client->closing))
		read_limits(client, job);
}

static bool
request_partitions(KafkaClient *client, KafkaJob *job,
				   const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
	char		text[PRISM_ERROR_BYTES] = "";
	rd_kafka_NewPartitions_t *partitions = rd_kafka_NewPartitions_new(job->topic, job->partitions, text, sizeof(text));

	if (partitions == NULL)
		return refused(job, "to add partitions to topic", job->topic, text);
	rd_kafka_CreatePartitions(client->rk, &partitions, 1, options, queue);
	rd_kafka_NewPartitions_destroy(partitions);
	return true;
}

static void
add_partitions(KafkaClient *client, KafkaJob *job)
{
	rd_kafka_event_t *event = ask(client, job, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, request_partitions);
	const rd_kafka_topic_result_t **topics;
	const char *text;
	size_t		count = 0;
	rd_kafka_resp_err_t code;

	if (event == NULL)
		return;
	topics = rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &count);
	code = result_of(topics, count, &text);
	/* that it has as many already: somebody else was faster, and the next look will find them */
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		kafka_job_error(job, code == RD_KAFKA_RESP_ERR_INVALID_PARTITIONS ? PRISM_RETRY : kafka_outcome(code), code,
						"could not raise topic \"%s\" from %d partitions to %d: %s",
						job->topic, job->shape.partitions, job->partitions, text);
	rd_kafka_event_destroy(event);
	explain_rights(job, "Alter", "topic", job->topic);
}

/*
 * New partitions are not known to every broker at once, and have no leader at
 * first: until they do, keys stay where they are.
 */
void
kafka_job_reshape(KafkaClient *client, KafkaJob *job)
{
	PrismQueueShape usable;
	int			waited_ms = 0;
	bool		absent;

	kafka_job_look(client, job);
	if (job->outcome != PRISM_OK || job->shape.partitions >= job->partitions)
		return;
	usable = job->shape;
	add_partitions(client, job);
	while (job->outcome == PRISM_OK && !pg_atomic_read_u32(&client->closing))
	{
		look_up_topic(client, job, &absent);
		if (job->outcome == PRISM_OK && job->shape.partitions >= job->partitions)
			return;
		if (waited_ms >= KAFKA_CALL_MS)
			kafka_job_error(job, PRISM_RETRY, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
							"the new partitions of topic \"%s\" have no leaders yet", job->topic);
		else if (job->outcome == PRISM_RETRY)
			job->outcome = PRISM_OK;
		nap(LEADER_WAIT_MS);
		waited_ms += LEADER_WAIT_MS;
	}
	job->shape = usable;
}

static bool
request_position(KafkaClient *client, KafkaJob *job,
				 const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
	rd_kafka_topic_partition_list_t *partitions = rd_kafka_topic_partition_list_new(1);
	rd_kafka_ListConsumerGroupOffsets_t *request;
	rd_kafka_error_t *error;

	rd_kafka_topic_partition_list_add(partitions, job->topic, 0);
	request = rd_kafka_ListConsumerGroupOffsets_new(job->group, partitions);
	/* An offset inside an open transaction is not stable: the broker says so instead of the old one. */
	error = rd_kafka_AdminOptions_set_require_stable_offsets((rd_kafka_AdminOptions_t *) options, 1);
	if (error != NULL)
		rd_kafka_error_destroy(error);
	rd_kafka_ListConsumerGroupOffsets(client->rk, &request, 1, options, queue);
	rd_kafka_ListConsumerGroupOffsets_destroy(request);
	rd_kafka_topic_partition_list_destroy(partitions);
	return true;
}

/* The answer's only partition, or NULL and the job says why. */
static const rd_kafka_topic_partition_t *
answered_partition(KafkaJob *job, const rd_kafka_group_result_t **groups, size_t count)
{
	const rd_kafka_topic_partition_list_t *partitions = NULL;
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__FAIL;

	if (count == 1)
	{
		const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[0]);

		code = error != NULL ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
		partitions = rd_kafka_group_result_partitions(groups[0]);
	}
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		code = partitions != NULL && partitions->cnt == 1 ?
			partitions->elems[0].err : RD_KAFKA_RESP_ERR__FAIL;
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return &partitions->elems[0];
	kafka_job_error(job, kafka_outcome(code), code, "group \"%s\": %s", job->group, rd_kafka_err2str(code));
	return NULL;
}

/*
 * A consumer with the client's settings, for one question.
 *
 * When the broker answers a question for a group's offsets with "not the
 * coordinator", as it does while it starts, librdkafka (2.0.2 as well as 2.4.0
 * and 2.10.0) tells the asking handle's own consumer group, which a producer
 * does not have: the process would die of a NULL pointer.
 */
static rd_kafka_t *
group_reader_new(const KafkaClient *client, KafkaJob *job)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_dup(rd_kafka_conf(client->rk));
	char		text[PRISM_ERROR_BYTES];
	rd_kafka_t *reader;

	/* Its connections come and go; they cast no doubt on the producer's. */
	rd_kafka_conf_set_closesocket_cb(conf, NULL);
	rd_kafka_conf_set(conf, "group.id", job->group, text, sizeof(text));
	reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
	if (reader == NULL)
	{
		rd_kafka_conf_destroy(conf);
		kafka_job_error(job, PRISM_RETRY, RD_KAFKA_RESP_ERR__FAIL, "%s", text);
	}
	return reader;
}

static void
read_position_once(KafkaClient *reader, KafkaJob *job)
{
	rd_kafka_event_t *event = ask(reader, job, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, request_position);
	const rd_kafka_topic_partition_t *partition;
	const rd_kafka_group_result_t **groups;
	size_t		count = 0;

	if (event == NULL)
		return;
	groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
															 rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
	partition = answered_partition(job, groups, count);
	if (partition != NULL)
	{
		Size		bytes = Min(partition->metadata_size, KAFKA_METADATA_BYTES);

		job->outcome = PRISM_OK;
		job->position = partition->offset >= 0 ? partition->offset : -1;
		if (partition->metadata != NULL)
			memcpy(job->metadata, partition->metadata, bytes);
		job->metadata[partition->metadata != NULL ? bytes : 0] = '\0';
	}
	rd_kafka_event_destroy(event);
}

void
kafka_job_position_read(KafkaClient *client, KafkaJob *job)
{
	KafkaClient reader = {.rk = group_reader_new(client, job)};
	int			waited_ms = 0;

	if (reader.rk == NULL)
		return;
	for (;;)
	{
		read_position_once(&reader, job);
		if (job->outcome == PRISM_OK || job->code != RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT ||
			waited_ms >= KAFKA_CALL_MS || pg_atomic_read_u32(&client->closing))
			break;
		nap(UNSTABLE_WAIT_MS);
		waited_ms += UNSTABLE_WAIT_MS;
	}
	rd_kafka_destroy_flags(reader.rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	explain_rights(job, "Read", "group", job->group);
}

static bool
request_position_write(KafkaClient *client, KafkaJob *job,
					   const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
	rd_kafka_topic_partition_list_t *partitions = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *partition = rd_kafka_topic_partition_list_add(partitions, job->topic, 0);
	rd_kafka_AlterConsumerGroupOffsets_t *request;

	partition->offset = job->position;
	partition->metadata = strdup(job->metadata);
	partition->metadata_size = partition->metadata != NULL ? strlen(partition->metadata) : 0;
	request = rd_kafka_AlterConsumerGroupOffsets_new(job->group, partitions);
	rd_kafka_AlterConsumerGroupOffsets(client->rk, &request, 1, options, queue);
	rd_kafka_AlterConsumerGroupOffsets_destroy(request);
	rd_kafka_topic_partition_list_destroy(partitions);
	return true;
}

void
kafka_job_position_write(KafkaClient *client, KafkaJob *job)
{
	rd_kafka_event_t *event = ask(client, job, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS,
								  request_position_write);
	const rd_kafka_group_result_t **groups;
	size_t		count = 0;

	if (event != NULL)
	{
		groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
																  rd_kafka_event_AlterConsumerGroupOffsets_result(event), &count);
		if (answered_partition(job, groups, count) != NULL)
			job->outcome = PRISM_OK;
		rd_kafka_event_destroy(event);
	}
	explain_rights(job, "Read", "group", job->group);
}
