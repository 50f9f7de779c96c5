/*-------------------------------------------------------------------------
 *
 * ownership.c
 *	  What prism makes belongs to prism: it goes with the extension, has the
 *	  rights that prism gave it, and is written by its owner alone.
 *
 * Default privileges of the owner (ALTER DEFAULT PRIVILEGES) become rights on
 * each new object; on a rights view they would be privileges on a namespace.
 * So the rights of an object that was just made begin anew: everything to its
 * owner, nothing to anybody else.
 *
 * pg_write_all_data writes every table.  In prism's that would be code run as
 * another role, or another's messages changed, so a trigger of each table looks
 * who it is.  (Row security would hold as well, but no role that reads all data
 * could dump the database any more.)
 *
 * src/base/ownership.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/extension.h"
#include "base/ownership.h"
#include "base/query.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(prism_guard_table);
PG_FUNCTION_INFO_V1(prism_own_schemas);

/* Statements that begin the rights anew of one relation ($1), or of all that is in prism's schemas (0). */
static const char rights_query[] =
"WITH schema AS (SELECT oid, nspname, nspacl, nspowner FROM pg_namespace WHERE nspname IN ('prism', 'prism_internal', 'prism_log')),"
" object AS ("
"  SELECT 'TABLE ' || c.oid::regclass AS what, c.relacl AS acl, c.relowner AS owner"
"  FROM pg_class c WHERE c.oid = $1"
"   OR $1 = 0 AND c.relnamespace IN (SELECT oid FROM schema) AND c.relkind IN ('r', 'v', 'S')"
"  UNION ALL"
"  SELECT 'ROUTINE ' || p.oid::regprocedure, p.proacl, p.proowner"
"  FROM pg_proc p WHERE $1 = 0 AND p.pronamespace IN (SELECT oid FROM schema)"
"  UNION ALL"
"  SELECT 'TYPE ' || t.oid::regtype, t.typacl, t.typowner"
"  FROM pg_type t WHERE $1 = 0 AND t.typnamespace IN (SELECT oid FROM schema)"
"  UNION ALL"
"  SELECT 'SCHEMA ' || quote_ident(s.nspname), s.nspacl, s.nspowner FROM schema s WHERE $1 = 0)"
" SELECT format('GRANT ALL ON %s TO %I', what, pg_get_userbyid(owner)) FROM object WHERE acl IS NOT NULL"
" UNION ALL"
" SELECT DISTINCT format('REVOKE ALL ON %s FROM %s CASCADE', what,"
"   CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)"
" FROM object, aclexplode(acl) a WHERE a.grantee <> owner";

/*
 * Of a view whose privileges say what roles may do: those that default
 * privileges give, and of which prism's tables do not say that it gave them.
 */
static const char restored_query[] =
"SELECT format('REVOKE %s ON %s FROM %s CASCADE', a.privilege_type, c.oid::regclass,"
"   CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)"
" FROM pg_class c, aclexplode(c.relacl) a"
" WHERE c.oid = $1 AND c.relnamespace = 'prism_log'::regnamespace AND a.grantee <> c.relowner"
"  AND EXISTS (SELECT FROM pg_default_acl d, aclexplode(d.defaclacl) x"
"    WHERE d.defaclobjtype = 'r' AND d.defaclnamespace IN (0, c.relnamespace)"
"      AND x.grantee = a.grantee AND x.privilege_type = a.privilege_type)"
"  AND NOT EXISTS (SELECT FROM prism.granted g WHERE c.relname = 'namespace_' || g.namespace_id"
"    AND g.role = pg_get_userbyid(a.grantee) AND g.privilege = a.privilege_type)"
"  AND NOT EXISTS (SELECT FROM prism.handler h WHERE c.relname = 'handler_' || h.group_id"
"    AND pg_get_userbyid(a.grantee) = CASE a.privilege_type WHEN 'SELECT' THEN h.role WHEN 'INSERT' THEN h.registered_by END)";

/* ALWAYS: session_replication_role does not open the tables. */
static const char guard_query[] =
"SELECT format(s.statement, c.oid::regclass)"
" FROM pg_class c,"
"  (VALUES (1, 'CREATE TRIGGER prism_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s"
" FOR EACH STATEMENT EXECUTE FUNCTION prism_internal.guard_table()'),"
"   (2, 'ALTER TABLE %s ENABLE ALWAYS TRIGGER prism_guard')) AS s(place, statement)"
" WHERE c.relkind = 'r' AND (c.oid = $1"
"  OR $1 = 0 AND c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('prism', 'prism_log')))"
" ORDER BY c.oid, s.place";

static void
depend_on_extension(Oid relid)
{
	ObjectAddress relation;
	ObjectAddress extension;

	ObjectAddressSet(relation, RelationRelationId, relid);
	ObjectAddressSet(extension, ExtensionRelationId, prism_extension_oid());
	recordDependencyOn(&relation, &extension, DEPENDENCY_AUTO);
}

