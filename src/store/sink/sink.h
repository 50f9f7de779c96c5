/*-------------------------------------------------------------------------
 *
 * sink.h
 *	  Sinks: a topic's way out of the database, its position and its state.
 *
 * What a sink is stands in prism.sink.  How it fares stands in shared memory,
 * one slot a sink, so that any session sees it without asking the forwarder;
 * the position is also kept in the progress log.  A slot is written by the one
 * forwarder that serves the sink; without one it says STARTING, and no error: what
 * stands there is what a process sees that lives.
 *
 * src/store/sink/sink.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_SINK_H
#define PRISM_SINK_H

#include "base/prism.h"
#include "base/clock.h"
#include "store/log/topic.h"

#include "nodes/pg_list.h"

#define PRISM_SINK_TRANCHE "prism_sink"
#define PRISM_SINK_ERROR_BYTES 512
#define PRISM_SINK_REFUSAL_BYTES 256

/* More than anybody needs, and so few that whoever asks for a topic's sinks can hold them all. */
#define PRISM_SINKS_OF_TOPIC_MAX 16

/* What a sink sends to at the other side, in SQL: of its config, where t is its topic. */
#define PRISM_SINK_TARGET(config) \
	"pg_catalog.concat_ws('.', " config " ->> 'topic_prefix', coalesce(" config " ->> 'topic', " config " ->> 'queue', t.name))"

/* A row of prism.sink, read for a worker. */
typedef struct PrismSink
{
	int32		sink_id;
	int32		topic_id;
	const char *topic_name;
	const char *name;			/* what it is called among the topic's */
	const char *backend;
	Oid			server_oid;		/* the foreign server; InvalidOid: brokers */
	const char *server;			/* what it is called */
	const char *brokers;		/* inline endpoint, comma separated, or NULL */
	bool		any_endpoint;	/* a superuser named them: prism.allowed_endpoints does not hold */
	const char *target_name;	/* the topic at the outside */
	bool		paused;
	bool		exactly_once;
	int			batch_messages; /* upper bound of a batch */
	int			partitions;		/* 0: the other side's default */
	int			replication;
	int64		message_bytes_max;
	const char *damage;			/* what is wrong with the row; NULL: nothing */
	const char *failures;		/* how it shall fail, where a back end does so on request: name=value,...; or NULL */
} PrismSink;

/*
 * The sinks that one forwarder serves (bgworker/slots.h): those of a foreign
 * server, or those with the back end and endpoint of sink 'sink_id'.
 * The list lives in the current memory context.
 */
extern List *prism_sink_list(Oid server, int32 sink_id);

/*
 * Keep prism.skip() away until the end of the transaction, before the position is
 * read.  False: one has not ended yet (or the sink is gone).
 */
extern bool prism_sink_lock(int32 sink_id);

typedef enum PrismSinkState
{
	PRISM_SINK_STARTING,		/* no forwarder has reached it yet */
	PRISM_SINK_WAITING,			/* for an answer of the other side */
	PRISM_SINK_RUNNING,
	PRISM_SINK_BACKOFF,			/* a passing fault; tried again at retry_at */
	PRISM_SINK_PAUSED,			/* by prism.pause() */
	PRISM_SINK_COPIED,			/* this database is a copy: prism.adopt() or prism.rebase() decides */
	PRISM_SINK_REWOUND,			/* point-in-time recovery: likewise */
	PRISM_SINK_STOPPED,			/* wrong settings or rights at the other side */
	PRISM_SINK_FENCED,			/* another server sends under our name */
	PRISM_SINK_REGRESSED,		/* the other side has lost what it had acknowledged */
	PRISM_SINK_DIVERGED			/* the other side's position belongs to another history of this log */
} PrismSinkState;

typedef enum PrismSinkCounter
{
	PRISM_SINK_MESSAGES,		/* acknowledged */
	PRISM_SINK_BYTES,
	PRISM_SINK_RETRIES,			/* rounds that were sent again */
	PRISM_SINK_REJECTED,		/* messages in refused rounds; most of them go through one by one */
	PRISM_SINK_DEAD_LETTERS,
	PRISM_SINK_SPLITS,			/* transactions larger than a batch */
	PRISM_SINK_DOUBTS,			/* connections made anew because an answer could not be trusted */
	PRISM_SINK_COUNTERS
} PrismSinkCounter;

