/*-------------------------------------------------------------------------
 *
 * step.c
 *	  What prism.apply() does to a namespace, and prism.plan() shows: one step a row.
 *
 * src/api/step.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/apply_parts.h"
#include "api/step.h"

#include "utils/builtins.h"
#include "utils/elog.h"
#include "utils/tuplestore.h"

List *
prism_steps_of_configuration(const PrismNamespace *wanted, const char *stored, const char *config)
{
	List	   *steps = NIL;
	ListCell   *cell;

	foreach(cell, prism_namespace_differences(stored, config, wanted))
	{
		const PrismDifference *difference = lfirst(cell);
		PrismStep  *step = palloc0_object(PrismStep);

		step->kind = PRISM_STEP_CHANGE;
		step->part = difference->path;
		step->before = difference->before;
		step->after = difference->after;
		step->mode = difference->mode;
		step->reason = difference->reason;
		step->place = difference->place;
		steps = lappend(steps, step);
	}
	return steps;
}

PrismStep *
prism_step_repair(const char *part, const char *before, const char *after, char *detail)
{
	PrismStep  *step = palloc0_object(PrismStep);

	step->kind = PRISM_STEP_REPAIR;
	step->part = part;
	step->before = before;
	step->after = after;
	step->detail = detail;
	return step;
}

PrismStep *
prism_step_drift(const char *part, const char *before, const char *after, char *detail)
{
	PrismStep  *step = prism_step_repair(part, before, after, detail);

	step->kind = PRISM_STEP_DRIFT;
	return step;
}

PrismStep *
prism_step_warning(const char *part, char *detail)
{
	PrismStep  *step = prism_step_repair(part, NULL, NULL, detail);

	step->kind = PRISM_STEP_WARNING;
	return step;
}

PrismStep *
prism_step_refuse(const char *part, const PrismRefusal *refusal, const PrismPlace *place)
{
	PrismStep  *step = prism_step_repair(part, NULL, NULL, NULL);

	step->mode = PRISM_CHANGE_REFUSED;
	step->refusal = refusal;
	step->place = place;
	return step;
}

/* ---------- one list ---------- */

static PrismStep *
find_change(const List *steps, const char *part)
{
	ListCell   *cell;

	foreach(cell, steps)
	{
		PrismStep  *step = lfirst(cell);

		if (step->kind == PRISM_STEP_CHANGE && strcmp(step->part, part) == 0)
			return step;
	}
	return NULL;
}

/* The configuration changes something that the part is made of. */
static bool
changes_any(const List *steps, const PrismNamespacePart *part)
{
	ListCell   *cell;

	foreach(cell, steps)
	{
		const PrismStep *step = lfirst(cell);

		for (const char *const *key = part->keys; step->kind == PRISM_STEP_CHANGE && *key != NULL; key++)
			if (strncmp(step->part, *key, strlen(*key)) == 0)
				return true;
	}
	return false;
}

/* What a part says of a change that the configuration makes. */
static void
tell_of(PrismStep *change, const PrismStep *step)
{
	if (step->mode < change->mode || (step->mode == change->mode && step->reason == NULL))
		return;
	change->mode = step->mode;
	change->reason = step->reason;
	change->refusal = step->refusal;
	if (step->place != NULL)
		change->place = step->place;
}

List *
prism_steps_add(List *steps, List *more, const PrismNamespacePart *part)
{
	bool		changed = more != NIL && part != NULL && changes_any(steps, part);
	ListCell   *cell;

	foreach(cell, more)
	{
		PrismStep  *step = lfirst(cell);
		PrismStep  *change = step->kind == PRISM_STEP_WARNING ? NULL : find_change(steps, step->part);

		step->made_by = part;
		if (change != NULL)
			tell_of(change, step);
		step->explained = change != NULL ||
			(changed && step->kind == PRISM_STEP_REPAIR && step->refusal == NULL);
	}
	return list_concat(steps, more);
}

void
prism_steps_explain_repairs(List *steps)
{
	ListCell   *cell;

	foreach(cell, steps)
	{
		PrismStep  *step = lfirst(cell);

		step->explained |= step->kind != PRISM_STEP_WARNING && step->refusal == NULL;
	}
}

