/*-------------------------------------------------------------------------
 *
 * payload_count.c
 *	  How many payloads were stored, handed over and removed since the server started.
 *
 * Those stored are counted where their commit is settled (store/log/counter.c).
 *
 * src/store/payload/payload_count.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/query.h"
#include "store/payload/payload_count.h"
#include "store/payload/payload_segment.h"

#include "storage/spin.h"
#include "utils/builtins.h"

void
prism_payload_count_retrieved(PrismCounter *counter)
{
	if (counter == NULL)
		return;
	SpinLockAcquire(&counter->mutex);
	counter->payload.retrieved_total++;
	SpinLockRelease(&counter->mutex);
}

/*
 * From one payload to the next by the index: a payload has a row for each page
 * that it fills, and its first one is enough.  What was rolled back is not seen.
 */
static int64
payloads_in(const char *table)
{
	PrismQueryRows rows = prism_query(psprintf("WITH RECURSIVE payload AS ("
											   " (SELECT payload_id FROM prism_log.%s ORDER BY payload_id LIMIT 1)"
											   " UNION ALL SELECT (SELECT t.payload_id FROM prism_log.%s t WHERE t.payload_id > payload.payload_id ORDER BY t.payload_id LIMIT 1)"
											   " FROM payload WHERE payload.payload_id IS NOT NULL)"
											   " SELECT count(payload_id) FROM payload", table, table),
									  0, NULL, NULL, NULL);

	return prism_column_int64(&rows.row[0], 1);
}

void
prism_payload_count_removed(PrismTopic *topic, int64 number)
{
	char		name[NAMEDATALEN];
	int64		removed;

	if (topic->counter == NULL || !OidIsValid(prism_payload_segment_relid(topic->topic_id, number)))
		return;
	removed = payloads_in(quote_identifier(prism_payload_segment_name(name, topic->topic_id, number)));
	SpinLockAcquire(&topic->counter->mutex);
	topic->counter->payload.removed_total += removed;
	SpinLockRelease(&topic->counter->mutex);
}

void
prism_payload_counts(PrismCounter *counter, int64 *stored, int64 *retrieved, int64 *removed)
{
	SpinLockAcquire(&counter->mutex);
	*stored = counter->payload.stored_total;
	*retrieved = counter->payload.retrieved_total;
	*removed = counter->payload.removed_total;
	SpinLockRelease(&counter->mutex);
}
