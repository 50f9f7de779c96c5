/*-------------------------------------------------------------------------
 *
 * s3_options.c
 *	  The options of S3 servers, and the validator of their foreign data wrapper.
 *
 * They can be made and named before anything is sent to them: whoever builds the
 * back end finds what it was told.
 *
 * src/backend/s3/s3_options.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/s3/s3_options.h"
#include "backend/server_options.h"

#include "fmgr.h"

PG_FUNCTION_INFO_V1(prism_s3_validator);

static const PrismOptionRule rules[] = {
	/* where */
	{.name = "endpoint",.kind = PRISM_OPTION_URL},
	{.name = "region",.kind = PRISM_OPTION_TEXT},
	{.name = "bucket",.kind = PRISM_OPTION_TEXT},
	{.name = "addressing",.kind = PRISM_OPTION_CHOICE,.choices = "path,virtual"},

	/* identity, and how safe it travels */
	{.name = "access.key.id",.kind = PRISM_OPTION_TEXT,.flags = PRISM_OPTION_SECRET},
	{.name = "secret.access.key",.kind = PRISM_OPTION_TEXT,.flags = PRISM_OPTION_SECRET},
	{.name = "session.token",.kind = PRISM_OPTION_TEXT,.flags = PRISM_OPTION_SECRET},
	{.name = "ca.pem",.kind = PRISM_OPTION_PEM},

	/* how objects are written */
	{.name = "part.size",.kind = PRISM_OPTION_INTEGER,.range_min = 5 * 1024 * 1024,.range_max = 512 * 1024 * 1024},
	{.name = "checksum",.kind = PRISM_OPTION_CHOICE,.choices = "crc64nvme,crc32c,sha256,none"},
	{.name = "sse",.kind = PRISM_OPTION_CHOICE,.choices = "AES256,aws:kms"},
	{.name = "sse.kms.key.id",.kind = PRISM_OPTION_TEXT},
	{.name = "storage.class",.kind = PRISM_OPTION_CHOICE,
		.choices = "STANDARD,STANDARD_IA,ONEZONE_IA,INTELLIGENT_TIERING,GLACIER_IR,REDUCED_REDUNDANCY"},

	/* how much at a time */
	{.name = "uploads",.kind = PRISM_OPTION_INTEGER,.range_min = 1,.range_max = 64},
	{.name = "fetches",.kind = PRISM_OPTION_INTEGER,.range_min = 1,.range_max = 64},
	{.name = "requests.per.second",.kind = PRISM_OPTION_INTEGER,.range_min = 1,.range_max = 1000000},
	{.name = "bytes.per.second",.kind = PRISM_OPTION_INTEGER,.range_min = 100000,.range_max = INT64CONST(1000000000000)},
};

static const PrismOptionRefusal refusals[] = {
	PRISM_OPTION_REFUSED_FILES,
	{"profile", "reads files of the server; give the keys in a user mapping"},
	{"credential.process", "runs commands on the server"},
	{"access.key", "has another name: access.key.id"},
	{"secret.key", "has another name: secret.access.key"},
};

const PrismOptionTable prism_s3_options = {
	.whose = "the options of S3 servers",
	.rules = rules,
	.rule_count = lengthof(rules),
	.refusals = refusals,
	.refusal_count = lengthof(refusals),
};

Datum
prism_s3_validator(PG_FUNCTION_ARGS)
{
	prism_server_options_validate(&prism_s3_options, PG_GETARG_DATUM(0), PG_GETARG_OID(1));
	PG_RETURN_VOID();
}
