/*-------------------------------------------------------------------------
 *
 * apply_parts.c
 *	  Rights view, topic, segments, consumer groups and outbox view of a
 *	  namespace; its sink is in apply_sink.c.
 *
 * src/api/apply_parts.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/access.h"
#include "api/apply_broker.h"
#include "api/apply_parts.h"
#include "base/object_id.h"
#include "base/ownership.h"
#include "base/query.h"
#include "namespace/units.h"
#include "pattern/chain.h"
#include "store/group/group.h"
#include "store/log/dead_letter.h"
#include "store/log/segment_repair.h"
#include "store/log/topic.h"
#include "store/sink/sink_ddl.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

/* What a chain says that is not looked at, as another store takes its place. */
#define ANY_STORE 1

/* The outbox view, as a part of a namespace. */
#define TABLE_PART "patterns.outbox.table"

static List *rights_steps(const PrismNamespaceWork *work);
static void make_rights(PrismNamespaceWork *work);
static List *topic_steps(const PrismNamespaceWork *work);
static void make_topic(PrismNamespaceWork *work);
static List *segments_steps(const PrismNamespaceWork *work);
static void repair_segments(PrismNamespaceWork *work);
static List *consumers_steps(const PrismNamespaceWork *work);
static void make_consumers(PrismNamespaceWork *work);
static List *table_steps(const PrismNamespaceWork *work);
static void make_table(PrismNamespaceWork *work);
static bool is_our_table(const char *table, int32 namespace_id);
static const PrismRefusal *dependents_refusal(const char *table, bool *any);

const PrismNamespacePart prism_namespace_parts[] = {
	{{NULL}, rights_steps, make_rights},
	{{"topic", "client_api", "needs.", "patterns", NULL}, topic_steps, make_topic},
	{{NULL}, segments_steps, repair_segments},
	{{"topic", "backend.", "needs.", "patterns", NULL}, prism_namespace_sink_steps, prism_namespace_make_sink},
	{{NULL}, prism_broker_steps, NULL},
	{{"consumers.", "needs.", NULL}, consumers_steps, make_consumers},
	{{"topic", "patterns", NULL}, table_steps, make_table},
	{{NULL}, NULL, NULL}
};

/* ---------- rights view ---------- */

static List *
rights_steps(const PrismNamespaceWork *work)
{
	if (OidIsValid(prism_access_view(work->namespace_id)))
		return NIL;
	return list_make1(prism_step_repair("rights", NULL, NULL, pstrdup("its rights view is missing: whatever was granted is lost")));
}

static void
make_rights(PrismNamespaceWork *work)
{
	prism_query(psprintf("CREATE VIEW prism_log.namespace_%d AS SELECT %s::text AS namespace",
						 work->namespace_id, quote_literal_cstr(work->wanted->name)),
				0, NULL, NULL, NULL);
	CommandCounterIncrement();
	prism_own_relation(prism_access_view(work->namespace_id));
}

/* ---------- topic ---------- */

static Jsonb *
chain_value(const char *chain)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(chain)));
}

/* The store's number if it is where the payloads are to go; 0: another one has to be made. */
static int32
store_at(const PrismStoreRow *store, const PrismStorePlace *place)
{
	return store != NULL && prism_store_is_at(store, place) ? store->store_id : 0;
}

/* With the topic's store, if that is as wanted; else it is another one than what is stored. */
static char *
wanted_chain(const PrismNamespaceWork *work)
{
	PrismStorePlace place;

	if (!prism_namespace_store_place(work->wanted, &place))
		return prism_namespace_chain(work->wanted, 0);
	return prism_namespace_chain(work->wanted, store_at(work->store, &place));
}

static char *
wanted_letters_chain(const PrismNamespaceWork *work)
{
	PrismStorePlace place;
	int32		store_id = prism_namespace_store_place(work->wanted, &place) ? store_at(work->letters_store, &place) : 0;

	return prism_chain_of_dead_letters(chain_value(prism_namespace_chain(work->wanted, ANY_STORE)), store_id);
}

/* NULL: there is no topic of dead letters, or it is as its topic wants it. */
static PrismStep *
dead_letters_step(const PrismNamespaceWork *work)
{
	const PrismNamespace *wanted = work->wanted;

	if (work->letters_chain == NULL)
		return NULL;
	if (!prism_same_text(work->letters_policy, prism_topic_policy_of_dead_letters(&wanted->policy)))
		return prism_step_repair("needs", NULL, NULL, psprintf("the policy of its dead letters is %s", work->letters_policy));
	if (!prism_same_text(work->letters_chain, wanted_letters_chain(work)))
		return prism_step_repair("patterns", NULL, NULL, psprintf("the chain of its dead letters is %s", work->letters_chain));
	return NULL;
}

