/*-------------------------------------------------------------------------
 *
 * sink_commands.c
 *	  SQL functions about sinks: how they stand, and what operators do to them.
 *
 * src/api/sink_commands.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/access.h"
#include "api/arguments.h"
#include "base/extension.h"
#include "base/generation.h"
#include "base/patience.h"
#include "base/query.h"
#include "bgworker/wakeup.h"
#include "store/log/counter.h"
#include "store/log/log.h"
#include "store/sink/identity.h"
#include "store/sink/sink.h"
#include "store/sink/sink_ddl.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(prism_sink_states);
PG_FUNCTION_INFO_V1(prism_pause);
PG_FUNCTION_INFO_V1(prism_resume);
PG_FUNCTION_INFO_V1(prism_skip);
PG_FUNCTION_INFO_V1(prism_adopt);
PG_FUNCTION_INFO_V1(prism_rebase);

/* Columns of prism_internal.sink_states(). */
enum
{
	STATE_SINK_ID,
	STATE_TOPIC,
	STATE_SINK,
	STATE_BACKEND,
	STATE_SERVER,
	STATE_TARGET,
	STATE_STATE,
	STATE_SINCE,
	STATE_POSITION,
	STATE_LAG_MESSAGES,
	STATE_LAG_SECONDS,
	STATE_ERROR,
	STATE_ERROR_AT,
	STATE_RETRY_AT,
	STATE_PARTITIONS,
	STATE_REPLICATION,
	STATE_MESSAGE_BYTES_MAX,
	STATE_SEEN_AT,
	STATE_PARTITIONS_ERROR,
	STATE_FIRST_COUNTER,
	STATE_COLUMNS = STATE_FIRST_COUNTER + PRISM_SINK_COUNTERS
};

/* A sink as the catalogue has it. */
typedef struct SinkRow
{
	int32		sink_id;
	int32		topic_id;
	char	   *name;
	char	   *backend;
	char	   *server;
	char	   *target;
	bool		paused;
	bool		server_dropped;
} SinkRow;

/* ---------- reading the catalogue ---------- */

static SinkRow *
make_row(const PrismQueryRow *found)
{
	SinkRow    *row = palloc0_object(SinkRow);

	row->sink_id = prism_column_int32(found, 1);
	row->topic_id = prism_column_int32(found, 2);
	row->name = prism_column_text(found, 3);
	row->backend = prism_column_text(found, 4);
	row->server = prism_column_text(found, 5);
	row->target = prism_column_text(found, 6);
	row->paused = prism_column_bool(found, 7);
	row->server_dropped = prism_column_bool(found, 8);
	return row;
}

/* The sinks of a topic (0: of all) as of now, in the current memory context. */
static List *
read_sinks(int32 topic_id)
{
	Oid			type = INT4OID;
	Datum		value = Int32GetDatum(topic_id);
	PrismQueryRows found;
	List	   *rows = NIL;

	found = prism_query_latest("SELECT s.sink_id, s.topic_id, s.name, s.backend, coalesce(v.server, s.server), s.config ->> 'topic', s.paused,"
							   " s.server IS NOT NULL AND v.server IS NULL"
							   " FROM prism.sink s LEFT JOIN prism.sink_server v USING (sink_id)"
							   " WHERE $1 = 0 OR s.topic_id = $1 ORDER BY s.sink_id", 1, &type, &value, 0);
	for (uint64 i = 0; i < found.count; i++)
		rows = lappend(rows, make_row(&found.row[i]));
	prism_query_free(&found);
	return rows;
}

/* ---------- prism.sinks ---------- */

/* How far a sink is behind: in messages, and by the age of the first one that waits. */
typedef struct Lag
{
	const SinkRow *row;
	PrismTopic *topic;
	int64		position;		/* of the sink; -1: it has none yet */
	int64		messages;
	double		age_s;
} Lag;

static void
look_at_lag(void *arg)
{
	Lag		   *lag = arg;
	PrismReader *reader;
	PrismMessage message;

	lag->position = prism_sink_position(lag->row->sink_id);
	reader = prism_reader_open(lag->topic, Max(lag->position, 0));
	if (prism_reader_look(reader, &message))
	{
		lag->messages = prism_counter_distance(lag->topic, message.offset, prism_reader_stable(reader));
		lag->age_s = (double) Max(0, GetCurrentTimestamp() - message.created_at) / USECS_PER_SEC;
	}
	prism_reader_close(reader);
}