/* Without an entry the rights are those that PostgreSQL gives by itself: all to the owner, for relations nothing to others. */
static bool
has_rights_entry(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		isnull = true;

	if (HeapTupleIsValid(tuple))
	{
		(void) SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
		ReleaseSysCache(tuple);
	}
	return !isnull;
}

void
prism_own_relation(Oid relid)
{
	Oid			type = OIDOID;
	Datum		value = ObjectIdGetDatum(relid);

	CommandCounterIncrement();
	depend_on_extension(relid);
	if (has_rights_entry(relid))
		prism_query_generated(rights_query, 1, &type, &value);
	if (get_rel_relkind(relid) == RELKIND_RELATION)
		prism_query_generated(guard_query, 1, &type, &value);
	CommandCounterIncrement();
}

/*
 * Its triggers and, if it is a view, its rights come from the dump, which grants
 * at its end: what is there before, and not in the dump, is taken back.
 */
void
prism_own_restored(Oid relid)
{
	Oid			type = OIDOID;
	Datum		value = ObjectIdGetDatum(relid);

	depend_on_extension(relid);
	if (has_rights_entry(relid))
		prism_query_generated(get_rel_relkind(relid) == RELKIND_VIEW ? restored_query : rights_query, 1, &type, &value);
}

/* By other commands too they are given and taken (DROP OWNED, GRANT), and a role's name is another one. */
static const char granted_statement[] =
"WITH view AS ("
"  SELECT n.namespace_id, c.relacl, c.relowner FROM prism.namespace n"
"  JOIN pg_class c ON c.relname = 'namespace_' || n.namespace_id AND c.relnamespace = 'prism_log'::regnamespace"
"  WHERE n.namespace_id = $1 OR $1 = 0 AND EXISTS (SELECT FROM pg_depend d"
"   WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_extension'::regclass)),"
" held AS ("
"  SELECT DISTINCT v.namespace_id, pg_get_userbyid(a.grantee) AS role, a.privilege_type AS privilege"
"  FROM view v, aclexplode(v.relacl) a WHERE a.grantee NOT IN (0, v.relowner)),"
" gone AS ("
"  DELETE FROM prism.granted g WHERE g.namespace_id IN (SELECT namespace_id FROM view)"
"   AND NOT EXISTS (SELECT FROM held h WHERE h.namespace_id = g.namespace_id AND h.role = g.role AND h.privilege = g.privilege))"
" INSERT INTO prism.granted (namespace_id, role, privilege) SELECT h.namespace_id, h.role, h.privilege FROM held h"
"  WHERE NOT EXISTS (SELECT FROM prism.granted g"
"   WHERE g.namespace_id = h.namespace_id AND g.role = h.role AND g.privilege = h.privilege)"
" ON CONFLICT DO NOTHING";

void
prism_own_note_granted(int32 namespace_id)
{
	if (namespace_id == 0 &&
		!ConditionalLockRelationOid(get_relname_relid("granted", get_namespace_oid("prism", false)), ShareRowExclusiveLock))
		return;
	prism_query_one(granted_statement, namespace_id);
}

bool
prism_is_guarded(Oid relid)
{
	Oid			type = OIDOID;
	Datum		value = ObjectIdGetDatum(relid);
	PrismQueryRows found = prism_query("SELECT tgenabled = 'A', tgenabled = 'O' FROM pg_trigger WHERE tgrelid = $1 AND tgname = 'prism_guard'",
									   1, &type, &value, NULL);

	if (found.count == 0)
		return false;
	/* a restore that is between making it and this does the same once more */
	if (prism_column_bool(&found.row[0], 2))
		prism_query(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER prism_guard",
							 quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid))),
					0, NULL, NULL, NULL);
	return prism_column_bool(&found.row[0], 1);
}

/* For the end of the install script, which grants what is granted after it. */
Datum
prism_own_schemas(PG_FUNCTION_ARGS)
{
	Oid			type = OIDOID;
	Datum		all = ObjectIdGetDatum(InvalidOid);

	prism_query_generated(rights_query, 1, &type, &all);
	prism_query_generated(guard_query, 1, &type, &all);
	PG_RETURN_VOID();
}

/* BEFORE trigger of each of prism's tables, once a statement.  Prism's C code, which bypasses it, writes as the owner. */
Datum
prism_guard_table(PG_FUNCTION_ARGS)
{
	Relation	table;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("prism_internal.guard_table() must be called as a trigger"));
	table = ((TriggerData *) fcinfo->context)->tg_relation;
	if (!has_privs_of_role(GetUserId(), table->rd_rel->relowner))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for table %s", RelationGetRelationName(table)),
				errdetail("Prism's own tables are written by their owner alone, whatever is granted on them; pg_write_all_data does not count."),
				errhint("Use the functions of schema prism."));
	return PointerGetDatum(NULL);
}
