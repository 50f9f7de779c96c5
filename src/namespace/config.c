/*-------------------------------------------------------------------------
 *
 * config.c
 *	  From what is given to PrismNamespace: defaults, names, what keys mean together.
 *
 * src/namespace/config.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/schema.h"
#include "namespace/spec.h"

#include "commands/dbcommands.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/hsearch.h"

/* As the standard's examples call the database they are in. */
#define THIS_DATABASE "postgres"

static PrismNamespace *make_namespace(const PrismNamespaceKeys *given);
static void make_backend(PrismNamespace *namespace, const PrismBackendKeys *given);
static void make_needs(PrismNamespace *namespace, const PrismNeedsKeys *given);
static void check_needs_built(const PrismNeedsKeys *given);
static void check_built(const PrismNamespace *namespace);
static void make_outbox(PrismNamespace *namespace, const PrismPatternKeys *given);
static void list_consumers(PrismNamespace *namespace, const List *given);
static char *consumer_config(const PrismNamespace *namespace, const PrismConsumerKeys *given);
static const char *consumer_ordering(const PrismNamespace *namespace, const PrismConsumerKeys *given);
static void check_outbox_database(const PrismValue *database);
static void check_table_name(const PrismValue *table);
static void check_distinct(List *namespaces);

List *
prism_namespaces_read(const char *text, Size bytes)
{
	List	   *given = prism_schema_read(prism_yaml_read(text, bytes));
	List	   *namespaces = NIL;
	ListCell   *cell;

	foreach(cell, given)
		namespaces = lappend(namespaces, make_namespace(lfirst(cell)));
	check_distinct(namespaces);
	return namespaces;
}

static PrismNamespace *
make_namespace(const PrismNamespaceKeys *given)
{
	PrismNamespace *namespace = palloc0(sizeof(*namespace));
	ListCell   *cell;

	Assert(prism_is_given(&given->name));
	namespace->given = given;
	namespace->name = given->name.text;
	namespace->api = prism_api_find(given->client_api.text);
	namespace->api_place = prism_is_given(&given->client_api) ? &given->client_api.place : &given->place;
	make_backend(namespace, &given->backend);
	make_needs(namespace, &given->needs);
	foreach(cell, given->patterns.list)
		make_outbox(namespace, lfirst(cell));
	list_consumers(namespace, given->consumers.list);
	prism_needs_select(namespace);
	prism_namespace_validate(namespace);
	check_built(namespace);
	return namespace;
}

/* Last of all: what is wrong with it anyway is told before. */
static void
check_built(const PrismNamespace *namespace)
{
	if (!namespace->backend->built)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("backend \"%s\" is not available yet", namespace->backend->name),
				errhint("Use another one for now."),
				prism_errplace(namespace->backend_place));
}

static void
make_backend(PrismNamespace *namespace, const PrismBackendKeys *given)
{
	namespace->backend = prism_backend_info(given->type.text);
	if (namespace->backend == NULL)
		elog(ERROR, "back end \"%s\" has no entry", given->type.text);
	namespace->backend_place = prism_is_given(&given->type) ? &given->type.place :
		prism_is_given(given) ? &given->place : &namespace->given->name.place;

	namespace->topic = prism_is_given(&given->topic) ? given->topic.text : namespace->name;
	namespace->topic_place = prism_is_given(&given->topic) ? &given->topic.place : &namespace->given->name.place;
	namespace->target = namespace->topic;
	namespace->target_place = namespace->topic_place;
	if (prism_is_given(&given->topic_prefix))
	{
		namespace->target = psprintf("%s.%s", given->topic_prefix.text, namespace->topic);
		namespace->target_place = &given->topic_prefix.place;
	}
	namespace->partitions = (int) given->partitions.number;
	namespace->replication = (int) given->replication.number;

	if (prism_is_given(&given->server) && prism_is_given(&given->brokers))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"server\" and \"brokers\" must not be given both"),
				errdetail("The server already says where its brokers are."),
				prism_errplace(&given->brokers.place));
	if (prism_is_given(&given->brokers))
		namespace->brokers = prism_endpoints_check(given->brokers.list);
	else if (namespace->backend->built && namespace->backend->wrapper != NULL)
	{
		namespace->server = prism_is_given(&given->server) ? given->server.text : pstrdup(namespace->backend->name);
		prism_server_check(namespace);
	}
}

