/*-------------------------------------------------------------------------
 *
 * schedule_turn.c
 *	  What a turn of the scheduler knows of its topics: where they are, when
 *	  something of them is due, and what views are to show.
 *
 * src/bgworker/schedule/schedule_turn.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/schedule/scheduler.h"

#include "utils/timestamp.h"

PrismTarget *
prism_turn_target(PrismTurn *turn, int32 topic_id)
{
	MemoryContext caller_cxt;
	PrismTarget *target;
	ListCell   *cell;
	bool		busy;

	foreach(cell, turn->targets)
	{
		target = lfirst(cell);
		if (target->topic_id == topic_id)
			return target;
	}
	caller_cxt = MemoryContextSwitchTo(turn->mcxt);
	target = palloc0(sizeof(PrismTarget));
	target->topic_id = topic_id;
	target->next_due = DT_NOEND;
	target->topic = prism_topic_try_id(topic_id, &busy);
	target->state = target->topic != NULL ? PRISM_TARGET_HERE : busy ? PRISM_TARGET_BUSY : PRISM_TARGET_GONE;
	turn->targets = lappend(turn->targets, target);
	MemoryContextSwitchTo(caller_cxt);
	return target;
}

/* ---------- when something is due ---------- */

PrismInstant
prism_turn_instant(const PrismTurn *turn, TimestampTz time)
{
	if (time <= turn->now)
		return turn->instant;
	return time == DT_NOEND ? PRISM_NEVER : turn->instant + (time - turn->now);
}

static PrismInstant
due_at(const PrismTurn *turn, const PrismDelayLine *line)
{
	return Max(prism_turn_instant(turn, line->next_due), Max(prism_hold_until(line->topic_id), prism_trouble_until(line->topic_id)));
}

PrismInstant
prism_turn_next_due(const PrismTurn *turn)
{
	PrismInstant first = PRISM_NEVER;
	HASH_SEQ_STATUS status;
	PrismDelayLine *line;

	hash_seq_init(&status, turn->state->lines);
	while ((line = hash_seq_search(&status)) != NULL)
		first = Min(first, due_at(turn, line));
	return first;
}

int32
prism_turn_next_alone(const PrismTurn *turn, int32 last_alone)
{
	int32		next = 0;
	HASH_SEQ_STATUS status;
	PrismDelayLine *line;

	hash_seq_init(&status, turn->state->lines);
	while ((line = hash_seq_search(&status)) != NULL)
	{
		if (line->topic_id > last_alone && (next == 0 || line->topic_id < next) &&
			due_at(turn, line) <= turn->instant && !prism_trouble_has(line->topic_id))
			next = line->topic_id;
	}
	return next;
}

/* ---------- for views ---------- */

void
prism_turn_show_all(PrismTurn *turn)
{
	HASH_SEQ_STATUS status;
	PrismDelayLine *line;
	List	   *with_lines = NIL;
	ListCell   *cell;

	hash_seq_init(&status, turn->state->lines);
	while ((line = hash_seq_search(&status)) != NULL)
		with_lines = list_append_unique_int(with_lines, prism_turn_target(turn, line->topic_id)->topic_id);
	foreach(cell, prism_topic_names())
	{
		bool		busy;
		PrismTopic *topic = prism_topic_try(lfirst(cell), &busy);

		if (topic == NULL)
			continue;
		if (!list_member_int(with_lines, topic->topic_id))
			prism_delay_share_waiting(topic, 0, DT_NOEND);
		prism_topic_release(topic);
	}
	prism_delay_share_known(turn->journal);
}

void
prism_turn_show(PrismTurn *turn)
{
	HASH_SEQ_STATUS status;
	PrismDelayLine *line;
	ListCell   *cell;

	if (turn->targets == NIL)
		return;
	hash_seq_init(&status, turn->state->lines);
	while ((line = hash_seq_search(&status)) != NULL)
	{
		foreach(cell, turn->targets)
		{
			PrismTarget *target = lfirst(cell);

			if (target->topic_id != line->topic_id)
				continue;
			target->waiting += line->waiting;
			target->next_due = Min(target->next_due, line->next_due);
			break;
		}
	}
	foreach(cell, turn->targets)
	{
		PrismTarget *target = lfirst(cell);

		if (target->topic != NULL)
			prism_delay_share_waiting(target->topic, target->waiting, target->next_due);
	}
}
