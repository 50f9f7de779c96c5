/*-------------------------------------------------------------------------
 *
 * random.c
 *	  Random windows against a model that is too simple to be wrong.
 *
 * The model asks of each message, each time, whether an earlier one is in its
 * way; the window keeps chains and states instead, which must say the same
 * after every step.
 *
 * test/module/group_window/random.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>

#include "test.h"

#undef printf

#define MODEL_OFFSETS 4096

typedef enum ModelState
{
	MODEL_FREE,
	MODEL_LEASED,
	MODEL_ACKING,
	MODEL_DELAYED,
	MODEL_FINISHED
} ModelState;

/* What the model knows of an offset. */
typedef struct ModelEntry
{
	ModelState	state;
	uint32		key;
	int64		lease_id;
	int64		deadline;
	int			attempt;
} ModelEntry;

static ModelEntry model[MODEL_OFFSETS];
static int	model_end;
static int	model_begin;		/* all below are finished: spares the model time, nothing else */
static int64 model_clock;
static PrismOrdering model_ordering;
static int	model_max_attempts;

/* Must 'later' wait for 'earlier', if the latter is not finished? */
static bool
model_in_order(int earlier, int later)
{
	return model_ordering == PRISM_ORDERING_STRICT ||
		(model_ordering == PRISM_ORDERING_KEY && model[later].key != 0 && model[earlier].key == model[later].key);
}

/* Does something else than 'lease_id' has come before it? */
static bool
model_blocked(int offset, int64 lease_id)
{
	for (int i = model_begin; i < offset; i++)
		if (model[i].state != MODEL_FINISHED && model_in_order(i, offset) &&
			!(model[i].state == MODEL_LEASED && model[i].lease_id == lease_id))
			return true;
	return false;
}

static bool
model_exhausted(int offset)
{
	return model_max_attempts > 0 && model[offset].attempt >= model_max_attempts;
}

static void
model_expire(void)
{
	for (int i = model_begin; i < model_end; i++)
		if ((model[i].state == MODEL_LEASED || model[i].state == MODEL_DELAYED) && model[i].deadline <= model_clock)
			model[i].state = MODEL_FREE;
}

static int
model_take(int max, int64 lease_id, int64 deadline, int64 *offsets)
{
	int			count = 0;

	for (int i = model_begin; i < model_end && count < max; i++)
	{
		if (model[i].state != MODEL_FREE || model_exhausted(i) || model_blocked(i, lease_id))
			continue;
		model[i].state = MODEL_LEASED;
		model[i].lease_id = lease_id;
		model[i].deadline = deadline;
		model[i].attempt++;
		offsets[count++] = i;
	}
	return count;
}

static PrismEntryState
model_state(int offset)
{
	switch (model[offset].state)
	{
		case MODEL_LEASED:
			return PRISM_ENTRY_LEASED;
		case MODEL_ACKING:
			return PRISM_ENTRY_ACKING;
		case MODEL_DELAYED:
			return PRISM_ENTRY_DELAYED;
		case MODEL_FINISHED:
			return PRISM_ENTRY_FINISHED;
		case MODEL_FREE:
			break;
	}
	if (model_exhausted(offset))
		return PRISM_ENTRY_EXHAUSTED;
	return model_blocked(offset, 0) ? PRISM_ENTRY_WAITING : PRISM_ENTRY_AVAILABLE;
}

static bool
random_take(PrismWindow *window)
{
	/* a lease is a session that never commits */
	PrismHolder holder = {.lease_id = 1 + rand() % 4};
	PrismTaken	taken[8];
	int64		expected[8];
	int64		deadline = model_clock + 1 + rand() % 50;
	int			max = 1 + rand() % 8;
	int			count;

	holder.session = holder.lease_id;
	prism_window_expire(window, model_clock);
	model_expire();
	count = prism_window_take(window, max, holder, deadline, taken);
	if (count != model_take(max, holder.lease_id, deadline, expected))
		return false;
	for (int i = 0; i < count; i++)
		if (taken[i].offset != expected[i] || taken[i].attempt != model[expected[i]].attempt)
			return false;
	return true;
}

/* Some lease ends, or is extended. */
static void
random_end(PrismWindow *window)
{
	int64		offset = model_end > 0 ? model_end - 1 - rand() % Min(model_end, 100) : 0;
	PrismEntry *entry = prism_window_find(window, offset);
	ModelEntry *known = &model[offset];

	if (entry == NULL || known->state != MODEL_LEASED)
		return;
	switch (rand() % 8)
	{
		case 0:
			if (prism_window_untake(window, offset, known->lease_id))
			{
				known->state = MODEL_FREE;
				known->attempt--;
			}
			break;
		case 1:
			known->deadline = model_clock + 1 + rand() % 50;
			prism_window_extend(window, entry, known->deadline);
			break;
		case 2:
			prism_window_begin_ack(window, entry);
			known->deadline = model_clock - 10 + rand() % 50;
			known->state = known->deadline > model_clock ? MODEL_DELAYED : MODEL_FREE;
			prism_window_nack(window, entry, known->deadline, model_clock);
			break;
		case 3:
			prism_window_begin_ack(window, entry);
			known->state = MODEL_ACKING;
			break;
		default:
			prism_window_begin_ack(window, entry);
			prism_window_finish(window, entry);
			known->state = MODEL_FINISHED;
	}
}

