/*-------------------------------------------------------------------------
 *
 * doctor.c
 *	  prism.doctor(): what is missing here, and the very line to set.
 *
 * One function a check; each puts a row or more.  The states are ok, note
 * (nothing wrong, but good to know), warning (works, but not for ever or not
 * for all) and error (something does not work).
 *
 * Everything here also runs without preload and on a standby; checks of what
 * is then not there are left out, and the first rows say why.
 *
 * src/observe/doctor.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/guc.h"
#include "base/patience.h"
#include "base/query.h"
#include "store/log/counter.h"
#include "store/log/segment_misplaced.h"
#include "store/log/topic.h"

#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "replication/logicallauncher.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(prism_doctor);

/* A commit that holds up readers longer than this is worth a look. */
#define COMMIT_SECONDS_USUAL 10

typedef struct Report
{
	ReturnSetInfo *result;
	bool		has_shared;		/* preloaded, and not a standby */
	bool		is_owner;		/* is the caller the owner? */
	int			misplaced;		/* topics with rows in another segment than their own */
	int			unseen;			/* topics of which something could not be looked at */
} Report;

static void put(Report *report, const char *item, const char *state, const char *format,...) pg_attribute_printf(4, 5);

/* A row of the report; format NULL: no hint. */
static void
put(Report *report, const char *item, const char *state, const char *format,...)
{
	Datum		values[3] = {CStringGetTextDatum(item), CStringGetTextDatum(state)};
	bool		nulls[3] = {false, false, format == NULL};

	if (format != NULL)
	{
		StringInfoData hint;
		va_list		args;
		int			missing;

		initStringInfo(&hint);
		do
		{
			va_start(args, format);
			missing = appendStringInfoVA(&hint, format, args);
			va_end(args);
			if (missing > 0)
				enlargeStringInfo(&hint, missing);
		} while (missing > 0);
		values[2] = CStringGetTextDatum(hint.data);
	}
	tuplestore_putvalues(report->result->setResult, report->result->setDesc, values, nulls);
}

/* ---------- settings ---------- */

/* A setting's value, or NULL on a server that does not know it. */
static const char *
setting(const char *name)
{
	return GetConfigOption(name, true, false);
}

static bool
list_contains(const char *list, const char *wanted)
{
	List	   *names;
	ListCell   *cell;

	if (!SplitDirectoriesString(pstrdup(list), ',', &names))
		return false;
	foreach(cell, names)
	{
		const char *name = lfirst(cell);

		if (pg_strcasecmp(name, wanted) == 0)
			return true;
	}
	return false;
}

/* The line of postgresql.conf that adds prism to a list. */
static char *
line_with_prism(const char *name, const char *list)
{
	return psprintf("%s = '%s%sprism'", name, list, list[0] != '\0' ? ", " : "");
}

static void
check_library(Report *report)
{
	const char *installed = prism_installed_version();

	if (installed != NULL && strcmp(installed, PRISM_VERSION) == 0)
		put(report, "library", "ok", "Library and SQL are of version %s.", PRISM_VERSION);
	else
		put(report, "library", "error",
			"The library is of version %s, the SQL of %s. Run: ALTER EXTENSION prism UPDATE; if the library is the older one, restart the server first.",
			PRISM_VERSION, installed != NULL ? installed : "none");
}

/* Callbacks of a commit run in the opposite order of loading (store/commit_order.c). */
static void
check_preload_order(Report *report, const char *libraries)
{
	List	   *names;
	ListCell   *cell;
	StringInfoData before;
	StringInfoData after;
	StringInfo	place = &before;

	initStringInfo(&before);
	initStringInfo(&after);
	if (!SplitDirectoriesString(pstrdup(libraries), ',', &names))
		return;
	foreach(cell, names)
	{
		const char *name = lfirst(cell);

		if (pg_strcasecmp(name, "prism") == 0)
			place = &after;
		else
			appendStringInfo(place, ", %s", name);
	}
	if (before.len > 0)
		put(report, "preload order", "note",
			"What libraries named before prism do at a commit comes after prism has registered its messages: if one waits there, as for another server, readers of the topics wait too. Unless a library asks to be the first, set in postgresql.conf and restart the server: shared_preload_libraries = 'prism%s%s'",
			before.data, after.data);
}

