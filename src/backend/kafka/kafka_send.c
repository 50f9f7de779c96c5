/*-------------------------------------------------------------------------
 *
 * kafka_send.c
 *	  A message of the log becomes a record of Kafka.
 *
 * Value: the payload's bytes, none for a tombstone.  Key: the key's.  Timestamp:
 * when it was published.  Headers: the message's, then "id".
 *
 * This runs once for every message of a backlog, so it allocates nothing of
 * PostgreSQL's unless a value is compressed or carries headers.
 *
 * src/backend/kafka/kafka_send.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"

#include "backend/kafka/kafka.h"

#include "utils/jsonb.h"

#define ID_HEADER "id"
#define ID_TEXT_BYTES 36
/* At least these bytes come on top of a record alone in its batch: the batch's header and the record's lengths. */
#define BATCH_OVERHEAD_BYTES 68

/* How long the broker's word about the size of records is believed without asking again. */
#define LIMIT_BELIEVED_MS 10000
#define UNIX_EPOCH_US (((int64) POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* The topic's entry, moved to the front of the list: runs of messages go to the same one. */
KafkaTopic *
kafka_topic(KafkaConn *kafka, const char *name)
{
	KafkaTopic **link;
	KafkaTopic *topic;

	for (link = &kafka->topics; (topic = *link) != NULL; link = &topic->next)
		if (strcmp(topic->name, name) == 0)
			break;
	if (topic != NULL)
		*link = topic->next;
	else
	{
		topic = MemoryContextAllocZero(kafka->conn.mcxt, sizeof(KafkaTopic));
		strlcpy(topic->name, name, sizeof(topic->name));
		topic->handle = rd_kafka_topic_new(kafka->client->rk, name, NULL);
	}
	topic->next = kafka->topics;
	kafka->topics = topic;
	return topic;
}

static void
write_uuid(const pg_uuid_t *uuid, char *text)
{
	static const char digits[] = "0123456789abcdef";
	char	   *at = text;

	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = digits[uuid->data[i] >> 4];
		*at++ = digits[uuid->data[i] & 0x0F];
	}
	Assert(at - text == ID_TEXT_BYTES);
}

/* The bytes of a varlena; *copy is set when one was made. */
static void
open_datum(Datum datum, const char **bytes, Size *size, void **copy)
{
	struct varlena *original = (struct varlena *) DatumGetPointer(datum);
	struct varlena *plain;

	Assert(!VARATT_IS_EXTERNAL(original));
	plain = pg_detoast_datum_packed(original);
	*copy = plain != original ? plain : NULL;
	*bytes = VARDATA_ANY(plain);
	*size = VARSIZE_ANY_EXHDR(plain);
}

/*
 * The message's headers with the id; *size grows by their bytes.  The caller owns
 * the result.  NULL: they are not the flat object of strings that publish()
 * takes, as somebody has changed them in their table.
 */
static rd_kafka_headers_t *
make_headers(Datum headers, const char *id_text, Size *size)
{
	Jsonb	   *object = DatumGetJsonbP(headers);
	JsonbIterator *iterator = JsonbIteratorInit(&object->root);
	rd_kafka_headers_t *result = rd_kafka_headers_new(JB_ROOT_COUNT(object) + 1);
	JsonbValue	item;
	JsonbIteratorToken token;
	const char *name = NULL;
	int			name_bytes = 0;
	bool		flat = JB_ROOT_IS_OBJECT(object);

	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			name = item.val.string.val;
			name_bytes = item.val.string.len;
		}
		else if (token == WJB_VALUE && item.type == jbvString)
		{
			rd_kafka_header_add(result, name, name_bytes,
								item.val.string.val, item.val.string.len);
			*size += name_bytes + item.val.string.len;
		}
		else if (token == WJB_VALUE)
			flat = false;
	}
	rd_kafka_header_add(result, ID_HEADER, -1, id_text, ID_TEXT_BYTES);
	if (!flat)
	{
		rd_kafka_headers_destroy(result);
		result = NULL;
	}
	if ((Pointer) object != DatumGetPointer(headers))
		pfree(object);
	return result;
}

/*
 * Hand the record over.  headers: NULL when there is only the id.
 *
 * Which partition a key goes to is computed as librdkafka and Java do, but over
 * the partitions that the topic had when nothing of it was under way: librdkafka
 * takes new ones as soon as it hears of them, and what it then sends there could
 * overtake what is on its way to the former one.
 */
