/*-------------------------------------------------------------------------
 *
 * kafka_option_table.h
 *	  The librdkafka properties that prism lets through, and why not the others.
 *
 * librdkafka has properties that load libraries, run commands and read files,
 * so names are allowed one by one.  Two libraries compile this table: prism.so
 * to check what is typed, prism_kafka.so so that nothing else reaches librdkafka
 * even when a catalogue was filled behind prism's back.
 *
 * No .c of its name: a table, which each of the two compiles into itself.
 *
 * src/backend/kafka/kafka_option_table.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_KAFKA_OPTION_TABLE_H
#define PRISM_KAFKA_OPTION_TABLE_H

#include "backend/option_table.h"

#define KAFKA_KILOBYTES_MAX (64 * 1024)

static const PrismOptionRule kafka_option_table[] = {
	/* where */
	{.name = "bootstrap.servers",.kind = PRISM_OPTION_ENDPOINTS},
	{.name = "client.id",.kind = PRISM_OPTION_TEXT},
	{.name = "client.rack",.kind = PRISM_OPTION_TEXT},
	{.name = "broker.address.family",.kind = PRISM_OPTION_CHOICE,.choices = "any,v4,v6"},
	{.name = "broker.address.ttl",.kind = PRISM_OPTION_INTEGER,.range_min = 0,.range_max = 86400000},

	/* identity, and how safe it travels */
	{.name = "security.protocol",.kind = PRISM_OPTION_CHOICE,
		.choices = "plaintext,ssl,sasl_plaintext,sasl_ssl",.superuser_choices = "sasl_plaintext"},
	{.name = "sasl.mechanisms",.kind = PRISM_OPTION_CHOICE,.choices = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"},
	{.name = "sasl.mechanism",.same_as = "sasl.mechanisms",.kind = PRISM_OPTION_CHOICE,.choices = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"},
	{.name = "sasl.username",.kind = PRISM_OPTION_TEXT,.flags = PRISM_OPTION_CREDENTIAL},
	{.name = "sasl.password",.kind = PRISM_OPTION_TEXT,.flags = PRISM_OPTION_SECRET},
	{.name = "ssl.ca.pem",.kind = PRISM_OPTION_PEM},
	{.name = "ssl.certificate.pem",.kind = PRISM_OPTION_PEM,.flags = PRISM_OPTION_CREDENTIAL},
	{.name = "ssl.key.pem",.kind = PRISM_OPTION_PEM,.flags = PRISM_OPTION_SECRET},
	{.name = "ssl.key.password",.kind = PRISM_OPTION_TEXT,.flags = PRISM_OPTION_SECRET},
	{.name = "ssl.cipher.suites",.kind = PRISM_OPTION_TEXT},
	{.name = "ssl.curves.list",.kind = PRISM_OPTION_TEXT},
	{.name = "ssl.sigalgs.list",.kind = PRISM_OPTION_TEXT},
	{.name = "ssl.endpoint.identification.algorithm",.kind = PRISM_OPTION_CHOICE,
		.choices = "https,none",.superuser_choices = "none"},
	{.name = "enable.ssl.certificate.verification",.kind = PRISM_OPTION_CHOICE,
		.choices = "true,false",.superuser_choices = "false"},

	/* batches and queues; the queue is bounded by bytes, as every queue of prism */
	{.name = "linger.ms",.kind = PRISM_OPTION_INTEGER,.range_min = 0,.range_max = 1000},
	{.name = "batch.size",.kind = PRISM_OPTION_INTEGER,.range_min = 1000,.range_max = 16 * 1024 * 1024},
	{.name = "batch.num.messages",.kind = PRISM_OPTION_INTEGER,.range_min = 1,.range_max = 100000},
	{.name = "message.max.bytes",.kind = PRISM_OPTION_INTEGER,.range_min = 1000,.range_max = 64 * 1024 * 1024},
	{.name = "queue.buffering.max.kbytes",.kind = PRISM_OPTION_INTEGER,.range_min = 1024,.range_max = KAFKA_KILOBYTES_MAX},
	{.name = "queue.buffering.max.messages",.kind = PRISM_OPTION_INTEGER,.range_min = 100,.range_max = 100000},
	{.name = "sticky.partitioning.linger.ms",.kind = PRISM_OPTION_INTEGER,.range_min = 0,.range_max = 1000},
	{.name = "compression.type",.kind = PRISM_OPTION_CHOICE,.choices = "none,gzip,snappy,lz4,zstd"},
	{.name = "compression.codec",.same_as = "compression.type",.kind = PRISM_OPTION_CHOICE,.choices = "none,gzip,snappy,lz4,zstd"},
	{.name = "compression.level",.kind = PRISM_OPTION_INTEGER,.range_min = -1,.range_max = 12},

	/* time */
	{.name = "socket.timeout.ms",.kind = PRISM_OPTION_INTEGER,.range_min = 1000,.range_max = 300000},
	{.name = "socket.connection.setup.timeout.ms",.kind = PRISM_OPTION_INTEGER,.range_min = 1000,.range_max = 300000},
	{.name = "request.timeout.ms",.kind = PRISM_OPTION_INTEGER,.range_min = 1000,.range_max = 300000},
	{.name = "transaction.timeout.ms",.kind = PRISM_OPTION_INTEGER,.range_min = 5000,.range_max = 900000},
	{.name = "retry.backoff.ms",.kind = PRISM_OPTION_INTEGER,.range_min = 10,.range_max = 60000},
	{.name = "reconnect.backoff.ms",.kind = PRISM_OPTION_INTEGER,.range_min = 10,.range_max = 60000},
	{.name = "reconnect.backoff.max.ms",.kind = PRISM_OPTION_INTEGER,.range_min = 10,.range_max = 600000},
	{.name = "connections.max.idle.ms",.kind = PRISM_OPTION_INTEGER,.range_min = 0,.range_max = 86400000},
	{.name = "metadata.max.age.ms",.kind = PRISM_OPTION_INTEGER,.range_min = 1000,.range_max = 86400000},
	{.name = "topic.metadata.refresh.interval.ms",.kind = PRISM_OPTION_INTEGER,.range_min = 1000,.range_max = 3600000},
	{.name = "socket.keepalive.enable",.kind = PRISM_OPTION_BOOLEAN},
	{.name = "socket.send.buffer.bytes",.kind = PRISM_OPTION_INTEGER,.range_min = 0,.range_max = 16 * 1024 * 1024},
	{.name = "socket.receive.buffer.bytes",.kind = PRISM_OPTION_INTEGER,.range_min = 0,.range_max = 16 * 1024 * 1024},
};

/* Known to librdkafka and refused. */
static const PrismOptionRefusal kafka_refusal_table[] = {
	{"plugin.library.paths", "loads foreign code into the server"},
	{"ssl.engine*", "loads foreign code into the server"},
	{"ssl.providers", "loads foreign code into the server"},
	{"ssl.*location", "reads files of the server; give certificates and keys as text with the .pem options"},
	{"ssl.keystore*", "reads files of the server; give certificates and keys as text with the .pem options"},
	{"sasl.kerberos*", "runs commands on the server"},
	{"sasl.oauthbearer*", "calls URLs or runs handlers that this library does not have"},
	{"enable.sasl.oauthbearer*", "accepts tokens that nobody signed"},
	{"debug", "writes message contents and secrets to the server log"},
	{"log*", "belongs to prism, which writes librdkafka's messages to the server log"},
	{"statistics*", "belongs to prism"},
	{"opaque", "is not a value that can be typed"},
	{"*.cb", "is not a value that can be typed"},
	{"interceptors", "is not a value that can be typed"},
	{"internal*", "is not meant for use"},
	{"acks", "belongs to prism, which always waits for all in-sync replicas"},
	{"request.required.acks", "belongs to prism, which always waits for all in-sync replicas"},
	{"enable.idempotence", "belongs to prism, whose producers are always idempotent"},
	{"enable.gapless.guarantee", "belongs to prism, which keeps the order of a key"},
	{"transactional.id", "belongs to prism, which makes it from the installation and the topic"},
	{"partitioner", "belongs to prism, whose keys go to the partitions that a Java client chooses"},
	{"message.timeout.ms", "belongs to prism, which never gives a message up"},
	{"delivery.timeout.ms", "belongs to prism, which never gives a message up"},
	{"retries", "belongs to prism, which never gives a message up"},
	{"message.send.max.retries", "belongs to prism, which never gives a message up"},
	{"max.in.flight*", "belongs to prism, which keeps the order of a key"},
	{"queuing.strategy", "belongs to prism, which keeps the order of a key"},
	{"socket.max.fails", "belongs to prism, which watches connections to know what is in doubt"},
	{"group.*", "is for consumers"},
	{"auto.*", "is for consumers"},
	{"enable.auto*", "is for consumers"},
	{"fetch.*", "is for consumers"},
	{"isolation.level", "is for consumers"},
	{"metadata.broker.list", "has another name: bootstrap.servers"},
	{"brokers", "has another name: bootstrap.servers"},
	{"queue.buffering.max.ms", "has another name: linger.ms"},
};

#endif							/* PRISM_KAFKA_OPTION_TABLE_H */
