/*-------------------------------------------------------------------------
 *
 * apply.c
 *	  prism.apply(), prism.plan() and prism.drop_namespace().
 *
 * apply() reads the whole configuration before it touches anything, and runs
 * in the caller's transaction: an error anywhere leaves nothing behind.
 * It waits for transactions that change the same namespace, topic or outbox
 * view, not for others; publishers and readers do not wait for it
 * (access_lock.c), but for a change of their topic's back end.
 *
 * src/api/apply.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/access.h"
#include "api/apply_parts.h"
#include "api/apply_places.h"
#include "api/arguments.h"
#include "base/extension.h"
#include "base/generation.h"
#include "base/object_id.h"
#include "base/query.h"
#include "bgworker/wakeup.h"
#include "namespace/spec.h"
#include "store/delay/delay.h"
#include "store/log/progress.h"
#include "store/log/topic.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(prism_apply);
PG_FUNCTION_INFO_V1(prism_plan);
PG_FUNCTION_INFO_V1(prism_drop_namespace);

static Datum apply_or_plan(FunctionCallInfo fcinfo, bool plan);
static PrismStoredNamespace **find_stored(const List *namespaces);
static List *names_of(const List *namespaces, PrismStoredNamespace **stored);
static void pin_choices(const List *namespaces, PrismStoredNamespace **stored);
static void ensure_own_topics(void);
static List *find_works(const List *namespaces, PrismStoredNamespace **stored);
static void shut_topics_of_sinks(const List *works);
static void process_namespace(ReturnSetInfo *result, PrismNamespaceWork *work, bool plan, PrismPlaces *places);
static void name_namespace(void *arg);
static List *list_steps(const PrismNamespaceWork *work, const char *config);
static List *topic_taken_steps(const PrismNamespaceWork *work);
static void make(PrismNamespaceWork *work, const char *config, const List *steps);
static void show(ReturnSetInfo *result, const PrismNamespaceWork *work, List *steps, bool plan);
static void explain_patterns(ReturnSetInfo *result, const PrismNamespace *wanted);
static void explain_notes(ReturnSetInfo *result, const PrismNamespace *wanted);
static void tell_choices(const PrismNamespace *wanted);
static char *describe(const PrismNamespace *namespace);
static void lock_all(const PrismStoredNamespace *namespace, bool force);
static void drop_topics(int32 namespace_id);

Datum
prism_apply(PG_FUNCTION_ARGS)
{
	return apply_or_plan(fcinfo, false);
}

Datum
prism_plan(PG_FUNCTION_ARGS)
{
	return apply_or_plan(fcinfo, true);
}

static Datum
apply_or_plan(FunctionCallInfo fcinfo, bool plan)
{
	char	   *config = prism_text_argument(fcinfo, 0, "config");
	List	   *namespaces;
	PrismStoredNamespace **stored;
	List	   *works;
	PrismPlaces places;
	ListCell   *cell;

	prism_require_preload();
	prism_check_version();
	InitMaterializedSRF(fcinfo, 0);
	namespaces = prism_namespaces_read(config, strlen(config));
	prism_access_lock_names(names_of(namespaces, find_stored(namespaces)), plan ? AccessShareLock : AccessExclusiveLock);
	stored = find_stored(namespaces);
	pin_choices(namespaces, stored);
	if (!plan)
		ensure_own_topics();
	works = find_works(namespaces, stored);
	if (!plan)
		shut_topics_of_sinks(works);
	places = prism_places_count();
	foreach(cell, works)
		process_namespace((ReturnSetInfo *) fcinfo->resultinfo, lfirst(cell), plan, &places);
	if (!plan)
	{
		prism_places_warn(-places.left);
		prism_wake_at_commit();
	}
	return (Datum) 0;
}

/* Of each what is stored, or NULL. */
static PrismStoredNamespace **
find_stored(const List *namespaces)
{
	const char **names = palloc_array(const char *, list_length(namespaces));
	PrismStoredNamespace **stored;
	ListCell   *cell;

	prism_access_refuse_old_snapshot();
	foreach(cell, namespaces)
		names[foreach_current_index(cell)] = ((PrismNamespace *) lfirst(cell))->name;
	stored = prism_namespaces_find(names, list_length(namespaces));
	foreach(cell, namespaces)
	{
		ErrorContextCallback context = {error_context_stack, name_namespace, lfirst(cell)};

		error_context_stack = &context;
		prism_access_require_admin(names[foreach_current_index(cell)], stored[foreach_current_index(cell)]);
		error_context_stack = context.previous;
	}
	return stored;
}

