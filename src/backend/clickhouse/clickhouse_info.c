/*-------------------------------------------------------------------------
 *
 * clickhouse_info.c
 *	  What a session knows of ClickHouse, which is not built yet.
 *
 * src/backend/clickhouse/clickhouse_info.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/registry.h"

extern const PrismBackendInfo prism_clickhouse_info;

const PrismBackendInfo prism_clickhouse_info = {
	.name = "clickhouse",
	.roles = PRISM_ROLE_TABLE,
};
