/*-------------------------------------------------------------------------
 *
 * wanted.c
 *	  Which workers a database needs, as the catalogue says.
 *
 * src/bgworker/wanted.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/patience.h"
#include "base/query.h"
#include "bgworker/wanted.h"
#include "store/delay/delay.h"
#include "store/handler/handler.h"

#include "common/pg_prng.h"
#include "miscadmin.h"

#define FIRST_ROOM 16

/*
 * One row a forwarder: a foreign server that sinks name, or an inline endpoint
 * (store/sink/sink.h).  A sink whose server was dropped has nobody to serve it.
 */
static const char forwarders_query[] =
"SELECT coalesce(v.server_oid, 0::oid), CASE WHEN v.server_oid IS NULL THEN min(s.sink_id) ELSE 0 END"
" FROM prism.sink s LEFT JOIN prism.sink_server v USING (sink_id)"
" WHERE s.server IS NULL OR v.server_oid IS NOT NULL"
" GROUP BY v.server_oid, CASE WHEN v.server_oid IS NULL THEN s.backend END,"
" CASE WHEN v.server_oid IS NULL THEN s.config -> 'brokers' END"
" ORDER BY 1, 2";

/* Identities are compared byte by byte: all of one that is not set is zero. */
static PrismWorkerIdentity *
want(PrismWantedList *wanted, PrismWorkerKind kind)
{
	PrismWanted *worker;

	if (wanted->count == wanted->room)
	{
		wanted->room = Max(FIRST_ROOM, wanted->room * 2);
		wanted->workers = wanted->workers == NULL
			? palloc(wanted->room * sizeof(PrismWanted))
			: repalloc(wanted->workers, wanted->room * sizeof(PrismWanted));
	}
	worker = &wanted->workers[wanted->count++];
	memset(worker, 0, sizeof(*worker));
	worker->identity.kind = kind;
	worker->identity.database = MyDatabaseId;
	return &worker->identity;
}

void
prism_want_maintainer(PrismWantedList *wanted)
{
	(void) want(wanted, PRISM_MAINTAINER);
}

void
prism_want_forwarders(PrismWantedList *wanted)
{
	PrismQueryRows rows = prism_query_read(forwarders_query, 0, NULL, NULL, 0);

	for (uint64 i = 0; i < rows.count; i++)
	{
		PrismWorkerIdentity *forwarder = want(wanted, PRISM_FORWARDER);

		forwarder->server = prism_column_oid(&rows.row[i], 1);
		forwarder->sink_id = prism_column_int32(&rows.row[i], 2);
	}
}

static void
ask_for_work(void *arg)
{
	*(bool *) arg = prism_delay_has_work();
}

/* When the journal cannot be looked at, the scheduler finds out itself. */
void
prism_want_scheduler(PrismWantedList *wanted)
{
	bool		has_work = false;

	if (!prism_look_without_waiting(ask_for_work, &has_work, NULL) || has_work)
		(void) want(wanted, PRISM_SCHEDULER);
}

/*
 * One for each role that has handlers.  A role that cannot connect would make
 * process after process fail: prism.handlers says why there is none.  When
 * there are more than slots, not always the same ones find none.
 */
void
prism_want_handlers(PrismWantedList *wanted)
{
	List	   *roles = NIL;
	ListCell   *cell;

	foreach(cell, prism_handler_list(InvalidOid))
	{
		const PrismHandler *handler = lfirst(cell);

		if (!list_member_oid(roles, handler->role_oid) &&
			prism_handler_check_role(handler->role_oid, handler->role) == NULL)
			roles = list_insert_nth_oid(roles, (int) pg_prng_uint64_range(&pg_global_prng_state, 0, list_length(roles)),
										handler->role_oid);
	}
	foreach(cell, roles)
		want(wanted, PRISM_HANDLER_WORKER)->role = lfirst_oid(cell);
}

/* Handlers that have nothing to do, as far as their last process and the topics' counters tell, need no process. */
void
prism_look_for_calls(PrismWanted *wanted, uint64 epoch)
{
	wanted->due = prism_handler_role_due(wanted->identity.role, epoch);
	wanted->use_ms = prism_handler_role_use_ms(wanted->identity.role);
}
