/*-------------------------------------------------------------------------
 *
 * group_record.c
 *	  Whether a record of a consumer group is one that prism has written.
 *
 * It lies in a table, where anybody may have changed it: it is looked at as a
 * whole before any of it counts.
 *
 * src/store/group_record.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "store/group_record.h"

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
