/*-------------------------------------------------------------------------
 *
 * step.h
 *	  What prism.apply() does to a namespace, and prism.plan() shows: one step a row.
 *
 * The parts of a namespace (apply_parts.h) say which steps they need; plan()
 * prints the list, apply() makes what stands there, so the two cannot disagree.
 * What cannot be done is a step too, with its error: apply() throws the first of
 * them, and does nothing.
 *
 * src/api/step.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_STEP_H
#define PRISM_STEP_H

#include "base/prism.h"
#include "namespace/difference.h"

#include "nodes/execnodes.h"
#include "nodes/pg_list.h"

/* The error that apply() throws instead of making the step. */
typedef struct PrismRefusal
{
	int			sqlerrcode;
	const char *message;
	const char *detail;			/* or NULL */
	const char *hint;			/* or NULL */
} PrismRefusal;

typedef enum PrismStepKind
{
	PRISM_STEP_CHANGE,			/* the configuration is another one */
	PRISM_STEP_REPAIR,			/* the database is not as the configuration says */
	PRISM_STEP_DRIFT,			/* likewise what is not prism's to repair: for plan() alone */
	PRISM_STEP_WARNING			/* nothing is done: what will be of it */
} PrismStepKind;

typedef struct PrismStep
{
	PrismStepKind kind;
	const char *part;			/* a key as in prism.config_keys, or what it is about in the database */
	const char *before;			/* or NULL */
	const char *after;			/* or NULL */
	const char *detail;			/* for people; NULL: part, before and after say it */
	PrismChangeMode mode;
	const char *reason;			/* why so, or NULL */
	const PrismPlace *place;	/* NULL: the namespace's */
	const PrismRefusal *refusal;	/* NULL: it can be made */

	/* set by whoever lists them */
	const struct PrismNamespacePart *made_by;	/* NULL: the row of prism.namespace alone */
	bool		explained;		/* another step says so already: made, not shown */
} PrismStep;

/* What the configuration changes; the namespace is stored. */
extern List *prism_steps_of_configuration(const PrismNamespace *wanted, const char *stored, const char *config);

/* A part of the database is not as wanted; 'detail' says what, for people. */
extern PrismStep *prism_step_repair(const char *part, const char *before, const char *after, char *detail);
extern PrismStep *prism_step_drift(const char *part, const char *before, const char *after, char *detail);
extern PrismStep *prism_step_warning(const char *part, char *detail);

/* Likewise a step that apply() refuses. */
extern PrismStep *prism_step_refuse(const char *part, const PrismRefusal *refusal, const PrismPlace *place);

/*
 * Add a part's steps to the list; NULL: they are about the namespace.  One about a
 * key that the configuration changes says how, and is no row of its own; nor is a
 * repair of a part that is made of such a key.
 */
extern List *prism_steps_add(List *steps, List *more, const struct PrismNamespacePart *part);

/* The namespace is new: what is not there is to be made. */
extern void prism_steps_explain_repairs(List *steps);

/* None of them has a row that says what becomes of the namespace. */
extern bool prism_steps_are_quiet(const List *steps, bool plan);

/* The first step that is refused, or NULL. */
extern const PrismStep *prism_steps_refused(const List *steps);
pg_noreturn extern void prism_step_throw(const PrismStep *step);

/* ---------- rows of plan() and apply() ---------- */

typedef struct PrismStepRow
{
	const char *namespace;
	const char *action;
	const char *detail;
	const char *part;			/* here and below: or NULL */
	const char *before;
	const char *after;
	const char *mode;
	const char *reason;
	const PrismPlace *place;
} PrismStepRow;

extern void prism_step_put(ReturnSetInfo *result, const PrismStepRow *row);
extern void prism_steps_put(ReturnSetInfo *result, const PrismNamespace *wanted, const List *steps, bool plan);

#endif							/* PRISM_STEP_H */
