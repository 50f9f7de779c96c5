/*-------------------------------------------------------------------------
 *
 * log_needs.c
 *	  What a namespace needs of its log: durability, replay, retention.
 *
 * src/namespace/log_needs.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/schema.h"
#include "namespace/spec.h"

static void read_durability(PrismNamespace *namespace, const PrismYaml *needs);
static void read_retention(PrismTopicPolicy *policy, const PrismYaml *retention);
static void read_backlog(PrismTopicPolicy *policy, const PrismYaml *needs);

void
prism_needs_read_log(PrismNamespace *namespace, const PrismYaml *needs)
{
	namespace->policy.retention_ms = PRISM_RETENTION_DEFAULT;
	read_durability(namespace, needs);
	if (needs == NULL)
		return;
	namespace->policy.no_replay = prism_yaml_is(needs, "replay", "disabled") != NULL;
	namespace->policy.unordered = prism_yaml_is(needs, "ordered", "false") != NULL;
	read_retention(&namespace->policy, prism_yaml_get(needs, "retention"));
	read_backlog(&namespace->policy, needs);
}

/* A durable queue that may forget would be a contradiction in itself. */
static void
read_durability(PrismNamespace *namespace, const PrismYaml *needs)
{
	const PrismYaml *relaxed = needs != NULL ? prism_yaml_is(needs, "durability", "relaxed") : NULL;

	if (namespace->api->durable && relaxed != NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("client API \"%s\" cannot have relaxed durability " PRISM_AT,
					   namespace->api->name, prism_at(relaxed)),
				errhint("Remove \"durability: relaxed\", or use \"client_api: queue\"."));
	namespace->policy.synchronous = namespace->api->durable ||
		(needs != NULL && prism_yaml_is(needs, "durability", "strong") != NULL);
}

/* One value says whether it is a time or a size by its unit; a map has both. */
static void
read_retention(PrismTopicPolicy *policy, const PrismYaml *retention)
{
	const PrismYaml *value;

	if (retention == NULL)
		return;
	if (retention->kind == PRISM_YAML_SCALAR)
	{
		if (!prism_parse_retention_time(retention->text, &policy->retention_ms))
			(void) prism_parse_retention_size(retention->text, &policy->retention_bytes);
		return;
	}
	value = prism_yaml_get(retention, "time");
	if (value != NULL)
		(void) prism_parse_retention_time(value->text, &policy->retention_ms);
	value = prism_yaml_get(retention, "size");
	if (value != NULL)
		(void) prism_parse_retention_size(value->text, &policy->retention_bytes);
}

/* What says nothing without another key is not ignored. */
static void
read_backlog(PrismTopicPolicy *policy, const PrismYaml *needs)
{
	const PrismYaml *max_backlog = prism_yaml_get(needs, "max_backlog");
	const PrismYaml *on_full = prism_yaml_get(needs, "on_full");

	policy->for_consumers = prism_yaml_is(needs, "retain", "consumers") != NULL;
	if (max_backlog != NULL && !policy->for_consumers)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"needs.max_backlog\" has no meaning without \"retain: consumers\" " PRISM_AT,
					   prism_at(max_backlog)),
				errhint("Add \"retain: consumers\", or leave it out."));
	if (on_full != NULL && max_backlog == NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"needs.on_full\" has no meaning without \"max_backlog\" " PRISM_AT,
					   prism_at(on_full)),
				errhint("Add \"max_backlog: ...\", or leave it out."));
	if (max_backlog != NULL)
		policy->backlog_max = prism_yaml_integer(max_backlog);
	policy->reject = prism_yaml_is(needs, "on_full", "reject") != NULL;
}
