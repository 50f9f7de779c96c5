/*-------------------------------------------------------------------------
 *
 * wait_event.c
 *	  What pg_stat_activity says that a process of prism's, or a caller, waits for.
 *
 * src/base/wait_event.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/wait_event.h"

static const char *const names[PRISM_WAIT_EVENTS] = {
	[PRISM_WAIT_WORK] = "PrismWork",
	[PRISM_WAIT_WORKERS_LEFT] = "PrismWorkersLeft",
	[PRISM_WAIT_MESSAGE] = "PrismMessage",
	[PRISM_WAIT_GROUP_READER] = "PrismGroupReader",
	[PRISM_WAIT_MARK] = "PrismMark",
	[PRISM_WAIT_SEGMENT] = "PrismSegment",
	[PRISM_WAIT_SETTLED] = "PrismSettled",
};

uint32
prism_wait_event(PrismWaitEvent event)
{
	static uint32 known[PRISM_WAIT_EVENTS];

	if (known[event] == 0)
		known[event] = prism_wait_event_new(names[event]);
	return known[event];
}
