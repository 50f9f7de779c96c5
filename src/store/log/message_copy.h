/*-------------------------------------------------------------------------
 *
 * message_copy.h
 *	  Taking a message out of the log: what it must be to outlive its row.
 *
 * A message that was read points into its segment.  Whoever keeps it longer than
 * the reader stands there, or the topic is locked, takes its three values out,
 * into the current memory context.
 *
 * src/store/log/message_copy.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_MESSAGE_COPY_H
#define PRISM_MESSAGE_COPY_H

#include "base/prism.h"
#include "base/compat.h"

#include "access/detoast.h"

/* Bytes of the payload, opened, without fetching or opening it. */
static inline int64
prism_message_payload_bytes(const PrismMessage *message)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(message->payload);

	if (!message->has_payload)
		return 0;
	if (VARATT_IS_EXTERNAL(stored) || VARATT_IS_COMPRESSED(stored))
		return (int64) toast_raw_datum_size(message->payload) - VARHDRSZ;
	return VARSIZE_ANY_EXHDR(stored);
}

/*
 * Fetch what lies out of line: what is handed out outlives the locks under which
 * it was read, and its segment may be dropped before somebody looks at it.  What
 * is in the row stays there, and what is compressed stays so.
 */
static inline void
prism_message_fetch(PrismMessage *message)
{
	if (message->has_key && VARATT_IS_EXTERNAL(DatumGetPointer(message->key)))
		message->key = PointerGetDatum(detoast_external_attr((struct varlena *) DatumGetPointer(message->key)));
	if (message->has_headers && VARATT_IS_EXTERNAL(DatumGetPointer(message->headers)))
		message->headers = PointerGetDatum(detoast_external_attr((struct varlena *) DatumGetPointer(message->headers)));
	if (message->has_payload && VARATT_IS_EXTERNAL(DatumGetPointer(message->payload)))
		message->payload = PointerGetDatum(detoast_external_attr((struct varlena *) DatumGetPointer(message->payload)));
}

/* Likewise; false, and nothing is thrown: one of them is damaged. */
extern bool prism_message_try_fetch(PrismMessage *message);

/* Copy all of them as they are stored: none is out of line, what is compressed stays so. */
extern void prism_message_copy_stored(PrismMessage *message);

/*
 * Copy all of them as their readers want them: none is out of line or compressed.
 * Adds their bytes to *bytes.  False, and nothing is thrown: one of them is damaged.
 */
extern bool prism_message_copy_opened(PrismMessage *copy, const PrismMessage *message, Size *bytes);

/* The bytes of the three as they are stored. */
extern int64 prism_message_stored_bytes(const PrismMessage *message);

#endif							/* PRISM_MESSAGE_COPY_H */