/* It has a row of its own. */
static bool
is_shown(const PrismStep *step, bool plan)
{
	return !step->explained && (plan || step->kind != PRISM_STEP_DRIFT);
}

bool
prism_steps_are_quiet(const List *steps, bool plan)
{
	ListCell   *cell;

	foreach(cell, steps)
	{
		const PrismStep *step = lfirst(cell);

		if (is_shown(step, plan) && step->kind != PRISM_STEP_WARNING)
			return false;
	}
	return true;
}

/* ---------- refusals ---------- */

const PrismStep *
prism_steps_refused(const List *steps)
{
	ListCell   *cell;

	foreach(cell, steps)
	{
		const PrismStep *step = lfirst(cell);

		if (step->refusal != NULL)
			return step;
	}
	return NULL;
}

void
prism_step_throw(const PrismStep *step)
{
	const PrismRefusal *refusal = step->refusal;

	ereport(ERROR,
			errcode(refusal->sqlerrcode),
			errmsg("%s", refusal->message),
			refusal->detail != NULL ? errdetail("%s", refusal->detail) : 0,
			refusal->hint != NULL ? errhint("%s", refusal->hint) : 0,
			step->place != NULL ? prism_errplace(step->place) : 0);
}

/* ---------- rows ---------- */

void
prism_step_put(ReturnSetInfo *result, const PrismStepRow *row)
{
	const char *texts[] = {
		row->namespace, row->action, row->detail, row->part, row->before, row->after, row->mode, row->reason
	};
	Datum		values[lengthof(texts) + 1] = {0};
	bool		nulls[lengthof(values)] = {false};

	for (int i = 0; i < (int) lengthof(texts); i++)
	{
		nulls[i] = texts[i] == NULL;
		values[i] = texts[i] != NULL ? CStringGetTextDatum(texts[i]) : (Datum) 0;
	}
	nulls[lengthof(texts)] = row->place == NULL;
	values[lengthof(texts)] = row->place != NULL ? Int32GetDatum(row->place->line) : (Datum) 0;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static const char *
step_action(const PrismStep *step, bool plan)
{
	if (step->refusal != NULL)
		return "refused";
	if (step->kind == PRISM_STEP_WARNING)
		return "warning";
	return step->kind == PRISM_STEP_CHANGE || !plan ? "changed" : "drifted";
}

static const char *
step_detail(const PrismStep *step, bool plan)
{
	if (step->refusal != NULL)
		return psprintf("%s: %s", unpack_sql_state(step->refusal->sqlerrcode), step->refusal->message);
	if (step->kind == PRISM_STEP_CHANGE)
		return psprintf("%s: %s -> %s", step->part, step->before != NULL ? step->before : "none",
						step->after != NULL ? step->after : "none");
	return step->kind == PRISM_STEP_REPAIR && !plan ? psprintf("repaired: %s", step->detail) : step->detail;
}

/* Of an error all that its message does not say. */
static const char *
step_reason(const PrismStep *step)
{
	const PrismRefusal *refusal = step->refusal;

	if (refusal == NULL || refusal->detail == NULL || refusal->hint == NULL)
		return refusal == NULL ? step->reason : refusal->detail != NULL ? refusal->detail : refusal->hint;
	return psprintf("%s %s", refusal->detail, refusal->hint);
}

void
prism_steps_put(ReturnSetInfo *result, const PrismNamespace *wanted, const List *steps, bool plan)
{
	ListCell   *cell;

	foreach(cell, steps)
	{
		const PrismStep *step = lfirst(cell);
		PrismStepRow row = {
			.namespace = wanted->name,
			.action = step_action(step, plan),
			.detail = step_detail(step, plan),
			.part = step->part,
			.before = step->before,
			.after = step->after,
			.mode = step->kind >= PRISM_STEP_DRIFT ? NULL : prism_change_mode_name(step->mode),
			.reason = step_reason(step),
			.place = step->place != NULL ? step->place : &wanted->given->name.place
		};

		if (is_shown(step, plan))
			prism_step_put(result, &row);
	}
}