/* While the topic's tables are locked or cannot be read, what shared memory knows: offsets without a message count as one then. */
static void
put_lag(Lag *lag, const PrismSinkStatus *status, Datum *values, bool *nulls, const char **damage)
{
	bool		looked = prism_look_without_waiting(look_at_lag, lag, damage);
	PrismCounter *counter = lag->topic->counter;

	if (!looked)
	{
		lag->position = status->position;
		nulls[STATE_LAG_MESSAGES] = !prism_counter_is_ready(counter) || lag->position < 0 ||
			!prism_counter_recent_distance(counter, lag->position, prism_counter_stable(counter, NULL), &lag->messages);
	}
	values[STATE_POSITION] = Int64GetDatum(lag->position);
	nulls[STATE_POSITION] = lag->position < 0;
	values[STATE_LAG_MESSAGES] = Int64GetDatum(lag->messages);
	values[STATE_LAG_SECONDS] = Float8GetDatum(lag->age_s);
	nulls[STATE_LAG_SECONDS] = !looked;
}

static void
put_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL || text[0] == '\0';
	if (!nulls[column])
		values[column] = CStringGetTextDatum(text);
}

/* How the sink stands: as its process says, or, when it has none, as the catalogue does. */
static void
read_status(const SinkRow *row, PrismSinkStatus *status)
{
	if (!prism_sink_status(row->sink_id, status))
	{
		memset(status, 0, sizeof(*status));
		status->position = -1;
		status->state = PRISM_SINK_STARTING;
		if (prism_sinks_are_full())
			snprintf(status->error, sizeof(status->error),
					 "no free place for a sink, as all of prism.max_topics are in use: raise it and restart the server");
	}
	if (row->server_dropped)
	{
		/* a process that still has it may move it: it is not to be led past anything */
		if (!prism_sink_is_served(row->sink_id))
			status->state = PRISM_SINK_STOPPED;
		status->retry_at = 0;
		snprintf(status->error, sizeof(status->error),
				 "its foreign server, called \"%s\" when it was applied, was dropped: apply the namespace again, with a server that is there",
				 row->server);
	}
	/* a process that has just come to it may have read the row before it was paused */
	else if (status->state == PRISM_SINK_STARTING && row->paused && !prism_sink_is_served(row->sink_id))
		status->state = PRISM_SINK_PAUSED;
}

/* What the other side has made of the target; NULLs: it was not seen yet, or the other side does not tell. */
static void
put_shape(const SinkRow *row, PrismTopic *topic, Datum *values, bool *nulls)
{
	PrismSinkShape shape = {0};

	(void) prism_sink_shape(row->sink_id, row->target != NULL ? row->target : topic->name, &shape);
	values[STATE_PARTITIONS] = Int32GetDatum(shape.partitions);
	nulls[STATE_PARTITIONS] = shape.partitions == 0;
	values[STATE_REPLICATION] = Int32GetDatum(shape.replication);
	nulls[STATE_REPLICATION] = shape.replication == 0;
	values[STATE_MESSAGE_BYTES_MAX] = Int64GetDatum(shape.message_bytes_max);
	nulls[STATE_MESSAGE_BYTES_MAX] = shape.message_bytes_max == 0;
	prism_put_time(values, nulls, STATE_SEEN_AT, shape.seen_at);
	put_text(values, nulls, STATE_PARTITIONS_ERROR, prism_topic_allows(topic, PRISM_ADMIN) ? shape.error : NULL);
}

static void
put_sink(ReturnSetInfo *result, const SinkRow *row, PrismTopic *topic)
{
	Datum		values[STATE_COLUMNS] = {0};
	bool		nulls[STATE_COLUMNS] = {0};
	PrismSinkStatus status;
	Lag			lag = {.row = row, .topic = topic};
	const char *damage;

	read_status(row, &status);
	values[STATE_SINK_ID] = Int32GetDatum(row->sink_id);
	put_text(values, nulls, STATE_TOPIC, topic->name);
	put_text(values, nulls, STATE_SINK, row->name);
	put_text(values, nulls, STATE_BACKEND, row->backend);
	put_text(values, nulls, STATE_SERVER, row->server);
	put_text(values, nulls, STATE_TARGET, row->target != NULL ? row->target : topic->name);
	put_text(values, nulls, STATE_STATE, prism_sink_state_name(status.state));
	prism_put_time(values, nulls, STATE_SINCE, status.since);
	put_lag(&lag, &status, values, nulls, &damage);
	/* addresses and the other side's words are for administrators */
	put_text(values, nulls, STATE_ERROR,
			 !prism_topic_allows(topic, PRISM_ADMIN) ? NULL : status.error[0] != '\0' ? status.error : damage);
	prism_put_time(values, nulls, STATE_ERROR_AT, status.error_at);
	prism_put_time(values, nulls, STATE_RETRY_AT, status.retry_at);
	put_shape(row, topic, values, nulls);
	for (int i = 0; i < PRISM_SINK_COUNTERS; i++)
		values[STATE_FIRST_COUNTER + i] = Int64GetDatum(status.counters[i]);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
prism_sink_states(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	/* prism.status says what is missing; a standby's sinks do not run */
	if (!prism_preloaded || RecoveryInProgress())
		return (Datum) 0;
	foreach(cell, read_sinks(0))
	{
		const SinkRow *row = lfirst(cell);
		bool		busy;
		PrismTopic *topic = prism_topic_try_id(row->topic_id, &busy);

		if (topic == NULL)
			continue;
		if (prism_topic_is_visible(topic))
			put_sink(result, row, topic);
		prism_topic_release(topic);
	}
	return (Datum) 0;
}

/* ---------- what operators do ---------- */

static char *
sink_names(const List *rows)
{
	StringInfoData names;
	const ListCell *cell;

	initStringInfo(&names);
	foreach(cell, rows)
		appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "", ((const SinkRow *) lfirst(cell))->name);
	return names.data;
}