static List *
topic_steps(const PrismNamespaceWork *work)
{
	const PrismNamespace *wanted = work->wanted;
	char	   *policy = prism_topic_policy_text(&wanted->policy);
	List	   *steps = NIL;
	PrismStep  *letters;

	if (work->topic_id == 0)
		return list_make1(prism_step_repair("topic", NULL, wanted->topic, psprintf("its topic \"%s\" is missing", wanted->topic)));
	if (!prism_same_text(work->topic_name, wanted->topic))
		steps = lappend(steps, prism_step_repair("topic", work->topic_name, wanted->topic,
												 psprintf("its topic is called \"%s\"", work->topic_name)));
	if (work->message_bytes_max != wanted->message_bytes_max)
		steps = lappend(steps, prism_step_repair("needs.max_message_size", prism_write_size(work->message_bytes_max),
												 prism_write_size(wanted->message_bytes_max),
												 psprintf("its topic takes messages of " INT64_FORMAT " bytes", work->message_bytes_max)));
	if (!prism_same_text(work->policy, policy))
		steps = lappend(steps, prism_step_repair("needs", work->policy, policy,
												 psprintf("its topic's policy is %s", work->policy)));
	if (!prism_same_text(work->chain, wanted_chain(work)))
		steps = lappend(steps, prism_step_repair("patterns", NULL, NULL, psprintf("its topic's chain is %s", work->chain)));
	letters = dead_letters_step(work);
	return letters != NULL ? lappend(steps, letters) : steps;
}

/*
 * Dead letters follow their topic's name, and are kept as long; so do those of
 * dead letters.  Returns the chain of the first ones, or NULL.
 */
static char *
alter_dead_letters(int32 topic_id, const char *topic_name, const char *policy, char *chain)
{
	char	   *first = NULL;
	static const char query[] = "SELECT topic_id, message_bytes_max FROM prism.topic WHERE dead_letter_of = $1";
	PrismQueryRows letters;

	while ((letters = prism_query_one(query, topic_id)).count > 0)
	{
		topic_id = prism_column_int32(&letters.row[0], 1);
		topic_name = prism_dead_letter_topic_name(topic_name);
		chain = prism_chain_for_dead_letters(chain_value(chain), topic_id);
		if (first == NULL)
			first = chain;
		prism_topic_alter(topic_id, topic_name, prism_column_int64(&letters.row[0], 2), policy, chain);
	}
	return first;
}

/* Where its large payloads go from now on, by its number; 0: nowhere. */
static int32
make_store(int32 topic_id, const PrismNamespace *wanted)
{
	PrismStorePlace place;

	if (prism_namespace_store_place(wanted, &place))
		return prism_store_put(topic_id, &place);
	prism_store_retire(topic_id);
	return 0;
}

static void
make_topic(PrismNamespaceWork *work)
{
	const PrismNamespace *wanted = work->wanted;
	char	   *policy = prism_topic_policy_text(&wanted->policy);
	int32		topic_id = work->topic_id != 0 ? work->topic_id : prism_next_object_id();
	char	   *chain = prism_namespace_chain(wanted, make_store(topic_id, wanted));

	prism_chain_check(chain);
	if (work->topic_id == 0)
	{
		prism_topic_create(topic_id, wanted->topic, work->namespace_id, wanted->message_bytes_max, policy, chain, 0);
		work->topic_id = topic_id;
	}
	else
	{
		/* in the order in which they are made: the topic comes first */
		if (prism_namespace_moves_sink(work))
			prism_topic_shut(work->topic_id);
		/* one that somebody is making has the former name, and is not there to be altered */
		prism_access_lock_dead_letters(work->topic_id, work->topic_name);
		prism_topic_alter(work->topic_id, wanted->topic, wanted->message_bytes_max, policy, chain);
		work->letters_chain = alter_dead_letters(work->topic_id, wanted->topic, prism_topic_policy_of_dead_letters(&wanted->policy), chain);
	}
	work->topic_name = wanted->topic;
	work->message_bytes_max = wanted->message_bytes_max;
	work->policy = policy;
	work->chain = chain;
	if (work->letters_chain != NULL)
		work->letters_policy = prism_topic_policy_of_dead_letters(&wanted->policy);
}

/* ---------- segments ---------- */

static List *
segments_steps(const PrismNamespaceWork *work)
{
	int			missing = list_length(prism_segments_missing(work->topic_id));

	if (missing == 0)
		return NIL;
	return list_make1(prism_step_repair("segments", NULL, NULL,
										psprintf("%d of its segments are missing: their messages are lost", missing)));
}

