/*-------------------------------------------------------------------------
 *
 * sink_catalog.c
 *	  The rows of prism.sink that a forwarder serves.
 *
 * src/store/sink/sink_catalog.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/query.h"
#include "store/sink/sink.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#define BATCH_MESSAGES_DEFAULT 10000
#define BATCH_MESSAGES_MAX 100000

/* Columns of the query below. */
enum
{
	SINK_ID = 1,
	SINK_TOPIC_ID,
	SINK_TOPIC_NAME,
	SINK_NAME,
	SINK_BACKEND,
	SINK_SERVER,
	SINK_BROKERS,
	SINK_TARGET,
	SINK_PAUSED,
	SINK_EXACTLY_ONCE,
	SINK_BATCH,
	SINK_PARTITIONS,
	SINK_REPLICATION,
	SINK_BYTES_MAX,
	SINK_FAILURES,
	SINK_SERVER_OID,
	SINK_ANY_ENDPOINT
};

/*
 * A batch, once made, stays as it is until it is out; so everything is read
 * here, in one place, and never while sending.
 */
static const char sink_query[] =
"SELECT s.sink_id, s.topic_id, t.name, s.name, s.backend, v.server::pg_catalog.text,"
" CASE pg_catalog.jsonb_typeof(s.config -> 'brokers')"
"  WHEN 'array' THEN (SELECT pg_catalog.string_agg(b.broker, ',')"
"                     FROM pg_catalog.jsonb_array_elements_text(s.config -> 'brokers') AS b(broker))"
"  ELSE s.config ->> 'brokers' END,"
" " PRISM_SINK_TARGET("s.config") ","
" s.paused,"
" coalesce(s.config ->> 'delivery_guarantee', '') IN ('exactly_once', 'exactly-once'),"
" s.config ->> 'batch_size', s.config ->> 'partitions', s.config ->> 'replication',"
/* of what leaves, which is less than the topic takes where payloads lie beside the log */
" coalesce(s.config ->> 'max_message_size', least(t.message_bytes_max, 2147483647)::pg_catalog.text),"
" CASE WHEN pg_catalog.jsonb_typeof(s.config -> 'failures') = 'object'"
"  THEN (SELECT pg_catalog.string_agg(o.key || '=' || o.value, ',')"
"        FROM pg_catalog.jsonb_each_text(s.config -> 'failures') AS o) END,"
" coalesce(v.server_oid, 0::oid), s.any_endpoint"
" FROM prism.sink s JOIN prism.topic t ON t.topic_id = s.topic_id LEFT JOIN prism.sink_server v ON v.sink_id = s.sink_id"
" WHERE CASE WHEN $1 <> 0::pg_catalog.oid"
"  THEN v.server_oid = $1"
"  ELSE s.server IS NULL AND EXISTS (SELECT FROM prism.sink o WHERE o.sink_id = $2"
"   AND o.server IS NULL AND o.backend = s.backend"
"   AND o.config -> 'brokers' IS NOT DISTINCT FROM s.config -> 'brokers') END"
" ORDER BY s.sink_id";

/* An option, which is text: one that is wrong damages its sink, and no other. */
static int
row_option(PrismSink *sink, const PrismQueryRow *row, int column, const char *name, int if_null, int max)
{
	char	   *value = prism_column_text(row, column);
	char	   *end;
	long		number;

	if (value == NULL)
		return if_null;
	errno = 0;
	number = strtol(value, &end, 10);
	if (errno == 0 && end != value && *end == '\0' && number >= 0 && number <= max)
		return (int) number;
	sink->damage = psprintf("its \"%s\" is \"%.*s\"", name, pg_mbcliplen(value, strlen(value), 32), value);
	return if_null;
}

static PrismSink *
sink_of_row(const PrismQueryRow *row)
{
	PrismSink  *sink = palloc0_object(PrismSink);

	sink->sink_id = prism_column_int32(row, SINK_ID);
	sink->topic_id = prism_column_int32(row, SINK_TOPIC_ID);
	sink->topic_name = prism_column_text(row, SINK_TOPIC_NAME);
	sink->name = prism_column_text(row, SINK_NAME);
	sink->backend = prism_column_text(row, SINK_BACKEND);
	sink->server = prism_column_text(row, SINK_SERVER);
	sink->brokers = prism_column_text(row, SINK_BROKERS);
	sink->target_name = prism_column_text(row, SINK_TARGET);
	sink->paused = prism_column_bool(row, SINK_PAUSED);
	sink->exactly_once = prism_column_bool(row, SINK_EXACTLY_ONCE);
	sink->batch_messages = Max(1, Min(row_option(sink, row, SINK_BATCH, "batch_size", BATCH_MESSAGES_DEFAULT, PG_INT32_MAX), BATCH_MESSAGES_MAX));
	sink->partitions = row_option(sink, row, SINK_PARTITIONS, "partitions", 0, PRISM_PARTITIONS_MAX);
	sink->replication = row_option(sink, row, SINK_REPLICATION, "replication", 0, PRISM_REPLICATION_MAX);
	sink->message_bytes_max = row_option(sink, row, SINK_BYTES_MAX, "max_message_size", PG_INT32_MAX, PG_INT32_MAX);
	sink->failures = prism_column_text(row, SINK_FAILURES);
	sink->server_oid = prism_column_oid(row, SINK_SERVER_OID);
	sink->any_endpoint = prism_column_bool(row, SINK_ANY_ENDPOINT);
	return sink;
}

List *
prism_sink_list(Oid server, int32 sink_id)
{
	Oid			types[] = {OIDOID, INT4OID};
	Datum		values[] = {ObjectIdGetDatum(server), Int32GetDatum(sink_id)};
	PrismQueryRows rows = prism_query_read(sink_query, lengthof(types), types, values, 0);
	List	   *list = NIL;

	for (uint64 i = 0; i < rows.count; i++)
		list = lappend(list, sink_of_row(&rows.row[i]));
	prism_query_free(&rows);
	return list;
}

/* Weak enough for pause, resume and apply, which change the row but not where it stands. */
bool
prism_sink_lock(int32 sink_id)
{
	PrismQueryRows locked = prism_query_one("SELECT FROM prism.sink WHERE sink_id = $1 FOR KEY SHARE SKIP LOCKED", sink_id);
	bool		found = locked.count > 0;

	prism_query_free(&locked);
	return found;
}
