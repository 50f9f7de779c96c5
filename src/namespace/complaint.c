/*-------------------------------------------------------------------------
 *
 * complaint.c
 *	  All that is wrong with a document, told at once.
 *
 * A complaint is an error that is written and not thrown: the server's errmsg()
 * and its kin write it, on the stack that ereport() uses, and it is taken off
 * there before anything else happens.  So it keeps all that an error has.
 *
 * Who collects is a variable of this file, and not an argument of each check:
 * the checks read as those that throw.  It is set for as long as
 * prism_complaints_collect() runs, an error that leaves it included.
 *
 * src/namespace/complaint.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/complaint.h"
#include "namespace/yaml.h"

#include "lib/stringinfo.h"
#include "utils/memutils.h"

const PrismPlace prism_whole_document = {0, 0};

static PrismComplaints *collecting = NULL;

static int	compare_places(const ListCell *a, const ListCell *b);
static void say_there_are_more(PrismComplaints *complaints);
static char *list_all(const PrismComplaints *complaints);

/* ---------- making one ---------- */

/* False: it is not told, and so its texts need not be written. */
bool
prism_complaint_begin(void)
{
	if (prism_complaints_full())
		return false;
	if (collecting != NULL && list_length(collecting->list) == PRISM_COMPLAINTS_MAX)
	{
		collecting->more = true;
		return false;
	}
	return errstart(ERROR, TEXTDOMAIN);
}

void
prism_complaint_end(int line, int column, const char *filename, int lineno, const char *function)
{
	PrismPlace	place = {line, column};
	MemoryContext caller_cxt = CurrentMemoryContext;
	PrismComplaint *complaint;

	if (line > 0)
		prism_errplace(&place);
	if (collecting == NULL)
		errfinish(filename, lineno, function);	/* throws */

	MemoryContextSwitchTo(collecting->mcxt);
	complaint = palloc0(sizeof(*complaint));
	complaint->place = place;
	complaint->number = list_length(collecting->list);
	complaint->error = CopyErrorData();
	complaint->error->filename = filename;
	complaint->error->lineno = lineno;
	complaint->error->funcname = function;
	collecting->list = lappend(collecting->list, complaint);
	MemoryContextSwitchTo(caller_cxt);
	FlushErrorState();
}

/* ---------- collecting them ---------- */

void
prism_complaints_collect(PrismComplaints *complaints, void (*walk) (void *arg), void *arg)
{
	PrismComplaints *outer = collecting;

	complaints->mcxt = CurrentMemoryContext;
	complaints->list = NIL;
	complaints->more = false;
	PG_TRY();
	{
		collecting = complaints;
		walk(arg);
	}
	PG_CATCH();
	{
		collecting = outer;
		PG_RE_THROW();
	}
	PG_END_TRY();
	collecting = outer;
	list_sort(complaints->list, compare_places);
	if (complaints->more)
		say_there_are_more(complaints);
}

static void
say_there_are_more(PrismComplaints *complaints)
{
	PrismComplaint *complaint = palloc0(sizeof(*complaint));
	ErrorData  *error = palloc0(sizeof(*error));

	error->elevel = ERROR;
	error->sqlerrcode = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
	error->message = pstrdup("... and more");
	error->hint = psprintf("Correct these first: no more than %d are told at a time.", PRISM_COMPLAINTS_MAX);
	complaint->number = list_length(complaints->list);
	complaint->error = error;
	complaints->list = lappend(complaints->list, complaint);
}

/* As a person reads: what a later check found at an earlier place comes first. */
static int
compare_places(const ListCell *a, const ListCell *b)
{
	const PrismComplaint *first = lfirst(a);
	const PrismComplaint *second = lfirst(b);

	if (first->place.line != second->place.line)
		return first->place.line < second->place.line ? -1 : 1;
	if (first->place.column != second->place.column)
		return first->place.column < second->place.column ? -1 : 1;
	return first->number - second->number;
}

int
prism_complaints_count(void)
{
	return collecting != NULL ? list_length(collecting->list) + collecting->more : 0;
}

bool
prism_complaints_full(void)
{
	return collecting != NULL && collecting->more;
}

/* ---------- telling them ---------- */

void
prism_complaints_throw(PrismComplaints *complaints)
{
	ErrorData  *error;

	if (complaints->list == NIL)
		return;
	error = ((PrismComplaint *) linitial(complaints->list))->error;
	if (list_length(complaints->list) > 1)
		error->detail = list_all(complaints);
	ThrowErrorData(error);
}

/* After the first one's own detail. */
static char *
list_all(const PrismComplaints *complaints)
{
	const ErrorData *error = ((PrismComplaint *) linitial(complaints->list))->error;
	StringInfoData all;
	ListCell   *cell;

	initStringInfo(&all);
	if (error->detail != NULL)
		appendStringInfo(&all, "%s\n", error->detail);
	appendStringInfoString(&all, "All mistakes of the configuration (prism.check() shows the detail and the hint of each):");
	foreach(cell, complaints->list)
	{
		const PrismComplaint *complaint = lfirst(cell);

		appendStringInfoChar(&all, '\n');
		if (complaint->place.line > 0)
			appendStringInfo(&all, "line %d, column %d: ", prism_at(&complaint->place));
		appendStringInfoString(&all, complaint->error->message);
	}
	return all.data;
}
