/*-------------------------------------------------------------------------
 *
 * complaint.h
 *	  All that is wrong with a document, told at once.
 *
 * A check of the document does not throw: it complains, and goes on as if what
 * it complained of had not been given.  One mistake is one complaint, so who
 * goes on asks nothing more of that value.
 *
 * src/namespace/complaint.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_COMPLAINT_H
#define PRISM_COMPLAINT_H

#include "base/config_key.h"

#include "utils/elog.h"

/* After so many nobody goes on: the document is another one than was meant. */
#define PRISM_COMPLAINTS_MAX 100

typedef struct PrismComplaint
{
	PrismPlace	place;			/* line 0: the document as a whole */
	int			number;			/* in the order in which they were made, from 0 */
	ErrorData  *error;			/* SQLSTATE, message, detail, hint; the place as context */
} PrismComplaint;

typedef struct PrismComplaints
{
	MemoryContext mcxt;
	List	   *list;			/* PrismComplaint; once all are there, by place; if there are more, the last one says so */
	bool		more;			/* there are more than PRISM_COMPLAINTS_MAX */
} PrismComplaints;

/*
 * As ereport(ERROR, ...), but that it returns: what it takes is an error's
 * errcode(), errmsg(), errdetail() and errhint().  The place, of a value or of a
 * node, becomes the context.  While nobody collects, it throws.
 */
#define prism_complain(place, ...) \
	do { \
		if (prism_complaint_begin()) \
			__VA_ARGS__, prism_complaint_end((place)->line, (place)->column, __FILE__, __LINE__, __func__); \
	} while (0)

/* The place of what is wrong with the document as a whole. */
extern const PrismPlace prism_whole_document;

extern bool prism_complaint_begin(void);
extern void prism_complaint_end(int line, int column, const char *filename, int lineno, const char *function);

/* What 'walk' complains of is collected, into memory of the caller's context. */
extern void prism_complaints_collect(PrismComplaints *complaints, void (*walk) (void *arg), void *arg);

/* How many have been made so far: who sees it grow knows that something was not as it should be. */
extern int	prism_complaints_count(void);

/* There are too many: a loop that could find more ends here. */
extern bool prism_complaints_full(void);

/*
 * One error for all of them, that of the first place; nothing without one.  When
 * there are several, its detail lists them, a line each.
 */
extern void prism_complaints_throw(PrismComplaints *complaints);

#endif							/* PRISM_COMPLAINT_H */
