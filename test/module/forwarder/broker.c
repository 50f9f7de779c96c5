/*-------------------------------------------------------------------------
 *
 * broker.c
 *	  The other side: the back end "memory", and what happens on the way to it.
 *
 * Each operation is the back end's own; around it, receipts are late, queues
 * full, messages lost, positions forgotten.  A target has partitions, of which
 * the back end knows nothing: a message waits here until a request of its
 * partition takes it there, and receipts of partitions come in any order.  What
 * really took place is asked of the back end over a connection of the test's own,
 * and told to the model.
 *
 * test/module/forwarder/broker.c
 *
 *-------------------------------------------------------------------------
 */
#include "test.h"

#include <stdlib.h>

#include "access/detoast.h"
#include "utils/memutils.h"

#define LINES_MAX (PRISM_LANES + 1)
#define QUEUE_MAX 2048

extern const PrismBackend *prism_memory_backend(void);

#define MEMORY (prism_memory_backend()->queue)

#define PLACES (WORLD_TOPICS * WORLD_PARTITIONS_MAX)

/* A message on its way. */
typedef struct Carried
{
	uint64		tag;
	WorldTopic *topic;
	int64		offset;
	int			partition;		/* it was sent to */
	PrismOutcome refusal;		/* it comes nowhere, and this is its receipt; PRISM_OK: it does */
} Carried;

/* A connection of the forwarder. */
typedef struct Line
{
	PrismConn  *conn;			/* NULL: free */
	MemoryContextCallback gone;
	bool		transactional;
	char		id[128];
	Carried		carried[QUEUE_MAX]; /* without receipt, in order */
	int			carried_count;
	Carried		held[QUEUE_MAX];	/* whose receipts are there and have not come yet */
	PrismReceipt receipts[QUEUE_MAX];
	int			held_count;
	bool		refuses[PLACES];	/* what is sent to a partition comes nowhere, since one before did not */
	bool		refused;		/* so it was with any */
	int64		taken[QUEUE_MAX];	/* in the open transaction, with their receipts */
	int			taken_count;
} Line;

BrokerFaults broker_faults;
bool		broker_abandoned;

static Line lines[LINES_MAX];
static PrismConn *looker = NULL;

static Line *
line_of(const PrismConn *conn)
{
	for (int i = 0; i < LINES_MAX; i++)
		if (lines[i].conn == conn)
			return &lines[i];
	abort();
}

static WorldTopic *
topic_of(const PrismQueueTarget *target)
{
	for (int i = 0; i < WORLD_TOPICS; i++)
		if (strcmp(world[i].target, target->name) == 0)
			return &world[i];
	abort();
}

/* The partition in which a message lies, or will. */
static int
place_of(const Carried *carried)
{
	return (int) (carried->topic - world) * WORLD_PARTITIONS_MAX + carried->partition;
}

static bool
is_silent(const Carried *carried)
{
	return carried->topic == broker_faults.silent &&
		carried->partition == broker_faults.silent_partition;
}

/* The first message of any partition that is not silent; -1: there is none. */
static int
pick(const Carried *carried, int count)
{
	int			from = count > 0 ? shim_random(count) : 0;
	int			picked = -1;

	for (int i = 0; i < count && picked < 0; i++)
		if (!is_silent(&carried[(from + i) % count]))
			picked = (from + i) % count;
	for (int i = 0; i < picked; i++)
		if (place_of(&carried[i]) == place_of(&carried[picked]))
			picked = i;
	return picked;
}

static PrismOutcome
answer(PrismConn *conn, PrismOutcome outcome, const char *text)
{
	strlcpy(conn->error, text, sizeof(conn->error));
	return outcome;
}

/* ---------- the test's own connection ---------- */

static PrismConn *
open_own(const char *transactional_id)
{
	static const PrismServer server = {.name = "test"};
	char		error[PRISM_ERROR_BYTES];
	MemoryContext mcxt = AllocSetContextCreate(TopMemoryContext, "own", ALLOCSET_DEFAULT_SIZES);

	return MEMORY->open(&server, transactional_id, mcxt, error);
}

