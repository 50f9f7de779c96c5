/*-------------------------------------------------------------------------
 *
 * backend.h
 *	  Where messages go: the interface between worker loops and client libraries.
 *
 * prism.so knows each back end's name, roles, options and allow-list
 * (PrismBackendInfo, registry.c): apply() and the validators of foreign
 * servers need them in the caller's backend.  The operations (PrismBackend)
 * live in prism_backends.so, which a worker loads by load_external_function();
 * it exports one function, prism_backends(), that returns their table.
 * No variable is shared between the two libraries.
 *
 * Rules for every operation:
 *	- It returns within 100 ms, whatever the network does.  What takes longer
 *	  answers PRISM_AGAIN and goes on when it is called again, with the same
 *	  arguments, after wait_socket() became readable or PRISM_POLL_MS passed.
 *	- It is called with no transaction open and no LWLock held, by the worker's
 *	  only thread of PostgreSQL.  Foreign threads call no PostgreSQL function.
 *	- While an operation answers PRISM_AGAIN, collect() has to go on: some of
 *	  them (commit, abort) end only when the receipts were taken.
 *	- It never throws for what the outside did; it answers with an outcome and
 *	  leaves a text without secrets or payloads in conn->error.  It may throw for
 *	  lack of memory: handles hang on the connection's memory context.
 *	- Every queue is bounded by bytes.
 *
 * src/backend/backend.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_BACKEND_H
#define PRISM_BACKEND_H

#include "base/prism.h"

#include "nodes/pg_list.h"

#define PRISM_POLL_MS 50
#define PRISM_ERROR_BYTES 512

/* What a back end can be used for. */
#define PRISM_ROLE_QUEUE	(1 << 0)
#define PRISM_ROLE_OBJECT	(1 << 1)
#define PRISM_ROLE_CACHE	(1 << 2)
#define PRISM_ROLE_TABLE	(1 << 3)

/* One option of a back end, as name and value; both copied. */
typedef struct PrismOption
{
	const char *name;
	const char *value;
} PrismOption;

/* host:port, with room for the longest host name */
#define PRISM_ENDPOINT_BYTES 264

/*
 * host, host:port, [address] or [address]:port, written to endpoint (of
 * PRISM_ENDPOINT_BYTES) with its port, 9092 by default; false: it is none.
 * Neither function calls PostgreSQL.
 */
extern bool prism_endpoint_parse(const char *text, char *endpoint);

/* One of the patterns, as of prism.allowed_endpoints, matches the endpoint as parsed. */
extern bool prism_endpoint_allowed(const char *patterns, const char *endpoint);

/*
 * The endpoint that a connection is for: a foreign server, or YAML's inline one.
 * Names of options are librdkafka's, as prism_backend_server_options() returns them.
 */
typedef struct PrismServer
{
	const char *name;			/* for messages */
	const char *identity;		/* uuid of this installation, as text: part of ids that outlive us */
	const char *incarnation;	/* random, new in each worker process: part of position metadata */
	List	   *options;		/* of PrismOption: server's, then user mapping's (secrets) */
	const char *allowed;		/* patterns for addresses that the other side names; NULL: any */
} PrismServer;

/* Where the messages of one topic go. */
typedef struct PrismTarget
{
	const char *name;			/* the Kafka topic */
	const char *position_id;	/* the Kafka group under which the position is kept */
	int			partitions;		/* wanted when the topic has to be made; 0: the broker's default */
	int			replication;	/* likewise */
	int64		message_bytes_max;
} PrismTarget;

/* An open connection; a back end's own struct begins with it. */
typedef struct PrismConn
{
	const struct PrismBackend *backend;
	MemoryContext mcxt;			/* resetting it closes the connection */
	char		error[PRISM_ERROR_BYTES];	/* of the last outcome that was not PRISM_OK */
	int64		queue_bytes;	/* bounds of what can be sent and without receipt at a time; 0: none is known */
	int64		queue_messages;
	bool		doubt;			/* results cannot be trusted from here on: close, open anew, fence */
} PrismConn;

/* What became of one sent message. */
typedef struct PrismReceipt
{
	uint64		tag;			/* as given to send() */
	PrismOutcome outcome;		/* OK, RETRY, REJECT, STOP */
	int			code;			/* the back end's own error code, 0 when OK */
} PrismReceipt;

/*
 * A queue: messages in order per key.
 *
 * Without a transactional id: prepare, then send and collect.  A message may
 * arrive twice after a crash, never out of order within its key.  When one is
 * rejected, what followed it in its partition is not accepted either (RETRY)
 * and the connection is in doubt: collect until every message has its receipt,
 * open anew, and send those without an OK again, in order.
 *
 * With one: fence once after open, prepare and position_read for each target,
 * then rounds of begin, send and collect, commit (or abort).  The position
 * travels inside the transaction.  When a receipt or commit says RETRY, REJECT
 * or STOP, the transaction can only be aborted.
 *
 * After PRISM_DOUBT or PRISM_FENCED, or when conn->doubt is set, from any call:
 * close, open anew, fence, read the position back.  conn->doubt is looked at
 * after commit too: what commit said counts only without it.
 */
