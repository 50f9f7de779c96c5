/*-------------------------------------------------------------------------
 *
 * backend_test.c
 *	  Drives a back end as a forwarder does, and measures each call.
 *
 * prism_backend_test(scenario, brokers, direct) runs one scenario (scenario.c)
 * in this server process and returns its figures; a broken promise is an error.
 * Where the script that called has to do something in between, the two talk by
 * files in the data directory (tell, wait_for).
 *
 * test/lib/backend_test/backend_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "backend/queue.h"

#include <librdkafka/rdkafka.h>

#include "backend_test.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include <unistd.h>

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(prism_backend_test);

/* Far more than any scenario needs: a state that never comes is a failure, not a hang. */
#define DRIVE_LIMIT_MS 60000

const char *brokers;
const char *direct;

static int	open_count = 0;

double
now_ms(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return INSTR_TIME_GET_MILLISEC(now);
}

const char *
outcome_name(PrismOutcome outcome)
{
	static const char *const names[] = {
		[PRISM_OK] = "ok",[PRISM_AGAIN] = "again",[PRISM_RETRY] = "retry",[PRISM_REJECT] = "reject",
		[PRISM_DOUBT] = "doubt",[PRISM_FENCED] = "fenced",[PRISM_STOP] = "stop"
	};

	return names[outcome];
}

void
expect(bool holds, const char *format,...)
{
	char		text[1024];
	va_list		arguments;

	if (holds)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	ereport(ERROR, errmsg("expected: %s", text));
}

void
expect_outcome(Subject *subject, const char *call, PrismOutcome got, PrismOutcome wanted)
{
	if (got != wanted)
		ereport(ERROR,
				errmsg("%s answered %s instead of %s", call, outcome_name(got), outcome_name(wanted)),
				errdetail("%s", subject->conn->error));
}

/* The table of operations, from its library as a worker gets it. */
static const PrismBackend *
find_backend(const char *name)
{
	PrismBackendFunction backend = (PrismBackendFunction)
	load_external_function(psprintf("$libdir/prism_%s", name), psprintf("prism_%s_backend", name), true, NULL);

	return backend();
}

/* Names and values in turn, ended by NULL. */
List *
options_of(const char *name,...)
{
	List	   *options = NIL;
	va_list		arguments;

	va_start(arguments, name);
	while (name != NULL)
	{
		PrismOption *option = palloc(sizeof(PrismOption));

		option->name = name;
		option->value = va_arg(arguments, const char *);
		options = lappend(options, option);
		name = va_arg(arguments, const char *);
	}
	va_end(arguments);
	return options;
}

static void
note_time(Subject *subject, const char *call, double started)
{
	double		took = now_ms() - started;

	if (took > subject->slowest_ms)
	{
		subject->slowest_ms = took;
		subject->slowest_call = call;
	}
}

/* Always with a new connection's own memory context, as the worker does. */
Subject *
subject_open(const char *name, const char *transactional_id, List *options)
{
	const PrismBackend *backend = find_backend(name);
	Subject    *subject = palloc0(sizeof(Subject));
	PrismServer server = {
		.name = "test",
		.identity = "00000000-0000-0000-0000-000000000000",
		.incarnation = psprintf("%d", ++open_count),
		.options = options
	};
	char		error[PRISM_ERROR_BYTES] = "";
	double		started = now_ms();

	subject->mcxt = AllocSetContextCreate(TopMemoryContext, "connection under test", ALLOCSET_DEFAULT_SIZES);
	subject->conn = backend->queue->open(&server, transactional_id, subject->mcxt, error);
	note_time(subject, "open", started);
	if (subject->conn == NULL)
		ereport(ERROR, errmsg("open refused: %s", error));
	subject->queue = backend->queue;
	return subject;
}

void
subject_close(Subject *subject)
{
	double		started = now_ms();

	MemoryContextDelete(subject->mcxt);
	note_time(subject, "close", started);
	expect(subject->slowest_ms < CALL_LIMIT_MS, "no call above %d ms, but %s took %.1f ms",
		   CALL_LIMIT_MS, subject->slowest_call, subject->slowest_ms);
}

/* Sleep until the back end has something to say. */
static void
wait_for_socket(Subject *subject)
{
	pgsocket	socket = subject->conn->backend->wait_socket(subject->conn);

	if (socket == PGINVALID_SOCKET)
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 PRISM_POLL_MS, PG_WAIT_EXTENSION);
	else
		(void) WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
								 socket, PRISM_POLL_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

static int
collect_once(Subject *subject, Tally *tally)
{
	PrismReceipt receipts[1000];
	double		started = now_ms();
	int			count = subject->queue->collect(subject->conn, receipts, lengthof(receipts));

	note_time(subject, "collect", started);
	for (int i = 0; i < count; i++)
	{
		tally->count[receipts[i].outcome]++;
		if (receipts[i].outcome != PRISM_OK)
			tally->last_bad_code = receipts[i].code;
	}
	return count;
}

/* One operation until it answers something else than AGAIN. */
#define DRIVE(subject, name, tally, call) \
	do { \
		double		drive_started = now_ms(); \
		PrismOutcome drive_outcome; \
		for (;;) \
		{ \
			double		call_started = now_ms(); \
			drive_outcome = (call); \
			note_time(subject, name, call_started); \
			if (drive_outcome != PRISM_AGAIN) \
				return drive_outcome; \
			expect(now_ms() - drive_started < DRIVE_LIMIT_MS, "an answer from %s", name); \
			if (collect_once(subject, tally) == 0) \
				wait_for_socket(subject); \
		} \
	} while (0)

