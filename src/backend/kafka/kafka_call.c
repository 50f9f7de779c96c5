/*-------------------------------------------------------------------------
 *
 * kafka_call.c
 *	  Calls of librdkafka that block, made by a thread of our own.
 *
 * rd_kafka_send_offsets_to_transaction() waits for the broker's answer however
 * small its timeout is, metadata requests have no other form than a waiting
 * one, and commit and abort cannot be cut into slices everywhere.  So these run
 * in a caller thread, one job at a time; PostgreSQL's thread asks for the
 * answer and gets PRISM_AGAIN until it is there.
 *
 * A caller calls no function of PostgreSQL but the string functions of its port
 * library (snprintf and strlcpy are macros or substitutes for those), which
 * touch nothing but their arguments.  Its job is copied in and out.
 *
 * src/backend/kafka/kafka_call.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/kafka/kafka.h"

static void
run_job(KafkaClient *client, KafkaJob *job)
{
	job->outcome = PRISM_OK;
	job->code = 0;
	job->error[0] = '\0';
	switch (job->operation)
	{
		case KAFKA_PREPARE:
			kafka_job_prepare(client, job);
			break;
		case KAFKA_LOOK:
			kafka_job_look(client, job);
			break;
		case KAFKA_RESHAPE:
			kafka_job_reshape(client, job);
			break;
		case KAFKA_FENCE:
			kafka_job_fence(client, job);
			break;
		case KAFKA_POSITION_READ:
			kafka_job_position_read(client, job);
			break;
		case KAFKA_POSITION_WRITE:
			kafka_job_position_write(client, job);
			break;
		case KAFKA_COMMIT:
			kafka_job_commit(client, job);
			break;
		case KAFKA_ABORT:
			kafka_job_abort(client, job);
			break;
		case KAFKA_NOTHING:
			break;
	}
}

static void *
caller_main(void *arg)
{
	KafkaCaller *caller = arg;

	pthread_mutex_lock(&caller->lock);
	for (;;)
	{
		while (!caller->quit && caller->state != KAFKA_CALLER_BUSY)
			pthread_cond_wait(&caller->wake, &caller->lock);
		if (caller->quit)
			break;
		/* While BUSY the job belongs to this thread. */
		pthread_mutex_unlock(&caller->lock);
		run_job(caller->client, &caller->job);
		pthread_mutex_lock(&caller->lock);
		caller->state = KAFKA_CALLER_DONE;
		kafka_wake(caller->client);
	}
	pthread_mutex_unlock(&caller->lock);
	return NULL;
}

/* Call with all signals masked. */
bool
kafka_caller_start(KafkaCaller *caller, KafkaClient *client)
{
	caller->client = client;
	pthread_mutex_init(&caller->lock, NULL);
	pthread_cond_init(&caller->wake, NULL);
	caller->started = pthread_create(&caller->thread, NULL, caller_main, caller) == 0;
	return caller->started;
}

void
kafka_caller_quit(KafkaCaller *caller)
{
	if (!caller->started)
		return;
	pthread_mutex_lock(&caller->lock);
	caller->quit = true;
	pthread_cond_signal(&caller->wake);
	pthread_mutex_unlock(&caller->lock);
}

void
kafka_caller_join(KafkaCaller *caller)
{
	if (!caller->started)
		return;
	pthread_join(caller->thread, NULL);
	pthread_cond_destroy(&caller->wake);
	pthread_mutex_destroy(&caller->lock);
}

static bool
same_job(const KafkaJob *a, const KafkaJob *b)
{
	return a->operation == b->operation && strcmp(a->topic, b->topic) == 0 &&
		strcmp(a->group, b->group) == 0;
}

/*
 * The answer is there and somebody else's.  The caller who wants it asks again
 * within PRISM_POLL_MS or so; one that nobody comes back for is dropped (of a
 * topic that was dropped or paused while it was being prepared).  The lock is held.
 */
static void
pass_over(KafkaCaller *caller)
{
	PrismInstant now = prism_instant();

	if (caller->passed_over_at == 0)
		caller->passed_over_at = now;
	else if (prism_has_passed(caller->passed_over_at, now, KAFKA_UNCLAIMED_MS))
		caller->state = KAFKA_CALLER_IDLE;
}

/* Have the job done: PRISM_AGAIN until it is, then its outcome, with the answer in *job. */
PrismOutcome
kafka_call(KafkaConn *kafka, KafkaCaller *caller, KafkaJob *job)
{
	bool		answered = false;

	kafka_serve(kafka);
	pthread_mutex_lock(&caller->lock);
	answered = caller->state == KAFKA_CALLER_DONE && same_job(&caller->job, job);
	if (caller->state == KAFKA_CALLER_DONE && !answered)
		pass_over(caller);
	if (answered)
	{
		memcpy(job, &caller->job, sizeof(KafkaJob));
		caller->state = KAFKA_CALLER_IDLE;
	}
	else if (caller->state == KAFKA_CALLER_IDLE)
	{
		memcpy(&caller->job, job, sizeof(KafkaJob));
		caller->passed_over_at = 0;
		caller->state = KAFKA_CALLER_BUSY;
		pthread_cond_signal(&caller->wake);
	}
	pthread_mutex_unlock(&caller->lock);

	if (!answered)
		return PRISM_AGAIN;
	kafka_serve(kafka);
	if (job->outcome == PRISM_OK)
	{
		kafka->last_event[0] = '\0';	/* it was not the last word */
		return PRISM_OK;
	}
	/* "Timed out" says little; what librdkafka complained about meanwhile says why. */
	if (job->outcome == PRISM_RETRY && kafka->last_event[0] != '\0')
		return kafka_answer(kafka, job->outcome, "%s (%s)", job->error, kafka->last_event);
	return kafka_answer(kafka, job->outcome, "%s", job->error);
}
