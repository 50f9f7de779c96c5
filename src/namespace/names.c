/*-------------------------------------------------------------------------
 *
 * names.c
 *	  What may be the name of a namespace, a topic, a table.
 *
 * src/namespace/names.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/complaint.h"
#include "namespace/spec.h"
#include "store/log/dead_letter.h"
#include "store/log/topic.h"

static bool check_name(const char *what, const char *name, const PrismPlace *place);
static bool check_topic_name(const char *name, const PrismPlace *place);
static void check_table_name(const char *table, const PrismPlace *place);

/* All names can be names of Kafka topics: that of the namespace too, as it is the topic's by default. */
void
prism_namespace_check_names(const PrismNamespace *namespace)
{
	const char *name = namespace->name;
	const char *topic = namespace->topic;
	bool		good = check_name("namespace", name, &namespace->given->name.place);

	if (topic != name)
		good = check_topic_name(topic, namespace->topic_place);
	if (good)
		good = check_topic_name(psprintf("%s" PRISM_DEAD_LETTER_SUFFIX, topic), namespace->topic_place);
	if (good && namespace->target != topic)
		(void) check_topic_name(namespace->target, namespace->target_place);
	if (good && prism_dead_letter_reserves(topic))
		prism_complain(namespace->topic_place,
					   errcode(ERRCODE_RESERVED_NAME),
					   errmsg("topic name \"%s\" is reserved", topic),
					   errdetail("Names that end with \"%s\" are those of dead letters, which come with their topic.",
								 PRISM_DEAD_LETTER_SUFFIX));
	if (namespace->table != NULL)
		check_table_name(namespace->table, namespace->table_place);
}

static bool
check_topic_name(const char *name, const PrismPlace *place)
{
	return check_name("topic", name, place);
}

/* What is told is what was written; the rule is that of topics for both. */
static bool
check_name(const char *what, const char *name, const PrismPlace *place)
{
	const char *fault = prism_topic_name_fault(name);

	if (fault != NULL)
		prism_complain(place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("invalid %s name \"%s\"", what, prism_yaml_show(name)),
					   errdetail("%s", fault));
	return fault == NULL;
}

/* A name that PostgreSQL would cut is another name. */
static void
check_table_name(const char *table, const PrismPlace *place)
{
	if (strlen(table) >= NAMEDATALEN)
		prism_complain(place,
					   errcode(ERRCODE_NAME_TOO_LONG),
					   errmsg("table name \"%s\" is too long", prism_yaml_show(table)),
					   errdetail("It has %zu bytes; the limit is %d.", strlen(table), NAMEDATALEN - 1));
}
