/*-------------------------------------------------------------------------
 *
 * redis_info.c
 *	  What a session knows of Redis, which is not built yet.
 *
 * src/backend/redis/redis_info.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/redis/redis_options.h"
#include "backend/registry.h"

extern const PrismBackendInfo prism_redis_info;

static const PrismKey keys[] = {
	PRISM_BACKEND_SERVER_ROW,
	PRISM_BACKEND_PREFIX_ROW,
	{0}
};

const PrismBackendInfo prism_redis_info = {
	.name = "redis",
	.roles = PRISM_ROLE_QUEUE | PRISM_ROLE_CACHE,
	.chosen_for = PRISM_ROLE_CACHE,
	.wrapper = "prism_redis",
	.options = &prism_redis_options,
	.keys = keys,
};
