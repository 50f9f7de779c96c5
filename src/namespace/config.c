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
#include "namespace/complaint.h"
#include "namespace/schema.h"
#include "namespace/spec.h"
#include "store/group/group.h"

#include "commands/dbcommands.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/hsearch.h"

/* As the standard's examples call the database they are in. */
#define THIS_DATABASE "postgres"

static void read_configuration(void *arg);
static PrismNamespace *make_namespace(const PrismNamespaceKeys *given, bool words_only, const PrismPin *pin);
static void fill_in(PrismNamespace *namespace);
static void make_backend(PrismNamespace *namespace, const PrismBackendKeys *given);
static void make_server(PrismNamespace *namespace, const PrismBackendKeys *given);
static void make_needs(PrismNamespace *namespace, const PrismNeedsKeys *given);
static void make_outbox(PrismNamespace *namespace, const PrismPatternKeys *given);
static void list_consumers(PrismNamespace *namespace, const List *given);
static char *consumer_config(const PrismNamespace *namespace, const PrismConsumerKeys *given);
static const char *consumer_ordering(const PrismNamespace *namespace, const PrismConsumerKeys *given);
static void check_surroundings(PrismNamespace *namespace);
static void check_database(const PrismValue *database, const char *what);

/* What prism_complaints_collect() walks. */
typedef struct DocumentReading
{
	const char *text;
	Size		bytes;
	bool		words_only;
	List	   *namespaces;
} DocumentReading;

List *
prism_namespaces_read(const char *text, Size bytes)
{
	DocumentReading reading = {.text = text,.bytes = bytes};
	PrismComplaints complaints;

	prism_complaints_collect(&complaints, read_configuration, &reading);
	prism_complaints_throw(&complaints);
	return reading.namespaces;
}

void
prism_namespaces_check(const char *text, Size bytes, PrismComplaints *complaints)
{
	DocumentReading reading = {.text = text,.bytes = bytes,.words_only = true};

	prism_complaints_collect(complaints, read_configuration, &reading);
}

static void
read_configuration(void *arg)
{
	DocumentReading *reading = arg;
	const PrismYaml *root = prism_yaml_read(reading->text, reading->bytes);
	List	   *given = root != NULL ? prism_schema_read(root) : NIL;
	int			before;
	ListCell   *cell;

	foreach(cell, given)
	{
		CHECK_FOR_INTERRUPTS();
		if (prism_complaints_full())
			return;
		before = prism_complaints_count();
		prism_patterns_gather(lfirst(cell));
		if (prism_complaints_count() > before)
			continue;
		reading->namespaces = lappend(reading->namespaces, make_namespace(lfirst(cell), reading->words_only, NULL));
	}
	prism_namespaces_check_distinct(reading->namespaces);
}

/* Each step is taken only if there was nothing to complain of before it: what follows from a mistake is no second one. */
static PrismNamespace *
make_namespace(const PrismNamespaceKeys *given, bool words_only, const PrismPin *pin)
{
	static void (*const steps[]) (PrismNamespace *namespace) = {
		fill_in, prism_needs_select, prism_claims_bound_messages, prism_namespace_validate, prism_choose_stores,
		prism_claims_check, prism_namespace_check_reach, prism_namespace_warn, prism_namespace_check_built, check_surroundings
	};
	PrismNamespace *namespace = palloc0(sizeof(*namespace));
	int			before = prism_complaints_count();

	Assert(prism_is_given(&given->name));
	namespace->given = given;
	namespace->words_only = words_only;
	namespace->pin = pin;
	for (int i = 0; i < (int) lengthof(steps) && prism_complaints_count() == before; i++)
		steps[i] (namespace);
	return namespace;
}

static void
fill_in(PrismNamespace *namespace)
{
	const PrismNamespaceKeys *given = namespace->given;
	ListCell   *cell;

	namespace->name = given->name.text;
	namespace->api = prism_api_find(given->client_api.text);
	namespace->api_place = prism_is_given(&given->client_api) ? &given->client_api.place : &given->place;
	make_backend(namespace, &given->backend);
	make_needs(namespace, &given->needs);
	prism_cleanup_check(&given->needs.cleanup);
	foreach(cell, given->patterns.list)
	{
		const PrismPatternKeys *pattern = lfirst(cell);

		prism_pattern_options_check(pattern);
		make_outbox(namespace, pattern);
	}
	list_consumers(namespace, given->consumers.list);
	prism_namespace_check_names(namespace);
	prism_contradictions_check(namespace);
}

bool
prism_namespace_chooses(const PrismNamespace *namespace)
{
	return !prism_is_given(&namespace->given->backend.type) || prism_needs_rate(namespace) != NULL ||
		prism_namespace_claim_check(namespace) != NULL;
}