/* A copy of a slot. */
typedef struct PrismSinkStatus
{
	PrismSinkState state;
	TimestampTz since;
	int64		position;		/* the first offset that is not out; -1: not known yet */
	TimestampTz retry_at;		/* 0: none */
	TimestampTz error_at;		/* 0: there is none */
	char		error[PRISM_SINK_ERROR_BYTES];	/* what is in its way; empty: nothing known */
	int64		counters[PRISM_SINK_COUNTERS];	/* since the server started */
} PrismSinkStatus;

/*
 * What the other side has made of the sink's target, as its process saw it last;
 * 0: the other side does not tell.
 */
typedef struct PrismSinkShape
{
	TimestampTz seen_at;		/* 0: not seen yet */
	char		target[PRISM_TOPIC_NAME_MAX + 1];	/* whose it is: the sink may have another one by now, ... */
	char		endpoint[NAMEDATALEN];	/* likewise, as its process calls it */
	int			partitions;
	int			replication;
	int64		message_bytes_max;
	char		error[PRISM_SINK_REFUSAL_BYTES];	/* why it has fewer partitions than are wanted; empty: nobody was refused */
} PrismSinkShape;

typedef struct PrismSinkSlot PrismSinkSlot;

/* Shared memory: see PrismModule. */
extern Size prism_sink_shmem_size(void);
extern void prism_sink_shmem_init(void);

/*
 * Find or take the slot of a sink of this database.  53400 when there is none
 * left, 55006 while another process serves the sink.
 */
extern PrismSinkSlot *prism_sink_attach(int32 sink_id, int32 topic_id);
/* There is none left, over all databases: of prism.max_topics. */
extern bool prism_sinks_are_full(void);
/* NULL instead of these errors. */
extern PrismSinkSlot *prism_sink_try_attach(int32 sink_id, int32 topic_id);

/* This process serves none of the sinks any more that it had, until it attaches again. Cannot throw. */
extern void prism_sink_detach_all(void);

/* Free the slots of a database (sink_id 0: all), those that are served when their process detaches. Cannot throw. */
extern void prism_sink_forget(Oid database, int32 sink_id);
extern void prism_sink_forget_database(Oid database, bool dropped);

/* Free this database's slots of sinks that are not in the catalogue any more. */
extern void prism_sink_sweep(void);

/*
 * The one place where a sink's state changes.  error NULL: the last text
 * stays, unless the state says that it is over (running, paused, starting).  True when state or error are not what they were.
 */
extern bool prism_sink_change(PrismSinkSlot *slot, PrismSinkState state,
							  PrismInstant retry_at, const char *error);
extern void prism_sink_move(PrismSinkSlot *slot, int64 position);
extern void prism_sink_count(PrismSinkSlot *slot, PrismSinkCounter counter, int64 more);

/* sink_shape.c: this process sends to this target; what is known of another one is forgotten. */
extern void prism_sink_aim(PrismSinkSlot *slot, const char *target, const char *endpoint);
/* It was seen just now; 'seen' with target, endpoint, time and error left as they are. */
extern void prism_sink_see(PrismSinkSlot *slot, const PrismSinkShape *seen);
/* It could not be given the wanted partitions; NULL: it could. */
extern void prism_sink_show_refusal(PrismSinkSlot *slot, const char *error);
/* False: it was not seen since the server started, or since the sink has its target. */
extern bool prism_sink_shape(int32 sink_id, const char *target, PrismSinkShape *shape);

/* prism.resume() was called: when its transaction has committed the forwarder takes note, once. A sink without a slot has nothing to resume. */
extern void prism_sink_ask_resume(int32 sink_id);

/*
 * A position was recorded in this transaction for a sink that stands still, which
 * begins there when it is resumed.  Whoever asks for its position is answered
 * this one: in this transaction at once, elsewhere when it has committed. The
 * sink's process may come to it late, or there may be none.
 */
extern void prism_sink_ask_move(int32 sink_id, int64 position);
/* The position that this transaction has moved the sink to; false: it has not. */
extern bool prism_sink_skipped(int32 sink_id, int64 *position);

