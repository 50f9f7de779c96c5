/*-------------------------------------------------------------------------
 *
 * kafka_event.c
 *	  What librdkafka has to say: receipts, errors, log lines.
 *
 * Everything arrives on one queue, read by PostgreSQL's thread; the queue's
 * descriptor wakes the worker.
 *
 * src/backend/kafka/kafka_event.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/kafka/kafka.h"
#include "backend/text.h"
#include "base/clock.h"

#include "mb/pg_wchar.h"

#include <syslog.h>
#include <unistd.h>

/* A broker that is away makes librdkafka repeat itself: one line of a kind in this time. */
#define LOG_INTERVAL_MS (5 * 60 * 1000)
#define LOG_KINDS 16
#define RECEIPTS_AT_ONCE 256

/* Log lines by librdkafka's facility (FAIL, ERROR, REQTMOUT ...); outlives connections, which come and go. */
typedef struct LogKind
{
	char		facility[16];
	PrismInstant last_at;
	int			suppressed;
} LogKind;

static LogKind log_kinds[LOG_KINDS];

/* Before anybody here reads what librdkafka or a broker wrote. */
void
kafka_clean(char *text)
{
	prism_text_clean(text, GetDatabaseEncoding() == PG_UTF8);
}

/* Set the error text and hand the outcome on.  A doubt stays with the connection. */
PrismOutcome
kafka_answer(KafkaConn *kafka, PrismOutcome outcome, const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	vsnprintf(kafka->conn.error, PRISM_ERROR_BYTES, format, arguments);
	va_end(arguments);
	kafka_clean(kafka->conn.error);
	if (outcome == PRISM_DOUBT || outcome == PRISM_FENCED)
		kafka->conn.doubt = true;
	return outcome;
}

/* The kind's entry; the last one is shared by those that found no place. */
static LogKind *
log_kind(const char *facility)
{
	int			i;

	for (i = 0; i < LOG_KINDS - 1 && log_kinds[i].facility[0] != '\0'; i++)
		if (strcmp(log_kinds[i].facility, facility) == 0)
			return &log_kinds[i];
	if (log_kinds[i].facility[0] == '\0')
		strlcpy(log_kinds[i].facility, facility, sizeof(log_kinds[i].facility));
	return &log_kinds[i];
}

static void
write_log_line(const char *server_name, const char *facility, const char *text)
{
	LogKind    *kind = log_kind(facility);
	PrismInstant now = prism_instant();

	if (kind->last_at != 0 &&
		!prism_has_passed(kind->last_at, now, LOG_INTERVAL_MS))
	{
		kind->suppressed++;
		return;
	}
	if (kind->suppressed > 0)
		ereport(LOG,
				errmsg("server \"%s\": librdkafka: %s", server_name, text),
				errdetail("%d more lines of this kind came since the last one.", kind->suppressed));
	else
		ereport(LOG,
				errmsg("server \"%s\": librdkafka: %s", server_name, text));
	kind->last_at = now;
	kind->suppressed = 0;
}

/* Copies what it needs and destroys the event before anything can throw. */
static void
handle_log(KafkaConn *kafka, rd_kafka_event_t *event)
{
	const char *facility_own;
	const char *text_own;
	int			level;
	char		facility[16];
	char		text[PRISM_ERROR_BYTES];
	bool		known = rd_kafka_event_log(event, &facility_own, &text_own, &level) == 0;

	if (known)
	{
		strlcpy(facility, facility_own, sizeof(facility));
		strlcpy(text, text_own, sizeof(text));
		kafka_clean(text);
	}
	rd_kafka_event_destroy(event);
	/* Warnings about the configuration speak of what prism itself sets. */
	if (known && level <= LOG_WARNING && strcmp(facility, "CONFWARN") != 0)
		write_log_line(kafka->server_name, facility, text);
}

/*
 * A broker named an address that prism.allowed_endpoints does not allow.  It is
 * asked for again with each attempt to connect; what can do without it goes on.
 */
static void
tell_refusal(KafkaConn *kafka)
{
	char		address[KAFKA_ADDRESS_BYTES];

	if (!kafka_refused_address(kafka->client, address))
		return;
	strlcpy(kafka->refused, address, sizeof(kafka->refused));
	snprintf(kafka->last_event, sizeof(kafka->last_event),
			 "a broker advertises \"%s\", which prism.allowed_endpoints does not match: "
			 "have it added, or use a foreign server that a superuser owns", address);
	kafka_clean(kafka->last_event);
	strlcpy(kafka->conn.error, kafka->last_event, PRISM_ERROR_BYTES);
	write_log_line(kafka->server_name, "REFUSED", kafka->last_event);
}

/*
 * An error that belongs to no message and no call.  For a transaction it means
 * doubt: the answer to a request may be lost, and librdkafka repeats it.
 */
