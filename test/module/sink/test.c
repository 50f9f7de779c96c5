/*-------------------------------------------------------------------------
 *
 * test.c
 *	  Slots of sinks: who has one, for how long, and what is in it.
 *
 * Processes take turns: attach as one, look as another.
 *
 * test/module/sink/test.c
 *
 *-------------------------------------------------------------------------
 */
#include "shim.h"

#include <stdio.h>

#include "store/sink/sink.h"
#include "store/sink/sink_slot.h"

#include "miscadmin.h"

#undef printf					/* the system's: this program links nothing of the server */

#include "../tap.h"

static void
as_process(int pid)
{
	MyProcPid = pid;
}

static void
catalogue(int count, int32 first, int32 second)
{
	shim_sinks[0] = first;
	shim_sinks[1] = second;
	shim_sink_count = count;
}

static bool
is_known(int32 sink_id)
{
	PrismSinkStatus status;

	return prism_sink_status(sink_id, &status);
}

/* ---------- places ---------- */

/* A sink is dropped while its process is in the middle of sending: the slot is its until it has left. */
static void
test_dropped(void)
{
	PrismSinkSlot *dropped;
	PrismSinkSlot *other;
	PrismSinkStatus status;

	as_process(1);
	catalogue(1, 1, 0);
	dropped = prism_sink_attach(1, 10);
	as_process(2);
	catalogue(1, 2, 0);
	prism_sink_sweep();
	ok(!is_known(1), "a sink that is not in the catalogue is not known any more");
	other = prism_sink_attach(2, 20);
	ok(other != dropped, "its place is not given away while its process has it");
	prism_sink_move(dropped, 4711);
	ok(prism_sink_status(2, &status) && status.position == -1, "what that process still writes is nobody else's");
	prism_sink_sweep();
	ok(is_known(2), "a second look keeps what is served");
	as_process(1);
	prism_sink_detach_all();
	as_process(2);
	ok(prism_sink_attach(3, 30) == dropped, "when it has left, the place is free");
	catalogue(0, 0, 0);
	prism_sink_detach_all();
	prism_sink_sweep();
}

static void
test_forgotten(void)
{
	PrismSinkSlot *served;

	as_process(1);
	served = prism_sink_attach(1, 10);
	as_process(2);
	prism_sink_forget(MyDatabaseId, 1);
	ok(!is_known(1), "a sink that is forgotten is not known any more");
	ok(prism_sink_attach(1, 10) != served, "nor is its place that of a new one of its number");
	prism_sink_detach_all();
	as_process(1);
	prism_sink_detach_all();
	catalogue(0, 0, 0);
	prism_sink_sweep();
	ok(!is_known(1), "nobody serves it: its place is free");
}

/* Another process takes a place for a sink that is younger than what the sweep has read. */
static void
take_place(void)
{
	as_process(2);
	prism_sink_attach(2, 20);
	as_process(1);
}

static void
exchange_place(void)
{
	prism_sink_forget(MyDatabaseId, 1);
	take_place();
}

static void
test_sweep_beside_others(void)
{
	as_process(1);
	catalogue(0, 0, 0);
	shim_while_querying = take_place;
	prism_sink_sweep();
	ok(is_known(2), "a sink that got its place meanwhile keeps it");
	shim_while_querying = NULL;
	prism_sink_forget(MyDatabaseId, 2);
	as_process(2);
	prism_sink_detach_all();

	as_process(1);
	prism_sink_attach(1, 10);
	prism_sink_detach_all();
	shim_while_querying = exchange_place;
	prism_sink_sweep();
	ok(is_known(2), "also one that got the place of a sink that is gone");
	shim_while_querying = NULL;
	as_process(2);
	prism_sink_detach_all();
	prism_sink_sweep();
}

static void
test_other_databases(void)
{
	as_process(1);
	prism_sink_attach(1, 10);
	MyDatabaseId = 6;
	ok(!is_known(1), "a sink of another database is another one");
	catalogue(0, 0, 0);
	prism_sink_sweep();
	prism_sink_forget(MyDatabaseId, 0);
	MyDatabaseId = 5;
	ok(is_known(1), "what happens there leaves it alone");
	prism_sink_detach_all();
	prism_sink_forget(MyDatabaseId, 0);
	ok(!is_known(1), "all of a database can be forgotten");
}

/* ---------- prism.resume() ---------- */

static void
test_resume(void)
{
	PrismSinkSlot *slot = prism_sink_attach(1, 10);

	prism_sink_ask_resume(1);
	ok(!prism_sink_is_resumed(1), "resume() does nothing before its transaction commits");
	prism_sink_end(false);
	ok(!prism_sink_take_resume(slot), "nor when it is rolled back");
	prism_sink_end(true);
	ok(!prism_sink_take_resume(slot), "also not with the next one");

	prism_sink_ask_resume(1);
	prism_sink_end(true);
	ok(prism_sink_is_resumed(1), "it is told at the commit");
	ok(prism_sink_take_resume(slot), "the process takes note");
	ok(!prism_sink_take_resume(slot) && !prism_sink_is_resumed(1), "once");

	shim_nest_level = 2;
	prism_sink_ask_resume(1);
	prism_sink_subabort(2);
	shim_nest_level = 1;
	prism_sink_end(true);
	ok(!prism_sink_take_resume(slot), "a savepoint takes it back");

	shim_nest_level = 3;
	prism_sink_ask_resume(1);
	prism_sink_subcommit(3);
	prism_sink_subabort(3);
	prism_sink_subcommit(2);
	shim_nest_level = 1;
	prism_sink_end(true);
	ok(prism_sink_take_resume(slot), "a released one does not");

	shim_nest_level = 3;
	prism_sink_ask_resume(1);
	prism_sink_subcommit(3);
	prism_sink_subabort(2);
	shim_nest_level = 1;
	prism_sink_end(true);
	ok(!prism_sink_take_resume(slot), "one around it does");

	prism_sink_ask_resume(99);
	prism_sink_end(true);
	ok(!is_known(99), "a sink without a place has nothing to resume");
}

