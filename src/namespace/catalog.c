/*-------------------------------------------------------------------------
 *
 * catalog.c
 *	  Namespaces as they are stored: normalised jsonb in prism.namespace.
 *
 * The statements run as the extension's owner with the caller's search_path
 * out of the way: every function that ends up here is declared with
 * SET search_path = pg_catalog, pg_temp.
 *
 * src/namespace/catalog.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/query.h"
#include "namespace/json_writer.h"
#include "namespace/spec.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"

static void add_patterns(StringInfo json, const PrismNamespace *namespace);
static void add_backend(StringInfo json, const PrismNamespace *namespace);
static void add_consumers(StringInfo json, const PrismNamespace *namespace);
static void add_log_needs(StringInfo json, const PrismNamespace *namespace);
static void add_given(StringInfo json, const char *key, const PrismValue *value);
static char *joined_brokers(const PrismNamespace *namespace);
static char *normalise(const char *json);

char *
prism_namespace_config(const PrismNamespace *namespace)
{
	const PrismValue *consistency = &namespace->given->needs.consistency;
	const PrismObservabilityKeys *observability = &namespace->given->observability;
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	prism_json_add_text(&json, "name", namespace->name);
	prism_json_add_text(&json, "client_api", namespace->api->name);
	prism_json_add_text(&json, "topic", namespace->topic);
	add_patterns(&json, namespace);
	add_backend(&json, namespace);
	add_consumers(&json, namespace);
	prism_json_add_text(&json, "consistency", prism_is_given(consistency) ? consistency->text : "eventual");
	prism_json_add_text(&json, "delivery_guarantee", namespace->exactly_once ? "exactly_once" : "at_least_once");
	prism_json_add_integer(&json, "max_message_size", namespace->message_bytes_max);
	add_log_needs(&json, namespace);
	prism_json_add_boolean(&json, "trace_patterns", observability->trace_patterns.number != 0);
	prism_json_add_boolean(&json, "pattern_metrics", observability->pattern_metrics.number != 0);
	appendStringInfoChar(&json, '}');
	return normalise(json.data);
}

static void
add_patterns(StringInfo json, const PrismNamespace *namespace)
{
	ListCell   *cell;

	prism_json_add_key(json, "patterns");
	appendStringInfoChar(json, '[');
	foreach(cell, namespace->patterns)
	{
		const PrismChosenPattern *chosen = lfirst(cell);

		if (foreach_current_index(cell) > 0)
			appendStringInfoChar(json, ',');
		appendStringInfoChar(json, '{');
		prism_json_add_text(json, "type", chosen->pattern->name);
		if (prism_is_claim_check(chosen->pattern))
			prism_claim_options_add(json, namespace, chosen);
		else if (chosen->given != NULL)
			prism_pattern_options_add(json, chosen->given);
		appendStringInfoChar(json, '}');
	}
	appendStringInfoChar(json, ']');
}

char *
prism_namespace_chain(const PrismNamespace *namespace, int32 store_id)
{
	StringInfoData json;
	ListCell   *cell;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	foreach(cell, namespace->patterns)
	{
		const PrismChosenPattern *chosen = lfirst(cell);

		appendStringInfoString(&json, foreach_current_index(cell) > 0 ? ",{" : "{");
		prism_json_add_text(&json, "type", chosen->pattern->name);
		if (namespace->durable && strcmp(chosen->pattern->name, "wal") == 0)
			prism_json_add_boolean(&json, "flush", true);
		if (prism_is_claim_check(chosen->pattern))
			prism_claim_link_add(&json, namespace, chosen, store_id);
		appendStringInfoChar(&json, '}');
	}
	appendStringInfoChar(&json, ']');
	return normalise(json.data);
}

static void
add_backend(StringInfo json, const PrismNamespace *namespace)
{
	prism_json_add_key(json, "backend");
	appendStringInfoChar(json, '{');
	prism_json_add_text(json, "type", namespace->backend->name);
	if (namespace->backend_chosen)
		prism_json_add_boolean(json, "chosen", true);
	prism_json_add_text(json, "server", namespace->server);
	prism_json_add_text(json, "brokers", joined_brokers(namespace));
	if (prism_namespace_has_sink(namespace))
		prism_json_add_text(json, "topic", namespace->target);
	prism_json_add_integer(json, "partitions", namespace->partitions);
	prism_json_add_integer(json, "replication", namespace->replication);
	appendStringInfoChar(json, '}');
}

static void
add_consumers(StringInfo json, const PrismNamespace *namespace)
{
	ListCell   *cell;

	if (namespace->consumers == NIL)
		return;
	prism_json_add_key(json, "consumers");
	appendStringInfoChar(json, '[');
	foreach(cell, namespace->consumers)
	{
		const PrismConsumer *consumer = lfirst(cell);

		appendStringInfoString(json, foreach_current_index(cell) > 0 ? ",{" : "{");
		prism_json_add_text(json, "group", consumer->group);
		prism_json_add_key(json, "options");
		appendStringInfoString(json, consumer->config);
		appendStringInfoChar(json, '}');
	}
	appendStringInfoChar(json, ']');
}

/* What is not needed is left to the server's settings and the session's, so it has no value to fill in. */
static void
add_log_needs(StringInfo json, const PrismNamespace *namespace)
{
	const PrismTopicPolicy *policy = &namespace->policy;
	const PrismNeedsKeys *given = &namespace->given->needs;

	add_given(json, "durability", &given->durability);
	add_given(json, "replay", &given->replay);
	add_given(json, "ordered", &given->ordered);
	if (policy->retention_ms == PRISM_RETENTION_FOREVER)
		prism_json_add_text(json, "retention", "forever");
	else if (policy->retention_ms != PRISM_RETENTION_DEFAULT)
		prism_json_add_integer(json, "retention_ms", policy->retention_ms);
	prism_json_add_integer(json, "retention_bytes", policy->retention_bytes);
	add_given(json, "retain", &given->retain);
	prism_json_add_integer(json, "max_backlog", policy->backlog_max);
	add_given(json, "on_full", &given->on_full);
}

