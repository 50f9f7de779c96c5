/*-------------------------------------------------------------------------
 *
 * progress.c
 *	  The progress log: positions of groups and sinks, appended like messages.
 *
 * A record is a message of an internal topic: its key says whose it is (kind
 * and owner: "g17"), its payload what happened.  So progress has commit-time
 * offsets, a stable offset, segments and a reader like everything else.
 *
 * src/store/log/progress.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "store/log/progress.h"

#include "base/object_id.h"
#include "base/patience.h"
#include "store/log/log.h"
#include "store/log/segment_repair.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* "s-2147483648" */
#define OWNER_KEY_BYTES 16

/* A checkpoint of a large window is the largest record there is. */
#define RECORD_BYTES_MAX (256 * 1024 * 1024)

static PrismTopic *
progress_topic(void)
{
	return prism_topic_lookup(PRISM_PROGRESS_TOPIC, false);
}

void
prism_progress_ensure(void)
{
	if (prism_topic_lookup(PRISM_PROGRESS_TOPIC, true) == NULL)
		prism_topic_create(prism_next_object_id(), PRISM_PROGRESS_TOPIC, 0, RECORD_BYTES_MAX, "{}", "[]", 0);
}

/* The key of an owner's records. */
static int
owner_key(char *key, PrismProgressKind kind, int32 owner)
{
	key[0] = (char) kind;
	return 1 + pg_ltoa(owner, key + 1);
}

void
prism_progress_append(PrismProgressKind kind, int32 owner, const void *record, Size bytes)
{
	PrismMessage message = {.has_key = true,.has_payload = true};
	char		key[OWNER_KEY_BYTES];
	int			key_bytes = owner_key(key, kind, owner);
	bytea	   *payload;

	Assert(owner >= 0);
	if (bytes > RECORD_BYTES_MAX)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("record of progress is too large"),
				errdetail("It has %zu bytes; the limit is %d.", bytes, RECORD_BYTES_MAX));

	payload = palloc(VARHDRSZ + bytes);
	SET_VARSIZE(payload, VARHDRSZ + bytes);
	memcpy(VARDATA(payload), record, bytes);

	message.created_at = GetCurrentTimestamp();
	message.key = PointerGetDatum(cstring_to_text_with_len(key, key_bytes));
	message.payload = PointerGetDatum(payload);
	prism_log_append(progress_topic(), &message);

	pfree(DatumGetPointer(message.key));
	pfree(payload);
}

/* Whose record of this kind it is; -1: of another kind, or nobody can tell. */
static int32
owner_of(const PrismMessage *message, PrismProgressKind kind)
{
	text	   *key = prism_log_value(message->key);
	const char *at = key != NULL ? VARDATA_ANY(key) : "";
	int			bytes = key != NULL ? VARSIZE_ANY_EXHDR(key) : 0;
	int64		owner = 0;

	if (bytes < 2 || bytes >= OWNER_KEY_BYTES || *at != (char) kind)
		return -1;
	while (--bytes > 0)
	{
		if (*++at < '0' || *at > '9')
			return -1;
		owner = owner * 10 + (*at - '0');
	}
	return owner <= PG_INT32_MAX ? (int32) owner : -1;
}

bool
prism_progress_is_restoring(void)
{
	PrismTopic *progress = prism_topic_lookup(PRISM_PROGRESS_TOPIC, true);

	return progress != NULL && prism_segments_restoring(progress->topic_id);
}

int64
prism_progress_replay(PrismProgressKind kind, int32 owner, int64 from,
					  PrismProgressVisit visit, void *arg)
{
	MemoryContext record_cxt = AllocSetContextCreate(CurrentMemoryContext,
													 "prism progress record",
													 ALLOCSET_SMALL_SIZES);
	MemoryContext caller_cxt = CurrentMemoryContext;
	bool		push = !ActiveSnapshotSet();
	PrismReader *reader;
	PrismMessage message;
	int64		end;

	/* also while its mark is at zero, and the reader would find nothing to read */
	if (prism_progress_is_restoring())
		ereport(ERROR,
				prism_not_ready(),
				errmsg("the progress log is not restored yet"),
				errdetail("It says how far consumer groups and sinks are."),
				errhint("Try again when the restore that is under way has come to its end."));

	/* a large record lies out of line; fetching it wants a snapshot */
	if (push)
		PushActiveSnapshot(GetTransactionSnapshot());

	reader = prism_reader_open(progress_topic(), from);
	while (prism_reader_look(reader, &message))
	{
		bytea	   *record;
		int32		whose;

		if (prism_reader_damage(reader) != NULL)
		{
			/* nobody can tell whose it was; all of them may go on, as what it said is repeated, not lost */
			prism_reader_warn(reader, "What it says is done may be done again.");
			continue;
		}
		whose = message.has_key ? owner_of(&message, kind) : -1;
		if (whose < 0 || (owner >= 0 && whose != owner))
			continue;
		if (!message.has_payload)
		{
			visit(whose, message.offset, message.created_at, NULL, 0, arg);
			continue;
		}
		MemoryContextSwitchTo(record_cxt);
		record = prism_log_value(message.payload);
		MemoryContextSwitchTo(caller_cxt);
		if (record == NULL)
		{
			prism_reader_set_damage(reader, &message, "its payload cannot be read");
			prism_reader_warn(reader, "What it says is done may be done again.");
			MemoryContextReset(record_cxt);
			continue;
		}
		visit(whose, message.offset, message.created_at,
			  VARDATA_ANY(record), VARSIZE_ANY_EXHDR(record), arg);
		MemoryContextReset(record_cxt);
	}
	end = prism_reader_position(reader);
	prism_reader_close(reader);

	if (push)
		PopActiveSnapshot();
	MemoryContextDelete(record_cxt);
	return end;
}

int64
prism_progress_stable(void)
{
	return prism_log_stable(progress_topic());
}
