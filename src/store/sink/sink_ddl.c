/*-------------------------------------------------------------------------
 *
 * sink_ddl.c
 *	  Making, changing and dropping sinks.
 *
 * src/store/sink/sink_ddl.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/generation.h"
#include "base/object_id.h"
#include "base/ownership.h"
#include "base/query.h"
#include "store/log/topic.h"
#include "store/sink/sink_ddl.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

void
prism_sink_unseen(void)
{
	ereport(ERROR,
			errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			errmsg("could not serialize access due to concurrent changes of sinks"),
			errhint("Run the transaction again."));
}

PrismSinkRow *
prism_sink_of_topic(int32 topic_id)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(topic_id)};
	PrismSinkRow *sink;
	PrismQueryRows rows = prism_query_latest("SELECT s.sink_id, s.backend, coalesce(v.server, s.server), s.config, s.server IS NOT NULL AND v.server IS NULL, s.any_endpoint"
											 " FROM prism.sink s LEFT JOIN prism.sink_server v USING (sink_id) WHERE s.topic_id = $1 ORDER BY s.sink_id",
											 1, types, values, 0);

	if (rows.count == 0)
		return NULL;
	sink = palloc0_object(PrismSinkRow);
	sink->sink_id = prism_column_int32(&rows.row[0], 1);
	sink->backend = prism_column_text(&rows.row[0], 2);
	sink->server = prism_column_text(&rows.row[0], 3);
	sink->config = prism_column_text(&rows.row[0], 4);
	sink->server_dropped = prism_column_bool(&rows.row[0], 5);
	sink->any_endpoint = prism_column_bool(&rows.row[0], 6);
	prism_query_free(&rows);
	return sink;
}

/* The foreign table that says which server it is; 'server' NULL: none. */
static void
point_at(int32 sink_id, const char *server)
{
	char	   *table = psprintf("sink_%d", sink_id);
	Oid			schema = get_namespace_oid("prism_log", false);

	if (OidIsValid(get_relname_relid(table, schema)))
		prism_query(psprintf("DROP FOREIGN TABLE prism_log.%s", table), 0, NULL, NULL, NULL);
	if (server == NULL)
		return;
	prism_query(psprintf("CREATE FOREIGN TABLE prism_log.%s () SERVER %s", table, quote_identifier(server)),
				0, NULL, NULL, NULL);
	CommandCounterIncrement();
	prism_own_relation(get_relname_relid(table, schema));
}

static bool
points_at(const PrismSinkRow *sink, const char *server)
{
	if (sink == NULL || sink->server == NULL || server == NULL)
		return (sink == NULL || sink->server == NULL) && server == NULL;
	return !sink->server_dropped && strcmp(sink->server, server) == 0;
}

void
prism_sink_set(int32 topic_id, const char *backend, const char *server, const char *config, bool any_endpoint)
{
	PrismSinkRow *sink = prism_sink_of_topic(topic_id);
	int32		sink_id = sink != NULL ? sink->sink_id : prism_next_object_id();
	Oid			types[] = {INT4OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, BOOLOID};
	Datum		values[] = {
		Int32GetDatum(sink_id), Int32GetDatum(topic_id), CStringGetTextDatum(backend),
		server != NULL ? CStringGetTextDatum(server) : (Datum) 0, CStringGetTextDatum(config),
		BoolGetDatum(any_endpoint)
	};
	char		nulls[] = {' ', ' ', ' ', server != NULL ? ' ' : 'n', ' ', ' ', '\0'};

	if (prism_query(sink != NULL
					? "UPDATE prism.sink SET backend = $3, server = $4::pg_catalog.name, config = $5::pg_catalog.jsonb, any_endpoint = $6"
					" WHERE sink_id = $1 AND topic_id = $2"
					: "INSERT INTO prism.sink (sink_id, topic_id, backend, server, config, any_endpoint)"
					" VALUES ($1, $2, $3, $4::pg_catalog.name, $5::pg_catalog.jsonb, $6)",
					lengthof(types), types, values, nulls).count == 0)
		prism_sink_unseen();
	if (!points_at(sink, server))
		point_at(sink_id, server);
	prism_catalog_changed();
}

void
prism_sink_drop(int32 topic_id)
{
	PrismSinkRow *sink = prism_sink_of_topic(topic_id);

	if (sink == NULL)
		return;
	point_at(sink->sink_id, NULL);
	if (prism_query_one("DELETE FROM prism.sink WHERE topic_id = $1", topic_id).count == 0)
		prism_sink_unseen();
	prism_catalog_changed();
}
