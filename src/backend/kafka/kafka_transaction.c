/*-------------------------------------------------------------------------
 *
 * kafka_transaction.c
 *	  Kafka transactions, as they run in a caller thread.
 *
 * The position travels inside the transaction (send_offsets_to_transaction), as
 * the committed offset of a group that nobody joins, in the topic's partition 0.
 *
 * What is definite and what is not:  librdkafka repeats the request that ends a
 * transaction by itself, and a delayed copy of it may reach the broker during a
 * later transaction of the same epoch.  So every answer to commit and abort
 * other than plain success is in doubt, and even success is, when a connection
 * was closed since we fenced (kafka_serve() sees that).
 *
 * src/backend/kafka/kafka_transaction.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/kafka/kafka.h"

/* Longer than librdkafka's own request timeouts: a caller may wait, the worker does not. */
#define END_TRANSACTION_MS 60000

/* The outcome of a failed call; destroys the error. */
static void
fail(KafkaJob *job, const char *what, rd_kafka_error_t *error, PrismOutcome outcome)
{
	kafka_job_error(job, outcome, rd_kafka_error_code(error), "could not %s: %s",
					what, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
}

void
kafka_job_fence(KafkaClient *client, KafkaJob *job)
{
	rd_kafka_error_t *error = rd_kafka_init_transactions(client->rk, KAFKA_CALL_MS);
	PrismOutcome outcome;

	if (error == NULL)
		return;
	outcome = kafka_outcome(rd_kafka_error_code(error));
	if (rd_kafka_error_is_retriable(error))
		outcome = PRISM_RETRY;	/* librdkafka goes on in the background, the next call resumes */
	else if (outcome == PRISM_RETRY && rd_kafka_error_is_fatal(error))
		outcome = PRISM_DOUBT;
	fail(job, "take over the transactional id", error, outcome);
}

/* Add the position to the open transaction. */
static rd_kafka_error_t *
send_position(KafkaClient *client, const KafkaJob *job)
{
	rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *offset = rd_kafka_topic_partition_list_add(offsets, job->topic, 0);
	rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata_new(job->group);
	rd_kafka_error_t *error;

	offset->offset = job->position;
	offset->metadata = strdup(job->metadata);
	offset->metadata_size = offset->metadata != NULL ? strlen(offset->metadata) : 0;
	error = rd_kafka_send_offsets_to_transaction(client->rk, offsets, group, END_TRANSACTION_MS);
	rd_kafka_consumer_group_metadata_destroy(group);
	rd_kafka_topic_partition_list_destroy(offsets);
	return error;
}

void
kafka_job_commit(KafkaClient *client, KafkaJob *job)
{
	rd_kafka_error_t *error = send_position(client, job);
	PrismOutcome outcome;

	if (error != NULL)
	{
		/* Nothing asked for a commit yet: unless the producer is spent, the transaction can be aborted. */
		outcome = kafka_outcome(rd_kafka_error_code(error));
		if (rd_kafka_error_is_fatal(error) && outcome != PRISM_FENCED)
			outcome = PRISM_DOUBT;
		else if (outcome == PRISM_REJECT)
			outcome = PRISM_RETRY;
		fail(job, "add the position to the transaction", error, outcome);
		return;
	}
	if (pg_atomic_read_u32(&client->closing))
	{
		kafka_job_error(job, PRISM_DOUBT, 0, "the connection is being closed");
		return;
	}
	error = rd_kafka_commit_transaction(client->rk, END_TRANSACTION_MS);
	if (error == NULL)
		return;
	outcome = kafka_outcome(rd_kafka_error_code(error)) == PRISM_FENCED ? PRISM_FENCED : PRISM_DOUBT;
	fail(job, "commit the transaction", error, outcome);
}

void
kafka_job_abort(KafkaClient *client, KafkaJob *job)
{
	rd_kafka_error_t *error = rd_kafka_abort_transaction(client->rk, END_TRANSACTION_MS);
	PrismOutcome outcome;

	if (error == NULL)
		return;
	outcome = kafka_outcome(rd_kafka_error_code(error)) == PRISM_FENCED ? PRISM_FENCED : PRISM_DOUBT;
	fail(job, "abort the transaction", error, outcome);
}
