/*-------------------------------------------------------------------------
 *
 * workers_view.c
 *	  prism.workers: what slots.c knows, for people.
 *
 * src/observe/workers_view.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/extension.h"
#include "base/guc.h"
#include "bgworker/slots.h"

#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define WORKERS_COLUMNS 11
/* The launcher has come when the server takes connections, or a moment later. */
#define LAUNCHER_PATIENCE_MS 5000

PG_FUNCTION_INFO_V1(prism_workers);
PG_FUNCTION_INFO_V1(prism_worker_trouble);

static bool may_see_workers(void);
static void put_worker(ReturnSetInfo *result, const PrismWorkerSlot *slot);
static const char *hint_for(const PrismWorkerSlot *slot);
static char *readable_error(const PrismWorkerSlot *slot);

/* The rows of prism.workers; none for those who may not see what others do. */
Datum
prism_workers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	PrismWorkerSlot *slots;
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	if (!prism_preloaded || RecoveryInProgress() || !may_see_workers())
		return (Datum) 0;		/* on a standby none is wanted */

	slots = palloc(prism_worker_slots_max() * sizeof(*slots));
	count = prism_worker_slots(slots);
	for (int i = 0; i < count; i++)
		put_worker(result, &slots[i]);
	return (Datum) 0;
}

/* Of the server and of this database; sinks and handlers have views of their own that tell of theirs. */
static bool
is_for_all(const PrismWorkerSlot *slot)
{
	return !prism_worker_kind(slot->identity.kind)->has_view &&
		(!OidIsValid(slot->identity.database) || slot->identity.database == MyDatabaseId);
}

/* The postmaster starts it, and tries for ever: it finds no place among max_worker_processes. */
static bool
is_missing(const PrismWorkerSlot *slot)
{
	return slot->identity.kind == PRISM_LAUNCHER && slot->state == PRISM_WORKER_STARTING && slot->pid == 0 &&
		prism_has_passed(slot->since, prism_instant(), LAUNCHER_PATIENCE_MS);
}

/* What is in the way of the worker, NULL: nothing. */
static const char *
trouble_of(const PrismWorkerSlot *slot)
{
	if (is_missing(slot))
		return "without a process";
	switch (slot->state)
	{
		case PRISM_WORKER_BACKOFF:
		case PRISM_WORKER_NO_SLOT:
		case PRISM_WORKER_FAILED:
			return prism_worker_state_name(slot->state);
		default:
			return NULL;
	}
}

static void
put_trouble(ReturnSetInfo *result, const char *kind, const char *state)
{
	Datum		values[2] = {CStringGetTextDatum(kind), CStringGetTextDatum(state)};
	bool		nulls[2] = {false, false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* Everybody who sees prism.status may know of it; the error texts are in prism.workers. */
Datum
prism_worker_trouble(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	PrismWorkerSlot *slots;
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	if (!prism_preloaded || RecoveryInProgress())
		return (Datum) 0;
	if (!prism_enabled)
		put_trouble(result, "all", "switched off");
	slots = palloc(prism_worker_slots_max() * sizeof(*slots));
	count = prism_worker_slots(slots);
	for (int i = 0; i < count; i++)
	{
		const char *trouble = is_for_all(&slots[i]) ? trouble_of(&slots[i]) : NULL;

		if (trouble != NULL)
			put_trouble(result, prism_worker_kind(slots[i].identity.kind)->name, trouble);
	}
	return (Datum) 0;
}

static bool
may_see_workers(void)
{
	return superuser() ||
		has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		has_privs_of_role(GetUserId(), prism_owner());
}

static void
put_worker(ReturnSetInfo *result, const PrismWorkerSlot *slot)
{
	Datum		values[WORKERS_COLUMNS] = {0};
	bool		nulls[WORKERS_COLUMNS] = {0};
	const char *hint = hint_for(slot);

	values[0] = CStringGetTextDatum(prism_worker_kind(slot->identity.kind)->name);
	values[1] = ObjectIdGetDatum(slot->identity.database);
	nulls[1] = !OidIsValid(slot->identity.database);
	values[2] = ObjectIdGetDatum(slot->identity.server);
	nulls[2] = !OidIsValid(slot->identity.server);
	values[3] = Int32GetDatum(slot->identity.sink_id);
	nulls[3] = slot->identity.sink_id == 0;
	values[4] = Int32GetDatum(slot->pid);
	nulls[4] = slot->pid == 0;
	values[5] = CStringGetTextDatum(prism_worker_state_name(slot->state));
	values[6] = TimestampTzGetDatum(slot->since_time);
	values[7] = Int32GetDatum(slot->restarts);
	nulls[8] = slot->error[0] == '\0';
	if (!nulls[8])
		values[8] = CStringGetTextDatum(readable_error(slot));
	nulls[9] = hint == NULL;
	if (hint != NULL)
		values[9] = CStringGetTextDatum(hint);
	values[10] = ObjectIdGetDatum(slot->identity.role);
	nulls[10] = !OidIsValid(slot->identity.role);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* Another database may have another encoding: what is not ASCII in its texts cannot be shown here. */
static char *
readable_error(const PrismWorkerSlot *slot)
{
	char	   *error = pstrdup(slot->error);

	if (slot->identity.database == MyDatabaseId)
		return error;
	for (char *c = error; *c != '\0'; c++)
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
	return error;
}

/* What to do about a state, if there is something to do. */
static const char *
hint_for(const PrismWorkerSlot *slot)
{
	if (is_missing(slot))
		return "Raise max_worker_processes and restart the server.";
	switch (slot->state)
	{
		case PRISM_WORKER_NO_SLOT:
			return "Raise max_worker_processes or prism.max_workers and restart the server.";
		case PRISM_WORKER_BACKOFF:
			return "It is tried again by itself; the server log has the whole error.";
		case PRISM_WORKER_FAILED:
			return "It goes on when what the error names has been changed.";
		default:
			return NULL;
	}
}
