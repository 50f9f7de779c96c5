/*-------------------------------------------------------------------------
 *
 * memory.c
 *	  A queue in the memory of the process, which fails on request: for tests.
 *
 * It keeps no payloads, only what is needed to tell whether the caller does its
 * part: of each topic the last offset and the position.  A message at or below
 * the last offset is one too many; it is answered with STOP when transactions
 * are used, and taken for a repetition otherwise.
 *
 * It belongs to the process and not to a connection, as a broker does.
 *
 * src/backend/memory/memory.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/queue.h"

#include "access/detoast.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#define TOPICS_MAX 1024
#define OWNERS_MAX 64
#define QUEUE_MESSAGES_DEFAULT 10000
#define QUEUE_MESSAGES_MAX 1000000
#define MEMORY_OTHER_CODE 1
#define MEMORY_REJECTED_CODE 10 /* what Kafka calls MSG_SIZE_TOO_LARGE */

#define REJECTED_TEXT "a message of this batch is too large"

/* How it can be asked to fail: whole numbers, 0 or absent: never. */
typedef enum MemoryOption
{
	MEMORY_AGAIN,
	MEMORY_AWAY,
	MEMORY_STOP,
	MEMORY_QUEUE_MESSAGES,
	MEMORY_REJECT_BYTES,
	MEMORY_RETRY_EVERY,
	MEMORY_DOUBT_EVERY,
	MEMORY_LOSE_EVERY,
	MEMORY_FENCE_EVERY,
	MEMORY_RESHAPE_AWAY,
	MEMORY_RESHAPE_STOP,
	MEMORY_OPTIONS
} MemoryOption;

static const char *const memory_option_names[MEMORY_OPTIONS] = {
	[MEMORY_AGAIN] = "again",	/* operations answer so many times AGAIN first */
	[MEMORY_AWAY] = "away",		/* prepare and fence answer so many times RETRY first, in the whole process */
	[MEMORY_STOP] = "stop",		/* prepare answers STOP */
	[MEMORY_QUEUE_MESSAGES] = "queue_messages", /* so many can wait for a receipt, default 10,000 */
	[MEMORY_REJECT_BYTES] = "reject_bytes", /* a larger payload makes all that was sent to its topic since the last receipt REJECT */
	[MEMORY_RETRY_EVERY] = "retry_every",	/* each n-th message is not taken: RETRY */
	[MEMORY_DOUBT_EVERY] = "doubt_every",	/* each n-th commit is done and answered with DOUBT */
	[MEMORY_LOSE_EVERY] = "lose_every", /* each n-th commit is not done and answered with DOUBT */
	[MEMORY_FENCE_EVERY] = "fence_every",	/* each n-th begin finds that somebody else fenced us */
	[MEMORY_RESHAPE_AWAY] = "reshape_away", /* partitions are added after so many answers of RETRY, in the whole process */
	[MEMORY_RESHAPE_STOP] = "reshape_stop", /* no partitions are added: STOP */
};

/* A topic and the position beside it. */
typedef struct MemoryTopic
{
	char		name[PRISM_TOPIC_NAME_MAX + 1];
	int			partitions;		/* nobody is sent to one: a topic with more of them is asked for, and made */
	int			replication;
	int64		last_offset;	/* of the messages that count; -1: none */
	int64		position;		/* -1: none */
	char		metadata[PRISM_ERROR_BYTES];
	bool		refuses;		/* while receipts are collected: all that lies in the queue for it */
} MemoryTopic;

/* The owner of a transactional id is the one with the latest epoch. */
typedef struct MemoryOwner
{
	char		transactional_id[NAMEDATALEN * 4];
	int64		epoch;
	int64		fencing;		/* the connection whose fence() was answered with RETRY; 0: none */
} MemoryOwner;

/* A message without receipt. */
typedef struct MemorySent
{
	uint64		tag;
	MemoryTopic *topic;
	int64		offset;
	Size		payload_bytes;
	bool		purged;
} MemorySent;

