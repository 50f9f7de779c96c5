/*-------------------------------------------------------------------------
 *
 * test.c
 *	  The group window and the sets of finished offsets, without a server.
 *
 * Named situations first, then random ones against a model that is too simple
 * to be wrong.
 *
 * test/module/group_window/test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/group_ranges.h"
#include "store/group_window.h"

#undef printf					/* the system's: this program links nothing of the server */

#define WINDOW_SIZE 64
#define MODEL_OFFSETS 4096
#define RANDOM_ROUNDS 200

static int	tests;
static int	failures;

/* What the tested files need of the server. */
void *
palloc(Size size)
{
	return malloc(size);
}

void *
repalloc_huge(void *pointer, Size size)
{
	return realloc(pointer, size);
}

static void
ok(bool passed, const char *what)
{
	tests++;
	if (!passed)
		failures++;
	printf("%s %d - %s\n", passed ? "ok" : "not ok", tests, what);
}

static const PrismHolder alice = {.lease_id = 11, .session = 1};
static const PrismHolder bob = {.lease_id = 22, .session = 2};

static PrismWindow *
new_window(int messages)
{
	PrismWindow *window = malloc(prism_window_bytes(WINDOW_SIZE));

	prism_window_init(window, WINDOW_SIZE);
	for (int offset = 0; offset < messages; offset++)
		prism_window_add(window, offset, 0, 0);
	return window;
}

/* Begin and finish an acknowledgement. */
static void
finish(PrismWindow *window, int64 offset)
{
	PrismEntry *entry = prism_window_find(window, offset);

	prism_window_begin_ack(window, entry);
	prism_window_finish(window, entry);
}

static void
test_base(void)
{
	PrismWindow *window = new_window(4);
	PrismTaken	taken[4];

	ok(prism_window_take(window, 4, alice, 100, taken) == 4 && taken[3].offset == 3 && taken[3].attempt == 1,
	   "messages are handed out in order, as a first attempt");
	finish(window, 1);
	ok(prism_window_base(window) == 0, "a finished message in the middle does not move the base");
	finish(window, 0);
	ok(prism_window_base(window) == 2, "the base passes all that is finished");
	finish(window, 2);
	finish(window, 3);
	prism_window_read_to(window, 9);
	ok(prism_window_base(window) == 9, "with nothing unfinished the base is where reading ahead came to");
	free(window);
}

static void
test_one_stuck_message(void)
{
	PrismWindow *window = new_window(1);
	PrismTaken	taken;
	bool		roomy = true;

	prism_window_take(window, 1, alice, 1000, &taken);
	for (int offset = 1; offset < 100 * WINDOW_SIZE; offset++)
	{
		roomy = roomy && prism_window_room(window) == WINDOW_SIZE - 1;
		prism_window_add(window, offset, 0, 0);
		roomy = roomy && prism_window_take(window, 1, bob, 1000, &taken) == 1 && taken.offset == offset;
		finish(window, offset);
	}
	ok(roomy, "a message that nobody finishes takes one slot, however many pass it");
	ok(prism_window_base(window) == 0 && prism_window_unfinished(window) == 1, "and it alone is unfinished");
	free(window);
}

/* Who finished the last messages is known, even when the head has passed them. */
static void
test_passed(void)
{
	PrismWindow *window = new_window(0);
	PrismTaken	taken;
	bool		known = true;
	bool		foreign = false;

	for (int offset = 0; offset < 10 * WINDOW_SIZE; offset++)
	{
		prism_window_add(window, offset, 0, 0);
		prism_window_take(window, 1, offset % 2 == 0 ? alice : bob, 1000, &taken);
		finish(window, offset);
		for (int back = Max(0, offset - WINDOW_SIZE / 2); back <= offset; back++)
		{
			known = known && prism_window_lease(window, back, back % 2 == 0 ? alice : bob) == PRISM_LEASE_FINISHED;
			foreign = foreign || prism_window_lease(window, back, back % 2 == 0 ? bob : alice) != PRISM_LEASE_LOST;
		}
	}
	ok(known && !foreign, "the window remembers under which lease the last ones were finished");
	ok(prism_window_lease(window, 0, alice) == PRISM_LEASE_LOST, "not for ever");
	prism_window_reset(window, 0);
	ok(prism_window_lease(window, 10 * WINDOW_SIZE - 1, bob) == PRISM_LEASE_LOST, "a reset forgets");
	free(window);
}

