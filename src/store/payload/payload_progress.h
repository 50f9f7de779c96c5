/*-------------------------------------------------------------------------
 *
 * payload_progress.h
 *	  How far sessions are that write, read or copy a payload: prism.progress.
 *
 * A session tells of one payload at a time, the one it began last.  Whatever ends
 * its work ends that as well: an error takes it back with its savepoint or its
 * transaction.
 *
 * src/store/payload/payload_progress.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PAYLOAD_PROGRESS_H
#define PRISM_PAYLOAD_PROGRESS_H

#include "store/log/topic.h"

typedef enum PrismPayloadWork
{
	PRISM_PAYLOAD_PUBLISH,		/* bytes are written beside the log */
	PRISM_PAYLOAD_READ,		/* ... read back and compared with their hash */
	PRISM_PAYLOAD_COPY,		/* ... copied for a message that was made of another one */
	PRISM_PAYLOAD_VERIFY		/* a stream's are read for its hash */
} PrismPayloadWork;

typedef struct PrismPayloadProgress
{
	int			pid;			/* 0: nothing is under way */
	Oid			database;
	int32		topic_id;
	int64		position;		/* of the message; -1: it has none yet, or it is not known */
	PrismPayloadWork kind;
	int64		bytes_done;
	int64		bytes_total;
	TimestampTz since;
} PrismPayloadProgress;

/* Shorter work is not told of: it has ended before anybody can look. */
#define PRISM_PAYLOAD_PROGRESS_MIN (1024 * 1024)

/* A session without preload tells nothing. */
extern void prism_payload_progress_begin(PrismPayloadWork kind, const PrismTopic *topic, int64 position, int64 bytes_total);
extern void prism_payload_progress_add(int64 bytes);
extern void prism_payload_progress_end(void);

/* What the session of this place (0 .. prism_payload_progress_places()) is at; false: nothing. */
extern int	prism_payload_progress_places(void);
extern bool prism_payload_progress_look(int place, PrismPayloadProgress *copy);

extern Size prism_payload_progress_shmem_size(void);
extern void prism_payload_progress_shmem_init(void);
/* See PrismModule. */
extern void prism_payload_progress_transaction_end(bool committed);
extern void prism_payload_progress_subabort(int nest_level);

#endif							/* PRISM_PAYLOAD_PROGRESS_H */
