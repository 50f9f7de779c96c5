/*-------------------------------------------------------------------------
 *
 * until_linked.c
 *	  Weak stand-ins so that the library loads while a file is on its way.
 *
 * To be removed with the arrival of src/backend/registry.c, whose definitions
 * win over these.
 *
 * src/until_linked.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "backend/backend.h"

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
