/*-------------------------------------------------------------------------
 *
 * kinds.c
 *	  The table of the kinds of workers.
 *
 * src/bgworker/kinds.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/guc.h"
#include "bgworker/kinds.h"
#include "bgworker/wanted.h"

#define KIND(kind, name_, place_, carries_, has_view_, want_, look_) \
	[kind] = { \
		.name = #name_, \
		.main = "prism_" #name_ "_main", \
		.place = place_, \
		.carries = carries_, \
		.has_view = has_view_, \
		.want = want_, \
		.look = look_, \
	},

static const PrismWorkerKindInfo kinds[] = {
	PRISM_WORKER_KINDS(KIND)
};

const PrismWorkerKindInfo *
prism_worker_kind(PrismWorkerKind kind)
{
	Assert((size_t) kind < lengthof(kinds));
	return &kinds[kind];
}

bool
prism_worker_is_off(PrismWorkerKind kind)
{
	return !prism_enabled && prism_worker_kind(kind)->carries;
}

void
prism_worker_kind_describe(PrismWorkerKind kind, BackgroundWorker *worker)
{
	const PrismWorkerKindInfo *info = prism_worker_kind(kind);

	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	/* nothing runs on a standby, and all of it after a promotion */
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	snprintf(worker->bgw_name, sizeof(worker->bgw_name), "prism %s", info->name);
	snprintf(worker->bgw_type, sizeof(worker->bgw_type), "prism %s", info->name);
	strlcpy(worker->bgw_library_name, "prism", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, info->main, sizeof(worker->bgw_function_name));
}
