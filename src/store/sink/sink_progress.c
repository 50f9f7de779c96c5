/*-------------------------------------------------------------------------
 *
 * sink_progress.c
 *	  Positions of sinks in the progress log, and what others ask about them.
 *
 * A record holds a whole position, so the last one of a sink is enough; dead
 * letters after it are remembered too, so that a crash between the dead
 * letter and the position does not write it twice.
 *
 * src/store/sink/sink_progress.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/generation.h"
#include "base/query.h"
#include "store/log/holders.h"
#include "store/log/log.h"
#include "store/log/progress.h"
#include "store/log/topic.h"
#include "store/sink/sink.h"
#include "store/sink/sink_slot.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/*
 * On disk: fields are only ever added, at the end, with a new version.  In
 * network byte order, as pg_dump carries them to other machines.
 */
typedef struct SinkRecord
{
	uint16		version;
	uint16		kind;
	uint32		unused;
	int64		position;
} SinkRecord;

#define SINK_RECORD_VERSION 1

StaticAssertDecl(sizeof(SinkRecord) == 16, "records on disk have no room in between");

void
prism_sink_record(int32 sink_id, PrismSinkRecordKind kind, int64 position)
{
	SinkRecord	record = {
		.version = pg_hton16(SINK_RECORD_VERSION),
		.kind = pg_hton16(kind),
		.position = pg_hton64(position)
	};

	Assert(position >= 0);
	prism_progress_append(PRISM_PROGRESS_SINK, sink_id, &record, sizeof(record));
}

/* ---------- reading it back ---------- */

static void
forget_dead_below(PrismSinkProgress *progress, int64 position)
{
	int			kept = 0;

	for (int i = 0; i < progress->dead_count; i++)
		if (progress->dead[i] >= position)
			progress->dead[kept++] = progress->dead[i];
	progress->dead_count = kept;
}

static void
add_dead(PrismSinkReplay *sink, int64 position)
{
	PrismSinkProgress *progress = sink->progress;
	int			at = progress->dead_count;

	if (progress->dead_count == sink->dead_max)
	{
		sink->dead_max = Max(16, sink->dead_max * 2);
		progress->dead = progress->dead == NULL
			? palloc_array(int64, sink->dead_max)
			: repalloc_array(progress->dead, int64, sink->dead_max);
	}
	while (at > 0 && progress->dead[at - 1] > position)
	{
		progress->dead[at] = progress->dead[at - 1];
		at--;
	}
	progress->dead[at] = position;
	progress->dead_count++;
}

/* False: it is none that prism has written. */
static bool
decode_record(const void *data, Size bytes, SinkRecord *record)
{
	if (bytes != sizeof(*record))
		return false;
	memcpy(record, data, sizeof(*record));
	record->version = pg_ntoh16(record->version);
	record->kind = pg_ntoh16(record->kind);
	record->position = pg_ntoh64(record->position);
	return record->version == SINK_RECORD_VERSION && record->position >= 0 &&
		record->kind >= PRISM_SINK_POSITION && record->kind <= PRISM_SINK_CHECKPOINT_SHARED;
}

/* Those that are read now, by ascending id. */
typedef struct Replay
{
	PrismSinkReplay *sinks;
	int			count;
} Replay;

static int
compare_ids(const void *a, const void *b)
{
	int32		left = ((const PrismSinkReplay *) a)->sink_id;
	int32		right = ((const PrismSinkReplay *) b)->sink_id;

	return (left > right) - (left < right);
}

