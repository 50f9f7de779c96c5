/*-------------------------------------------------------------------------
 *
 * schedule_sort.c
 *	  The scheduler's way in: from the journal into buckets.
 *
 * src/bgworker/schedule/schedule_sort.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "bgworker/schedule/scheduler.h"
#include "store/log/log.h"
#include "store/log/message_copy.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* Likewise, of their bytes. */
#define SORT_BYTES_MAX (4 * 1024 * 1024)
/* What is read on the way, and passed over. */
#define READ_MESSAGES_MAX 50000

/*
 * What a namespace may have sorted before the reader has been at the journal's
 * end, until its topics are left behind.
 */
#define SHARE_MESSAGES_MAX PRISM_SORT_MESSAGES_MAX
#define SHARE_BYTES_MAX SORT_BYTES_MAX

typedef struct Share
{
	int32		namespace_id;	/* hash key; must be first. 0: of topics that cannot be used now */
	int64		messages;
	int64		bytes;
} Share;

static HTAB *shares = NULL;		/* since the reader was at the end; NULL: nobody had any */

/* False: the message has to wait for the next turn. */
typedef bool (*SortMessage) (PrismTurn *turn, PrismReader *reader, PrismMessage *message);

typedef struct OpenWriter
{
	int32		bucket_id;
	PrismDelayWriter *writer;
} OpenWriter;

static int64 read_on(PrismTurn *turn, int64 from, int64 to, SortMessage sort);
static bool sort_ahead(PrismTurn *turn, PrismReader *reader, PrismMessage *message);
static bool sort_behind(PrismTurn *turn, PrismReader *reader, PrismMessage *message);
static Share *share_of(PrismTurn *turn, int32 topic_id);
static bool sort_message(PrismTurn *turn, const PrismDelayEntry *entry, PrismMessage *message);
static void warn_of_loss(PrismTurn *turn, const PrismDelayEntry *entry, const PrismMessage *message);
static void make_ready(PrismTurn *turn, const PrismDelayEntry *entry, const PrismMessage *message);
static PrismDelayBucket *choose_bucket(PrismTurn *turn, int32 topic_id, PrismDelayPlace place, PrismDelaySpan span);
static PrismDelayBucket *make_bucket(PrismTurn *turn, PrismDelaySpan span);
static bool can_fill(const PrismTurn *turn, int32 bucket_id);
static PrismDelayWriter *writer_for(PrismTurn *turn, int32 bucket_id);

/*
 * A million messages of one namespace hold up those of no other: when it has
 * had its share of what is sorted, its topics are left behind, and the reader
 * goes ahead past their messages, which costs little.  A second reader comes
 * after and sorts them alone.
 */
void
prism_turn_sort(PrismTurn *turn)
{
	PrismDelayState *state = turn->state;
	bool		alone = state->position == state->ahead;

	turn->sort_max = alone ? PRISM_SORT_MESSAGES_MAX : PRISM_SORT_MESSAGES_MAX / 2;
	turn->sort_bytes_max = alone ? SORT_BYTES_MAX : SORT_BYTES_MAX / 2;
	state->ahead = read_on(turn, state->ahead, PG_INT64_MAX, sort_ahead);
	if (!turn->more && shares != NULL)
	{
		hash_destroy(shares);
		shares = NULL;
	}
	if (hash_get_num_entries(state->behind) > 0)
	{
		turn->sort_max = PRISM_SORT_MESSAGES_MAX;
		/* large messages ahead leave something */
		turn->sort_bytes_max = Max(SORT_BYTES_MAX, turn->bytes + SORT_BYTES_MAX / 2);
		state->position = read_on(turn, state->position, state->ahead, sort_behind);
	}
	else
		state->position = state->ahead;
	if (state->position == state->ahead)
		prism_delay_state_catch_up(state);
}

/* Returns where the next turn goes on. */
static int64
read_on(PrismTurn *turn, int64 from, int64 to, SortMessage sort)
{
	PrismReader *reader = prism_reader_open(turn->journal, from);
	int64		position = -1;
	PrismMessage message;
	int			count = 0;

	/* the reader keeps what it has open in the context in which it is called */
	while (position < 0 && prism_reader_look(reader, &message))
	{
		MemoryContext caller_cxt = MemoryContextSwitchTo(turn->message_cxt);

		CHECK_FOR_INTERRUPTS();
		if (message.offset >= to)
			position = to;
		else if (turn->sorted >= turn->sort_max || turn->bytes > turn->sort_bytes_max || count++ == READ_MESSAGES_MAX ||
				 !sort(turn, reader, &message))
		{
			position = message.offset;	/* again in the next turn */
			turn->more = true;
		}
		MemoryContextSwitchTo(caller_cxt);
		MemoryContextReset(turn->message_cxt);
	}
	if (position < 0)
		position = Min(prism_reader_position(reader), to);
	prism_reader_close(reader);
	return position;
}

