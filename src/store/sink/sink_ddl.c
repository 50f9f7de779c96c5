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
#include "store/sink/sink.h"
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

/* Columns: as below. */
static PrismSinkRow *
row_of(const PrismQueryRow *found)
{
	PrismSinkRow *sink = palloc0_object(PrismSinkRow);

	sink->sink_id = prism_column_int32(found, 1);
	sink->name = prism_column_text(found, 2);
	sink->own = prism_column_bool(found, 3);
	sink->backend = prism_column_text(found, 4);
	sink->server = prism_column_text(found, 5);
	sink->config = prism_column_text(found, 6);
	sink->server_dropped = prism_column_bool(found, 7);
	sink->any_endpoint = prism_column_bool(found, 8);
	sink->target = prism_column_text(found, 9);
	sink->brokers = prism_column_text(found, 10);
	return sink;
}

/* Of each topic, as of one moment. */
static List **
sinks_of_topics(const int32 *topic_ids, int count)
{
	Oid			types[] = {INT4ARRAYOID};
	Datum		values[] = {prism_query_numbers(topic_ids, count)};
	List	  **sinks = palloc0_array(List *, count);
	PrismQueryRows rows = prism_query_latest("SELECT s.sink_id, s.name, s.own, s.backend, coalesce(v.server, s.server), s.config,"
											 " s.server IS NOT NULL AND v.server IS NULL, s.any_endpoint,"
											 " coalesce(s.config ->> 'topic', s.config ->> 'queue'), s.config ->> 'brokers', w.place::integer"
											 " FROM unnest($1) WITH ORDINALITY AS w(topic_id, place) JOIN prism.sink s USING (topic_id)"
											 " LEFT JOIN prism.sink_server v USING (sink_id) ORDER BY s.sink_id",
											 lengthof(types), types, values, 0);

	for (uint64 i = 0; i < rows.count; i++)
	{
		List	  **of_topic = &sinks[prism_column_int32(&rows.row[i], 11) - 1];

		*of_topic = lappend(*of_topic, row_of(&rows.row[i]));
	}
	prism_query_free(&rows);
	return sinks;
}

List *
prism_sinks_of_topic(int32 topic_id)
{
	return *sinks_of_topics(&topic_id, 1);
}

static PrismSinkRow *
own_one(const List *sinks)
{
	ListCell   *cell;

	foreach(cell, sinks)
		if (((PrismSinkRow *) lfirst(cell))->own)
			return lfirst(cell);
	return NULL;
}

PrismSinkRow **
prism_sinks_own(const int32 *topic_ids, int count)
{
	List	  **sinks = sinks_of_topics(topic_ids, count);
	PrismSinkRow **own = palloc_array(PrismSinkRow *, count);

	for (int i = 0; i < count; i++)
		own[i] = own_one(sinks[i]);
	return own;
}

