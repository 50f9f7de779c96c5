/*-------------------------------------------------------------------------
 *
 * lane_report.c
 *	  Faults of the other side in the server's log, at a bounded rate.
 *
 * src/bgworker/forward/lane_report.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/forward/forwarder.h"

#include "common/hashfn.h"

void
prism_lane_report(PrismLane *lane, const char *what, const char *error, const char *detail)
{
	uint32		cause = hash_bytes((const unsigned char *) what, (int) strlen(what));
	int64		times;

	switch (prism_report_decide(&lane->report, cause, &times))
	{
		case PRISM_REPORT_FULL:
			ereport(LOG,
					errmsg("forwarding to \"%s\": %s: %s", lane->forwarder->endpoint.name, what, error),
					errdetail("%s", detail));
			break;
		case PRISM_REPORT_SUMMARY:
			ereport(LOG,
					errmsg("forwarding to \"%s\": %s: %s (" INT64_FORMAT " times since the last line)",
						   lane->forwarder->endpoint.name, what, error, times));
			break;
		case PRISM_REPORT_NOTHING:
			break;
	}
}

char *
prism_route_called(const PrismRoute *route)
{
	return psprintf("sink \"%s\" of topic \"%s\"", route->sink.name, route->sink.topic_name);
}