typedef struct MemoryConn
{
	PrismConn	conn;			/* must be first */
	int64		number;
	int64		options[MEMORY_OPTIONS];
	MemoryOwner *owner;			/* NULL: no transactions */
	int64		epoch;			/* 0: not fenced yet */
	int			again_left;		/* AGAINs still to answer for the operation under way */
	bool		asked;			/* ... and whether there is one */
	bool		in_transaction;
	bool		broken;			/* what comes after a refused message is not taken */
	int64		transaction_last;	/* the last offset in the open transaction */
	MemorySent *sent;
	int			sent_count;
	int			sent_max;
} MemoryConn;

static MemoryTopic *topics = NULL;
static int	topic_count = 0;
static MemoryOwner owners[OWNERS_MAX];
static int	owner_count = 0;

/* Counted over all connections, so that each n-th fails however often one opens anew. */
static int64 connections = 0;
static int64 away_answers = 0;
static int64 reshape_answers = 0;
static int64 messages = 0;
static int64 begins = 0;
static int64 commits = 0;

static PrismOutcome
answer(MemoryConn *memory, PrismOutcome outcome, const char *text)
{
	strlcpy(memory->conn.error, text, PRISM_ERROR_BYTES);
	if (outcome == PRISM_DOUBT || outcome == PRISM_FENCED)
		memory->conn.doubt = true;
	return outcome;
}

/* True so many times for each operation as asked for. */
static bool
again(MemoryConn *memory)
{
	if (!memory->asked)
	{
		memory->asked = true;
		memory->again_left = memory->options[MEMORY_AGAIN];
	}
	if (memory->again_left-- > 0)
		return true;
	memory->asked = false;
	return false;
}

static bool
nth(int64 count, int64 every)
{
	return every > 0 && count % every == 0;
}

/* NULL when there are too many. */
static MemoryTopic *
find_topic(const char *name)
{
	MemoryTopic *topic;

	for (int i = 0; i < topic_count; i++)
		if (strcmp(topics[i].name, name) == 0)
			return &topics[i];
	if (topic_count == TOPICS_MAX)
		return NULL;
	if (topics == NULL)
		topics = MemoryContextAllocZero(TopMemoryContext, TOPICS_MAX * sizeof(MemoryTopic));
	topic = &topics[topic_count++];
	strlcpy(topic->name, name, sizeof(topic->name));
	topic->last_offset = -1;
	topic->position = -1;
	return topic;
}

static MemoryOwner *
find_owner(const char *transactional_id)
{
	for (int i = 0; i < owner_count; i++)
		if (strcmp(owners[i].transactional_id, transactional_id) == 0)
			return &owners[i];
	if (owner_count == OWNERS_MAX)
		return NULL;
	strlcpy(owners[owner_count].transactional_id, transactional_id, sizeof(owners[0].transactional_id));
	return &owners[owner_count++];
}

static bool
fenced(MemoryConn *memory)
{
	return memory->owner != NULL && memory->epoch != memory->owner->epoch;
}

static bool
read_options(MemoryConn *memory, List *options, char *error)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		const PrismOption *option = lfirst(cell);
		int			i = 0;

		while (i < MEMORY_OPTIONS && strcmp(memory_option_names[i], option->name) != 0)
			i++;
		if (i == MEMORY_OPTIONS)
		{
			snprintf(error, PRISM_ERROR_BYTES, "option \"%s\" is not allowed", option->name);
			return false;
		}
		memory->options[i] = strtoll(option->value, NULL, 10);
	}
	return true;
}

static const PrismBackend memory_backend;

static PrismConn *
open_connection(const PrismServer *server, const char *transactional_id,
				MemoryContext mcxt, char *error)
{
	MemoryConn *memory = MemoryContextAllocZero(mcxt, sizeof(MemoryConn));

	memory->conn.backend = &memory_backend;
	memory->conn.mcxt = mcxt;
	memory->number = ++connections;
	if (!read_options(memory, server->options, error))
		return NULL;
	if (transactional_id != NULL && (memory->owner = find_owner(transactional_id)) == NULL)
	{
		strlcpy(error, "too many transactional ids", PRISM_ERROR_BYTES);
		return NULL;
	}
	memory->sent_max = memory->options[MEMORY_QUEUE_MESSAGES] > 0 ?
		(int) Min(memory->options[MEMORY_QUEUE_MESSAGES], QUEUE_MESSAGES_MAX) : QUEUE_MESSAGES_DEFAULT;
	memory->conn.queue_messages = memory->sent_max;
	memory->sent = MemoryContextAllocHuge(mcxt, memory->sent_max * sizeof(MemorySent));
	return &memory->conn;
}

