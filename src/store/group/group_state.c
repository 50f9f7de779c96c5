/*-------------------------------------------------------------------------
 *
 * group_state.c
 *	  A group's window, made from what the progress log says.
 *
 * src/store/group/group_state.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/guc.h"
#include "store/group/group_replay.h"
#include "store/group/group_shared.h"
#include "store/log/log.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PrismArrival
prism_group_arrival(const PrismMessage *message)
{
	PrismArrival arrival = {.offset = message->offset,.created_at = message->created_at};

	if (message->has_key)
	{
		struct varlena *stored = (struct varlena *) DatumGetPointer(message->key);
		text	   *key = pg_detoast_datum_packed(stored);
		uint32		hash = hash_bytes((unsigned char *) VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));

		arrival.key_hash = hash != 0 ? hash : 1;
		if (key != stored)
			pfree(key);
	}
	return arrival;
}

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
known_end(const PrismReplayedGroup *state)
{
	const PrismAttempts *attempts = &state->attempts;
	int64		end = prism_ranges_end(&state->finished);

	return attempts->count > 0 ? Max(end, attempts->items[attempts->count - 1].offset + 1) : end;
}

static void
read_unfinished(PrismTopic *topic, const PrismReplayedGroup *state, Unfinished *unfinished)
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
fill_window(PrismGroup *group, const PrismReplayedGroup *state, const Unfinished *unfinished)
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

/* False: who only looks finds no room. */
static bool
replay_into_window(PrismGroupRef *ref, bool look)
{
	PrismGroup *group = ref->group;
	PrismReplayedGroup state;
	Unfinished	unfinished = {.capacity = 64};

	prism_group_replay(&state, ref->group_id, group->start_from);
	prism_attempts_settle(&state.attempts, &state.finished);
	/* a gap stays one: the group stays before it, and forgets what it knew of what comes after it */
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

		if (!look)
			prism_group_lock(ref, LW_EXCLUSIVE);
		else if (!prism_group_lock_if(ref->group, ref->generation))
			return false;		/* it has made way already */
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