/* What they have and what they are to have: a namespace that wants a name which another one gives up waits for that one. */
static List *
names_of(const List *namespaces, PrismStoredNamespace **stored)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, namespaces)
	{
		const PrismNamespace *wanted = lfirst(cell);

		names = list_concat(names, prism_access_names(wanted->name, stored[foreach_current_index(cell)]));
		names = prism_access_add_name(names, PRISM_NAME_TOPIC, wanted->topic);
		names = prism_access_add_name(names, PRISM_NAME_TABLE, wanted->table);
	}
	return names;
}

/* What was chosen stays: what is stored is known now that its name is locked, and before anything is looked at. */
static void
pin_choices(const List *namespaces, PrismStoredNamespace **stored)
{
	ListCell   *cell;

	foreach(cell, namespaces)
	{
		PrismNamespace *wanted = lfirst(cell);
		ErrorContextCallback context = {error_context_stack, name_namespace, wanted};

		error_context_stack = &context;
		if (prism_namespace_chooses(wanted))
			prism_namespace_pin(wanted, stored[foreach_current_index(cell)]);
		error_context_stack = context.previous;
	}
}

/* At the first apply() in a database. */
static void
ensure_own_topics(void)
{
	if (prism_topic_lookup(PRISM_PROGRESS_TOPIC, true) != NULL && prism_topic_lookup(PRISM_DELAY_TOPIC, true) != NULL)
		return;
	prism_access_lock_shared_objects();
	prism_progress_ensure();
	prism_delay_ensure();
}

/* What there is of them; each knows those before it. */
static List *
find_works(const List *namespaces, PrismStoredNamespace **stored)
{
	List	   *works = NIL;
	ListCell   *cell;

	foreach(cell, namespaces)
	{
		PrismNamespaceWork *work = palloc0_object(PrismNamespaceWork);

		work->wanted = lfirst(cell);
		work->earlier = works != NIL ? llast(works) : NULL;
		work->stored = stored[foreach_current_index(cell)];
		work->namespace_id = work->stored != NULL ? work->stored->namespace_id : 0;
		works = lappend(works, work);
	}
	prism_works_look(works);
	return works;
}

/* All of them before the first is changed: nobody is kept from one for as long as somebody else uses another. */
static void
shut_topics_of_sinks(const List *works)
{
	List	   *marks = NIL;
	ListCell   *cell;

	foreach(cell, works)
	{
		const PrismNamespaceWork *work = lfirst(cell);
		PrismTopic *topic;

		if (work->topic_id == 0 || !prism_namespace_moves_sink(work))
			continue;
		topic = prism_topic_lookup_placeless(work->topic_id, true);
		if (topic != NULL && OidIsValid(topic->mark_relid))
			marks = list_append_unique_oid(marks, topic->mark_relid);
	}
	if (marks != NIL)
		prism_access_shut_topics(marks);
}

