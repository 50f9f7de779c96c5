/*-------------------------------------------------------------------------
 *
 * world.c
 *	  The database that a forwarder sees: logs, the progress log, dead letters,
 *	  sinks.
 *
 * Records of a transaction wait until it commits.  A crash of the server takes
 * back what was not flushed; a transaction that asks for it flushes all.
 *
 * test/module/forwarder/world.c
 *
 *-------------------------------------------------------------------------
 */
#include "shim.h"
#include "world.h"

#include <stdio.h>

#include "base/guc.h"
#include "pattern/chain.h"
#include "store/log/counter.h"
#include "store/log/dead_letter.h"
#include "store/log/log.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "utils/datum.h"

#undef snprintf

#define PENDING_MAX 64

typedef struct Pending
{
	WorldTopic *topic;
	PrismSinkRecordKind kind;
	int64		position;
	bool		letter;			/* the dead letter itself */
} Pending;

WorldTopic	world[WORLD_TOPICS];
WorldFaults world_faults;
XLogRecPtr	world_flushed_to;

static XLogRecPtr world_end;
static bool in_transaction;
static bool sync_wanted;
static Pending pending[PENDING_MAX];
static int	pending_count;

/* ---------- made by the test ---------- */

void
world_make(int round)
{
	for (int i = 0; i < WORLD_TOPICS; i++)
	{
		WorldTopic *topic = &world[i];

		memset(topic, 0, sizeof(*topic));
		topic->damaged = -1;
		world_spread(topic, 1 + shim_random(WORLD_PARTITIONS_MAX));
		topic->written.position = topic->flushed.position = -1;
		snprintf(topic->target, sizeof(topic->target), "round%d.topic%d", round, i);
		strlcpy(topic->topic.name, topic->target, sizeof(topic->topic.name));
		topic->topic.topic_id = i + 1;
		topic->topic.counter = (struct PrismCounter *) topic;
		topic->sink = (PrismSink) {
			.sink_id = 100 + i,
			.topic_id = i + 1,
			.topic_name = topic->topic.name,
			.backend = "memory",
			.target_name = topic->target,
			.exactly_once = i >= WORLD_STREAMS,
			.batch_messages = 1 + shim_random(shim_chance(50) ? 5 : 40),
			.partitions = shim_random(WORLD_PARTITIONS_MAX + 1),
			.message_bytes_max = 1024 * 1024,
		};
	}
	world_end = world_flushed_to = 1;
	memset(&world_faults, 0, sizeof(world_faults));
	memset(&broker_faults, 0, sizeof(broker_faults));
}

void
world_spread(WorldTopic *topic, int partitions)
{
	topic->partitions = topic->there = partitions;
}

/* One transaction. */
void
world_publish(WorldTopic *topic, int messages, int bad_percent)
{
	messages = Min(messages, WORLD_OFFSETS - (int) topic->stable);
	world_end++;
	for (int i = 0; i < messages; i++)
	{
		bool		bad = shim_chance(bad_percent);

		topic->messages[topic->stable++] = (WorldMessage) {
			.kind = bad ? WORLD_BAD : WORLD_GOOD,
			.remaining = messages - i - 1,
			.bytes = bad ? WORLD_BYTES_MAX + 1 : shim_random(WORLD_BYTES_MAX),
			.key = 'a' + shim_random(WORLD_KEYS),
			.lsn = world_end,
		};
	}
}

void
world_publish_nothing(WorldTopic *topic, int offsets)
{
	topic->stable = Min(topic->stable + offsets, WORLD_OFFSETS);
}

void
world_flush(void)
{
	world_flushed_to = world_end;
	for (int i = 0; i < WORLD_TOPICS; i++)
		world[i].flushed = world[i].written;
}

void
world_crash(void)
{
	in_transaction = false;
	pending_count = 0;
	for (int i = 0; i < WORLD_TOPICS; i++)
	{
		world[i].written = world[i].flushed;
		world[i].skipping = false;
	}
}

/* ---------- transactions ---------- */