/* The sinks that the arguments (topic, sink) mean: the one of that name, or, when it is NULL, all that the topic has; 42704: none. */
static List *
find_sinks(FunctionCallInfo fcinfo)
{
	char	   *topic_name;
	char	   *wanted = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	List	   *rows;
	ListCell   *cell;

	prism_require_preload();
	prism_require_argument(!PG_ARGISNULL(0), "topic");
	topic_name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	rows = read_sinks(prism_topic_for(topic_name, PRISM_ADMIN)->topic_id);
	if (wanted == NULL && rows != NIL)
		return rows;
	foreach(cell, rows)
		if (strcmp(((SinkRow *) lfirst(cell))->name, wanted) == 0)
			return list_make1(lfirst(cell));
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_OBJECT),
			wanted == NULL
			? errmsg("topic \"%s\" has no sinks", topic_name)
			: errmsg("topic \"%s\" has no sink \"%s\"", topic_name, wanted),
			rows != NIL ? errdetail("It has %s.", sink_names(rows)) : 0,
			errhint("prism.sinks lists the sinks of each topic."));
}

/* The only one: 42P08 when the topic has several and none is named, as where one goes on does not fit another. */
static SinkRow *
find_sink(FunctionCallInfo fcinfo)
{
	List	   *rows = find_sinks(fcinfo);

	if (list_length(rows) > 1)
		ereport(ERROR,
				errcode(ERRCODE_AMBIGUOUS_PARAMETER),
				errmsg("topic \"%s\" has %d sinks", text_to_cstring(PG_GETARG_TEXT_PP(0)), list_length(rows)),
				errdetail("They are %s.", sink_names(rows)),
				errhint("Say which one: each has a position of its own."));
	return linitial(rows);
}

static void
set_paused(const SinkRow *row, bool paused)
{
	Oid			types[] = {INT4OID, BOOLOID};
	Datum		values[] = {Int32GetDatum(row->sink_id), BoolGetDatum(paused)};

	if (prism_query_seen("UPDATE prism.sink SET paused = $2 WHERE sink_id = $1", lengthof(types), types, values).count == 0)
		prism_sink_unseen();
	prism_catalog_changed();
	prism_wake_at_commit();
}

Datum
prism_pause(PG_FUNCTION_ARGS)
{
	ListCell   *cell;

	foreach(cell, find_sinks(fcinfo))
		set_paused(lfirst(cell), true);
	PG_RETURN_VOID();
}

Datum
prism_resume(PG_FUNCTION_ARGS)
{
	ListCell   *cell;

	foreach(cell, find_sinks(fcinfo))
	{
		SinkRow    *row = lfirst(cell);

		set_paused(row, false);
		prism_sink_ask_resume(row->sink_id);
	}
	PG_RETURN_VOID();
}

/*
 * Keep pause and resume of others away until this transaction ends, and find out
 * how the sink was paused: what others and its process see of that, not what this
 * transaction has done.
 */
static void
lock_sink(SinkRow *row)
{
	Oid			type = INT4OID;
	Datum		value = Int32GetDatum(row->sink_id);
	PrismQueryRows locked = prism_query_seen("SELECT paused, xmin FROM prism.sink WHERE sink_id = $1 FOR UPDATE", 1, &type, &value);
	bool		isnull;
	TransactionId changed_by;

	if (locked.count == 0)
		prism_sink_unseen();
	row->paused = prism_column_bool(&locked.row[0], 1);
	changed_by = DatumGetTransactionId(prism_column_value(&locked.row[0], 2, &isnull));
	if (TransactionIdIsCurrentTransactionId(changed_by))
		row->paused = false;
}

