/*-------------------------------------------------------------------------
 *
 * group_state.c
 *	  A group's state in the progress log: records, checkpoints, rebuilding.
 *
 * A record says which offsets are finished, a checkpoint says it of all.  Both
 * only add, so the state is the union of what the kept records say, in any
 * order and however often; only an epoch (seek) starts afresh.
 *
 * Why no acknowledgement is lost when a replay starts at a checkpoint, or old
 * segments of the progress log go: the stable progress offset is taken before a
 * window is copied, and a COMMIT callback enters what it finished into the
 * window before its record can fall below the stable offset.  So a checkpoint
 * covers everything below that offset, which it names.
 *
 * Numbers are in network byte order, as pg_dump carries them to other machines.
 *
 * src/store/group/group_state.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/guc.h"
#include "store/group/group_record.h"
#include "store/group/group_shared.h"
#include "store/log/log.h"
#include "store/log/progress.h"

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* How far back from its end the progress log is first searched for a checkpoint, and how much farther each time. */
#define FIRST_SPAN 8192
#define SPAN_FACTOR 4


/* What the log says about a group. */
typedef struct ReplayedState
{
	int32		group_id;		/* hash key */
	uint32		epoch;
	int64		covers;			/* of the last checkpoint: the log below is not needed; -1: there was none */
	int			records;		/* since then */
	int64		damaged_at;		/* a record that nobody can read, and that no later one makes good; -1: none */
	PrismRanges finished;
	PrismAttempts attempts;
} ReplayedState;

/* ---------- reading ---------- */

static void
init_state(ReplayedState *state, int32 group_id, int64 start_from)
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
enter_epoch(ReplayedState *state, uint32 epoch)
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
replay_finished(ReplayedState *state, StringInfo record)
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
replay_checkpoint(ReplayedState *state, StringInfo record)
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
replay_attempts(ReplayedState *state, StringInfo record, TimestampTz written_at)
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
replay_record(ReplayedState *state, RecordType type, StringInfo record, TimestampTz written_at)
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
	ReplayedState *one;
	HTAB	   *many;
	MemoryContext mcxt;			/* what states allocate lives here */
} ReplayTarget;

