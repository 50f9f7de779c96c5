/*-------------------------------------------------------------------------
 *
 * group_dead.c
 *	  Messages that a group gives up for good become dead letters.
 *
 * Rejected ones, and those given up in their last attempt, in the transaction
 * that does so.  Those whose last lease ended, or was rolled back, in that of
 * whoever consumes next: nobody else is there to do it.  What is a dead letter
 * already stays where it is, and is finished for the group.
 *
 * src/store/group/group_dead.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/group/group_shared.h"
#include "store/log/dead_letter.h"
#include "store/log/log.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* So many at a time: there are few, or something is very wrong. */
#define BURY_MAX 100

#define WARN_INTERVAL_US (INT64CONST(60) * 1000 * 1000)

/* False: nobody can read it; whoever takes it next is told, and those before it come first. */
static bool
is_readable(PrismTopic *topic, int64 offset)
{
	PrismReader *reader = prism_reader_open(topic, offset);
	PrismMessage message;
	bool		readable = !prism_reader_look(reader, &message) || message.offset != offset ||
		prism_reader_damage(reader) == NULL;

	prism_reader_close(reader);
	return readable;
}

static bool
read_message(PrismTopic *topic, int64 offset, PrismReader **reader, PrismMessage *message)
{
	*reader = prism_reader_open(topic, offset);
	return prism_reader_next(*reader, message) && message->offset == offset;
}

static void
write_dead_letter(PrismGroupRef *ref, const PrismDead *dead, const char *reason)
{
	/* told by the wall clock once: read twice, the last could come before the first */
	int64		difference = prism_clock_difference();
	PrismDeadLetter letter = {
		.group = ref->name,
		.reason = reason != NULL ? reason : psprintf("given up in attempt %d", dead->attempts),
		.attempts = dead->attempts,
		.first_failure = prism_instant_time_by(dead->first_failure != 0 ? dead->first_failure : dead->last_failure, difference),
		.last_failure = prism_instant_time_by(dead->last_failure, difference)
	};
	/* of its own: a call makes as many as the window holds, of any size */
	MemoryContext letter_cxt = AllocSetContextCreate(CurrentMemoryContext, "prism dead letter", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(letter_cxt);
	PrismReader *reader;
	PrismMessage message;

	if (read_message(ref->topic, dead->offset, &reader, &message))
		prism_dead_letter_append(ref->topic, &message, &letter);
	else
		ereport(WARNING,
				errcode(ERRCODE_NO_DATA),
				errmsg("message " INT64_FORMAT " of topic \"%s\" was dropped before it became a dead letter",
					   dead->offset, ref->topic->name));
	prism_reader_close(reader);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(letter_cxt);
}

void
prism_group_write_dead_letters(PrismGroupRef *ref, const PrismDead *dead, int count, const char *reason)
{
	if (prism_dead_letter_stays(ref->topic))
		return;
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		write_dead_letter(ref, &dead[i], reason);
	}
}

/* False: it was acknowledged, or it comes back. */
static bool
bury_dead(PrismGroupRef *ref, int64 lease_id, PrismDead *dead)
{
	bool		stays = prism_dead_letter_stays(ref->topic);

	CHECK_FOR_INTERRUPTS();
	if (!stays && !is_readable(ref->topic, dead->offset))
	{
		prism_group_untake(ref, &dead->offset, 1, lease_id);
		return false;
	}
	if (prism_group_finish_dead(ref, lease_id, dead, 1) == 0)
		return false;
	if (!stays)
		write_dead_letter(ref, dead, psprintf("not acknowledged, and attempt %d was the last", dead->attempts));
	return true;
}

bool
prism_group_can_bury(const PrismGroupRef *ref)
{
	return prism_dead_letter_stays(ref->topic) || prism_dead_letter_has_place(ref->topic);
}

/* They stay as they are, and keep nobody from the others.  Told once a minute: consumers come often. */
static void
warn_of_place(const PrismGroupRef *ref)
{
	static PrismInstant warned_at = 0;
	PrismInstant now = prism_instant();

	if (warned_at != 0 && now - warned_at < WARN_INTERVAL_US)
		return;
	warned_at = now;
	ereport(WARNING,
			errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			errmsg("messages that consumer group \"%s\" of topic \"%s\" has given up cannot become dead letters",
				   ref->name, ref->topic->name),
			errdetail("All of prism.max_topics are in use, and the topic of its dead letters has no place among them: they stay unfinished."),
			errhint("Raise prism.max_topics and restart the server."));
}

int
prism_group_bury_exhausted(PrismGroupRef *ref)
{
	PrismHolder holder = prism_group_holder(ref);
	PrismDead	dead[BURY_MAX];
	int			count;
	int			buried = 0;

	if (!prism_group_can_bury(ref))
	{
		warn_of_place(ref);
		return 0;
	}
	prism_group_lock(ref, LW_EXCLUSIVE);
	count = prism_window_take_exhausted(ref->group->window, BURY_MAX, holder,
										prism_instant() + ref->group->options.lease_us, dead);
	if (count > 0)
		prism_group_note_taken(ref, &holder, dead[0].offset, dead[count - 1].offset, 0);
	prism_group_unlock(ref->group);

	for (int i = 0; i < count; i++)
		buried += bury_dead(ref, holder.lease_id, &dead[i]);
	return buried;
}
