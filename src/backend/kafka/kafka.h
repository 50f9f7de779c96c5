/*-------------------------------------------------------------------------
 *
 * kafka.h
 *	  The Kafka back end's own types: connection, client, caller.
 *
 * Which thread may do what:
 *	- PostgreSQL's thread owns KafkaConn.  It calls only those functions of
 *	  librdkafka that return at once.
 *	- A caller is a thread of ours that makes the calls which block
 *	  (kafka_call.c).  It knows KafkaClient and its KafkaJob alone, both
 *	  malloc'd, and calls no function of PostgreSQL.
 *	- librdkafka's threads reach us through KafkaClient's event queue and file
 *	  descriptor, through one callback that counts (kafka_client.c), and through
 *	  one that refuses addresses (kafka_resolve.c).
 *
 * src/backend/kafka/kafka.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_KAFKA_H
#define PRISM_KAFKA_H

#include "base/prism.h"
#include "backend/endpoint_rule.h"
#include "backend/handle.h"
#include "backend/queue.h"
#include "base/clock.h"

#include "port/atomics.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>

#define KAFKA_GROUP_BYTES 256
#define KAFKA_METADATA_BYTES 4096	/* the broker's limit for the metadata of an offset */
#define KAFKA_CLOSING_MAX 16	/* connections whose threads have not ended yet */
#define KAFKA_ADDRESS_BYTES 320	/* a host and a port, however odd */
#define KAFKA_UNCLAIMED_MS 1000 /* how long an answer waits for the call that asked */
#define KAFKA_CALL_MS 5000		/* how long a caller stays in one call of librdkafka */

typedef enum KafkaOperation
{
	KAFKA_NOTHING,
	KAFKA_PREPARE,
	KAFKA_LOOK,
	KAFKA_RESHAPE,
	KAFKA_FENCE,
	KAFKA_POSITION_READ,
	KAFKA_POSITION_WRITE,
	KAFKA_COMMIT,
	KAFKA_ABORT
} KafkaOperation;

struct KafkaClient;

/* One blocking operation: arguments and answer.  Copied as a whole, holds no pointers. */
typedef struct KafkaJob
{
	KafkaOperation operation;
	char		topic[PRISM_TOPIC_NAME_MAX + 1];
	char		group[KAFKA_GROUP_BYTES];
	int			partitions;		/* wanted */
	int			replication;
	int64		position;		/* in or out */
	char		metadata[KAFKA_METADATA_BYTES + 1]; /* in or out */
	PrismQueueShape shape;		/* out of prepare, look and reshape: the topic as it is there */

	PrismOutcome outcome;
	int			code;			/* librdkafka's error */
	char		error[PRISM_ERROR_BYTES];
} KafkaJob;

typedef enum KafkaCallerState
{
	KAFKA_CALLER_IDLE,
	KAFKA_CALLER_BUSY,			/* the job is the thread's */
	KAFKA_CALLER_DONE			/* the job holds an answer that nobody has asked for yet */
} KafkaCallerState;

typedef struct KafkaCaller
{
	struct KafkaClient *client;
	pthread_t	thread;
	bool		started;
	pthread_mutex_t lock;		/* protects what follows */
	pthread_cond_t wake;
	KafkaCallerState state;
	bool		quit;
	PrismInstant passed_over_at;	/* when the answer was first found by somebody it is not for; 0: not yet */
	KafkaJob	job;
} KafkaCaller;

/* What threads share.  malloc'd, as it outlives its connection until the last thread has ended. */
typedef struct KafkaClient
{
	rd_kafka_t *rk;
	rd_kafka_queue_t *queue;	/* librdkafka's main queue: receipts, errors, log lines */
	int			event_fd;		/* readable: the queue or a caller has something */
	pg_atomic_uint32 sockets_closed;	/* counted by librdkafka's threads */
	pg_atomic_uint32 closing;	/* callers give up at their next step */
	char	   *allowed;		/* addresses to go to, as of prism.allowed_endpoints; NULL: any. Never changes */
	pthread_mutex_t refused_lock;	/* protects what follows */
	char		refused[KAFKA_ADDRESS_BYTES];	/* the last address that was not allowed, until it is asked for */
	KafkaCaller transaction;	/* fence, commit, abort */
	KafkaCaller admin;			/* topics and positions: a slow topic must not delay a commit */
} KafkaClient;

