/*-------------------------------------------------------------------------
 *
 * config.c
 *	  From a checked YAML tree to PrismNamespace: defaults, synonyms, names.
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

/* Of one apply(). */
#define NAMESPACES_MAX 1000
/* Steps of a consumer group's back-off. */
#define CONSUMER_BACKOFF_MAX 16
#define DEFAULT_BACKEND "postgres"
#define DEFAULT_API "pubsub"

const PrismApi prism_apis[] = {
	{"queue", PRISM_API_QUEUE, false},
	{"durable-queue", PRISM_API_QUEUE, true},
	{"pubsub", PRISM_API_PUBSUB, false},
	{"transact", PRISM_API_TRANSACT, false},
};
const int	prism_api_count = lengthof(prism_apis);

static PrismNamespace *read_namespace(const PrismYaml *map);
static void read_api(PrismNamespace *namespace, const PrismYaml *map);
static void refuse_unless(bool meaningful, const PrismNamespace *namespace,
						  const PrismYaml *backend, const char *key);
static void read_needs(PrismNamespace *namespace, const PrismYaml *needs);
static void read_backend(PrismNamespace *namespace, const PrismYaml *backend);
static void read_queue_options(PrismNamespace *namespace, const PrismYaml *backend);
static void read_outbox(PrismNamespace *namespace, const PrismYaml *patterns);
static void read_consumers(PrismNamespace *namespace, const PrismYaml *consumers);
static char *consumer_config(const PrismNamespace *namespace, const PrismYaml *consumer);
static const char *consumer_ordering(const PrismNamespace *namespace, const PrismYaml *consumer);
static void check_outbox_database(const PrismYaml *database);
static void check_table_name(const PrismYaml *table);
static void check_distinct(List *namespaces);

List *
prism_namespaces_read(const char *text, Size bytes)
{
	PrismYaml  *root = prism_yaml_read(text, bytes);
	PrismYaml  *list;
	List	   *namespaces = NIL;
	ListCell   *cell;

	prism_schema_check(root);
	list = prism_yaml_get(root, "namespaces");
	if (list == NULL)
		namespaces = list_make1(read_namespace(root));
	else if (list_length(list->items) > NAMESPACES_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("too many namespaces at once " PRISM_AT, prism_at(list)),
				errdetail("There are %d; the limit is %d.", list_length(list->items), NAMESPACES_MAX),
				errhint("Apply them in several calls."));
	else
		foreach(cell, list->items)
			namespaces = lappend(namespaces, read_namespace(lfirst(cell)));
	check_distinct(namespaces);
	return namespaces;
}

static PrismNamespace *
read_namespace(const PrismYaml *map)
{
	PrismNamespace *namespace = palloc0(sizeof(*namespace));
	const PrismYaml *observability = prism_yaml_get(map, "observability");
	const PrismYaml *patterns = prism_yaml_get(map, "patterns");
	const PrismYaml *option;

	namespace->place = prism_yaml_get(map, "name");
	namespace->name = namespace->place->text;
	read_api(namespace, map);
	read_backend(namespace, prism_yaml_get(map, "backend"));
	read_needs(namespace, prism_yaml_get(map, "needs"));
	read_outbox(namespace, patterns);
	read_consumers(namespace, prism_yaml_get(map, "consumers"));
	if (observability != NULL)
	{
		option = prism_yaml_get(observability, "trace_patterns");
		namespace->trace_patterns = option != NULL && prism_yaml_boolean(option);
		option = prism_yaml_get(observability, "pattern_metrics");
		namespace->pattern_metrics = option != NULL && prism_yaml_boolean(option);
	}
	prism_needs_select(namespace, patterns);
	prism_namespace_validate(namespace);
	return namespace;
}

static void
read_api(PrismNamespace *namespace, const PrismYaml *map)
{
	const PrismYaml *word = prism_yaml_one_of(map, "client_api", "pattern");
	const char *name = word != NULL ? word->text : DEFAULT_API;

	namespace->api_place = word != NULL ? word : map;
	for (int i = 0; i < prism_api_count; i++)
		if (strcmp(prism_apis[i].name, name) == 0)
			namespace->api = &prism_apis[i];
	if (namespace->api == NULL)
		elog(ERROR, "client API \"%s\" has no entry", name);
}

