/*-------------------------------------------------------------------------
 *
 * kafka_error.c
 *	  What an error of librdkafka or of the broker means for a message or a call.
 *
 * src/backend/kafka/kafka_error.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/kafka/kafka.h"

#include <stdarg.h>

typedef struct KafkaMeaning
{
	rd_kafka_resp_err_t code;
	PrismOutcome outcome;
	const char *advice;			/* what its own text does not tell; or NULL */
} KafkaMeaning;

/*
 * What is not here passes: the broker is away, a leader moves, replicas are
 * missing, a quota is used up.  That is the safe side for a message too: an
 * unknown error holds the sink up, visibly, where a dead letter would lose
 * order and a human.
 *
 * Of a record is only what is wrong with its own bytes.  What the broker would
 * say of every record just now is of the surroundings, whichever record it
 * names: rights, settings, a clock.
 */
static const KafkaMeaning meanings[] = {
	/* this record, or a batch with it, is never accepted */
	{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, PRISM_REJECT, NULL},
	{RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, PRISM_REJECT, NULL},
	{RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE, PRISM_REJECT, NULL},
	{RD_KAFKA_RESP_ERR_INVALID_RECORD, PRISM_REJECT, "a compacted topic takes no record without a key"},

	/* somebody must set a clock, or let the topic take such times */
	{RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, PRISM_STOP,
	"the record's time, that of publish(), is too far from the broker's: compare the clocks, "
	"and see message.timestamp.after.max.ms, message.timestamp.before.max.ms and message.timestamp.type of the topic"},

	/* somebody must change rights or settings */
	{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR__AUTHENTICATION, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_SECURITY_DISABLED, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_DELEGATION_TOKEN_AUTHORIZATION_FAILED, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_DELEGATION_TOKEN_EXPIRED, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_INVALID_CONFIG, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_POLICY_VIOLATION, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_INVALID_COMMIT_OFFSET_SIZE, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, PRISM_STOP, NULL},
	{RD_KAFKA_RESP_ERR__INVALID_ARG, PRISM_STOP, NULL},

	/* a newer producer of our transactional id */
	{RD_KAFKA_RESP_ERR__FENCED, PRISM_FENCED, NULL},
	{RD_KAFKA_RESP_ERR_PRODUCER_FENCED, PRISM_FENCED, NULL},
	{RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, PRISM_FENCED, NULL},

	/* this producer is of no more use, and what it did last is not known */
	{RD_KAFKA_RESP_ERR__FATAL, PRISM_DOUBT, NULL},
	{RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE, PRISM_DOUBT, NULL},
	{RD_KAFKA_RESP_ERR__INCONSISTENT, PRISM_DOUBT, NULL},
	{RD_KAFKA_RESP_ERR__STATE, PRISM_DOUBT, NULL},
	{RD_KAFKA_RESP_ERR__DESTROY, PRISM_DOUBT, NULL},
	{RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, PRISM_DOUBT, NULL},
	{RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER, PRISM_DOUBT, NULL},
	{RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, PRISM_DOUBT, NULL},
	{RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, PRISM_DOUBT, NULL},
	{RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, PRISM_DOUBT, NULL},
};

static const KafkaMeaning *
meaning_of(rd_kafka_resp_err_t code)
{
	for (size_t i = 0; i < lengthof(meanings); i++)
		if (meanings[i].code == code)
			return &meanings[i];
	return NULL;
}

PrismOutcome
kafka_outcome(rd_kafka_resp_err_t code)
{
	const KafkaMeaning *meaning = meaning_of(code);

	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return PRISM_OK;
	return meaning != NULL ? meaning->outcome : PRISM_RETRY;
}

const char *
kafka_advice(rd_kafka_resp_err_t code)
{
	const KafkaMeaning *meaning = meaning_of(code);

	return meaning != NULL ? meaning->advice : NULL;
}

/* The outcome and a text.  Runs in a caller. */
void
kafka_job_error(KafkaJob *job, PrismOutcome outcome, int code, const char *format, ...)
{
	va_list		arguments;

	job->outcome = outcome;
	job->code = code;
	va_start(arguments, format);
	vsnprintf(job->error, sizeof(job->error), format, arguments);
	va_end(arguments);
}
