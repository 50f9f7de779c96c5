/*-------------------------------------------------------------------------
 *
 * random.c
 *	  Random faults against a model that is too simple to be wrong.
 *
 * The model keeps of each message whether the other side has it and whether the
 * forwarder was told so, and says at each event whether it may happen: nothing
 * is passed over, nothing overtakes, nothing comes twice where it must not, and
 * no position is kept that is ahead of what is out.  When the faults end, all
 * arrives.
 *
 * test/module/forwarder/random.c
 *
 *-------------------------------------------------------------------------
 */
#include "test.h"

#include <stdio.h>

#undef printf

#define ROUNDS 100				/* the back end knows 1,024 topics, and each round has its own */
#define STEPS 1250
/* Turns, sleeps among them, within which all has to arrive. */
#define PATIENCE_TURNS 40000

/* What the model knows of a topic. */
typedef struct ModelTopic
{
	int64		low;			/* what lies below is nobody's business: prism.skip() said so */
	bool		taken[WORLD_OFFSETS];	/* the other side has it */
	bool		told[WORLD_OFFSETS];	/* the forwarder has its receipt, and has not forgotten it rightly */
	int64		begin;			/* spares the model time: all below is out */
	const void *connection[WORLD_PARTITIONS_MAX];	/* over which the last one came */
	int64		last[WORLD_PARTITIONS_MAX];
	int64		skip_to;		/* where the session of prism.skip() will put it */
} ModelTopic;

static ModelTopic models[WORLD_TOPICS];

static ModelTopic *
model_of(const WorldTopic *topic)
{
	return &models[topic - world];
}

bool
model_is_out(const WorldTopic *topic, int64 offset)
{
	switch (topic->messages[offset].kind)
	{
		case WORLD_GOOD:
			return model_of(topic)->taken[offset];
		case WORLD_BAD:
			return topic->messages[offset].letters > 0;
		case WORLD_NOTHING:
			break;
	}
	return true;
}

/* The first that is not out. */
static int64
first_left(const WorldTopic *topic)
{
	ModelTopic *model = model_of(topic);

	model->begin = Max(model->begin, model->low);
	while (model->begin < topic->stable && model_is_out(topic, model->begin))
		model->begin++;
	return model->begin;
}

void
model_begin(void)
{
	memset(models, 0, sizeof(models));
	for (int i = 0; i < WORLD_TOPICS; i++)
		for (int partition = 0; partition < WORLD_PARTITIONS_MAX; partition++)
			models[i].last[partition] = -1;
}

/* ---------- events ---------- */

void
model_taken(WorldTopic *topic, int64 offset, const void *connection)
{
	ModelTopic *model = model_of(topic);
	int			partition = world_partition(topic, offset);

	if (topic->messages[offset].kind != WORLD_GOOD)
		violation("%s: message %lld is taken and cannot be", topic->target, (long long) offset);
	if (model->told[offset])
		violation("%s: message %lld is sent again, and had its receipt", topic->target, (long long) offset);
	for (int64 i = first_left(topic); i < offset; i++)
		if (topic->messages[i].kind == WORLD_GOOD && !model->taken[i] && world_partition(topic, i) == partition)
			violation("%s: message %lld overtakes %lld", topic->target, (long long) offset, (long long) i);
	if (connection == model->connection[partition] && offset <= model->last[partition])
		violation("%s: message %lld follows %lld on one connection", topic->target, (long long) offset,
				  (long long) model->last[partition]);
	note("%s: %lld is taken", topic->target, (long long) offset);
	model->taken[offset] = true;
	model->connection[partition] = connection;
	model->last[partition] = offset;
}

void
model_told(WorldTopic *topic, int64 offset)
{
	const PrismRoute *route = process_route(topic);

	note("%s: %lld has its receipt", topic->target, (long long) offset);
	/* one that it had let go of: it does not know what it was for */
	if (route == NULL || route->adrift == 0)
		model_of(topic)->told[offset] = true;
}