static void
visit_sink_record(int32 sink_id, int64 at, TimestampTz created_at, const void *data, Size bytes, void *arg)
{
	const Replay *replay = arg;
	PrismSinkReplay wanted = {.sink_id = sink_id};
	PrismSinkReplay *sink = bsearch(&wanted, replay->sinks, replay->count, sizeof(wanted), compare_ids);
	PrismSinkProgress *progress;
	SinkRecord	record;

	if (sink == NULL)
		return;
	progress = sink->progress;
	if (!decode_record(data, bytes, &record))
	{
		progress->damaged_at = at;
		return;
	}
	switch (record.kind)
	{
		case PRISM_SINK_CHECKPOINT:
		case PRISM_SINK_CHECKPOINT_SHARED:
			/* where there still is a record of the sink itself, that is at least as new; of checkpoints the last is */
			if (sink->own && progress->damaged_at < 0)
				break;
			/* FALLTHROUGH */
		case PRISM_SINK_POSITION:
		case PRISM_SINK_POSITION_SHARED:
			sink->own = record.kind == PRISM_SINK_POSITION || record.kind == PRISM_SINK_POSITION_SHARED;
			progress->position = record.position;
			progress->damaged_at = -1;	/* a whole position: what was said before does not matter */
			progress->shared = record.kind == PRISM_SINK_POSITION_SHARED ||
				record.kind == PRISM_SINK_CHECKPOINT_SHARED;
			forget_dead_below(progress, record.position);
			if (sink->slot != NULL)
				prism_sink_recorded(sink->slot, record.position, created_at);
			break;
		case PRISM_SINK_DEAD:
			if (record.position >= progress->position)
				add_dead(sink, record.position);
			break;
	}
}

void
prism_sinks_replay(PrismSinkReplay *sinks, int count)
{
	Replay		replay = {sinks, count};

	if (count == 0)
		return;
	for (int i = 0; i < count; i++)
	{
		PrismSinkReplay *sink = &sinks[i];

		memset(sink->progress, 0, sizeof(*sink->progress));
		sink->progress->position = sink->progress->damaged_at = -1;
		if (sink->slot != NULL)
			prism_sink_reset_marks(sink->slot);
		sink->own = false;
		sink->dead_max = 0;
	}
	qsort(sinks, count, sizeof(*sinks), compare_ids);
	(void) prism_progress_replay(PRISM_PROGRESS_SINK, count == 1 ? sinks[0].sink_id : -1, 0, visit_sink_record, &replay);
}

void
prism_sink_replay(int32 sink_id, PrismSinkProgress *progress, PrismSinkSlot *slot)
{
	PrismSinkReplay sink = {.sink_id = sink_id,.progress = progress,.slot = slot};

	prism_sinks_replay(&sink, 1);
}

static bool
checkpoint(int32 sink_id, const PrismSinkProgress *progress)
{
	if (progress->damaged_at >= 0)
		return false;
	if (progress->position >= 0)
		prism_sink_record(sink_id, progress->shared ? PRISM_SINK_CHECKPOINT_SHARED : PRISM_SINK_CHECKPOINT,
						  progress->position);
	for (int i = 0; i < progress->dead_count; i++)
		prism_sink_record(sink_id, PRISM_SINK_DEAD, progress->dead[i]);
	return true;
}

/* They repeat no more than is in the log. */
int64
prism_sink_checkpoint_all(void)
{
	bool		all = true;
	PrismQueryRows rows = prism_query_latest("SELECT sink_id FROM prism.sink", 0, NULL, NULL, 0);
	int			count = (int) rows.count;
	PrismSinkReplay *sinks = palloc0_array(PrismSinkReplay, count);

	for (int i = 0; i < count; i++)
	{
		sinks[i].sink_id = prism_column_int32(&rows.row[i], 1);
		sinks[i].progress = palloc_object(PrismSinkProgress);
	}
	prism_sinks_replay(sinks, count);
	for (int i = 0; i < count; i++)
		all &= checkpoint(sinks[i].sink_id, sinks[i].progress);
	return all ? PRISM_NOBODY : 0;
}

int64
prism_sink_position(int32 sink_id)
{
	PrismSinkSlot copy;
	PrismSinkProgress progress;
	int64		position;

	if (prism_sink_skipped(sink_id, &position))
		return position;
	if (prism_sink_copy(sink_id, &copy) && copy.status.position >= 0)
		return copy.status.position;
	prism_sink_replay(sink_id, &progress, NULL);
	return progress.position;
}

