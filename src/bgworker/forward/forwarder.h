/*-------------------------------------------------------------------------
 *
 * forwarder.h
 *	  What the files of the forwarder share.
 *
 * A forwarder serves the sinks of one server.  Each of its topics is a route;
 * routes travel in lanes, a lane is one connection (one Kafka producer):
 *
 *		forwarder	one process			forwarder.c		what to serve, when to sleep
 *								lanes.c			turns of all lanes
 *		  lane		one connection		turn.c			open, fence, receipts
 *								lane.c			doubt, back-off
 *			route	one topic			route_make.c	from the catalogue
 *								route_start.c	where to go on
 *								route.c			position, state
 *								route_rest.c	pause, and going on
 *								route_shape.c	partitions of the target
 *								route_record.c	progress record
 *								route_read.c	from the log
 *			  batch	messages read		batch.c			what became of each
 *
 *		carrier.h		how batches cross
 *		stream.c		at least once: batches pipelined, acknowledged prefix
 *		transact.c		exactly once: one Kafka transaction a batch, position inside
 *		bisect.c		which message of a refused batch is the bad one
 *		bury.c			where it goes
 *		passing.c		what the topic's patterns make of a message
 *		other_side.c	names, options and secrets of the other side
 *		position_name.c	what stands beside a position there
 *		lane_report.c	faults in the server's log
 *		outgoing.c		text in UTF-8
 *
 * Everything here runs in the forwarder's own process; what others see of it
 * is in store/sink/sink.h.
 *
 * src/bgworker/forward/forwarder.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_FORWARDER_H
#define PRISM_FORWARDER_H

#include "base/prism.h"
#include "backend/queue.h"
#include "backend/registry.h"
#include "bgworker/worker.h"
#include "store/log/topic.h"
#include "store/sink/identity.h"
#include "store/sink/sink.h"

#include "lib/ilist.h"

/* Transactional producers of a server; a topic's lane follows from its number, so never change this lightly. */
#define PRISM_TRANSACT_LANES 4
/* After them comes the one for topics that are sent at least once. */
#define PRISM_STREAM_LANE PRISM_TRANSACT_LANES
#define PRISM_LANES (PRISM_TRANSACT_LANES + 1)

/*
 * Bounds of what a forwarder holds in memory, messages being read or under way;
 * once more as much for topics that do not get on, which the others shall not
 * suffer from.  When that is used up as well, who holds nothing still gets a
 * small batch, a part of its share: so nobody stands still because of others,
 * and what all hold grows with the logarithm of how many are stuck.
 */
#define PRISM_BATCH_BYTES ((Size) 4 * 1024 * 1024)
#define PRISM_HELD_BYTES ((Size) 24 * 1024 * 1024)
#define PRISM_STALLED_BYTES ((Size) 24 * 1024 * 1024)
#define PRISM_SMALL_BATCH_BYTES ((Size) 64 * 1024)
/* Batches of a route under way: at least once; exactly once (one, and the next one read ahead). */
#define PRISM_STREAM_BATCHES 16
#define PRISM_STREAM_BATCHES_FULL 3
#define PRISM_TRANSACT_BATCHES 2

/* A moved position is recorded after this time, or sooner when all is quiet. */
#define PRISM_RECORD_MS 1000
#define PRISM_RECORD_QUIET_MS 50
/* When that fails it is tried again after this time. */
#define PRISM_RECORD_RETRY_MS 5000
/* Nothing acknowledged for this long: the sink is waiting, not running. */
#define PRISM_STALL_MS 2000
/* How long what is under way may take to come back before the connection is closed. */
#define PRISM_DRAIN_MS 10000
/*
 * How long a transaction waits for its next receipt before it makes room for the
 * lane's other topics, and how often that doubles while its topic has no success:
 * on a slow line one receipt may take that long.
 */