void
model_committed(WorldTopic *topic, const int64 *offsets, int count, int64 position)
{
	ModelTopic *model = model_of(topic);

	note("%s: position %lld is committed with %d messages", topic->target, (long long) position, count);
	for (int i = 0; i < count; i++)
	{
		int64	   *last = &model->last[world_partition(topic, offsets[i])];

		if (topic->messages[offsets[i]].kind != WORLD_GOOD)
			violation("%s: message %lld is taken and cannot be", topic->target, (long long) offsets[i]);
		if (model->taken[offsets[i]])
			violation("%s: message %lld is there twice", topic->target, (long long) offsets[i]);
		if (offsets[i] <= *last || offsets[i] >= position)
			violation("%s: message %lld comes after %lld, before position %lld", topic->target,
					  (long long) offsets[i], (long long) *last, (long long) position);
		model->taken[offsets[i]] = true;
		*last = offsets[i];
	}
	if (first_left(topic) < position)
		violation("%s: position %lld passes over message %lld at the other side", topic->target,
				  (long long) position, (long long) first_left(topic));
}

void
model_recorded(WorldTopic *topic, int64 position)
{
	note("%s: position %lld is recorded", topic->target, (long long) position);
	if (position < topic->written.position)
		violation("%s: position %lld is recorded after %lld", topic->target, (long long) position,
				  (long long) topic->written.position);
	if (position > Max(first_left(topic), model_of(topic)->low))
		violation("%s: position %lld passes over message %lld in the progress log", topic->target,
				  (long long) position, (long long) first_left(topic));
}

void
model_buried(WorldTopic *topic, int64 offset)
{
	note("%s: %lld is a dead letter", topic->target, (long long) offset);
	if (topic->messages[offset].kind != WORLD_BAD)
		violation("%s: message %lld is good and becomes a dead letter", topic->target, (long long) offset);
	if (topic->messages[offset].letters > 0)
		violation("%s: message %lld is a dead letter twice", topic->target, (long long) offset);
}

/* What lies behind the position may be sent again, receipt or not. */
static void
forget_receipts(WorldTopic *topic, int64 position)
{
	for (int64 i = Max(position, 0); i < topic->stable; i++)
		model_of(topic)->told[i] = false;
	memset(model_of(topic)->connection, 0, sizeof(model_of(topic)->connection));
}

static void
forget_all_receipts(void)
{
	for (int i = 0; i < WORLD_TOPICS; i++)
		forget_receipts(&world[i], world[i].written.position);
}

/* Of what came to rest nothing is held any more; none may have stopped for good. */
static void
observe(void)
{
	for (int i = 0; i < WORLD_TOPICS; i++)
	{
		WorldTopic *topic = &world[i];
		PrismRoute *route = process_route(topic);

		if (topic->state == PRISM_SINK_FENCED || topic->state == PRISM_SINK_REGRESSED || topic->state == PRISM_SINK_DIVERGED)
			violation("%s stands still: %s", topic->target, topic->error);
		if (route == NULL)
			continue;
		if (route->phase == ROUTE_PARKED)
			forget_receipts(topic, topic->written.position);
		else if (route->paused && route->window_batches == 0)
			forget_receipts(topic, route->position);
	}
}

bool
model_step(void)
{
	bool		anew = forwarder->draining_since != 0;
	bool		more;

	if (forwarder->in_turn || !forwarder->loaded)
	{
		note("all is loaded anew, as a step threw");
		forget_all_receipts();
	}
	more = process_step();
	if (anew && forwarder->draining_since == 0)
	{
		note("all was loaded anew");
		forget_all_receipts();
	}
	observe();
	return more;
}

/* ---------- what happens ---------- */

static WorldTopic *
any_topic(void)
{
	return &world[shim_random(WORLD_TOPICS)];
}

static void
random_options(void)
{
	process_options_none();
	process_option("queue_messages", 5 + shim_random(200));
	process_option("reject_bytes", WORLD_BYTES_MAX);
	if (shim_chance(30))
		process_option("again", shim_random(3));
	if (shim_chance(30))
		process_option("retry_every", 10 + shim_random(200));
	if (shim_chance(30))
		process_option("doubt_every", 2 + shim_random(10));
	if (shim_chance(30))
		process_option("lose_every", 2 + shim_random(10));
	if (shim_chance(30))
		process_option("fence_every", 3 + shim_random(20));
}

