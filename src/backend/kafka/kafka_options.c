/*-------------------------------------------------------------------------
 *
 * kafka_options.c
 *	  The options of Kafka servers, and the validator of their foreign data wrapper.
 *
 * In prism.so: nothing here knows librdkafka but the names of its properties.
 *
 * src/backend/kafka/kafka_options.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/kafka/kafka_option_table.h"
#include "backend/kafka/kafka_options.h"
#include "backend/server_options.h"

#include "fmgr.h"

PG_FUNCTION_INFO_V1(prism_kafka_validator);

const PrismOptionTable prism_kafka_options = {
	.whose = "librdkafka's properties, each dot written as an underscore",
	.inline_endpoints = "bootstrap.servers",
	.rules = kafka_option_table,
	.rule_count = lengthof(kafka_option_table),
	.refusals = kafka_refusal_table,
	.refusal_count = lengthof(kafka_refusal_table),
};

Datum
prism_kafka_validator(PG_FUNCTION_ARGS)
{
	prism_server_options_validate(&prism_kafka_options, PG_GETARG_DATUM(0), PG_GETARG_OID(1));
	PG_RETURN_VOID();
}