/* Nothing comes by itself. */
static pgsocket
wait_socket(PrismConn *conn)
{
	return PGINVALID_SOCKET;
}

static bool
away(MemoryConn *memory)
{
	return away_answers < memory->options[MEMORY_AWAY] && ++away_answers > 0;
}

static void
tell_shape(const MemoryConn *memory, const MemoryTopic *topic, PrismQueueShape *shape)
{
	shape->partitions = topic->partitions;
	shape->replication = topic->replication;
	shape->message_bytes_max = memory->options[MEMORY_REJECT_BYTES];
}

static PrismOutcome
prepare(PrismConn *conn, const PrismQueueTarget *target, PrismQueueShape *shape)
{
	MemoryConn *memory = (MemoryConn *) conn;
	MemoryTopic *topic;

	if (again(memory))
		return PRISM_AGAIN;
	if (memory->options[MEMORY_STOP] > 0)
		return answer(memory, PRISM_STOP, "stopped on request");
	if (away(memory))
		return answer(memory, PRISM_RETRY, "away on request");
	topic = find_topic(target->name);
	if (topic == NULL)
		return answer(memory, PRISM_STOP, "too many topics");
	if (topic->partitions == 0)
	{
		topic->partitions = Max(target->partitions, 1);
		topic->replication = Max(target->replication, 1);
	}
	tell_shape(memory, topic, shape);
	return PRISM_OK;
}

static PrismOutcome
look(PrismConn *conn, const PrismQueueTarget *target, PrismQueueShape *shape)
{
	MemoryConn *memory = (MemoryConn *) conn;
	MemoryTopic *topic = find_topic(target->name);

	if (topic == NULL)
		return answer(memory, PRISM_RETRY, "too many topics");
	tell_shape(memory, topic, shape);
	return PRISM_OK;
}

static PrismOutcome
reshape(PrismConn *conn, const PrismQueueTarget *target, PrismQueueShape *shape)
{
	MemoryConn *memory = (MemoryConn *) conn;
	MemoryTopic *topic = find_topic(target->name);

	if (again(memory))
		return PRISM_AGAIN;
	if (topic == NULL)
		return answer(memory, PRISM_RETRY, "too many topics");
	tell_shape(memory, topic, shape);
	if (topic->partitions >= target->partitions)
		return PRISM_OK;
	if (memory->options[MEMORY_RESHAPE_STOP] > 0)
		return answer(memory, PRISM_STOP, "no partitions are added, on request");
	if (reshape_answers < memory->options[MEMORY_RESHAPE_AWAY] && ++reshape_answers > 0)
		return answer(memory, PRISM_RETRY, "partitions are added later, on request");
	topic->partitions = target->partitions;
	tell_shape(memory, topic, shape);
	return PRISM_OK;
}

static PrismOutcome
fence(PrismConn *conn)
{
	MemoryConn *memory = (MemoryConn *) conn;

	Assert(memory->owner != NULL);
	if (again(memory))
		return PRISM_AGAIN;
	if (memory->owner->fencing != 0 && memory->owner->fencing != memory->number)
		return answer(memory, PRISM_STOP, "another connection has begun to fence, and may come through later");
	if (away(memory))
	{
		memory->owner->fencing = memory->number;
		return answer(memory, PRISM_RETRY, "away on request");
	}
	memory->owner->fencing = 0;
	memory->epoch = ++memory->owner->epoch;
	return PRISM_OK;
}

static PrismOutcome
position_read(PrismConn *conn, const PrismQueueTarget *target, int64 *position, char *metadata)
{
	MemoryConn *memory = (MemoryConn *) conn;
	MemoryTopic *topic = find_topic(target->name);

	if (again(memory))
		return PRISM_AGAIN;
	if (topic == NULL)
		return answer(memory, PRISM_STOP, "too many topics");
	*position = topic->position;
	strlcpy(metadata, topic->metadata, PRISM_ERROR_BYTES);
	return PRISM_OK;
}

