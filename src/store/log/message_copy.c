/*-------------------------------------------------------------------------
 *
 * message_copy.c
 *	  Taking a message out of the log: what it must be to outlive its row.
 *
 * src/store/log/message_copy.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/log/log.h"
#include "store/log/message_copy.h"

#include "utils/datum.h"

/* ---------- as they are stored ---------- */

static bool
try_fetch_value(bool has, Datum *value)
{
	struct varlena *fetched = has ? prism_log_value_inline(*value) : NULL;

	if (fetched != NULL)
		*value = PointerGetDatum(fetched);
	return !has || fetched != NULL;
}

bool
prism_message_try_fetch(PrismMessage *message)
{
	return try_fetch_value(message->has_key, &message->key) &&
		try_fetch_value(message->has_headers, &message->headers) &&
		try_fetch_value(message->has_payload, &message->payload);
}

/* detoast_external_attr() hands back what is not out of line. */
static Datum
copy_stored(Datum value)
{
	struct varlena *given = (struct varlena *) DatumGetPointer(value);
	struct varlena *fetched = detoast_external_attr(given);

	return fetched != given ? PointerGetDatum(fetched) : datumCopy(value, false, -1);
}

void
prism_message_copy_stored(PrismMessage *message)
{
	if (message->has_key)
		message->key = copy_stored(message->key);
	if (message->has_headers)
		message->headers = copy_stored(message->headers);
	if (message->has_payload)
		message->payload = copy_stored(message->payload);
}

int64
prism_message_stored_bytes(const PrismMessage *message)
{
	return (message->has_key ? toast_datum_size(message->key) : 0) +
		(message->has_headers ? toast_datum_size(message->headers) : 0) +
		(message->has_payload ? toast_datum_size(message->payload) : 0);
}

/* ---------- opened ---------- */

/* A short header stays short.  False: it is damaged. */
static bool
copy_packed(Datum *value, Size *bytes)
{
	struct varlena *original = (struct varlena *) DatumGetPointer(*value);
	struct varlena *copy = prism_log_value(*value);

	if (copy == NULL)
		return false;
	if (copy == original)
	{
		Size		size = VARSIZE_ANY(original);

		copy = palloc(size);
		memcpy(copy, original, size);
	}
	*bytes += VARSIZE_ANY(copy);
	*value = PointerGetDatum(copy);
	return true;
}

/* Headers are jsonb, whose readers want it aligned and with a full header. */
static bool
copy_aligned(Datum *value, Size *bytes)
{
	struct varlena *copy = prism_log_value(*value);

	if (copy == NULL)
		return false;
	if (PointerGetDatum(copy) == *value)
		copy = PG_DETOAST_DATUM_COPY(*value);
	*bytes += VARSIZE(copy);
	*value = PointerGetDatum(copy);
	return true;
}

bool
prism_message_copy_opened(PrismMessage *copy, const PrismMessage *message, Size *bytes)
{
	*copy = *message;
	return (!message->has_key || copy_packed(&copy->key, bytes)) &&
		(!message->has_headers || copy_aligned(&copy->headers, bytes)) &&
		(!message->has_payload || copy_packed(&copy->payload, bytes));
}
