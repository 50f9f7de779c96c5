/*-------------------------------------------------------------------------
 *
 * kafka_info.c
 *	  What a session knows of Kafka; its options are in kafka_options.c.
 *
 * In prism.so: nothing here knows librdkafka.
 *
 * src/backend/kafka/kafka_info.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/kafka/kafka_options.h"
#include "backend/registry.h"

extern const PrismBackendInfo prism_kafka_info;

static const PrismKey keys[] = {
	PRISM_BACKEND_SERVER_KEYS,
	PRISM_BACKEND_QUEUE_KEYS,
	{0}
};

const PrismBackendInfo prism_kafka_info = {
	.name = "kafka",
	.built = true,
	.library = "prism_kafka",
	.roles = PRISM_ROLE_QUEUE,
	.chosen_for = PRISM_ROLE_QUEUE,
	.transactional = true,
	.message_bytes_max = INT64CONST(1000000),	/* what a broker takes by default, in round numbers */
	.wrapper = "prism_kafka",
	.options = &prism_kafka_options,
	.keys = keys,
};
