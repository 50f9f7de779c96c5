/*-------------------------------------------------------------------------
 *
 * delay_state.c
 *	  How far the scheduler is: records of the journal.
 *
 * src/store/delay_state.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "compat.h"
#include "store/delay.h"
#include "store/delay_state.h"
#include "store/log.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define RECORD_VERSION 1
/* So many records behind the last full one: loading reads no more, and they cost little beside it. */
#define RECORDS_MAX 256

/* ---------- memory ---------- */

static void
make_lines(PrismDelayState *state)
{
	HASHCTL		control = {
		.keysize = offsetof(PrismDelayLine, done),
		.entrysize = sizeof(PrismDelayLine),
		.hcxt = state->mcxt,
	};

	state->lines = hash_create("prism delayed messages", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static PrismDelayState *
make_state(void)
{
	MemoryContext mcxt = AllocSetContextCreate(CurrentMemoryContext, "prism delayed messages",
											   ALLOCSET_DEFAULT_SIZES);
	PrismDelayState *state = MemoryContextAllocZero(mcxt, sizeof(PrismDelayState));

	state->mcxt = mcxt;
	state->full_at = -1;
	make_lines(state);
	return state;
}

void
prism_delay_state_free(PrismDelayState *state)
{
	MemoryContextDelete(state->mcxt);
}

PrismDelayLine *
prism_delay_state_find(PrismDelayState *state, int32 bucket_id, int32 topic_id)
{
	PrismDelayLine key = {.bucket_id = bucket_id,.topic_id = topic_id};

	return hash_search(state->lines, &key, HASH_FIND, NULL);
}

PrismDelayLine *
prism_delay_state_line(PrismDelayState *state, int32 bucket_id, int32 topic_id)
{
	PrismDelayLine key = {.bucket_id = bucket_id,.topic_id = topic_id};
	bool		found;
	PrismDelayLine *line = hash_search(state->lines, &key, HASH_ENTER, &found);

	if (!found)
	{
		line->done = PRISM_DELAY_FIRST_PLACE;
		line->waiting = 0;
		line->changed = false;
		line->next_due = DT_NOEND;
		line->held_until = DT_NOBEGIN;
	}
	return line;
}

bool
prism_delay_state_waiting(PrismDelayState *state, int32 topic_id)
{
	HASH_SEQ_STATUS status;
	PrismDelayLine *line;

	hash_seq_init(&status, state->lines);
	while ((line = hash_seq_search(&status)) != NULL)
	{
		if (line->waiting > 0 && (topic_id == 0 || line->topic_id == topic_id))
		{
			hash_seq_term(&status);
			return true;
		}
	}
	return false;
}

/* ---------- records ---------- */

static void
put_lines(StringInfo record, PrismDelayState *state, bool full)
{
	HASH_SEQ_STATUS status;
	PrismDelayLine *line;

	hash_seq_init(&status, state->lines);
	while ((line = hash_seq_search(&status)) != NULL)
	{
		if (!full && !line->changed)
			continue;
		pq_sendint32(record, line->bucket_id);
		pq_sendint32(record, line->topic_id);
		pq_sendint64(record, line->done.due_at);
		pq_sendint64(record, line->done.sequence);
		pq_sendint64(record, line->waiting);
		line->changed = false;
	}
}

static void
append_record(PrismTopic *journal, PrismDelayState *state, bool full)
{
	char		kind[] = {PRISM_DELAY_STATE, '\0'};
	PrismMessage message = {.has_key = true,.has_payload = true};
	StringInfoData record;
	bytea	   *payload;

	pq_begintypsend(&record);
	pq_sendbyte(&record, RECORD_VERSION);
	pq_sendbyte(&record, full);
	pq_sendint64(&record, state->position);
	put_lines(&record, state, full);
	payload = pq_endtypsend(&record);

	message.created_at = GetCurrentTimestamp();
	message.key = CStringGetTextDatum(kind);
	message.payload = PointerGetDatum(payload);
	prism_log_append(journal, &message);
	pfree(DatumGetPointer(message.key));
	pfree(payload);
}

void
prism_delay_state_begin(PrismTopic *journal)
{
	PrismDelayState *state = make_state();

	append_record(journal, state, true);
	prism_delay_state_free(state);
}

void
prism_delay_state_append(PrismDelayState *state, PrismTopic *journal)
{
	/* one in each segment at least, so that those before it can be dropped */
	bool		full = state->records >= RECORDS_MAX ||
		state->position / journal->segment_messages > state->full_at / journal->segment_messages;

	append_record(journal, state, full);
	state->records = full ? 0 : state->records + 1;
}

void
prism_delay_state_committed(PrismDelayState *state, int32 journal_id)
{
	const PrismLastPosition *positions;
	int			count = prism_log_last_positions(false, &positions);

	for (int i = 0; i < count && state->records == 0; i++)
	{
		if (positions[i].topic_id == journal_id)
			state->full_at = positions[i].first;
	}
}

int64
prism_delay_state_needed_from(const PrismDelayState *state)
{
	return Min(state->full_at, state->position);
}

/* ---------- loading ---------- */

static void
read_record(PrismDelayState *state, int64 at, bytea *payload)
{
	StringInfoData record = {
		.data = VARDATA_ANY(payload),.len = VARSIZE_ANY_EXHDR(payload),.maxlen = -1
	};
	int			version = pq_getmsgbyte(&record);
	bool		full;

	if (version != RECORD_VERSION)
		elog(ERROR, "state " INT64_FORMAT " of delayed messages has version %d, not %d", at, version, RECORD_VERSION);
	full = pq_getmsgbyte(&record) != 0;
	if (full)
	{
		hash_destroy(state->lines);
		make_lines(state);
		state->full_at = at;
		state->records = 0;
	}
	else if (state->full_at < 0)
		return;					/* what it builds on is gone: there is a full one behind it */
	else
		state->records++;

	state->position = pq_getmsgint64(&record);
	while (record.cursor < record.len)
	{
		int32		bucket_id = pq_getmsgint(&record, 4);
		int32		topic_id = pq_getmsgint(&record, 4);
		PrismDelayLine *line = prism_delay_state_line(state, bucket_id, topic_id);

		line->done.due_at = pq_getmsgint64(&record);
		line->done.sequence = pq_getmsgint64(&record);
		line->waiting = pq_getmsgint64(&record);
	}
}

PrismDelayState *
prism_delay_state_load(PrismTopic *journal)
{
	PrismDelayState *state = make_state();
	PrismReader *reader = prism_reader_open(journal, prism_delay_needed_from(journal));
	PrismMessage message;

	while (prism_reader_next(reader, &message))
	{
		PrismDelayEntry entry;

		CHECK_FOR_INTERRUPTS();
		if (prism_delay_peek(&message, &entry) == PRISM_DELAY_STATE)
			read_record(state, message.offset, DatumGetByteaPP(message.payload));
	}
	prism_reader_close(reader);
	if (state->full_at >= 0)
		return state;
	prism_delay_state_free(state);
	return NULL;
}
