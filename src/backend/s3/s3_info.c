/*-------------------------------------------------------------------------
 *
 * s3_info.c
 *	  What a session knows of an object store, which is not built yet.
 *
 * src/backend/s3/s3_info.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/s3/s3_options.h"
#include "backend/registry.h"

extern const PrismBackendInfo prism_s3_info;

static const PrismKey keys[] = {
	PRISM_BACKEND_SERVER_ROW,
	{0}
};

const PrismBackendInfo prism_s3_info = {
	.name = "s3",
	.roles = PRISM_ROLE_OBJECT,
	.chosen_for = PRISM_ROLE_OBJECT,
	.wrapper = "prism_s3",
	.options = &prism_s3_options,
	.keys = keys,
};