static void
repair_segments(PrismNamespaceWork *work)
{
	prism_segments_repair(work->topic_id);
}

/* ---------- consumer groups ---------- */

static PrismGroupOptions
wanted_options(const PrismConsumer *consumer)
{
	Jsonb	   *config = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(consumer->config)));

	return prism_group_options_read(&config->root);
}

/* NULL: it is there, with the wanted options. */
static PrismStep *
consumer_step(int32 topic_id, const PrismConsumer *consumer)
{
	const char *part = psprintf("consumers.%s", consumer->group);
	PrismGroupOptions wanted = wanted_options(consumer);
	PrismGroupOptions found;
	char	   *options;

	if (topic_id == 0 || !prism_group_find_options(topic_id, consumer->group, &found))
		return prism_step_repair(part, NULL, consumer->config, psprintf("its consumer group \"%s\" is missing", consumer->group));
	if (prism_group_options_equal(&found, &wanted))
		return NULL;
	options = prism_group_options_write(&found);
	return prism_step_repair(part, options, consumer->config,
							 psprintf("its consumer group \"%s\" is set to %s", consumer->group, options));
}

/* Groups that the configuration does not name are their consumers' own. */
static List *
consumers_steps(const PrismNamespaceWork *work)
{
	List	   *steps = NIL;
	ListCell   *cell;

	foreach(cell, work->wanted->consumers)
	{
		PrismStep  *step = consumer_step(work->topic_id, lfirst(cell));

		if (step != NULL)
			steps = lappend(steps, step);
	}
	return steps;
}

static void
make_consumers(PrismNamespaceWork *work)
{
	PrismTopic *topic = prism_topic_lookup_id(work->topic_id, false);
	ListCell   *cell;

	foreach(cell, work->wanted->consumers)
	{
		const PrismConsumer *consumer = lfirst(cell);
		PrismGroupOptions options = wanted_options(consumer);

		if (consumer_step(work->topic_id, consumer) != NULL)
			prism_group_set_options(topic, consumer->group, &options);
	}
}

/* A group begins at a position of the topic, which is known in shared memory alone. */
bool
prism_namespace_needs_place(const PrismNamespaceWork *work)
{
	return consumers_steps(work) != NIL;
}

/* ---------- outbox view ---------- */

/* Of a relation in schema prism: is it something else than an outbox view, and is it the wanted one? */
static const char table_query[] =
"SELECT CASE"
" WHEN c.relkind <> 'v' OR c.relowner <> e.extowner OR EXISTS (SELECT FROM pg_depend d"
"   WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') THEN 'taken'"
" WHEN strpos(pg_get_viewdef(c.oid), quote_literal($2)) = 0 THEN 'shows another topic'"
" WHEN NOT EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
"   WHERE t.tgrelid = c.oid AND t.tgenabled <> 'D' AND p.proname = 'outbox_insert'"
"   AND p.pronamespace = c.relnamespace"
"   AND t.tgargs = convert_to($2, 'UTF8') || decode('00', 'hex')) THEN 'takes no inserts'"
" ELSE 'good' END"
" FROM pg_class c, pg_extension e"
" WHERE e.extname = 'prism' AND c.relname = $1 AND c.relnamespace = 'prism'::regnamespace";

/* One of the query's words, or NULL when nothing has the name. */
static char *
table_state(const char *table, const char *topic)
{
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(table), CStringGetTextDatum(topic)};
	PrismQueryRows rows = prism_query(table_query, lengthof(types), types, values, NULL);

	return rows.count == 0 ? NULL : prism_column_text(&rows.row[0], 1);
}

/* Also of one whose view is lost: it comes back when that namespace is applied, and is known by its name then. */
static bool
belongs_to_another(const char *table, int32 namespace_id)
{
	Oid			types[] = {TEXTOID, INT4OID};
	Datum		values[] = {CStringGetTextDatum(table), Int32GetDatum(namespace_id)};

	return prism_query("SELECT FROM prism.namespace WHERE namespace_id <> $2 AND config @> jsonb_build_object("
					   "'patterns', jsonb_build_array(jsonb_build_object('type', 'outbox', 'table', $1)))",
					   lengthof(types), types, values, NULL).count > 0;
}

static const PrismRefusal *
taken_refusal(const char *table, bool lost)
{
	PrismRefusal *refusal = palloc0_object(PrismRefusal);

	refusal->sqlerrcode = ERRCODE_DUPLICATE_TABLE;
	refusal->message = psprintf("relation \"%s\" already exists in schema prism", table);
	refusal->detail = lost ? "It is the outbox view of another namespace, lost until that one is applied again." : NULL;
	refusal->hint = "Choose another name by \"table: ...\"; it becomes a view in schema prism.";
	return refusal;
}

