/*-------------------------------------------------------------------------
 *
 * group_take.c
 *	  Taking messages: reading ahead, leasing.
 *
 * One backend at a time reads the log ahead of the window and enters what it
 * found; everybody takes from the window.  The one that reads ahead takes
 * first, and keeps the rows, so that draining a log reads each row once.
 *
 * src/store/group/group_take.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/group/group_delivery.h"
#include "store/log/log.h"
#include "store/log/row_cache.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* Messages to read ahead, at least: spares consumers of single messages the turn as reader. */
#define READ_AHEAD_MIN 64
/* ... and at most so many at a time: others may wait for the turn. */
#define READ_AHEAD_MAX 4096

/* ---------- reading ahead ---------- */

/* How many more the group may have in flight. */
static int
in_flight_room(const PrismGroup *group)
{
	const int32 *counts = group->window->counts;

	if (group->options.max_in_flight == 0)
		return PG_INT32_MAX;
	return Max(group->options.max_in_flight - counts[PRISM_ENTRY_LEASED] - counts[PRISM_ENTRY_ACKING], 0);
}

/* Take what there is of what the delivery still misses. Under the exclusive lock. */
static void
take_available(PrismDelivery *delivery, PrismInstant deadline)
{
	PrismGroup *group = delivery->ref->group;
	PrismTaken *taken = delivery->taken + delivery->taken_count;
	int			missing = delivery->wanted - delivery->taken_count;
	int			count = prism_window_take(group->window, Min(missing, in_flight_room(group)),
										  delivery->holder, deadline, taken);
	int			repeated = 0;

	if (count > 0)
	{
		for (int i = 0; i < count; i++)
			repeated += taken[i].repeated;
		prism_group_note_taken(delivery->ref, &delivery->holder, taken[0].offset, taken[count - 1].offset, repeated);
	}
	delivery->taken_count += count;
	delivery->left = group->window->counts[PRISM_ENTRY_AVAILABLE] > 0;
	delivery->read_end = group->window->read_end;
}

/* Enter what was read ahead, unless the group was moved meanwhile. Under the exclusive lock. */
static void
enter_arrivals(PrismGroup *group, const PrismArrival *arrivals, int count, int64 position)
{
	if (!prism_group_release_reader(group))
		return;
	for (int i = 0; i < count; i++)
		prism_window_add(group->window, arrivals[i].offset, arrivals[i].created_at, arrivals[i].key_hash);
	prism_window_read_to(group->window, position);
}

/*
 * Read up to 'limit' messages from 'from' on and enter them; the caller has
 * claimed to be the reader.  'delivery' (may be NULL) takes what it still
 * misses of them before anybody else can.
 */
static void
read_ahead(PrismGroupRef *ref, int64 from, int limit, PrismDelivery *delivery, int64 lease_us)
{
	PrismGroup *group = ref->group;
	int			needed = delivery != NULL ? delivery->wanted - delivery->taken_count : 0;
	PrismArrival *arrivals = palloc(limit * sizeof(PrismArrival));
	PrismReader *reader = prism_reader_open(ref->topic, from);
	PrismMessage message;
	PrismInstant deadline;
	int64		position;
	int			count = 0;

	for (int looked = 0; looked < limit && prism_reader_look(reader, &message); looked++)
	{
		/* nobody is handed what has lost its payload */
		if (message.claim && message.offset < ref->topic->payload_cleaned)
			continue;
		arrivals[count++] = prism_group_arrival(&message);
		if (prism_reader_damage(reader) != NULL)
			continue;			/* whoever takes it is told */
		if (count <= needed || (needed > 0 && prism_rows_spare() > 0))
			prism_rows_keep(&message, count > needed);
	}
	position = prism_reader_position(reader);
	prism_reader_close(reader);
	/* after reading, which has noticed what was dropped meanwhile */
	prism_log_refuse_lost(ref->topic, from, ref->name);

	deadline = prism_instant() + lease_us;
	prism_group_lock(ref, LW_EXCLUSIVE);
	enter_arrivals(group, arrivals, count, position);
	if (delivery != NULL)
		take_available(delivery, deadline);
	prism_group_unlock(group);
	ConditionVariableBroadcast(&group->changed);
	pfree(arrivals);
}

/* What to do after a look at the window. */
typedef enum Step
{
	STEP_DONE,
	STEP_READ,					/* we have claimed to read ahead */
	STEP_WAIT					/* somebody else reads ahead */
} Step;

/*
 * Nothing that is read now could be handed out.  The end of something wakes
 * those who were told so (starved).
 */
static bool
is_blocked(PrismGroup *group)
{
	const PrismWindow *window = group->window;

	if (in_flight_room(group) == 0)
		group->starved = true;
	else if (group->options.ordering != PRISM_ORDERING_STRICT ||
			 window->counts[PRISM_ENTRY_WAITING] + window->counts[PRISM_ENTRY_DELAYED] + window->counts[PRISM_ENTRY_EXHAUSTED] == 0)
		return false;
	return true;
}

/* Under the exclusive lock: enough was found, or how to get at more. */
static Step
next_step(PrismGroupRef *ref, bool enough, bool some, int64 stable, int64 *from, int *room)
{
	PrismGroup *group = ref->group;

	*from = group->window->read_end;
	*room = prism_window_room(group->window);
	if (enough || *from >= stable || is_blocked(group))
		return STEP_DONE;
	if (*room == 0)
	{
		group->starved = true;
		return STEP_DONE;
	}
	if (prism_group_claim_reader(ref))
		return STEP_READ;
	return some ? STEP_DONE : STEP_WAIT;
}