static void
check_preload(Report *report)
{
	const char *libraries = setting("shared_preload_libraries");

	if (prism_preloaded)
	{
		put(report, "preload", "ok", NULL);
		check_preload_order(report, libraries);
	}
	else if (list_contains(libraries, "prism"))
		put(report, "preload", "error", "shared_preload_libraries names prism, but the server was started before that: restart it.");
	else
		put(report, "preload", "error", "Nothing can be published, read or forwarded. Set in postgresql.conf and restart the server: %s",
			line_with_prism("shared_preload_libraries", libraries));
	if (RecoveryInProgress())
		put(report, "standby", "note", "This server is a standby: prism begins to work when it is promoted.");
}

/* What needs.durability promises, the server must be able to keep. */
static void
check_fsync(Report *report)
{
	if (enableFsync)
		put(report, "fsync", "ok", NULL);
	else
		put(report, "fsync", "warning",
			"Set fsync = on: without it a crash of the machine loses or damages what was committed, also where a namespace has durability: strong.");
}

static void
check_wal_level(Report *report)
{
	const char *level = setting("wal_level");

	if (strcmp(level, "logical") == 0)
		put(report, "wal_level", "ok", NULL);
	else
		put(report, "wal_level", "note",
			"It is %s: enough for publishing and forwarding; change data capture needs, with a restart: wal_level = logical", level);
}

static void
check_output_plugin(Report *report)
{
	static const char *const name = "output_plugin_libraries";
	const char *libraries = setting(name);

	if (libraries == NULL)
		put(report, name, "ok", "This server does not restrict output plugins and does not know the setting: leave it out.");
	else if (list_contains(libraries, "prism") || list_contains(libraries, "*"))
		put(report, name, "ok", NULL);
	else
		put(report, name, "note", "Not needed for publishing and forwarding; change data capture needs: %s",
			line_with_prism(name, libraries));
}

static void
check_topic_slots(Report *report)
{
	int			used;

	if (!prism_preloaded)
		return;
	used = prism_counter_slots_used();
	if (used * 10 >= prism_max_topics * 9)
		put(report, "prism.max_topics", used < prism_max_topics ? "warning" : "error",
			"%d of %d topics are in use, over all databases. Set in postgresql.conf and restart the server: prism.max_topics = %d",
			used, prism_max_topics, prism_max_topics * 2);
	else
		put(report, "prism.max_topics", "ok", "%d of %d topics are in use, over all databases.", used, prism_max_topics);
}

/* ---------- what the database says ---------- */

typedef void (*RowFunction) (Report *report, const PrismQueryRow *row);

/* Call the function for each row of the query, which runs as the extension's owner; returns how many there were. */
static uint64
for_each(Report *report, const char *query, RowFunction function)
{
	PrismQueryRows rows = prism_query_read(query, 0, NULL, NULL, 0);

	for (uint64 i = 0; i < rows.count; i++)
		function(report, &rows.row[i]);
	return rows.count;
}

/* Columns: consumer groups of this database. */
static void
put_group_room(Report *report, const PrismQueryRow *row)
{
	int			groups = atoi(prism_column_text(row, 1));

	if (groups * 10 >= prism_max_groups * 9)
		put(report, "prism.max_groups", groups > prism_max_groups ? "error" : "warning",
			"This database has %d consumer groups, %d can be in use over all databases. Set in postgresql.conf and restart the server: prism.max_groups = %d",
			groups, prism_max_groups, Max(groups, prism_max_groups) * 2);
	else
		put(report, "prism.max_groups", "ok", "This database has %d consumer groups, %d can be in use over all databases.",
			groups, prism_max_groups);
}

static void
check_group_slots(Report *report)
{
	if (prism_preloaded)
		for_each(report, "SELECT pg_catalog.count(*) FROM prism.consumer_group", put_group_room);
}

/* What a database with prism has at least. */
#define MANAGER_AND_MAINTAINER 2

