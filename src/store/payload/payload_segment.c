/*-------------------------------------------------------------------------
 *
 * payload_segment.c
 *	  Payload segments: their tables, and their rows in the catalogue.
 *
 * src/store/payload/payload_segment.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/ownership.h"
#include "base/query.h"
#include "store/log/segment.h"
#include "store/payload/payload_segment.h"

#include "access/heaptoast.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

TupleDesc
prism_payload_segment_descriptor(void)
{
	static TupleDesc descriptor = NULL;

	if (descriptor == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
		TupleDesc	made = CreateTemplateTupleDesc(PRISM_PIECE_COLUMNS);

		TupleDescInitEntry(made, PRISM_PIECE_PAYLOAD_ID, "payload_id", UUIDOID, -1, 0);
		TupleDescInitEntry(made, PRISM_PIECE_AT, "at", INT8OID, -1, 0);
		TupleDescInitEntry(made, PRISM_PIECE_BYTES, "bytes", BYTEAOID, -1, 0);
		descriptor = made;
		MemoryContextSwitchTo(caller);
	}
	return descriptor;
}

bool
prism_is_payload_segment(Relation heap)
{
	return prism_has_columns(heap, prism_payload_segment_descriptor());
}

void
prism_payload_segment_refuse(Relation heap)
{
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("table \"prism_log.%s\" has not the columns of a payload segment", RelationGetRelationName(heap)),
			errhint("Somebody has altered it: give its columns the types that those of other payload segments have."));
}

char *
prism_payload_segment_name(char *name, int32 topic_id, int64 number)
{
	snprintf(name, NAMEDATALEN, "topic_%d_payload_" INT64_FORMAT, topic_id, number);
	return name;
}

Oid
prism_payload_segment_relid(int32 topic_id, int64 number)
{
	char		name[NAMEDATALEN];

	return get_relname_relid(prism_payload_segment_name(name, topic_id, number),
							 get_namespace_oid("prism_log", false));
}

/* ---------- the catalogue ---------- */

static PrismPayloadSegment
find_segment(const char *query, int32 topic_id, int64 number)
{
	Oid			types[] = {INT4OID, INT8OID};
	Datum		values[] = {Int32GetDatum(topic_id), Int64GetDatum(number)};
	PrismQueryRows found = prism_query_latest(query, lengthof(types), types, values, 1);
	PrismPayloadSegment segment = {0};

	if (found.count > 0)
	{
		segment.number = prism_column_int64(&found.row[0], 1);
		segment.store_id = prism_column_int32(&found.row[0], 2);
		segment.created_at = prism_column_time(&found.row[0], 3);
		segment.sealed_end = prism_column_int64(&found.row[0], 4);
	}
	prism_query_free(&found);
	return segment;
}

PrismPayloadSegment
prism_payload_segment_from(int32 topic_id, int64 number)
{
	return find_segment("SELECT segment_number, store_id, created_at, COALESCE(sealed_end, -1) FROM prism.payload_segment"
						" WHERE topic_id = $1 AND segment_number >= $2 AND segment_number > 0 AND NOT dropped ORDER BY segment_number",
						topic_id, number);
}

PrismPayloadSegment
prism_payload_segment_to(int32 topic_id, int64 number)
{
	return find_segment("SELECT segment_number, store_id, created_at, COALESCE(sealed_end, -1) FROM prism.payload_segment"
						" WHERE topic_id = $1 AND segment_number <= $2 AND segment_number > 0 AND NOT dropped ORDER BY segment_number DESC",
						topic_id, number);
}

/* ---------- making and dropping ---------- */

/*
 * Rows are only ever inserted and go with the table: no vacuum after inserts, no
 * truncation.  A row fills a page and stays in it, uncompressed; out of line are
 * rows that come from a server with larger pages.
 */
static void
create_table(const char *name)
{
	prism_query(psprintf("CREATE TABLE prism_log.%s (payload_id pg_catalog.uuid NOT NULL, at bigint NOT NULL, bytes pg_catalog.bytea NOT NULL)"
						 " USING heap WITH (toast_tuple_target = %d,"
						 " autovacuum_vacuum_insert_threshold = -1, vacuum_truncate = off,"
						 " toast.autovacuum_vacuum_insert_threshold = -1, toast.vacuum_truncate = off)",
						 name, (int) TOAST_TUPLE_TARGET_MAIN),
				0, NULL, NULL, NULL);
	prism_query(psprintf("ALTER TABLE prism_log.%s ALTER bytes SET STORAGE EXTERNAL", name), 0, NULL, NULL, NULL);
	prism_query(psprintf("CREATE UNIQUE INDEX %s_at ON prism_log.%s (payload_id, at) WITH (deduplicate_items = off)",
						 name, name),
				0, NULL, NULL, NULL);
	CommandCounterIncrement();
	prism_own_relation(get_relname_relid(name, get_namespace_oid("prism_log", false)));
}

int64
prism_payload_segment_create(int32 topic_id, int32 store_id)
{
	char		name[NAMEDATALEN];
	int64		number = prism_payload_segment_to(topic_id, PG_INT64_MAX).number + 1;
	Oid			types[] = {INT4OID, INT8OID, INT4OID};
	Datum		values[] = {Int32GetDatum(topic_id), Int64GetDatum(number), Int32GetDatum(store_id)};

	/* the row first: two that make the same one meet at its key, and not at the table's name */
	prism_query("INSERT INTO prism.payload_segment (topic_id, segment_number, store_id, created_at)"
				" VALUES ($1, $2, $3, pg_catalog.clock_timestamp())", lengthof(types), types, values, NULL);
	create_table(prism_payload_segment_name(name, topic_id, number));
	return number;
}

void
prism_payload_segment_drop(int32 topic_id, int64 number)
{
	char		name[NAMEDATALEN];
	Oid			types[] = {INT4OID, INT8OID};
	Datum		values[] = {Int32GetDatum(topic_id), Int64GetDatum(number)};

	/* somebody may have dropped it */
	if (OidIsValid(prism_payload_segment_relid(topic_id, number)))
		prism_query(psprintf("DROP TABLE prism_log.%s", prism_payload_segment_name(name, topic_id, number)), 0, NULL, NULL, NULL);
	prism_query("DELETE FROM prism.payload_segment WHERE topic_id = $1 AND segment_number = $2",
				lengthof(types), types, values, NULL);
	CommandCounterIncrement();
}