static void
process_namespace(ReturnSetInfo *result, PrismNamespaceWork *work, bool plan, PrismPlaces *places)
{
	ErrorContextCallback context = {error_context_stack, name_namespace, unconstify(PrismNamespace *, work->wanted)};
	char	   *config = prism_namespace_config(work->wanted);
	int			added;
	List	   *steps;
	const PrismStep *refused;

	error_context_stack = &context;
	steps = list_steps(work, config);
	added = prism_places_new(work);
	places->left -= added;
	if (plan)
		steps = prism_steps_add(steps, prism_places_steps(work, prism_namespace_needs_place(work), added, places), NULL);
	else
	{
		refused = prism_steps_refused(steps);
		if (refused != NULL)
			prism_step_throw(refused);
		make(work, config, steps);
	}
	show(result, work, steps, plan);
	error_context_stack = context.previous;
}

static void
name_namespace(void *arg)
{
	const PrismNamespace *namespace = arg;

	errcontext("namespace \"%s\", line %d, column %d of the configuration",
			   prism_yaml_show(namespace->name), prism_at(&namespace->given->name.place));
}

/* ---------- steps ---------- */

static List *
list_steps(const PrismNamespaceWork *work, const char *config)
{
	List	   *steps = work->stored != NULL ? prism_steps_of_configuration(work->wanted, work->stored->config, config) : NIL;

	steps = prism_steps_add(steps, topic_taken_steps(work), NULL);
	for (const PrismNamespacePart *part = prism_namespace_parts; part->steps != NULL; part++)
		steps = prism_steps_add(steps, part->steps(work), part);
	return steps;
}

/* A namespace of the document that is made before gives the topic up. */
static bool
is_given_up(const PrismNamespaceWork *work, int32 owner_id)
{
	for (const PrismNamespaceWork *other = work->earlier; other != NULL; other = other->earlier)
		if (other->namespace_id == owner_id && owner_id != 0)
			return true;
	return false;
}

/* The namespace that has the wanted topic, or an empty name: the caller does not see it.  NULL: it is free. */
static char *
owner_of_topic(const PrismNamespaceWork *work)
{
	if (!work->topic_is_taken || is_given_up(work, work->topic_owner_id))
		return NULL;
	if (work->topic_owner_id != 0 && prism_access_sees(work->topic_owner_id))
		return work->topic_owner;
	return pstrdup("");
}

static List *
topic_taken_steps(const PrismNamespaceWork *work)
{
	const PrismNamespace *wanted = work->wanted;
	char	   *owner = owner_of_topic(work);
	PrismRefusal *refusal;

	if (owner == NULL)
		return NIL;
	refusal = palloc0_object(PrismRefusal);
	refusal->sqlerrcode = ERRCODE_DUPLICATE_OBJECT;
	refusal->message = owner[0] != '\0'
		? psprintf("topic \"%s\" of namespace \"%s\" belongs to namespace \"%s\"", wanted->topic, wanted->name, owner)
		: psprintf("topic \"%s\" of namespace \"%s\" belongs to another namespace", wanted->topic, wanted->name);
	refusal->hint = "A topic belongs to one namespace: name another one by \"topic: ...\" in \"backend\".";
	return list_make1(prism_step_refuse("topic", refusal, wanted->topic_place));
}

static bool
has_step_of(const List *steps, const PrismNamespacePart *part)
{
	ListCell   *cell;

	foreach(cell, steps)
	{
		const PrismStep *step = lfirst(cell);

		if (step->kind == PRISM_STEP_REPAIR && step->made_by == part)
			return true;
	}
	return false;
}

static bool
has_change(const List *steps)
{
	return steps != NIL && ((const PrismStep *) linitial(steps))->kind == PRISM_STEP_CHANGE;
}

static void
make(PrismNamespaceWork *work, const char *config, const List *steps)
{
	bool		any = false;

	if (work->stored == NULL)
	{
		work->namespace_id = prism_next_object_id();
		prism_namespace_insert(work->namespace_id, work->wanted->name, config);
	}
	else if (has_change(steps))
	{
		prism_namespace_update(work->namespace_id, config);
		any = true;
	}
	for (const PrismNamespacePart *part = prism_namespace_parts; part->steps != NULL; part++)
		if (part->make != NULL && has_step_of(steps, part))
		{
			part->make(work);
			any = true;
		}
	if (any || work->stored == NULL)
		prism_catalog_changed();
}