void
world_begin(void)
{
	Assert(!in_transaction && pending_count == 0);
	if (shim_chance(world_faults.begin))
		shim_throw(shim_chance(50) ? ERRCODE_LOCK_NOT_AVAILABLE : ERRCODE_OUT_OF_MEMORY, "no transaction can begin");
	in_transaction = true;
	sync_wanted = false;
}

static void
apply(const Pending *record)
{
	WorldProgress *progress = &record->topic->written;
	int			kept = 0;

	if (record->letter)
	{
		model_buried(record->topic, record->position);
		record->topic->messages[record->position].letters++;
		return;
	}
	if (record->kind == PRISM_SINK_DEAD)
	{
		if (record->position >= progress->position)
			progress->dead[progress->dead_count++] = record->position;
		return;
	}
	model_recorded(record->topic, record->position);
	progress->position = record->position;
	progress->shared = record->kind == PRISM_SINK_POSITION_SHARED;
	for (int i = 0; i < progress->dead_count; i++)
		if (progress->dead[i] >= record->position)
			progress->dead[kept++] = progress->dead[i];
	progress->dead_count = kept;
}

void
world_commit(void)
{
	Assert(in_transaction);
	if (shim_chance(world_faults.commit))
		shim_throw(ERRCODE_OUT_OF_MEMORY, "the transaction cannot commit");
	for (int i = 0; i < pending_count; i++)
		apply(&pending[i]);
	world_end++;
	if (sync_wanted || shim_chance(10))
		world_flush();
	in_transaction = false;
	pending_count = 0;
}

void
world_rollback(void)
{
	in_transaction = false;
	pending_count = 0;
}

int
world_savepoint(void)
{
	return pending_count;
}

void
world_rollback_to(int savepoint)
{
	pending_count = savepoint;
}

static void
add_pending(WorldTopic *topic, PrismSinkRecordKind kind, int64 position, bool letter)
{
	Assert(in_transaction && pending_count < PENDING_MAX);
	pending[pending_count++] = (Pending) {topic, kind, position, letter};
}

void
ForceSyncCommit(void)
{
	sync_wanted = true;
}

void
XLogFlush(XLogRecPtr up_to)
{
	if (up_to > world_flushed_to)
		world_flush();
}

/* ---------- topics ---------- */

PrismTopic *
prism_topic_lookup_id(int32 topic_id, bool missing_ok)
{
	Assert(in_transaction);
	return &world[topic_id - 1].topic;
}

PrismTopic *
prism_topic_try_id(int32 topic_id, bool *busy)
{
	WorldTopic *topic = &world[topic_id - 1];

	Assert(in_transaction);
	*busy = topic->busy;
	return topic->busy ? NULL : &topic->topic;
}

void
prism_counter_subscribe(struct PrismCounter *counter)
{
}

int64
prism_counter_stable(struct PrismCounter *counter, XLogRecPtr *flush_to)
{
	*flush_to = world_end;
	return ((WorldTopic *) counter)->stable;
}

int64
prism_log_stable(PrismTopic *topic)
{
	return ((WorldTopic *) topic)->stable;
}

int64
prism_log_earliest(PrismTopic *topic)
{
	return 0;
}

/* ---------- reading ---------- */

struct PrismReader
{
	WorldTopic *topic;
	int64		at;
	int64		stable;
	const char *damage;
	int32		key[2];			/* a text of one letter */
	char		payload[VARHDRSZ + WORLD_BYTES_MAX + 1];
};

PrismReader *
prism_reader_open(PrismTopic *topic, int64 from)
{
	PrismReader *reader = palloc(sizeof(PrismReader));

	Assert(in_transaction);
	if (shim_chance(world_faults.read_locked))
		shim_throw(ERRCODE_LOCK_NOT_AVAILABLE, "the topic's tables are locked");
	reader->topic = (WorldTopic *) topic;
	reader->at = from;
	note("%s: is read from %lld", reader->topic->target, (long long) from);
	reader->stable = reader->topic->stable;
	reader->damage = NULL;
	return reader;
}