/* Of all topics but those that are left behind. */
static bool
sort_ahead(PrismTurn *turn, PrismReader *reader, PrismMessage *message)
{
	PrismDelayEntry entry;
	Share	   *share;

	/* whose it was nobody can tell: the others do not wait for it */
	if (prism_reader_damage(reader) != NULL)
	{
		prism_reader_warn(reader, "It is not delivered.");
		return true;
	}
	switch (prism_delay_peek(message, &entry))
	{
		case PRISM_DELAY_DAMAGED:
			ereport(WARNING,
					errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("record " INT64_FORMAT " of the journal of delayed messages is damaged", message->offset),
					errdetail("Its key tells no topic and time: it is not delivered."));
			return true;
		case PRISM_DELAY_STATE:
			return true;
		case PRISM_DELAY_PUBLISH:
			break;
	}
	if (prism_delay_state_is_behind(turn->state, entry.topic_id))
		return true;
	share = share_of(turn, entry.topic_id);
	if ((share->messages >= SHARE_MESSAGES_MAX || share->bytes >= SHARE_BYTES_MAX) &&
		prism_delay_state_leave_behind(turn->state, entry.topic_id, message->offset))
	{
		turn->changed = true;
		return true;
	}
	if (!sort_message(turn, &entry, message))
		return false;
	share->messages++;
	share->bytes += prism_message_stored_bytes(message);
	return true;
}

static Share *
share_of(PrismTurn *turn, int32 topic_id)
{
	const PrismTarget *target = prism_turn_target(turn, topic_id);
	int32		namespace_id = target->topic != NULL ? target->topic->namespace_id : 0;
	Share	   *share;
	bool		found;

	if (shares == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(int32),.entrysize = sizeof(Share)};

		shares = hash_create("prism shares of the journal", 16, &control, HASH_ELEM | HASH_BLOBS);
	}
	share = hash_search(shares, &namespace_id, HASH_ENTER, &found);
	if (!found)
		share->messages = share->bytes = 0;
	return share;
}

/* Of those alone. What is damaged was told before. */
static bool
sort_behind(PrismTurn *turn, PrismReader *reader, PrismMessage *message)
{
	PrismDelayEntry entry;

	if (prism_reader_damage(reader) != NULL || prism_delay_peek(message, &entry) != PRISM_DELAY_PUBLISH ||
		prism_delay_state_is_sorted(turn->state, entry.topic_id, message->offset))
		return true;
	return sort_message(turn, &entry, message);
}

/* False: it has to wait for the next turn. */
static bool
sort_message(PrismTurn *turn, const PrismDelayEntry *entry, PrismMessage *message)
{
	prism_delay_unseal(message);
	if (!prism_message_try_fetch(message))	/* this message's loss, and not that of all after it */
		warn_of_loss(turn, entry, message);
	else if (entry->due_at <= turn->now && turn->kind == PRISM_TURN_ALL && !prism_trouble_has(entry->topic_id) &&
			 prism_hold_until(entry->topic_id) <= turn->instant)
		make_ready(turn, entry, message);
	else if (!prism_turn_place(turn, entry->topic_id, (PrismDelayPlace) {entry->due_at, message->offset}, message, false))
		return false;
	turn->sorted++;
	turn->bytes += prism_message_stored_bytes(message);
	turn->changed = true;
	return true;
}

static void
warn_of_loss(PrismTurn *turn, const PrismDelayEntry *entry, const PrismMessage *message)
{
	const PrismTarget *target = prism_turn_target(turn, entry->topic_id);

	ereport(WARNING,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("record " INT64_FORMAT " of the journal of delayed messages is damaged", message->offset),
			errdetail("A value of the message, which is for topic \"%s\" (%d), cannot be fetched: it is not delivered.",
					  target->topic != NULL ? target->topic->name : "", entry->topic_id));
}

