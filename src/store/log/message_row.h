/*-------------------------------------------------------------------------
 *
 * message_row.h
 *	  prism.message, the row in which messages are handed out.
 *
 * src/store/log/message_row.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_MESSAGE_ROW_H
#define PRISM_MESSAGE_ROW_H

#include "base/prism.h"

/* Columns of prism.message. */
enum
{
	PRISM_MESSAGE_TOPIC = 1,
	PRISM_MESSAGE_POSITION,
	PRISM_MESSAGE_ID,
	PRISM_MESSAGE_KEY,
	PRISM_MESSAGE_HEADERS,
	PRISM_MESSAGE_PAYLOAD,
	PRISM_MESSAGE_CREATED_AT,
	PRISM_MESSAGE_ATTEMPT,
	PRISM_MESSAGE_CONSUMER_GROUP,
	PRISM_MESSAGE_LEASE_ID,
	PRISM_MESSAGE_COLUMNS = PRISM_MESSAGE_LEASE_ID
};

/* A row in the making: what is the same for all messages of a call is filled in once. */
typedef struct PrismMessageRow
{
	Datum		values[PRISM_MESSAGE_COLUMNS];
	bool		nulls[PRISM_MESSAGE_COLUMNS];
} PrismMessageRow;

/* group NULL: a message that is only read. */
extern void prism_message_row_init(PrismMessageRow *row, const char *topic, const char *group,
								   int64 lease_id);
extern void prism_message_row_fill(PrismMessageRow *row, PrismMessage *message, int attempt);

#endif							/* PRISM_MESSAGE_ROW_H */