static void
visit_record(int32 group_id, int64 at, TimestampTz created_at, const void *bytes, Size length, void *arg)
{
	ReplayTarget *target = arg;
	ReplayedState *state = target->one;
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

/* ---------- rebuilding a window ---------- */

typedef struct Unfinished
{
	PrismArrival *arrivals;
	int			count;
	int			capacity;
} Unfinished;

static void
add_unfinished(Unfinished *unfinished, const PrismMessage *message)
{
	if (unfinished->count == unfinished->capacity)
	{
		unfinished->capacity *= 2;
		unfinished->arrivals = repalloc_huge(unfinished->arrivals,
											 unfinished->capacity * sizeof(PrismArrival));
	}
	unfinished->arrivals[unfinished->count++] = prism_group_arrival(message);
}

/* Read what lies between finished ranges: few messages, however far the ranges reach. */
static void
read_gap(PrismTopic *topic, int64 from, int64 to, Unfinished *unfinished)
{
	PrismReader *reader = prism_reader_open(topic, from);
	PrismMessage message;

	while (prism_reader_position(reader) < to && prism_reader_look(reader, &message))
	{
		if (message.offset >= to)
			break;
		CHECK_FOR_INTERRUPTS();
		add_unfinished(unfinished, &message);
	}
	prism_reader_close(reader);
}

/* Where the window begins to read ahead: behind all that the log has something to say of. */
static int64
known_end(const ReplayedState *state)
{
	const PrismAttempts *attempts = &state->attempts;
	int64		end = prism_ranges_end(&state->finished);

	return attempts->count > 0 ? Max(end, attempts->items[attempts->count - 1].offset + 1) : end;
}

static void
read_unfinished(PrismTopic *topic, const ReplayedState *state, Unfinished *unfinished)
{
	const PrismRanges *finished = &state->finished;
	int64		from = finished->floor;

	for (int i = 0; i < finished->count; i++)
	{
		read_gap(topic, from, finished->ranges[i].from, unfinished);
		from = finished->ranges[i].to;
	}
	read_gap(topic, from, known_end(state), unfinished);
}

/* Never longer than it was to be, should the clock have been set back meanwhile. */
static PrismInstant
rest_until(const PrismAttempt *known, PrismInstant now, int64 difference)
{
	return known->due == 0 ? 0 : now + Min(known->due - difference - now, known->rest_us);
}

/* Under the slot's lock. */
static void
fill_window(PrismGroup *group, const ReplayedState *state, const Unfinished *unfinished)
{
	PrismInstant now = prism_instant();
	int64		difference = prism_clock_difference();

	prism_window_reset(group->window, state->finished.floor);
	for (int i = 0; i < unfinished->count; i++)
	{
		const PrismArrival *arrival = &unfinished->arrivals[i];
		PrismEntry *entry = prism_window_add(group->window, arrival->offset, arrival->created_at,
											 arrival->key_hash);
		const PrismAttempt *known = prism_attempts_find(&state->attempts, arrival->offset);

		if (known != NULL)
			prism_window_restore(group->window, entry, known->attempt, rest_until(known, now, difference),
								 prism_seconds_shift(known->first_failed, -difference), now);
	}
	prism_window_doubt(group->window);
	prism_window_read_to(group->window, known_end(state));
	group->records = state->records;
	group->damaged_at = state->damaged_at;
	group->epoch = state->epoch;
	group->ready = true;
}

/* Where an epoch starts stands in a checkpoint; without any, a record of another one lies. */
static void
note_missing_start(ReplayedState *state)
{
	if (state->epoch > 0 && state->covers < 0)
		state->damaged_at = Max(state->damaged_at, 0);
}

/* Replay from the last checkpoint on, which is sought backwards from the log's end. */
static void
replay_group(PrismGroupRef *ref, ReplayedState *state)
{
	ReplayTarget target = {.one = state,.mcxt = CurrentMemoryContext};
	int64		end = prism_progress_stable();
	int64		from = Max(0, end - FIRST_SPAN);

	for (;;)
	{
		init_state(state, ref->group_id, ref->group->start_from);
		(void) prism_progress_replay(PRISM_PROGRESS_GROUP, ref->group_id, from, visit_record, &target);
		if (from == 0 || state->covers >= from)
			break;
		from = state->covers >= 0 ? state->covers : Max(0, end - SPAN_FACTOR * (end - from));
	}
	note_missing_start(state);
}

/* False: who only looks finds no room. */
static bool
replay_into_window(PrismGroupRef *ref, bool look)
{
	PrismGroup *group = ref->group;
	ReplayedState state;
	Unfinished	unfinished = {.capacity = 64};

	replay_group(ref, &state);
	prism_attempts_settle(&state.attempts, &state.finished);
	/* a gap stays one: the group stays before it, and forgets what it knew of what is behind it */
	if (prism_log_lost(ref->topic, state.finished.floor))
		state.finished.count = state.attempts.count = state.attempts.settled = 0;
	unfinished.arrivals = palloc_array(PrismArrival, unfinished.capacity);
	read_unfinished(ref->topic, &state, &unfinished);
	if (unfinished.count > prism_group_window && look)
	{
		prism_group_abort_reader(1);
		return false;
	}
	if (unfinished.count > prism_group_window)
		ereport(ERROR,
				errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("consumer group \"%s\" has more unfinished messages than its window holds", ref->name),
				errdetail("There are %d; prism.group_window is %d.", unfinished.count, prism_group_window),
				errhint("Set prism.group_window to %d or more and restart the server.", unfinished.count));

	prism_group_lock(ref, LW_EXCLUSIVE);
	fill_window(group, &state, &unfinished);
	(void) prism_group_release_reader(group);
	prism_group_unlock(group);
	ConditionVariableBroadcast(&group->changed);
	return true;
}

void
prism_group_start(PrismGroupRef *ref, uint32 epoch)
{
	PrismGroup *group = ref->group;

	prism_group_lock(ref, LW_EXCLUSIVE);
	prism_window_reset(group->window, group->start_from);
	group->epoch = epoch;
	group->ready = true;
	prism_group_unlock(group);
}

bool
prism_group_rebuild(PrismGroupRef *ref, bool look)
{
	bool		rebuilt;

	for (;;)
	{
		bool		ready;
		bool		claimed;

		prism_group_lock(ref, LW_EXCLUSIVE);
		ready = ref->group->ready;
		claimed = !ready && prism_group_claim_reader(ref);
		prism_group_unlock(ref->group);
		if (ready)
			return true;
		if (claimed)
			break;
		prism_group_await_reader(ref);
	}

	{
		MemoryContext rebuild_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism group rebuild",
														  ALLOCSET_DEFAULT_SIZES);
		MemoryContext caller = MemoryContextSwitchTo(rebuild_cxt);

		rebuilt = replay_into_window(ref, look);
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(rebuild_cxt);
	}
	return rebuilt;
}

