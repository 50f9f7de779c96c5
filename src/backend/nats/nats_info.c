/*-------------------------------------------------------------------------
 *
 * nats_info.c
 *	  What a session knows of NATS, which is not built yet.
 *
 * src/backend/nats/nats_info.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/registry.h"

extern const PrismBackendInfo prism_nats_info;

const PrismBackendInfo prism_nats_info = {
	.name = "nats",
	.roles = PRISM_ROLE_QUEUE,
};
