/*-------------------------------------------------------------------------
 *
 * uuid7.h
 *	  Ids of messages and payloads: UUID version 7 (RFC 9562).
 *
 * src/base/uuid7.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_UUID7_H
#define PRISM_UUID7_H

#include "base/prism.h"

/* A new id for a message made at 'now'; ids of one session ascend. */
extern void prism_uuid7(TimestampTz now, pg_uuid_t *id);

/* Likewise, with a tag in its last four bytes: who finds the id in another's store knows whose it is. */
extern void prism_uuid7_tagged(TimestampTz now, uint32 tag, pg_uuid_t *id);

#endif							/* PRISM_UUID7_H */
