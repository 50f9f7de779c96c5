/*-------------------------------------------------------------------------
 *
 * test.c
 *	  The forwarder's lanes and routes without a server: what the random run has
 *	  found once, each alone, and then the random run.
 *
 * PRISM_SEED=... gives it another seed.
 *
 * test/module/forwarder/test.c
 *
 *-------------------------------------------------------------------------
 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#undef printf

#include "../tap.h"

#define SEED_DEFAULT 1

/* One that is sent at least once, one exactly once. */
static WorldTopic *const stream = &world[0];
static WorldTopic *const transact = &world[WORLD_TOPICS - 1];
/* Another one, of the same lane. */
static WorldTopic *const beside = &world[WORLD_STREAMS];

/* A world without faults and of one partition each, in which one message fills a batch, or many do. */
static void
begin(int number, int batch_messages)
{
	shim_seed(number);
	world_make(1000 + number);
	model_begin();
	for (int i = 0; i < WORLD_TOPICS; i++)
	{
		world[i].sink.batch_messages = batch_messages;
		world[i].sink.partitions = 0;
		world_spread(&world[i], 1);
	}
	process_options_none();
	process_option("reject_bytes", WORLD_BYTES_MAX);
	process_start();
}

static void
publish(WorldTopic *topic, WorldKind kind)
{
	world_publish(topic, 1, kind == WORLD_BAD ? 100 : 0);
}

/* Turns and sleeps, so long. */
static void
pass(int ms)
{
	PrismInstant end = shim_now + ms * 1000;

	while (shim_now < end)
		if (!model_step())
			process_sleep();
}

static void
test_undisturbed(void)
{
	begin(1, 10);
	for (int i = 0; i < WORLD_TOPICS; i++)
		world_publish(&world[i], 35, 0);
	pass(5000);
	ok(stream->written.position == 35 && transact->written.position == 35, "without faults all arrives, and is recorded");
	process_end();
	world_publish(stream, 1, 0);
	world_publish(transact, 1, 0);
	pass(5000);
	ok(stream->written.position == 36 && transact->written.position == 36, "another process goes on there");
}

/* Two batches of one message travel together, and the second is too large. */
static void
test_companions(void)
{
	begin(2, 1);
	broker_faults.stalled = true;
	publish(stream, WORLD_GOOD);
	publish(stream, WORLD_BAD);
	publish(stream, WORLD_GOOD);
	pass(500);
	broker_faults.stalled = false;
	pass(30000);
	ok(stream->messages[0].letters == 0 && stream->messages[1].letters == 1 && stream->written.position == 3,
	   "who travels with one that is refused is not to blame, also when it is a batch of its own");
}

/* A dead letter cannot be written: the sink lets go of what it holds, and is resumed before it rests. */
static void
test_resumed_early(void)
{
	begin(3, 10);
	world_faults.letter = world_faults.record_locked = 100;
	publish(stream, WORLD_GOOD);
	pass(30);
	world_publish(stream, 2, 0);
	publish(stream, WORLD_BAD);
	publish(stream, WORLD_GOOD);
	pass(3000);
	stream->sink.paused = true;
	process_look(stream);
	pass(3000);
	stream->sink.paused = false;
	process_look(stream);
	world_faults.letter = world_faults.record_locked = 0;
	pass(120000);
	ok(stream->written.position == 5, "what a paused sink has let go of is read again, when it is resumed before it rests");
}

/* A position that had not been recorded yet when the sink stopped. */
static void
test_skip(void)
{
	begin(4, 10);
	publish(stream, WORLD_GOOD);
	publish(transact, WORLD_GOOD);
	pass(2000);
	world_faults.record_locked = 100;
	world_publish(stream, 5, 0);
	pass(200);
	stream->damaged = stream->stable;
	world_publish(stream, 5, 0);
	pass(200);
	ok(stream->state == PRISM_SINK_STOPPED && stream->shown == 6, "a sink stops at a message that is damaged");
	model_skip(stream, 8);
	world_faults.record_locked = 0;
	pass(2000);
	ok(stream->written.position == 8, "prism.skip() is not undone by a position from before");
	process_look(stream);
	pass(2000);
	ok(stream->written.position == 11, "and the sink goes on behind");
}