bool
prism_reader_look(PrismReader *reader, PrismMessage *message)
{
	const WorldMessage *found;

	if (shim_chance(world_faults.read))
		shim_throw(ERRCODE_OUT_OF_MEMORY, "the log cannot be read");
	while (reader->at < reader->stable && reader->topic->messages[reader->at].kind == WORLD_NOTHING)
		reader->at++;
	if (reader->at >= reader->stable)
		return false;
	found = &reader->topic->messages[reader->at];
	memset(message, 0, sizeof(*message));
	message->offset = reader->at;
	message->remaining = found->remaining;
	memcpy(message->id.data, &reader->topic->topic.topic_id, 4);
	memcpy(message->id.data + 8, &reader->at, 8);
	message->has_key = message->has_payload = true;
	SET_VARSIZE(reader->key, VARHDRSZ + 1);
	*VARDATA(reader->key) = found->key;
	message->key = PointerGetDatum(reader->key);
	SET_VARSIZE(reader->payload, VARHDRSZ + found->bytes);
	memset(reader->payload + VARHDRSZ, 'x', found->bytes);
	message->payload = PointerGetDatum(reader->payload);
	reader->damage = reader->at == reader->topic->damaged ? "it is damaged" : NULL;
	reader->at++;
	return true;
}

const char *
prism_reader_damage(const PrismReader *reader)
{
	return reader->damage;
}

void
prism_reader_set_damage(PrismReader *reader, const PrismMessage *message, const char *damage)
{
	reader->damage = damage;
}

char *
prism_reader_tell_damage(const PrismReader *reader)
{
	return pstrdup(reader->damage);
}

int64
prism_reader_position(const PrismReader *reader)
{
	return reader->at;
}

int64
prism_reader_stable(const PrismReader *reader)
{
	return reader->stable;
}

XLogRecPtr
prism_reader_flush_to(const PrismReader *reader)
{
	return world_end;
}

void
prism_reader_close(PrismReader *reader)
{
	pfree(reader);
}

struct varlena *
prism_log_value(Datum stored)
{
	return (struct varlena *) DatumGetPointer(stored);
}

/* The rest of message_copy.c, of which the forwarder calls nothing. */

struct varlena *
prism_log_value_inline(Datum stored)
{
	abort();
}

struct varlena *
detoast_external_attr(struct varlena *stored)
{
	abort();
}

Size
toast_datum_size(Datum stored)
{
	abort();
}

Datum
datumCopy(Datum value, bool by_value, int length)
{
	abort();
}

/* ---------- what leaves the database ---------- */

bool
prism_outgoing_differs(void)
{
	return false;
}

void
prism_message_to_utf8(const PrismMessage *message, PrismMessage *outgoing, Size *bytes)
{
	Assert(false);
}

void
prism_dead_letter_append(PrismTopic *origin, const PrismMessage *message, const PrismDeadLetter *about)
{
	note("%s: %lld is to be a dead letter", origin->name, (long long) message->offset);
	if (message->created_at == WORLD_PASSED)
		violation("%s: message %lld becomes a dead letter as it was to go out, not as it is stored", origin->name, (long long) message->offset);
	if (shim_chance(world_faults.letter_locked))
		shim_throw(ERRCODE_LOCK_NOT_AVAILABLE, "the topic of the dead letters is locked");
	if (shim_chance(world_faults.letter))
		shim_throw(ERRCODE_PROGRAM_LIMIT_EXCEEDED, "the dead letter cannot be written");
	add_pending((WorldTopic *) origin, 0, message->offset, true);
}

char *
prism_dead_letter_topic_name(const char *origin)
{
	return psprintf("%s.dlq", origin);
}

/* ---------- patterns ---------- */

bool		prism_chain_sends_all = true;

PrismChain *
prism_chain_to_forward(PrismChain *former, PrismTopic *topic, MemoryContext mcxt)
{
	Assert(in_transaction);
	return (PrismChain *) topic;
}

PrismOutcome
prism_chain_forward(PrismChain *chain, PrismMessage *message, const char **why)
{
	const WorldTopic *topic = (WorldTopic *) chain;

	Assert(!in_transaction);
	if (shim_is_wasted())
		violation("%s: what was made of a message that waits is still there", topic->target);
	if (message->created_at == WORLD_PASSED)
		violation("%s: message %lld passes its patterns twice", topic->target, (long long) message->offset);
	*why = "its patterns know why";
	if (topic->messages[message->offset].kind == WORLD_BAD && shim_chance(world_faults.refuse))
		return PRISM_REJECT;
	if (shim_chance(world_faults.wait))
	{
		shim_waste();
		return PRISM_AGAIN;
	}
	message->created_at = WORLD_PASSED;
	return PRISM_OK;
}