/* Columns: processes wanted by prism over all databases, those that found no slot, databases of which no worker is known, launchers, schedulers that may come. */
static void
put_worker_room(Report *report, const PrismQueryRow *row)
{
	static const char *const item = "max_worker_processes";
	int			unasked = atoi(prism_column_text(row, 3));
	int			wanted = atoi(prism_column_text(row, 1));
	int			without = atoi(prism_column_text(row, 2));
	int			launchers = atoi(prism_column_text(row, 4));
	int			room = wanted + atoi(prism_column_text(row, 5));	/* the same answer with and without delayed messages */
	int			others = max_logical_replication_workers > 0 ? 1 : 0;	/* the logical replication launcher */
	const char *of_whom = unasked == 0 ? "" :
		psprintf(", and %d more for each of %d further databases that turns out to have prism", MANAGER_AND_MAINTAINER, unasked);

	if (launchers == 0)
	{
		put(report, "launcher", "error",
			"prism's launcher has no process, so no database has any of prism's workers. It is started again within a second unless max_worker_processes are used up by others: look at the server log, set in postgresql.conf and restart the server: max_worker_processes = %d",
			max_worker_processes + prism_max_workers);
		return;					/* nobody has asked for more than these */
	}
	if (without > 0 && wanted > prism_max_workers)
		put(report, "prism.max_workers", "error", "%d of prism's workers found no place. Set in postgresql.conf and restart the server: prism.max_workers = %d%s",
			without, room, of_whom);
	if (without > 0)
		put(report, item, "error", "%d of prism's workers found no place. Set in postgresql.conf and restart the server: max_worker_processes = %d%s",
			without, Max(max_worker_processes + without, room + others), of_whom);
	else if (wanted + others > max_worker_processes)
		put(report, item, "warning", "prism wants %d of %d. Set in postgresql.conf and restart the server: max_worker_processes = %d",
			wanted, max_worker_processes, wanted + others);
	else
		put(report, item, "ok", "prism wants %d of %d.", wanted, max_worker_processes);
}

/* Columns: kind, state, error, hint. */
static void
put_worker_trouble(Report *report, const PrismQueryRow *row)
{
	const char *error = prism_column_text(row, 3);
	const char *hint = prism_column_text(row, 4);

	put(report, psprintf("worker: %s", prism_column_text(row, 1)), "warning", "It is in state %s%s%s. %s",
		prism_column_text(row, 2), error != NULL ? ": " : "", error != NULL ? error : "",
		hint != NULL ? hint : "prism.workers shows more.");
}

static void
check_workers(Report *report)
{
	uint64		ailing;

	if (!report->has_shared)
		return;
	for_each(report,
			 /* a database without manager has no maintainer either, and cannot say what else it wants */
			 "SELECT s.slots + s.blind, s.without + s.blind,"
			 " CASE WHEN s.without > 0 THEN (SELECT pg_catalog.count(*) FROM pg_catalog.pg_database d WHERE d.datallowconn AND NOT d.datistemplate"
			 "  AND NOT EXISTS (SELECT FROM prism_internal.worker_slots() w WHERE w.database_oid = d.oid)) ELSE 0 END, s.launchers,"
			 " (SELECT pg_catalog.count(*) FROM prism_internal.worker_slots() m WHERE m.kind = 'manager' AND NOT EXISTS"
			 "  (SELECT FROM prism_internal.worker_slots() w WHERE w.kind = 'scheduler' AND w.database_oid = m.database_oid)) FROM ("
			 "SELECT pg_catalog.count(*) AS slots, pg_catalog.count(*) FILTER (WHERE state = 'no_worker_slot') AS without,"
			 " pg_catalog.count(*) FILTER (WHERE kind = 'manager' AND state = 'no_worker_slot') AS blind,"
			 " pg_catalog.count(pid) FILTER (WHERE kind = 'launcher') AS launchers FROM prism_internal.worker_slots()) s",
			 put_worker_room);
	if (!prism_enabled)
		put(report, "workers", "error", "Publishing and retention go on; nothing is forwarded, delivered when it is due or given to handlers. Set in postgresql.conf and reload: prism.enabled = on");
	ailing = for_each(report,
					  "SELECT kind, state, error, hint FROM prism_internal.worker_slots()"
					  " WHERE state NOT IN ('starting', 'running', 'stopping', 'no_worker_slot')"
					  " AND coalesce(database_oid, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()))"
					  " = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())",
					  put_worker_trouble);
	if (ailing == 0 && prism_enabled)
		put(report, "workers", "ok", NULL);
}

/* Columns: name, for all tables, whether the server can filter by origin. */
static void
put_publication(Report *report, const PrismQueryRow *row)
{
	const char *name = prism_column_text(row, 1);
	bool		filters = prism_column_text(row, 3)[0] == 't';

	put(report, psprintf("publication %s", quote_identifier(name)), "warning",
		"It ships prism's own tables to its subscribers. Publish schemas instead: CREATE PUBLICATION %s FOR TABLES IN SCHEMA public%s",
		quote_identifier(name),
		filters ? ", or subscribe WITH (origin = none)" : "");
}

