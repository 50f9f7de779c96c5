/*-------------------------------------------------------------------------
 *
 * group_status.c
 *	  How a consumer group stands, for prism.groups.
 *
 * Costs at most a look at each entry of its window, never one at messages.
 *
 * src/store/group/group_status.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/guc.h"
#include "base/patience.h"
#include "store/group/group_shared.h"
#include "store/log/log.h"

typedef struct FirstLook
{
	PrismTopic *topic;
	int64		from;
	TimestampTz created_at;		/* of the first message from there on; 0: there is none */
} FirstLook;

static void
look_at_first(void *arg)
{
	FirstLook  *look = arg;
	PrismReader *reader = prism_reader_open(look->topic, look->from);
	PrismMessage message;

	if (prism_reader_look(reader, &message))
		look->created_at = message.created_at;
	prism_reader_close(reader);
}

/* Messages after what the group has read. */
typedef struct UnreadLook
{
	PrismTopic *topic;
	int64		from;
	int64		to;
	int64		messages;
} UnreadLook;

static void
look_at_unread(void *arg)
{
	UnreadLook *look = arg;

	look->messages = prism_counter_distance(look->topic, look->from, look->to);
}

/* False: it would have to be read from tables that somebody has locked. */
static bool
count_unread(UnreadLook *look)
{
	look->from = Max(look->from, look->topic->dropped_end);
	return prism_counter_recent_distance(look->topic->counter, look->from, look->to, &look->messages) ||
		prism_look_without_waiting(look_at_unread, look, NULL);
}

/* What only the entries tell: which sessions have some, and since when the oldest of them is there. */
typedef struct Held
{
	uint32	   *sessions;		/* of each entry that is held */
	int			count;
	TimestampTz oldest;
} Held;

/* Under the slot's lock. */
static void
look_at_held(PrismWindow *window, Held *held)
{
	for (PrismEntry *entry = prism_window_first(window); entry != NULL;
		 entry = prism_window_after(window, entry))
	{
		if (entry->state != PRISM_ENTRY_LEASED && entry->state != PRISM_ENTRY_ACKING)
			continue;
		if (held->count == 0)
			held->oldest = entry->created_at;
		held->sessions[held->count++] = entry->session;
	}
}

static int
compare_sessions(const void *left, const void *right)
{
	uint32		a = *(const uint32 *) left;
	uint32		b = *(const uint32 *) right;

	return a < b ? -1 : a > b;
}

static int
distinct_sessions(Held *held)
{
	int			distinct = 0;

	qsort(held->sessions, held->count, sizeof(uint32), compare_sessions);
	for (int i = 0; i < held->count; i++)
		distinct += i == 0 || held->sessions[i] != held->sessions[i - 1];
	return distinct;
}

bool
prism_group_status(PrismGroupRef *ref, PrismGroupStatus *status)
{
	PrismWindow *window = ref->group->window;
	int64		stable = prism_log_stable(ref->topic);
	Held		held = {.sessions = palloc(prism_group_window * sizeof(uint32))};
	PrismEntry *oldest;
	UnreadLook	unread = {.topic = ref->topic,.to = stable};

	if (!prism_group_lock_if(ref->group, ref->generation))
	{
		pfree(held.sessions);
		return false;
	}
	status->ordering = ref->group->options.ordering;
	status->position = prism_window_base(window);
	status->read_end = window->read_end;
	status->available = window->counts[PRISM_ENTRY_AVAILABLE] + window->counts[PRISM_ENTRY_WAITING] +
		window->counts[PRISM_ENTRY_EXHAUSTED];
	status->in_flight = window->counts[PRISM_ENTRY_LEASED] + window->counts[PRISM_ENTRY_ACKING];
	status->delayed = window->counts[PRISM_ENTRY_DELAYED];
	status->lag_messages = prism_window_unfinished(window);
	status->full = prism_window_room(window) == 0;
	oldest = prism_window_first(window);
	status->oldest = oldest != NULL ? oldest->created_at : 0;
	look_at_held(window, &held);
	prism_group_unlock(ref->group);

	status->oldest_held = held.oldest;
	status->consumers = distinct_sessions(&held);
	pfree(held.sessions);

	unread.from = status->read_end;
	status->lag_unknown = !count_unread(&unread);
	status->lag_messages += unread.messages;
	status->oldest_unknown = false;
	if (status->oldest == 0 && unread.messages > 0)
	{
		FirstLook	look = {.topic = ref->topic, .from = status->read_end};

		status->oldest_unknown = !prism_look_without_waiting(look_at_first, &look, NULL);
		status->oldest = look.created_at;
	}
	return true;
}
