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
#include "backend/registry.h"

#include "fmgr.h"
#include "miscadmin.h"

#include <dlfcn.h>

/*
 * The server loads a library too, but throws without saying what to do; so it
 * is asked only once the system was seen to find everything.
 */
static bool
can_be_loaded(const PrismBackendInfo *info, char *error)
{
	char		path[MAXPGPATH];
	void	   *library;

	snprintf(path, sizeof(path), "%s/%s%s", pkglib_path, info->library, DLSUFFIX);
	library = dlopen(path, RTLD_NOW | RTLD_GLOBAL); /* as the server does */
	if (library == NULL)
	{
		snprintf(error, PRISM_ERROR_BYTES, "back end \"%s\" is not usable on this host: %s", info->name, dlerror());
		return false;
	}
	dlclose(library);
	return true;
}

const PrismBackend *
prism_backend_load(const PrismBackendInfo *info, char *error)
{
	PrismBackendFunction function;
	const PrismBackend *backend;

	Assert(info->library != NULL);
	if (!can_be_loaded(info, error))
		return NULL;
	function = (PrismBackendFunction)
		load_external_function(psprintf("$libdir/%s", info->library),
							   psprintf("prism_%s_backend", info->name), true, NULL);
	backend = function();
	if (strcmp(backend->version, PRISM_VERSION) != 0)
	{
		snprintf(error, PRISM_ERROR_BYTES, "library %s is of version %.32s, and the server runs version %s: restart the server",
				 info->library, backend->version, PRISM_VERSION);
		return NULL;
	}
	Assert(strcmp(backend->name, info->name) == 0);
	Assert(((info->roles & PRISM_ROLE_QUEUE) != 0) == (backend->queue != NULL));
	return backend;
}
