/*-------------------------------------------------------------------------
 *
 * clickhouse_options.c
 *	  The options of ClickHouse servers, and the validator of their foreign data wrapper.
 *
 * They can be made and named before anything is sent to them: whoever builds the
 * back end finds what it was told.
 *
 * src/backend/clickhouse/clickhouse_options.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/clickhouse/clickhouse_options.h"
#include "backend/server_options.h"

#include "fmgr.h"

PG_FUNCTION_INFO_V1(prism_clickhouse_validator);

static const PrismOptionRule rules[] = {
	/* where */
	{.name = "endpoint",.kind = PRISM_OPTION_URL},
	{.name = "database",.kind = PRISM_OPTION_TEXT},

	/* identity, and how safe it travels */
	PRISM_OPTION_ROWS_LOGIN,
	PRISM_OPTION_ROWS_CERTIFICATES,

	/* time */
	PRISM_OPTION_ROWS_TIME,
};

static const PrismOptionRefusal refusals[] = {
	PRISM_OPTION_REFUSED_FILES,
	PRISM_OPTION_REFUSED_NAMES("endpoint, such as https://host:8443"),
};

const PrismOptionTable prism_clickhouse_options = {
	.whose = "the options of ClickHouse servers",
	.rules = rules,
	.rule_count = lengthof(rules),
	.refusals = refusals,
	.refusal_count = lengthof(refusals),
};

Datum
prism_clickhouse_validator(PG_FUNCTION_ARGS)
{
	prism_server_options_validate(&prism_clickhouse_options, PG_GETARG_DATUM(0), PG_GETARG_OID(1));
	PG_RETURN_VOID();
}
