/*-------------------------------------------------------------------------
 *
 * test.c
 *	  The group window and the sets of finished offsets, without a server.
 *
 * Named situations; random ones against a model are in random.c.
 *
 * test/module/group_window/test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/group/group_ranges.h"
#include "store/group/group_window.h"
#include "test.h"

#undef printf					/* the system's: this program links nothing of the server */
#undef sprintf

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

void
ok(bool passed, const char *what)
{
	tests++;
	if (!passed)
		failures++;
	printf("%s %d - %s\n", passed ? "ok" : "not ok", tests, what);
}

static const PrismHolder alice = {.lease_id = 11, .session = 1};
static const PrismHolder bob = {.lease_id = 22, .session = 2};

PrismWindow *
new_window(int messages)
{
	PrismWindow *window = malloc(prism_window_bytes(WINDOW_SIZE));

	prism_window_init(window, WINDOW_SIZE);
	for (int offset = 0; offset < messages; offset++)
		prism_window_add(window, offset, 0, 0);
	return window;
}

void
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

	ok(prism_window_give_back(window, 0, 1, alice.lease_id, NULL, 100) == 1, "a rollback gives back a lease that ended, too");
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

/* ---------- order and attempts ---------- */

static PrismWindow *
new_ordered_window(PrismOrdering ordering, int max_attempts, const uint32 *keys, int messages)
{
	PrismWindow *window = new_window(0);

	prism_window_configure(window, ordering, max_attempts);
	for (int offset = 0; offset < messages; offset++)
		prism_window_add(window, offset, 0, keys[offset]);
	return window;
}

static bool
takes(PrismWindow *window, PrismHolder holder, int max, const char *expected)
{
	PrismTaken	taken[WINDOW_SIZE];
	int			count = prism_window_take(window, max, holder, 1000, taken);
	char		found[10 * WINDOW_SIZE] = "";
	char	   *end = found;

	for (int i = 0; i < count; i++)
		end += sprintf(end, "%s%d", i > 0 ? " " : "", (int) taken[i].offset);
	if (strcmp(found, expected) != 0)
		printf("# taken: \"%s\" instead of \"%s\"\n", found, expected);
	return strcmp(found, expected) == 0;
}

static void
test_order_by_key(void)
{
	/* 0 has no key */
	static const uint32 keys[] = {7, 7, 9, 0, 7, 0, 9};
	PrismWindow *window = new_ordered_window(PRISM_ORDERING_KEY, 0, keys, lengthof(keys));

	ok(takes(window, alice, 1, "0"), "the first of a key is handed out");
	ok(takes(window, bob, 9, "2 3 5 6"), "another consumer gets what waits for nobody, and a key's messages together");
	ok(takes(window, alice, 1, "1"), "who has the first may have the next");
	finish(window, 1);
	ok(takes(window, bob, 9, ""), "a key waits for its first one, though the second is finished");
	finish(window, 0);
	ok(window->counts[PRISM_ENTRY_AVAILABLE] == 1 && takes(window, bob, 9, "4"), "then the third is available");
	prism_window_add(window, 7, 0, 9);
	prism_window_expire(window, 1000);
	ok(window->counts[PRISM_ENTRY_WAITING] == 2, "of what expires only the first of each key is available");
	ok(takes(window, alice, 2, "2 3"), "and is handed out first");
	prism_window_begin_ack(window, prism_window_find(window, 2));
	ok(takes(window, bob, 9, "4 5"), "a key waits while its first one is being acknowledged");
	prism_window_nack(window, prism_window_find(window, 2), 2000, 1001);
	ok(takes(window, alice, 9, ""), "... and while it is delayed");
	prism_window_expire(window, 2000);
	ok(takes(window, bob, 1, "2"), "until it is due");
	free(window);
}

static void
test_order_of_transactions(void)
{
	static const uint32 keys[] = {7, 7, 7, 7};
	PrismWindow *window = new_ordered_window(PRISM_ORDERING_KEY, 0, keys, lengthof(keys));
	PrismHolder inner = {.lease_id = 12, .session = 1};
	PrismHolder next = {.lease_id = 13, .session = 1, .first = PG_INT64_MAX};

	ok(takes(window, alice, 1, "0") && takes(window, inner, 1, "1"), "a savepoint's consumer may have what follows that of its transaction");
	ok(takes(window, next, 9, ""), "the session's next transaction may not");
	next.first = 0;
	next.since = window->look;
	ok(takes(window, next, 9, ""), "... whatever else it has by then");
	prism_window_give_back(window, 0, 0, alice.lease_id, NULL, 5);
	ok(takes(window, bob, 9, "0"), "what goes back goes to others alone");
	free(window);
}

