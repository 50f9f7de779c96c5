/*-------------------------------------------------------------------------
 *
 * redis_options.c
 *	  The options of Redis servers, and the validator of their foreign data wrapper.
 *
 * They can be made and named before anything is sent to them: whoever builds the
 * back end finds what it was told.
 *
 * src/backend/redis/redis_options.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/redis/redis_options.h"
#include "backend/server_options.h"

#include "fmgr.h"

PG_FUNCTION_INFO_V1(prism_redis_validator);

static const PrismOptionRule rules[] = {
	/* where */
	{.name = "endpoints",.kind = PRISM_OPTION_ENDPOINTS,.flags = PRISM_OPTION_WITH_PORT},
	{.name = "database",.kind = PRISM_OPTION_INTEGER,.range_min = 0,.range_max = 65535},
	{.name = "cluster",.kind = PRISM_OPTION_CHOICE,.choices = "auto,on,off"},

	/* identity, and how safe it travels */
	PRISM_OPTION_ROWS_LOGIN,
	PRISM_OPTION_ROW_TLS,
	PRISM_OPTION_ROWS_CERTIFICATES,

	/* time */
	PRISM_OPTION_ROWS_TIME,
};

static const PrismOptionRefusal refusals[] = {
	PRISM_OPTION_REFUSED_FILES,
	PRISM_OPTION_REFUSED_NAMES("endpoints, each with its port"),
};

const PrismOptionTable prism_redis_options = {
	.whose = "the options of Redis servers",
	.rules = rules,
	.rule_count = lengthof(rules),
	.refusals = refusals,
	.refusal_count = lengthof(refusals),
};

Datum
prism_redis_validator(PG_FUNCTION_ARGS)
{
	prism_server_options_validate(&prism_redis_options, PG_GETARG_DATUM(0), PG_GETARG_OID(1));
	PG_RETURN_VOID();
}