/* The progress log has a position that the other side had no say in, and an answer is lost behind it. */
static void
test_claim(void)
{
	begin(5, 1);
	transact->sink.paused = true;
	world_publish(transact, 8, 0);
	pass(1000);
	model_skip(transact, 2);
	process_options_none();
	process_option("doubt_every", 2);
	transact->sink.paused = false;
	process_load_anew();
	world_faults.record_locked = 100;
	pass(1000);
	world_faults.record_locked = 0;
	pass(30000);
	ok(transact->written.position == 8, "after prism.skip() nothing is sent before that is recorded");
}

/* Of a topic's messages those of the partition that gives no receipts are left, or the others. */
static bool
left_are(const WorldTopic *topic, bool silent, bool out)
{
	for (int64 i = 0; i < topic->stable; i++)
		if ((world_partition(topic, i) == broker_faults.silent_partition) == silent && model_is_out(topic, i) != out)
			return false;
	return true;
}

/* One partition has no leader for a while. */
static void
test_silent_partition(void)
{
	begin(6, 10);
	for (int i = 0; i < WORLD_TOPICS; i++)
		world_spread(&world[i], WORLD_PARTITIONS_MAX);
	broker_faults.silent = stream;
	broker_faults.silent_partition = 1;
	for (int i = 0; i < WORLD_TOPICS; i++)
		world_publish(&world[i], 20, 0);
	pass(5000);
	ok(left_are(stream, true, false) && left_are(stream, false, true), "a partition that gives no receipts does not keep the others of its topic");
	ok(stream->written.position < 20 && world[1].written.position == 20,
	   "the position waits for it, and no other topic's does");
	broker_faults.silent = transact;
	pass(5000);
	ok(stream->written.position == 20, "when it does again, all of it is recorded");
	world_publish(transact, 20, 0);
	world_publish(beside, 20, 0);
	pass(120000);
	ok(transact->written.position == 20 && beside->written.position == 40,
	   "a transaction that waits for such a partition gives way to other topics");
	broker_faults.silent = NULL;
	pass(300000);
	ok(transact->written.position == 40, "and is made again when there is a leader");
}

/* Partitions are asked for while messages are under way. */
static void
test_more_partitions(void)
{
	begin(7, 10);
	for (int i = 0; i < WORLD_TOPICS; i++)
		world_publish(&world[i], 5, 0);
	pass(5000);
	broker_faults.silent = stream;
	world_publish(stream, 20, 0);
	world_publish(transact, 20, 0);
	stream->sink.partitions = transact->sink.partitions = WORLD_PARTITIONS_MAX;
	pass(100);
	process_look(stream);
	process_look(transact);
	world_publish(stream, 20, 0);
	world_publish(&world[1], 20, 0);
	pass(1000);
	ok(stream->there == 1 && world[1].written.position == 25, "no partition is added while messages are under way, and other topics go on");
	ok(transact->there == WORLD_PARTITIONS_MAX && transact->partitions == WORLD_PARTITIONS_MAX && transact->written.position == 25,
	   "between two transactions they are");
	broker_faults.silent = NULL;
	pass(10000);
	ok(stream->there == WORLD_PARTITIONS_MAX && stream->partitions == WORLD_PARTITIONS_MAX && stream->written.position == 45,
	   "they are added when all has its receipt, and sending goes on");
	ok(stream->seen.partitions == WORLD_PARTITIONS_MAX, "and are shown");
	stream->sink.partitions = 1;
	process_look(stream);
	pass(10000);
	ok(stream->there == WORLD_PARTITIONS_MAX, "none is taken away");
}

