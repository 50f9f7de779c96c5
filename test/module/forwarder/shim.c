/*-------------------------------------------------------------------------
 *
 * shim.c
 *	  What a forwarder needs of a server, without one: memory, errors, time.
 *
 * Memory contexts are real, each allocation is one of the C library's: so the
 * sanitizer sees who uses what is gone.  An error jumps to whoever tries.
 *
 * test/module/forwarder/shim.c
 *
 *-------------------------------------------------------------------------
 */
#include "shim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/savepoint.h"
#include "bgworker/worker.h"
#include "world.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#undef printf
#undef vsnprintf

/* ---------- memory ---------- */

typedef struct Context
{
	struct Context *parent;
	struct Context *child;
	struct Context *sibling;
	struct Chunk *chunks;
	MemoryContextCallback *callbacks;
} Context;

typedef struct Chunk
{
	struct Chunk *next;
	struct Chunk *previous;
	Context    *context;
	Size		size;
} Chunk;

static Context top;
static Context step;
MemoryContext TopMemoryContext = (MemoryContext) &top;
MemoryContext CurrentMemoryContext = (MemoryContext) &step;
static Size bytes_used = 0;

MemoryContext
AllocSetContextCreateInternal(MemoryContext parent, const char *name, Size min, Size init, Size max)
{
	Context    *context = calloc(1, sizeof(Context));

	context->parent = (Context *) parent;
	context->sibling = context->parent->child;
	context->parent->child = context;
	return (MemoryContext) context;
}

static void
forget(Context *context)
{
	MemoryContextCallback *callback;
	Chunk	   *chunk;
	Context    *child;

	while ((callback = context->callbacks) != NULL)
	{
		context->callbacks = callback->next;
		callback->func(callback->arg);
	}
	while ((child = context->child) != NULL)
	{
		context->child = child->sibling;
		forget(child);
		free(child);
	}
	while ((chunk = context->chunks) != NULL)
	{
		context->chunks = chunk->next;
		bytes_used -= chunk->size;
		free(chunk);
	}
}

void
MemoryContextRegisterResetCallback(MemoryContext mcxt, MemoryContextCallback *callback)
{
	Context    *context = (Context *) mcxt;

	callback->next = context->callbacks;
	context->callbacks = callback;
}

static int	wasted = 0;

static void
count_gone(void *arg)
{
	wasted--;
}

void
shim_waste(void)
{
	MemoryContextCallback *gone = MemoryContextAllocZero(CurrentMemoryContext, sizeof(MemoryContextCallback));

	gone->func = count_gone;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, gone);
	wasted++;
}

bool
shim_is_wasted(void)
{
	return wasted > 0;
}

void
MemoryContextReset(MemoryContext mcxt)
{
	forget((Context *) mcxt);
}

void
MemoryContextDelete(MemoryContext mcxt)
{
	Context    *context = (Context *) mcxt;
	Context   **link = &context->parent->child;

	while (*link != context)
		link = &(*link)->sibling;
	*link = context->sibling;
	forget(context);
	free(context);
}

static void
link_chunk(Chunk *chunk, Context *context)
{
	chunk->context = context;
	chunk->previous = NULL;
	chunk->next = context->chunks;
	if (chunk->next != NULL)
		chunk->next->previous = chunk;
	context->chunks = chunk;
	bytes_used += chunk->size;
}

static void
unlink_chunk(Chunk *chunk)
{
	if (chunk->previous != NULL)
		chunk->previous->next = chunk->next;
	else
		chunk->context->chunks = chunk->next;
	if (chunk->next != NULL)
		chunk->next->previous = chunk->previous;
	bytes_used -= chunk->size;
}

void *
MemoryContextAlloc(MemoryContext mcxt, Size size)
{
	Chunk	   *chunk = malloc(sizeof(Chunk) + size);

	chunk->size = size;
	link_chunk(chunk, (Context *) mcxt);
	return chunk + 1;
}

void *
MemoryContextAllocHuge(MemoryContext mcxt, Size size)
{
	return MemoryContextAlloc(mcxt, size);
}

void *
MemoryContextAllocZero(MemoryContext mcxt, Size size)
{
	return memset(MemoryContextAlloc(mcxt, size), 0, size);
}

void *
palloc(Size size)
{
	return MemoryContextAlloc(CurrentMemoryContext, size);
}

void *
palloc0(Size size)
{
	return MemoryContextAllocZero(CurrentMemoryContext, size);
}

/* Of later minor versions. */
extern void *palloc_mul(Size a, Size b);
extern void *palloc0_mul(Size a, Size b);

void *
palloc_mul(Size a, Size b)
{
	return palloc(a * b);
}

void *
palloc0_mul(Size a, Size b)
{
	return palloc0(a * b);
}

void *
repalloc(void *pointer, Size size)
{
	Chunk	   *chunk = (Chunk *) pointer - 1;
	Context    *context = chunk->context;

	unlink_chunk(chunk);
	chunk = realloc(chunk, sizeof(Chunk) + size);
	chunk->size = size;
	link_chunk(chunk, context);
	return chunk + 1;
}

void
pfree(void *pointer)
{
	Chunk	   *chunk = (Chunk *) pointer - 1;

	unlink_chunk(chunk);
	free(chunk);
}

char *
MemoryContextStrdup(MemoryContext mcxt, const char *text)
{
	return strcpy(MemoryContextAlloc(mcxt, strlen(text) + 1), text);
}

char *
pstrdup(const char *text)
{
	return MemoryContextStrdup(CurrentMemoryContext, text);
}

char *
psprintf(const char *format,...)
{
	char		text[2048];
	va_list		values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	return pstrdup(text);
}