PrismSinkRow *
prism_sink_find(int32 topic_id, const char *name)
{
	ListCell   *cell;

	foreach(cell, prism_sinks_of_topic(topic_id))
		if (strcmp(((PrismSinkRow *) lfirst(cell))->name, name) == 0)
			return lfirst(cell);
	return NULL;
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

static const PrismSinkClash *
clash(int sqlerrcode, char *message, const char *hint)
{
	PrismSinkClash *found = palloc_object(PrismSinkClash);

	*found = (PrismSinkClash) {sqlerrcode, message, hint};
	return found;
}

/*
 * Those that the topic has besides: none of the same name, and none that sends
 * to the same place there, which would have each message twice and one position
 * for two.
 */
const PrismSinkClash *
prism_sink_clash(int32 topic_id, const PrismSinkRow *sink)
{
	Oid			types[] = {INT4OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[] = {
		Int32GetDatum(topic_id), Int32GetDatum(sink->sink_id), CStringGetTextDatum(sink->name),
		CStringGetTextDatum(sink->backend), CStringGetTextDatum(sink->server != NULL ? sink->server : ""), CStringGetTextDatum(sink->config)
	};
	PrismQueryRows others = prism_query("SELECT s.name, s.name = $3,"
										" s.backend = $4 AND coalesce(v.server, s.server, '') = $5"
										" AND s.config -> 'brokers' IS NOT DISTINCT FROM w.config -> 'brokers'"
										" AND " PRISM_SINK_TARGET("s.config") " = " PRISM_SINK_TARGET("w.config")
										" FROM prism.sink s JOIN prism.topic t USING (topic_id) LEFT JOIN prism.sink_server v USING (sink_id)"
										" CROSS JOIN (SELECT $6::pg_catalog.jsonb AS config) w"
										" WHERE s.topic_id = $1 AND s.sink_id <> $2 ORDER BY s.sink_id",
										lengthof(types), types, values, NULL);
	const PrismSinkClash *found = NULL;

	for (uint64 i = 0; i < others.count && found == NULL; i++)
	{
		char	   *name = prism_column_text(&others.row[i], 1);

		if (prism_column_bool(&others.row[i], 2))
			found = clash(ERRCODE_DUPLICATE_OBJECT, psprintf("the topic has a sink \"%s\" already", name),
						  "prism.sinks lists the sinks of each topic.");
		else if (prism_column_bool(&others.row[i], 3))
			found = clash(ERRCODE_DUPLICATE_OBJECT,
						  psprintf("sink \"%s\" would send to where sink \"%s\" of the topic sends", sink->name, name),
						  "Give it another topic at the other side, or another server.");
	}
	if (found == NULL && sink->sink_id == 0 && others.count >= PRISM_SINKS_OF_TOPIC_MAX)
		found = clash(ERRCODE_PROGRAM_LIMIT_EXCEEDED,
					  psprintf("the topic has %d sinks, and may have no more", PRISM_SINKS_OF_TOPIC_MAX), NULL);
	prism_query_free(&others);
	return found;
}

static void
check_others(int32 topic_id, const PrismSinkRow *sink)
{
	const PrismSinkClash *found = prism_sink_clash(topic_id, sink);

	if (found != NULL)
		ereport(ERROR,
				errcode(found->sqlerrcode),
				errmsg("%s", found->message),
				found->hint != NULL ? errhint("%s", found->hint) : 0);
}

int32
prism_sink_put(int32 topic_id, const PrismSinkRow *sink)
{
	const PrismSinkRow *former = NULL;
	int32		sink_id = sink->sink_id != 0 ? sink->sink_id : prism_next_object_id();
	Oid			types[] = {INT4OID, INT4OID, TEXTOID, BOOLOID, TEXTOID, TEXTOID, TEXTOID, BOOLOID};
	Datum		values[] = {
		Int32GetDatum(sink_id), Int32GetDatum(topic_id), CStringGetTextDatum(sink->name), BoolGetDatum(sink->own),
		CStringGetTextDatum(sink->backend), sink->server != NULL ? CStringGetTextDatum(sink->server) : (Datum) 0,
		CStringGetTextDatum(sink->config), BoolGetDatum(sink->any_endpoint)
	};
	char		nulls[] = {' ', ' ', ' ', ' ', ' ', sink->server != NULL ? ' ' : 'n', ' ', ' ', '\0'};
	ListCell   *cell;

	foreach(cell, sink->sink_id != 0 ? prism_sinks_of_topic(topic_id) : NIL)
		if (((const PrismSinkRow *) lfirst(cell))->sink_id == sink_id)
			former = lfirst(cell);
	check_others(topic_id, sink);
	if (prism_query(sink->sink_id != 0
					? "UPDATE prism.sink SET name = $3, own = $4, backend = $5, server = $6::pg_catalog.name, config = $7::pg_catalog.jsonb, any_endpoint = $8"
					" WHERE sink_id = $1 AND topic_id = $2"
					: "INSERT INTO prism.sink (sink_id, topic_id, name, own, backend, server, config, any_endpoint)"
					" VALUES ($1, $2, $3, $4, $5, $6::pg_catalog.name, $7::pg_catalog.jsonb, $8)",
					lengthof(types), types, values, nulls).count == 0)
		prism_sink_unseen();
	if (!points_at(former, sink->server))
		point_at(sink_id, sink->server);
	prism_catalog_changed();
	return sink_id;
}

void
prism_sink_drop(const PrismSinkRow *sink)
{
	point_at(sink->sink_id, NULL);
	if (prism_query_one("DELETE FROM prism.sink WHERE sink_id = $1", sink->sink_id).count == 0)
		prism_sink_unseen();
	prism_catalog_changed();
}

int32
prism_sink_renew(const PrismSinkRow *sink)
{
	int32		sink_id = prism_next_object_id();
	Oid			types[] = {INT4OID, INT4OID};
	Datum		values[] = {Int32GetDatum(sink->sink_id), Int32GetDatum(sink_id)};

	point_at(sink->sink_id, NULL);
	if (prism_query("UPDATE prism.sink SET sink_id = $2, server = NULL WHERE sink_id = $1", lengthof(types), types, values, NULL).count == 0)
		prism_sink_unseen();
	prism_catalog_changed();
	return sink_id;
}

void
prism_sink_drop_all(int32 topic_id)
{
	ListCell   *cell;

	foreach(cell, prism_sinks_of_topic(topic_id))
		prism_sink_drop(lfirst(cell));
}