/* ---------- questions of other parts ---------- */

/* The sinks of the topic asked for last: prism.outbox asks for each message. */
static struct
{
	int32		topic_id;
	uint64		generation;
	bool		copied;			/* 'copies' are there */
	int			count;
	int32		sink_ids[PRISM_SINKS_OF_TOPIC_MAX];
	PrismSinkSlot copies[PRISM_SINKS_OF_TOPIC_MAX];
}			asked;

static void
load_sinks_of_topic(int32 topic_id)
{
	uint64		generation = prism_catalog_generation();
	Oid			type = INT4OID;
	Datum		value = Int32GetDatum(topic_id);
	PrismQueryRows sinks;

	if (asked.topic_id == topic_id && asked.generation == generation)
		return;

	asked.topic_id = 0;
	sinks = prism_query_latest("SELECT sink_id FROM prism.sink WHERE topic_id = $1", 1, &type, &value, PRISM_SINKS_OF_TOPIC_MAX);
	asked.count = (int) sinks.count;
	for (int i = 0; i < asked.count; i++)
		asked.sink_ids[i] = prism_column_int32(&sinks.row[i], 1);
	prism_query_free(&sinks);
	asked.topic_id = topic_id;
	asked.generation = generation;
	asked.copied = false;
}

void
prism_sink_ask_anew(void)
{
	asked.copied = false;
}

bool
prism_sink_waiting(int32 topic_id, int32 sink_id)
{
	PrismTopic *topic = prism_topic_lookup_id(topic_id, false);
	PrismReader *reader = prism_reader_open(topic, Max(prism_sink_position(sink_id), 0));
	PrismMessage message;
	bool		found = prism_reader_look(reader, &message);

	prism_reader_close(reader);
	return found;
}

int64
prism_sink_slowest(PrismTopic *topic)
{
	int64		slowest = PRISM_NOBODY;

	load_sinks_of_topic(topic->topic_id);
	for (int i = 0; i < asked.count; i++)
	{
		int64		position = Max(prism_sink_position(asked.sink_ids[i]), 0);

		slowest = Min(slowest, position);
	}
	return slowest;
}

/* How the topic's sinks stand, once a list: a long one then tells one story. */
static void
load_copies(void)
{
	if (asked.copied)
		return;
	for (int i = 0; i < asked.count; i++)
	{
		PrismSinkSlot *copy = &asked.copies[i];

		if (prism_sink_copy(asked.sink_ids[i], copy) && copy->status.position >= 0)
			continue;
		/* nobody served it since the server started: ask the log */
		{
			PrismSinkProgress progress;

			memset(copy, 0, sizeof(*copy));
			SpinLockInit(&copy->mutex);
			prism_sink_replay(asked.sink_ids[i], &progress, copy);
		}
	}
	asked.copied = true;
}

/* When the sink's position passed the offset; false: not yet. */
static bool
passed_at(const PrismSinkSlot *slot, int64 offset, TimestampTz *at)
{
	int64		oldest = Max(0, slot->mark_count - PRISM_SINK_MARKS);
	bool		passed = false;

	for (int64 i = slot->mark_count - 1; i >= oldest; i--)
	{
		const PrismSinkMark *mark = &slot->marks[i % PRISM_SINK_MARKS];

		if (mark->position <= offset)
			break;
		*at = mark->at;
		passed = true;
	}
	return passed;
}

bool
prism_sink_published_at(int32 topic_id, int64 offset, TimestampTz *at)
{
	*at = 0;
	load_sinks_of_topic(topic_id);
	load_copies();
	for (int i = 0; i < asked.count; i++)
	{
		TimestampTz passed;

		if (!passed_at(&asked.copies[i], offset, &passed))
			return false;
		*at = Max(*at, passed);
	}
	return true;
}