/* ---------- the result ---------- */

/* Of a new namespace one row says all, unless it cannot be made. */
static void
show(ReturnSetInfo *result, const PrismNamespaceWork *work, List *steps, bool plan)
{
	const PrismNamespace *wanted = work->wanted;
	PrismStepRow row = {
		.namespace = wanted->name,
		.action = work->stored == NULL ? "created" : "unchanged",
		.detail = describe(wanted),
		.mode = prism_change_mode_name(PRISM_CHANGE_ONLINE),
		.place = &wanted->given->name.place
	};

	if (work->stored == NULL)
		prism_steps_explain_repairs(steps);
	if (prism_steps_are_quiet(steps, plan))
		prism_step_put(result, &row);
	prism_steps_put(result, wanted, steps, plan);
	if (plan)
	{
		explain_patterns(result, wanted);
		explain_notes(result, wanted);
	}
	else if (work->stored == NULL || has_change(steps))
		tell_choices(wanted);
}

static void
explain_patterns(ReturnSetInfo *result, const PrismNamespace *wanted)
{
	ListCell   *cell;

	foreach(cell, wanted->patterns)
	{
		const PrismChosenPattern *chosen = lfirst(cell);
		PrismStepRow row = {
			.namespace = wanted->name,
			.action = "pattern",
			.detail = psprintf("%s: %s (line %d, column %d)", chosen->pattern->name, chosen->reason, prism_at(chosen->place)),
			.part = psprintf("patterns.%s", chosen->pattern->name),
			.reason = chosen->reason,
			.place = chosen->place
		};

		prism_step_put(result, &row);
	}
}

/* What was chosen, and what is only unwise. */
static void
explain_notes(ReturnSetInfo *result, const PrismNamespace *wanted)
{
	ListCell   *cell;

	foreach(cell, wanted->notes)
	{
		const PrismNote *note = lfirst(cell);

		PrismStepRow row = {
			.namespace = wanted->name,
			.action = note->action,
			.detail = psprintf("%s (line %d, column %d)", note->text, prism_at(note->place)),
			.place = note->place
		};

		prism_step_put(result, &row);
	}
}

/* Nobody named the back end: who applies without planning hears which one it is. */
static void
tell_choices(const PrismNamespace *wanted)
{
	ListCell   *cell;

	foreach(cell, wanted->notes)
	{
		const PrismNote *note = lfirst(cell);

		if (strcmp(note->action, "backend") == 0)
			ereport(NOTICE,
					errmsg("backend of namespace \"%s\" is %s", prism_yaml_show(wanted->name), note->text));
	}
}

static char *
describe(const PrismNamespace *namespace)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	appendStringInfo(&text, "topic %s", namespace->topic);
	foreach(cell, namespace->patterns)
	{
		const PrismChosenPattern *chosen = lfirst(cell);

		appendStringInfo(&text, " -> %s", chosen->pattern->name);
		if (chosen->needed)
			appendStringInfo(&text, " (%s)", chosen->reason);
	}
	appendStringInfo(&text, " -> %s", namespace->backend->name);
	if (prism_namespace_has_sink(namespace))
		appendStringInfo(&text, " topic %s", namespace->target);
	if (namespace->server != NULL)
		appendStringInfo(&text, " at server %s", namespace->server);
	appendStringInfoString(&text, namespace->exactly_once ? ", exactly once" : "");
	return text.data;
}

/* ---------- drop_namespace ---------- */

