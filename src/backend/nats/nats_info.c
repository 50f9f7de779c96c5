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

#include "backend/nats/nats_options.h"
#include "backend/registry.h"

extern const PrismBackendInfo prism_nats_info;

static const PrismKey keys[] = {
	PRISM_BACKEND_SERVER_ROW,
	PRISM_BACKEND_PREFIX_ROW,
	{0}
};

const PrismBackendInfo prism_nats_info = {
	.name = "nats",
	.roles = PRISM_ROLE_QUEUE,
	.wrapper = "prism_nats",
	.options = &prism_nats_options,
	.keys = keys,
};