static void
make_ready(PrismTurn *turn, const PrismDelayEntry *entry, const PrismMessage *message)
{
	MemoryContext caller_cxt = MemoryContextSwitchTo(turn->mcxt);
	PrismReadyMessage *ready;

	if (turn->ready == NULL)
		turn->ready = palloc(PRISM_SORT_MESSAGES_MAX * sizeof(PrismReadyMessage));
	ready = &turn->ready[turn->ready_count++];
	ready->topic_id = entry->topic_id;
	ready->place = (PrismDelayPlace) {entry->due_at, message->offset};
	ready->message = *message;
	prism_message_copy_stored(&ready->message);
	MemoryContextSwitchTo(caller_cxt);
}

/* ---------- placing ---------- */

bool
prism_turn_place(PrismTurn *turn, int32 topic_id, PrismDelayPlace place, const PrismMessage *message, bool must)
{
	/* what is late has no bucket of its own time: after a month without workers there would be hundreds */
	PrismDelaySpan span = prism_delay_span(Max(place.due_at, turn->now), turn->now);
	PrismDelayBucket *bucket;
	PrismDelayLine *line;

	if (prism_turn_target(turn, topic_id)->state == PRISM_TARGET_GONE)
		return true;			/* and its messages with it */
	bucket = choose_bucket(turn, topic_id, place, span);
	if (bucket == NULL)
	{
		if (turn->bucket_made && !must)
			return false;
		bucket = make_bucket(turn, span);
	}
	turn->filling = bucket->made ? 0 : bucket->bucket_id;
	prism_delay_writer_put(writer_for(turn, bucket->bucket_id), topic_id, place, message);
	turn->filling = 0;

	line = prism_delay_state_line(turn->state, bucket->bucket_id, topic_id);
	line->waiting++;
	line->changed = true;
	line->next_due = Min(line->next_due, place.due_at);
	turn->changed = true;
	return true;
}

/*
 * A bucket of the span in which the topic's line has not passed the place.  It
 * has where the clock was set back: then the span gets another bucket, as it
 * does while somebody has this one locked, or when it is damaged.
 */
static PrismDelayBucket *
choose_bucket(PrismTurn *turn, int32 topic_id, PrismDelayPlace place, PrismDelaySpan span)
{
	ListCell   *cell;

	foreach(cell, *turn->buckets)
	{
		PrismDelayBucket *bucket = lfirst(cell);
		PrismDelayLine *line;

		if (bucket->span.from != span.from || bucket->span.to != span.to)
			continue;
		line = prism_delay_state_find(turn->state, bucket->bucket_id, topic_id);
		if ((line == NULL || prism_delay_is_before(line->done, place)) && can_fill(turn, bucket->bucket_id))
			return bucket;
	}
	return NULL;
}

/* What is being filled is locked by this turn. */
static bool
can_fill(const PrismTurn *turn, int32 bucket_id)
{
	ListCell   *cell;

	foreach(cell, turn->writers)
		if (((OpenWriter *) lfirst(cell))->bucket_id == bucket_id)
			return true;
	return !prism_bucket_is_avoided(bucket_id) && prism_delay_bucket_is_free(bucket_id, RowExclusiveLock);
}

static PrismDelayBucket *
make_bucket(PrismTurn *turn, PrismDelaySpan span)
{
	MemoryContext caller_cxt = MemoryContextSwitchTo(turn->state->mcxt);
	PrismDelayBucket *bucket = palloc(sizeof(PrismDelayBucket));

	bucket->span = span;
	bucket->made = true;
	bucket->bucket_id = prism_delay_bucket_create(span);
	*turn->buckets = lappend(*turn->buckets, bucket);
	MemoryContextSwitchTo(caller_cxt);
	turn->bucket_made = true;
	return bucket;
}

static PrismDelayWriter *
writer_for(PrismTurn *turn, int32 bucket_id)
{
	MemoryContext caller_cxt;
	OpenWriter *open;
	ListCell   *cell;

	foreach(cell, turn->writers)
	{
		open = lfirst(cell);
		if (open->bucket_id == bucket_id)
			return open->writer;
	}
	caller_cxt = MemoryContextSwitchTo(turn->mcxt);
	open = palloc(sizeof(OpenWriter));
	open->bucket_id = bucket_id;
	open->writer = prism_delay_writer_open(bucket_id);
	turn->writers = lappend(turn->writers, open);
	MemoryContextSwitchTo(caller_cxt);
	return open->writer;
}

void
prism_turn_close_writers(PrismTurn *turn)
{
	ListCell   *cell;

	foreach(cell, turn->writers)
		prism_delay_writer_close(((OpenWriter *) lfirst(cell))->writer);
	turn->writers = NIL;
}
