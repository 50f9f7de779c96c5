/*-------------------------------------------------------------------------
 *
 * memory_info.c
 *	  What a session knows of the queue in memory, which is for tests.
 *
 * In prism.so, as every back end's.
 *
 * src/backend/memory/memory_info.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/registry.h"

extern const PrismBackendInfo prism_memory_info;

static const PrismKey keys[] = {
	PRISM_BACKEND_QUEUE_KEYS,
	{0}
};

const PrismBackendInfo prism_memory_info = {
	.name = "memory",
	.built = true,
	.library = "prism_memory",
	.roles = PRISM_ROLE_QUEUE,
	.transactional = true,
	.message_bytes_max = INT64CONST(256000000),
	.keys = keys,
	.fails_on_request = true,
};
