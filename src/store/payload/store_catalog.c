/*-------------------------------------------------------------------------
 *
 * store_catalog.c
 *	  Where the large payloads of a topic are kept: rows of prism.store.
 *
 * src/store/payload/store_catalog.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/object_id.h"
#include "base/query.h"
#include "store/log/counter.h"
#include "store/log/topic.h"
#include "store/payload/store_catalog.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

/* ---------- looking ---------- */

static PrismStoreRow *
store_of_row(const PrismQueryRow *found)
{
	PrismStoreRow *store = palloc_object(PrismStoreRow);

	store->store_id = prism_column_int32(found, 1);
	store->place.backend = prism_column_text(found, 2);
	store->place.server = prism_column_text(found, 3);
	store->place.bucket = prism_column_text(found, 4);
	store->place.prefix = prism_column_text(found, 5);
	return store;
}

/* Of several, which somebody's hand has made, the latest. */
PrismStoreRow **
prism_stores_in_use(const int32 *topic_ids, int count)
{
	Oid			types[] = {INT4ARRAYOID};
	Datum		values[] = {prism_query_numbers(topic_ids, count)};
	PrismStoreRow **stores = palloc0_array(PrismStoreRow *, count);
	PrismQueryRows rows = prism_query("SELECT s.store_id, s.backend, s.server, s.bucket, s.prefix, w.place::integer"
									  " FROM unnest($1) WITH ORDINALITY AS w(topic_id, place) JOIN prism.store s USING (topic_id)"
									  " WHERE s.retired_at IS NULL ORDER BY s.store_id",
									  lengthof(types), types, values, NULL);

	for (uint64 i = 0; i < rows.count; i++)
		stores[prism_column_int32(&rows.row[i], 6) - 1] = store_of_row(&rows.row[i]);
	prism_query_free(&rows);
	return stores;
}

PrismStoreRow *
prism_store_in_use(int32 topic_id)
{
	return *prism_stores_in_use(&topic_id, 1);
}

static bool
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool
prism_store_is_at(const PrismStoreRow *store, const PrismStorePlace *place)
{
	return same(store->place.backend, place->backend) && same(store->place.server, place->server) &&
		same(store->place.bucket, place->bucket) && same(store->place.prefix, place->prefix);
}

/* ---------- writing ---------- */

static Datum
server_value(const char *name)
{
	return DirectFunctionCall1(namein, CStringGetDatum(name));
}

static int32
insert_store(int32 topic_id, const PrismStorePlace *place)
{
	int32		store_id = prism_next_object_id();
	Oid			types[] = {INT4OID, INT4OID, TEXTOID, NAMEOID, TEXTOID, TEXTOID};
	Datum		values[] = {
		Int32GetDatum(store_id), Int32GetDatum(topic_id), CStringGetTextDatum(place->backend),
		place->server != NULL ? server_value(place->server) : (Datum) 0,
		place->bucket != NULL ? CStringGetTextDatum(place->bucket) : (Datum) 0,
		place->prefix != NULL ? CStringGetTextDatum(place->prefix) : (Datum) 0
	};
	char		nulls[] = {
		' ', ' ', ' ', place->server != NULL ? ' ' : 'n', place->bucket != NULL ? ' ' : 'n',
		place->prefix != NULL ? ' ' : 'n', '\0'
	};

	prism_query("INSERT INTO prism.store (store_id, topic_id, backend, server, bucket, prefix) VALUES ($1, $2, $3, $4, $5, $6)",
				lengthof(types), types, values, nulls);
	return store_id;
}

/* Of a topic that has no place among prism.max_topics it is not known: such a row stays. */
static int64
next_offset(int32 topic_id)
{
	PrismTopic *topic = prism_topic_lookup_placeless(topic_id, true);

	return topic != NULL && topic->counter != NULL ? prism_counter_peek(topic->counter) : PG_INT64_MAX;
}

static void
retire_all_but(int32 topic_id, int32 store_id)
{
	Oid			types[] = {INT4OID, INT4OID, INT8OID};
	Datum		values[] = {Int32GetDatum(topic_id), Int32GetDatum(store_id), Int64GetDatum(next_offset(topic_id))};

	prism_query("UPDATE prism.store SET retired_at = $3 WHERE topic_id = $1 AND store_id <> $2 AND retired_at IS NULL",
				lengthof(types), types, values, NULL);
}

int32
prism_store_put(int32 topic_id, const PrismStorePlace *place)
{
	PrismStoreRow *former = prism_store_in_use(topic_id);
	int32		store_id;

	if (former != NULL && prism_store_is_at(former, place))
		return former->store_id;
	store_id = insert_store(topic_id, place);
	if (former != NULL)
		retire_all_but(topic_id, store_id);
	return store_id;
}

void
prism_store_retire(int32 topic_id)
{
	if (prism_store_in_use(topic_id) != NULL)
		retire_all_but(topic_id, 0);
}

int32
prism_store_follow(int32 topic_id, int32 store_id)
{
	PrismQueryRows rows = prism_query_one("SELECT store_id, backend, server, bucket, prefix FROM prism.store WHERE store_id = $1", store_id);

	return rows.count == 0 ? 0 : prism_store_put(topic_id, &store_of_row(&rows.row[0])->place);
}

/* Those that an apply() has at hand wait for the next time. */
void
prism_stores_forget(void)
{
	prism_query("DELETE FROM prism.store WHERE store_id IN ("
				"SELECT s.store_id FROM prism.store s JOIN prism.topic t USING (topic_id)"
				" WHERE s.retired_at <= t.dropped_end AND NOT EXISTS (SELECT FROM prism.payload_segment p WHERE p.store_id = s.store_id)"
				" FOR UPDATE OF s SKIP LOCKED)",
				0, NULL, NULL, NULL);
}

void
prism_store_drop_all(int32 topic_id)
{
	prism_query_one("DELETE FROM prism.store WHERE topic_id = $1", topic_id);
}
