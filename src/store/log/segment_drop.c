/*-------------------------------------------------------------------------
 *
 * segment_drop.c
 *	  Segments go: one by one past retention, all of a topic with it.
 *
 * To drop a table PostgreSQL locks it, its index and what it has out of line,
 * and the server has room for about max_locks_per_transaction locks a
 * connection.  A log of thousands of segments would not fit: a drop of its
 * topic takes the first of them along and marks the others, which belong to
 * nobody then, for the maintainer.  A mark, as a restore brings the rows of
 * segments before those of their topics.
 *
 * src/store/log/segment_drop.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/ownership.h"
#include "base/query.h"
#include "base/wait_event.h"
#include "store/log/segment.h"
#include "store/log/segment_ahead.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"

/* How long DROP EXTENSION waits for those that are left, and how often it looks. */
#define AWAIT_MS 60000
#define LOOK_MS 50

void
prism_segment_drop(int32 topic_id, int64 segment_number)
{
	char		name[NAMEDATALEN];
	Oid			types[] = {INT4OID, INT8OID};
	Datum		values[] = {Int32GetDatum(topic_id), Int64GetDatum(segment_number)};

	(void) prism_segment_name(name, topic_id, segment_number);
	/* somebody may have dropped it: nothing else goes for want of it */
	if (OidIsValid(get_relname_relid(name, get_namespace_oid("prism_log", false))))
		prism_query(psprintf("DROP TABLE prism_log.%s", name), 0, NULL, NULL, NULL);
	prism_query("DELETE FROM prism.segment WHERE topic_id = $1 AND segment_number = $2",
				lengthof(types), types, values, NULL);
	CommandCounterIncrement();
}

void
prism_segments_drop_all(int32 topic_id)
{
	int64		number = -1;

	for (int i = 0; i < PRISM_SEGMENTS_A_TRANSACTION && (number = prism_segment_next(topic_id, number + 1)) >= 0; i++)
		prism_segment_drop(topic_id, number);
	prism_query_one("UPDATE prism.segment SET dropped = true WHERE topic_id = $1", topic_id);
}

bool
prism_segment_next_left(int32 *topic_id, int64 *segment_number)
{
	Oid			types[] = {INT4OID, INT8OID};
	Datum		values[] = {Int32GetDatum(*topic_id), Int64GetDatum(*segment_number)};
	PrismQueryRows next = prism_query("SELECT topic_id, segment_number FROM prism.segment"
									  " WHERE dropped AND (topic_id, segment_number) > ($1, $2) ORDER BY 1, 2 LIMIT 1",
									  lengthof(types), types, values, NULL);

	if (next.count == 0)
		return false;
	*topic_id = prism_column_int32(&next.row[0], 1);
	*segment_number = prism_column_int64(&next.row[0], 2);
	return true;
}

void
prism_segment_drop_left(int32 topic_id, int64 segment_number)
{
	char		name[NAMEDATALEN];
	Oid			relid = get_relname_relid(prism_segment_name(name, topic_id, segment_number),
										  get_namespace_oid("prism_log", false));

	if (!OidIsValid(relid) || (ConditionalLockRelationOid(relid, AccessExclusiveLock) && prism_is_guarded(relid)))
		prism_segment_drop(topic_id, segment_number);
}

static bool
some_are_left(void)
{
	return prism_query("SELECT FROM prism.segment WHERE dropped LIMIT 1", 0, NULL, NULL, NULL).count > 0;
}

void
prism_segments_await_dropped(void)
{
	PrismInstant begin = prism_instant();

	/* the maintainer does not see what this transaction has dropped */
	while (!IsTransactionBlock() && some_are_left() && !prism_has_passed(begin, prism_instant(), AWAIT_MS))
	{
		if (prism_segment_wake != NULL)
			prism_segment_wake();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOOK_MS,
						 prism_wait_event(PRISM_WAIT_SEGMENT));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}
