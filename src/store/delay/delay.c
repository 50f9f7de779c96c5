/*-------------------------------------------------------------------------
 *
 * delay.c
 *	  Delayed messages: keeping them, and whether any wait.
 *
 * src/store/delay/delay.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/object_id.h"
#include "base/wait_event.h"
#include "store/delay/delay.h"
#include "store/delay/delay_bucket.h"
#include "store/delay/delay_state.h"
#include "store/log/counter.h"
#include "store/log/log.h"
#include "store/log/message_copy.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* How often the drop of a topic looks whether earlier commits have ended. */
#define SETTLED_RECHECK_MS 20

/* The journal takes what the topics take, which checked it. */
#define RECORD_BYTES_MAX PG_INT32_MAX

void		(*prism_delay_wake) (void) = NULL;

/* What this transaction has delayed; a rolled back savepoint leaves its time: one wake-up for nothing. */
static PrismCounter *journal_counter = NULL;
static TimestampTz first_due = DT_NOEND;

/* The first record of a journal is a state: without any, a restore is still under way. */
void
prism_delay_ensure(void)
{
	if (prism_topic_lookup(PRISM_DELAY_TOPIC, true) != NULL)
		return;
	prism_topic_create(prism_next_object_id(), PRISM_DELAY_TOPIC, 0, RECORD_BYTES_MAX, "{}", "[]", 0);
	prism_delay_state_begin(prism_topic_lookup(PRISM_DELAY_TOPIC, false));
}

void
prism_delay_append(PrismTopic *topic, TimestampTz due_at, const PrismMessage *message)
{
	PrismDelayEntry entry = {topic->topic_id, due_at};
	PrismMessage record = *message;
	PrismTopic *journal;

	prism_require_preload();
	journal = prism_topic_lookup(PRISM_DELAY_TOPIC, true);
	if (journal == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("this database has no store for delayed messages"),
				errhint("prism.apply() makes it: apply the namespace again."));
	record.key = PointerGetDatum(prism_delay_seal(&entry, message));
	record.has_key = true;
	/* as log_publish() does: the table in which it lies may be gone at the commit */
	prism_message_fetch(&record);
	prism_log_append(journal, &record);
	pfree(DatumGetPointer(record.key));
	journal_counter = journal->counter;
	first_due = Min(first_due, due_at);
}

/* ---------- what waits ---------- */

/*
 * A message for the topic (0: any) is in the journal and not yet in a bucket.
 * What lies above a commit that is under way cannot be seen yet: whoever asks
 * for any is told that there may be one, as nobody wakes him for it later.
 */
static bool
is_unsorted(PrismTopic *journal, PrismDelayState *state, int32 topic_id)
{
	PrismReader *reader = prism_reader_open(journal, state->position);
	PrismMessage message;
	bool		found = false;

	while (!found && prism_reader_look(reader, &message))
	{
		PrismDelayEntry entry;

		CHECK_FOR_INTERRUPTS();
		found = prism_reader_damage(reader) == NULL && prism_delay_peek(&message, &entry) == PRISM_DELAY_PUBLISH &&
			(topic_id == 0 || entry.topic_id == topic_id) && !prism_delay_state_is_sorted(state, entry.topic_id, message.offset);
	}
	if (topic_id == 0 && prism_reader_stable(reader) < prism_counter_peek(journal->counter))
		found = true;
	prism_reader_close(reader);
	return found;
}

static bool
is_waiting(PrismTopic *journal, int32 topic_id)
{
	PrismDelayState *state = prism_delay_state_load(journal);
	bool		waits;

	if (state == NULL && topic_id != 0)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("it is not known which messages wait for the time of their delivery"),
				errdetail("The journal of delayed messages, topic %d, has no state that can be read.", journal->topic_id),
				errhint("prism.drop_namespace(name, force => true) drops a namespace with what waits for it."));
	if (state == NULL)
		return true;			/* the scheduler says what is missing */
	waits = prism_delay_state_waiting(state, topic_id) || is_unsorted(journal, state, topic_id);
	prism_delay_state_free(state);
	return waits;
}

/* Until everything that has been appended so far can be seen. A transaction that is committing waits for none of those that ask. */
static void
await_settled(PrismTopic *journal)
{
	PrismCounter *counter = journal->counter;
	int64		next;

	prism_counter_init(journal);
	next = prism_counter_peek(counter);
	while (prism_counter_stable(counter, NULL) < next)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, SETTLED_RECHECK_MS, prism_wait_event(PRISM_WAIT_SETTLED));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

bool
prism_delay_waiting(int32 topic_id)
{
	PrismTopic *journal = prism_topic_lookup(PRISM_DELAY_TOPIC, true);

	if (journal == NULL)
		return false;
	await_settled(journal);
	return is_waiting(journal, topic_id);
}

bool
prism_delay_has_work(void)
{
	bool		busy;
	PrismTopic *journal = prism_topic_try(PRISM_DELAY_TOPIC, &busy);

	/* the session that is making it may be about to use it */
	if (journal == NULL)
		return busy;
	if (prism_delay_buckets() != NIL || is_waiting(journal, 0))
		return true;
	prism_delay_share_known(journal);
	return false;
}

/* ---------- the end of a transaction ---------- */

/* An end of any kind may let others be seen that have committed after it. */
void
prism_delay_end(bool committed)
{
	PrismCounter *counter = journal_counter;
	bool		wake;

	if (counter == NULL)
		return;
	SpinLockAcquire(&counter->mutex);
	wake = first_due < counter->delay.look_at;
	if (wake)
		counter->delay.look_at = first_due;
	SpinLockRelease(&counter->mutex);
	journal_counter = NULL;
	first_due = DT_NOEND;
	if (wake && prism_delay_wake != NULL)
		prism_delay_wake();
}