/* 'backend' is a word, a map or absent. */
static void
read_backend(PrismNamespace *namespace, const PrismYaml *backend)
{
	const PrismYaml *word = backend;
	const PrismYaml *topic = NULL;
	const char *name;

	if (backend != NULL && backend->kind == PRISM_YAML_MAP)
	{
		word = prism_yaml_one_of(backend, "type", "queue");
		topic = prism_yaml_get(backend, "topic");
	}
	name = word != NULL ? word->text : DEFAULT_BACKEND;
	namespace->backend_place = word != NULL ? word : backend != NULL ? backend : namespace->place;
	namespace->backend = prism_backend_info(name);
	if (namespace->backend == NULL)
		elog(ERROR, "back end \"%s\" has no entry", name);

	namespace->topic_place = topic != NULL ? topic : namespace->place;
	namespace->topic = namespace->topic_place->text;
	namespace->target = namespace->topic;
	namespace->server_place = namespace->backend_place;
	if (backend != NULL && backend->kind == PRISM_YAML_MAP)
		read_queue_options(namespace, backend);
	if (namespace->backend->wrapper != NULL && namespace->brokers == NIL)
	{
		if (namespace->server == NULL)
			namespace->server = pstrdup(namespace->backend->name);
		prism_server_check(namespace);
	}
}

/* An option that would say nothing to this back end is not ignored. */
static void
refuse_unless(bool meaningful, const PrismNamespace *namespace, const PrismYaml *backend, const char *key)
{
	const PrismYaml *option = prism_yaml_get(backend, key);

	if (option != NULL && !meaningful)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"backend.%s\" has no meaning for back end \"%s\" " PRISM_AT,
					   key, namespace->backend->name, prism_at(option)),
				errhint("Leave it out, or choose another back end, such as \"type: kafka\"."));
}

static void
read_queue_options(PrismNamespace *namespace, const PrismYaml *backend)
{
	const PrismYaml *option;

	refuse_unless(namespace->backend->wrapper != NULL, namespace, backend, "server");
	refuse_unless(namespace->backend->wrapper != NULL, namespace, backend, "brokers");
	refuse_unless(prism_namespace_has_sink(namespace), namespace, backend, "topic_prefix");
	refuse_unless(prism_namespace_has_sink(namespace), namespace, backend, "partitions");
	refuse_unless(prism_namespace_has_sink(namespace), namespace, backend, "replication");

	option = prism_yaml_get(backend, "topic_prefix");
	if (option != NULL)
		namespace->target = psprintf("%s.%s", option->text, namespace->topic);
	option = prism_yaml_get(backend, "partitions");
	if (option != NULL)
		namespace->partitions = (int) prism_yaml_integer(option);
	option = prism_yaml_get(backend, "replication");
	if (option != NULL)
		namespace->replication = (int) prism_yaml_integer(option);

	option = prism_yaml_get(backend, "server");
	if (option != NULL)
	{
		namespace->server = option->text;
		namespace->server_place = option;
	}
	option = prism_yaml_get(backend, "brokers");
	if (option != NULL)
	{
		if (namespace->server != NULL)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("give either \"server\" or \"brokers\" " PRISM_AT, prism_at(option)),
					errdetail("The server already says where its brokers are."));
		namespace->brokers = prism_endpoints_check(option);
	}
}