/*
 * Who has not named it, and then reads what is stored, makes it anew from what
 * was chosen: all that depends on the back end is made again.
 */
void
prism_namespace_pin(PrismNamespace *namespace, const PrismStoredNamespace *stored)
{
	PrismPin   *pin;

	if (stored == NULL)
		return;
	pin = palloc(sizeof(*pin));
	*pin = prism_namespace_read_pin(stored);
	if (pin->backend != NULL && (pin->chosen || pin->partitions > namespace->partitions || pin->store != NULL))
		*namespace = *make_namespace(namespace->given, namespace->words_only, pin);
}

static void
make_backend(PrismNamespace *namespace, const PrismBackendKeys *given)
{
	namespace->backend_place = prism_is_given(&given->type) ? &given->type.place :
		prism_is_given(given) ? &given->place : &namespace->given->name.place;
	if (!prism_is_given(&given->type))
		namespace->backend = prism_choose_backend(namespace);
	else if ((namespace->backend = prism_backend_info(given->type.text)) == NULL)
		elog(ERROR, "back end \"%s\" has no entry", given->type.text);

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
	prism_choose_partitions(namespace);
	make_server(namespace, given);
}

static void
make_server(PrismNamespace *namespace, const PrismBackendKeys *given)
{
	if (prism_is_given(&given->server) && prism_is_given(&given->brokers))
		prism_complain(&given->brokers.place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("\"server\" and \"brokers\" must not be given both"),
					   errdetail("The server already says where its brokers are."));
	if (prism_is_given(&given->brokers))
		namespace->brokers = prism_endpoints_read(given->brokers.list);
	else if (namespace->backend->built && namespace->backend->wrapper != NULL)
		namespace->server = prism_is_given(&given->server) ? given->server.text : pstrdup(namespace->backend->name);
}

static void
make_needs(PrismNamespace *namespace, const PrismNeedsKeys *given)
{
	namespace->message_bytes_max = namespace->backend->message_bytes_max;
	namespace->exactly_once = prism_value_is(&given->delivery_guarantee, "exactly_once");
	prism_needs_read_log(namespace);
	if (!prism_is_given(&given->max_message_size))
		return;
	namespace->message_bytes_max = given->max_message_size.more ? PRISM_LARGE_MESSAGE_BYTES : given->max_message_size.number;
}

static void
make_outbox(PrismNamespace *namespace, const PrismPatternKeys *given)
{
	if (prism_value_is(&given->enabled, "false") || strcmp(given->type.text, "outbox") != 0)
		return;
	if (prism_is_given(&given->table))
	{
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
check_group_name(const PrismValue *group)
{
	if (strlen(group->text) > PRISM_GROUP_NAME_MAX)
		prism_complain(&group->place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("invalid consumer group name \"%s\"", prism_yaml_show(group->text)),
					   errdetail("It has %zu bytes; a name has 1 to %d.", strlen(group->text), PRISM_GROUP_NAME_MAX));
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
		check_group_name(&keys->group);
		if (note_group(groups, consumer->group))
			prism_complain(&keys->group.place,
						   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						   errmsg("consumer group \"%s\" is given twice", prism_yaml_show(consumer->group)));
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
		prism_complain(&given->ordering.place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("consumer must not have \"ordering: none\""),
					   errdetail("\"needs.ordered\" is true, " PRISM_AT ".", prism_at(&namespace->given->needs.ordered.place)),
					   errhint("Remove \"ordering: none\", or the need."));
	return given->ordering.text;
}

/* ---------- what is there ---------- */

/* All that the document cannot know: not for prism.check(). */
static void
check_surroundings(PrismNamespace *namespace)
{
	ListCell   *cell;

	if (namespace->words_only)
		return;
	foreach(cell, namespace->given->patterns.list)
	{
		const PrismPatternKeys *given = lfirst(cell);

		if (prism_value_is(&given->enabled, "false"))
			continue;
		check_database(&given->database, "outbox cannot be");
		check_database(&given->source.database, "changes cannot be captured");
	}
	check_database(&namespace->given->backend.database, "the log cannot be");
	prism_namespace_check_server(namespace);
}

/* What shares the caller's transaction, or reads this database's log, can only be in it. */
static void
check_database(const PrismValue *database, const char *what)
{
	if (prism_is_given(database) && strcmp(database->text, THIS_DATABASE) != 0 &&
		strcmp(database->text, get_database_name(MyDatabaseId)) != 0)
		prism_complain(&database->place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("%s in database \"%s\"", what, prism_yaml_show(database->text)),
					   errdetail("It is part of the transactions of this database, \"%s\".",
								 get_database_name(MyDatabaseId)),
					   errhint("Write \"database: postgres\", or apply the namespace in the other database."));
}
