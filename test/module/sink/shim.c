/*-------------------------------------------------------------------------
 *
 * shim.c
 *	  The few functions of the server that the slots of sinks call.
 *
 * test/module/sink/shim.c
 *
 *-------------------------------------------------------------------------
 */
#include "shim.h"

#include <stdlib.h>

#include "base/guc.h"
#include "base/query.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/lwlock.h"
#include "storage/procarray.h"
#include "storage/s_lock.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

int32		shim_sinks[16];
int			shim_sink_count = 0;
void		(*shim_while_querying) (void) = NULL;
int			shim_nest_level = 1;

Oid			MyDatabaseId = 5;
int			MyProcPid = 1;
int			prism_max_topics = 4;
MemoryContext CurrentMemoryContext = NULL;
MemoryContext TopTransactionContext = NULL;

/* ---------- memory, which ends with the program ---------- */

typedef struct Chunk
{
	struct Chunk *next;
} Chunk;

static Chunk *chunks = NULL;

void *
palloc(Size size)
{
	Chunk	   *chunk = malloc(sizeof(Chunk) + size);

	chunk->next = chunks;
	chunks = chunk;
	return chunk + 1;
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
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

void
pfree(void *pointer)
{
}

Size
add_size(Size a, Size b)
{
	return a + b;
}

Size
mul_size(Size a, Size b)
{
	return a * b;
}

void *
ShmemInitStruct(const char *name, Size size, bool *found)
{
	*found = false;
	return palloc(size);
}

/* ---------- one process at a time ---------- */

LWLockPadded *
GetNamedLWLockTranche(const char *name)
{
	static LWLockPadded lock;

	return &lock;
}

bool
LWLockAcquire(LWLock *lock, LWLockMode mode)
{
	return true;
}

void
LWLockRelease(LWLock *lock)
{
}

int
s_lock(volatile slock_t *lock, const char *file, int line, const char *function)
{
	abort();
}

/* ---------- lists: there is one at a time ---------- */

List *
lappend(List *list, void *item)
{
	static union
	{
		List		list;
		char		room[sizeof(List) + 16 * sizeof(ListCell)];
	}			only;

	if (list == NIL)
		only.list = (List) {.type = T_List,.max_length = 16,.elements = only.list.initial_elements};
	Assert(only.list.length < only.list.max_length);
	only.list.elements[only.list.length++].ptr_value = item;
	return &only.list;
}

List *
list_delete_cell(List *list, ListCell *cell)
{
	int			n = (int) (cell - list->elements);

	memmove(list->elements + n, list->elements + n + 1, (--list->length - n) * sizeof(ListCell));
	return list->length > 0 ? list : NIL;
}

int
GetCurrentTransactionNestLevel(void)
{
	return shim_nest_level;
}

/* ---------- the catalogue ---------- */

PrismQueryRows
prism_query_latest(const char *statement, int parameters, Oid *types, Datum *values, uint64 rows_max)
{
	static HeapTupleData tuples[lengthof(shim_sinks)];
	static PrismQueryRow rows[lengthof(shim_sinks)];

	for (int i = 0; i < shim_sink_count; i++)
	{
		tuples[i].t_tableOid = (Oid) shim_sinks[i];
		rows[i].tuple = &tuples[i];
	}
	if (shim_while_querying != NULL)
		shim_while_querying();
	return (PrismQueryRows) {shim_sink_count, rows};
}

int32
prism_column_int32(const PrismQueryRow *row, int column)
{
	return (int32) row->tuple->t_tableOid;
}

void
prism_query_free(PrismQueryRows *rows)
{
}

/* ---------- time, text, errors ---------- */

TimestampTz
GetCurrentTimestamp(void)
{
	static TimestampTz now = 800000000;

	return now++;
}

/* As in UTF-8. */
int
pg_mbcliplen(const char *text, int bytes, int limit)
{
	if (bytes <= limit)
		return bytes;
	while (limit > 0 && ((unsigned char) text[limit] & 0xC0) == 0x80)
		limit--;
	return limit;
}

/* The only one is that there is no place left. */
bool
errstart(int level, const char *domain)
{
	abort();
}

bool
errstart_cold(int level, const char *domain)
{
	abort();
}

void
errfinish(const char *file, int line, const char *function)
{
}

int
errcode(int sqlstate)
{
	return 0;
}

int
errmsg(const char *format,...)
{
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

/* Of those who serve a sink none lives any more, but for the one that asks. */
PGPROC *
BackendPidGetProc(int pid)
{
	return NULL;
}