List *
shim_list(int count)
{
	List	   *list = palloc0(sizeof(List) + count * sizeof(ListCell));

	list->type = T_List;
	list->length = list->max_length = count;
	list->elements = list->initial_elements;
	return list;
}

void
shim_end_step(void)
{
	CurrentMemoryContext = (MemoryContext) &step;
	forget(&step);
}

Size
shim_bytes_used(void)
{
	return bytes_used;
}

/* ---------- errors ---------- */

static sigjmp_buf *handler = NULL;
static ErrorData thrown;
static char thrown_message[1024];
static char violation_text[1024];

void
shim_throw(int sqlerrcode, const char *message)
{
	strlcpy(thrown_message, message, sizeof(thrown_message));
	thrown = (ErrorData) {.sqlerrcode = sqlerrcode,.message = thrown_message};
	siglongjmp(*handler, 1);
}

bool
errstart(int level, const char *domain)
{
	return level >= ERROR;
}

bool
errstart_cold(int level, const char *domain)
{
	return level >= ERROR;
}

int
errcode(int sqlerrcode)
{
	thrown.sqlerrcode = sqlerrcode;
	return 0;
}

int
errmsg(const char *format,...)
{
	va_list		values;

	va_start(values, format);
	vsnprintf(thrown_message, sizeof(thrown_message), format, values);
	va_end(values);
	return 0;
}

int
errdetail(const char *format,...)
{
	return 0;
}

int
errhint(const char *format,...)
{
	return 0;
}

void
errfinish(const char *file, int line, const char *function)
{
	shim_throw(thrown.sqlerrcode, thrown_message);
}

void
ReThrowError(ErrorData *error)
{
	shim_throw(error->sqlerrcode, error->message);
}

#define NOTES 4000
#define NOTES_SHOWN 40

static char notes[NOTES][160];
static int	note_count;

void
note(const char *format,...)
{
	va_list		values;

	if (violation_text[0] != '\0')
		return;
	va_start(values, format);
	vsnprintf(notes[note_count++ % NOTES], sizeof(notes[0]), format, values);
	va_end(values);
}

void
show_notes(const char *about)
{
	const char *shown[NOTES_SHOWN];
	int			count = 0;

	for (int i = note_count - 1; i >= 0 && i > note_count - NOTES && count < NOTES_SHOWN; i--)
		if (strncmp(notes[i % NOTES], about, strlen(about)) == 0 || strncmp(notes[i % NOTES], "all", 3) == 0)
			shown[count++] = notes[i % NOTES];
	while (count > 0)
		printf("#   %s\n", shown[--count]);
}

void
violation(const char *format,...)
{
	va_list		values;

	if (violation_text[0] != '\0')
		return;
	va_start(values, format);
	vsnprintf(violation_text, sizeof(violation_text), format, values);
	va_end(values);
}

const char *
violated(void)
{
	return violation_text[0] != '\0' ? violation_text : NULL;
}

/* ---------- steps and transactions ---------- */

/* NULL: it went well.  of_worker: what is open is rolled back, else the savepoint. */
static ErrorData *
attempt(void (*fn) (void *arg), void *arg, bool of_worker)
{
	sigjmp_buf *caller = handler;
	MemoryContext caller_mcxt = CurrentMemoryContext;
	ErrorData  *volatile error = NULL;
	int			savepoint = world_savepoint();
	sigjmp_buf	here;

	if (sigsetjmp(here, 0) == 0)
	{
		handler = &here;
		fn(arg);
	}
	else
	{
		CurrentMemoryContext = of_worker ? (MemoryContext) &step : caller_mcxt;
		error = palloc(sizeof(ErrorData));
		*error = thrown;
		error->message = pstrdup(thrown.message);
		if (of_worker)
			world_rollback();
		else
			world_rollback_to(savepoint);
	}
	handler = caller;
	CurrentMemoryContext = caller_mcxt;
	return error;
}

bool
shim_run(void (*fn) (void *arg), void *arg)
{
	return attempt(fn, arg, true) == NULL;
}

ErrorData *
prism_worker_attempt(void (*fn) (void *arg), void *arg)
{
	return attempt(fn, arg, true);
}

ErrorData *
prism_savepoint_try(void (*part) (void *arg), void *arg)
{
	return attempt(part, arg, false);
}

void
prism_worker_begin(const char *activity)
{
	world_begin();
}

void
prism_worker_commit(void)
{
	world_commit();
	CurrentMemoryContext = (MemoryContext) &step;
}

bool
prism_worker_error_passes(const ErrorData *error)
{
	return error->sqlerrcode != ERRCODE_DATA_CORRUPTED;
}

void
prism_worker_show(PrismWorkerState state, const char *error)
{
}

/* ---------- time and dice ---------- */

PrismInstant shim_now = PRISM_INSTANT_BASE;
static uint64 dice = 1;

static PrismInstant
now(void)
{
	return shim_now;
}

static double
random_fraction(void)
{
	return shim_random(1000) / 1000.0;
}

const PrismClock shim_clock = {.now = now,.random = random_fraction};

TimestampTz
GetCurrentTimestamp(void)
{
	return shim_now;
}

void
pg_usleep(long us)
{
	shim_now += us;
}

void
shim_seed(uint64 seed)
{
	dice = seed * UINT64CONST(0x9E3779B97F4A7C15) + 1;
}

/* xorshift64* */
int
shim_random(int below)
{
	dice ^= dice >> 12;
	dice ^= dice << 25;
	dice ^= dice >> 27;
	return (int) ((dice * UINT64CONST(0x2545F4914F6CDD1D)) >> 33) % below;
}

bool
shim_chance(int percent)
{
	return shim_random(100) < percent;
}

uint32
hash_bytes(const unsigned char *bytes, int count)
{
	uint32		hash = 2166136261u;

	for (int i = 0; i < count; i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return hash;
}
