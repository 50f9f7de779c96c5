/*-------------------------------------------------------------------------
 *
 * topic_ddl.c
 *	  Making, altering and dropping topics.
 *
 * src/store/log/topic_ddl.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/generation.h"
#include "base/guc.h"
#include "base/ownership.h"
#include "base/query.h"
#include "store/log/counter.h"
#include "store/log/holders.h"
#include "store/log/log.h"
#include "store/log/segment.h"
#include "store/log/topic.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* The sequence starts at the current timeline: offset 0, and nothing to skip. */
static Oid
create_mark(int32 topic_id)
{
	char		name[NAMEDATALEN];
	Oid			relid;

	snprintf(name, sizeof(name), "topic_%d_mark", topic_id);
	prism_query(psprintf("CREATE SEQUENCE prism_log.%s MINVALUE 0 START WITH %u", name,
						 GetWALInsertionTimeLine() & (PRISM_MARK_STEP - 1)),
				0, NULL, NULL, NULL);
	CommandCounterIncrement();
	relid = get_relname_relid(name, get_namespace_oid("prism_log", false));
	prism_own_relation(relid);
	return relid;
}

void
prism_topic_create(int32 topic_id, const char *name, int32 namespace_id, int64 message_bytes_max, const char *policy,
				   const char *chain, int32 dead_letter_of)
{
	PrismTopic	topic = {.topic_id = topic_id,.segment_messages = prism_segment_messages};
	Oid			types[] = {INT4OID, INT4OID, TEXTOID, INT8OID, INT8OID, TEXTOID, INT4OID, TEXTOID};
	Datum		values[] = {
		Int32GetDatum(topic_id), Int32GetDatum(namespace_id), CStringGetTextDatum(name),
		Int64GetDatum(topic.segment_messages), Int64GetDatum(message_bytes_max), CStringGetTextDatum(policy),
		Int32GetDatum(dead_letter_of), CStringGetTextDatum(chain)
	};
	char		nulls[] = {' ', namespace_id > 0 ? ' ' : 'n', ' ', ' ', ' ', ' ', dead_letter_of > 0 ? ' ' : 'n', ' ', '\0'};

	prism_query("INSERT INTO prism.topic (topic_id, namespace_id, name, segment_messages, message_bytes_max, created_at, policy, dead_letter_of, chain)"
				" VALUES ($1, $2, $3, $4, $5, pg_catalog.clock_timestamp(), $6::pg_catalog.jsonb, $7, $8::pg_catalog.jsonb)",
				lengthof(types), types, values, nulls);
	topic.mark_relid = create_mark(topic_id);
	/* the one ahead is made when the topic is first used (append.c): many never are, and a segment is most of what a topic costs */
	prism_segment_create(&topic, 0);

	prism_counter_created(topic.mark_relid);
	prism_catalog_changed();
}

void
prism_topic_alter(int32 topic_id, const char *name, int64 message_bytes_max, const char *policy, const char *chain)
{
	Oid			types[] = {INT4OID, TEXTOID, INT8OID, TEXTOID, TEXTOID};
	Datum		values[] = {
		Int32GetDatum(topic_id), CStringGetTextDatum(name), Int64GetDatum(message_bytes_max),
		CStringGetTextDatum(policy), CStringGetTextDatum(chain)
	};

	if (prism_query("UPDATE prism.topic SET name = $2, message_bytes_max = $3, policy = $4::pg_catalog.jsonb, chain = $5::pg_catalog.jsonb WHERE topic_id = $1",
					lengthof(types), types, values, NULL).count != 1)
		elog(ERROR, "topic %d has no row", topic_id);
	prism_catalog_changed();
}

bool
prism_topic_try_row(int32 topic_id)
{
	return prism_query_one("SELECT FROM prism.topic WHERE topic_id = $1 FOR NO KEY UPDATE SKIP LOCKED", topic_id).count > 0;
}

void
prism_topic_note_dropped(int32 topic_id, int64 end, TimestampTz until)
{
	Oid			types[] = {INT4OID, INT8OID, TIMESTAMPTZOID};
	Datum		values[] = {Int32GetDatum(topic_id), Int64GetDatum(end), TimestampTzGetDatum(until)};

	prism_query("UPDATE prism.topic SET dropped_end = $2, dropped_until = $3 WHERE topic_id = $1",
				lengthof(types), types, values, NULL);
	prism_catalog_changed();
}

/* Rows of prism's catalogue that belong to the topic, those of its segments apart. */
static void
delete_rows(int32 topic_id)
{
	static const char *const tables[] = {"jump", "topic"};

	prism_holders_drop(topic_id);
	for (int i = 0; i < (int) lengthof(tables); i++)
		prism_query_one(psprintf("DELETE FROM prism.%s WHERE topic_id = $1", tables[i]), topic_id);
}

void
prism_topic_shut(int32 topic_id)
{
	LockRelationOid(prism_topic_lookup_placeless(topic_id, false)->mark_relid, AccessExclusiveLock);
}

void
prism_topic_open_again(int32 topic_id)
{
	UnlockRelationOid(prism_topic_lookup_placeless(topic_id, false)->mark_relid, AccessExclusiveLock);
}

void
prism_topic_drop(int32 topic_id)
{
	Oid			mark_relid = prism_topic_lookup_placeless(topic_id, false)->mark_relid;

	prism_topic_shut(topic_id);
	prism_pending_discard(topic_id);

	prism_segments_drop_all(topic_id);
	prism_query(psprintf("DROP SEQUENCE prism_log.topic_%d_mark", topic_id), 0, NULL, NULL, NULL);
	delete_rows(topic_id);

	prism_counter_dropped(mark_relid);
	prism_catalog_changed();
}
