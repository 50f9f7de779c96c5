/*-------------------------------------------------------------------------
 *
 * shim.c
 *	  The few functions of the server that the YAML reader calls.
 *
 * Memory is that of malloc, so that the sanitizer sees each allocation by
 * itself; one list of all of them stands for all memory contexts.
 *
 * test/module/yaml/shim.c
 *
 *-------------------------------------------------------------------------
 */
#include "shim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"

#include "namespace/complaint.h"
#include "namespace/yaml_encoding.h"

#undef vsnprintf				/* the system's: this program links nothing of the server */

ShimError	shim_error;
jmp_buf		shim_catch;
MemoryContext CurrentMemoryContext = NULL;
volatile sig_atomic_t InterruptPending = false;

typedef struct Chunk
{
	struct Chunk *next;
} Chunk;

static Chunk *chunks = NULL;
static MemoryContextCallback *callbacks = NULL;

/* ---------- memory ---------- */

static void
run_callbacks(void)
{
	while (callbacks != NULL)
	{
		MemoryContextCallback *callback = callbacks;

		callbacks = callback->next;
		callback->func(callback->arg);
	}
}

void
shim_reset(void)
{
	run_callbacks();
	while (chunks != NULL)
	{
		Chunk	   *chunk = chunks;

		chunks = chunk->next;
		free(chunk);
	}
}

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

char *
pstrdup(const char *text)
{
	return strcpy(palloc(strlen(text) + 1), text);
}

char *
pnstrdup(const char *text, Size bytes)
{
	char	   *copy = palloc0(bytes + 1);

	return memcpy(copy, text, strnlen(text, bytes));
}

char *
psprintf(const char *format,...)
{
	char		text[1024];
	va_list		values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	return pstrdup(text);
}

MemoryContext
AllocSetContextCreateInternal(MemoryContext parent, const char *name, Size minimum, Size initial, Size maximum)
{
	return NULL;
}

void
MemoryContextRegisterResetCallback(MemoryContext context, MemoryContextCallback *callback)
{
	callback->next = callbacks;
	callbacks = callback;
}

void
MemoryContextDelete(MemoryContext context)
{
	run_callbacks();
}

/* ---------- errors ---------- */

bool
errstart(int elevel, const char *domain)
{
	memset(&shim_error, 0, sizeof(shim_error));
	return true;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return errstart(elevel, domain);
}

int
errcode(int sqlstate)
{
	shim_error.sqlstate = sqlstate;
	return 0;
}

int
errmsg(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	vsnprintf(shim_error.message, SHIM_TEXT_BYTES, format, arguments);
	va_end(arguments);
	return 0;
}

int
errmsg_internal(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	vsnprintf(shim_error.message, SHIM_TEXT_BYTES, format, arguments);
	va_end(arguments);
	return 0;
}

int
errdetail(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	vsnprintf(shim_error.detail, SHIM_TEXT_BYTES, format, arguments);
	va_end(arguments);
	return 0;
}

int
set_errcontext_domain(const char *domain)
{
	return 0;
}

int
errcontext_msg(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	vsnprintf(shim_error.context, SHIM_TEXT_BYTES, format, arguments);
	va_end(arguments);
	return 0;
}

int
errhint(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	vsnprintf(shim_error.hint, SHIM_TEXT_BYTES, format, arguments);
	va_end(arguments);
	return 0;
}

void
errfinish(const char *filename, int line, const char *function)
{
	longjmp(shim_catch, 1);
}

/* ---------- complaints: as if somebody collected them, and kept the last one ---------- */

const PrismPlace prism_whole_document = {0, 0};

bool
prism_complaint_begin(void)
{
	return errstart(ERROR, NULL);
}

void
prism_complaint_end(int line, int column, const char *filename, int lineno, const char *function)
{
	if (line > 0)
		errcontext("line %d, column %d of the configuration", line, column);
}

void
ProcessInterrupts(void)
{
}

/* ---------- lists and strings ---------- */

List *
lappend(List *list, void *datum)
{
	if (list == NIL)
	{
		list = palloc0(sizeof(List));
		list->type = T_List;
	}
	if (list->length == list->max_length)
	{
		int			larger = Max(4, list->max_length * 2);
		ListCell   *elements = palloc(larger * sizeof(ListCell));

		if (list->length > 0)
			memcpy(elements, list->elements, list->length * sizeof(ListCell));
		list->elements = elements;
		list->max_length = larger;
	}
	list->elements[list->length++].ptr_value = datum;
	return list;
}

void
initStringInfo(StringInfo string)
{
	string->data = palloc0(SHIM_TEXT_BYTES);
	string->len = 0;
	string->maxlen = SHIM_TEXT_BYTES;
}

/* What the reader shows of a text is short: it always has room. */
void
appendBinaryStringInfo(StringInfo string, const
#if PG_VERSION_NUM >= 160000
					   void *data,
#else
					   char *data,
#endif
					   int length)
{
	if (string->len + length >= string->maxlen)
		abort();
	memcpy(string->data + string->len, data, length);
	string->len += length;
	string->data[string->len] = '\0';
}

void
appendStringInfoString(StringInfo string, const char *text)
{
	appendBinaryStringInfo(string, text, strlen(text));
}

void
appendStringInfo(StringInfo string, const char *format,...)
{
	char		text[SHIM_TEXT_BYTES];
	va_list		arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	appendStringInfoString(string, text);
}

/* ---------- encodings: everything is UTF-8 ---------- */

char *
prism_yaml_to_utf8(const char *text, Size bytes)
{
	return unconstify(char *, text);
}

char *
prism_yaml_from_utf8(const char *text, Size bytes, const PrismYaml *node)
{
	return pstrdup(text);
}

int
pg_utf_mblen(const unsigned char *text)
{
	return *text < 0x80 ? 1 : (*text & 0xe0) == 0xc0 ? 2 : (*text & 0xf0) == 0xe0 ? 3 : (*text & 0xf8) == 0xf0 ? 4 : 1;
}

int
pg_mblen(const char *text)
{
	return pg_utf_mblen((const unsigned char *) text);
}