int64
broker_position(const WorldTopic *topic)
{
	const PrismQueueTarget target = {.name = topic->target};
	char		metadata[PRISM_ERROR_BYTES];
	int64		position;

	if (looker == NULL)
		looker = open_own(NULL);
	if (MEMORY->position_read(looker, &target, &position, metadata) != PRISM_OK)
		abort();
	return position;
}

void
broker_fence(const PrismLane *lane)
{
	const Line *line = lane->conn != NULL ? line_of(lane->conn) : NULL;
	PrismConn  *other;

	if (line == NULL || !line->transactional)
		return;
	other = open_own(line->id);
	(void) MEMORY->fence(other);
	MemoryContextDelete(other->mcxt);
}

/* ---------- opening ---------- */

/*
 * What is still on the wire may arrive behind what the next connection sends: a
 * process that lives waits for it, for a while.
 */
static void
release(void *arg)
{
	Line	   *line = arg;
	PrismInstant since = forwarder->lanes[PRISM_STREAM_LANE].recovering_since;
	bool		given_up = since != 0 && prism_has_passed(since, shim_now, PRISM_DRAIN_MS);

	for (int i = 0; i < line->carried_count && !line->transactional && !broker_abandoned && !given_up; i++)
		if (line->carried[i].refusal == PRISM_OK)
			violation("%s: message %lld is on the wire when its connection is closed", line->carried[i].topic->target,
					  (long long) line->carried[i].offset);
	memset(line, 0, sizeof(Line));
}

static PrismConn *
open_connection(const PrismServer *server, const char *transactional_id, MemoryContext mcxt, char *error)
{
	Line	   *line = &lines[0];

	while (line->conn != NULL)
		line++;
	memset(line, 0, sizeof(*line));
	line->conn = MEMORY->open(server, transactional_id, mcxt, error);
	if (line->conn == NULL)
		return NULL;
	line->conn->backend = &broker;
	note("all: a connection is opened, %d", transactional_id != NULL);
	line->transactional = transactional_id != NULL;
	if (transactional_id != NULL)
		strlcpy(line->id, transactional_id, sizeof(line->id));
	line->gone = (MemoryContextCallback) {.func = release,.arg = line};
	MemoryContextRegisterResetCallback(mcxt, &line->gone);
	return line->conn;
}

static pgsocket
wait_socket(PrismConn *conn)
{
	return PGINVALID_SOCKET;
}

/* ---------- before there are messages ---------- */

/* What lies in a partition stays there: a key that moves to another one must leave nothing behind that is still to come. */
static void
check_moves(const WorldTopic *topic)
{
	for (int i = 0; i < LINES_MAX; i++)
	{
		const Line *line = &lines[i];

		for (int k = 0; k < line->carried_count && line->conn != NULL; k++)
			if (line->carried[k].topic == topic)
				violation("%s: keys move, and message %lld is under way", topic->target, (long long) line->carried[k].offset);
		for (int k = 0; k < line->held_count && line->conn != NULL; k++)
			if (line->held[k].topic == topic)
				violation("%s: keys move before the receipt of message %lld", topic->target, (long long) line->held[k].offset);
	}
}

static PrismOutcome
prepare(PrismConn *conn, const PrismQueueTarget *target, PrismQueueShape *shape)
{
	WorldTopic *topic = topic_of(target);
	PrismOutcome outcome;

	if (shim_chance(broker_faults.stop))
		return answer(conn, shim_chance(50) ? PRISM_STOP : PRISM_RETRY, "not there");
	outcome = MEMORY->prepare(conn, target, shape);
	if (outcome == PRISM_OK && topic->partitions != topic->there)
		check_moves(topic);
	if (outcome == PRISM_OK)
		shape->partitions = topic->partitions = topic->there;
	return outcome;
}