static List *
former_table_steps(const PrismNamespaceWork *work, const char *former)
{
	const PrismRefusal *refusal;
	PrismStep  *step;

	if (former == NULL)
		return NIL;
	step = prism_step_repair(TABLE_PART, former, NULL, psprintf("it has the outbox view prism.%s", quote_identifier(former)));
	refusal = is_our_table(former, work->namespace_id) ? dependents_refusal(former, NULL) : NULL;
	if (refusal != NULL)
	{
		step->refusal = refusal;
		step->mode = PRISM_CHANGE_REFUSED;
	}
	return list_make1(step);
}

/* A namespace that stands before this one in the document has given it up by then; no two want the same. */
static bool
is_freed(const PrismNamespaceWork *work)
{
	for (const PrismNamespaceWork *other = work->earlier; other != NULL; other = other->earlier)
		if (other->stored != NULL && prism_same_text(other->stored->table, work->wanted->table))
			return true;
	return false;
}

static List *
table_steps(const PrismNamespaceWork *work)
{
	const PrismNamespace *wanted = work->wanted;
	char	   *former = work->stored != NULL ? work->stored->table : NULL;
	bool		ours = prism_same_text(former, wanted->table);
	char	   *state;
	bool		freed;

	if (wanted->table == NULL)
		return former_table_steps(work, former);

	state = table_state(wanted->table, wanted->topic);
	freed = is_freed(work);
	if (freed)
		state = NULL;
	if ((state != NULL && (!ours || strcmp(state, "taken") == 0)) ||
		(!freed && (state == NULL || strcmp(state, "good") != 0) && belongs_to_another(wanted->table, work->namespace_id)))
		return list_make1(prism_step_refuse(TABLE_PART, taken_refusal(wanted->table, state == NULL), wanted->table_place));
	if (state == NULL)
		return list_make1(prism_step_repair(TABLE_PART, NULL, wanted->table,
											psprintf("its outbox view prism.%s is missing", quote_identifier(wanted->table))));
	if (strcmp(state, "good") == 0)
		return NIL;
	return list_make1(prism_step_repair(TABLE_PART, NULL, NULL,
										psprintf("its outbox view prism.%s %s", quote_identifier(wanted->table), state)));
}

static bool
is_our_table(const char *table, int32 namespace_id)
{
	char	   *state = table_state(table, "");

	return state != NULL && strcmp(state, "taken") != 0 && !belongs_to_another(table, namespace_id);
}

/*
 * What users have made on an outbox view and on its type: 'objects' without
 * what lies in a temporary schema, as people read them; whether there is anything.
 */
static const char dependents_query[] =
"SELECT string_agg(DISTINCT CASE WHEN w.oid IS NULL THEN pg_describe_object(d.classid, d.objid, d.objsubid) ELSE pg_describe_object('pg_class'::regclass, w.oid, 0) END"
"   || coalesce(' of role ' || pg_get_userbyid(w.relowner), ''), ', ') FILTER (WHERE lies.schema IS NULL OR lies.schema !~ '^pg_temp'),"
" count(*) > 0"
" FROM pg_class v JOIN pg_type t ON t.oid = v.reltype"
" JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = v.oid"
"  OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray)"
" LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid"
" LEFT JOIN pg_class w ON w.oid = r.ev_class"
/* of a part of a relation, of what has a schema of its own, of a cast to a type */
" CROSS JOIN LATERAL (SELECT coalesce("
"  (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = coalesce(r.ev_class,"
"    (SELECT adrelid FROM pg_attrdef WHERE d.classid = 'pg_attrdef'::regclass AND oid = d.objid),"
"    (SELECT tgrelid FROM pg_trigger WHERE d.classid = 'pg_trigger'::regclass AND oid = d.objid),"
"    (SELECT polrelid FROM pg_policy WHERE d.classid = 'pg_policy'::regclass AND oid = d.objid))),"
"  (pg_identify_object(d.classid, d.objid, d.objsubid)).schema,"
"  (SELECT max(n.nspname) FROM pg_cast k JOIN pg_type y ON y.oid IN (k.castsource, k.casttarget)"
"    JOIN pg_namespace n ON n.oid = y.typnamespace"
"    WHERE d.classid = 'pg_cast'::regclass AND k.oid = d.objid AND n.nspname ~ '^pg_temp')) AS schema) lies"
" WHERE v.oid = $1 AND d.deptype = 'n' AND w.oid IS DISTINCT FROM v.oid";

