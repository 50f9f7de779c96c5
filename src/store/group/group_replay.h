/*-------------------------------------------------------------------------
 *
 * group_replay.h
 *	  What the progress log says of groups.
 *
 * src/store/group/group_replay.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_GROUP_REPLAY_H
#define PRISM_GROUP_REPLAY_H

#include "store/group/group_attempts.h"
#include "store/group/group_ranges.h"

#include "utils/hsearch.h"

typedef struct PrismReplayedGroup
{
	int32		group_id;		/* hash key */
	uint32		epoch;
	int64		covers;			/* of the last checkpoint: the log below is not needed; -1: there was none */
	int			records;		/* since then */
	int64		damaged_at;		/* a record that nobody can read, and that no later one makes good; -1: none */
	PrismRanges finished;
	PrismAttempts attempts;
} PrismReplayedGroup;

/* Read all that is needed of one group, which without any record has finished what lies below start_from. In the current memory context. */
extern void prism_group_replay(PrismReplayedGroup *state, int32 group_id, int64 start_from);

/* Several groups at once, as the log is read from its begin: PrismReplayedGroup by number, in the current memory context. */
extern HTAB *prism_replays_make(void);
extern void prism_replays_add(HTAB *replays, int32 group_id, int64 start_from);
extern void prism_replays_run(HTAB *replays);

#endif							/* PRISM_GROUP_REPLAY_H */
