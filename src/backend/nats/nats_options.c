/*-------------------------------------------------------------------------
 *
 * nats_options.c
 *	  The options of NATS servers, and the validator of their foreign data wrapper.
 *
 * They can be made and named before anything is sent to them: whoever builds the
 * back end finds what it was told.
 *
 * src/backend/nats/nats_options.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/nats/nats_options.h"
#include "backend/server_options.h"

#include "fmgr.h"

PG_FUNCTION_INFO_V1(prism_nats_validator);

static const PrismOptionRule rules[] = {
	/* where */
	{.name = "endpoints",.kind = PRISM_OPTION_ENDPOINTS,.flags = PRISM_OPTION_WITH_PORT},
	{.name = "stream",.kind = PRISM_OPTION_TEXT},

	/* identity, and how safe it travels */
	PRISM_OPTION_ROWS_LOGIN,
	{.name = "token",.kind = PRISM_OPTION_TEXT,.flags = PRISM_OPTION_SECRET},
	{.name = "jwt",.kind = PRISM_OPTION_TEXT,.flags = PRISM_OPTION_SECRET},
	{.name = "nkey.seed",.kind = PRISM_OPTION_TEXT,.flags = PRISM_OPTION_SECRET},
	PRISM_OPTION_ROW_TLS,
	PRISM_OPTION_ROWS_CERTIFICATES,

	/* time */
	PRISM_OPTION_ROWS_TIME,
};

static const PrismOptionRefusal refusals[] = {
	PRISM_OPTION_REFUSED_FILES,
	{"credentials", "reads files of the server; give jwt and nkey.seed in a user mapping"},
	PRISM_OPTION_REFUSED_NAMES("endpoints, each with its port"),
};

const PrismOptionTable prism_nats_options = {
	.whose = "the options of NATS servers",
	.rules = rules,
	.rule_count = lengthof(rules),
	.refusals = refusals,
	.refusal_count = lengthof(refusals),
};

Datum
prism_nats_validator(PG_FUNCTION_ARGS)
{
	prism_server_options_validate(&prism_nats_options, PG_GETARG_DATUM(0), PG_GETARG_OID(1));
	PG_RETURN_VOID();
}