static void
read_needs(PrismNamespace *namespace, const PrismYaml *needs)
{
	const PrismYaml *option;

	namespace->message_bytes_max = namespace->backend->message_bytes_max;
	namespace->needs = needs;
	prism_needs_read_log(namespace, needs);
	if (needs == NULL)
		return;

	namespace->consistency_place = prism_yaml_get(needs, "consistency");
	namespace->strong = namespace->consistency_place != NULL &&
		strcmp(namespace->consistency_place->text, "strong") == 0;
	namespace->delivery_place = prism_yaml_get(needs, "delivery_guarantee");
	namespace->exactly_once = namespace->delivery_place != NULL &&
		strcmp(namespace->delivery_place->text, "exactly_once") == 0;

	option = prism_yaml_one_of(needs, "max_message_size", "message_size");
	if (option == NULL)
		return;
	if (!prism_parse_size(option->text, &namespace->message_bytes_max))
		elog(ERROR, "size \"%s\" was not checked", option->text);
	if (namespace->message_bytes_max > PRISM_MESSAGE_BYTES_LIMIT)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("pattern \"claim-check\" is not available yet in this version " PRISM_AT,
					   prism_at(option)),
				errdetail("Messages of more than " INT64_FORMAT " bytes need it; \"%s\" are " INT64_FORMAT " bytes.",
						  PRISM_MESSAGE_BYTES_LIMIT, option->text, namespace->message_bytes_max),
				errhint("Use at most 512MB, which pg_dump can still write; keep what is larger elsewhere and publish where it is."));
}

/* NULL: as by default. */
static const char *
consumer_ordering(const PrismNamespace *namespace, const PrismYaml *consumer)
{
	const PrismYaml *ordering = prism_yaml_get(consumer, "ordering");

	if (ordering == NULL)
		return namespace->policy.unordered ? "none" : NULL;
	if (strcmp(ordering->text, "none") == 0 && namespace->needs != NULL &&
		prism_yaml_is(namespace->needs, "ordered", "true") != NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("consumer cannot do without order " PRISM_AT, prism_at(ordering)),
				errdetail("\"needs.ordered\" is true."),
				errhint("Remove \"ordering: none\", or the need."));
	return ordering->text;
}

/* The outbox's options, whether written flat or under "config". */
static void
read_outbox(PrismNamespace *namespace, const PrismYaml *patterns)
{
	ListCell   *cell;

	if (patterns == NULL)
		return;
	foreach(cell, patterns->items)
	{
		const PrismYaml *pattern = lfirst(cell);
		const PrismYaml *option;

		if (pattern->kind != PRISM_YAML_MAP || !prism_pattern_enabled(pattern) ||
			strcmp(prism_yaml_get(pattern, "type")->text, "outbox") != 0)
			continue;
		option = prism_pattern_option(pattern, "database");
		if (option != NULL)
			check_outbox_database(option);
		option = prism_pattern_option(pattern, "table");
		if (option != NULL)
		{
			check_table_name(option);
			namespace->table = option->text;
			namespace->table_place = option;
		}
		option = prism_pattern_option(pattern, "publisher");
		if (option != NULL)
		{
			const PrismYaml *interval = prism_yaml_get(option, "interval");
			const PrismYaml *batch_size = prism_yaml_get(option, "batch_size");
			int64		ms;

			if (interval != NULL && prism_parse_interval(interval->text, &ms))
				namespace->interval_ms = (int) ms;
			if (batch_size != NULL)
				namespace->batch_size = (int) prism_yaml_integer(batch_size);
		}
	}
}

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
read_consumers(PrismNamespace *namespace, const PrismYaml *consumers)
{
	HTAB	   *groups;
	ListCell   *cell;

	if (consumers == NULL)
		return;
	groups = make_table_of_groups();
	foreach(cell, consumers->items)
	{
		const PrismYaml *map = lfirst(cell);
		PrismConsumer *consumer = palloc(sizeof(PrismConsumer));

		consumer->place = prism_yaml_one_of(map, "group", "name");
		if (consumer->place == NULL)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("consumer has no group " PRISM_AT, prism_at(map)),
					errhint("Add \"group: ...\" to it: the name that prism.consume() is called with."));
		consumer->group = consumer->place->text;
		consumer->config = consumer_config(namespace, map);
		CHECK_FOR_INTERRUPTS();
		if (note_group(groups, consumer->group))
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("consumer group \"%s\" is given twice " PRISM_AT,
						   prism_yaml_show(consumer->group), prism_at(consumer->place)));
		namespace->consumers = lappend(namespace->consumers, consumer);
	}
	hash_destroy(groups);
}

