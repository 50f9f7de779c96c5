/*-------------------------------------------------------------------------
 *
 * group_replay.c
 *	  What the progress log says of groups: reading their records.
 *
 * A record says which offsets are finished, a checkpoint says it of all.  Both
 * only add, so the state is the union of what the kept records say, in any
 * order and however often; only an epoch (seek) starts afresh.
 *
 * src/store/group/group_replay.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/group/group_record.h"
#include "store/group/group_replay.h"
#include "store/log/progress.h"

#include "libpq/pqformat.h"
#include "utils/memutils.h"

/* How far back from its end the progress log is first searched for a checkpoint, and how much farther each time. */
#define FIRST_SPAN 8192
#define SPAN_FACTOR 4

static void
init_state(PrismReplayedGroup *state, int32 group_id, int64 start_from)
{
	state->group_id = group_id;
	state->epoch = 0;
	state->covers = -1;
	state->records = 0;
	state->damaged_at = -1;
	prism_attempts_init(&state->attempts);
	prism_ranges_init(&state->finished, Max(start_from, 0));
}

/* False: the record is of an epoch that is over. */
static bool
enter_epoch(PrismReplayedGroup *state, uint32 epoch)
{
	if (epoch > state->epoch)
	{
		/* where it starts stands in the checkpoint that began it */
		state->epoch = epoch;
		state->covers = state->damaged_at = -1;
		state->finished.floor = 0;
		state->finished.count = 0;
		state->attempts.count = state->attempts.settled = 0;
	}
	return epoch == state->epoch;
}

static void
replay_finished(PrismReplayedGroup *state, StringInfo record)
{
	int			count = pq_getmsgint(record, 4);

	state->records++;
	for (int i = 0; i < count; i++)
	{
		int64		from = pq_getmsgint64(record);
		int64		to = pq_getmsgint64(record);

		prism_ranges_add(&state->finished, from, to);
	}
}

static void
replay_checkpoint(PrismReplayedGroup *state, StringInfo record)
{
	int64		covers = pq_getmsgint64(record);
	int64		base = pq_getmsgint64(record);
	int64		read_end = pq_getmsgint64(record);
	int			count = pq_getmsgint(record, 4);
	int64		from = base;

	state->covers = Max(state->covers, covers);
	if (state->damaged_at < covers)
		state->damaged_at = -1;
	state->records = 0;
	prism_ranges_add(&state->finished, 0, base);
	for (int i = 0; i < count; i++)
	{
		PrismAttempt attempt = {.offset = pq_getmsgint64(record)};

		attempt.attempt = pq_getmsgint(record, 2);
		prism_ranges_add(&state->finished, from, attempt.offset);
		from = attempt.offset + 1;
		if (attempt.attempt > 0)
			prism_attempts_add(&state->attempts, &attempt, &state->finished);
	}
	prism_ranges_add(&state->finished, from, read_end);
}

static void
replay_attempts(PrismReplayedGroup *state, StringInfo record, TimestampTz written_at)
{
	int			count = pq_getmsgint(record, 4);

	state->records++;
	for (int i = 0; i < count; i++)
	{
		PrismAttempt attempt = {.offset = pq_getmsgint64(record)};

		attempt.attempt = pq_getmsgint(record, 2);
		attempt.due = pq_getmsgint64(record);
		attempt.first_failed = pq_getmsgint(record, 4);
		attempt.rest_us = attempt.due - written_at;
		prism_attempts_add(&state->attempts, &attempt, &state->finished);
	}
}

static void
replay_record(PrismReplayedGroup *state, RecordType type, StringInfo record, TimestampTz written_at)
{
	if (!enter_epoch(state, pq_getmsgint(record, 4)))
		return;
	switch (type)
	{
		case RECORD_FINISHED:
			replay_finished(state, record);
			break;
		case RECORD_CHECKPOINT:
			replay_checkpoint(state, record);
			break;
		case RECORD_ATTEMPTS:
			replay_attempts(state, record, written_at);
			break;
	}
}

/* Where records go: one group's state, or a table of them. */
typedef struct ReplayTarget
{
	PrismReplayedGroup *one;
	HTAB	   *many;
	MemoryContext mcxt;			/* what states allocate lives here */
} ReplayTarget;

static void
visit_group_record(int32 group_id, int64 at, TimestampTz created_at, const void *bytes, Size length, void *arg)
{
	ReplayTarget *target = arg;
	PrismReplayedGroup *state = target->one;
	StringInfoData record = {.data = (char *) bytes,.len = (int) length};
	MemoryContext caller;
	RecordType	type;

	if (target->many != NULL)
		state = hash_search(target->many, &group_id, HASH_FIND, NULL);
	if (state == NULL)
		return;
	if (!prism_group_record_is_sound(bytes, length, group_id))
	{
		state->damaged_at = at;
		return;
	}
	(void) pq_getmsgbyte(&record);
	type = pq_getmsgbyte(&record);
	(void) pq_getmsgint(&record, 4);
	caller = MemoryContextSwitchTo(target->mcxt);
	replay_record(state, type, &record, created_at);
	MemoryContextSwitchTo(caller);
}

/* Where an epoch starts stands in a checkpoint; without any, a record of another one lies. */
static void
note_missing_start(PrismReplayedGroup *state)
{
	if (state->epoch > 0 && state->covers < 0)
		state->damaged_at = Max(state->damaged_at, 0);
}

/* From the last checkpoint on, which is sought backwards from the log's end. */
void
prism_group_replay(PrismReplayedGroup *state, int32 group_id, int64 start_from)
{
	ReplayTarget target = {.one = state,.mcxt = CurrentMemoryContext};
	int64		end = prism_progress_stable();
	int64		from = Max(0, end - FIRST_SPAN);

	for (;;)
	{
		init_state(state, group_id, start_from);
		(void) prism_progress_replay(PRISM_PROGRESS_GROUP, group_id, from, visit_group_record, &target);
		if (from == 0 || state->covers >= from)
			break;
		from = state->covers >= 0 ? state->covers : Max(0, end - SPAN_FACTOR * (end - from));
	}
	note_missing_start(state);
}

/* ---------- many at once ---------- */

HTAB *
prism_replays_make(void)
{
	HASHCTL		control = {.keysize = sizeof(int32),.entrysize = sizeof(PrismReplayedGroup),.hcxt = CurrentMemoryContext};

	return hash_create("prism idle groups", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
prism_replays_add(HTAB *replays, int32 group_id, int64 start_from)
{
	init_state(hash_search(replays, &group_id, HASH_ENTER, NULL), group_id, start_from);
}

void
prism_replays_run(HTAB *replays)
{
	ReplayTarget target = {.many = replays,.mcxt = CurrentMemoryContext};
	HASH_SEQ_STATUS status;
	PrismReplayedGroup *state;

	if (hash_get_num_entries(replays) == 0)
		return;
	(void) prism_progress_replay(PRISM_PROGRESS_GROUP, -1, 0, visit_group_record, &target);
	hash_seq_init(&status, replays);
	while ((state = hash_seq_search(&status)) != NULL)
		note_missing_start(state);
}
