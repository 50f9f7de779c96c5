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
#include "namespace/complaint.h"
#include "namespace/spec.h"

static bool must_be_durable(const PrismNamespace *namespace);
static void check_backlog(const PrismNeedsKeys *given);

void
prism_needs_read_log(PrismNamespace *namespace)
{
	const PrismNeedsKeys *given = &namespace->given->needs;
	PrismTopicPolicy *policy = &namespace->policy;

	check_backlog(given);
	namespace->durable = must_be_durable(namespace);
	policy->no_replay = prism_value_is(&given->replay, "disabled");
	policy->unordered = prism_value_is(&given->ordered, "false");
	policy->retention_ms = prism_is_given(&given->retention.time) ? given->retention.time.number : PRISM_RETENTION_DEFAULT;
	policy->retention_bytes = given->retention.size.number;
	policy->for_consumers = prism_value_is(&given->retain, "consumers");
	policy->backlog_max = given->max_backlog.number;
	policy->reject = prism_value_is(&given->on_full, "reject");
}

/* A durable queue that may forget is refused in contradiction.c. */
static bool
must_be_durable(const PrismNamespace *namespace)
{
	return namespace->api->durable || prism_value_is(&namespace->given->needs.durability, "strong");
}

/* What says nothing without another key is not ignored. */
static void
check_backlog(const PrismNeedsKeys *given)
{
	if (prism_is_given(&given->max_backlog) && !prism_value_is(&given->retain, "consumers"))
		prism_complain(&given->max_backlog.place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("\"needs.max_backlog\" has no meaning without \"retain: consumers\""),
					   errhint("Add \"retain: consumers\", or leave it out."));
	if (prism_is_given(&given->on_full) && !prism_is_given(&given->max_backlog))
		prism_complain(&given->on_full.place,
					   errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					   errmsg("\"needs.on_full\" has no meaning without \"max_backlog\""),
					   errhint("Add \"max_backlog: ...\", or leave it out."));
}