static void
random_faults(void)
{
	memset(&world_faults, 0, sizeof(world_faults));
	memset(&broker_faults, 0, sizeof(broker_faults));
	if (shim_chance(30))
		return;
	world_faults.begin = shim_chance(20) ? shim_random(5) : 0;
	world_faults.commit = shim_chance(20) ? shim_random(5) : 0;
	world_faults.record = shim_chance(20) ? shim_random(100) : 0;
	world_faults.record_locked = shim_chance(20) ? shim_random(100) : 0;
	world_faults.letter = shim_chance(20) ? shim_random(100) : 0;
	world_faults.letter_locked = shim_chance(20) ? shim_random(100) : 0;
	world_faults.read = shim_chance(20) ? shim_random(20) : 0;
	world_faults.read_locked = shim_chance(20) ? shim_random(50) : 0;
	world_faults.wait = shim_chance(20) ? shim_random(100) : 0;
	world_faults.refuse = shim_chance(20) ? shim_random(100) : 0;
	broker_faults.stop = shim_chance(20) ? shim_random(20) : 0;
	broker_faults.refuse = shim_chance(30) ? shim_random(100) : 0;
	broker_faults.shut = shim_chance(10) ? shim_random(100) : 0;
	broker_faults.known = shim_chance(30) ? shim_random(100) : 0;
	broker_faults.full = shim_chance(30) ? shim_random(30) : 0;
	broker_faults.forget = shim_chance(50) ? 50 : 0;
	broker_faults.reshape = shim_chance(50) ? shim_random(100) : 0;
	broker_faults.receipts = shim_chance(50) ? shim_random(100) : 0;
	broker_faults.stalled = shim_chance(10);
	broker_faults.silent = shim_chance(20) ? any_topic() : NULL;
	broker_faults.silent_partition = shim_random(WORLD_PARTITIONS_MAX);
}

static void
random_time(void)
{
	static const int64 ms[] = {1, 5, 20, 60, 300, 1100, 2500, 11000, 45000, 6 * 60 * 1000, 25 * 60 * 60 * 1000};

	shim_now += ms[shim_chance(90) ? shim_random(6) : shim_random(lengthof(ms))] * 1000;
}

void
model_skip(WorldTopic *topic, int64 position)
{
	note("%s: prism.skip() to %lld", topic->target, (long long) position);
	topic->written.position = topic->flushed.position = topic->shown = position;
	topic->written.shared = topic->flushed.shared = false;
	model_of(topic)->low = position;
	forget_receipts(topic, position);
}

/* prism.skip() wants a sink that stands still; another session takes its time for it. */
static void
random_skip(WorldTopic *topic)
{
	ModelTopic *model = model_of(topic);
	PrismRoute *route = process_route(topic);
	int64		from = Max(topic->written.position, topic->shown);

	if (topic->sink.exactly_once)
		from = Max(from, broker_position(topic));
	if (topic->skipping)
	{
		topic->skipping = false;
		model_skip(topic, model->skip_to);
		process_look(topic);
		return;
	}
	if (route == NULL || route->broken || !(route->rests || (route->phase == ROUTE_PARKED && topic->state == PRISM_SINK_STOPPED)) ||
		from > topic->stable)
		return;
	topic->skipping = true;
	model->skip_to = from + shim_random((int) (topic->stable - from) + 1);
}

static void
random_damage(WorldTopic *topic)
{
	if (topic->damaged >= 0)
		topic->damaged = -1;
	else if (topic->stable > 0)
		topic->damaged = topic->stable - 1;
}

static void
random_end(void)
{
	switch (shim_random(4))
	{
		case 0:
			process_end();
			break;
		case 1:
			process_crash(false);
			break;
		case 2:
			process_crash(true);
			break;
		case 3:
			process_load_anew();
			if (shim_chance(50))
				random_options();
			return;
	}
	note("all ends: a new process");
	if (shim_chance(50))
		random_options();
	forget_all_receipts();
}