static void
handle_error(KafkaConn *kafka, rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t code = rd_kafka_event_error(event);
	char		fatal_text[PRISM_ERROR_BYTES];
	rd_kafka_resp_err_t fatal_code;

	tell_refusal(kafka);
	/* librdkafka does not know why an address has no numbers; we have told it. */
	if (kafka->refused[0] == '\0' || strstr(rd_kafka_event_error_string(event), kafka->refused) == NULL)
	{
		strlcpy(kafka->last_event, rd_kafka_event_error_string(event), sizeof(kafka->last_event));
		kafka_clean(kafka->last_event);
	}
	rd_kafka_event_destroy(event);

	fatal_code = rd_kafka_fatal_error(kafka->client->rk, fatal_text, sizeof(fatal_text));
	if (fatal_code != RD_KAFKA_RESP_ERR_NO_ERROR)
		(void) kafka_answer(kafka, PRISM_DOUBT, "%s", fatal_text);
	else if (kafka->fenced)
		(void) kafka_answer(kafka, PRISM_DOUBT, "%s", kafka->last_event);
	else if (kafka_outcome(code) == PRISM_STOP)
		strlcpy(kafka->conn.error, kafka->last_event, PRISM_ERROR_BYTES);
}

/* Read the queue up to the next batch of receipts, which is kept for collect(). */
void
kafka_serve(KafkaConn *kafka)
{
	tell_refusal(kafka);
	while (kafka->receipts == NULL)
	{
		rd_kafka_event_t *event = rd_kafka_queue_poll(kafka->client->queue, 0);

		if (event == NULL)
			break;
		switch (rd_kafka_event_type(event))
		{
			case RD_KAFKA_EVENT_DR:
				kafka->receipts = event;
				break;
			case RD_KAFKA_EVENT_LOG:
				handle_log(kafka, event);
				break;
			case RD_KAFKA_EVENT_ERROR:
				handle_error(kafka, event);
				break;
			default:
				rd_kafka_event_destroy(event);
				break;
		}
	}
	if (kafka->fenced && !kafka->conn.doubt &&
		pg_atomic_read_u32(&kafka->client->sockets_closed) != kafka->sockets_closed_known)
		(void) kafka_answer(kafka, PRISM_DOUBT,
							"a connection to a broker was closed (%s)",
							kafka->last_event[0] != '\0' ? kafka->last_event : "reason not told");
}

static void
explain(const char *topic, rd_kafka_resp_err_t code, char *text)
{
	const char *advice = kafka_advice(code);

	snprintf(text, PRISM_ERROR_BYTES, "topic \"%s\": %s%s%s", topic, rd_kafka_err2str(code),
			 advice != NULL ? "; " : "", advice != NULL ? advice : "");
}

/* A receipt for one message: what the whole producer suffers from is RETRY for the message. */
static void
fill_receipt(KafkaConn *kafka, const rd_kafka_message_t *message, PrismReceipt *receipt)
{
	PrismOutcome outcome = kafka_outcome(message->err);

	receipt->tag = (uint64) (uintptr_t) message->_private;
	receipt->code = message->err;
	if (outcome == PRISM_DOUBT || outcome == PRISM_FENCED)
	{
		if (!kafka->conn.doubt)
			(void) kafka_answer(kafka, outcome, "%s", rd_kafka_err2str(message->err));
		outcome = PRISM_RETRY;
	}
	else if (outcome != PRISM_OK)
	{
		char		text[PRISM_ERROR_BYTES];

		explain(rd_kafka_topic_name(message->rkt), message->err, text);
		(void) kafka_answer(kafka, outcome, "%s", text);
	}
	receipt->outcome = outcome;
}

void
kafka_explain(PrismConn *conn, const PrismQueueTarget *target, int code, char *text)
{
	explain(target->name, code, text);
	kafka_clean(text);
}

int
kafka_collect(PrismConn *conn, PrismReceipt *receipts, int receipts_max)
{
	KafkaConn  *kafka = (KafkaConn *) conn;
	const rd_kafka_message_t *messages[RECEIPTS_AT_ONCE];
	uint64		ignored;
	int			count = 0;
	ssize_t		bytes;

	/* Before the queue is read, so that what comes in meanwhile wakes us again. */
	bytes = read(kafka->client->event_fd, &ignored, sizeof(ignored));
	(void) bytes;

	for (;;)
	{
		size_t		wanted = Min(receipts_max - count, RECEIPTS_AT_ONCE);
		size_t		got;

		kafka_serve(kafka);
		if (kafka->receipts == NULL)
			break;
		if (wanted == 0)
		{
			kafka_wake(kafka->client);	/* there is more */
			break;
		}
		got = rd_kafka_event_message_array(kafka->receipts, messages, wanted);
		for (size_t i = 0; i < got; i++)
			fill_receipt(kafka, messages[i], &receipts[count++]);
		kafka->in_flight -= got;
		if (got < wanted)
		{
			rd_kafka_event_destroy(kafka->receipts);
			kafka->receipts = NULL;
		}
	}
	Assert(kafka->in_flight >= 0);

	/*
	 * A producer that is no longer allowed to send keeps what came back to its
	 * queue for another try, and gives no receipt for it unless it is asked to
	 * drop it.
	 */
	if (count == 0 && kafka->in_flight > 0 && conn->doubt && !kafka->transactional)
		rd_kafka_purge(kafka->client->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
	return count;
}
