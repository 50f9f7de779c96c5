/*-------------------------------------------------------------------------
 *
 * message_row.c
 *	  prism.message, the row in which messages are handed out.
 *
 * src/store/log/message_row.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/log/message_row.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

void
prism_message_row_init(PrismMessageRow *row, const char *topic, const char *group, int64 lease_id)
{
	memset(row, 0, sizeof(*row));
	row->values[PRISM_MESSAGE_TOPIC - 1] = CStringGetTextDatum(topic);
	row->nulls[PRISM_MESSAGE_ATTEMPT - 1] = group == NULL;
	row->nulls[PRISM_MESSAGE_CONSUMER_GROUP - 1] = group == NULL;
	row->nulls[PRISM_MESSAGE_LEASE_ID - 1] = group == NULL;
	if (group == NULL)
		return;
	row->values[PRISM_MESSAGE_CONSUMER_GROUP - 1] = CStringGetTextDatum(group);
	row->values[PRISM_MESSAGE_LEASE_ID - 1] = Int64GetDatum(lease_id);
}

void
prism_message_row_fill(PrismMessageRow *row, PrismMessage *message, int attempt)
{
	row->values[PRISM_MESSAGE_POSITION - 1] = Int64GetDatum(message->offset);
	row->values[PRISM_MESSAGE_ID - 1] = UUIDPGetDatum(&message->id);
	row->values[PRISM_MESSAGE_KEY - 1] = message->key;
	row->nulls[PRISM_MESSAGE_KEY - 1] = !message->has_key;
	row->values[PRISM_MESSAGE_HEADERS - 1] = message->headers;
	row->nulls[PRISM_MESSAGE_HEADERS - 1] = !message->has_headers;
	row->values[PRISM_MESSAGE_PAYLOAD - 1] = message->payload;
	row->nulls[PRISM_MESSAGE_PAYLOAD - 1] = !message->has_payload;
	row->values[PRISM_MESSAGE_CREATED_AT - 1] = TimestampTzGetDatum(message->created_at);
	row->values[PRISM_MESSAGE_ATTEMPT - 1] = Int32GetDatum(attempt);
}