#define PRISM_ROUND_MS 10000L
#define PRISM_ROUND_DOUBLINGS 2
/* The other side forgets positions of idle topics after some days: write them again. */
#define PRISM_CLAIM_AGAIN_MS (24 * 60 * 60 * INT64CONST(1000))
/* Wrong settings may be mended at the other side without anybody telling us. */
#define PRISM_STOPPED_RETRY_MS (5 * 60 * INT64CONST(1000))
/* How long an orderly end waits for receipts, so that nothing is sent twice. */
#define PRISM_LAST_RECEIPTS_MS 2000
/* A pattern that has a message wait is asked again after this time. */
#define PRISM_PASS_AGAIN_MS 100
/* A lost wake-up is found after this time. */
#define PRISM_REPAIR_MS 5000

/*
 * After a commit the broker still marks the end of the transaction in its logs.
 * Whoever begins the next one before that is told to come again later, and
 * librdkafka then waits 20 ms.
 */
#define PRISM_COMMIT_REST_MS 4

#define PRISM_RECEIPTS_MAX 1024
#define PRISM_INCARNATION_BYTES 17
#define PRISM_UUID_TEXT 37

/* What became of one message of a batch. */
typedef enum PrismFate
{
	FATE_PENDING,				/* not sent in this round */
	FATE_SENT,					/* no receipt yet */
	FATE_OUT,					/* acknowledged */
	FATE_RETRY,					/* did not go through, through no fault of its own */
	FATE_REJECTED,				/* refused, perhaps only because of its neighbours */
	FATE_CONDEMNED,				/* refused alone: to become a dead letter */
	FATE_DEAD					/* a dead letter, written */
} PrismFate;

typedef struct PrismBatch
{
	dlist_node	node;			/* in the route's window */
	MemoryContext mcxt;			/* this struct and all that it points to */
	int64		end;			/* first position after the batch */
	int			count;
	int			next;			/* the first one not given to the connection in this round */
	int			settled;		/* FATE_OUT or FATE_DEAD */
	Size		bytes;
	Size		message_bytes;	/* of one message, on average */
	bool		split;			/* a transaction larger than a batch was cut at its end */
	uint64		tag;			/* of the first message */
	PrismMessage *messages;
	PrismMessage *outgoing;		/* the same as they go out: in UTF-8, and as their chain makes them; NULL: as they are */
	bool	   *passed;			/* the chain has made it so; NULL: none has it yet */
	uint8	   *fates;
	const char **reasons;		/* why a message was refused; NULL: none was */
	const char *last_reason;	/* many are refused for the same one */
	struct PrismRange *parts;	/* bisect.c: to be sent one after the other, the last one first; NULL: it was never refused */
} PrismBatch;

/* A message as it is sent. */
static inline const PrismMessage *
prism_batch_outgoing(const PrismBatch *batch, int i)
{
	return batch->outgoing != NULL ? &batch->outgoing[i] : &batch->messages[i];
}

/* A part of a batch: messages lo .. hi - 1. */
typedef struct PrismRange
{
	int			lo;
	int			hi;
} PrismRange;

/* Each cut puts back at most two ranges more than it takes, and halves. */
#define PRISM_BISECT_DEPTH 64

typedef struct PrismBisect
{
	PrismBatch *batch;			/* NULL: nothing is being bisected */
	int			depth;			/* of batch->parts */
} PrismBisect;

typedef enum PrismRoutePhase
{
	ROUTE_PREPARE,				/* does the target exist? */
	ROUTE_POSITION,				/* what position does the other side keep? */
	ROUTE_CLAIM,				/* write it again, under our name */
	ROUTE_READY,
	ROUTE_RESHAPE,				/* it was ready, nothing is under way: keys may go to other partitions */
	ROUTE_PARKED				/* not served: see the state of the sink */
} PrismRoutePhase;

struct PrismLane;

