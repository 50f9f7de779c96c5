/*-------------------------------------------------------------------------
 *
 * sink_shape.c
 *	  What the other side has made of sinks' targets, for whoever plans changes.
 *
 * A session asks no broker: it sees what the sink's process saw last.  That is
 * lost with the server, and seen again when the process has reached the other
 * side; what a sink was set to is in the catalogue.
 *
 * src/store/sink/sink_shape.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/sink/sink.h"
#include "store/sink/sink_slot.h"

#include "mb/pg_wchar.h"
#include "utils/timestamp.h"

void
prism_sink_aim(PrismSinkSlot *slot, const char *target, const char *endpoint)
{
	SpinLockAcquire(&slot->mutex);
	if (strncmp(slot->shape.endpoint, endpoint, sizeof(slot->shape.endpoint) - 1) != 0 || strcmp(slot->shape.target, target) != 0)
	{
		memset(&slot->shape, 0, sizeof(slot->shape));
		strlcpy(slot->shape.endpoint, endpoint, sizeof(slot->shape.endpoint));
		strlcpy(slot->shape.target, target, sizeof(slot->shape.target));
	}
	SpinLockRelease(&slot->mutex);
}

void
prism_sink_see(PrismSinkSlot *slot, const PrismSinkShape *seen)
{
	TimestampTz now = GetCurrentTimestamp();

	SpinLockAcquire(&slot->mutex);
	slot->shape.seen_at = now;
	slot->shape.partitions = seen->partitions;
	slot->shape.replication = seen->replication;
	slot->shape.message_bytes_max = seen->message_bytes_max;
	SpinLockRelease(&slot->mutex);
}

void
prism_sink_show_refusal(PrismSinkSlot *slot, const char *error)
{
	int			bytes = error != NULL ? pg_mbcliplen(error, strlen(error), sizeof(slot->shape.error) - 1) : 0;

	SpinLockAcquire(&slot->mutex);
	if (bytes > 0)
		memcpy(slot->shape.error, error, bytes);
	slot->shape.error[bytes] = '\0';
	SpinLockRelease(&slot->mutex);
}

bool
prism_sink_shape(int32 sink_id, const char *target, PrismSinkShape *shape)
{
	PrismSinkSlot copy;

	if (!prism_sink_copy(sink_id, &copy) || copy.shape.seen_at == 0 || strcmp(copy.shape.target, target) != 0)
		return false;
	*shape = copy.shape;
	return true;
}
