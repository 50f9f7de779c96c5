/*-------------------------------------------------------------------------
 *
 * kafka_error.c
 *	  What an error of librdkafka or of the broker means for a message or a call.
 *
 * src/backend/kafka_error.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"

#include "kafka.h"

typedef struct KafkaMeaning
{
	rd_kafka_resp_err_t code;
	PrismOutcome outcome;
} KafkaMeaning;

/*
 * What is not here passes: the broker is away, a leader moves, a quota is used
 * up.  That is the safe side for a message too: an unknown error holds the
 * sink up, visibly, where a dead letter would lose order and a human.
 */
static const KafkaMeaning meanings[] = {
	/* this record, or a batch with it, is never accepted */
	{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, PRISM_REJECT},
	{RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, PRISM_REJECT},
	{RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE, PRISM_REJECT},
	{RD_KAFKA_RESP_ERR_INVALID_RECORD, PRISM_REJECT},
	{RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, PRISM_REJECT},

	/* somebody must change rights or settings */
	{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, PRISM_STOP},
	{RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, PRISM_STOP},
	{RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, PRISM_STOP},
	{RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, PRISM_STOP},
	{RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, PRISM_STOP},
	{RD_KAFKA_RESP_ERR__AUTHENTICATION, PRISM_STOP},
	{RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, PRISM_STOP},
	{RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, PRISM_STOP},
	{RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, PRISM_STOP},
	{RD_KAFKA_RESP_ERR_INVALID_CONFIG, PRISM_STOP},
	{RD_KAFKA_RESP_ERR_POLICY_VIOLATION, PRISM_STOP},
	{RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, PRISM_STOP},
	{RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, PRISM_STOP},
	{RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, PRISM_STOP},
	{RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, PRISM_STOP},
	{RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE, PRISM_STOP},
	{RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, PRISM_STOP},
	{RD_KAFKA_RESP_ERR__INVALID_ARG, PRISM_STOP},

	/* a newer producer of our transactional id */
	{RD_KAFKA_RESP_ERR__FENCED, PRISM_FENCED},
	{RD_KAFKA_RESP_ERR_PRODUCER_FENCED, PRISM_FENCED},
	{RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, PRISM_FENCED},

	/* this producer is of no more use, and what it did last is not known */
	{RD_KAFKA_RESP_ERR__FATAL, PRISM_DOUBT},
	{RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE, PRISM_DOUBT},
	{RD_KAFKA_RESP_ERR__INCONSISTENT, PRISM_DOUBT},
	{RD_KAFKA_RESP_ERR__STATE, PRISM_DOUBT},
	{RD_KAFKA_RESP_ERR__DESTROY, PRISM_DOUBT},
	{RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, PRISM_DOUBT},
	{RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER, PRISM_DOUBT},
	{RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, PRISM_DOUBT},
	{RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, PRISM_DOUBT},
	{RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, PRISM_DOUBT},
};

PrismOutcome
kafka_outcome(rd_kafka_resp_err_t code)
{
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return PRISM_OK;
	for (size_t i = 0; i < lengthof(meanings); i++)
		if (meanings[i].code == code)
			return meanings[i].outcome;
	return PRISM_RETRY;
}