/* As it is stored in prism.consumer_group: only what is given, times in microseconds. */
static char *
consumer_config(const PrismNamespace *namespace, const PrismYaml *consumer)
{
	static const char *const integers[] = {"max_attempts", "max_in_flight"};
	const char *ordering = consumer_ordering(namespace, consumer);
	const PrismYaml *option;
	StringInfoData json;
	ListCell   *cell;

	initStringInfo(&json);
	if (ordering != NULL)
		appendStringInfo(&json, ", \"ordering\": \"%s\"", ordering);
	for (int i = 0; i < (int) lengthof(integers); i++)
	{
		option = prism_yaml_get(consumer, integers[i]);
		if (option != NULL)
			appendStringInfo(&json, ", \"%s\": " INT64_FORMAT, integers[i], prism_yaml_integer(option));
	}
	option = prism_yaml_get(consumer, "lease");
	if (option != NULL)
		appendStringInfo(&json, ", \"lease_us\": " INT64_FORMAT, prism_yaml_interval_ms(option) * 1000);
	option = prism_yaml_get(consumer, "backoff");
	if (option != NULL)
	{
		if (list_length(option->items) > CONSUMER_BACKOFF_MAX)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("\"consumer.backoff\" has more than %d steps " PRISM_AT,
						   CONSUMER_BACKOFF_MAX, prism_at(option)));
		appendStringInfoString(&json, ", \"backoff_us\": [");
		foreach(cell, option->items)
			appendStringInfo(&json, "%s" INT64_FORMAT, foreach_current_index(cell) > 0 ? ", " : "",
							 prism_yaml_interval_ms(lfirst(cell)) * 1000);
		appendStringInfoChar(&json, ']');
	}
	return psprintf("{%s}", json.len > 0 ? json.data + strlen(", ") : "");
}

/* An outbox shares the caller's transaction, so it can only be in this database. */
static void
check_outbox_database(const PrismYaml *database)
{
	if (strcmp(database->text, DEFAULT_BACKEND) != 0 &&
		strcmp(database->text, get_database_name(MyDatabaseId)) != 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("outbox cannot be in database \"%s\" " PRISM_AT,
					   prism_yaml_show(database->text), prism_at(database)),
				errdetail("It is part of the transactions of this database, \"%s\".",
						  get_database_name(MyDatabaseId)),
				errhint("Write \"database: postgres\", or apply the namespace in the other database."));
}

/* A name that PostgreSQL would cut is another name. */
static void
check_table_name(const PrismYaml *table)
{
	if (strlen(table->text) >= NAMEDATALEN)
		ereport(ERROR,
				errcode(ERRCODE_NAME_TOO_LONG),
				errmsg("table name \"%s\" is too long " PRISM_AT,
					   prism_yaml_show(table->text), prism_at(table)),
				errdetail("It has %zu bytes; the limit is %d.", strlen(table->text), NAMEDATALEN - 1));
}

/* Within one configuration: names, topics and tables belong to one namespace each. */
static void
check_distinct(List *namespaces)
{
	ListCell   *cell;

	foreach(cell, namespaces)
	{
		const PrismNamespace *namespace = lfirst(cell);

		for (int i = 0; i < foreach_current_index(cell); i++)
		{
			const PrismNamespace *other = list_nth(namespaces, i);

			if (strcmp(namespace->name, other->name) == 0)
				ereport(ERROR,
						errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("namespace \"%s\" is given twice " PRISM_AT,
							   prism_yaml_show(namespace->name), prism_at(namespace->place)),
						errdetail("The first one is " PRISM_AT ".", prism_at(other->place)));
			if (strcmp(namespace->topic, other->topic) == 0)
				ereport(ERROR,
						errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("namespaces \"%s\" and \"%s\" have the same topic \"%s\" " PRISM_AT,
							   other->name, namespace->name, prism_yaml_show(namespace->topic),
							   prism_at(namespace->topic_place)),
						errhint("A topic belongs to one namespace: name another one by \"topic: ...\" in \"backend\"."));
			if (namespace->table != NULL && other->table != NULL &&
				strcmp(namespace->table, other->table) == 0)
				ereport(ERROR,
						errcode(ERRCODE_DUPLICATE_TABLE),
						errmsg("namespaces \"%s\" and \"%s\" have the same outbox table \"%s\" " PRISM_AT,
							   other->name, namespace->name, prism_yaml_show(namespace->table),
							   prism_at(namespace->table_place)));
		}
	}
}