/* What was asked for before a sink has stopped is no answer to why it has. */
static void
test_resume_is_of_now(void)
{
	static const PrismSinkState states[] = {PRISM_SINK_FENCED, PRISM_SINK_REGRESSED, PRISM_SINK_DIVERGED};
	static const char *const what[] = {"who is fenced does not go on", "nor who has been regressed", "nor who has diverged"};
	PrismSinkSlot *slot = prism_sink_attach(1, 10);

	for (int i = 0; i < (int) lengthof(states); i++)
	{
		prism_sink_change(slot, PRISM_SINK_RUNNING, 0, NULL);
		prism_sink_ask_resume(1);
		prism_sink_end(true);
		prism_sink_change(slot, states[i], 0, "why");
		ok(!prism_sink_take_resume(slot), what[i]);
		prism_sink_ask_resume(1);
		prism_sink_end(true);
		prism_sink_change(slot, states[i], 0, "why");
		ok(prism_sink_take_resume(slot), "before that is asked for");
	}
	prism_sink_ask_resume(1);
	prism_sink_end(true);
	prism_sink_detach_all();
	slot = prism_sink_attach(1, 10);
	ok(!prism_sink_take_resume(slot), "a process that begins anew has nothing to resume");
}

/* ---------- states and errors ---------- */

static const char *
error_of(int32 sink_id)
{
	static PrismSinkStatus status;

	if (!prism_sink_status(sink_id, &status))
		return "no sink";
	return status.error_at == 0 ? (status.error[0] == '\0' ? "-" : "no time") : status.error;
}

static void
test_errors(void)
{
	PrismSinkSlot *slot = prism_sink_attach(1, 10);
	PrismSinkStatus status;

	ok(prism_sink_change(slot, PRISM_SINK_BACKOFF, 0, "why"), "a new error is news");
	ok(!prism_sink_change(slot, PRISM_SINK_BACKOFF, 0, "why"), "the same is not");
	ok(prism_sink_change(slot, PRISM_SINK_BACKOFF, 0, "wh"), "its beginning is");
	ok(prism_sink_change(slot, PRISM_SINK_BACKOFF, 0, "whatever"), "and what begins like it");
	prism_sink_change(slot, PRISM_SINK_WAITING, 0, NULL);
	ok(strcmp(error_of(1), "whatever") == 0, "who waits keeps what was in his way");
	prism_sink_change(slot, PRISM_SINK_RUNNING, 0, NULL);
	ok(strcmp(error_of(1), "-") == 0, "who runs has no error");
	prism_sink_change(slot, PRISM_SINK_BACKOFF, 0, "why");
	prism_sink_change(slot, PRISM_SINK_PAUSED, 0, NULL);
	ok(strcmp(error_of(1), "-") == 0, "nor who is paused");
	prism_sink_change(slot, PRISM_SINK_BACKOFF, 0, "why");
	prism_sink_detach_all();
	ok(strcmp(error_of(1), "-") == 0, "nor who has no process");
	ok(prism_sink_status(1, &status) && status.state == PRISM_SINK_STARTING && !prism_sink_is_served(1),
	   "who does not run either");
}

/* Two bytes each, behind one of a single byte: the bound falls into one of them. */
static void
test_cut(void)
{
	PrismSinkSlot *slot = prism_sink_attach(1, 10);
	char		text[2 * PRISM_SINK_ERROR_BYTES] = "";
	Size		bytes;

	for (int odd = 0; odd < 2; odd++)
	{
		strcpy(text, odd ? "a" : "");
		while (strlen(text) < PRISM_SINK_ERROR_BYTES + 100)
			strcat(text, "\303\251");
		prism_sink_change(slot, PRISM_SINK_STOPPED, 0, text);
		bytes = strlen(error_of(1));
		ok(bytes >= PRISM_SINK_ERROR_BYTES - 2 && bytes % 2 == (Size) odd && memcmp(error_of(1), text, bytes) == 0,
		   "an error ends with a whole character");
		ok(!prism_sink_change(slot, PRISM_SINK_STOPPED, 0, text), "and is the same the next time");
	}
}

int
main(void)
{
	prism_sink_shmem_init();
	test_dropped();
	test_forgotten();
	test_sweep_beside_others();
	test_other_databases();
	test_resume();
	test_resume_is_of_now();
	test_errors();
	test_cut();
	return end_tests();
}
