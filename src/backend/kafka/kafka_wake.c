/*-------------------------------------------------------------------------
 *
 * kafka_wake.c
 *	  Waking PostgreSQL's thread, which sleeps on the client's event_fd.
 *
 * src/backend/kafka/kafka_wake.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/kafka/kafka.h"

#include <unistd.h>

static const uint64 event_payload = 1;

void
kafka_wake_for_events(KafkaClient *client)
{
	rd_kafka_queue_io_event_enable(client->queue, client->event_fd, &event_payload, sizeof(event_payload));
}

void
kafka_wake(KafkaClient *client)
{
	ssize_t		written = write(client->event_fd, &event_payload, sizeof(event_payload));

	(void) written;				/* a full counter is readable just as well */
}
