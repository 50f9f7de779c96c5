/*-------------------------------------------------------------------------
 *
 * progress_view.c
 *	  prism.progress: sessions that work on a large payload.
 *
 * src/observe/progress_view.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/payload/payload_progress.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define PROGRESS_COLUMNS 7

PG_FUNCTION_INFO_V1(prism_progress);

static const char *const words[] = {
	[PRISM_PAYLOAD_PUBLISH] = "publish",
	[PRISM_PAYLOAD_READ] = "read",
	[PRISM_PAYLOAD_COPY] = "copy",
	[PRISM_PAYLOAD_VERIFY] = "verify"
};

static void
put_progress(ReturnSetInfo *result, const PrismPayloadProgress *progress)
{
	Datum		values[PROGRESS_COLUMNS] = {
		Int32GetDatum(progress->pid), Int32GetDatum(progress->topic_id), Int64GetDatum(progress->position),
		CStringGetTextDatum(words[progress->kind]), Int64GetDatum(progress->bytes_done), Int64GetDatum(progress->bytes_total),
		TimestampTzGetDatum(progress->since)
	};
	bool		nulls[PROGRESS_COLUMNS] = {false, false, progress->position < 0};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* Whoever sees that the topic exists sees who works on it; a topic that cannot be looked at now is passed over. */
static bool
is_visible(int32 topic_id)
{
	bool		busy;
	PrismTopic *topic = prism_topic_look_id(topic_id, &busy);
	bool		visible = topic != NULL && prism_topic_is_visible(topic);

	if (topic != NULL)
		prism_topic_release(topic);
	return visible;
}

Datum
prism_progress(PG_FUNCTION_ARGS)
{
	PrismPayloadProgress progress;

	InitMaterializedSRF(fcinfo, 0);
	for (int place = 0; place < prism_payload_progress_places(); place++)
	{
		if (prism_payload_progress_look(place, &progress) && progress.database == MyDatabaseId && is_visible(progress.topic_id))
			put_progress((ReturnSetInfo *) fcinfo->resultinfo, &progress);
	}
	return (Datum) 0;
}