static void
add_given(StringInfo json, const char *key, const PrismValue *value)
{
	if (prism_is_given(value))
		prism_json_add_text(json, key, value->text);
}

char *
prism_namespace_sink_config(const PrismNamespace *namespace)
{
	StringInfoData json;

	if (!prism_namespace_has_sink(namespace))
		return NULL;
	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	prism_json_add_text(&json, "topic", namespace->target);
	prism_json_add_text(&json, "brokers", joined_brokers(namespace));
	prism_json_add_integer(&json, "partitions", namespace->partitions);
	prism_json_add_integer(&json, "replication", namespace->replication);
	prism_json_add_text(&json, "delivery_guarantee", namespace->exactly_once ? "exactly_once" : "at_least_once");
	prism_json_add_integer(&json, "interval_ms", namespace->interval_ms);
	prism_json_add_integer(&json, "batch_size", namespace->batch_size);
	prism_json_add_integer(&json, "max_message_size", prism_namespace_record_bytes_max(namespace));
	appendStringInfoChar(&json, '}');
	return normalise(json.data);
}

static char *
joined_brokers(const PrismNamespace *namespace)
{
	StringInfoData joined;
	ListCell   *cell;

	if (namespace->brokers == NIL)
		return NULL;
	initStringInfo(&joined);
	foreach(cell, namespace->brokers)
		appendStringInfo(&joined, "%s%s", joined.len > 0 ? "," : "", (char *) lfirst(cell));
	return joined.data;
}

/* ---------- the normalised form ---------- */

static char *
normalise(const char *json)
{
	Jsonb	   *jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));

	return JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
}

/* ---------- what was chosen ---------- */

static JsonbValue *
find_value(JsonbContainer *map, const char *key, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(map, key, (int) strlen(key), value);
}

static int
partitions_of(Numeric stored)
{
	double		number = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(stored)));

	return number >= 1 && number <= PRISM_PARTITIONS_MAX ? (int) number : 0;
}