typedef struct PrismRoute
{
	int			index;			/* in the forwarder's routes; part of tags */
	PrismSink	sink;
	PrismQueueTarget target;
	PrismQueueShape shape;		/* of the target, as it was seen last; 0 partitions: not known, or it has none */
	int			partitions;		/* over which its keys are spread */
	bool		drains;			/* nothing more is read, so that they can be spread over others */
	PrismBackoff reshaping;		/* the other side has refused to add partitions */
	PrismInstant look_at;		/* then the target is seen again */
	PrismSinkSlot *slot;
	struct PrismLane *lane;
	struct PrismCounter *counter;	/* a hint outside of transactions: its topic may be dropped */
	PrismRoutePhase phase;
	bool		paused;
	bool		rests;			/* ... and nothing is under way any more */
	PrismBackoff backoff;		/* while it is made or starts, or its topic cannot be read now */
	PrismBackoff trouble;		/* what it carries does not go through: outlasts a new start, and ends when the position moves */
	PrismInstant parked_until;	/* 0: until something changes */
	bool		broken;			/* could not be made: only loading anew makes it whole, ... */
	bool		unmade;			/* ... or, as what was in the way may have passed, making it again at parked_until */
	int64		blocked_at;		/* what could not be read begins here; -1: nothing. What lies before it goes out first */

	PrismSinkProgress progress; /* as it was read at the start */
	int64		position;		/* everything below is out */
	int64		read_position;	/* the next batch begins here */
	int64		seen_stable;	/* the log had settled up to here when it was read to its end */
	int64		recorded;		/* in the progress log */
	bool		recording;		/* ... or will be, when the transaction that is under way has committed */
	char		last_id[PRISM_UUID_TEXT];	/* of the message before the position, "-": none, or not in the log */
	PrismInstant moved_at;		/* the position moved first since it was recorded; 0: did not */
	PrismInstant claimed_at;		/* when the other side's copy was written last */
	int64		claimed_generation; /* under which name; 0: not yet by this process */
	PrismInstant progress_at;	/* last acknowledgement, or first sending after a pause */

	dlist_head	window;			/* PrismBatch, oldest first */
	int			window_batches;
	int			window_messages;
	Size		held_bytes;		/* of the window */
	uint64		next_tag;
	int			outstanding;	/* sent, no receipt yet */
	Size		outstanding_bytes;
	int			adrift;			/* likewise, of batches that were dropped */
	int			condemned;		/* FATE_CONDEMNED */
	struct PrismChain *chain;	/* the topic's patterns, as it was read last; NULL: none looks at what goes out */
	PrismInstant held_until;	/* a pattern has a message wait, and is asked again then; 0: none has */
	bool		stopped;		/* a receipt says that no message can go there, ... */
	char		stop_error[PRISM_ERROR_BYTES];	/* ... and why */
	PrismBisect bisect;
} PrismRoute;

typedef enum PrismLanePhase
{
	LANE_CLOSED,
	LANE_FENCING,
	LANE_OPEN
} PrismLanePhase;

typedef struct PrismLane
{
	int			number;
	struct PrismForwarder *forwarder;
	const struct PrismCarrier *carrier;
	PrismLanePhase phase;
	MemoryContext mcxt;			/* of the connection */
	PrismConn  *conn;
	PrismInstant opened_at;
	PrismBackoff backoff;
	PrismReportLimit report;
	int64		generation;		/* of our name in the metadata of positions */
	int			turn;			/* the route that comes next */
	PrismRoute *looking;		/* whose target is being looked at; NULL: nobody's */
	int			outstanding;
	Size		outstanding_bytes;
	PrismInstant recovering_since;	/* 0: all is well; else what is under way is awaited, then we begin anew */
	bool		reopens;		/* the connection itself wants another one: no fault */
	bool		ends;			/* all is loaded anew: it is not opened again */
	bool		rejected;		/* a receipt says so since that was asked last */
	bool		retry;			/* likewise */
	PrismInstant receipt_at;		/* of the last receipt, or when the carrier began to wait for one */
	void	   *state;			/* the carrier's own, of this connection; NULL: it keeps none, or there is no connection */
} PrismLane;