/* A topic that was sent to. */
typedef struct KafkaTopic
{
	char		name[PRISM_TOPIC_NAME_MAX + 1];
	rd_kafka_topic_t *handle;
	int			partitions;		/* over which its keys are spread; 0: librdkafka chooses */
	int64		record_bytes_max;	/* what the broker said, 0: unknown, ... */
	PrismInstant record_bytes_at;	/* ... and when: it may be another number by now */
	struct KafkaTopic *next;
} KafkaTopic;

typedef struct KafkaConn
{
	PrismConn	conn;			/* must be first */
	KafkaClient *client;
	KafkaTopic *topics;			/* the last one used comes first */
	rd_kafka_event_t *receipts; /* a batch of receipts not fully handed out */
	int64		in_flight;		/* sent and without receipt */
	bool		transactional;
	bool		compresses;
	bool		in_transaction;
	bool		fenced;			/* we own the transactional id; doubt counts from here on */
	uint32		sockets_closed_known;	/* when we fenced */
	const char *server_name;
	int64		batch_bytes;	/* batch.size */
	char		refused[KAFKA_ADDRESS_BYTES];	/* the last address of a broker that was not allowed */
	char		last_event[PRISM_ERROR_BYTES];	/* the last error librdkafka told without being asked */
} KafkaConn;

/* kafka_client.c: birth and end of a client */
extern KafkaClient *kafka_client_new(rd_kafka_conf_t *conf, const char *allowed, char *error);
extern void kafka_client_close(void *client);
extern void kafka_clients_wait(void);
extern int	kafka_clients_closing(void);
extern void kafka_mask_signals(sigset_t *saved);
extern void kafka_restore_signals(const sigset_t *saved);

/* kafka_conf.c: options of a server to librdkafka's configuration */
extern rd_kafka_conf_t *kafka_conf_new(const PrismServer *server, const char *transactional_id, char *error);
extern int64 kafka_batch_bytes(const char *server_name);
extern void kafka_limit_batch(const char *server_name, int64 batch_bytes);

/* kafka_call.c: calls that block */
extern bool kafka_caller_start(KafkaCaller *caller, KafkaClient *client);
extern void kafka_caller_quit(KafkaCaller *caller);
extern void kafka_caller_join(KafkaCaller *caller);
extern PrismOutcome kafka_call(KafkaConn *kafka, KafkaCaller *caller, KafkaJob *job);

/* jobs: run in a caller */
extern void kafka_job_prepare(KafkaClient *client, KafkaJob *job);
extern void kafka_job_look(KafkaClient *client, KafkaJob *job);
extern void kafka_job_reshape(KafkaClient *client, KafkaJob *job);
extern void kafka_job_position_read(KafkaClient *client, KafkaJob *job);
extern void kafka_job_position_write(KafkaClient *client, KafkaJob *job);
extern void kafka_job_fence(KafkaClient *client, KafkaJob *job);
extern void kafka_job_commit(KafkaClient *client, KafkaJob *job);
extern void kafka_job_abort(KafkaClient *client, KafkaJob *job);

/* kafka_resolve.c */
extern char *kafka_allowed_addresses(const PrismServer *server);
extern void kafka_watch_addresses(KafkaClient *client, rd_kafka_conf_t *conf);
extern bool kafka_refused_address(KafkaClient *client, char *address);

/* kafka_error.c */
extern PrismOutcome kafka_outcome(rd_kafka_resp_err_t code);
extern const char *kafka_advice(rd_kafka_resp_err_t code);	/* NULL: its text says it all */
extern void kafka_job_error(KafkaJob *job, PrismOutcome outcome, int code, const char *format, ...) pg_attribute_printf(4, 5);

/* kafka_wake.c */
extern void kafka_wake(KafkaClient *client);
extern void kafka_wake_for_events(KafkaClient *client);	/* librdkafka does it when its queue is no longer empty */

/* kafka_event.c */
extern void kafka_clean(char *text);
extern void kafka_serve(KafkaConn *kafka);
extern void kafka_explain(PrismConn *conn, const PrismQueueTarget *target, int code, char *text);
extern int	kafka_collect(PrismConn *conn, PrismReceipt *receipts, int receipts_max);
extern PrismOutcome kafka_answer(KafkaConn *kafka, PrismOutcome outcome, const char *format, ...) pg_attribute_printf(3, 4);

/* kafka_send.c */
extern KafkaTopic *kafka_topic(KafkaConn *kafka, const char *name);
extern PrismOutcome kafka_send(PrismConn *conn, const PrismQueueTarget *target,
							   const PrismMessage *message, uint64 tag);

#endif							/* PRISM_KAFKA_H */
