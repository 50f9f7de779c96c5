/*-------------------------------------------------------------------------
 *
 * result_reference.h
 *	  {"$ref": "0.rows.0.id"}: the result of an earlier operation as a value.
 *
 * What a reference finds is a value and stays one: it is bound or published,
 * never read as SQL, and never searched for references again.
 * {"$literal": value} stands for the value as it is, whatever is in it.
 *
 * src/api/result_reference.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_RESULT_REFERENCE_H
#define PRISM_RESULT_REFERENCE_H

#include "base/prism.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* One operation's result: where it lies in the text of all. */
typedef struct PrismResult
{
	int			start;
	int			length;
	bool		skipped;
	Jsonb	   *value;			/* NULL: nobody has asked yet */
} PrismResult;

typedef struct PrismReferences
{
	bool		used;			/* false: the call has neither $ref nor $literal, and nothing is kept */
	StringInfo	text;			/* [result, result, ... */
	PrismResult *results;
	uint32		count;			/* of results, and the number of the operation that is at work */
	uint32		operations;
	int64		bytes;			/* what its references have brought */
	MemoryContext cxt;
} PrismReferences;

/* text: the array of results as it grows.  What is kept lies in the current memory context. */
extern void prism_references_begin(PrismReferences *references, const Jsonb *operations, StringInfo text);

/* A result has been appended to the text, from 'start' on. */
extern void prism_references_add(PrismReferences *references, int start, bool skipped);

/* True: the value has a mark, right or wrong, so it is not itself.  NULL: an operation without references. */
extern bool prism_is_reference(const PrismReferences *references, const JsonbValue *value);

/*
 * The value with all its references replaced, as it is if references is NULL.
 * 22023 for one that could not be right whatever the results are, 2203A for one
 * that points nowhere, 55000 to an operation that was skipped, 54000 when they
 * bring too much.
 */
extern JsonbValue *prism_references_resolve(PrismReferences *references, JsonbValue *value);

/* Text as a jsonb value: 54000 where PostgreSQL has an internal error for what is too large. */
extern Datum prism_result_to_jsonb(char *json);

#endif							/* PRISM_RESULT_REFERENCE_H */
