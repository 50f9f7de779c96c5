/*-------------------------------------------------------------------------
 *
 * payload_id.h
 *	  How a new payload is called.
 *
 * src/store/payload/payload_id.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PAYLOAD_ID_H
#define PRISM_PAYLOAD_ID_H

#include "base/prism.h"

/* With the tag of this installation, as far as it is known by now, which it is before any payload leaves the database. */
extern void prism_payload_make_id(pg_uuid_t *id);

#endif							/* PRISM_PAYLOAD_ID_H */
