/*-------------------------------------------------------------------------
 *
 * progress.c
 *	  The progress log: positions of groups and sinks, appended like messages.
 *
 * A record is a message of an internal topic: its key says whose it is (kind
 * and owner: "g17"), its payload what happened.  So progress has commit-time
 * offsets, a stable offset, segments and a reader like everything else.
 *
 * src/store/progress.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "compat.h"
#include "store/progress.h"

#include "store/log.h"

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
		(void) prism_topic_create(PRISM_PROGRESS_TOPIC, 0, RECORD_BYTES_MAX, "{}", 0);
}

/* The key of an owner's records; of all owners of the kind when there is none. */
static int
owner_key(char *key, PrismProgressKind kind, int32 owner)
{
	key[0] = (char) kind;
	if (owner < 0)
		return 1;
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

/* Is the record this owner's (prefix false), or of this kind (prefix true)? */
static bool
key_matches(const PrismMessage *message, const char *wanted, int wanted_bytes, bool prefix)
{
	text	   *key = DatumGetTextPP(message->key);
	int			bytes = VARSIZE_ANY_EXHDR(key);

	if (prefix ? bytes < wanted_bytes : bytes != wanted_bytes)
		return false;
	return memcmp(VARDATA_ANY(key), wanted, wanted_bytes) == 0;
}

int64
prism_progress_replay(PrismProgressKind kind, int32 owner, int64 from,
					  PrismProgressVisit visit, void *arg)
{
	char		wanted[OWNER_KEY_BYTES];
	int			wanted_bytes = owner_key(wanted, kind, owner);
	MemoryContext record_cxt = AllocSetContextCreate(CurrentMemoryContext,
													 "prism progress record",
													 ALLOCSET_SMALL_SIZES);
	MemoryContext caller_cxt = CurrentMemoryContext;
	bool		push = !ActiveSnapshotSet();
	PrismReader *reader;
	PrismMessage message;
	int64		end;

	/* a large record lies out of line; fetching it wants a snapshot */
	if (push)
		PushActiveSnapshot(GetTransactionSnapshot());

	reader = prism_reader_open(progress_topic(), from);
	while (prism_reader_next(reader, &message))
	{
		bytea	   *record;

		if (!message.has_key || !key_matches(&message, wanted, wanted_bytes, owner < 0))
			continue;
		MemoryContextSwitchTo(record_cxt);
		record = DatumGetByteaPP(message.payload);
		MemoryContextSwitchTo(caller_cxt);
		visit(message.offset, message.created_at,
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
