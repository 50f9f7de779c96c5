/*-------------------------------------------------------------------------
 *
 * handler_report.c
 *	  Failures of handlers in the server log.
 *
 * What fails is a user's function, and so is what it says: as long as memory
 * holds, and again and again.
 *
 * src/bgworker/handle/handler_report.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/handle/handler_loop.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"

/* The most bytes of an error message that the server log gets. */
#define REPORT_BYTES_MAX 1024

static const char *
clip(const char *text)
{
	return pnstrdup(text, pg_mbcliplen(text, strlen(text), REPORT_BYTES_MAX));
}

void
prism_handler_report_places(PrismReportLimit *limit, const List *placeless)
{
	const PrismHandlerFault *fault = prism_handler_no_place();
	const PrismHandler *first = linitial(placeless);
	int64		times;

	if (prism_report_decide(limit, 0, &times) == PRISM_REPORT_NOTHING)
		return;
	ereport(LOG,
			errcode(fault->sqlstate),
			errmsg_internal("%s", fault->message),
			errdetail("Of role \"%s\" %d wait for one, among them that of consumer group \"%s\".",
					  first->role, list_length(placeless), first->group_name),
			errhint("%s", fault->hint),
			errhidestmt(true));
}

void
prism_handler_report(const PrismHandler *handler, PrismReportLimit *limit, const ErrorData *error, const char *what)
{
	const char *text = error->message_id != NULL ? error->message_id : error->message;
	uint32		cause = hash_bytes((const unsigned char *) text, strlen(text)) ^ hash_bytes_uint32(error->sqlerrcode);
	int64		times;

	if (prism_report_decide(limit, cause, &times) == PRISM_REPORT_NOTHING)
		return;
	ereport(LOG,
			errcode(error->sqlerrcode),
			errmsg("handler %s of consumer group \"%s\" failed: %s",
				   prism_handler_function(handler), handler->group_name, clip(error->message)),
			error->detail != NULL ? errdetail_internal("%s", clip(error->detail)) : 0,
			errcontext("%s", what),
			errhint("prism.handlers shows how it stands (failure " INT64_FORMAT " of this kind since the last report).", times),
			errhidestmt(true));
}