static void
set_position(MemoryTopic *topic, int64 position, const char *metadata)
{
	Assert(position >= 0);
	topic->position = position;
	strlcpy(topic->metadata, metadata, sizeof(topic->metadata));
}

static PrismOutcome
position_write(PrismConn *conn, const PrismQueueTarget *target, int64 position, const char *metadata)
{
	MemoryConn *memory = (MemoryConn *) conn;
	MemoryTopic *topic = find_topic(target->name);

	Assert(!memory->in_transaction);
	if (again(memory))
		return PRISM_AGAIN;
	if (topic == NULL)
		return answer(memory, PRISM_STOP, "too many topics");
	set_position(topic, position, metadata);
	return PRISM_OK;
}

static PrismOutcome
begin(PrismConn *conn)
{
	MemoryConn *memory = (MemoryConn *) conn;

	Assert(memory->epoch > 0 && !memory->in_transaction && memory->sent_count == 0);
	if (nth(++begins, memory->options[MEMORY_FENCE_EVERY]))
		memory->owner->epoch++;
	if (fenced(memory))
		return answer(memory, PRISM_FENCED, "fenced by a newer owner of the transactional id");
	if (conn->doubt)
		return PRISM_DOUBT;
	memory->in_transaction = true;
	memory->broken = false;
	memory->transaction_last = -1;
	return PRISM_OK;
}

static PrismOutcome
send(PrismConn *conn, const PrismQueueTarget *target, const PrismMessage *message, uint64 tag)
{
	MemoryConn *memory = (MemoryConn *) conn;
	MemoryTopic *topic = find_topic(target->name);
	MemorySent *sent;

	if (memory->sent_count == memory->sent_max)
		return PRISM_AGAIN;
	if (topic == NULL)
		return answer(memory, PRISM_STOP, "too many topics");
	if (message->has_headers && !JB_ROOT_IS_OBJECT(DatumGetJsonbP(message->headers)))
		return answer(memory, PRISM_REJECT, "its headers are no JSON object");
	sent = &memory->sent[memory->sent_count++];
	sent->tag = tag;
	sent->topic = topic;
	sent->offset = message->offset;
	sent->payload_bytes = message->has_payload ? toast_raw_datum_size(message->payload) - VARHDRSZ : 0;
	sent->purged = false;
	return PRISM_OK;
}

/* Does anything in the queue make the broker refuse all of its topic? */
static bool
look_for_rejected(MemoryConn *memory)
{
	int64		limit = memory->options[MEMORY_REJECT_BYTES];
	bool		found = false;

	for (int i = 0; i < memory->sent_count; i++)
		memory->sent[i].topic->refuses = false;
	for (int i = 0; limit > 0 && i < memory->sent_count; i++)
	{
		if (memory->sent[i].purged || memory->sent[i].payload_bytes <= (Size) limit)
			continue;
		memory->sent[i].topic->refuses = true;
		found = true;
	}
	return found;
}

/* What becomes of one message that is not refused with its batch. */
static PrismOutcome
take(MemoryConn *memory, const MemorySent *sent)
{
	int64		last = memory->in_transaction ?
		Max(memory->transaction_last, sent->topic->last_offset) : sent->topic->last_offset;

	if (sent->purged || memory->broken)
		return PRISM_RETRY;
	if (nth(++messages, memory->options[MEMORY_RETRY_EVERY]))
	{
		/* A producer without transactions stops here, so that nothing overtakes. */
		memory->broken = true;
		if (memory->owner == NULL)
			(void) answer(memory, PRISM_DOUBT, "refused on request");
		else
			(void) answer(memory, PRISM_RETRY, "refused on request");
		return PRISM_RETRY;
	}
	if (sent->offset <= last && memory->owner != NULL)
	{
		memory->broken = true;
		return answer(memory, PRISM_STOP, psprintf("topic \"%s\": message " INT64_FORMAT " came after " INT64_FORMAT,
												   sent->topic->name, sent->offset, last));
	}
	if (memory->in_transaction)
		memory->transaction_last = Max(last, sent->offset);
	else
		sent->topic->last_offset = Max(last, sent->offset);
	return PRISM_OK;
}