/* Of a pattern: the back end of its storage, if that was chosen and can be one. */
static const char *
store_of_pattern(JsonbContainer *pattern)
{
	JsonbValue	value;
	JsonbContainer *storage;
	char	   *name;

	if (find_value(pattern, "storage", &value) == NULL || value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
		return NULL;
	storage = value.val.binary.data;
	if (find_value(storage, "chosen", &value) == NULL || value.type != jbvBool || !value.val.boolean ||
		find_value(storage, "backend", &value) == NULL || value.type != jbvString)
		return NULL;
	name = pnstrdup(value.val.string.val, value.val.string.len);
	return prism_backend_info(name) != NULL && (prism_backend_info(name)->roles & PRISM_ROLE_OBJECT) ? name : NULL;
}

/* That of the first pattern that has one. */
static const char *
chosen_store(JsonbContainer *config)
{
	const char *store = NULL;
	JsonbValue	patterns;

	if (find_value(config, "patterns", &patterns) == NULL || patterns.type != jbvBinary || !JsonContainerIsArray(patterns.val.binary.data))
		return NULL;
	for (uint32 i = 0; i < JsonContainerSize(patterns.val.binary.data) && store == NULL; i++)
	{
		JsonbValue *pattern = getIthJsonbValueFromContainer(patterns.val.binary.data, i);

		if (pattern->type == jbvBinary && JsonContainerIsObject(pattern->val.binary.data))
			store = store_of_pattern(pattern->val.binary.data);
	}
	return store;
}

/* A row that was edited has whatever is in it: what is no choice is none. */
PrismPin
prism_namespace_read_pin(const PrismStoredNamespace *stored)
{
	Jsonb	   *config = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(stored->config)));
	JsonbContainer *map;
	JsonbValue	value;
	PrismPin	pin = {0};
	char	   *type;

	if (!JB_ROOT_IS_OBJECT(config) || find_value(&config->root, "backend", &value) == NULL ||
		value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
		return pin;
	map = value.val.binary.data;
	if (find_value(map, "type", &value) == NULL || value.type != jbvString)
		return pin;
	type = pnstrdup(value.val.string.val, value.val.string.len);
	if (prism_backend_info(type) == NULL)
		return pin;
	pin.backend = type;
	pin.chosen = find_value(map, "chosen", &value) != NULL && value.type == jbvBool && value.val.boolean;
	if (find_value(map, "partitions", &value) != NULL && value.type == jbvNumeric)
		pin.partitions = partitions_of(value.val.numeric);
	pin.store = chosen_store(&config->root);
	return pin;
}

/* ---------- rows of prism.namespace ---------- */

static PrismStoredNamespace *
stored_of_row(const PrismQueryRow *row)
{
	PrismStoredNamespace *stored = palloc_object(PrismStoredNamespace);

	stored->namespace_id = prism_column_int32(row, 2);
	stored->name = prism_column_text(row, 3);
	stored->topic = prism_column_text(row, 4);
	stored->table = prism_column_text(row, 5);
	stored->config = prism_column_text(row, 6);
	return stored;
}

PrismStoredNamespace **
prism_namespaces_find(const char *const *names, int count)
{
	Oid			types[] = {TEXTARRAYOID};
	Datum		values[] = {prism_query_texts(names, count)};
	PrismStoredNamespace **stored = palloc0_array(PrismStoredNamespace *, count);

	/* the first of several, none of what is no list: a row that was edited can still be applied anew, or dropped */
	PrismQueryRows rows = prism_query("SELECT w.place::integer, n.namespace_id, n.name, n.config ->> 'topic',"
									  " jsonb_path_query_first(n.config, '$.patterns[*] ? (@.type == \"outbox\").table') #>> '{}', n.config"
									  " FROM unnest($1) WITH ORDINALITY AS w(name, place) JOIN prism.namespace n ON n.name = w.name",
									  lengthof(types), types, values, NULL);

	for (uint64 i = 0; i < rows.count; i++)
		stored[prism_column_int32(&rows.row[i], 1) - 1] = stored_of_row(&rows.row[i]);
	prism_query_free(&rows);
	return stored;
}

PrismStoredNamespace *
prism_namespace_find(const char *name)
{
	return *prism_namespaces_find(&name, 1);
}

/* A value of type name has its full length, whatever stands in it. */
static Datum
user_name(void)
{
	return DirectFunctionCall1(namein, CStringGetDatum(GetUserNameFromId(GetUserId(), false)));
}

void
prism_namespace_insert(int32 namespace_id, const char *name, const char *config)
{
	Oid			types[] = {INT4OID, TEXTOID, TEXTOID, NAMEOID};
	Datum		values[] = {
		Int32GetDatum(namespace_id), CStringGetTextDatum(name), CStringGetTextDatum(config),
		user_name()
	};

	prism_query("INSERT INTO prism.namespace (namespace_id, name, config, applied_at, applied_by)"
				" VALUES ($1, $2, $3::jsonb, pg_catalog.now(), $4)",
				lengthof(types), types, values, NULL);
}

void
prism_namespace_update(int32 namespace_id, const char *config)
{
	Oid			types[] = {INT4OID, TEXTOID, NAMEOID};
	Datum		values[] = {
		Int32GetDatum(namespace_id), CStringGetTextDatum(config),
		user_name()
	};

	prism_query("UPDATE prism.namespace SET config = $2::jsonb, applied_at = pg_catalog.now(), applied_by = $3"
				" WHERE namespace_id = $1",
				lengthof(types), types, values, NULL);
}

void
prism_namespace_delete(int32 namespace_id)
{
	prism_query_one("DELETE FROM prism.namespace WHERE namespace_id = $1", namespace_id);
	prism_query_one("DELETE FROM prism.granted WHERE namespace_id = $1", namespace_id);
}
