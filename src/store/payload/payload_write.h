/*-------------------------------------------------------------------------
 *
 * payload_write.h
 *	  Writing a payload into rows of its topic's payload segments.
 *
 * src/store/payload/payload_write.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PAYLOAD_WRITE_H
#define PRISM_PAYLOAD_WRITE_H

#include "store/log/topic.h"

#include "utils/uuid.h"

typedef struct PrismPayloadWriter PrismPayloadWriter;

/*
 * Begin to write bytes of a payload, those from 'at' on.  Waits for a payload
 * segment as publishers wait for segments of the log; it is locked against being
 * sealed to the end of the transaction.  All of begin() to finish() happens in
 * one statement, and not in the callbacks of a commit: what is written belongs to
 * the current (sub)transaction.  An error in between leaves nothing open.
 *
 * Whether the caller may publish at all (recovery, READ ONLY, his rights) was
 * asked before.
 */
extern PrismPayloadWriter *prism_payload_begin(PrismTopic *topic, int32 store_id, const pg_uuid_t *id, int64 at);

/* The next bytes, in pieces of any length.  Interruptible. */
extern void prism_payload_put(PrismPayloadWriter *writer, const void *bytes, Size length);

/* In which payload segment they are, and where the payload ends now; frees the writer. */
extern void prism_payload_finish(PrismPayloadWriter *writer, int64 *segment, int64 *end);

#endif							/* PRISM_PAYLOAD_WRITE_H */