static void
check_publications(Report *report)
{
	uint64		shipping;

	shipping = for_each(report,
						"SELECT p.pubname, p.puballtables, pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 160000"
						" FROM pg_catalog.pg_publication p"
						" WHERE p.puballtables OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace n"
						"  WHERE n.pnpubid = p.oid AND n.pnnspid IN (SELECT s.oid FROM pg_catalog.pg_namespace s WHERE s.nspname IN ('prism', 'prism_log')))"
						" ORDER BY p.pubname",
						put_publication);
	if (shipping == 0)
		put(report, "publications", "ok", NULL);
}

/* Columns: topic, process, age in seconds. */
static void
put_committing(Report *report, const PrismQueryRow *row)
{
	const char *pid = prism_column_text(row, 2);

	put(report, psprintf("topic %s", prism_column_text(row, 1)), "warning",
		"Readers wait for process %s, which has been committing for %s s: for a synchronous standby, or as it published very much. See: SELECT * FROM pg_stat_activity WHERE pid = %s",
		pid, prism_column_text(row, 3), pid);
}

static void
check_committing(Report *report)
{
	uint64		slow;

	if (!report->has_shared)
		return;
	slow = for_each(report,
					psprintf("SELECT t.name, s.committing_pid, pg_catalog.round(pg_catalog.extract('epoch', pg_catalog.clock_timestamp() - s.committing_since))"
							 " FROM prism_internal.topic_states() s JOIN prism.topic t ON t.topic_id = s.topic_id"
							 " WHERE s.committing_since < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => %d)"
							 " ORDER BY s.committing_since", COMMIT_SECONDS_USUAL),
					put_committing);
	if (slow == 0 && report->unseen == 0)
		put(report, "commits", "ok", NULL);
}

/* Columns: topic, segment in which the next message goes, the last segment there is. */
static void
put_segments(Report *report, const PrismQueryRow *row)
{
	put(report, psprintf("topic %s", prism_column_text(row, 1)), "warning",
		"The next message goes to segment %s, the last one that exists is %s: publishers wait for the maintainer, and fail when it does not come. See prism.workers.",
		prism_column_text(row, 2), prism_column_text(row, 3));
}

static void
check_segments(Report *report)
{
	uint64		lacking;

	if (!report->has_shared)
		return;
	lacking = for_each(report,
					   "SELECT t.name, s.next_position / t.segment_messages, g.last"
					   " FROM prism_internal.topic_states() s JOIN prism.topic t ON t.topic_id = s.topic_id,"
					   " LATERAL (SELECT pg_catalog.max(segment_number) AS last FROM prism.segment WHERE topic_id = t.topic_id) g"
					   " WHERE g.last IS NULL OR s.next_position / t.segment_messages > g.last ORDER BY t.name",
					   put_segments);
	if (lacking == 0 && report->unseen == 0)
		put(report, "segments", "ok", NULL);
}

/* Columns: number of the topic, its name. */
static void
put_misplaced(Report *report, const PrismQueryRow *row)
{
	const char *name = prism_column_text(row, 2);
	bool		busy;
	bool		complete = true;
	PrismTopic *topic = prism_topic_try_id(atoi(prism_column_text(row, 1)), &busy);

	if (topic != NULL)
	{
		if (prism_segments_misplaced(topic, &complete))
		{
			report->misplaced++;
			put(report, psprintf("topic %s", name), "error",
				"Messages lie in another segment than that of their position, where no reader finds them. Run as the owner of the extension: SELECT * FROM prism.repair(%s)",
				quote_literal_cstr(name));
		}
		prism_topic_release(topic);
	}
	if (complete && !busy)
		return;
	report->unseen++;
	put(report, psprintf("topic %s", name), "warning",
		"Not all of it could be looked at: another session drops it or has its tables locked, see SELECT pid, mode, relation::regclass FROM pg_locks WHERE granted; or it found no place in shared memory, or lacks a table.");
}

static void
check_misplaced(Report *report)
{
	for_each(report, "SELECT topic_id, name FROM prism.topic ORDER BY name", put_misplaced);
	if (report->misplaced == 0 && report->unseen == 0)
		put(report, "rows", "ok", NULL);
}

