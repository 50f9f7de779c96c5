/*-------------------------------------------------------------------------
 *
 * seek.c
 *	  prism.seek(), and how a place in a log is told.
 *
 * src/api/seek.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/message.h"
#include "base/compat.h"
#include "store/log/log.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(prism_seek);
PG_FUNCTION_INFO_V1(prism_seek_position);
PG_FUNCTION_INFO_V1(prism_seek_time);

/* ---------- places ---------- */

/* Messages at the place or after it were dropped: nobody shall go there and take what is left for all there was. */
pg_noreturn static void
refuse_lost(PrismTopic *topic, const char *place, const char *name)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("%s is before the first message kept of topic \"%s\"", name, topic->name),
			errdetail("It is %s; messages published until %s were dropped. The first message kept is at position " INT64_FORMAT ".",
					  place, timestamptz_to_str(topic->dropped_until), prism_log_earliest(topic)),
			errhint("\"earliest\" is the first message kept."));
}

/* Beyond the end there is nothing yet, and what comes there would be read from its middle on. */
static int64
checked_position(PrismTopic *topic, int64 position, const char *name)
{
	int64		end = prism_log_stable(topic);

	if (position < 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s must not be negative", name),
				errdetail("It is " INT64_FORMAT ".", position));
	if (position > end)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s is after the end of topic \"%s\"", name, topic->name),
				errdetail("It is " INT64_FORMAT "; the end is at position " INT64_FORMAT ".", position, end),
				errhint("\"latest\" is the end."));
	if (prism_log_lost(topic, position))
		refuse_lost(topic, psprintf("position " INT64_FORMAT, position), name);
	return position;
}

/* Called while an error is reported: it is about text that is no time. */
static void
say_what_works(void *name)
{
	errhint("%s is earliest, latest, a position or a time.", (char *) name);
}

static int64
position_of_time(PrismTopic *topic, TimestampTz at, const char *name)
{
	if (topic->dropped_end > 0 && at <= topic->dropped_until)
		refuse_lost(topic, psprintf("time %s", timestamptz_to_str(at)), name);
	return prism_log_at_time(topic, at);
}

static TimestampTz
time_of_text(const char *text, const char *name)
{
	ErrorContextCallback context = {error_context_stack, say_what_works, unconstify(char *, name)};
	TimestampTz at;

	error_context_stack = &context;
	at = DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(text),
												 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	error_context_stack = context.previous;
	return at;
}

int64
prism_position_argument(PrismTopic *topic, const char *text, const char *name)
{
	int64		position;
	char	   *end;

	if (pg_strcasecmp(text, "earliest") == 0)
		return prism_log_earliest(topic);
	if (pg_strcasecmp(text, "latest") == 0)
		return prism_log_stable(topic);
	errno = 0;
	position = strtoi64(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0)
		return position_of_time(topic, time_of_text(text, name), name);
	return checked_position(topic, position, name);
}

/* ---------- prism.seek() ---------- */

/* The group that is to move; its target must be given. */
static PrismGroupRef *
seek_arguments(FunctionCallInfo fcinfo, PrismTopic **topic)
{
	text	   *topic_name = prism_required_text(fcinfo, 0, "topic");
	text	   *group_name = prism_required_text(fcinfo, 1, "consumer_group");
	PrismGroupRef *group;

	prism_require_writable("prism.seek()");
	group = prism_group_argument(topic_name, group_name, PRISM_GROUP_MOVE, PRISM_NEVER, "prism.seek()", topic);
	prism_require_argument(!PG_ARGISNULL(2), "target");
	return group;
}

static Datum
seek(PrismTopic *topic, PrismGroupRef *group, int64 position)
{
	prism_group_seek(group, position);
	if (position < topic->payload_cleaned)
		ereport(NOTICE,
				errmsg("messages below position " INT64_FORMAT " whose payloads lay beside the log are passed over", topic->payload_cleaned),
				errdetail("Their payloads were deleted before them, as the \"cleanup\" of the claim check says."));
	return Int64GetDatum(position);
}

/* Arguments: topic, consumer_group, target text. */
Datum
prism_seek(PG_FUNCTION_ARGS)
{
	PrismTopic *topic;
	PrismGroupRef *group = seek_arguments(fcinfo, &topic);

	return seek(topic, group, prism_position_argument(topic, text_to_cstring(PG_GETARG_TEXT_PP(2)), "target"));
}

/* Arguments: topic, consumer_group, target bigint. */
Datum
prism_seek_position(PG_FUNCTION_ARGS)
{
	PrismTopic *topic;
	PrismGroupRef *group = seek_arguments(fcinfo, &topic);

	return seek(topic, group, checked_position(topic, PG_GETARG_INT64(2), "target"));
}

/* Arguments: topic, consumer_group, target timestamptz. */
Datum
prism_seek_time(PG_FUNCTION_ARGS)
{
	PrismTopic *topic;
	PrismGroupRef *group = seek_arguments(fcinfo, &topic);

	return seek(topic, group, position_of_time(topic, PG_GETARG_TIMESTAMPTZ(2), "target"));
}
