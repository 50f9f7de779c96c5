/*-------------------------------------------------------------------------
 *
 * savepoint.c
 *	  A part of a transaction that can fail, or be undone, by itself.
 *
 * An error that left the subtransaction open would leave the session in it, so
 * it goes on only from behind the rollback.
 *
 * src/base/savepoint.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/savepoint.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

static ErrorData *
run_in_savepoint(void (*part) (void *arg), void *arg, bool keep)
{
	MemoryContext caller_mcxt = CurrentMemoryContext;
	ResourceOwner caller_owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller_mcxt);
	PG_TRY();
	{
		part(arg);
		if (keep)
			ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller_mcxt);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	if (error != NULL || !keep)
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller_mcxt);
	CurrentResourceOwner = caller_owner;
	return error;
}

ErrorData *
prism_savepoint_try(void (*part) (void *arg), void *arg)
{
	return run_in_savepoint(part, arg, true);
}

ErrorData *
prism_savepoint_undo(void (*part) (void *arg), void *arg)
{
	return run_in_savepoint(part, arg, false);
}