/* What is being acknowledged comes to an end, well or not. */
static void
random_settle(PrismWindow *window)
{
	for (int i = model_begin; i < model_end; i++)
	{
		if (model[i].state != MODEL_ACKING || rand() % 2 == 0)
			continue;
		if (rand() % 3 == 0)
			prism_window_undo_ack(window, prism_window_find(window, i));
		else
			prism_window_finish(window, prism_window_find(window, i));
		model[i].state = prism_window_find(window, i) != NULL ? MODEL_LEASED : MODEL_FINISHED;
	}
}

static void
random_give_back(PrismWindow *window)
{
	int64		lease_id = 1 + rand() % 4;

	/* what it took by the last looks, and lies behind some offset, was not handed over */
	PrismUnseen unseen = {.since = window->look - rand() % 10,.behind = model_begin + rand() % 50};

	for (int i = model_begin; i < model_end; i++)
	{
		const PrismEntry *entry = prism_window_find(window, i);

		/* free: its lease ended, and nobody had it since */
		if (entry == NULL || entry->lease_id != lease_id || (model[i].state != MODEL_LEASED && model[i].state != MODEL_FREE))
			continue;
		if ((int32) (entry->look - unseen.since) >= 0 && i > unseen.behind)
			model[i].attempt--;
		model[i].state = MODEL_FREE;
	}
	prism_window_give_back(window, 0, MODEL_OFFSETS, lease_id, &unseen, model_clock);
}

/* Dead letters are written, and finished. */
static bool
random_bury(PrismWindow *window)
{
	PrismDead	dead[4];
	int			count = prism_window_take_exhausted(window, 4, (PrismHolder) {.lease_id = 9}, model_clock + 1000, dead);

	for (int i = 0; i < count; i++)
	{
		if (model_state(dead[i].offset) != PRISM_ENTRY_EXHAUSTED)
			return false;
		finish(window, dead[i].offset);
		model[dead[i].offset].state = MODEL_FINISHED;
	}
	return true;
}

static bool
same_as_model(PrismWindow *window)
{
	int			unfinished = 0;
	int			available = 0;

	while (model_begin < model_end && model[model_begin].state == MODEL_FINISHED)
		model_begin++;
	for (int i = Max(model_begin - WINDOW_SIZE, 0); i < model_end; i++)
	{
		PrismEntry *entry = prism_window_find(window, i);
		PrismEntryState expected = model_state(i);

		if (expected != (entry != NULL ? (PrismEntryState) entry->state : PRISM_ENTRY_FINISHED))
			return false;
		if (expected == PRISM_ENTRY_AVAILABLE)
			available++;
		if (expected != PRISM_ENTRY_FINISHED)
			unfinished++;
	}
	return unfinished == prism_window_unfinished(window)
		&& available == window->counts[PRISM_ENTRY_AVAILABLE]
		&& prism_window_base(window) == model_begin;
}

static bool
random_step(PrismWindow *window)
{
	switch (rand() % 10)
	{
		case 0:
		case 1:
		case 2:
			if (prism_window_room(window) > 0 && model_end < MODEL_OFFSETS)
			{
				uint32		key = rand() % 6;

				model[model_end] = (ModelEntry) {.key = key};
				prism_window_add(window, model_end++, 0, key);
			}
			return true;
		case 3:
		case 4:
			return random_take(window);
		case 5:
			if (rand() % 20 == 0)
				random_give_back(window);
			random_settle(window);
			return true;
		case 6:
			return random_bury(window);
		default:
			random_end(window);
			return true;
	}
}

void
test_random_windows(void)
{
	bool		same = true;

	for (int round = 0; round < RANDOM_ROUNDS && same; round++)
	{
		PrismWindow *window = new_window(0);

		model_begin = model_end = 0;
		model_clock = 0;
		for (int step = 0; step < 2000 && same; step++)
		{
			if (step == 0 || rand() % 300 == 0)
			{
				model_ordering = (PrismOrdering) (rand() % 3);
				model_max_attempts = rand() % 4;
				prism_window_configure(window, model_ordering, model_max_attempts);
			}
			model_clock += rand() % 3;
			same = random_step(window) && same_as_model(window);
			if (!same)
				printf("# round %d, step %d\n", round, step);
		}
		free(window);
	}
	ok(same, "random windows do what the model does");
}