static PrismOutcome
look(PrismConn *conn, const PrismQueueTarget *target, PrismQueueShape *shape)
{
	if (shim_chance(broker_faults.full))
		return shim_chance(50) ? PRISM_AGAIN : answer(conn, PRISM_RETRY, "not now");
	shape->partitions = topic_of(target)->there;
	return PRISM_OK;
}

static PrismOutcome
reshape(PrismConn *conn, const PrismQueueTarget *target, PrismQueueShape *shape)
{
	WorldTopic *topic = topic_of(target);
	bool		fails = shim_chance(broker_faults.reshape);

	if (shim_chance(broker_faults.full))
		return PRISM_AGAIN;
	check_moves(topic);
	if (!fails || shim_chance(20))
		topic->there = Max(topic->there, target->partitions);
	if (fails && shim_chance(30))
		return answer(conn, PRISM_RETRY, "no answer");
	shape->partitions = topic->partitions = topic->there;
	note("%s: keys are spread over %d partitions", topic->target, topic->partitions);
	return topic->there >= target->partitions ? PRISM_OK
		: answer(conn, shim_chance(50) ? PRISM_STOP : PRISM_RETRY, "no more partitions");
}

static PrismOutcome
fence(PrismConn *conn)
{
	if (shim_chance(broker_faults.stop))
		return answer(conn, PRISM_RETRY, "not now");
	return MEMORY->fence(conn);
}

/* Only where the progress log has the same for certain: others are not forgotten in days. */
static PrismOutcome
position_read(PrismConn *conn, const PrismQueueTarget *target, int64 *position, char *metadata)
{
	PrismOutcome outcome = MEMORY->position_read(conn, target, position, metadata);

	if (outcome == PRISM_OK && topic_of(target)->flushed.position == *position && shim_chance(broker_faults.forget))
	{
		note("%s: position %lld is forgotten there", topic_of(target)->target, (long long) *position);
		*position = -1;
		metadata[0] = '\0';
	}
	return outcome;
}

static PrismOutcome
position_write(PrismConn *conn, const PrismQueueTarget *target, int64 position, const char *metadata)
{
	if (shim_chance(broker_faults.stop))
		return answer(conn, PRISM_RETRY, "not now");
	note("%s: position %lld is claimed", topic_of(target)->target, (long long) position);
	return MEMORY->position_write(conn, target, position, metadata);
}

static PrismOutcome
begin(PrismConn *conn)
{
	line_of(conn)->taken_count = 0;
	return MEMORY->begin(conn);
}

/* ---------- messages ---------- */

/* What is sent to this partition, or over this connection, comes nowhere from now on. */
static void
refuse_from(Line *line, int place)
{
	line->refuses[place] = line->refused = true;
	if (shim_chance(50))
		memset(line->refuses, true, sizeof(line->refuses));
}

static void
check_sent(const WorldTopic *topic, const PrismMessage *message)
{
	const WorldMessage *sent = &topic->messages[message->offset];

	if (sent->lsn > world_flushed_to)
		violation("message %lld of %s leaves the server before its commit is on disk", (long long) message->offset, topic->target);
	if (message->created_at != WORLD_PASSED)
		violation("%s: message %lld is sent as its patterns have not made it", topic->target, (long long) message->offset);
	if (!message->has_key || VARSIZE_ANY_EXHDR(DatumGetPointer(message->key)) != 1 ||
		*VARDATA_ANY(DatumGetPointer(message->key)) != sent->key)
		violation("%s: message %lld is sent under another key", topic->target, (long long) message->offset);
}

