/*-------------------------------------------------------------------------
 *
 * schedule_trouble.c
 *	  Topics to which the scheduler cannot deliver, so that others need not wait for them.
 *
 * One that is busy is held for a moment.
 *
 * A turn moves messages of many topics in one transaction: when it fails nobody
 * knows for which of them.  So they are tried one by one, and those that fail
 * alone are in trouble: other turns leave them out, and each is tried again
 * alone when its back-off is over.
 *
 * src/bgworker/schedule/schedule_trouble.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "bgworker/schedule/scheduler.h"
#include "bgworker/worker.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

typedef struct Trouble
{
	int32		topic_id;
	PrismBackoff backoff;
} Trouble;

/* It is no failure, and over in a moment. */
typedef struct Hold
{
	int32		topic_id;		/* hash key; must be first */
	PrismInstant until;
} Hold;

static List *troubles = NIL;	/* of Trouble */
static HTAB *holds = NULL;		/* NULL: none */
static List *avoided = NIL;		/* numbers of buckets */
static PrismReportLimit report_limit = {.clock = &prism_real_clock};

void
prism_hold(int32 topic_id, PrismInstant until)
{
	if (holds == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(int32),.entrysize = sizeof(Hold)};

		holds = hash_create("prism topics that are busy", 16, &control, HASH_ELEM | HASH_BLOBS);
	}
	((Hold *) hash_search(holds, &topic_id, HASH_ENTER, NULL))->until = until;
}

PrismInstant
prism_hold_until(int32 topic_id)
{
	const Hold *hold = holds != NULL ? hash_search(holds, &topic_id, HASH_FIND, NULL) : NULL;

	return hold != NULL ? hold->until : 0;
}

void
prism_hold_forget(void)
{
	if (holds != NULL)
		hash_destroy(holds);
	holds = NULL;
}

static Trouble *
find_trouble(int32 topic_id)
{
	ListCell   *cell;

	foreach(cell, troubles)
	{
		Trouble    *trouble = lfirst(cell);

		if (trouble->topic_id == topic_id)
			return trouble;
	}
	return NULL;
}

bool
prism_trouble_has(int32 topic_id)
{
	return find_trouble(topic_id) != NULL;
}

PrismInstant
prism_trouble_until(int32 topic_id)
{
	Trouble    *trouble = find_trouble(topic_id);

	return trouble != NULL ? trouble->backoff.retry_at : 0;
}

/* Somebody who has mended something does not want to wait. */
static void
hear_nudges(void)
{
	static uint64 nudges_seen = 0;
	ListCell   *cell;

	if (nudges_seen == prism_worker_nudges())
		return;
	nudges_seen = prism_worker_nudges();
	foreach(cell, troubles)
		((Trouble *) lfirst(cell))->backoff.retry_at = 0;
	if (avoided != NIL && troubles == NIL)
		prism_worker_show(PRISM_WORKER_RUNNING, NULL);
	list_free(avoided);
	avoided = NIL;
}

int32
prism_trouble_next(void)
{
	ListCell   *cell;

	hear_nudges();
	foreach(cell, troubles)
	{
		Trouble    *trouble = lfirst(cell);

		if (prism_backoff_remaining_ms(&trouble->backoff) == 0)
			return trouble->topic_id;
	}
	return 0;
}

/* At a bounded rate, for each cause and topic. */
static bool
is_reported(const char *topic_name, const ErrorData *error, int64 *times)
{
	const char *text = error->message_id != NULL ? error->message_id : error->message;
	uint32		cause = hash_bytes((const unsigned char *) text, strlen(text)) ^
		hash_bytes_uint32(error->sqlerrcode) ^ hash_bytes((const unsigned char *) topic_name, strlen(topic_name));

	return prism_report_decide(&report_limit, cause, times) != PRISM_REPORT_NOTHING;
}

bool
prism_bucket_is_avoided(int32 bucket_id)
{
	return list_member_int(avoided, bucket_id);
}

void
prism_bucket_avoid(int32 bucket_id, const ErrorData *error)
{
	const char *name = psprintf("prism_log.delayed_%d", bucket_id);
	MemoryContext caller_cxt = MemoryContextSwitchTo(TopMemoryContext);
	int64		times;

	avoided = lappend_int(avoided, bucket_id);
	MemoryContextSwitchTo(caller_cxt);
	prism_worker_show(PRISM_WORKER_BACKOFF, psprintf("%s: %s", name, error->message));
	if (!is_reported(name, error, &times))
		return;
	ereport(LOG,
			errcode(error->sqlerrcode),
			errmsg("delayed messages cannot be put into %s: %s", name, error->message),
			error->detail != NULL ? errdetail_internal("%s", error->detail) : 0,
			errhint("They are put into another table of the same time. Restore this one or REINDEX TABLE %s; then run SELECT prism.wake_workers().", name),
			errhidestmt(true), errhidecontext(true));
}

void
prism_trouble_begin(const ErrorData *error)
{
	int64		times;

	if (!is_reported("", error, &times))
		return;
	ereport(LOG,
			errcode(error->sqlerrcode),
			errmsg("delayed messages could not be delivered: %s", error->message),
			error->detail != NULL ? errdetail_internal("%s", error->detail) : 0,
			errhint("It is tried again, now for one topic at a time."),
			errhidestmt(true), errhidecontext(true));
}

static void
report_trouble(const char *topic_name, const ErrorData *error)
{
	int64		times;

	prism_worker_show(PRISM_WORKER_BACKOFF, psprintf("topic \"%s\": %s", topic_name, error->message));
	if (!is_reported(topic_name, error, &times))
		return;
	ereport(LOG,
			errcode(error->sqlerrcode),
			errmsg("delayed messages of topic \"%s\" cannot be delivered: %s", topic_name, error->message),
			error->detail != NULL ? errdetail_internal("%s", error->detail) : 0,
			errhint("They wait, other topics do not; it is tried again (failure " INT64_FORMAT " of this kind since the last report).%s%s",
					times, error->hint != NULL ? " " : "", error->hint != NULL ? error->hint : ""),
			errhidestmt(true), errhidecontext(true));
}

void
prism_trouble_note(int32 topic_id, const char *topic_name, const ErrorData *error)
{
	Trouble    *trouble = find_trouble(topic_id);

	if (trouble == NULL)
	{
		MemoryContext caller_cxt = MemoryContextSwitchTo(TopMemoryContext);

		trouble = palloc0(sizeof(Trouble));
		trouble->topic_id = topic_id;
		trouble->backoff.clock = &prism_real_clock;
		troubles = lappend(troubles, trouble);
		MemoryContextSwitchTo(caller_cxt);
	}
	(void) prism_backoff_fail(&trouble->backoff);
	report_trouble(topic_name, error);
}

void
prism_trouble_clear(int32 topic_id)
{
	Trouble    *trouble = find_trouble(topic_id);

	if (trouble == NULL)
		return;
	troubles = list_delete_ptr(troubles, trouble);
	pfree(trouble);
	if (troubles == NIL && avoided == NIL)
		prism_worker_show(PRISM_WORKER_RUNNING, NULL);
}