static int
collect(PrismConn *conn, PrismReceipt *receipts, int receipts_max)
{
	MemoryConn *memory = (MemoryConn *) conn;
	int			count = Min(receipts_max, memory->sent_count);

	if (look_for_rejected(memory) && !memory->broken)
	{
		memory->broken = true;
		(void) answer(memory, memory->owner != NULL ? PRISM_REJECT : PRISM_DOUBT,
					  REJECTED_TEXT);
	}
	for (int i = 0; i < count; i++)
	{
		receipts[i].tag = memory->sent[i].tag;
		receipts[i].outcome = memory->sent[i].topic->refuses && !memory->sent[i].purged
			? PRISM_REJECT : take(memory, &memory->sent[i]);
		receipts[i].code = receipts[i].outcome == PRISM_OK ? 0 :
			receipts[i].outcome == PRISM_REJECT ? MEMORY_REJECTED_CODE : MEMORY_OTHER_CODE;
	}
	memory->sent_count -= count;
	memmove(memory->sent, memory->sent + count, memory->sent_count * sizeof(MemorySent));
	return count;
}

static void
explain(PrismConn *conn, const PrismQueueTarget *target, int code, char *text)
{
	strlcpy(text, code == MEMORY_REJECTED_CODE ? REJECTED_TEXT : conn->error, PRISM_ERROR_BYTES);
}

static void
purge(PrismConn *conn)
{
	MemoryConn *memory = (MemoryConn *) conn;

	for (int i = 0; i < memory->sent_count; i++)
		memory->sent[i].purged = true;
	if (memory->owner == NULL)
		conn->doubt = true;
}

static PrismOutcome
commit(PrismConn *conn, const PrismQueueTarget *target, int64 position, const char *metadata)
{
	MemoryConn *memory = (MemoryConn *) conn;
	MemoryTopic *topic = find_topic(target->name);

	Assert(memory->in_transaction && position >= 0);
	if (fenced(memory))
		return answer(memory, PRISM_FENCED, "fenced by a newer owner of the transactional id");
	if (memory->sent_count > 0 || again(memory))
		return PRISM_AGAIN;
	if (memory->broken || topic == NULL)
		return answer(memory, PRISM_RETRY, "a message of this transaction was not taken");
	commits++;
	if (nth(commits, memory->options[MEMORY_LOSE_EVERY]))
		return answer(memory, PRISM_DOUBT, "the commit was lost on request");
	topic->last_offset = Max(topic->last_offset, memory->transaction_last);
	set_position(topic, position, metadata);
	memory->in_transaction = false;
	if (nth(commits, memory->options[MEMORY_DOUBT_EVERY]))
		return answer(memory, PRISM_DOUBT, "the answer to the commit was lost on request");
	return PRISM_OK;
}

static PrismOutcome
abort_transaction(PrismConn *conn)
{
	MemoryConn *memory = (MemoryConn *) conn;

	Assert(memory->in_transaction);
	if (fenced(memory))
		return answer(memory, PRISM_FENCED, "fenced by a newer owner of the transactional id");
	purge(conn);
	if (memory->sent_count > 0 || again(memory))
		return PRISM_AGAIN;
	memory->in_transaction = false;
	memory->broken = false;
	return PRISM_OK;
}

static const PrismQueueOps memory_queue = {
	.open = open_connection,
	.prepare = prepare,
	.look = look,
	.reshape = reshape,
	.fence = fence,
	.position_read = position_read,
	.position_write = position_write,
	.begin = begin,
	.send = send,
	.collect = collect,
	.explain = explain,
	.purge = purge,
	.commit = commit,
	.abort = abort_transaction,
};

static const PrismBackend memory_backend = {
	.name = "memory",
	.version = PRISM_VERSION,
	.wait_socket = wait_socket,
	.queue = &memory_queue,
};

PRISM_BACKEND_LIBRARY(memory, memory_backend);