/* A lease that ended is good while nobody got the message, nor one that comes before it. */
static void
test_order_of_late_ones(void)
{
	static const uint32 keys[] = {7, 7, 7};
	PrismWindow *window = new_ordered_window(PRISM_ORDERING_KEY, 0, keys, lengthof(keys));

	ok(takes(window, alice, 2, "0 1"), "two of a key are handed out");
	prism_window_expire(window, 1000);
	ok(prism_window_lease(window, 0, alice) == PRISM_LEASE_HELD && prism_window_lease(window, 1, alice) == PRISM_LEASE_HELD,
	   "their leases end: late acknowledgements of both are welcome");
	ok(takes(window, bob, 1, "0"), "another one gets the first");
	ok(prism_window_lease(window, 1, alice) == PRISM_LEASE_LOST, "the second would come before it: refused");
	finish(window, 0);
	ok(prism_window_lease(window, 1, alice) == PRISM_LEASE_HELD, "once the first is finished it is welcome again");
	free(window);
}

static void
test_order_strict(void)
{
	static const uint32 keys[] = {7, 0, 9};
	PrismWindow *window = new_ordered_window(PRISM_ORDERING_STRICT, 0, keys, lengthof(keys));

	ok(takes(window, alice, 2, "0 1") && takes(window, bob, 9, ""), "strict: one consumer at a time");
	finish(window, 1);
	ok(takes(window, bob, 9, ""), "in order");
	prism_window_configure(window, PRISM_ORDERING_NONE, 0);
	ok(takes(window, bob, 9, "2"), "without an order nothing waits");
	prism_window_give_back(window, 2, 2, bob.lease_id, NULL, 5);
	prism_window_configure(window, PRISM_ORDERING_STRICT, 0);
	ok(takes(window, bob, 9, ""), "until there is one again");
	free(window);
}

static void
test_attempts(void)
{
	static const uint32 keys[] = {7, 7};
	PrismWindow *window = new_ordered_window(PRISM_ORDERING_KEY, 2, keys, lengthof(keys));
	PrismDead	dead;

	ok(takes(window, alice, 1, "0"), "the first attempt");
	prism_window_begin_ack(window, prism_window_find(window, 0));
	prism_window_nack(window, prism_window_find(window, 0), 0, 3 * USECS_PER_SEC);
	ok(prism_window_lease(window, 0, alice) == PRISM_LEASE_NACKED, "who gave a message up has its lease no more");
	ok(takes(window, bob, 1, "0"), "the second one");
	ok(prism_window_lease(window, 0, alice) == PRISM_LEASE_LOST, "now others have it");
	prism_window_untake(window, 0, bob.lease_id);
	ok(takes(window, bob, 1, "0"), "what was not delivered does not count");
	prism_window_expire(window, 9 * USECS_PER_SEC);
	ok(window->counts[PRISM_ENTRY_EXHAUSTED] == 1 && takes(window, alice, 9, ""), "with its attempts used up it is handed out no more, and its key waits");
	ok(prism_window_lease(window, 0, bob) == PRISM_LEASE_HELD, "a late acknowledgement is still good");
	ok(prism_window_take_exhausted(window, 9, alice, 99 * USECS_PER_SEC, &dead) == 1 && dead.offset == 0 && dead.attempts == 2
	   && dead.first_failure == 3 * USECS_PER_SEC && dead.last_failure == 9 * USECS_PER_SEC,
	   "but to become a dead letter, of which it is known when it failed first and last");
	prism_window_give_back(window, 0, 0, alice.lease_id, NULL, 10 * USECS_PER_SEC);
	ok(window->counts[PRISM_ENTRY_EXHAUSTED] == 1, "and if not, it is to become one later");
	prism_window_configure(window, PRISM_ORDERING_KEY, 3);
	ok(takes(window, bob, 9, "0 1"), "more attempts allowed, it is handed out again");
	prism_window_extend(window, prism_window_find(window, 0), 100 * USECS_PER_SEC);
	prism_window_expire(window, 99 * USECS_PER_SEC);
	ok(prism_window_find(window, 0)->state == PRISM_ENTRY_LEASED && prism_window_find(window, 1)->state == PRISM_ENTRY_WAITING,
	   "a lease that was extended ends later");
	free(window);
}

