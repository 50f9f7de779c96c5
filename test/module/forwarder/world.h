/*-------------------------------------------------------------------------
 *
 * world.h
 *	  The database that a forwarder sees: logs, the progress log, dead letters,
 *	  sinks, and the other side; with a way to make each of them fail.
 *
 * test/module/forwarder/world.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef FORWARDER_WORLD_H
#define FORWARDER_WORLD_H

#include "bgworker/forward/forwarder.h"

/* These are sent at least once, the others exactly once: of the latter two share a lane. */
#define WORLD_STREAMS 3
#define WORLD_TOPICS (WORLD_STREAMS + PRISM_TRANSACT_LANES + 1)
#define WORLD_OFFSETS 8192
#define WORLD_DEAD_MAX 1024
#define WORLD_PARTITIONS_MAX 3
#define WORLD_KEYS 12
/* A larger payload is refused. */
#define WORLD_BYTES_MAX 500

typedef enum WorldKind
{
	WORLD_NOTHING,				/* an offset of a transaction that is gone */
	WORLD_GOOD,
	WORLD_BAD					/* the other side will never take it */
} WorldKind;

typedef struct WorldMessage
{
	WorldKind	kind;
	int			remaining;
	int			bytes;
	char		key;			/* 'a' and on */
	XLogRecPtr	lsn;			/* where its transaction was committed */
	int			letters;		/* dead letters that were written of it */
} WorldMessage;

/* What the progress log says of a sink. */
typedef struct WorldProgress
{
	int64		position;
	bool		shared;
	int			dead_count;
	int64		dead[WORLD_DEAD_MAX];
} WorldProgress;

typedef struct WorldTopic
{
	PrismTopic	topic;
	PrismSink	sink;
	char		target[32];
	int			partitions;		/* of the target, over which its keys are spread */
	int			there;			/* of the target, by now */
	char		refusal[PRISM_ERROR_BYTES]; /* why it has no more of them, for views */
	PrismSinkShape seen;		/* likewise, what the forwarder has seen of it */
	int64		stable;
	WorldMessage messages[WORLD_OFFSETS];
	int64		damaged;		/* this message cannot be read; -1: all can */
	bool		busy;			/* somebody is dropping the topic, and may think better of it */
	bool		skipping;		/* prism.skip() of another session has not ended */
	PrismSinkState state;
	char		error[PRISM_ERROR_BYTES];
	int64		shown;			/* position, for views */
	WorldProgress written;
	WorldProgress flushed;		/* what a crash of the server leaves */
} WorldTopic;

/* Faults of the database, in percent of the calls. */
typedef struct WorldFaults
{
	int			begin;			/* a transaction cannot begin: the step throws, unless it is an attempt */
	int			record;			/* the progress log cannot be written */
	int			record_locked;
	int			letter;			/* a dead letter cannot be written */
	int			letter_locked;
	int			read;			/* the log cannot be read now */
	int			read_locked;
	int			commit;
	int			wait;			/* the topic's patterns have a message wait */
	int			refuse;			/* they know that the other side will never take it */
} WorldFaults;

/* What they make of a message. */
#define WORLD_PASSED 4711

extern WorldTopic world[WORLD_TOPICS];
extern WorldFaults world_faults;
extern XLogRecPtr world_flushed_to;

/* Where the other side puts a message: what has one key stays in order. */
static inline int
world_partition(const WorldTopic *topic, int64 offset)
{
	return topic->messages[offset].key % topic->partitions;
}

extern void world_make(int round);
/* Its target has so many partitions, and its keys are spread over them. */
extern void world_spread(WorldTopic *topic, int partitions);
extern void world_publish(WorldTopic *topic, int messages, int bad_percent);
extern void world_publish_nothing(WorldTopic *topic, int offsets);
/* All that was committed is on disk. */
extern void world_flush(void);
/* The server has crashed: what was not on disk is gone. */
extern void world_crash(void);

/* Transactions. */
extern void world_begin(void);
extern void world_commit(void);
extern void world_rollback(void);
extern int	world_savepoint(void);
extern void world_rollback_to(int savepoint);

/* ---------- the other side (broker.c): the back end "memory", and what happens on the way to it ---------- */

typedef struct BrokerFaults
{
	int			stop;			/* prepare answers STOP */
	int			refuse;			/* a message, and all behind it in its partition or anywhere, is not taken: RETRY or STOP */
	int			shut;			/* that nothing more is taken of a topic is known before it is sent, in a thousand */
	int			known;			/* that a message is refused is known before it is sent */
	int			full;			/* no message is taken just now */
	int			forget;			/* positions that nobody has moved for long */
	int			receipts;		/* receipts come in parts, or late; what lies ready travels in several requests */
	int			fence;			/* somebody else uses our name */
	int			reshape;		/* no partitions are added, or nobody is told that they were */
	bool		stalled;		/* no receipt comes at all */
	const WorldTopic *silent;	/* none comes of this partition of this topic; NULL: of all */
	int			silent_partition;
} BrokerFaults;

extern BrokerFaults broker_faults;
/* The process ends, or has lost its mind: its connections are closed as they are. */
extern bool broker_abandoned;
extern const PrismBackend broker;

/* A transaction of the other side that belongs to another process, which begins later than ours. */
extern void broker_fence(const PrismLane *lane);
/* The position that it keeps of a topic; -1: none. */
extern int64 broker_position(const WorldTopic *topic);
/* The connections of the process are gone; some of what was on the wire arrives. */
extern void broker_lose(void);

/* ---------- what the model wants to hear (random.c) ---------- */

/* Taken by the other side, without a transaction, over this connection. */
extern void model_taken(WorldTopic *topic, int64 offset, const void *connection);
/* The forwarder was told so. */
extern void model_told(WorldTopic *topic, int64 offset);
/* A transaction took place. */
extern void model_committed(WorldTopic *topic, const int64 *offsets, int count, int64 position);
/* A transaction here has said so. */
extern void model_recorded(WorldTopic *topic, int64 position);
extern void model_buried(WorldTopic *topic, int64 offset);

#endif							/* FORWARDER_WORLD_H */
