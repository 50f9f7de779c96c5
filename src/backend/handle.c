/*-------------------------------------------------------------------------
 *
 * handle.c
 *	  Foreign handles that live exactly as long as a memory context.
 *
 * An error in PostgreSQL jumps over the caller's cleanup.  A handle of
 * librdkafka must not be lost then, so its release hangs on the context.
 *
 * The end of a process resets no context, and a library whose threads still
 * run while exit() tears down OpenSSL may crash, which would restart the whole
 * server.  So the open handles are also kept in a list, and released by a
 * callback before the process leaves shared memory.
 *
 * src/backend/handle.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "backend/handle.h"

#include "lib/ilist.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

struct PrismHandle
{
	MemoryContextCallback callback;
	dlist_node	node;			/* in open_handles while foreign is not NULL */
	PrismRelease release;
	void	   *foreign;
};

static dlist_head open_handles = DLIST_STATIC_INIT(open_handles);
static void (*exit_callback) (void) = NULL;
static bool exit_registered = false;

static void
release_handle(void *arg)
{
	PrismHandle *handle = arg;
	void	   *foreign = handle->foreign;

	if (foreign == NULL)
		return;
	handle->foreign = NULL;
	dlist_delete(&handle->node);
	handle->release(foreign);
}

static void
release_all(int code, Datum arg)
{
	while (!dlist_is_empty(&open_handles))
		release_handle(dlist_head_element(PrismHandle, node, &open_handles));
	if (exit_callback != NULL)
		exit_callback();
}

PrismHandle *
prism_handle_new(MemoryContext mcxt)
{
	PrismHandle *handle = MemoryContextAllocZero(mcxt, sizeof(PrismHandle));

	if (!exit_registered)
	{
		before_shmem_exit(release_all, (Datum) 0);
		exit_registered = true;
	}
	handle->callback.func = release_handle;
	handle->callback.arg = handle;
	MemoryContextRegisterResetCallback(mcxt, &handle->callback);
	return handle;
}

void
prism_handle_hold(PrismHandle *handle, PrismRelease release, void *foreign)
{
	Assert(handle->foreign == NULL && foreign != NULL);
	handle->release = release;
	handle->foreign = foreign;
	dlist_push_tail(&open_handles, &handle->node);
}

void
prism_handles_at_exit(void (*callback) (void))
{
	Assert(exit_callback == NULL || exit_callback == callback);
	exit_callback = callback;
}