/* (name, force) */
Datum
prism_drop_namespace(PG_FUNCTION_ARGS)
{
	char	   *name = prism_text_argument(fcinfo, 0, "name");
	bool		force = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	PrismStoredNamespace *namespace;
	int			nest_level;

	prism_require_preload();
	prism_check_version();
	namespace = prism_access_find_and_lock(name);
	lock_all(namespace, force);
	nest_level = prism_access_begin_patience();
	prism_access_take_all(namespace->namespace_id);
	if (namespace->table != NULL)
		prism_namespace_drop_table(namespace->table, namespace->namespace_id, force);
	drop_topics(namespace->namespace_id);
	prism_query(psprintf("DROP VIEW IF EXISTS prism_log.namespace_%d", namespace->namespace_id),
				0, NULL, NULL, NULL);
	prism_namespace_delete(namespace->namespace_id);
	prism_access_end_patience(nest_level);
	prism_catalog_changed();
	prism_wake_at_commit();
	PG_RETURN_VOID();
}

/* List of the numbers of its topics. */
static List *
topics_of(int32 namespace_id)
{
	PrismQueryRows rows = prism_query_one("SELECT topic_id FROM prism.topic WHERE namespace_id = $1 ORDER BY topic_id", namespace_id);
	List	   *topics = NIL;

	for (uint64 i = 0; i < rows.count; i++)
		topics = lappend_int(topics, prism_column_int32(&rows.row[i], 1));
	prism_query_free(&rows);
	return topics;
}

/*
 * Nobody puts anything behind what is looked at.  What waits for a sink in a topic
 * without a place in shared memory cannot be: without 'force' that is an error.
 */
static void
shut_topic(int32 topic_id, bool force)
{
	const PrismRefusal *refusal;
	char	   *name;

	prism_topic_shut(topic_id);
	if (force)
		return;
	name = pstrdup(prism_topic_lookup_placeless(topic_id, false)->name);
	refusal = prism_namespace_waiting(topic_id, name, false,
									  "Let the sink catch up, or lose them by prism.drop_namespace(name, force => true).");
	if (refusal != NULL)
		prism_step_throw(prism_step_refuse("backend", refusal, NULL));
	if (prism_delay_waiting(topic_id))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("messages of topic \"%s\" wait for the time of their delivery", name),
				errdetail("prism.topics shows how many, and when the next one is due."),
				errhint("Wait until they are delivered, or lose them by prism.drop_namespace(name, force => true)."));
}

/*
 * Dead letters are topics of their own.  While a drop waits for those who use
 * the topic, one of them may make it: look again until there is no other.
 */
static List *
shut_topics(int32 namespace_id, bool force)
{
	List	   *shut = NIL;
	List	   *others;
	ListCell   *cell;

	while ((others = list_difference_int(topics_of(namespace_id), shut)) != NIL)
	{
		foreach(cell, others)
			shut_topic(lfirst_int(cell), force);
		shut = list_concat(shut, others);
	}
	return shut;
}

/*
 * Its publishers and readers are waited for as long as they take, and nobody
 * else waits for that: no role is locked meanwhile.  Nor do they wait for who is
 * at work on the rights of a role: then they are let in once more.
 */
static void
lock_all(const PrismStoredNamespace *namespace, bool force)
{
	for (;;)
	{
		Oid			view = prism_namespace_lock_table(namespace->table, namespace->namespace_id);
		List	   *topics = shut_topics(namespace->namespace_id, force);
		ListCell   *cell;

		if (prism_access_try_take(namespace->namespace_id))
			return;
		foreach(cell, topics)
			prism_topic_open_again(lfirst_int(cell));
		if (OidIsValid(view))
			UnlockRelationOid(view, AccessExclusiveLock);
		CHECK_FOR_INTERRUPTS();
		prism_access_await_take(namespace->namespace_id);
	}
}

/* With their messages, groups and sinks. */
static void
drop_topics(int32 namespace_id)
{
	ListCell   *cell;

	foreach(cell, topics_of(namespace_id))
		prism_topic_drop(lfirst_int(cell));
}