typedef struct PrismForwarder
{
	const PrismClock *clock;
	Oid			server;			/* which sinks: see store/sink/sink.h */
	int32		sink_id;
	char		incarnation[PRISM_INCARNATION_BYTES];
	bool		finishes;		/* the callback for the end of the process is registered */
	bool		in_turn;		/* still set when a turn begins: the one before threw */

	MemoryContext mcxt;			/* what follows, made by loading */
	bool		loaded;
	char	   *fingerprint;	/* of what was loaded */
	uint64		generation;		/* of the catalogue then */
	uint64		endpoint_generation;
	PrismInstant checked_at;		/* the catalogue, for changes */
	bool		check_wanted;
	PrismInstant draining_since; /* 0: no. Else: finish what is under way, then load anew */
	PrismInstant record_at;		/* positions could not be recorded: try again then; 0: they could */
	PrismBatch *reading;		/* the batch being filled: no route's yet */
	PrismInstallation installation;
	const PrismBackendInfo *backend;	/* its library is loaded by the lane that opens a connection */
	PrismServer endpoint;
	const char *endpoint_id;	/* part of transactional ids */
	int			route_count;
	PrismRoute *routes;
	PrismLane	lanes[PRISM_LANES];
	/* what was found before reading, and is kept up while reading: */
	int			holding_routes;
	int			moving_routes;	/* of them, those that are not stalled */
	Size		moving_bytes;	/* what they hold, and what the stalled ones hold too much */
} PrismForwarder;

static inline PrismInstant
prism_lane_now(const PrismLane *lane)
{
	return lane->forwarder->clock->now();
}

/* other_side.c */
extern void prism_endpoint_load(PrismForwarder *forwarder, List *sinks, const PrismSink *sink);
/* Grows when a foreign server, a user mapping, a role or prism.allowed_endpoints changes. */
extern uint64 prism_endpoint_generation(void);
extern void prism_endpoint_fingerprint(const PrismForwarder *forwarder, StringInfo fingerprint);

/* lanes.c */
extern void prism_lanes_init(PrismForwarder *forwarder);
/* Do what can be done now; true: there is more to do at once. */
extern bool prism_lanes_turn(PrismForwarder *forwarder);
/* How long nothing needs to be done unless something happens. */
extern long prism_lanes_timeout_ms(const PrismForwarder *forwarder);
/* forwarder->draining_since is set: all has come to its end, as far as it can. */
extern bool prism_lanes_drained(PrismForwarder *forwarder);
extern void prism_lanes_finish(PrismForwarder *forwarder);

/* turn.c */
extern bool prism_lane_turn(PrismLane *lane);
extern long prism_lane_timeout_ms(const PrismLane *lane);
extern bool prism_lane_end(PrismLane *lane);
/* Read receipts; true: there were some. */
extern bool prism_lane_collect(PrismLane *lane);

/* lane.c */
extern const PrismQueueOps *prism_lane_queue(const PrismLane *lane);
/* The lane's routes, one after the other: for (route = prism_lane_next_route(lane, NULL); route; ...) */
extern PrismRoute *prism_lane_next_route(const PrismLane *lane, PrismRoute *after);
/* Show it in all of its sinks. */
extern void prism_lane_tell(PrismLane *lane, PrismSinkState state, PrismInstant retry_at, const char *error);
extern void prism_lane_close(PrismLane *lane);
/* The connection's own fault: close it, tell everybody, try again later. */
extern void prism_lane_fail(PrismLane *lane, PrismOutcome outcome);
extern void prism_lane_recover(PrismLane *lane);

/* lane_report.c: a line in the server's log, at a bounded rate for each 'what' */
#define PRISM_TRIED_AGAIN "It is tried again; prism.sinks shows how it stands."
extern void prism_lane_report(PrismLane *lane, const char *what, const char *error, const char *detail);
/* The 'what' of a route: its topic may have other sinks, here or elsewhere. */
extern char *prism_route_called(const PrismRoute *route);

/* The name under which a position was written at the other side. */
typedef struct PrismPositionName
{
	TimeLineID	timeline;
	int64		generation;
	char		incarnation[PRISM_INCARNATION_BYTES];
	char		last_id[PRISM_UUID_TEXT];	/* of the message before the position, or "-" */
} PrismPositionName;

