/*-------------------------------------------------------------------------
 *
 * segment_repair.c
 *	  Segments that the catalogue knows and the database does not have.
 *
 * That happens when somebody drops a table of prism_log, or restores a part of
 * a dump.  The messages are gone; what can be repaired is the topic: an empty
 * segment takes the place of the lost one.
 *
 * src/store/log/segment_repair.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/generation.h"
#include "base/query.h"
#include "store/log/segment.h"
#include "store/log/segment_repair.h"

#include "catalog/pg_type.h"
#include "nodes/pg_list.h"

List *
prism_segments_missing(int32 topic_id)
{
	MemoryContext caller_cxt = CurrentMemoryContext;
	PrismTopic	topic = {.topic_id = topic_id,.segment_number = -1};
	List	   *missing = NIL;

	for (int64 number = prism_segment_next(topic_id, 0); number >= 0;
		 number = prism_segment_next(topic_id, number + 1))
	{
		if (!OidIsValid(prism_segment_table(&topic, number)))
		{
			int64	   *copy = MemoryContextAlloc(caller_cxt, sizeof(*copy));

			*copy = number;
			missing = lappend(missing, copy);
		}
	}
	return missing;
}

bool
prism_segments_restoring(int32 topic_id)
{
	int64		number = prism_segment_next(topic_id, 0);

	if (number < 0)
		return true;
	for (; number >= 0; number = prism_segment_next(topic_id, number + 1))
	{
		PrismTopic	probe = {.topic_id = topic_id,.segment_number = -1};

		/* a dump makes the table before the catalogue's rows, and its index last of all */
		if (!OidIsValid(prism_segment_relid(&probe, number, NULL)) && OidIsValid(probe.segment_relid))
			return true;
	}
	return false;
}

void
prism_segments_repair(int32 topic_id)
{
	PrismTopic	topic = {.topic_id = topic_id,.segment_number = -1};
	ListCell   *cell;

	foreach(cell, prism_segments_missing(topic_id))
	{
		int64		number = *(int64 *) lfirst(cell);
		Oid			types[] = {INT4OID, INT8OID};
		Datum		values[] = {Int32GetDatum(topic_id), Int64GetDatum(number)};

		prism_query("DELETE FROM prism.segment WHERE topic_id = $1 AND segment_number = $2",
					lengthof(types), types, values, NULL);
		if (!prism_segment_create(&topic, number))
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("segment " INT64_FORMAT " of topic %d has come back", number, topic_id),
					errhint("Another session is making it, or restoring it: look at prism.plan() again."));
	}
	prism_catalog_changed();
}