/* Columns: place, bytes free, as people read them, whether that is little. */
static void
put_disk(Report *report, const PrismQueryRow *row)
{
	const char *place = prism_column_text(row, 1);
	const char *left = prism_column_text(row, 2);

	if (prism_column_text(row, 3)[0] == 't')
		put(report, psprintf("disk: %s", place), "warning",
			"Only %s are left. When it is full, publishers fail%s. Make room; or keep less: needs.retention, and consumer groups and sinks that are far behind, see prism.groups and prism.sinks.",
			left, strncmp(place, "tablespace", 10) == 0 ? "" : ", and the server stops");
	else
		put(report, psprintf("disk: %s", place), "ok", "%s are left.", left);
}

static void
check_disks(Report *report)
{
	for_each(report, "SELECT place, pg_catalog.pg_size_pretty(free_bytes), scarce FROM prism_internal.disks()", put_disk);
}

/* Columns: a table, how many there are. */
static void
put_unguarded(Report *report, const PrismQueryRow *row)
{
	put(report, "guards", "warning", "The trigger prism_guard is not in force on %s of prism's tables: others may write them, and segments stay for ever. When no restore is under way: ALTER TABLE %s ENABLE ALWAYS TRIGGER prism_guard",
		prism_column_text(row, 2), prism_column_text(row, 1));
}

static void
check_guards(Report *report)
{
	for_each(report, "SELECT c.oid::regclass, count(*) OVER () FROM pg_class c"
			 " WHERE c.relkind = 'r' AND c.relnamespace IN ('prism'::regnamespace, 'prism_log'::regnamespace) AND NOT EXISTS"
			 " (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'prism_guard' AND t.tgenabled = 'A') LIMIT 1", put_unguarded);
}

/* Columns: namespace, state, last error, hint. */
static void
put_namespace(Report *report, const PrismQueryRow *row)
{
	const char *state = prism_column_text(row, 2);
	/* the other side's words are for administrators, as in prism.sinks */
	const char *error = report->is_owner ? prism_column_text(row, 3) : NULL;
	const char *hint = prism_column_text(row, 4);

	put(report, psprintf("namespace %s", prism_column_text(row, 1)),
		strcmp(state, "error") == 0 ? "error" : strcmp(state, "paused") == 0 ? "note" : "warning",
		"%s%s%s", error != NULL ? error : "", error != NULL ? ". " : "", hint != NULL ? hint : "See prism.sinks.");
}

static void
check_namespaces(Report *report)
{
	if (!report->has_shared)
		return;
	if (for_each(report, "SELECT namespace, state, last_error, hint FROM prism.status"
				 " WHERE sink_state <> 'running' ORDER BY namespace", put_namespace) == 0)
		put(report, "namespaces", "ok", NULL);
}

/* ---------- the function ---------- */

static void (*const checks[]) (Report *report) = {
	check_library,
	check_preload,
	check_fsync,
	check_wal_level,
	check_output_plugin,
	check_topic_slots,
	check_group_slots,
	check_workers,
	check_publications,
	check_misplaced,			/* finds out which topics cannot be looked at */
	check_segments,
	check_disks,
	check_committing,
	check_guards,
	check_namespaces
};

/* So long a check waits for prism's own catalogue; for a topic's tables it does not. */
#define LOCK_TIMEOUT "1s"

typedef struct Check
{
	void		(*function) (Report *report);
	Report	   *report;
} Check;

static void
run_check(void *arg)
{
	const Check *check = arg;

	(void) set_config_option("lock_timeout", LOCK_TIMEOUT, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	check->function(check->report);
}

Datum
prism_doctor(PG_FUNCTION_ARGS)
{
	bool		complete = true;
	Report		report = {
		.result = (ReturnSetInfo *) fcinfo->resultinfo,
		.has_shared = prism_preloaded && !RecoveryInProgress(),
		.is_owner = has_privs_of_role(GetUserId(), prism_owner())
	};

	if (!report.is_owner &&
		!has_privs_of_role(GetUserId(), ROLE_PG_MONITOR))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for prism.doctor()"),
				errhint("It is for the owner of the extension and members of pg_monitor."));
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < (int) lengthof(checks); i++)
	{
		Check		check = {checks[i], &report};
		const char *damage;

		complete &= prism_look_without_waiting(run_check, &check, &damage) || damage != NULL;
		if (damage != NULL)
			put(&report, "damage", "error",
				"A check could not be made, as something it reads is damaged: %s.", damage);
	}
	if (!complete)
		put(&report, "locks", "warning",
			"Some checks were left out, as another session has tables of prism locked. See: SELECT pid, mode, relation::regclass FROM pg_locks WHERE granted AND relation::regclass::text LIKE 'prism%%'");
	return (Datum) 0;
}
