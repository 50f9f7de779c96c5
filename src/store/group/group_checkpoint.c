/*-------------------------------------------------------------------------
 *
 * group_checkpoint.c
 *	  Full records of groups in the progress log, from which a replay can start.
 *
 * Why no acknowledgement is lost when a replay starts at a checkpoint, or old
 * segments of the progress log go: the stable progress offset is taken before a
 * window is copied, and a COMMIT callback enters what it finished into the
 * window before its record can fall below the stable offset.  So a checkpoint
 * covers everything below that offset, which it names.
 *
 * src/store/group/group_checkpoint.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/guc.h"
#include "store/group/group_replay.h"
#include "store/group/group_shared.h"
#include "store/log/progress.h"

#include "utils/timestamp.h"

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

/* What is finished of a group that nobody has used since the server started. */
static void
checkpoint_replayed(PrismReplayedGroup *state, int64 covers)
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
	HTAB	   *idle = prism_replays_make();
	HASH_SEQ_STATUS status;
	PrismReplayedGroup *state;
	bool		damaged = false;
	ListCell   *cell;

	foreach(cell, prism_group_rows())
	{
		PrismGroupRow *row = lfirst(cell);

		if (!checkpoint_window(row->group_id, covers, &damaged))
			prism_replays_add(idle, row->group_id, row->start_from);
	}
	prism_replays_run(idle);
	hash_seq_init(&status, idle);
	while ((state = hash_seq_search(&status)) != NULL)
	{
		if (state->damaged_at >= 0)
			damaged = true;
		else
			checkpoint_replayed(state, covers);
	}
	hash_destroy(idle);
	/* to mend the state of a group its records are needed */
	return damaged ? 0 : covers;
}
