/*-------------------------------------------------------------------------
 *
 * scenario_send.c
 *	  Records: order, partitions, shapes, sizes.
 *
 * test/lib/backend_test/scenario_send.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "backend/queue.h"

#include <librdkafka/rdkafka.h>

#include "backend_test.h"

/* Everything sent arrives once, in order per key. */
void
send_in_order(StringInfo report)
{
	const char *topic = new_name("order");
	Subject    *subject = open_kafka(NULL);
	Tally		tally = {0};

	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 4), PRISM_OK);
	send_numbers(subject, 0, SEND_MESSAGES, &tally);
	subject_collect(subject, SEND_MESSAGES, &tally);
	expect(tally.count[PRISM_OK] == SEND_MESSAGES, "%d accepted messages, got " INT64_FORMAT,
		   SEND_MESSAGES, tally.count[PRISM_OK]);
	expect(!subject->conn->doubt, "no doubt");
	expect_all(topic);
	appendStringInfo(report, "slowest call %s %.1f ms", subject->slowest_call, subject->slowest_ms);
	subject_close(subject);
}

typedef struct KeyPartition
{
	const char *key;
	int32		hash;			/* murmur2 as Java's client computes it */
	int			seen_in;
} KeyPartition;

static void
note_partition(void *arg, int32 partition, const char *key, Size key_bytes,
			   const char *value, Size value_bytes, const char *id, int64 timestamp_ms)
{
	for (KeyPartition *known = arg; known->key != NULL; known++)
		if (strlen(known->key) == key_bytes && memcmp(known->key, key, key_bytes) == 0)
			known->seen_in = partition;
}

/* Keys go where Java's client sends them: the hashes are those of its own tests. */
void
partitions(StringInfo report)
{
	static KeyPartition known[] = {
		{"21", -973932308, -1}, {"foobar", -790332482, -1}, {"a-little-bit-long-string", -985981536, -1},
		{"a-little-bit-longer-string", -1486304829, -1},
		{"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971, -1}, {"abc", 479470107, -1},
		{NULL, 0, 0}
	};
	const char *topic = new_name("partitions");
	Subject    *subject = open_kafka(NULL);

	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 7), PRISM_OK);
	for (KeyPartition *each = known; each->key != NULL; each++)
		expect_outcome(subject, "send", send_alone(subject, each->key, "x", 1), PRISM_OK);
	peer_read(topic, true, note_partition, known);
	for (KeyPartition *each = known; each->key != NULL; each++)
		expect(each->seen_in == (each->hash & 0x7fffffff) % 7, "key \"%s\" in partition %d, got %d",
			   each->key, (each->hash & 0x7fffffff) % 7, each->seen_in);
	appendStringInfo(report, "%d keys", (int) lengthof(known) - 1);
	subject_close(subject);
}

/*
 * Partitions that somebody else adds are seen, and used when the caller says that
 * nothing is under way; more of them can be had then, and never fewer.
 */
void
more_partitions(StringInfo report)
{
	KeyPartition keys[] = {{"21", -973932308, -1}, {"foobar", -790332482, -1}, {"abc", 479470107, -1}, {NULL, 0, 0}};
	KeyPartition later[] = {{"a-little-bit-long-string", -985981536, -1}, {"a-little-bit-longer-string", -1486304829, -1}, {NULL, 0, 0}};
	const char *topic = new_name("more_partitions");
	Subject    *subject = open_kafka(NULL);
	Subject    *other = open_kafka(NULL);

	expect_outcome(other, "prepare", subject_prepare(other, topic, 1), PRISM_OK);
	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 1), PRISM_OK);
	expect(subject->shape.partitions == 1 && subject->shape.replication == 1 && subject->shape.message_bytes_max > 1000000,
		   "a topic of one partition, got %d", subject->shape.partitions);
	expect_outcome(other, "reshape", subject_reshape(other, 4), PRISM_OK);
	expect_outcome(subject, "look", subject_look(subject), PRISM_OK);
	expect(subject->shape.partitions == 4, "four partitions to be seen, got %d", subject->shape.partitions);
	for (KeyPartition *each = keys; each->key != NULL; each++)
		expect_outcome(subject, "send", send_alone(subject, each->key, "x", 1), PRISM_OK);
	peer_read(topic, true, note_partition, keys);
	for (KeyPartition *each = keys; each->key != NULL; each++)
		expect(each->seen_in == 0, "key \"%s\" in the partition that it had, got %d", each->key, each->seen_in);

	expect_outcome(subject, "reshape", subject_reshape(subject, 7), PRISM_OK);
	expect(subject->shape.partitions == 7, "seven partitions, got %d", subject->shape.partitions);
	expect_outcome(subject, "reshape", subject_reshape(subject, 2), PRISM_OK);
	expect(subject->shape.partitions == 7, "none to be taken away, got %d", subject->shape.partitions);
	for (KeyPartition *each = later; each->key != NULL; each++)
		expect_outcome(subject, "send", send_alone(subject, each->key, "x", 1), PRISM_OK);
	peer_read(topic, true, note_partition, later);
	for (KeyPartition *each = later; each->key != NULL; each++)
		expect(each->seen_in == (each->hash & 0x7fffffff) % 7, "key \"%s\" in partition %d, got %d",
			   each->key, (each->hash & 0x7fffffff) % 7, each->seen_in);
	expect_outcome(subject, "reshape", subject_reshape(subject, 2000000000), PRISM_STOP);
	expect(subject->shape.partitions == 7, "what there is to go on, got %d", subject->shape.partitions);
	appendStringInfo(report, "slowest call %s %.1f ms", subject->slowest_call, subject->slowest_ms);
	subject_close(subject);
	subject_close(other);
}