static PrismOutcome
send_message(PrismConn *conn, const PrismQueueTarget *target, const PrismMessage *message, uint64 tag)
{
	Line	   *line = line_of(conn);
	WorldTopic *topic = topic_of(target);
	Carried    *carried = &line->carried[line->carried_count];
	int			place;

	check_sent(topic, message);
	if (shim_chance(broker_faults.full) || line->carried_count + line->held_count >= Min(QUEUE_MAX, conn->queue_messages))
		return PRISM_AGAIN;
	if (shim_random(1000) < broker_faults.shut)
		return answer(conn, PRISM_STOP, "it is shut");
	if (topic->messages[message->offset].kind == WORLD_BAD && shim_chance(broker_faults.known))
		return answer(conn, PRISM_REJECT, "it is too large");
	*carried = (Carried) {.tag = tag,.topic = topic,.offset = message->offset,.refusal = PRISM_OK};
	carried->partition = world_partition(topic, message->offset);
	place = place_of(carried);
	if (line->refuses[place])
		carried->refusal = PRISM_RETRY;
	else if (shim_random(1000) < broker_faults.refuse)
	{
		carried->refusal = shim_chance(30) ? PRISM_STOP : PRISM_RETRY;
		refuse_from(line, place);
	}
	line->carried_count++;
	note("%s: %lld is sent to partition %d%s", topic->target, (long long) message->offset,
		 carried->partition, carried->refusal != PRISM_OK ? " and comes nowhere" : "");
	return PRISM_OK;
}

/* A receipt is there: what it says has happened, whether it comes or not. */
static void
hold(Line *line, const PrismReceipt *receipt)
{
	Carried		carried;
	int			i = 0;

	while (i < line->carried_count && line->carried[i].tag != receipt->tag)
		i++;
	if (i == line->carried_count)
		violation("a receipt of nothing: a fault of the test");
	carried = line->carried[i];
	memmove(line->carried + i, line->carried + i + 1, (--line->carried_count - i) * sizeof(Carried));
	line->held[line->held_count] = carried;
	line->receipts[line->held_count] = *receipt;
	line->held_count++;
	if (receipt->outcome != PRISM_OK)
		note("%s: %lld is not taken: %d", carried.topic->target, (long long) carried.offset, receipt->outcome);
	else if (!line->transactional)
		model_taken(carried.topic, carried.offset, line->conn);
	else
		line->taken[line->taken_count++] = carried.offset;
}

/*
 * One request: what lies ready for a partition from this message on, or a part
 * of it.  In a transaction the back end wants all in the order of sending.
 */
static int
produce(Line *line, int first)
{
	int32		header;			/* of the payload: nobody looks at what follows */
	static PrismReceipt receipts[QUEUE_MAX];
	int			place = place_of(&line->carried[first]);
	int			max = shim_chance(broker_faults.receipts) ? 1 + shim_random(4) : QUEUE_MAX;
	int			count = 0;

	for (int i = first; i < line->carried_count && count < max; i++)
	{
		const Carried *carried = &line->carried[i];
		PrismMessage message = {.offset = carried->offset,.has_payload = true,.payload = PointerGetDatum(&header)};
		PrismQueueTarget target = {.name = carried->topic->target};

		if (!line->transactional && place_of(carried) != place)
			continue;
		if (carried->refusal != PRISM_OK)
			break;
		SET_VARSIZE(&header, VARHDRSZ + carried->topic->messages[carried->offset].bytes);
		if (MEMORY->send(line->conn, &target, &message, carried->tag) != PRISM_OK)
			abort();
		count++;
	}
	if (MEMORY->collect(line->conn, receipts, count) != count)
		abort();
	for (int i = 0; i < count; i++)
		hold(line, &receipts[i]);
	return count;
}

/* What has arrived there by now: each partition by itself, in order. */
static void
arrive(Line *line, int max)
{
	while (max > 0 && line->carried_count > 0)
	{
		int			first = line->transactional ? 0 : pick(line->carried, line->carried_count);

		if (first < 0)
			return;
		if (line->carried[first].refusal == PRISM_OK)
		{
			max -= produce(line, first);
			continue;
		}
		(void) answer(line->conn, line->carried[first].refusal, "not taken");
		if (!line->transactional)
			line->conn->doubt = true;
		hold(line, &(PrismReceipt) {.tag = line->carried[first].tag,.outcome = line->carried[first].refusal,.code = 1});
		max--;
	}
}