PrismOutcome
subject_prepare(Subject *subject, const char *topic, int partitions)
{
	Tally		tally = {0};

	memset(&subject->shape, 0, sizeof(subject->shape));
	subject->target.name = MemoryContextStrdup(subject->mcxt, topic);
	subject->target.position_id = psprintf("group.%s", topic);
	subject->target.partitions = partitions;
	subject->target.replication = 1;
	DRIVE(subject, "prepare", &tally, subject->queue->prepare(subject->conn, &subject->target, &subject->shape));
}

PrismOutcome
subject_look(Subject *subject)
{
	Tally		tally = {0};

	DRIVE(subject, "look", &tally, subject->queue->look(subject->conn, &subject->target, &subject->shape));
}

PrismOutcome
subject_reshape(Subject *subject, int partitions)
{
	Tally		tally = {0};

	subject->target.partitions = partitions;
	DRIVE(subject, "reshape", &tally, subject->queue->reshape(subject->conn, &subject->target, &subject->shape));
}

PrismOutcome
subject_fence(Subject *subject)
{
	Tally		tally = {0};

	DRIVE(subject, "fence", &tally, subject->queue->fence(subject->conn));
}

PrismOutcome
subject_position(Subject *subject, int64 *position, char *metadata)
{
	Tally		tally = {0};

	DRIVE(subject, "position_read", &tally,
		  subject->queue->position_read(subject->conn, &subject->target, position, metadata));
}

PrismOutcome
subject_position_write(Subject *subject, int64 position, const char *metadata)
{
	Tally		tally = {0};

	DRIVE(subject, "position_write", &tally,
		  subject->queue->position_write(subject->conn, &subject->target, position, metadata));
}

PrismOutcome
subject_begin(Subject *subject)
{
	Tally		tally = {0};

	DRIVE(subject, "begin", &tally, subject->queue->begin(subject->conn));
}

PrismOutcome
subject_commit(Subject *subject, int64 position, const char *metadata)
{
	Tally		tally = {0};

	DRIVE(subject, "commit", &tally,
		  subject->queue->commit(subject->conn, &subject->target, position, metadata));
}

PrismOutcome
subject_abort(Subject *subject, Tally *tally)
{
	DRIVE(subject, "abort", tally, subject->queue->abort(subject->conn));
}

PrismOutcome
subject_send(Subject *subject, const PrismMessage *message, uint64 tag, Tally *tally)
{
	DRIVE(subject, "send", tally, subject->queue->send(subject->conn, &subject->target, message, tag));
}

int64
tally_total(const Tally *tally)
{
	int64		total = 0;

	for (size_t i = 0; i < lengthof(tally->count); i++)
		total += tally->count[i];
	return total;
}

/* Until so many receipts have come. */
void
subject_collect(Subject *subject, int64 wanted, Tally *tally)
{
	double		started = now_ms();

	while (tally_total(tally) < wanted)
	{
		expect(now_ms() - started < DRIVE_LIMIT_MS, INT64_FORMAT " receipts, got " INT64_FORMAT,
			   wanted, tally_total(tally));
		if (collect_once(subject, tally) == 0)
			wait_for_socket(subject);
	}
}

/* A message as a reader of the log hands it over. */
PrismMessage
message_of(int64 offset, const char *key, const char *payload, Size payload_bytes)
{
	PrismMessage message = {0};
	bytea	   *value;

	message.offset = offset;
	message.created_at = GetCurrentTimestamp();
	for (int i = 0; i < 8; i++)
		message.id.data[15 - i] = (offset >> (8 * i)) & 0xFF;
	if (key != NULL)
	{
		message.has_key = true;
		message.key = PointerGetDatum(cstring_to_text(key));
	}
	if (payload != NULL)
	{
		value = palloc(VARHDRSZ + payload_bytes);
		SET_VARSIZE(value, VARHDRSZ + payload_bytes);
		memcpy(VARDATA(value), payload, payload_bytes);
		message.has_payload = true;
		message.payload = PointerGetDatum(value);
	}
	return message;
}

/* Make a sign for the script. */
void
tell(const char *sign)
{
	FILE	   *file = AllocateFile(psprintf("backend_test.%s", sign), "w");

	expect(file != NULL, "the sign \"%s\" to be written", sign);
	FreeFile(file);
}

/* Until the script has made a sign; it is used up. */
void
wait_for(const char *sign)
{
	char	   *path = psprintf("backend_test.%s", sign);
	double		started = now_ms();

	while (unlink(path) != 0)
	{
		expect(now_ms() - started < DRIVE_LIMIT_MS, "the script's sign \"%s\"", sign);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* commit() without waiting for its answer */
PrismOutcome
subject_commit_once(Subject *subject, int64 position, const char *metadata)
{
	double		started = now_ms();
	PrismOutcome outcome = subject->queue->commit(subject->conn, &subject->target, position, metadata);

	note_time(subject, "commit", started);
	return outcome;
}

/* Take receipts, sleep when there are none. */
void
subject_wait(Subject *subject, Tally *tally)
{
	if (collect_once(subject, tally) == 0)
		wait_for_socket(subject);
}

Datum
prism_backend_test(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Scenario	scenario = scenario_find(name);
	StringInfoData report;

	brokers = text_to_cstring(PG_GETARG_TEXT_PP(1));
	direct = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (scenario == NULL)
		ereport(ERROR, errmsg("no scenario \"%s\"", name));
	initStringInfo(&report);
	scenario(&report);
	PG_RETURN_TEXT_P(cstring_to_text(report.data));
}