static PrismOutcome
produce(KafkaConn *kafka, KafkaTopic *topic, const PrismMessage *message, uint64 tag,
		const char *value, Size value_size, const char *key, Size key_size,
		rd_kafka_headers_t *headers, const char *id_text)
{
	rd_kafka_vu_t parts[8];
	int			count = 0;
	rd_kafka_error_t *error;
	rd_kafka_resp_err_t code;
	PrismOutcome outcome;

	parts[count].vtype = RD_KAFKA_VTYPE_RKT;
	parts[count++].u.rkt = topic->handle;
	if (key != NULL && topic->partitions > 0)
	{
		parts[count].vtype = RD_KAFKA_VTYPE_PARTITION;
		parts[count++].u.i32 = rd_kafka_msg_partitioner_murmur2(topic->handle, key, key_size, topic->partitions, NULL, NULL);
	}
	parts[count].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
	parts[count++].u.i = RD_KAFKA_MSG_F_COPY;
	parts[count].vtype = RD_KAFKA_VTYPE_OPAQUE;
	parts[count++].u.ptr = (void *) (uintptr_t) tag;
	parts[count].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
	parts[count++].u.i64 = (message->created_at + UNIX_EPOCH_US) / 1000;
	parts[count].vtype = RD_KAFKA_VTYPE_VALUE;
	parts[count].u.mem.ptr = unconstify(char *, value);
	parts[count++].u.mem.size = value_size;
	parts[count].vtype = RD_KAFKA_VTYPE_KEY;
	parts[count].u.mem.ptr = unconstify(char *, key);
	parts[count++].u.mem.size = key_size;
	if (headers != NULL)
	{
		parts[count].vtype = RD_KAFKA_VTYPE_HEADERS;
		parts[count++].u.headers = headers;
	}
	else
	{
		parts[count].vtype = RD_KAFKA_VTYPE_HEADER;
		parts[count].u.header.name = ID_HEADER;
		parts[count].u.header.val = id_text;
		parts[count++].u.header.size = ID_TEXT_BYTES;
	}

	error = rd_kafka_produceva(kafka->client->rk, parts, count);
	if (error == NULL)
	{
		kafka->in_flight++;
		return PRISM_OK;
	}
	if (headers != NULL)
		rd_kafka_headers_destroy(headers);	/* still ours after a failure */
	code = rd_kafka_error_code(error);
	if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && kafka->in_flight > 0)
		outcome = PRISM_AGAIN;
	else if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		outcome = kafka_answer(kafka, PRISM_REJECT,
							   "a record of %zu bytes is larger than the send queue (queue_buffering_max_kbytes)",
							   value_size + key_size);
	else
		outcome = kafka_answer(kafka, kafka_outcome(code), "topic \"%s\": %s",
							   topic->name, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return outcome;
}

/*
 * One record too many makes the broker refuse its whole batch, so what is known
 * to be refused does not go there.  Compression may make it fit.  The limit can be
 * raised at the broker, which tells nobody: after a while it is asked again, by
 * sending the record; when it refuses, the connection begins anew and learns the
 * limit of that moment.
 */
static bool
too_large(const KafkaConn *kafka, const KafkaTopic *topic, Size record_bytes)
{
	return topic->record_bytes_max > 0 && !kafka->compresses &&
		!prism_has_passed(topic->record_bytes_at, prism_instant(), LIMIT_BELIEVED_MS) &&
		record_bytes + BATCH_OVERHEAD_BYTES > (Size) topic->record_bytes_max;
}

PrismOutcome
kafka_send(PrismConn *conn, const PrismQueueTarget *target, const PrismMessage *message, uint64 tag)
{
	KafkaConn  *kafka = (KafkaConn *) conn;
	KafkaTopic *topic = kafka_topic(kafka, target->name);
	const char *value = NULL;
	const char *key = NULL;
	Size		value_size = 0;
	Size		key_size = 0;
	Size		headers_size = 0;
	void	   *value_copy = NULL;
	void	   *key_copy = NULL;
	rd_kafka_headers_t *headers = NULL;
	char		id_text[ID_TEXT_BYTES];
	PrismOutcome outcome;

	StaticAssertStmt(sizeof(void *) >= sizeof(uint64), "a tag must fit into a pointer");

	if (topic->handle == NULL)
		return kafka_answer(kafka, PRISM_STOP, "topic name \"%s\" is refused by librdkafka", target->name);
	if (message->has_payload)
		open_datum(message->payload, &value, &value_size, &value_copy);
	if (message->has_key)
		open_datum(message->key, &key, &key_size, &key_copy);
	write_uuid(&message->id, id_text);
	if (message->has_headers)
		headers = make_headers(message->headers, id_text, &headers_size);

	if (message->has_headers && headers == NULL)
		outcome = kafka_answer(kafka, PRISM_REJECT, "its headers are no flat JSON object of strings");
	else if (too_large(kafka, topic, value_size + key_size + headers_size))
	{
		if (headers != NULL)
			rd_kafka_headers_destroy(headers);
		outcome = kafka_answer(kafka, PRISM_REJECT,
							   "topic \"%s\" takes records of at most " INT64_FORMAT " bytes, this one has %zu",
							   target->name, topic->record_bytes_max,
							   value_size + key_size + headers_size);
	}
	else
		outcome = produce(kafka, topic, message, tag, value, value_size, key, key_size,
						  headers, id_text);
	if (value_copy != NULL)
		pfree(value_copy);
	if (key_copy != NULL)
		pfree(key_copy);
	return outcome;
}
