/*-------------------------------------------------------------------------
 *
 * registry.c
 *	  The back ends there are: names, roles and limits.
 *
 * What a caller's session has to know of a back end; the operations are in the
 * other library (backends.c).
 *
 * src/backend/registry.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend.h"

#define MEGABYTE INT64CONST(1000000)	/* decimal, as in namespaces */

/*
 * The log itself: messages stay where they were written, and a consumer that
 * takes, works and acknowledges in one transaction does so exactly once.
 */
static const PrismBackendInfo postgres_info = {
	.name = "postgres",
	.roles = PRISM_ROLE_QUEUE,
	.transactional = true,
	.message_bytes_max = 256 * MEGABYTE,
};

static const PrismBackendInfo kafka_info = {
	.name = "kafka",
	.wrapper = "prism_kafka",
	.roles = PRISM_ROLE_QUEUE,
	.transactional = true,
	.message_bytes_max = 1 * MEGABYTE,
};

/* A queue in the worker's memory, which fails on request: for tests. */
static const PrismBackendInfo memory_info = {
	.name = "memory",
	.roles = PRISM_ROLE_QUEUE,
	.transactional = true,
	.message_bytes_max = 256 * MEGABYTE,
};

static const PrismBackendInfo *const infos[] = {
	&postgres_info,
	&kafka_info,
	&memory_info,
	NULL
};

const PrismBackendInfo *const *
prism_backend_infos(void)
{
	return infos;
}

const PrismBackendInfo *
prism_backend_info(const char *name)
{
	for (const PrismBackendInfo *const *info = infos; *info != NULL; info++)
		if (strcmp((*info)->name, name) == 0)
			return *info;
	return NULL;
}