static void
test_leases(void)
{
	PrismWindow *window = new_window(2);
	PrismTaken	taken[2];

	prism_window_take(window, 2, alice, 100, taken);
	prism_window_expire(window, 99);
	ok(prism_window_take(window, 2, bob, 200, taken) == 0, "nobody gets a message before its lease ends");
	prism_window_expire(window, 100);
	ok(prism_window_lease(window, 0, alice) == PRISM_LEASE_HELD, "a lease that ended is good while nobody else got the message");
	ok(prism_window_take(window, 1, bob, 200, taken) == 1 && taken[0].offset == 0 && taken[0].attempt == 2,
	   "after the end it is handed out again, as a second attempt");
	ok(prism_window_lease(window, 0, alice) == PRISM_LEASE_LOST, "then the first lease is lost");
	ok(prism_window_lease(window, 0, (PrismHolder) {.session = 2}) == PRISM_LEASE_HELD
	   && prism_window_lease(window, 0, (PrismHolder) {.session = 1}) == PRISM_LEASE_LOST,
	   "without an id the session counts");
	ok(prism_window_lease(window, 2, alice) == PRISM_LEASE_LOST, "a message that was not read is nobody's");
	finish(window, 0);
	ok(prism_window_lease(window, 0, bob) == PRISM_LEASE_FINISHED, "who finished a message may say so again");
	ok(prism_window_lease(window, 0, alice) == PRISM_LEASE_LOST, "who had it before may not: the work would count twice");
	prism_window_read_to(window, 9);
	ok(prism_window_lease(window, 5, alice) == PRISM_LEASE_LOST, "nor is there a lease of what never was");

	ok(prism_window_give_back(window, 0, 1, alice.lease_id) == 1, "a rollback gives back a lease that ended, too");
	ok(prism_window_lease(window, 1, alice) == PRISM_LEASE_LOST, "and takes the right to acknowledge");
	ok(prism_window_take(window, 2, bob, 200, taken) == 1 && taken[0].attempt == 2, "it counts as an attempt");
	prism_window_untake(window, 1, bob.lease_id);
	ok(prism_window_take(window, 2, bob, 200, taken) == 1 && taken[0].attempt == 2, "unless it was not delivered");
	free(window);
}

static void
test_acking(void)
{
	PrismWindow *window = new_window(3);
	PrismTaken	taken[3];
	PrismEntry *entry;

	prism_window_take(window, 3, alice, 100, taken);
	entry = prism_window_find(window, 1);
	prism_window_begin_ack(window, entry);
	prism_window_expire(window, 1000);
	ok(prism_window_take(window, 3, bob, 2000, taken) == 2 && taken[1].offset == 2, "an acknowledgement in progress never expires");
	ok(prism_window_lease(window, 1, alice) == PRISM_LEASE_LOST, "and cannot be begun twice");
	prism_window_undo_ack(window, entry);
	ok(prism_window_lease(window, 1, alice) == PRISM_LEASE_HELD, "undone, it is leased as before");
	prism_window_expire(window, 1000);
	ok(prism_window_take(window, 3, bob, 2000, taken) == 1 && taken[0].offset == 1, "and expires again");
	free(window);
}

static void
test_ranges_of_a_window(void)
{
	PrismWindow *window = new_window(0);
	int64		start;

	prism_window_reset(window, 5);
	prism_window_add(window, 10, 0, 0);
	prism_window_add(window, 20, 0, 0);
	prism_window_add(window, 30, 0, 0);
	ok(prism_window_range_start(window, prism_window_find(window, 10)) == 5, "a range begins at the floor");
	ok(prism_window_range_start(window, prism_window_find(window, 30)) == 21, "or behind the entry before");
	finish(window, 10);
	start = prism_window_range_start(window, prism_window_find(window, 20));
	ok(start == 11, "offsets without a message are covered once the head has passed");
	free(window);
}

static void
test_sets(void)
{
	PrismRanges set;

	prism_ranges_init(&set, 10);
	prism_ranges_add(&set, 20, 30);
	prism_ranges_add(&set, 40, 50);
	ok(set.count == 2 && prism_ranges_end(&set) == 50, "two ranges");
	prism_ranges_add(&set, 30, 40);
	ok(set.count == 1 && set.ranges[0].from == 20 && set.ranges[0].to == 50, "what lies between joins them");
	prism_ranges_add(&set, 25, 45);
	ok(set.count == 1, "adding twice changes nothing");
	prism_ranges_add(&set, 5, 20);
	ok(set.count == 0 && set.floor == 50, "what touches the floor raises it");
	free(set.ranges);
}

/* Random sets against an array of flags. */
static void
test_random_sets(void)
{
	static bool model[512];
	bool		same = true;

	for (int round = 0; round < RANDOM_ROUNDS; round++)
	{
		PrismRanges set;

		memset(model, 0, sizeof(model));
		prism_ranges_init(&set, 0);
		for (int step = 0; step < 100; step++)
		{
			int			from = rand() % 500;
			int			to = from + rand() % 12;

			prism_ranges_add(&set, from, to);
			for (int i = from; i < to; i++)
				model[i] = true;
			for (int i = 0; i < 512; i++)
				same = same && prism_ranges_contain(&set, i) == model[i];
			for (int i = 1; i < set.count; i++)
				same = same && set.ranges[i - 1].to < set.ranges[i].from;
			same = same && (set.count == 0 || set.floor < set.ranges[0].from);
		}
		free(set.ranges);
	}
	ok(same, "random sets contain what was added, in ranges that do not touch");
}

