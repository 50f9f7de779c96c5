/*-------------------------------------------------------------------------
 *
 * until_linked.c
 *	  Weak stand-ins so that the library loads while two files are on their way.
 *
 * To be removed with the arrival of src/bgworker/wakeup.c and
 * src/backend/registry.c, whose definitions win over these.
 *
 * src/until_linked.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "backend/backend.h"
#include "bgworker/wakeup.h"

static const PrismBackendInfo postgres_info = {
	.name = "postgres",
	.roles = PRISM_ROLE_QUEUE,
	.message_bytes_max = INT64CONST(256000000),
};
static const PrismBackendInfo kafka_info = {
	.name = "kafka",
	.wrapper = "prism_kafka",
	.roles = PRISM_ROLE_QUEUE,
	.transactional = true,
	.message_bytes_max = INT64CONST(1000000),
};
static const PrismBackendInfo memory_info = {
	.name = "memory",
	.roles = PRISM_ROLE_QUEUE,
	.transactional = true,
	.message_bytes_max = INT64CONST(256000000),
};
static const PrismBackendInfo *const infos[] = {&postgres_info, &kafka_info, &memory_info, NULL};

__attribute__((weak)) const PrismBackendInfo *const *
prism_backend_infos(void)
{
	return infos;
}

__attribute__((weak)) const PrismBackendInfo *
prism_backend_info(const char *name)
{
	for (const PrismBackendInfo *const *info = infos; *info != NULL; info++)
		if (strcmp((*info)->name, name) == 0)
			return *info;
	return NULL;
}

__attribute__((weak)) void
prism_wake_at_commit(void)
{
}
