/*-------------------------------------------------------------------------
 *
 * group_seek.c
 *	  Moving a consumer group to another position.
 *
 * A group's state only adds: what is finished stays finished.  To go elsewhere
 * it begins a new epoch, whose first record says where; records of the former
 * one do not count any more.  The record is appended at pre-commit, and the
 * COMMIT callback empties the window and enters the epoch: from then on no
 * lease of the former one is worth anything, and who was reading ahead or
 * acknowledging meanwhile finds that the epoch is not his.
 *
 * One transaction at a time moves a group: it holds the lock of the group's
 * name in a mode of its own, so that no two begin the same epoch.
 *
 * src/store/group/group_seek.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/group/group_shared.h"

#include "access/xact.h"
#include "utils/memutils.h"

/* Lives in TopTransactionContext; the newest first. */
typedef struct Seek
{
	struct Seek *next;
	PrismGroup *group;
	uint32		generation;
	int32		group_id;
	char	   *name;
	PrismCounter *counter;		/* whose sleepers look again */
	int64		position;
	uint32		epoch;			/* which it begins */
	int			nest_level;
} Seek;

static Seek *seeks = NULL;

/* The group goes where the transaction sent it last. */
static bool
is_latest(const Seek *seek)
{
	for (const Seek *newer = seeks; newer != seek; newer = newer->next)
	{
		if (newer->group == seek->group && newer->generation == seek->generation)
			return false;
	}
	return true;
}

/* What the current savepoint sent the group to before, or NULL. */
static Seek *
find_seek(const PrismGroupRef *ref)
{
	int			nest_level = GetCurrentTransactionNestLevel();

	for (Seek *seek = seeks; seek != NULL && seek->nest_level == nest_level; seek = seek->next)
	{
		if (seek->group == ref->group && seek->generation == ref->generation)
			return seek;
	}
	return NULL;
}

static Seek *
new_seek(const PrismGroupRef *ref)
{
	Seek	   *seek = MemoryContextAllocZero(TopTransactionContext, sizeof(Seek));
	seek->group = ref->group;
	seek->generation = ref->generation;
	seek->group_id = ref->group_id;
	seek->name = MemoryContextStrdup(TopTransactionContext, ref->name);
	seek->counter = ref->topic->counter;
	seek->nest_level = GetCurrentTransactionNestLevel();
	seek->next = seeks;
	seeks = seek;
	return seek;
}

void
prism_group_seek(PrismGroupRef *ref, int64 position)
{
	Seek	   *seek;

	prism_group_lock_name(ref);
	/* whom we waited for may have dropped it */
	if (!prism_group_is_current(ref))
		(void) prism_group_open(ref->topic, ref->name, PRISM_GROUP_MOVE);
	seek = find_seek(ref);
	if (seek == NULL)
		seek = new_seek(ref);
	seek->position = position;
}

bool
prism_group_has_seeks(void)
{
	return seeks != NULL;
}

void
prism_group_append_seeks(void)
{
	for (Seek *seek = seeks; seek != NULL; seek = seek->next)
	{
		if (!is_latest(seek))
			continue;
		if (!prism_group_lock_if(seek->group, seek->generation))
			prism_group_dropped(seek->name);
		seek->epoch = seek->group->epoch + 1;
		prism_group_unlock(seek->group);
		prism_group_append_start(seek->group_id, seek->epoch, seek->position);
	}
}

void
prism_group_end_seeks(bool committed)
{
	for (Seek *seek = seeks; seek != NULL && committed; seek = seek->next)
	{
		if (!is_latest(seek) || !prism_group_lock_if(seek->group, seek->generation))
			continue;
		prism_window_reset(seek->group->window, seek->position);
		seek->group->epoch = seek->epoch;
		seek->group->damaged_at = -1;
		seek->group->records = 0;
		seek->group->starved = false;
		prism_group_unlock(seek->group);
		prism_counter_wake(seek->counter);
	}
	seeks = NULL;
}

void
prism_group_subend_seeks(int nest_level, bool committed)
{
	if (committed)
	{
		for (Seek *seek = seeks; seek != NULL; seek = seek->next)
			seek->nest_level = Min(seek->nest_level, nest_level - 1);
		return;
	}
	/* the newest stand first, and none that is kept is newer than one that goes */
	while (seeks != NULL && seeks->nest_level >= nest_level)
		seeks = seeks->next;
}
