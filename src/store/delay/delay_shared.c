/*-------------------------------------------------------------------------
 *
 * delay_shared.c
 *	  What publishers, the scheduler and views share of delayed messages.
 *
 * It lies in the counters of the journal and of the topics (counter.h).
 *
 * src/store/delay/delay_shared.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/delay/delay.h"
#include "store/log/counter.h"

void
prism_delay_take_news(PrismTopic *journal, PrismDelayNews *news)
{
	PrismCounter *counter = journal->counter;

	prism_counter_init(journal);
	SpinLockAcquire(&counter->mutex);
	news->first_due = counter->delay.look_at;
	news->next = counter->next;
	counter->delay.look_at = DT_NOEND;
	SpinLockRelease(&counter->mutex);
}

/* Unless somebody has told us something since. */
void
prism_delay_look_at(PrismTopic *journal, TimestampTz at)
{
	PrismCounter *counter = journal->counter;

	SpinLockAcquire(&counter->mutex);
	if (counter->delay.look_at == DT_NOEND)
		counter->delay.look_at = at;
	SpinLockRelease(&counter->mutex);
}

void
prism_delay_share_needed(PrismTopic *journal, int64 needed_from)
{
	SpinLockAcquire(&journal->counter->mutex);
	journal->counter->delay.needed_from = needed_from;
	SpinLockRelease(&journal->counter->mutex);
}

int64
prism_delay_needed_from(PrismTopic *journal)
{
	int64		needed_from;

	SpinLockAcquire(&journal->counter->mutex);
	needed_from = journal->counter->delay.needed_from;
	SpinLockRelease(&journal->counter->mutex);
	return needed_from;
}

void
prism_delay_share_waiting(PrismTopic *topic, int64 waiting, TimestampTz next_due)
{
	SpinLockAcquire(&topic->counter->mutex);
	topic->counter->delay.waiting = waiting;
	topic->counter->delay.next_due = next_due;
	SpinLockRelease(&topic->counter->mutex);
}

void
prism_delay_share_known(PrismTopic *journal)
{
	SpinLockAcquire(&journal->counter->mutex);
	journal->counter->delay.known = true;
	SpinLockRelease(&journal->counter->mutex);
}

bool
prism_delay_shared_waiting(PrismTopic *topic, int64 *waiting, TimestampTz *next_due)
{
	bool		busy;
	PrismTopic *journal = prism_topic_try(PRISM_DELAY_TOPIC, &busy);
	bool		known = !busy;	/* without a journal none waits */

	if (journal != NULL)
	{
		SpinLockAcquire(&journal->counter->mutex);
		known = journal->counter->delay.known;
		SpinLockRelease(&journal->counter->mutex);
		prism_topic_release(journal);
	}
	SpinLockAcquire(&topic->counter->mutex);
	*waiting = topic->counter->delay.waiting;
	*next_due = topic->counter->delay.next_due;
	SpinLockRelease(&topic->counter->mutex);
	return known;
}
