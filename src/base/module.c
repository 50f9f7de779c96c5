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

/* Call what a module has of this callback. */
#define CALL_ALL(callback, ...) \
	for (const PrismModule *module = modules; module < modules + module_count; module++) \
		if (module->callback != NULL) \
			module->callback(__VA_ARGS__)

void
prism_modules_register(const PrismModule *table, int count)
{
	modules = table;
	module_count = count;
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
	for (int i = 0; i < module_count; i++)
		if (modules[i].has_work != NULL && modules[i].has_work())
			return true;
	return false;
}

void
prism_modules_pre_commit(bool gone)
{
	CALL_ALL(pre_commit, gone);
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
	CALL_ALL(end, committed);
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
	CALL_ALL(told);
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