typedef struct Shapes
{
	int			nulls;
	int			empties;
	int			no_keys;
	int			empty_keys;
} Shapes;

static void
note_shape(void *arg, int32 partition, const char *key, Size key_bytes,
		   const char *value, Size value_bytes, const char *id, int64 timestamp_ms)
{
	Shapes	   *shapes = arg;

	shapes->nulls += value == NULL;
	shapes->empties += value != NULL && value_bytes == 0;
	shapes->no_keys += key == NULL;
	shapes->empty_keys += key != NULL && key_bytes == 0;
	expect(strcmp(id, "00000000-0000-0000-0000-000000000001") == 0, "the id header, got \"%s\"", id);
}

/* A tombstone is not an empty value, no key is not an empty key. */
void
shapes(StringInfo report)
{
	const char *topic = new_name("shapes");
	Subject    *subject = open_kafka(NULL);
	Shapes		shapes = {0};

	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 1), PRISM_OK);
	expect_outcome(subject, "send", send_alone(subject, "k", NULL, 0), PRISM_OK);
	expect_outcome(subject, "send", send_alone(subject, "k", "", 0), PRISM_OK);
	expect_outcome(subject, "send", send_alone(subject, NULL, "v", 1), PRISM_OK);
	expect_outcome(subject, "send", send_alone(subject, "", "v", 1), PRISM_OK);
	peer_read(topic, true, note_shape, &shapes);
	expect(shapes.nulls == 1 && shapes.empties == 1 && shapes.no_keys == 1 && shapes.empty_keys == 1,
		   "one of each, got %d %d %d %d", shapes.nulls, shapes.empties, shapes.no_keys, shapes.empty_keys);
	subject_close(subject);
}

/*
 * A record that is known to be too large is refused alone.  One that the broker
 * refuses takes its batch with it; nothing that follows is accepted.
 */
void
too_large(StringInfo report)
{
	const char *topic = new_name("large");
	Subject    *subject = open_kafka(NULL);
	Tally		tally = {0};
	PrismMessage message = message_of(21, "key-1", noise(2000000), 2000000);
	Numbers		numbers = {0};

	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 1), PRISM_OK);
	expect_outcome(subject, "send", subject_send(subject, &message, 21, &tally), PRISM_REJECT);
	expect_outcome(subject, "send", send_alone(subject, "k", noise(1000000), 1000000), PRISM_OK);
	expect(!subject->conn->doubt, "no doubt");
	subject_close(subject);

	/* with compression nobody knows before the broker */
	topic = new_name("large");
	subject = subject_open("kafka", NULL, options_of("bootstrap.servers", brokers, "compression.type", "lz4",
													 "batch.size", "4000000", "linger.ms", "200", NULL));
	(void) subject_prepare(subject, topic, 1);	/* wants smaller batches; this test does not */
	subject->conn->doubt = false;
	send_numbers(subject, 1, 11, &tally);
	expect_outcome(subject, "send", subject_send(subject, &message, 21, &tally), PRISM_OK);
	send_numbers(subject, 11, 21, &tally);
	subject_collect(subject, 21, &tally);
	expect(tally.count[PRISM_OK] == 0, "nothing of the batch accepted, got " INT64_FORMAT, tally.count[PRISM_OK]);
	expect(tally.count[PRISM_REJECT] > 0, "the batch rejected");
	expect(subject->conn->doubt, "a producer that must be made anew");
	appendStringInfo(report, INT64_FORMAT " rejected, " INT64_FORMAT " to be sent again, code %d: %s",
					 tally.count[PRISM_REJECT], tally.count[PRISM_RETRY], tally.last_bad_code, subject->conn->error);
	expect_outcome(subject, "send", subject_send(subject, &message, 22, &tally), PRISM_DOUBT);
	expect(peer_read(topic, true, sum_numbers, &numbers) == 0, "an empty topic");
	subject_close(subject);
}

/* A topic that takes less than a batch: prepare() asks for another connection, which makes smaller ones. */
void
small_topic(StringInfo report)
{
	const char *topic = new_name("small");
	Subject    *subject;
	Tally		tally = {0};

	peer_create_topic(topic, 1, "20000");
	subject = open_kafka(NULL);
	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 1), PRISM_DOUBT);
	appendStringInfo(report, "%s", subject->conn->error);
	subject_close(subject);
	subject = open_kafka(NULL);
	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 1), PRISM_OK);
	send_numbers(subject, 0, 20000, &tally);
	subject_collect(subject, 20000, &tally);
	expect(tally.count[PRISM_OK] == 20000, "all accepted, got " INT64_FORMAT, tally.count[PRISM_OK]);
	subject_close(subject);
}

/* What is purged gets a receipt, and so does the rest; then the connection is made anew. */
void
purging(StringInfo report)
{
	const char *topic = new_name("purge");
	Subject    *subject = open_kafka(NULL);
	Tally		tally = {0};

	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 2), PRISM_OK);
	send_numbers(subject, 0, 5000, &tally);
	subject->queue->purge(subject->conn);
	subject_collect(subject, 5000, &tally);
	appendStringInfo(report, INT64_FORMAT " sent, " INT64_FORMAT " purged",
					 tally.count[PRISM_OK], tally.count[PRISM_RETRY]);
	expect(tally.count[PRISM_OK] + tally.count[PRISM_RETRY] == 5000, "nothing rejected");
	expect(subject->conn->doubt, "a doubt");
	subject_close(subject);
	subject = open_kafka(NULL);
	expect_outcome(subject, "prepare", subject_prepare(subject, topic, 2), PRISM_OK);
	expect_outcome(subject, "send", send_alone(subject, "k", "v", 1), PRISM_OK);
	subject_close(subject);
}