/* What was taken and not handed over is as if it had not been taken. */
static void
test_unseen(void)
{
	static const uint32 keys[] = {0, 0, 0, 0};
	PrismWindow *window = new_ordered_window(PRISM_ORDERING_NONE, 2, keys, lengthof(keys));
	PrismUnseen unseen = {.behind = -1};
	PrismTaken	taken[4];
	PrismDead	dead;

	ok(takes(window, alice, 2, "0 1"), "two are handed over");
	unseen.since = window->look + 1;
	ok(takes(window, alice, 2, "2 3"), "two more are not");
	ok(prism_window_give_back(window, 0, 3, alice.lease_id, &unseen, 5) == 4, "all go back");
	ok(prism_window_take(window, 4, bob, 1000, taken) == 4 && taken[1].attempt == 2 && taken[2].attempt == 1 && taken[2].offset == 2,
	   "an attempt counts for those that were handed over");
	unseen = (PrismUnseen) {.since = window->look,.behind = 2};
	prism_window_uncount(window, 0, bob.lease_id);
	prism_window_give_back(window, 0, 3, bob.lease_id, &unseen, 6);
	ok(prism_window_find(window, 0)->attempt == 1 && prism_window_find(window, 1)->state == PRISM_ENTRY_EXHAUSTED &&
	   prism_window_find(window, 2)->attempt == 1 && prism_window_find(window, 3)->attempt == 0,
	   "... up to where it came, but not for what was passed over");
	unseen = (PrismUnseen) {.since = window->look,.behind = -1};
	prism_window_uncount(window, 1, bob.lease_id);
	ok(takes(window, alice, 1, "0"), "what was passed over");
	prism_window_uncount(window, 0, alice.lease_id);
	prism_window_give_back(window, 0, 0, alice.lease_id, &unseen, 7);
	ok(prism_window_find(window, 0)->attempt == 1, "... does not count once, not twice");
	ok(prism_window_take_exhausted(window, 9, alice, 1000, &dead) == 1, "what is to become a dead letter");
	prism_window_give_back(window, 0, 3, alice.lease_id, &unseen, 8);
	ok(prism_window_find(window, 1)->state == PRISM_ENTRY_EXHAUSTED, "... still is after a rollback");
	free(window);
}

static void
test_restored(void)
{
	static const uint32 keys[] = {7, 7, 0};
	PrismWindow *window = new_ordered_window(PRISM_ORDERING_KEY, 5, keys, lengthof(keys));
	PrismTaken	taken[3];

	prism_window_restore(window, prism_window_find(window, 0), 3, 50, 1, 10);
	prism_window_restore(window, prism_window_find(window, 1), 0, 0, 0, 10);
	prism_window_restore(window, prism_window_find(window, 2), 5, 0, 1, 10);
	prism_window_doubt(window);
	ok(window->counts[PRISM_ENTRY_DELAYED] == 1 && window->counts[PRISM_ENTRY_WAITING] == 1 && window->counts[PRISM_ENTRY_EXHAUSTED] == 1,
	   "delays, order and attempts survive");
	prism_window_expire(window, 50);
	prism_window_add(window, 3, 0, 0);
	ok(prism_window_take(window, 9, alice, 1000, taken) == 3 && taken[0].attempt == 4 && taken[2].offset == 3 && taken[2].repeated,
	   "what was perhaps handed out before the start is told apart");
	free(window);
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
	test_order_by_key();
	test_order_of_transactions();
	test_order_of_late_ones();
	test_order_strict();
	test_attempts();
	test_unseen();
	test_restored();
	test_ranges_of_a_window();
	test_sets();
	test_random_sets();
	test_random_windows();
	printf("1..%d\n", tests);
	return failures == 0 ? 0 : 1;
}
