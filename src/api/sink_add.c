/*-------------------------------------------------------------------------
 *
 * sink_add.c
 *	  Sinks of a topic beside the one of its namespace's backend.
 *
 * No key of a namespace asks for one yet.  What will, beside its own work, does
 * what these two do; until then they are for tests, and for the owner of the
 * extension alone.
 *
 * src/api/sink_add.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/access.h"
#include "api/apply_parts.h"
#include "api/arguments.h"
#include "base/extension.h"
#include "base/generation.h"
#include "bgworker/wakeup.h"
#include "store/log/log.h"
#include "store/sink/sink.h"
#include "store/sink/sink_ddl.h"

#include "fmgr.h"
#include "miscadmin.h"

PG_FUNCTION_INFO_V1(prism_add_sink);
PG_FUNCTION_INFO_V1(prism_drop_sink);

/* The topic of the namespace, which nobody else changes from here on. */
static PrismNamespaceWork
lock_namespace(FunctionCallInfo fcinfo)
{
	char	   *name = prism_text_argument(fcinfo, 0, "namespace");
	PrismNamespaceWork work = {0};

	prism_require_preload();
	prism_check_version();
	if (!prism_access_is_owner())
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for the sinks of namespace \"%s\"", prism_yaml_show(name)),
				errdetail("Only superusers and the owner of extension \"prism\" add and drop them."));
	work.stored = prism_access_find_and_lock(name);
	work.namespace_id = work.stored->namespace_id;
	prism_namespace_find_topic(&work);
	if (work.topic_id == 0)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("namespace \"%s\" has lost its topic", name),
				errhint("Apply the namespace again."));
	return work;
}

/* What the sink is to be, as the backend of a namespace's configuration says it. */
static PrismSinkRow
read_sink(FunctionCallInfo fcinfo)
{
	char	   *config = prism_text_argument(fcinfo, 2, "config");
	List	   *namespaces = prism_namespaces_read(config, strlen(config));
	const PrismNamespace *wanted = linitial(namespaces);
	PrismSinkRow sink = {
		.name = prism_text_argument(fcinfo, 1, "sink"),.server = wanted->server,
		.config = prism_namespace_sink_config(wanted),.any_endpoint = superuser()
	};

	if (list_length(namespaces) != 1 || strcmp(wanted->name, prism_text_argument(fcinfo, 0, "namespace")) != 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the configuration of a sink has to be one of its namespace, and of no other"));
	if (sink.config == NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("backend \"%s\" sends nothing", wanted->backend->name));
	if (sink.name[0] == '\0' || strlen(sink.name) >= NAMEDATALEN)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_NAME),
				errmsg("the name of a sink has to have 1 to %d bytes", NAMEDATALEN - 1));
	sink.backend = pstrdup(wanted->backend->name);
	return sink;
}

/* It begins there, and not with the first message kept. */
static void
begin_sink_at(int32 topic_id, int32 sink_id, int64 position)
{
	PrismTopic *topic = prism_topic_lookup_id(topic_id, false);
	int64		earliest = prism_log_earliest(topic);
	int64		stable = prism_log_stable(topic);

	if (position < earliest || position > stable)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("position " INT64_FORMAT " is not in the log of topic \"%s\"", position, topic->name),
				errdetail("The log begins at " INT64_FORMAT " and ends at " INT64_FORMAT ".", earliest, stable));
	prism_sink_record(sink_id, PRISM_SINK_POSITION, position);
}

/* prism_internal.add_sink(namespace, sink, config, from_position) */
Datum
prism_add_sink(PG_FUNCTION_ARGS)
{
	PrismNamespaceWork work = lock_namespace(fcinfo);
	PrismSinkRow sink = read_sink(fcinfo);
	int32		sink_id = prism_sink_put(work.topic_id, &sink);

	if (!PG_ARGISNULL(3))
		begin_sink_at(work.topic_id, sink_id, PG_GETARG_INT64(3));
	prism_wake_at_commit();
	PG_RETURN_VOID();
}

/* prism_internal.drop_sink(namespace, sink, force) */
Datum
prism_drop_sink(PG_FUNCTION_ARGS)
{
	PrismNamespaceWork work = lock_namespace(fcinfo);
	char	   *name = prism_text_argument(fcinfo, 1, "sink");
	PrismSinkRow *sink;

	prism_topic_shut(work.topic_id);
	sink = prism_sink_find(work.topic_id, name);
	if (sink == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("topic \"%s\" has no sink \"%s\"", work.topic_name, name),
				errhint("prism.sinks lists the sinks of each topic."));
	if (sink->own)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("sink \"%s\" is the one of its namespace's backend", name),
				errhint("Apply the namespace with another backend."));
	if (!PG_GETARG_BOOL(2) && prism_sink_waiting(work.topic_id, sink->sink_id))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("messages of topic \"%s\" wait for their sink", work.topic_name),
				errdetail("The sink \"%s\" does not have them yet; prism.sinks shows how many.", name),
				errhint("Let the sink catch up, or lose them by force."));
	prism_sink_drop(sink);
	prism_wake_at_commit();
	PG_RETURN_VOID();
}
