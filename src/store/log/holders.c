/*-------------------------------------------------------------------------
 *
 * holders.c
 *	  Those who read the logs and hold them back, one kind after the other.
 *
 * src/store/log/holders.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/log/holders.h"

static const PrismLogHolder *holders = NULL;
static int	holder_count = 0;

void
prism_holders_register(const PrismLogHolder *table, int count)
{
	holders = table;
	holder_count = count;
}

int64
prism_holders_slowest(PrismTopic *topic, bool always)
{
	int64		slowest = PRISM_NOBODY;

	for (int i = 0; i < holder_count; i++)
	{
		int64		position;

		if (holders[i].slowest == NULL || holders[i].always != always)
			continue;
		position = holders[i].slowest(topic);
		Assert(position >= 0);
		slowest = Min(slowest, position);
	}
	return slowest;
}

int64
prism_holders_checkpoint(void)
{
	int64		needed_from = PRISM_NOBODY;

	for (int i = 0; i < holder_count; i++)
	{
		if (holders[i].checkpoint != NULL)
		{
			int64		needed = holders[i].checkpoint();

			needed_from = Min(needed_from, needed);
		}
	}
	return needed_from;
}

void
prism_holders_admit(PrismTopic *topic, int64 count)
{
	for (int i = 0; i < holder_count; i++)
		if (holders[i].admit != NULL)
			holders[i].admit(topic, count);
}

int64
prism_holders_bytes(PrismTopic *topic, int64 from, bool open)
{
	int64		bytes = 0;

	for (int i = 0; i < holder_count; i++)
		if (holders[i].bytes != NULL)
			bytes += holders[i].bytes(topic, from, open);
	return bytes;
}

void
prism_holders_wake(PrismCounter *counter)
{
	for (int i = 0; i < holder_count; i++)
		if (holders[i].wake != NULL)
			holders[i].wake(counter);
}

void
prism_holders_drop(int32 topic_id)
{
	for (int i = 0; i < holder_count; i++)
		if (holders[i].drop != NULL)
			holders[i].drop(topic_id);
}