static void
random_event(int bad_percent)
{
	WorldTopic *topic = any_topic();

	switch (shim_random(100))
	{
		case 0:
			random_end();
			break;
		case 1:
		case 2:
		case 3:
			random_faults();
			break;
		case 4:
		case 5:
		case 6:
			if (!topic->skipping)
			{
				topic->sink.paused = !topic->sink.paused && shim_chance(60);
				process_look(topic);
			}
			break;
		case 7:
		case 8:
		case 9:
			random_skip(topic);
			break;
		case 10:
			random_damage(topic);
			break;
		case 11:
			topic->busy = !topic->busy && shim_chance(50);
			break;
		case 12:
			broker_fence(&forwarder->lanes[shim_random(PRISM_LANES)]);
			break;
		case 13:
			world_publish_nothing(topic, 1 + shim_random(5));
			break;
		case 14:
			world_publish(topic, shim_random(80), bad_percent);
			break;
		case 15:
			topic->sink.partitions = shim_random(WORLD_PARTITIONS_MAX + 1);
			if (!topic->skipping)
				process_look(topic);
			break;
		case 16:
			topic->there = Min(topic->there + 1, WORLD_PARTITIONS_MAX);
			break;
		default:
			if (shim_chance(50))
				world_publish(topic, 1 + shim_random(4), bad_percent);
			else
				random_time();
	}
}

/* ---------- in the end ---------- */

static void
end_faults(void)
{
	memset(&world_faults, 0, sizeof(world_faults));
	memset(&broker_faults, 0, sizeof(broker_faults));
	process_options_none();
	process_option("reject_bytes", WORLD_BYTES_MAX);
	for (int i = 0; i < WORLD_TOPICS; i++)
	{
		WorldTopic *topic = &world[i];

		topic->busy = false;
		topic->damaged = -1;
		if (topic->skipping)
			random_skip(topic);
		topic->sink.paused = false;
		process_look(topic);
	}
	process_load_anew();
}

static bool
all_is_out(void)
{
	for (int i = 0; i < WORLD_TOPICS; i++)
	{
		const WorldTopic *topic = &world[i];
		int64		last = topic->stable;

		while (last > 0 && topic->messages[last - 1].kind == WORLD_NOTHING)
			last--;
		if (first_left(topic) < topic->stable || topic->written.position < last || topic->state != PRISM_SINK_RUNNING)
			return false;
		if (topic->there < topic->sink.partitions || topic->partitions != topic->there)
			return false;
	}
	return true;
}

static void
expect_all(void)
{
	for (int turn = 0; turn < PATIENCE_TURNS && violated() == NULL; turn++)
	{
		if (!model_step())
			process_sleep();
		if (forwarder->draining_since == 0 && all_is_out())
			return;
	}
	for (int i = 0; i < WORLD_TOPICS; i++)
		if (first_left(&world[i]) < world[i].stable || world[i].state != PRISM_SINK_RUNNING)
			violation("%s: message %lld of %lld has not arrived, state %d: %s", world[i].target,
					  (long long) first_left(&world[i]), (long long) world[i].stable, world[i].state, world[i].error);
	for (int i = 0; i < WORLD_TOPICS; i++)
		if (world[i].there < world[i].sink.partitions || world[i].partitions != world[i].there)
			violation("%s: keys are spread over %d of %d partitions, %d are wanted: %s", world[i].target, world[i].partitions,
					  world[i].there, world[i].sink.partitions, world[i].refusal);
	violation("what is out is not recorded");
}

void
test_random_faults(uint64 seed)
{
	static const int bad_percents[] = {0, 1, 5, 20};

	shim_seed(seed);
	for (int round = 0; round < ROUNDS && violated() == NULL; round++)
	{
		int			bad_percent = bad_percents[shim_random(lengthof(bad_percents))];
		int			number = 0;

		world_make(round);
		model_begin();
		random_options();
		process_start();
		for (; number < STEPS && violated() == NULL; number++)
		{
			random_event(bad_percent);
			(void) model_step();
		}
		if (violated() == NULL)
		{
			end_faults();
			expect_all();
		}
		if (violated() == NULL)
			continue;
		show_notes(psprintf("%.*s", (int) strcspn(violated(), ": "), violated()));
		printf("# seed %llu, round %d, step %d: %s\n", (unsigned long long) seed, round, number, violated());
	}
}