/* Why the position of a sink that is not still cannot be moved; those that rest otherwise are being resumed. */
static int
errmsg_not_still(const SinkRow *row, PrismSinkState state)
{
	switch (state)
	{
		case PRISM_SINK_STARTING:
			return errmsg("sink \"%s\" is starting", row->name);
		case PRISM_SINK_WAITING:
			return errmsg("sink \"%s\" is waiting for an answer of the other side", row->name);
		case PRISM_SINK_RUNNING:
			return errmsg("sink \"%s\" is running", row->name);
		case PRISM_SINK_BACKOFF:
			return errmsg("sink \"%s\" is going to try again", row->name);
		default:
			return errmsg("sink \"%s\" is about to be resumed", row->name);
	}
}

/*
 * A position may be moved only while nobody is about to move it: 55000
 * otherwise.  A process that is about to take note of prism.resume() is.
 */
static void
require_stillness(const SinkRow *row)
{
	PrismSinkStatus status;
	bool		still = false;

	read_status(row, &status);
	switch (status.state)
	{
		case PRISM_SINK_PAUSED:
			still = row->paused;
			break;
		case PRISM_SINK_COPIED:
		case PRISM_SINK_REWOUND:
		case PRISM_SINK_STOPPED:
		case PRISM_SINK_FENCED:
		case PRISM_SINK_REGRESSED:
		case PRISM_SINK_DIVERGED:
			still = !prism_sink_is_resumed(row->sink_id);
			break;
		default:
			break;
	}
	if (!still)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg_not_still(row, status.state),
				errhint("Run prism.pause(topic, sink) and wait until prism.sinks shows it as paused."));
}

/* The position after the first message at or after the given one. */
static int64
behind_next(PrismTopic *topic, int64 position)
{
	PrismReader *reader = prism_reader_open(topic, position);
	PrismMessage message;
	int64		next = position;

	if (prism_reader_look(reader, &message))
		next = prism_reader_position(reader);
	prism_reader_close(reader);
	return next;
}

/* prism.skip(topic, sink, to_position): returns the position at which the sink goes on. */
Datum
prism_skip(PG_FUNCTION_ARGS)
{
	SinkRow    *row = find_sink(fcinfo);
	PrismTopic *topic = prism_topic_lookup_id(row->topic_id, false);
	int64		stable = prism_log_stable(topic);
	int64		earliest = prism_log_earliest(topic);
	int64		position;

	lock_sink(row);
	require_stillness(row);
	if (PG_ARGISNULL(2))
		position = behind_next(topic, Max(prism_sink_position(row->sink_id), 0));
	else
		position = PG_GETARG_INT64(2);
	if (position < earliest || position > stable)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("position " INT64_FORMAT " is not in the log of topic \"%s\"", position, topic->name),
				errdetail("The log begins at " INT64_FORMAT " and ends at " INT64_FORMAT ".",
						  earliest, stable));
	prism_sink_record(row->sink_id, PRISM_SINK_POSITION, position);
	prism_sink_ask_move(row->sink_id, position);
	prism_catalog_changed();
	prism_wake_at_commit();
	PG_RETURN_INT64(position);
}

/* ---------- identity ---------- */

static void
require_owner(const char *function)
{
	prism_require_preload();
	if (!prism_access_is_owner())
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for function %s", function),
				errdetail("Only superusers and the owner of extension \"prism\" decide who this installation is."));
}

Datum
prism_adopt(PG_FUNCTION_ARGS)
{
	require_owner("prism.adopt");
	prism_identity_take(false);
	prism_catalog_changed();
	prism_wake_at_commit();
	PG_RETURN_VOID();
}

/* Positions of the former identity are this database's own from now on; the other side knows none of the new. */
Datum
prism_rebase(PG_FUNCTION_ARGS)
{
	ListCell   *cell;

	require_owner("prism.rebase");
	prism_identity_take(true);
	foreach(cell, read_sinks(0))
	{
		SinkRow    *row = lfirst(cell);
		int64		position;

		/* a forwarder that does not serve it yet cannot begin to before this ends */
		lock_sink(row);
		if (prism_sink_is_served(row->sink_id))
			require_stillness(row);
		position = prism_sink_position(row->sink_id);
		if (position >= 0)
			prism_sink_record(row->sink_id, PRISM_SINK_POSITION, position);
	}
	prism_catalog_changed();
	prism_wake_at_commit();
	PG_RETURN_VOID();
}
