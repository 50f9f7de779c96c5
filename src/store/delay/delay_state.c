/*-------------------------------------------------------------------------
 *
 * delay_state.c
 *	  How far the scheduler is: records of the journal.
 *
 * src/store/delay/delay_state.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "store/delay/delay.h"
#include "store/delay/delay_state.h"
#include "store/log/log.h"
#include "store/log/segment.h"
#include "store/log/segment_repair.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define RECORD_VERSION 2
/* Version, whether it is full, the two positions, how many topics are behind; then these, then lines. */
#define RECORD_HEAD_BYTES (2 + 2 * 8 + 4)
#define RECORD_BEHIND_BYTES (4 + 8)
#define RECORD_LINE_BYTES (2 * 4 + 3 * 8)
/* Records after the last full one: loading reads no more than this many, and they cost little beside it. */
#define RECORDS_MAX 256
/* Every record tells all of them. */
#define BEHIND_MAX 1000

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

static void
make_behind(PrismDelayState *state)
{
	HASHCTL		control = {
		.keysize = sizeof(int32),
		.entrysize = sizeof(PrismDelayBehind),
		.hcxt = state->mcxt,
	};

	state->behind = hash_create("prism topics behind", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
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
	make_behind(state);
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

/* ---------- topics that are left behind ---------- */

bool
prism_delay_state_is_sorted(PrismDelayState *state, int32 topic_id, int64 offset)
{
	PrismDelayBehind *behind;

	if (offset < state->position)
		return true;
	if (offset >= state->ahead)
		return false;
	behind = hash_search(state->behind, &topic_id, HASH_FIND, NULL);
	return behind == NULL || offset < behind->from;
}

bool
prism_delay_state_is_behind(PrismDelayState *state, int32 topic_id)
{
	return hash_search(state->behind, &topic_id, HASH_FIND, NULL) != NULL;
}

bool
prism_delay_state_leave_behind(PrismDelayState *state, int32 topic_id, int64 from)
{
	PrismDelayBehind *behind;

	if (hash_get_num_entries(state->behind) >= BEHIND_MAX)
		return false;
	behind = hash_search(state->behind, &topic_id, HASH_ENTER, NULL);
	behind->from = from;
	return true;
}

void
prism_delay_state_catch_up(PrismDelayState *state)
{
	state->position = state->ahead;
	if (hash_get_num_entries(state->behind) > 0)
	{
		hash_destroy(state->behind);
		make_behind(state);
	}
}

/* ---------- records ---------- */

static void
put_behind(StringInfo record, PrismDelayState *state)
{
	HASH_SEQ_STATUS status;
	PrismDelayBehind *behind;

	pq_sendint32(record, hash_get_num_entries(state->behind));
	hash_seq_init(&status, state->behind);
	while ((behind = hash_seq_search(&status)) != NULL)
	{
		pq_sendint32(record, behind->topic_id);
		pq_sendint64(record, behind->from);
	}
}

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
	pq_sendint64(&record, state->ahead);
	put_behind(&record, state);
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

/* By what lies in the tables: a restore that goes side by side may set the mark, which the counter goes by, after it has made the indexes. */
static bool
has_rows(PrismTopic *journal)
{
	for (int64 number = prism_segment_next(journal->topic_id, 0); number >= 0;
		 number = prism_segment_next(journal->topic_id, number + 1))
	{
		if (prism_segment_end(journal, number) >= 0)
			return true;
	}
	return false;
}

bool
prism_delay_state_begin_anew(PrismTopic *journal)
{
	if (prism_segment_last(journal->topic_id) < 0 || prism_segments_missing(journal->topic_id) != NIL ||
		prism_segments_restoring(journal->topic_id) || has_rows(journal))
		return false;
	ereport(LOG,
			errmsg("the journal of delayed messages is empty, as after a restore without messages: it begins anew"));
	prism_delay_state_begin(journal);
	return true;
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

/* Place and count may come from rows that somebody has edited: that is no damage of the record, by which all others would be stopped. */
static bool
line_is_sound(StringInfo record)
{
	int32		bucket_id = pq_getmsgint(record, 4);
	int32		topic_id = pq_getmsgint(record, 4);
	TimestampTz due_at = pq_getmsgint64(record);

	(void) pq_getmsgint64(record);	/* sequence */
	(void) pq_getmsgint64(record);	/* waiting */
	return bucket_id > 0 && topic_id > 0 && (TIMESTAMP_NOT_FINITE(due_at) || IS_VALID_TIMESTAMP(due_at));
}

static bool
behind_is_sound(StringInfo record)
{
	int32		topic_id = pq_getmsgint(record, 4);
	int64		from = pq_getmsgint64(record);

	return topic_id > 0 && from >= 0;
}

/* The record is as append_record() writes it. */
static bool
is_sound(StringInfoData record)
{
	int64		position;
	int64		ahead;
	uint32		behind;
	int			lines_bytes;

	if (record.len < RECORD_HEAD_BYTES || pq_getmsgbyte(&record) != RECORD_VERSION || (uint8) pq_getmsgbyte(&record) > 1)
		return false;
	position = pq_getmsgint64(&record);
	ahead = pq_getmsgint64(&record);
	behind = pq_getmsgint(&record, 4);
	if (ahead < position || behind > BEHIND_MAX)
		return false;
	lines_bytes = record.len - RECORD_HEAD_BYTES - (int) behind * RECORD_BEHIND_BYTES;
	if (lines_bytes < 0 || lines_bytes % RECORD_LINE_BYTES != 0)
		return false;
	for (uint32 i = 0; i < behind; i++)
	{
		if (!behind_is_sound(&record))
			return false;
	}
	while (record.cursor < record.len)
	{
		if (!line_is_sound(&record))
			return false;
	}
	return position >= 0;
}

/* Each record tells all of them. */
static void
read_behind(PrismDelayState *state, StringInfo record)
{
	int			count = pq_getmsgint(record, 4);

	if (hash_get_num_entries(state->behind) > 0)
	{
		hash_destroy(state->behind);
		make_behind(state);
	}
	for (int i = 0; i < count; i++)
	{
		int32		topic_id = pq_getmsgint(record, 4);

		(void) prism_delay_state_leave_behind(state, topic_id, pq_getmsgint64(record));
	}
}

/* False: the record is damaged. */
static bool
read_state_record(PrismDelayState *state, int64 at, bytea *payload)
{
	StringInfoData record = {
		.data = VARDATA_ANY(payload),.len = VARSIZE_ANY_EXHDR(payload),.maxlen = -1
	};
	bool		full;

	if (!is_sound(record))
		return false;
	(void) pq_getmsgbyte(&record);
	full = pq_getmsgbyte(&record) != 0;
	if (full)
	{
		hash_destroy(state->lines);
		make_lines(state);
		state->full_at = at;
		state->records = 0;
	}
	else if (state->full_at < 0)
		return true;			/* what it builds on is gone: there is a full one after it */
	else
		state->records++;

	state->position = pq_getmsgint64(&record);
	state->ahead = pq_getmsgint64(&record);
	read_behind(state, &record);
	while (record.cursor < record.len)
	{
		int32		bucket_id = pq_getmsgint(&record, 4);
		int32		topic_id = pq_getmsgint(&record, 4);
		PrismDelayLine *line = prism_delay_state_line(state, bucket_id, topic_id);

		line->done.due_at = pq_getmsgint64(&record);
		line->done.sequence = pq_getmsgint64(&record);
		line->waiting = pq_getmsgint64(&record);
		line->waiting = Max(line->waiting, 0);
	}
	return true;
}

PrismDelayState *
prism_delay_state_load(PrismTopic *journal)
{
	PrismDelayState *state = make_state();
	PrismReader *reader = prism_reader_open(journal, prism_delay_needed_from(journal));
	PrismMessage message;
	int64		damaged_at = -1;

	while (prism_reader_look(reader, &message))
	{
		PrismDelayEntry entry;
		bytea	   *record;

		CHECK_FOR_INTERRUPTS();
		if (prism_reader_damage(reader) != NULL || prism_delay_peek(&message, &entry) != PRISM_DELAY_STATE)
			continue;			/* the sorter says what is wrong with it */
		record = prism_log_value(message.payload);
		if (record == NULL || !read_state_record(state, message.offset, record))
			damaged_at = message.offset;
		else if (state->full_at == message.offset)
			damaged_at = -1;	/* a full one says it all again */
	}
	prism_reader_close(reader);
	if (damaged_at >= 0)
		ereport(WARNING,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("state " INT64_FORMAT " of delayed messages is damaged", damaged_at),
				errdetail("What has been delivered since the one before cannot be told from the journal, topic %d.", journal->topic_id));
	else if (state->full_at >= 0)
		return state;
	prism_delay_state_free(state);
	return NULL;
}