/* What the model knows of an offset. */
typedef struct ModelEntry
{
	PrismEntryState state;
	int64		lease_id;
	int64		deadline;
} ModelEntry;

static ModelEntry model[MODEL_OFFSETS];
static int	model_end;
static int64 model_clock;

static int
model_take(int max, int64 lease_id, int64 deadline, int64 *offsets)
{
	int			count = 0;

	for (int i = 0; i < model_end && count < max; i++)
	{
		if (model[i].state == PRISM_ENTRY_LEASED && model[i].deadline <= model_clock)
			model[i].state = PRISM_ENTRY_AVAILABLE;
		if (model[i].state != PRISM_ENTRY_AVAILABLE)
			continue;
		model[i] = (ModelEntry) {PRISM_ENTRY_LEASED, lease_id, deadline};
		offsets[count++] = i;
	}
	/* those behind the last one taken expire as well */
	for (int i = 0; i < model_end; i++)
		if (model[i].state == PRISM_ENTRY_LEASED && model[i].deadline <= model_clock)
			model[i].state = PRISM_ENTRY_AVAILABLE;
	return count;
}

static bool
random_take(PrismWindow *window)
{
	PrismHolder holder = {.lease_id = 1 + rand() % 4, .session = 1};
	PrismTaken	taken[8];
	int64		expected[8];
	int64		deadline = model_clock + 1 + rand() % 50;
	int			max = 1 + rand() % 8;
	int			count;

	prism_window_expire(window, model_clock);
	count = prism_window_take(window, max, holder, deadline, taken);
	if (count != model_take(max, holder.lease_id, deadline, expected))
		return false;
	for (int i = 0; i < count; i++)
		if (taken[i].offset != expected[i])
			return false;
	return true;
}

static bool
random_end(PrismWindow *window)
{
	int64		offset = model_end > 0 ? model_end - 1 - rand() % Min(model_end, 100) : 0;
	PrismEntry *entry = prism_window_find(window, offset);

	if (entry == NULL)
		return model_end == 0 || model[offset].state == PRISM_ENTRY_FINISHED;
	if (entry->state != PRISM_ENTRY_LEASED)
		return true;
	prism_window_begin_ack(window, entry);
	if (rand() % 4 == 0)
		prism_window_undo_ack(window, entry);
	else
	{
		prism_window_finish(window, entry);
		model[offset].state = PRISM_ENTRY_FINISHED;
	}
	return true;
}

static void
random_give_back(PrismWindow *window)
{
	int64		lease_id = 1 + rand() % 4;

	prism_window_give_back(window, 0, MODEL_OFFSETS, lease_id);
	for (int i = 0; i < model_end; i++)
		if (model[i].lease_id == lease_id && model[i].state == PRISM_ENTRY_LEASED)
			model[i].state = PRISM_ENTRY_AVAILABLE;
}

static bool
same_as_model(PrismWindow *window)
{
	int			unfinished = 0;
	int64		base = -1;

	for (int i = 0; i < model_end; i++)
	{
		PrismEntry *entry = prism_window_find(window, i);
		bool		gone = model[i].state == PRISM_ENTRY_FINISHED;

		if (gone != (entry == NULL))
			return false;
		if (gone)
			continue;
		unfinished++;
		if (base < 0)
			base = i;
	}
	return unfinished == prism_window_unfinished(window)
		&& prism_window_base(window) == (base < 0 ? model_end : base);
}

static void
test_random_windows(void)
{
	bool		same = true;

	for (int round = 0; round < RANDOM_ROUNDS && same; round++)
	{
		PrismWindow *window = new_window(0);

		model_end = 0;
		model_clock = 0;
		for (int step = 0; step < 2000 && same; step++)
		{
			model_clock += rand() % 3;
			switch (rand() % 8)
			{
				case 0:
				case 1:
					if (prism_window_room(window) > 0 && model_end < MODEL_OFFSETS)
					{
						prism_window_add(window, model_end, 0, 0);
						model[model_end++] = (ModelEntry) {PRISM_ENTRY_AVAILABLE, 0, 0};
					}
					break;
				case 2:
					same = random_take(window);
					break;
				case 3:
					if (rand() % 20 == 0)
						random_give_back(window);
					break;
				default:
					same = random_end(window);
			}
			if (step % 50 == 0)
				same = same && same_as_model(window);
		}
		free(window);
	}
	ok(same, "random windows do what the model does");
}

int
main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	srand(14);
	test_base();
	test_one_stuck_message();
	test_leases();
	test_passed();
	test_acking();
	test_ranges_of_a_window();
	test_sets();
	test_random_sets();
	test_random_windows();
	printf("1..%d\n", tests);
	return failures == 0 ? 0 : 1;
}
