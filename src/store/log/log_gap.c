/*-------------------------------------------------------------------------
 *
 * log_gap.c
 *	  Messages that retention has taken: who is told, and how.
 *
 * prism.topic.dropped_end is the position after the last message that was
 * dropped.  Segments go from the oldest on, so whoever has not finished
 * something below it has lost it, and nobody else has: offsets that never held
 * a message raise no alarm.
 *
 * src/store/log/log_gap.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/log/log.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

/*
 * The topic as it is now.  A drop since it was looked up has made its entry out
 * of date, and whoever found that a segment is gone has heard of that.
 */
static PrismTopic *
topic_now(PrismTopic *topic)
{
	return prism_topic_is_current(topic) ? topic : prism_topic_lookup_id(topic->topic_id, false);
}

bool
prism_log_lost(PrismTopic *topic, int64 position)
{
	return position < topic_now(topic)->dropped_end;
}

static void
refuse_group(PrismTopic *topic, int64 position, const char *group)
{
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("consumer group \"%s\" has fallen behind the retention of topic \"%s\"", group, topic->name),
			errdetail("It has not finished position " INT64_FORMAT "; messages published until %s were dropped. The first message kept is at position " INT64_FORMAT ".",
					  position, timestamptz_to_str(topic->dropped_until), prism_log_earliest(topic)),
			errhint("SELECT prism.seek(%s, %s, 'earliest') lets it go on there, without what is lost.",
					quote_literal_cstr(topic->name), quote_literal_cstr(group)));
}

void
prism_log_refuse_lost(PrismTopic *topic, int64 position, const char *group)
{
	if (!prism_log_lost(topic, position))
		return;
	topic = topic_now(topic);
	if (group != NULL)
		refuse_group(topic, position, group);
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("position " INT64_FORMAT " of topic \"%s\" is not kept any more", position, topic->name),
			errdetail("Messages published until %s were dropped. The first message kept is at position " INT64_FORMAT ".",
					  timestamptz_to_str(topic->dropped_until), prism_log_earliest(topic)),
			errhint("Begin there; what is between is lost."));
}