typedef struct PrismQueueOps
{
	/*
	 * The target exists (it is made when absent) and can take messages.  May
	 * answer PRISM_DOUBT once: what it learned needs another connection.
	 */
	PrismOutcome (*prepare) (PrismConn *conn, const PrismTarget *target);

	/*
	 * Own the transactional id from here on: everybody before us is fenced.
	 * After RETRY call again on the same connection: the attempt goes on, and
	 * on another one it could be overtaken by its own predecessor.
	 */
	PrismOutcome (*fence) (PrismConn *conn);

	/*
	 * The position kept at the outside: the first offset that is not there.
	 * -1: none kept.  metadata (at least PRISM_ERROR_BYTES; longer ones are cut)
	 * is what commit() stored beside it.  Waits out open transactions of other
	 * producers.  prepare() comes first.
	 */
	PrismOutcome (*position_read) (PrismConn *conn, const PrismTarget *target,
								   int64 *position, char *metadata);

	/* Store the position without a message (re-commit of an idle group; outside of a transaction). */
	PrismOutcome (*position_write) (PrismConn *conn, const PrismTarget *target,
									int64 position, const char *metadata);

	PrismOutcome (*begin) (PrismConn *conn);

	/*
	 * Copy the message into the send queue.  PRISM_AGAIN: the queue is full,
	 * nothing was taken: collect, then call again.  PRISM_REJECT: known to be
	 * refused, nothing was taken, nothing else is harmed.  The id header is
	 * added here.
	 *
	 * The message's values are not out of line (there is no transaction to fetch
	 * them in); they may be compressed.  tag comes back in the receipt.
	 */
	PrismOutcome (*send) (PrismConn *conn, const PrismTarget *target,
						  const PrismMessage *message, uint64 tag);

	/*
	 * Receipts that have come in, in any order across keys, each once; also
	 * takes in the library's errors and log lines.
	 *
	 * REJECT says that this message *or one that travelled with it* can never
	 * succeed: only a message that was sent alone and rejected is to blame.
	 */
	int			(*collect) (PrismConn *conn, PrismReceipt *receipts, int receipts_max);

	/* What the code of a receipt for this target means, in PRISM_ERROR_BYTES: conn->error may be about a later one. */
	void		(*explain) (PrismConn *conn, const PrismTarget *target, int code, char *text);

	/*
	 * Drop what is queued and not yet on the wire; receipts (RETRY) come for
	 * each.  Outside of a transaction the connection is in doubt from then on:
	 * what is sent again must not overtake what is on the wire.
	 */
	void		(*purge) (PrismConn *conn);

	/*
	 * Position (always >= 0) and metadata go into the transaction, then it is
	 * committed.  Takes effect only after a receipt came for each message.
	 */
	PrismOutcome (*commit) (PrismConn *conn, const PrismTarget *target,
							int64 position, const char *metadata);
	PrismOutcome (*abort) (PrismConn *conn);
} PrismQueueOps;

typedef struct PrismBackend
{
	const char *name;			/* as written in YAML */

	/*
	 * A new connection in 'mcxt'; returns at once, does not wait for the network.
	 * transactional_id: NULL for an idempotent producer.  NULL is returned
	 * (and *error filled) when the options are refused by the library.
	 */
	PrismConn  *(*open) (const PrismServer *server, const char *transactional_id,
						 MemoryContext mcxt, char *error);

	/* Readable when collect() has something to do; PGINVALID_SOCKET: poll. */
	pgsocket	(*wait_socket) (PrismConn *conn);

	const PrismQueueOps *queue; /* NULL: does not play that role; likewise later ones */
} PrismBackend;

/* Exported by prism_backends.so under the name "prism_backends". */
typedef const PrismBackend *const *(*PrismBackendsFunction) (void); /* ended by NULL */

/* registry.c, in prism.so */
typedef struct PrismBackendInfo
{
	const char *name;			/* as written in YAML */
	const char *wrapper;		/* its FOREIGN DATA WRAPPER, NULL: none */
	uint32		roles;			/* PRISM_ROLE_* */
	bool		transactional;	/* can do exactly_once */
	int64		message_bytes_max;	/* default of max_message_size */
} PrismBackendInfo;

extern const PrismBackendInfo *prism_backend_info(const char *name);	/* NULL: unknown */
extern const PrismBackendInfo *const *prism_backend_infos(void);	/* ended by NULL */

/* options.c, in prism.so */

/*
 * The options of a foreign server and of its owner's user mapping (else
 * PUBLIC's), in the current memory context, checked again.  Needs a
 * transaction; 42704 or 55000 with a hint when the server is missing or belongs
 * to another wrapper.
 */
extern List *prism_backend_server_options(const PrismBackendInfo *info, Oid server_oid);

#endif							/* PRISM_BACKEND_H */
