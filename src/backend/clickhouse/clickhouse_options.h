/*-------------------------------------------------------------------------
 *
 * clickhouse_options.h
 *	  The options of ClickHouse servers.
 *
 * src/backend/clickhouse/clickhouse_options.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_CLICKHOUSE_OPTIONS_H
#define PRISM_CLICKHOUSE_OPTIONS_H

#include "backend/option_table.h"

extern const PrismOptionTable prism_clickhouse_options;

#endif							/* PRISM_CLICKHOUSE_OPTIONS_H */
