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

#include "backend/registry.h"

extern const PrismBackendInfo prism_redis_info;

const PrismBackendInfo prism_redis_info = {
	.name = "redis",
	.roles = PRISM_ROLE_QUEUE | PRISM_ROLE_CACHE,
	.chosen_for = PRISM_ROLE_CACHE,
};
