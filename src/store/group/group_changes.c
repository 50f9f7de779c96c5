/*-------------------------------------------------------------------------
 *
 * group_changes.c
 *	  Groups that a transaction makes, alters or drops: what its end means for
 *	  their slots in shared memory.
 *
 * src/store/group/group_changes.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/query.h"
#include "store/group/group_shared.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"

typedef enum ChangeKind
{
	GROUP_CREATED,
	GROUP_ALTERED,
	GROUP_DROPPED
} ChangeKind;

typedef struct Change
{
	ChangeKind	kind;
	int32		group_id;		/* 0: all groups of the topic */
	int32		topic_id;
	int			nest_level;
	PrismGroupOptions before;	/* of an altered group: a slot may have been taken in between */
	PrismGroupOptions after;
} Change;

static List *changes = NIL;

static Change *
note_change(ChangeKind kind, int32 group_id, int32 topic_id)
{
	MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);
	Change	   *change = palloc0(sizeof(Change));

	change->kind = kind;
	change->group_id = group_id;
	change->topic_id = topic_id;
	change->nest_level = GetCurrentTransactionNestLevel();
	changes = lappend(changes, change);
	MemoryContextSwitchTo(caller);
	return change;
}

void
prism_group_note_created(int32 group_id)
{
	(void) note_change(GROUP_CREATED, group_id, 0);
}

void
prism_group_note_altered(int32 group_id, const PrismGroupOptions *before, const PrismGroupOptions *after)
{
	Change	   *change = note_change(GROUP_ALTERED, group_id, 0);

	change->before = *before;
	change->after = *after;
}

void
prism_group_note_dropped(int32 group_id)
{
	(void) note_change(GROUP_DROPPED, group_id, 0);
}

void
prism_group_drop_all(int32 topic_id)
{
	prism_query_one("DELETE FROM prism.consumer_group WHERE topic_id = $1", topic_id);
	(void) note_change(GROUP_DROPPED, 0, topic_id);
}

bool
prism_group_has_changes(void)
{
	return changes != NIL;
}

static void
end_change(const Change *change, bool committed)
{
	switch (change->kind)
	{
		case GROUP_CREATED:
			if (!committed)
				prism_group_free_slots(MyDatabaseId, 0, change->group_id);
			break;
		case GROUP_ALTERED:
			prism_group_configure(change->group_id, committed ? &change->after : &change->before);
			break;
		case GROUP_DROPPED:
			if (committed)
				prism_group_free_slots(MyDatabaseId, change->topic_id, change->group_id);
			break;
	}
}

void
prism_group_end_changes(bool committed)
{
	ListCell   *cell;

	if (committed)
	{
		foreach(cell, changes)
			end_change(lfirst(cell), true);
	}
	else
	{
		/* what was there before the first of several changes comes last */
		for (int i = list_length(changes) - 1; i >= 0; i--)
			end_change(list_nth(changes, i), false);
	}
	changes = NIL;
}

void
prism_group_subend_changes(int nest_level, bool committed)
{
	/* backwards, for the same reason; deleting frees no memory, so cannot throw */
	for (int i = list_length(changes) - 1; i >= 0; i--)
	{
		Change	   *change = list_nth(changes, i);

		if (change->nest_level < nest_level)
			continue;
		if (committed)
		{
			change->nest_level = nest_level - 1;
			continue;
		}
		end_change(change, false);
		changes = list_delete_nth_cell(changes, i);
	}
}
