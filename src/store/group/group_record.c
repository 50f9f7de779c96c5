/*-------------------------------------------------------------------------
 *
 * group_record.c
 *	  Records of consumer groups: writing one, and whether one is what prism has written.
 *
 * Numbers are in network byte order, as pg_dump carries them to other machines.
 * A record lies in a table, where anybody may have changed it: it is looked at
 * as a whole before any of it counts.
 *
 * src/store/group/group_record.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/group/group_record.h"
#include "store/group/group_shared.h"
#include "store/log/progress.h"

#include "libpq/pqformat.h"
#include "utils/timestamp.h"

/* Version, type, group, epoch. */
#define HEAD_BYTES (2 + 2 * 4)
/* Of a checkpoint beside its entries: covers, base, read_end, count. */
#define CHECKPOINT_BYTES (3 * 8 + 4)
#define RANGE_BYTES (2 * 8)
#define ENTRY_BYTES (8 + 2)
#define ATTEMPT_BYTES (8 + 2 + 8 + 4)

/* As many entries follow as are announced. */
static bool
has_entries(StringInfo record, uint32 count, int bytes)
{
	return (uint64) count * bytes == (uint64) (record->len - record->cursor);
}

static bool
finished_is_sound(StringInfo record)
{
	uint32		count;

	if (record->len - record->cursor < 4)
		return false;
	count = pq_getmsgint(record, 4);
	if (!has_entries(record, count, RANGE_BYTES))
		return false;
	while (count-- > 0)
	{
		int64		from = pq_getmsgint64(record);
		int64		to = pq_getmsgint64(record);

		if (from < 0 || from >= to)
			return false;
	}
	return true;
}

static bool
checkpoint_is_sound(StringInfo record)
{
	int64		covers;
	int64		before;
	int64		read_end;
	uint32		count;

	if (record->len - record->cursor < CHECKPOINT_BYTES)
		return false;
	covers = pq_getmsgint64(record);
	before = pq_getmsgint64(record);
	read_end = pq_getmsgint64(record);
	count = pq_getmsgint(record, 4);
	if (covers < 0 || before < 0 || read_end < before || !has_entries(record, count, ENTRY_BYTES))
		return false;
	while (count-- > 0)
	{
		int64		offset = pq_getmsgint64(record);

		(void) pq_getmsgint(record, 2);
		if (offset < before || offset >= read_end)
			return false;
		before = offset + 1;
	}
	return true;
}

static bool
attempts_are_sound(StringInfo record)
{
	uint32		count;

	if (record->len - record->cursor < 4)
		return false;
	count = pq_getmsgint(record, 4);
	if (!has_entries(record, count, ATTEMPT_BYTES))
		return false;
	while (count-- > 0)
	{
		int64		offset = pq_getmsgint64(record);
		TimestampTz due;

		(void) pq_getmsgint(record, 2);
		due = pq_getmsgint64(record);
		(void) pq_getmsgint(record, 4);
		if (offset < 0 || offset == PG_INT64_MAX || !IS_VALID_TIMESTAMP(due))
			return false;
	}
	return true;
}

bool
prism_group_record_is_sound(const void *bytes, Size length, int32 group_id)
{
	StringInfoData record = {.data = unconstify(char *, (const char *) bytes),.len = (int) length};
	RecordType	type;

	if (length < HEAD_BYTES || pq_getmsgbyte(&record) != RECORD_VERSION)
		return false;
	type = pq_getmsgbyte(&record);
	if ((int32) pq_getmsgint(&record, 4) != group_id)
		return false;
	(void) pq_getmsgint(&record, 4);
	switch (type)
	{
		case RECORD_FINISHED:
			return finished_is_sound(&record);
		case RECORD_CHECKPOINT:
			return checkpoint_is_sound(&record);
		case RECORD_ATTEMPTS:
			return attempts_are_sound(&record);
	}
	return false;
}

/* ---------- writing ---------- */

static void
begin_record(StringInfo record, RecordType type, int32 group_id, uint32 epoch)
{
	initStringInfo(record);
	pq_sendbyte(record, RECORD_VERSION);
	pq_sendbyte(record, type);
	pq_sendint32(record, group_id);
	pq_sendint32(record, epoch);
}

void
prism_group_append_finished(int32 group_id, uint32 epoch, const PrismOffsetRange *ranges, int count)
{
	StringInfoData record;

	begin_record(&record, RECORD_FINISHED, group_id, epoch);
	pq_sendint32(&record, count);
	for (int i = 0; i < count; i++)
	{
		pq_sendint64(&record, ranges[i].from);
		pq_sendint64(&record, ranges[i].to);
	}
	prism_progress_append(PRISM_PROGRESS_GROUP, group_id, record.data, record.len);
	pfree(record.data);
}

void
prism_group_append_checkpoint(int32 group_id, uint32 epoch, int64 covers, int64 base, int64 read_end,
							  const PrismAttempt *attempts, int count)
{
	StringInfoData record;

	begin_record(&record, RECORD_CHECKPOINT, group_id, epoch);
	pq_sendint64(&record, covers);
	pq_sendint64(&record, base);
	pq_sendint64(&record, read_end);
	pq_sendint32(&record, count);
	for (int i = 0; i < count; i++)
	{
		pq_sendint64(&record, attempts[i].offset);
		pq_sendint16(&record, attempts[i].attempt);
	}
	prism_progress_append(PRISM_PROGRESS_GROUP, group_id, record.data, record.len);
	pfree(record.data);
}

void
prism_group_append_attempts(int32 group_id, uint32 epoch, const PrismAttempt *attempts, int count)
{
	StringInfoData record;

	begin_record(&record, RECORD_ATTEMPTS, group_id, epoch);
	pq_sendint32(&record, count);
	for (int i = 0; i < count; i++)
	{
		pq_sendint64(&record, attempts[i].offset);
		pq_sendint16(&record, attempts[i].attempt);
		pq_sendint64(&record, attempts[i].due);
		pq_sendint32(&record, attempts[i].first_failed);
	}
	prism_progress_append(PRISM_PROGRESS_GROUP, group_id, record.data, record.len);
	pfree(record.data);
}

void
prism_group_append_start(int32 group_id, uint32 epoch, int64 start)
{
	prism_group_append_checkpoint(group_id, epoch, prism_progress_stable(), start, start, NULL, 0);
}
