/*-------------------------------------------------------------------------
 *
 * kafka_resolve.c
 *	  Which addresses a client goes to.
 *
 * The addresses of a server's options are only where librdkafka begins: brokers
 * tell it where else to go.  Where prism.allowed_endpoints holds for who wrote
 * the options, it holds for those too: librdkafka asks us for the numbers
 * behind each name before it connects, and gets none for what is not allowed,
 * so that not even a name server hears of it.
 *
 * The callback runs in librdkafka's threads and calls no function of
 * PostgreSQL but its snprintf.  What was refused waits in the client until
 * PostgreSQL's thread asks; the last address is enough.
 *
 * src/backend/kafka/kafka_resolve.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/kafka/kafka.h"

#include "lib/stringinfo.h"

#include <netdb.h>

static int	resolve(const char *host, const char *service, const struct addrinfo *hints,
					struct addrinfo **addresses, void *opaque);

/*
 * The patterns of a server with its own addresses, which were allowed when
 * they were written; NULL: it may go anywhere.
 */
char *
kafka_allowed_addresses(const PrismServer *server)
{
	StringInfoData allowed;
	ListCell   *cell;

	if (server->allowed == NULL)
		return NULL;
	initStringInfo(&allowed);
	appendStringInfoString(&allowed, server->allowed);
	foreach(cell, server->options)
	{
		const PrismOption *option = lfirst(cell);
		const char *list = option->value;
		char		text[PRISM_ENDPOINT_BYTES];
		char		endpoint[PRISM_ENDPOINT_BYTES];

		if (strcmp(option->name, "bootstrap.servers") != 0)
			continue;
		while (prism_endpoint_next(&list, text))
			if (prism_endpoint_parse(text, endpoint))
				appendStringInfo(&allowed, ",%s", endpoint);
	}
	return allowed.data;
}

/* To be called once, before the client's handle is made; client->allowed is set. */
void
kafka_watch_addresses(KafkaClient *client, rd_kafka_conf_t *conf)
{
	pthread_mutex_init(&client->refused_lock, NULL);
	if (client->allowed != NULL)
		rd_kafka_conf_set_resolve_cb(conf, resolve);
}

/* Which address was refused since we were asked last; false: none. */
bool
kafka_refused_address(KafkaClient *client, char *address)
{
	bool		refused;

	pthread_mutex_lock(&client->refused_lock);
	refused = client->refused[0] != '\0';
	strlcpy(address, client->refused, KAFKA_ADDRESS_BYTES);
	client->refused[0] = '\0';
	pthread_mutex_unlock(&client->refused_lock);
	return refused;
}

/* Host and service as librdkafka has divided them: an IPv6 address comes without brackets. */
static bool
is_allowed(KafkaClient *client, const char *host, const char *service)
{
	bool		numeric6 = strchr(host, ':') != NULL;
	char		address[KAFKA_ADDRESS_BYTES];
	char		endpoint[PRISM_ENDPOINT_BYTES];

	snprintf(address, sizeof(address), "%s%s%s:%s", numeric6 ? "[" : "", host, numeric6 ? "]" : "", service);
	if (prism_endpoint_parse(address, endpoint) && prism_endpoint_allowed(client->allowed, endpoint))
		return true;
	pthread_mutex_lock(&client->refused_lock);
	strlcpy(client->refused, address, KAFKA_ADDRESS_BYTES);
	pthread_mutex_unlock(&client->refused_lock);
	kafka_wake(client);
	return false;
}

/* Instead of getaddrinfo(); with neither host nor service: instead of freeaddrinfo(). */
static int
resolve(const char *host, const char *service, const struct addrinfo *hints,
		struct addrinfo **addresses, void *opaque)
{
	if (host == NULL)
	{
		freeaddrinfo(*addresses);
		return 0;
	}
	if (is_allowed(opaque, host, service))
		return getaddrinfo(host, service, hints, addresses);
	errno = EACCES;				/* librdkafka writes its text into the log */
	return EAI_SYSTEM;
}
