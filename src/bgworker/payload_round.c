/*-------------------------------------------------------------------------
 *
 * payload_round.c
 *	  The maintainer's way through the tables of payloads.
 *
 * src/bgworker/payload_round.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/query.h"
#include "bgworker/payload_round.h"
#include "bgworker/worker.h"
#include "store/log/topic.h"
#include "store/payload/open_payload.h"
#include "store/payload/payload_ahead.h"
#include "store/payload/payload_end.h"
#include "store/payload/store_catalog.h"

#include "catalog/pg_type.h"

bool
prism_payloads_make(int32 topic_id)
{
	PrismPayloadMade made;
	PrismTopic *topic;
	bool		busy;
	bool		is_made;

	prism_worker_begin("making a table of payloads");
	topic = prism_topic_try_id(topic_id, &busy);
	is_made = topic != NULL && prism_payload_make_wanted(topic, &made);
	prism_worker_commit();
	if (is_made)
		prism_payload_made(&made);
	return is_made;
}

/* The table behind the one that was looked at last, if there is one; the first look of a round gives up streams, and places that nothing names. */
static bool
find_next(PrismPayloadRound *round, bool *dropped)
{
	Oid			types[] = {INT4OID, INT8OID};
	Datum		values[] = {Int32GetDatum(round->topic_id), Int64GetDatum(round->number)};
	PrismQueryRows next;

	if (round->topic_id == 0)
	{
		(void) prism_open_payload_expire();
		prism_stores_forget();
	}
	next = prism_query("SELECT topic_id, segment_number, dropped FROM prism.payload_segment"
					   " WHERE (topic_id, segment_number) > ($1, $2) ORDER BY 1, 2 LIMIT 1",
					   lengthof(types), types, values, NULL);
	round->topic_id = next.count > 0 ? prism_column_int32(&next.row[0], 1) : 0;
	round->number = next.count > 0 ? prism_column_int64(&next.row[0], 2) : 0;
	*dropped = next.count > 0 && prism_column_bool(&next.row[0], 3);
	return next.count > 0;
}

bool
prism_payloads_next(PrismPayloadRound *round)
{
	const PrismPayloadRound former = *round;
	PrismTopic *topic;
	bool		found;
	bool		again = false;
	bool		busy;
	bool		dropped;

	prism_worker_begin("sealing and dropping tables of payloads");
	found = find_next(round, &dropped);
	if (found)
		round->met++;
	if (dropped)
		prism_payload_drop_left(round->topic_id, round->number);
	else if (found && (topic = prism_topic_try_id(round->topic_id, &busy)) != NULL)
		again = prism_payload_tend(topic, round->number);
	prism_worker_commit();
	if (again)
	{
		round->topic_id = former.topic_id;
		round->number = former.number;
	}
	return found;
}
