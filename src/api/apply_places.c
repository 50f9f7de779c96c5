/*-------------------------------------------------------------------------
 *
 * apply_places.c
 *	  Are there places among prism.max_topics for what is applied?
 *
 * A topic takes its place when it is first used: apply() makes more topics than
 * there are places, and warns.  But what it uses itself, for the consumer groups
 * that it makes, must have one; plan() says so beforehand.
 *
 * src/api/apply_places.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/apply_places.h"
#include "base/query.h"
#include "store/delay/delay.h"
#include "store/log/counter.h"
#include "store/log/progress.h"
#include "store/log/topic.h"

/*
 * Those that prism itself has come with the first apply(), which uses one of
 * them; a topic of dead letters with the first that a consumer group gives up.
 */
PrismPlaces
prism_places_count(void)
{
	PrismQueryRows topics = prism_query("SELECT count(*) + (SELECT count(*) FROM pg_catalog.unnest(ARRAY['" PRISM_PROGRESS_TOPIC "', '" PRISM_DELAY_TOPIC "']) AS own(name)"
										"   WHERE NOT EXISTS (SELECT FROM prism.topic t WHERE t.name = own.name))"
										"   + (SELECT count(*) FROM prism.topic t WHERE t.dead_letter_of IS NULL"
										"     AND EXISTS (SELECT FROM prism.consumer_group g WHERE g.topic_id = t.topic_id)"
										"     AND NOT EXISTS (SELECT FROM prism.topic d WHERE d.dead_letter_of = t.topic_id)),"
										"   (NOT EXISTS (SELECT FROM prism.topic t WHERE t.name = '" PRISM_DELAY_TOPIC "'))::integer"
										" FROM prism.topic", 0, NULL, NULL, NULL);

	return (PrismPlaces)
	{
		.left = prism_counter_slots_left() - (int) Min(prism_column_int64(&topics.row[0], 1), PG_INT32_MAX / 2),
		.taken = prism_column_int32(&topics.row[0], 2)
	};
}

/* Its own topic, and the one for what its consumer groups give up. */
int
prism_places_new(const PrismNamespaceWork *work)
{
	if (work->wanted->consumers == NIL)
		return work->topic_id == 0;
	return (work->topic_id == 0) +
		(prism_query_one("SELECT FROM prism.consumer_group WHERE topic_id = $1 UNION ALL SELECT FROM prism.topic WHERE dead_letter_of = $1",
						 work->topic_id).count == 0);
}

/* Would apply() find no place where it needs one itself? */
static bool
lacks_place(const PrismNamespaceWork *work, bool uses, PrismPlaces *places)
{
	int			unused = prism_max_topics - prism_counter_slots_used() - places->taken;
	PrismTopic *topic;
	bool		busy;

	if (unused < 0)
		return true;
	if (!uses)
		return false;
	if (work->topic_id != 0)
	{
		topic = prism_topic_look_id(work->topic_id, &busy);
		return topic != NULL && topic->counter == NULL;
	}
	places->taken += unused > 0;
	return unused == 0;
}

const PrismRefusal *
prism_places_refusal(void)
{
	MemoryContext caller = CurrentMemoryContext;
	PrismRefusal *refusal = palloc0_object(PrismRefusal);

	/* nothing runs there but the ereport() */
	PG_TRY();
	{
		prism_counter_no_place();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		refusal->sqlerrcode = error->sqlerrcode;
		refusal->message = error->message;
		refusal->detail = error->detail;
		refusal->hint = error->hint;
	}
	PG_END_TRY();
	return refusal;
}

List *
prism_places_steps(const PrismNamespaceWork *work, bool uses, int added, PrismPlaces *places)
{
	if (lacks_place(work, uses, places))
		return list_make1(prism_step_refuse("topic", prism_places_refusal(), NULL));
	if (work->topic_id == 0 && places->left + added - 1 < 0)
		return list_make1(prism_step_warning("topic", "prism.max_topics is too small for its topic: raise it and restart the server before anybody uses the topic"));
	if (added > 0 && places->left < 0)
		return list_make1(prism_step_warning("consumers", "prism.max_topics is too small for the dead letters of its consumer groups: raise it and restart the server before one gives up a message"));
	return NIL;
}

/* No error: by the time that a topic is used, the server may have been restarted with more. */
void
prism_places_warn(int missing)
{
	if (missing > 0)
		ereport(WARNING,
				errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("prism.max_topics is too small for the topics of this database"),
				errdetail("The server keeps %d topics in shared memory, over all databases; %d more are needed to use all of them, and for the dead letters of consumer groups.",
						  prism_max_topics, missing),
				errhint("Raise prism.max_topics to at least %d and restart the server: until then, what uses the last of them fails.",
						prism_max_topics + missing));
}