/* ---------- sinks ---------- */

static WorldTopic *
find_sink(int32 sink_id)
{
	return &world[sink_id - 100];
}

PrismSinkSlot *
prism_sink_attach(int32 sink_id, int32 topic_id)
{
	return (PrismSinkSlot *) find_sink(sink_id);
}

PrismSinkSlot *
prism_sink_try_attach(int32 sink_id, int32 topic_id)
{
	return prism_sink_attach(sink_id, topic_id);
}

void
prism_sink_aim(PrismSinkSlot *slot, const char *target, const char *endpoint)
{
}

void
prism_sink_see(PrismSinkSlot *slot, const PrismSinkShape *seen)
{
	((WorldTopic *) slot)->seen = *seen;
}

void
prism_sink_show_refusal(PrismSinkSlot *slot, const char *error)
{
	strlcpy(((WorldTopic *) slot)->refusal, error != NULL ? error : "", PRISM_ERROR_BYTES);
}

bool
prism_sink_lock(int32 sink_id)
{
	return !find_sink(sink_id)->skipping;
}

bool
prism_sink_change(PrismSinkSlot *slot, PrismSinkState state, PrismInstant retry_at, const char *error)
{
	WorldTopic *topic = (WorldTopic *) slot;
	bool		news = topic->state != state;

	if (news)
		note("%s: state %d: %s", topic->target, state, error != NULL ? error : "");

	topic->state = state;
	if (error != NULL)
		strlcpy(topic->error, error, sizeof(topic->error));
	else if (state == PRISM_SINK_RUNNING || state == PRISM_SINK_PAUSED)
		topic->error[0] = '\0';
	return news;
}

bool
prism_sink_status(int32 sink_id, PrismSinkStatus *status)
{
	const WorldTopic *topic = find_sink(sink_id);

	*status = (PrismSinkStatus) {.state = topic->state,.position = topic->shown};
	return true;
}

const char *
prism_sink_state_name(PrismSinkState state)
{
	return "stopped";
}

void
prism_sink_move(PrismSinkSlot *slot, int64 position)
{
	((WorldTopic *) slot)->shown = position;
}

void
prism_sink_count(PrismSinkSlot *slot, PrismSinkCounter counter, int64 more)
{
}

void
prism_sink_recorded(PrismSinkSlot *slot, int64 position, TimestampTz at)
{
}

void
prism_sink_record(int32 sink_id, PrismSinkRecordKind kind, int64 position)
{
	if (kind != PRISM_SINK_DEAD && shim_chance(world_faults.record_locked))
		shim_throw(ERRCODE_LOCK_NOT_AVAILABLE, "the progress log is locked");
	if (kind != PRISM_SINK_DEAD && shim_chance(world_faults.record))
		shim_throw(ERRCODE_DISK_FULL, "the progress log cannot be written");
	add_pending(find_sink(sink_id), kind, position, false);
}

void
prism_sink_replay(int32 sink_id, PrismSinkProgress *progress, PrismSinkSlot *slot)
{
	const WorldProgress *written = &find_sink(sink_id)->written;

	Assert(in_transaction);
	memset(progress, 0, sizeof(*progress));
	progress->position = written->position;
	progress->shared = written->shared;
	progress->damaged_at = -1;
	if (slot != NULL)
		note("%s: is at %lld in the progress log", find_sink(sink_id)->target, (long long) written->position);
	progress->dead_count = written->dead_count;
	if (written->dead_count > 0)
	{
		progress->dead = palloc(written->dead_count * sizeof(int64));
		memcpy(progress->dead, written->dead, written->dead_count * sizeof(int64));
	}
}

void
prism_sinks_replay(PrismSinkReplay *sinks, int count)
{
	for (int i = 0; i < count; i++)
		prism_sink_replay(sinks[i].sink_id, sinks[i].progress, sinks[i].slot);
}