static int
collect(PrismConn *conn, PrismReceipt *receipts, int receipts_max)
{
	Line	   *line = line_of(conn);
	int			max = shim_chance(broker_faults.receipts) ? shim_random(4) : QUEUE_MAX;
	int			told_max = shim_chance(broker_faults.receipts) ? shim_random(4) : receipts_max;
	int			count;

	if (broker_faults.stalled)
		return 0;
	arrive(line, max);
	for (count = 0; count < told_max; count++)
	{
		int			i = pick(line->held, line->held_count);

		if (i < 0)
			break;
		receipts[count] = line->receipts[i];
		if (!line->transactional && receipts[count].outcome == PRISM_OK)
			model_told(line->held[i].topic, line->held[i].offset);
		line->held_count--;
		memmove(line->held + i, line->held + i + 1, (line->held_count - i) * sizeof(Carried));
		memmove(line->receipts + i, line->receipts + i + 1, (line->held_count - i) * sizeof(PrismReceipt));
	}
	return count;
}

static void
explain(PrismConn *conn, const PrismQueueTarget *target, int code, char *text)
{
	MEMORY->explain(conn, target, code, text);
}

/* Some of it is on the wire, and arrives nevertheless. */
static void
purge(PrismConn *conn)
{
	Line	   *line = line_of(conn);
	int			percent = line->transactional ? 100 : shim_random(101);
	bool		left[PLACES] = {false};

	for (int i = line->carried_count - 1; i >= 0; i--)
	{
		int			place = place_of(&line->carried[i]);

		if (left[place] || !shim_chance(percent))
			left[place] = true;
		else if (line->carried[i].refusal == PRISM_OK)
			line->carried[i].refusal = PRISM_RETRY;
	}
	if (!line->transactional)
		conn->doubt = true;
}

void
broker_lose(void)
{
	for (int i = 0; i < LINES_MAX; i++)
		if (lines[i].conn != NULL && !lines[i].transactional)
			arrive(&lines[i], shim_random(1 + lines[i].carried_count));
}

/* ---------- transactions ---------- */

static PrismOutcome
commit(PrismConn *conn, const PrismQueueTarget *target, int64 position, const char *metadata)
{
	Line	   *line = line_of(conn);
	WorldTopic *topic = topic_of(target);
	int64		before = broker_position(topic);
	PrismOutcome outcome;

	if (line->refused || line->carried_count > 0 || line->held_count > 0)
		violation("a transaction is committed of which not all messages have receipts");
	outcome = MEMORY->commit(conn, target, position, metadata);
	if (broker_position(topic) != before)
		model_committed(topic, line->taken, line->taken_count, position);
	return outcome;
}

static PrismOutcome
abort_transaction(PrismConn *conn)
{
	Line	   *line = line_of(conn);
	PrismOutcome outcome = MEMORY->abort(conn);

	if (outcome == PRISM_OK)
		line->taken_count = 0;
	return outcome;
}

static const PrismQueueOps queue = {
	.open = open_connection,
	.prepare = prepare,
	.look = look,
	.reshape = reshape,
	.fence = fence,
	.position_read = position_read,
	.position_write = position_write,
	.begin = begin,
	.send = send_message,
	.collect = collect,
	.explain = explain,
	.purge = purge,
	.commit = commit,
	.abort = abort_transaction,
};

const PrismBackend broker = {
	.name = "memory",
	.version = PRISM_VERSION,
	.wait_socket = wait_socket,
	.queue = &queue,
};

const PrismBackend *
prism_backend_load(const PrismBackendInfo *info, char *error)
{
	return &broker;
}

/* ---------- what of the server the back end calls ---------- */

Size
toast_raw_datum_size(Datum value)
{
	return VARSIZE(DatumGetPointer(value));
}

struct varlena *
pg_detoast_datum(struct varlena *value)
{
	return value;
}

struct varlena *
pg_detoast_datum_copy(struct varlena *value)
{
	return value;
}
