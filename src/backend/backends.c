/*-------------------------------------------------------------------------
 *
 * backends.c
 *	  The one function that prism_backends.so exports: the table of operations.
 *
 * What a back end is called, may do and takes as options is in registry.c, in
 * prism.so; a new back end is a line in each.
 *
 * src/backend/backends.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend.h"

#include "fmgr.h"

PG_MODULE_MAGIC;

extern const PrismBackend prism_kafka_backend;
extern const PrismBackend prism_memory_backend;

extern PGDLLEXPORT const PrismBackend *const *prism_backends(void);

static const PrismBackend *const backends[] = {
	&prism_kafka_backend,
	&prism_memory_backend,
	NULL
};

const PrismBackend *const *
prism_backends(void)
{
	return backends;
}
