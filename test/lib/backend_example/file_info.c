/*-------------------------------------------------------------------------
 *
 * file_info.c
 *	  What a session knows of the example of a back end.
 *
 * test/lib/backend_example/file_info.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/registry.h"

extern const PrismBackendInfo prism_file_info;

const PrismBackendInfo prism_file_info = {
	.name = "file",
	.built = true,
	.library = "prism_file",
	.roles = PRISM_ROLE_QUEUE,
	.message_bytes_max = INT64CONST(1000000),
};
