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

#include "backend/clickhouse/clickhouse_options.h"
#include "backend/registry.h"

extern const PrismBackendInfo prism_clickhouse_info;

static const PrismKey keys[] = {
	PRISM_BACKEND_SERVER_ROW,
	{0}
};

const PrismBackendInfo prism_clickhouse_info = {
	.name = "clickhouse",
	.roles = PRISM_ROLE_TABLE,
	.wrapper = "prism_clickhouse",
	.options = &prism_clickhouse_options,
	.keys = keys,
};
