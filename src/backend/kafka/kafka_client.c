/*-------------------------------------------------------------------------
 *
 * kafka_client.c
 *	  Birth and end of a librdkafka handle, and the threads around it.
 *
 * A handle ends in a thread of its own: destroying it waits for librdkafka's
 * threads, which may sit in a name lookup or in a connection that swallows
 * packets, and a worker must be able to leave within seconds.
 *
 * src/backend/kafka/kafka_client.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/kafka/kafka.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EXIT_WAIT_MS 2000		/* of the five seconds a fast shutdown may take */

/* Clients handed to a closing thread that has not ended. */
static pthread_mutex_t closing_lock = PTHREAD_MUTEX_INITIALIZER;
static int	closing_count = 0;

/*
 * PostgreSQL's signal handlers must run in its own thread.  A thread inherits
 * the mask of the one that starts it.
 */
void
kafka_mask_signals(sigset_t *saved)
{
	sigset_t	all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, saved);
}

void
kafka_restore_signals(const sigset_t *saved)
{
	pthread_sigmask(SIG_SETMASK, saved, NULL);
}

/*
 * A connection of librdkafka was closed, by whomever.  Counted here because
 * librdkafka tells the application only of errors that differ from the last
 * one, and repeats a request on the next connection without a word.
 */
static int
count_closed_socket(int socket, void *opaque)
{
	KafkaClient *client = opaque;

	pg_atomic_fetch_add_u32(&client->sockets_closed, 1);
	return close(socket);
}

static void
free_client(KafkaClient *client)
{
	free(client->allowed);
	free(client);
}

/*
 * Takes over conf.  NULL and error when librdkafka refuses it.  Nothing of
 * PostgreSQL is allocated, so nothing is lost by an error in the caller.
 */
KafkaClient *
kafka_client_new(rd_kafka_conf_t *conf, const char *allowed, char *error)
{
	KafkaClient *client = calloc(1, sizeof(KafkaClient));
	sigset_t	saved;

	if (client != NULL && allowed != NULL && (client->allowed = strdup(allowed)) == NULL)
	{
		free_client(client);
		client = NULL;
	}
	if (client == NULL)
	{
		rd_kafka_conf_destroy(conf);
		strlcpy(error, "out of memory", PRISM_ERROR_BYTES);
		return NULL;
	}
	pg_atomic_init_u32(&client->sockets_closed, 0);
	pg_atomic_init_u32(&client->closing, 0);
	client->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	rd_kafka_conf_set_opaque(conf, client);
	rd_kafka_conf_set_closesocket_cb(conf, count_closed_socket);
	kafka_watch_addresses(client, conf);

	kafka_mask_signals(&saved);
	if (client->event_fd >= 0)
		client->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, PRISM_ERROR_BYTES);
	else
		strlcpy(error, "could not create an event descriptor", PRISM_ERROR_BYTES);
	if (client->rk == NULL)
	{
		kafka_restore_signals(&saved);
		rd_kafka_conf_destroy(conf);
		if (client->event_fd >= 0)
			close(client->event_fd);
		pthread_mutex_destroy(&client->refused_lock);
		free_client(client);
		return NULL;
	}
	rd_kafka_set_log_queue(client->rk, NULL);
	client->queue = rd_kafka_queue_get_main(client->rk);
	kafka_wake_for_events(client);
	if (!kafka_caller_start(&client->transaction, client) ||
		!kafka_caller_start(&client->admin, client))
	{
		kafka_restore_signals(&saved);
		strlcpy(error, "could not start a thread", PRISM_ERROR_BYTES);
		kafka_client_close(client);
		return NULL;
	}
	kafka_restore_signals(&saved);
	return client;
}

/* Ends what is left of a client; a thread of its own, or the caller when there can be none. */
static void *
destroy_client(void *arg)
{
	KafkaClient *client = arg;

	kafka_caller_join(&client->transaction);
	kafka_caller_join(&client->admin);
	rd_kafka_queue_destroy(client->queue);
	rd_kafka_destroy(client->rk);
	close(client->event_fd);
	pthread_mutex_destroy(&client->refused_lock);
	free_client(client);

	pthread_mutex_lock(&closing_lock);
	closing_count--;
	pthread_mutex_unlock(&closing_lock);
	return NULL;
}

/*
 * Let go of a client.  What it has queued is dropped at once: a message that
 * left later could overtake what its successor sends.
 */
void
kafka_client_close(void *foreign)
{
	KafkaClient *client = foreign;
	pthread_t	thread;
	sigset_t	saved;

	pg_atomic_write_u32(&client->closing, 1);
	rd_kafka_purge(client->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
				   RD_KAFKA_PURGE_F_NON_BLOCKING);
	kafka_caller_quit(&client->transaction);
	kafka_caller_quit(&client->admin);

	pthread_mutex_lock(&closing_lock);
	closing_count++;
	pthread_mutex_unlock(&closing_lock);

	kafka_mask_signals(&saved);
	if (pthread_create(&thread, NULL, destroy_client, client) == 0)
		pthread_detach(thread);
	else
	{
		/* No thread to be had: leave the handle to the end of the process. */
	}
	kafka_restore_signals(&saved);
}

int
kafka_clients_closing(void)
{
	int			count;

	pthread_mutex_lock(&closing_lock);
	count = closing_count;
	pthread_mutex_unlock(&closing_lock);
	return count;
}

/* The process ends: give the closing threads some time, never more than EXIT_WAIT_MS. */
void
kafka_clients_wait(void)
{
	for (int waited_ms = 0; waited_ms < EXIT_WAIT_MS && kafka_clients_closing() > 0; waited_ms++)
		pg_usleep(1000L);
}