/* There is always more to send. */
static void
test_partitions_in_backlog(void)
{
	begin(10, 10);
	publish(stream, WORLD_GOOD);
	publish(transact, WORLD_GOOD);
	pass(2000);
	for (int i = 0; i < 200; i++)
	{
		world_publish(stream, 10, 0);
		world_publish(transact, 10, 0);
	}
	broker_faults.receipts = 90;
	for (int i = 0; i < 5; i++)
		(void) model_step();
	stream->sink.partitions = transact->sink.partitions = WORLD_PARTITIONS_MAX;
	process_look(stream);
	process_look(transact);
	while (stream->partitions < WORLD_PARTITIONS_MAX && stream->shown < stream->stable && violated() == NULL)
		if (!model_step())
			process_sleep();
	ok(stream->shown < stream->stable, "partitions need not wait until there is nothing more to send");
	while (transact->partitions < WORLD_PARTITIONS_MAX && transact->shown < transact->stable && violated() == NULL)
		if (!model_step())
			process_sleep();
	ok(transact->shown < transact->stable, "nor with transactions");
}

/* A sink stops while messages are under way, and is resumed before they have come. */
static void
test_partitions_behind_stop(void)
{
	begin(11, 10);
	publish(stream, WORLD_GOOD);
	pass(2000);
	broker_faults.stalled = true;
	world_publish(stream, 5, 0);
	pass(100);
	broker_faults.shut = 1000;
	world_publish(stream, 5, 0);
	pass(100);
	ok(stream->state == PRISM_SINK_STOPPED, "a sink stops while messages are under way");
	broker_faults.shut = 0;
	stream->there = WORLD_PARTITIONS_MAX;
	process_look(stream);
	pass(500);
	broker_faults.stalled = false;
	pass(20000);
	ok(stream->written.position == stream->stable && stream->partitions == WORLD_PARTITIONS_MAX,
	   "when it is resumed they come first, and then other partitions");
}

/* The other side gives no partitions for some minutes. */
static void
test_refused_partitions(void)
{
	begin(8, 10);
	broker_faults.reshape = 100;
	stream->sink.partitions = WORLD_PARTITIONS_MAX;
	for (int i = 0; i < 100 && stream->refusal[0] == '\0'; i++)
	{
		world_publish(stream, 1, 0);
		pass(1000);
	}
	world_publish(stream, 20, 0);
	pass(1000);
	ok(stream->written.position == stream->stable && stream->state == PRISM_SINK_RUNNING && stream->partitions == stream->there && stream->refusal[0] != '\0',
	   "a sink that is refused partitions goes on with those that there are, and says so");
	broker_faults.reshape = 0;
	pass(6 * 60 * 1000);
	ok(stream->partitions == WORLD_PARTITIONS_MAX && stream->refusal[0] == '\0', "it asks again");
}

/* Somebody else adds some, and nobody tells the forwarder. */
static void
test_foreign_partitions(void)
{
	begin(9, 10);
	world_publish(stream, 5, 0);
	world_publish(transact, 5, 0);
	pass(5000);
	stream->there = transact->there = WORLD_PARTITIONS_MAX;
	world_publish(stream, 5, 0);
	pass(5000);
	ok(stream->partitions == 1 && stream->written.position == 10, "partitions that others add are not used unseen");
	process_look(stream);
	pass(5000);
	ok(stream->partitions == WORLD_PARTITIONS_MAX, "prism.resume() has them seen");
	pass(2 * 60 * 1000);
	ok(transact->partitions == WORLD_PARTITIONS_MAX && transact->seen.partitions == WORLD_PARTITIONS_MAX, "and time does");
}

int
main(void)
{
	const char *seed = getenv("PRISM_SEED");

	test_undisturbed();
	test_companions();
	test_resumed_early();
	test_skip();
	test_claim();
	test_silent_partition();
	test_more_partitions();
	test_partitions_in_backlog();
	test_partitions_behind_stop();
	test_refused_partitions();
	test_foreign_partitions();
	ok(violated() == NULL, violated() == NULL ? "nothing comes twice meanwhile" : violated());
	test_random_faults(seed != NULL ? strtoull(seed, NULL, 10) : SEED_DEFAULT);
	ok(violated() == NULL, "whatever fails, nothing is lost, overtakes or comes twice, and all arrives in the end");
	return end_tests();
}