/* States of groups without a window, by number. */
static HTAB *
make_states(void)
{
	HASHCTL		control = {.keysize = sizeof(int32),.entrysize = sizeof(ReplayedState),.hcxt = CurrentMemoryContext};

	return hash_create("prism idle groups", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
replay_states(HTAB *states)
{
	ReplayTarget target = {.many = states,.mcxt = CurrentMemoryContext};

	if (hash_get_num_entries(states) > 0)
		(void) prism_progress_replay(PRISM_PROGRESS_GROUP, -1, 0, visit_record, &target);
}

int64
prism_group_replay_slowest(const List *rows, PrismGroupRow **slowest)
{
	MemoryContext replay_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism group positions",
													 ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(replay_cxt);
	HTAB	   *states = make_states();
	int64		position = PG_INT64_MAX;
	ListCell   *cell;

	foreach(cell, rows)
	{
		PrismGroupRow *row = lfirst(cell);

		init_state(hash_search(states, &row->group_id, HASH_ENTER, NULL), row->group_id, row->start_from);
	}
	replay_states(states);
	foreach(cell, rows)
	{
		PrismGroupRow *row = lfirst(cell);
		ReplayedState *state = hash_search(states, &row->group_id, HASH_FIND, NULL);

		if (state->finished.floor < position)
		{
			position = state->finished.floor;
			*slowest = row;
		}
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(replay_cxt);
	return position;
}

/* ---------- checkpoints ---------- */

/* What the checkpoint's own list of attempts does not tell of an entry. */
static bool
has_failed(const PrismAttempt *attempt)
{
	return attempt->due != 0 || attempt->first_failed != 0;
}

static void
append_failures(int32 group_id, uint32 epoch, PrismAttempt *attempts, int count)
{
	int			kept = 0;

	for (int i = 0; i < count; i++)
	{
		if (has_failed(&attempts[i]))
			attempts[kept++] = attempts[i];
	}
	if (kept > 0)
		prism_group_append_attempts(group_id, epoch, attempts, kept);
}

/* Copy the unfinished entries of a loaded group; false: it is not loaded. 'covers' was taken before. */
static bool
checkpoint_window(int32 group_id, int64 covers, bool *damaged)
{
	PrismAttempt *attempts = palloc_array(PrismAttempt, prism_group_window);
	PrismGroup *group = prism_group_lock_loaded(group_id);
	uint32		epoch;
	int64		base;
	int64		read_end;
	int			count = 0;

	if (group == NULL || group->damaged_at >= 0)
	{
		pfree(attempts);
		if (group == NULL)
			return false;
		/* a checkpoint would make the damage good */
		prism_group_unlock(group);
		*damaged = true;
		return true;
	}
	epoch = group->epoch;
	base = prism_window_base(group->window);
	read_end = group->window->read_end;
	for (PrismEntry *entry = prism_window_first(group->window); entry != NULL;
		 entry = prism_window_after(group->window, entry))
		attempts[count++] = prism_window_attempt(entry);
	prism_group_unlock(group);

	prism_attempts_shift(attempts, count, prism_clock_difference());
	prism_group_append_checkpoint(group_id, epoch, covers, base, read_end, attempts, count);
	append_failures(group_id, epoch, attempts, count);
	pfree(attempts);
	return true;
}

void
prism_group_append_start(int32 group_id, uint32 epoch, int64 start)
{
	prism_group_append_checkpoint(group_id, epoch, prism_progress_stable(), start, start, NULL, 0);
}

/* What is finished of a group that nobody has used since the server started. */
static void
checkpoint_replayed(ReplayedState *state, int64 covers)
{
	prism_group_append_checkpoint(state->group_id, state->epoch, covers, state->finished.floor,
								  state->finished.floor, NULL, 0);
	if (state->finished.count > 0)
		prism_group_append_finished(state->group_id, state->epoch,
									state->finished.ranges, state->finished.count);
	prism_attempts_settle(&state->attempts, &state->finished);
	if (state->attempts.count > 0)
		prism_group_append_attempts(state->group_id, state->epoch, state->attempts.items, state->attempts.count);
}

void
prism_group_checkpoint(int32 group_id)
{
	int64		covers = prism_progress_stable();
	bool		damaged = false;

	(void) checkpoint_window(group_id, covers, &damaged);
}

int64
prism_group_checkpoint_all(void)
{
	/* before any state is copied */
	int64		covers = prism_progress_stable();
	HTAB	   *idle = make_states();
	HASH_SEQ_STATUS status;
	ReplayedState *state;
	bool		damaged = false;
	ListCell   *cell;

	foreach(cell, prism_group_rows())
	{
		PrismGroupRow *row = lfirst(cell);

		if (!checkpoint_window(row->group_id, covers, &damaged))
			init_state(hash_search(idle, &row->group_id, HASH_ENTER, NULL), row->group_id, row->start_from);
	}
	replay_states(idle);
	hash_seq_init(&status, idle);
	while ((state = hash_seq_search(&status)) != NULL)
	{
		note_missing_start(state);
		if (state->damaged_at >= 0)
			damaged = true;
		else
			checkpoint_replayed(state, covers);
	}
	hash_destroy(idle);
	/* who mends the state of a group needs its records */
	return damaged ? 0 : covers;
}