static void
make_needs(PrismNamespace *namespace, const PrismNeedsKeys *given)
{
	namespace->message_bytes_max = namespace->backend->message_bytes_max;
	namespace->exactly_once = prism_value_is(&given->delivery_guarantee, "exactly_once");
	prism_needs_read_log(namespace);
	check_needs_built(given);
	if (prism_is_given(&given->max_message_size))
		namespace->message_bytes_max = given->max_message_size.number;
}

/* What the needs ask for that this version has not. */
static void
check_needs_built(const PrismNeedsKeys *given)
{
	const PrismValue *size = &given->max_message_size;
	const PrismPlace *claim_check = prism_is_given(&given->storage_backend) ? &given->storage_backend.place :
		prism_is_given(&given->cleanup) ? &given->cleanup.place :
		prism_is_given(size) && (size->more || size->number > PRISM_MESSAGE_BYTES_LIMIT) ? &size->place : NULL;

	if (claim_check != NULL)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("pattern \"claim-check\" is not available yet"),
				claim_check != &size->place ? 0 :
				errdetail("Messages of more than " INT64_FORMAT " bytes need it.", PRISM_MESSAGE_BYTES_LIMIT),
				claim_check != &size->place ? errhint("Leave it out for now.") :
				errhint("Use at most 512MB, which pg_dump can still write; keep what is larger elsewhere and publish where it is."),
				prism_errplace(claim_check));
	if (prism_value_is(&given->audit, "true"))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("pattern \"event-store\" is not available yet"),
				errhint("Leave it out for now."),
				prism_errplace(&given->audit.place));
}

static void
make_outbox(PrismNamespace *namespace, const PrismPatternKeys *given)
{
	if (prism_value_is(&given->enabled, "false") || strcmp(given->type.text, "outbox") != 0)
		return;
	if (prism_is_given(&given->database))
		check_outbox_database(&given->database);
	if (prism_is_given(&given->table))
	{
		check_table_name(&given->table);
		namespace->table = given->table.text;
		namespace->table_place = &given->table.place;
	}
	namespace->interval_ms = (int) given->publisher.interval.number;
	namespace->batch_size = (int) given->publisher.batch_size.number;
}

/* ---------- consumers ---------- */

/* Groups by the hash of their names. */
typedef struct GroupsOfHash
{
	uint32		hash;
	List	   *names;			/* char * */
} GroupsOfHash;

static HTAB *
make_table_of_groups(void)
{
	HASHCTL		layout = {.keysize = sizeof(uint32),.entrysize = sizeof(GroupsOfHash),.hcxt = CurrentMemoryContext};

	return hash_create("prism consumers", 256, &layout, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* True: it is there already. */
static bool
note_group(HTAB *groups, const char *name)
{
	uint32		hash = hash_bytes((const unsigned char *) name, (int) strlen(name));
	bool		found;
	GroupsOfHash *entry = hash_search(groups, &hash, HASH_ENTER, &found);
	ListCell   *cell;

	if (!found)
		entry->names = NIL;
	foreach(cell, entry->names)
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	entry->names = lappend(entry->names, unconstify(char *, name));
	return false;
}

static void
list_consumers(PrismNamespace *namespace, const List *given)
{
	HTAB	   *groups;
	ListCell   *cell;

	if (given == NIL)
		return;
	groups = make_table_of_groups();
	foreach(cell, given)
	{
		const PrismConsumerKeys *keys = lfirst(cell);
		PrismConsumer *consumer = palloc(sizeof(PrismConsumer));

		consumer->group = keys->group.text;
		consumer->config = consumer_config(namespace, keys);
		CHECK_FOR_INTERRUPTS();
		if (note_group(groups, consumer->group))
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("consumer group \"%s\" is given twice", prism_yaml_show(consumer->group)),
					prism_errplace(&keys->group.place));
		namespace->consumers = lappend(namespace->consumers, consumer);
	}
	hash_destroy(groups);
}

/* As it is stored in prism.consumer_group: only what is given, times in microseconds. */
static char *
consumer_config(const PrismNamespace *namespace, const PrismConsumerKeys *given)
{
	const char *ordering = consumer_ordering(namespace, given);
	StringInfoData json;
	ListCell   *cell;

	initStringInfo(&json);
	if (ordering != NULL)
		appendStringInfo(&json, ", \"ordering\": \"%s\"", ordering);
	if (prism_is_given(&given->max_attempts))
		appendStringInfo(&json, ", \"max_attempts\": " INT64_FORMAT, given->max_attempts.number);
	if (prism_is_given(&given->max_in_flight))
		appendStringInfo(&json, ", \"max_in_flight\": " INT64_FORMAT, given->max_in_flight.number);
	if (prism_is_given(&given->lease))
		appendStringInfo(&json, ", \"lease_us\": " INT64_FORMAT, given->lease.number * 1000);
	if (prism_is_given(&given->backoff))
	{
		appendStringInfoString(&json, ", \"backoff_us\": [");
		foreach(cell, given->backoff.list)
			appendStringInfo(&json, "%s" INT64_FORMAT, foreach_current_index(cell) > 0 ? ", " : "",
							 ((const PrismValue *) lfirst(cell))->number * 1000);
		appendStringInfoChar(&json, ']');
	}
	return psprintf("{%s}", json.len > 0 ? json.data + strlen(", ") : "");
}

/* NULL: as by default. */
static const char *
consumer_ordering(const PrismNamespace *namespace, const PrismConsumerKeys *given)
{
	if (!prism_is_given(&given->ordering))
		return namespace->policy.unordered ? "none" : NULL;
	if (prism_value_is(&given->ordering, "none") && prism_value_is(&namespace->given->needs.ordered, "true"))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("consumer must not have \"ordering: none\""),
				errdetail("\"needs.ordered\" is true, " PRISM_AT ".", prism_at(&namespace->given->needs.ordered.place)),
				errhint("Remove \"ordering: none\", or the need."),
				prism_errplace(&given->ordering.place));
	return given->ordering.text;
}