Oid
prism_namespace_lock_table(const char *table, int32 namespace_id)
{
	Oid			view;

	if (table == NULL || !is_our_table(table, namespace_id))
		return InvalidOid;
	view = get_relname_relid(table, get_namespace_oid("prism", false));
	LockRelationOid(view, AccessExclusiveLock);
	return view;
}

/*
 * Temporary objects end with their sessions, and nobody but they can drop them:
 * they go along.  What else somebody has made there is his work.  '*any', unless
 * NULL: there is something of either kind.
 */
static const PrismRefusal *
dependents_refusal(const char *table, bool *any)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(get_relname_relid(table, get_namespace_oid("prism", false)))};
	PrismQueryRows dependents = prism_query_latest(dependents_query, lengthof(types), types, values, 1);
	char	   *objects = prism_column_text(&dependents.row[0], 1);
	PrismRefusal *refusal;

	if (any != NULL)
		*any = prism_column_bool(&dependents.row[0], 2);
	if (objects == NULL)
		return NULL;
	refusal = palloc0_object(PrismRefusal);
	refusal->sqlerrcode = ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST;
	refusal->message = psprintf("cannot drop the outbox view prism.%s because other objects depend on it", quote_identifier(table));
	refusal->detail = psprintf("Depending on it: %s.", objects);
	refusal->hint = psprintf("Have them dropped by their owners, or run as the owner of the extension: DROP VIEW prism.%s CASCADE. Dropping a namespace by prism.drop_namespace(name, force => true) takes them along.",
							 quote_identifier(table));
	return refusal;
}

/* By 'force' what somebody has made there goes too. */
void
prism_namespace_drop_table(const char *table, int32 namespace_id, bool force)
{
	const PrismRefusal *refusal;
	bool		cascade;

	/* nobody makes another one behind the look */
	if (!OidIsValid(prism_namespace_lock_table(table, namespace_id)))
		return;
	refusal = dependents_refusal(table, &cascade);
	if (refusal != NULL && !force)
		prism_step_throw(prism_step_refuse(TABLE_PART, refusal, NULL));
	prism_query(psprintf("DROP VIEW IF EXISTS prism.%s %s", quote_identifier(table), cascade ? "CASCADE" : "RESTRICT"),
				0, NULL, NULL, NULL);
}

/* Is there a view to go on with, under the wanted name? */
static bool
keep_table(const char *former, const char *wanted, int32 namespace_id)
{
	if (former == NULL || !is_our_table(former, namespace_id))
		return false;
	if (strcmp(former, wanted) != 0)
		prism_query(psprintf("ALTER VIEW prism.%s RENAME TO %s", quote_identifier(former), quote_identifier(wanted)),
					0, NULL, NULL, NULL);
	return true;
}

/*
 * The former one is changed, not dropped: whoever may read it may have views on
 * it, which its namespace's administrator cannot drop.
 *
 * Of the same shape as prism.outbox: SELECT shows the topic's messages, INSERT
 * and COPY publish.
 */
static void
make_table(PrismNamespaceWork *work)
{
	const PrismNamespace *wanted = work->wanted;
	const char *view;
	const char *topic;
	const char *former = work->stored != NULL ? work->stored->table : NULL;
	bool		kept;

	if (former != NULL && is_our_table(former, work->namespace_id))
		prism_access_lock_view(get_relname_relid(former, get_namespace_oid("prism", false)), former);
	if (wanted->table == NULL)
	{
		prism_namespace_drop_table(former, work->namespace_id, false);
		return;
	}
	kept = keep_table(former, wanted->table, work->namespace_id);

	view = psprintf("prism.%s", quote_identifier(wanted->table));
	topic = quote_literal_cstr(wanted->topic);
	prism_query(psprintf("CREATE OR REPLACE VIEW %s AS SELECT m.id, m.topic, m.key, m.headers, prism_internal.payload_text(m.payload) AS payload,"
						 " m.\"position\", m.created_at, m.published_at, m.deliver_at"
						 " FROM prism_internal.outbox_messages(%s) AS m", view, topic),
				0, NULL, NULL, NULL);
	prism_query(psprintf("CREATE OR REPLACE TRIGGER publish INSTEAD OF INSERT ON %s"
						 " FOR EACH ROW EXECUTE FUNCTION prism.outbox_insert(%s)", view, topic),
				0, NULL, NULL, NULL);
	CommandCounterIncrement();
	if (!kept)
		prism_own_relation(get_relname_relid(wanted->table, get_namespace_oid("prism", false)));
	prism_access_sync_outbox(work->namespace_id, wanted->table);
}