static int
reading_size(int wanted, int room)
{
	return Min(room, Min(Max(wanted, READ_AHEAD_MIN), READ_AHEAD_MAX));
}

/* ---------- taking ---------- */

static PrismDelivery *
new_delivery(PrismGroupRef *ref)
{
	MemoryContext mcxt = AllocSetContextCreate(CurrentMemoryContext, "prism delivery",
											   ALLOCSET_DEFAULT_SIZES);
	PrismDelivery *delivery = MemoryContextAllocZero(mcxt, sizeof(PrismDelivery));

	delivery->ref = ref;
	delivery->mcxt = mcxt;
	delivery->row_cxt = AllocSetContextCreate(mcxt, "prism delivered row", ALLOCSET_SMALL_SIZES);
	delivery->holder = prism_group_holder(ref);
	delivery->room = PG_INT64_MAX;
	return delivery;
}

static int
compare_taken(const void *left, const void *right)
{
	const PrismTaken *a = left;
	const PrismTaken *b = right;

	if (a->offset != b->offset)
		return a->offset < b->offset ? -1 : 1;
	return a->attempt - b->attempt;
}

/*
 * Bring into order what several looks at the window gave: others may have
 * given back earlier messages in between, and a very short lease of ours may
 * have ended and been taken again.
 */
static void
sort_taken(PrismDelivery *delivery)
{
	PrismTaken *taken = delivery->taken;
	int			kept = 0;

	qsort(taken, delivery->taken_count, sizeof(PrismTaken), compare_taken);
	for (int i = 0; i < delivery->taken_count; i++)
	{
		if (kept > 0 && taken[kept - 1].offset == taken[i].offset)
			kept--;
		taken[kept++] = taken[i];
	}
	delivery->taken_count = kept;
}

/* The whole of taking, in the delivery's memory context. */
static void
fill_delivery(PrismDelivery *delivery, int max, int64 lease_us)
{
	PrismGroupRef *ref = delivery->ref;
	PrismGroup *group = ref->group;
	bool		again = false;
	int64		stable;

	delivery->wanted = Min(max, group->window->size);
	delivery->taken = palloc(delivery->wanted * sizeof(PrismTaken));
	do
	{
		PrismInstant now = prism_instant();
		int			waiting;
		int64		from;
		int			room;
		bool		limited;
		Step		step;

		stable = prism_log_stable(ref->topic);
		prism_group_lock(ref, LW_EXCLUSIVE);
		if (!again && group->called > 0)
			group->called--;
		prism_window_expire(group->window, now);
		take_available(delivery, now + lease_us);
		waiting = group->window->counts[PRISM_ENTRY_WAITING];
		delivery->exhausted = group->window->counts[PRISM_ENTRY_EXHAUSTED] > 0;
		step = next_step(ref, delivery->taken_count == delivery->wanted, delivery->taken_count > 0,
						 stable, &from, &room);
		limited = in_flight_room(group) == 0;
		prism_group_unlock(group);

		if (step == STEP_DONE)
		{
			delivery->limited = delivery->taken_count == 0 && limited;
			delivery->starved = delivery->taken_count == 0 && room == 0 && from < stable && waiting == 0;
			break;
		}
		again = true;
		if (step == STEP_WAIT)
			prism_group_await_reader(ref);
		else
			read_ahead(ref, from, reading_size(delivery->wanted - delivery->taken_count, room),
					   delivery, lease_us);
	} while (delivery->taken_count < delivery->wanted);
	if (again)
		sort_taken(delivery);
	prism_group_took(ref, delivery->left || delivery->read_end < stable);
}

PrismDelivery *
prism_group_take(PrismGroupRef *ref, int max, int64 lease_us)
{
	PrismDelivery *delivery = new_delivery(ref);
	MemoryContext caller = MemoryContextSwitchTo(delivery->mcxt);

	prism_rows_use(ref->topic);
	fill_delivery(delivery, max, lease_us);
	if (delivery->exhausted)
		delivery->buried = prism_group_bury_exhausted(ref) > 0;
	/* what waited for them may come along, or one of them that is damaged, and says so */
	if (delivery->exhausted && delivery->taken_count == 0)
	{
		delivery->holder = prism_group_holder(ref);
		fill_delivery(delivery, max, lease_us);
	}
	MemoryContextSwitchTo(caller);
	return delivery;
}

int
prism_group_available(PrismGroupRef *ref)
{
	PrismGroup *group = ref->group;
	bool		stuck = false;	/* nobody can do anything with those whose attempts are used up */

	for (;;)
	{
		int64		stable = prism_log_stable(ref->topic);
		int			exhausted;
		int			available;
		int64		from;
		int			room;
		Step		step;

		prism_group_lock(ref, LW_EXCLUSIVE);
		prism_window_expire(group->window, prism_instant());
		exhausted = stuck ? 0 : group->window->counts[PRISM_ENTRY_EXHAUSTED];
		available = Min(group->window->counts[PRISM_ENTRY_AVAILABLE], in_flight_room(group)) + exhausted;
		step = next_step(ref, available > 0, available > 0, stable, &from, &room);
		prism_group_unlock(group);

		if (exhausted > 0 && !prism_group_can_bury(ref))
		{
			stuck = true;
			continue;
		}
		if (step == STEP_DONE)
			return available;
		if (step == STEP_WAIT)
			prism_group_await_reader(ref);
		else
			read_ahead(ref, from, reading_size(0, room), NULL, 0);
	}
}