/* ---------- names ---------- */

/* An outbox shares the caller's transaction, so it can only be in this database. */
static void
check_outbox_database(const PrismValue *database)
{
	if (strcmp(database->text, THIS_DATABASE) != 0 &&
		strcmp(database->text, get_database_name(MyDatabaseId)) != 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("outbox cannot be in database \"%s\"", prism_yaml_show(database->text)),
				errdetail("It is part of the transactions of this database, \"%s\".",
						  get_database_name(MyDatabaseId)),
				errhint("Write \"database: postgres\", or apply the namespace in the other database."),
				prism_errplace(&database->place));
}

/* A name that PostgreSQL would cut is another name. */
static void
check_table_name(const PrismValue *table)
{
	if (strlen(table->text) >= NAMEDATALEN)
		ereport(ERROR,
				errcode(ERRCODE_NAME_TOO_LONG),
				errmsg("table name \"%s\" is too long", prism_yaml_show(table->text)),
				errdetail("It has %zu bytes; the limit is %d.", strlen(table->text), NAMEDATALEN - 1),
				prism_errplace(&table->place));
}

/* Within one configuration: names, topics and tables belong to one namespace each. */
static void
check_pair(const PrismNamespace *namespace, const PrismNamespace *other)
{
	if (strcmp(namespace->name, other->name) == 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("namespace \"%s\" is given twice", prism_yaml_show(namespace->name)),
				errdetail("The first one is " PRISM_AT ".", prism_at(&other->given->name.place)),
				prism_errplace(&namespace->given->name.place));
	if (strcmp(namespace->topic, other->topic) == 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("namespaces \"%s\" and \"%s\" have the same topic \"%s\"",
					   prism_yaml_show(other->name), prism_yaml_show(namespace->name), prism_yaml_show(namespace->topic)),
				errhint("A topic belongs to one namespace: name another one by \"topic: ...\" in \"backend\"."),
				prism_errplace(namespace->topic_place));
	if (namespace->table != NULL && other->table != NULL && strcmp(namespace->table, other->table) == 0)
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_TABLE),
				errmsg("namespaces \"%s\" and \"%s\" have the same outbox table \"%s\"",
					   prism_yaml_show(other->name), prism_yaml_show(namespace->name), prism_yaml_show(namespace->table)),
				prism_errplace(namespace->table_place));
}

static void
check_distinct(List *namespaces)
{
	ListCell   *cell;

	foreach(cell, namespaces)
		for (int i = 0; i < foreach_current_index(cell); i++)
			check_pair(lfirst(cell), list_nth(namespaces, i));
}
