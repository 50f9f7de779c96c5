/*-------------------------------------------------------------------------
 *
 * module.c
 *	  The callbacks of prism's parts, one part after the other.
 *
 * src/base/module.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/module.h"

#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

static const PrismModule *modules = NULL;
static int	module_count = 0;

/* The modules that have a callback which each transaction calls, in order: most have only some of them. */
typedef struct Callers
{
	int			count;
	const PrismModule *of[PRISM_MODULES_MAX];
} Callers;

static Callers have_has_work;
static Callers have_pre_commit;
static Callers have_end;
static Callers have_told;

#define NOTE_CALLER(callback) \
	if (module->callback != NULL) \
		have_##callback.of[have_##callback.count++] = module

/* Call that of each. */
#define CALL_NOTED(callback, ...) \
	for (int i = 0; i < have_##callback.count; i++) \
		have_##callback.of[i]->callback(__VA_ARGS__)

/* Call what a module has of this callback. */
#define CALL_ALL(callback, ...) \
	for (const PrismModule *module = modules; module < modules + module_count; module++) \
		if (module->callback != NULL) \
			module->callback(__VA_ARGS__)

void
prism_modules_register(const PrismModule *table, int count)
{
	Assert(modules == NULL && count <= PRISM_MODULES_MAX);
	modules = table;
	module_count = count;
	for (const PrismModule *module = modules; module < modules + module_count; module++)
	{
		NOTE_CALLER(has_work);
		NOTE_CALLER(pre_commit);
		NOTE_CALLER(end);
		NOTE_CALLER(told);
	}
}

void
prism_modules_request_shmem(void)
{
	for (int i = 0; i < module_count; i++)
	{
		const PrismModule *module = &modules[i];

		if (module->shmem_size != NULL)
			RequestAddinShmemSpace(module->shmem_size());
		if (module->tranche != NULL)
			RequestNamedLWLockTranche(module->tranche, module->lwlocks != NULL ? module->lwlocks() : 1);
	}
}

void
prism_modules_init_shmem(void)
{
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	CALL_ALL(shmem_init);
	LWLockRelease(AddinShmemInitLock);
}

bool
prism_modules_have_work(void)
{
	for (int i = 0; i < have_has_work.count; i++)
		if (have_has_work.of[i]->has_work())
			return true;
	return false;
}

void
prism_modules_pre_commit(bool gone)
{
	CALL_NOTED(pre_commit, gone);
}

void
prism_modules_pre_prepare(void)
{
	if (prism_modules_have_work())
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot PREPARE a transaction that has published, consumed or acknowledged messages"),
				errhint("Commit it in one phase."));
	CALL_ALL(pre_prepare);
}

void
prism_modules_prepared(void)
{
	CALL_ALL(prepared);
}

void
prism_modules_end(bool committed)
{
	CALL_NOTED(end, committed);
}

void
prism_modules_subcommit(int nest_level)
{
	CALL_ALL(subcommit, nest_level);
}

void
prism_modules_subabort(int nest_level)
{
	CALL_ALL(subabort, nest_level);
}

void
prism_modules_told(void)
{
	CALL_NOTED(told);
}

void
prism_modules_give_back(void)
{
	CALL_ALL(give_back);
}

void
prism_modules_forget_database(Oid database, bool dropped)
{
	CALL_ALL(forget_database, database, dropped);
}