extern const char *prism_route_metadata(const PrismRoute *route, const char *last_id, char *buffer);
extern void prism_uuid_text(const pg_uuid_t *id, char *text);
extern bool prism_position_name_parse(const char *metadata, PrismPositionName *name);

/* route_make.c */
extern void prism_routes_make(PrismForwarder *forwarder, List *sinks);
extern void prism_route_make_again(PrismRoute *route);

/* route_shape.c */
extern void prism_route_saw(PrismRoute *route, const PrismQueueShape *shape);
extern bool prism_route_shape_turn(PrismRoute *route, PrismInstant now);
extern bool prism_route_reshape(PrismRoute *route, PrismOutcome *outcome);
/* So many are asked for by now. */
extern void prism_route_want_shape(PrismRoute *route, int partitions, int replication);
/* Somebody says that it shall be looked at, and that what was refused be tried again. */
extern void prism_route_look_soon(PrismRoute *route);

/* route_start.c */
extern bool prism_route_start_turn(PrismRoute *route);

/* route.c */
extern void prism_route_restart(PrismRoute *route);
extern void prism_route_take_progress(PrismRoute *route);
extern void prism_route_read_progress(PrismRoute *route);
extern void prism_route_move(PrismRoute *route, int64 position, int messages, Size bytes);
extern void prism_route_await_lock(PrismRoute *route, const char *why);
extern void prism_route_back_off(PrismRoute *route, const char *error);
extern void prism_route_trouble(PrismRoute *route, const char *error);
extern void prism_route_show_waiting(PrismRoute *route, const char *error);
extern void prism_route_park(PrismRoute *route, PrismSinkState state, const char *error);
extern void prism_route_break(PrismRoute *route, const char *error);
extern bool prism_route_is_dead(const PrismRoute *route, int64 offset);
extern void prism_route_remember_dead(PrismRoute *route, int64 offset);

/* route_rest.c */
extern void prism_route_mend(PrismRoute *route);
extern void prism_route_pause(PrismRoute *route, bool paused);
extern void prism_route_rest(PrismRoute *route);
extern void prism_route_retry(PrismRoute *route);

/* route_record.c */
extern bool prism_route_record_due(const PrismRoute *route, PrismInstant now);
extern void prism_routes_record(PrismForwarder *forwarder, bool at_once);
extern bool prism_route_record_claim(PrismRoute *route);

/* route_read.c */
extern bool prism_routes_read(PrismForwarder *forwarder);

/* batch.c */
extern bool prism_route_stalled(const PrismRoute *route, PrismInstant now);
extern void prism_batch_drop(PrismRoute *route, PrismBatch *batch);
extern void prism_route_drop_batches(PrismRoute *route);
extern void prism_batch_sent(PrismRoute *route, const PrismBatch *batch);
extern void prism_batch_settle(PrismBatch *batch, int i, PrismFate fate);
extern void prism_batch_blame(PrismBatch *batch, int i, const char *reason);
extern void prism_batch_condemn(PrismRoute *route, PrismBatch *batch, int i);

/* outgoing.c: in a transaction, in the current memory context */
extern bool prism_outgoing_differs(void);
extern const char *prism_text_to_utf8(const char *text);
extern void prism_message_to_utf8(const PrismMessage *message, PrismMessage *outgoing, Size *bytes);

/* bisect.c */
extern void prism_bisect_begin(PrismBisect *bisect, PrismBatch *batch, PrismRange all);
extern PrismRange prism_bisect_top(const PrismBisect *bisect);
extern bool prism_bisect_refused(PrismBisect *bisect, bool alone, int *culprit);
extern void prism_bisect_passed(PrismBisect *bisect);

/* passing.c: PRISM_OK, PRISM_AGAIN, or PRISM_REJECT, and it is condemned. */
extern PrismOutcome prism_batch_pass(PrismRoute *route, PrismBatch *batch, int i);
/* All of a batch; false: one has to wait. */
extern bool prism_batch_pass_all(PrismRoute *route, PrismBatch *batch);

/* bury.c; false: not all of them can be written now */
extern bool prism_batches_bury(PrismRoute *route);

#endif							/* PRISM_FORWARDER_H */
