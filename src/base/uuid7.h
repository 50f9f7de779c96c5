/*-------------------------------------------------------------------------
 *
 * uuid7.h
 *	  Message ids: UUID version 7 (RFC 9562).
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

#endif							/* PRISM_UUID7_H */