/* Transaction callbacks: see PrismModule. Cannot throw. */
/* Before the log ends: a forwarder that reads a skip's record, and goes on from there, is not put back. */
extern void prism_sink_end_skips(bool committed);
extern void prism_sink_subcommit(int nest_level);
extern void prism_sink_subabort(int nest_level);
extern void prism_sink_end(bool committed);
extern bool prism_sink_take_resume(PrismSinkSlot *slot);

/* False: nobody has served the sink since the server started. */
extern bool prism_sink_status(int32 sink_id, PrismSinkStatus *status);
/* A process serves it. */
extern bool prism_sink_is_served(int32 sink_id);
/* prism.resume() was committed, and its process has not taken note yet. */
extern bool prism_sink_is_resumed(int32 sink_id);
extern const char *prism_sink_state_name(PrismSinkState state);

/* ---------- progress ---------- */

/* What a sink writes to the progress log. */
typedef enum PrismSinkRecordKind
{
	PRISM_SINK_POSITION = 1,	/* everything below is out, or shall be taken for it; the other side has no say */
	PRISM_SINK_POSITION_SHARED, /* everything below is out, and the other side keeps this position too */
	PRISM_SINK_DEAD,			/* the message at this position is a dead letter */
	PRISM_SINK_CHECKPOINT,		/* repeats a PRISM_SINK_POSITION whose record may be dropped */
	PRISM_SINK_CHECKPOINT_SHARED	/* likewise a PRISM_SINK_POSITION_SHARED */
} PrismSinkRecordKind;

/* Append to the current transaction. */
extern void prism_sink_record(int32 sink_id, PrismSinkRecordKind kind, int64 position);

/* A position was recorded: from now on prism.outbox can tell when. After the commit. */
extern void prism_sink_recorded(PrismSinkSlot *slot, int64 position, TimestampTz at);

/* What the progress log says. */
typedef struct PrismSinkProgress
{
	int64		position;		/* -1: the sink has never recorded one */
	bool		shared;			/* the other side must have it, or a later one */
	int			dead_count;		/* dead letters at or after the position, ascending */
	int64	   *dead;
	int64		damaged_at;		/* a record that no later one makes good, in the progress log; -1: none */
} PrismSinkProgress;

/* A sink whose records are wanted. */
typedef struct PrismSinkReplay
{
	int32		sink_id;
	PrismSinkProgress *progress;	/* what they say comes here */
	PrismSinkSlot *slot;		/* ... and its marks, unless NULL */
	bool		own;			/* while they are read: the position is of a record of the sink itself */
	int			dead_max;		/* likewise: places in progress->dead */
} PrismSinkReplay;

/* Read them, in the current memory context; the log is read once for all.  Sorts the sinks. */
extern void prism_sinks_replay(PrismSinkReplay *sinks, int count);
extern void prism_sink_replay(int32 sink_id, PrismSinkProgress *progress, PrismSinkSlot *slot);

/*
 * Repeat what the progress log says of every sink of this database, in this
 * transaction, so that older records can go: PRISM_NOBODY.  0: they cannot, as
 * one that is damaged would be forgotten.
 */
extern int64 prism_sink_checkpoint_all(void);

/* ---------- questions of other parts; in a transaction ---------- */

/* Messages of this topic wait for this sink of it. */
extern bool prism_sink_waiting(int32 topic_id, int32 sink_id);

/*
 * When the slowest sink's position passed the message.  False: not yet.  A
 * topic without sinks has nothing to wait for: *at is 0 and the answer true.
 */
extern bool prism_sink_published_at(int32 topic_id, int64 offset, TimestampTz *at);
/* A list of messages begins: how the sinks stand is looked up once for it. */
extern void prism_sink_ask_anew(void);

/* The position of the topic's slowest sink, 0 for one that has sent nothing yet; PRISM_NOBODY: the topic has none. */
extern int64 prism_sink_slowest(PrismTopic *topic);

/* The position of a sink: as this transaction has moved it, else from shared memory, else from the progress log; -1: none. */
extern int64 prism_sink_position(int32 sink_id);

#endif							/* PRISM_SINK_H */
