/*-------------------------------------------------------------------------
 *
 * load.c
 *	  The operations of a back end, from its library.
 *
 * A host need not have every client library, and may get one later: a library
 * that cannot be loaded is an answer here, and no error.
 *
 * src/backend/load.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/backend.h"
#include "backend/queue.h"
#include "backend/registry.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include <dlfcn.h>

static List *loaded = NIL;		/* of PrismBackend, for the life of the process */

static const PrismBackend *
find_loaded(const char *name)
{
	ListCell   *cell;

	foreach(cell, loaded)
		if (strcmp(((const PrismBackend *) lfirst(cell))->name, name) == 0)
			return lfirst(cell);
	return NULL;
}

/*
 * The server would throw without saying what to do, and never look at a file
 * again that it has loaded; so it is asked only once everything is in place.
 */
static bool
can_be_loaded(const PrismBackendInfo *info, const char *symbol, char *error)
{
	char		path[MAXPGPATH];
	char		version[32] = "";
	PrismBackendFunction function;
	void	   *library;

	snprintf(path, sizeof(path), "%s/%s%s", pkglib_path, info->library, DLSUFFIX);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
	{
		snprintf(error, PRISM_ERROR_BYTES, "backend \"%s\" is not usable on this host: %s", info->name, dlerror());
		return false;
	}
	function = (PrismBackendFunction) dlsym(library, symbol);
	if (function != NULL)
		strlcpy(version, function()->version, sizeof(version));
	dlclose(library);
	if (strcmp(version, PRISM_VERSION) == 0)
		return true;
	snprintf(error, PRISM_ERROR_BYTES, "library %s is of version %s, but prism.so of version %s: restart the server if prism was updated",
			 info->library, version[0] != '\0' ? version : "unknown", PRISM_VERSION);
	return false;
}

const PrismBackend *
prism_backend_load(const PrismBackendInfo *info, char *error)
{
	const PrismBackend *backend = find_loaded(info->name);
	char		symbol[NAMEDATALEN];
	PrismBackendFunction function;
	MemoryContext caller_cxt;

	Assert(info->library != NULL);
	if (backend != NULL)
		return backend;
	snprintf(symbol, sizeof(symbol), "prism_%s_backend", info->name);
	if (!can_be_loaded(info, symbol, error))
		return NULL;
	function = (PrismBackendFunction)
		load_external_function(psprintf("$libdir/%s", info->library), symbol, true, NULL);
	backend = function();
	Assert(strcmp(backend->name, info->name) == 0 && strcmp(backend->version, PRISM_VERSION) == 0);
	Assert(((info->roles & PRISM_ROLE_QUEUE) != 0) == (backend->queue != NULL));
	Assert(backend->queue == NULL || info->transactional == (backend->queue->fence != NULL));

	caller_cxt = MemoryContextSwitchTo(TopMemoryContext);
	loaded = lappend(loaded, unconstify(PrismBackend *, backend));
	MemoryContextSwitchTo(caller_cxt);
	return backend;
}
