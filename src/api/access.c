/*-------------------------------------------------------------------------
 *
 * access.c
 *	  prism.grant() and prism.revoke().
 *
 * Statements run as the extension's owner; the SQL functions that lead here
 * are declared with SET search_path, so no name means something else.
 *
 * src/api/access.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/access.h"
#include "api/arguments.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/ownership.h"
#include "base/query.h"
#include "namespace/spec.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(prism_grant);
PG_FUNCTION_INFO_V1(prism_revoke);
PG_FUNCTION_INFO_V1(prism_privileges);

typedef struct Verb
{
	const char *name;			/* as users say it */
	const char *sql;			/* as it is kept on the rights view */
} Verb;

static const Verb verbs[] = {
	[PRISM_PUBLISH] = {"publish", "INSERT"},
	[PRISM_CONSUME] = {"consume", "UPDATE"},
	[PRISM_READ] = {"read", "SELECT"},
	[PRISM_ADMIN] = {"admin", "REFERENCES"},
};

static void change_right(FunctionCallInfo fcinfo, bool grant);
static void sync_role(Oid role);
static bool lacks(Oid role, const Verb *verb);
static const Verb *find_verb(const char *name);
static Oid	find_role(const char *name);
static PrismQueryRows query_latest(const char *query, int parameters, Oid *types, Datum *values);

bool
prism_access_is_owner(void)
{
	return superuser() || GetUserId() == prism_owner();
}

Oid
prism_access_view(int32 namespace_id)
{
	char		name[NAMEDATALEN];

	snprintf(name, sizeof(name), "namespace_%d", namespace_id);
	return get_relname_relid(name, get_namespace_oid("prism_log", false));
}

bool
prism_access_allows(int32 namespace_id, PrismPrivilege privilege)
{
	Oid			view = prism_access_view(namespace_id);

	if (!OidIsValid(view))
		return prism_access_is_owner();
	return prism_rights_allow(view, GetUserId(), privilege);
}

bool
prism_access_sees(int32 namespace_id)
{
	for (int i = 0; i < (int) lengthof(verbs); i++)
		if (prism_access_allows(namespace_id, i))
			return true;
	return false;
}

void
prism_access_refuse(const char *namespace_name)
{
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("permission denied for namespace \"%s\"", prism_yaml_show(namespace_name)),
			errdetail("The namespace does not exist, or you do not have the privilege \"admin\" on it."),
			errhint("The owner of extension prism makes namespaces, and can run prism.grant(namespace, 'admin', role)."));
}

void
prism_access_require_admin(const char *namespace_name, const PrismStoredNamespace *namespace)
{
	if (namespace == NULL ? !prism_access_is_owner() :
		!prism_access_allows(namespace->namespace_id, PRISM_ADMIN))
		prism_access_refuse(namespace_name);
}

PrismStoredNamespace *
prism_access_find(const char *namespace_name)
{
	PrismStoredNamespace *namespace;

	prism_access_refuse_old_snapshot();
	namespace = prism_namespace_find(namespace_name);
	prism_access_require_admin(namespace_name, namespace);
	return namespace;
}

PrismStoredNamespace *
prism_access_find_and_lock(const char *namespace_name)
{
	PrismStoredNamespace *namespace = prism_access_find(namespace_name);

	if (namespace != NULL)
	{
		prism_access_lock_names(prism_access_names(namespace_name, namespace), AccessExclusiveLock);
		namespace = prism_access_find(namespace_name);
	}
	if (namespace == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("namespace \"%s\" does not exist", prism_yaml_show(namespace_name)),
				errhint("prism.namespaces lists those that do."));
	return namespace;
}

/* (namespace_id): what the current user may do, as words. */
Datum
prism_privileges(PG_FUNCTION_ARGS)
{
	Oid			view = prism_access_view(PG_GETARG_INT32(0));
	Datum		held[lengthof(verbs)];
	int			count = 0;

	for (int i = 0; OidIsValid(view) && i < (int) lengthof(verbs); i++)
		if (prism_rights_allow(view, GetUserId(), i))
			held[count++] = CStringGetTextDatum(verbs[i].name);
	PG_RETURN_ARRAYTYPE_P(construct_array(held, count, TEXTOID, -1, false, TYPALIGN_INT));
}

Datum
prism_grant(PG_FUNCTION_ARGS)
{
	change_right(fcinfo, true);
	PG_RETURN_VOID();
}

Datum
prism_revoke(PG_FUNCTION_ARGS)
{
	change_right(fcinfo, false);
	PG_RETURN_VOID();
}

/* (namespace, privilege, role) */
static void
change_right(FunctionCallInfo fcinfo, bool grant)
{
	char	   *namespace_name = prism_text_argument(fcinfo, 0, "namespace");
	char	   *verb_name = prism_text_argument(fcinfo, 1, "privilege");
	char	   *role_name = prism_text_argument(fcinfo, 2, "role");
	PrismStoredNamespace *namespace;
	const Verb *verb;
	Oid			role;

	prism_check_version();
	namespace = prism_access_find_and_lock(namespace_name);
	verb = find_verb(verb_name);
	role = find_role(role_name);
	prism_access_lock_role(role, grant);
	if (!OidIsValid(prism_access_view(namespace->namespace_id)))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("namespace \"%s\" has lost its rights view", namespace_name),
				errhint("Apply the namespace again."));

	/* the role that is locked, whatever it is called by now */
	role_name = GetUserNameFromId(role, false);
	prism_query(psprintf("%s %s ON prism_log.namespace_%d %s %s",
						 grant ? "GRANT" : "REVOKE", verb->sql, namespace->namespace_id,
						 grant ? "TO" : "FROM", quote_identifier(role_name)),
				0, NULL, NULL, NULL);
	CommandCounterIncrement();
	if (get_role_oid(role_name, true) != role)
		ereport(ERROR,
				errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				errmsg("role \"%s\" was renamed meanwhile", role_name),
				errhint("Run the transaction again."));
	prism_own_note_granted(namespace->namespace_id);
	if (!grant || lacks(role, verb))
		sync_role(role);
	if (namespace->table != NULL)
		prism_access_sync_outbox(namespace->namespace_id, namespace->table);
}

static const Verb *
find_verb(const char *name)
{
	for (int i = 0; i < (int) lengthof(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("unknown privilege \"%s\"", prism_yaml_show(name)),
			errhint("The privileges are publish, consume, read and admin."));
}

/* A role that can be given something: not PUBLIC, and not the owner, who has everything. */
static Oid
find_role(const char *name)
{
	Oid			role;

	if (strcmp(name, "public") == 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("privileges on a namespace cannot be granted to PUBLIC"),
				errhint("Grant them to a role, and that role to others."));
	role = get_role_oid(name, true);
	if (!OidIsValid(role))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("role \"%s\" does not exist", prism_yaml_show(name)),
				errhint("Write the name as in pg_roles, without quotation marks."));
	if (role == prism_owner())
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("cannot change privileges of role \"%s\"", name),
				errdetail("It owns extension \"prism\", and with it all privileges on all namespaces."));
	return role;
}

/* The roles (list of Oid, in their order) that hold something on the namespace. */
static List *
roles_holding(int32 namespace_id)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(prism_access_view(namespace_id))};
	PrismQueryRows rows = query_latest("SELECT DISTINCT a.grantee"
									   " FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a"
									   " WHERE c.oid = $1 AND a.grantee <> c.relowner AND a.grantee <> 0 ORDER BY 1",
									   1, types, values);
	List	   *roles = NIL;

	for (uint64 i = 0; i < rows.count; i++)
		roles = lappend_oid(roles, prism_column_oid(&rows.row[i], 1));
	prism_query_free(&rows);
	return roles;
}

/*
 * held: verbs of the role ($1).  wanted: the objects of schema prism that these
 * need.
 */
#define OBJECTS_OF_ROLE(held) \
"WITH held AS (" held ")," \
" wanted AS (" \
"  SELECT o.needs, o.schema, o.name, bool_or(h.privilege IS NOT NULL) AS yes" \
"  FROM prism.privilege_object o LEFT JOIN held h ON h.privilege = o.held_as" \
"  GROUP BY o.needs, o.schema, o.name)," \
" object AS (" \
"  SELECT format('EXECUTE ON ROUTINE %s', p.oid::regprocedure) AS what, w.yes," \
"    'pg_proc'::regclass AS class, p.oid, w.needs," \
"    EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = $1) AS has" \
"  FROM wanted w JOIN pg_proc p ON w.needs = 'EXECUTE' AND p.proname = w.name" \
"    AND p.pronamespace = w.schema::regnamespace" \
"  UNION ALL" \
"  SELECT format('%s ON %I.%I', w.needs, w.schema, c.relname), w.yes, 'pg_class'::regclass, c.oid, w.needs," \
"    EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = $1 AND a.privilege_type = w.needs)" \
"  FROM wanted w JOIN pg_class c ON w.needs <> 'EXECUTE' AND c.relname = w.name" \
"    AND c.relnamespace = w.schema::regnamespace" \
"  UNION ALL" \
"  SELECT 'USAGE ON SCHEMA prism', EXISTS (SELECT FROM held)," \
"    'pg_namespace'::regclass, 'prism'::regnamespace, 'USAGE'," \
"    EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) a" \
"            WHERE n.nspname = 'prism' AND a.grantee = $1))"

/*
 * held: those that it has on any namespace but $2 (a rights view).  What is
 * already right is left alone, and so is what the extension itself gave:
 * pg_monitor's.
 */
static const char role_statements[] =
OBJECTS_OF_ROLE("SELECT DISTINCT a.privilege_type AS privilege"
				"  FROM pg_class c, aclexplode(c.relacl) a"
				"  WHERE c.relnamespace = 'prism_log'::regnamespace AND c.relkind = 'v'"
				"    AND c.relname ~ '^namespace_[0-9]+$' AND a.grantee = $1 AND c.oid <> $2")
" SELECT format(CASE WHEN yes THEN 'GRANT %s TO %I' ELSE 'REVOKE %s FROM %I' END,"
"               what, pg_get_userbyid($1))"
" FROM object o WHERE yes <> has AND (yes OR NOT EXISTS ("
"   SELECT FROM pg_init_privs i, aclexplode(i.initprivs) a"
"   WHERE i.classoid = o.class AND i.objoid = o.oid AND i.objsubid = 0"
"     AND a.grantee = $1 AND a.privilege_type = o.needs))";

/* Does it lack something for one that it has been given ($2)?  Without a look at all namespaces, of which there may be many. */
static const char lacks_query[] =
OBJECTS_OF_ROLE("SELECT $2 AS privilege") " SELECT FROM object WHERE yes AND NOT has LIMIT 1";

/* Is something of schema prism to be given to the role, or taken, when it holds nothing on the namespace of this view? */
static bool
is_to_change(Oid role, Oid without)
{
	Oid			types[] = {OIDOID, OIDOID};
	Datum		values[] = {ObjectIdGetDatum(role), ObjectIdGetDatum(without)};
	PrismQueryRows statements;

	if (role == prism_owner())
		return false;
	statements = query_latest(role_statements, lengthof(types), types, values);
	prism_query_free(&statements);
	return statements.count > 0;
}

/*
 * Give the role what its privileges need in schema prism, and take the rest away.
 * Its lock is held: nobody takes away what we count on.
 */
static void
sync_role(Oid role)
{
	Oid			types[] = {OIDOID, OIDOID};
	Datum		values[] = {ObjectIdGetDatum(role), ObjectIdGetDatum(InvalidOid)};

	if (!is_to_change(role, InvalidOid))
		return;
	/* others may have been at it until now */
	prism_access_lock_shared_objects();
	prism_query_generated(role_statements, lengthof(types), types, values);
}

/* Does the role lack something of schema prism that the verb needs? */
static bool
lacks(Oid role, const Verb *verb)
{
	Oid			types[] = {OIDOID, TEXTOID};
	Datum		values[] = {ObjectIdGetDatum(role), CStringGetTextDatum(verb->sql)};

	return query_latest(lacks_query, lengthof(types), types, values).count > 0;
}

/* Does one of these lose its last privilege of a kind with the namespace? */
static bool
takes_last(const List *roles, int32 namespace_id)
{
	ListCell   *cell;

	foreach(cell, roles)
		if (is_to_change(lfirst_oid(cell), prism_access_view(namespace_id)))
			return true;
	return false;
}

bool
prism_access_try_take(int32 namespace_id)
{
	List	   *roles = roles_holding(namespace_id);

	if (!prism_access_try(roles, false))
		return false;
	/* it stays so: they are locked */
	if (!takes_last(roles, namespace_id) || prism_access_try(NIL, true))
		return true;
	prism_access_release(roles, false);
	return false;
}

void
prism_access_await_take(int32 namespace_id)
{
	List	   *roles = roles_holding(namespace_id);
	ListCell   *cell;
	bool		shared;

	foreach(cell, roles)
		prism_access_lock_role(lfirst_oid(cell), false);
	shared = takes_last(roles, namespace_id);
	if (shared)
		prism_access_lock_shared_objects();
	prism_access_release(roles, shared);
}

/* What was granted on the rights view ($1), with all that was passed on from there. */
static const char take_statements[] =
"SELECT DISTINCT format('REVOKE ALL ON %s FROM %s CASCADE', c.oid::regclass,"
"   CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)"
" FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = $1 AND a.grantee <> c.relowner";

void
prism_access_take_all(int32 namespace_id)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(prism_access_view(namespace_id))};
	List	   *roles = roles_holding(namespace_id);
	ListCell   *cell;

	foreach(cell, roles)
		prism_access_lock_role(lfirst_oid(cell), false);
	prism_query_generated(take_statements, 1, types, values);
	foreach(cell, roles)
		sync_role(lfirst_oid(cell));
}

/*
 * publish is INSERT and read is SELECT, on the outbox view as on the rights
 * view.  INSERT ... RETURNING asks for SELECT as well; what that shows is up to
 * prism_internal.outbox_messages(), which asks for the right to read.  A view that
 * is lost gets its rights when apply() makes it again.
 */
static const char outbox_statements[] =
"WITH view AS (SELECT oid, relowner, relacl FROM pg_class"
"   WHERE relname = $2 AND relnamespace = 'prism'::regnamespace),"
" wanted AS (SELECT a.grantee, p.privilege_type FROM pg_class c, aclexplode(c.relacl) a,"
"   unnest(CASE a.privilege_type WHEN 'INSERT' THEN '{INSERT,SELECT}' WHEN 'SELECT' THEN '{SELECT}' END::text[]) AS p(privilege_type)"
"   WHERE c.oid = $1 AND a.grantee <> c.relowner),"
" has AS (SELECT a.grantee, a.privilege_type FROM view v, aclexplode(v.relacl) a"
"   WHERE a.grantee <> v.relowner)"
" SELECT format('GRANT %s ON prism.%I TO %s', privilege_type, $2,"
"     CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)"
"   FROM (SELECT * FROM wanted EXCEPT SELECT * FROM has) missing, view"
" UNION ALL"
" SELECT format('REVOKE %s ON prism.%I FROM %s', privilege_type, $2,"
"     CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)"
"   FROM (SELECT * FROM has EXCEPT SELECT * FROM wanted) surplus";

void
prism_access_sync_outbox(int32 namespace_id, const char *table)
{
	Oid			types[] = {OIDOID, TEXTOID};
	Datum		values[] = {
		ObjectIdGetDatum(prism_access_view(namespace_id)), CStringGetTextDatum(table)
	};

	prism_query_generated(outbox_statements, lengthof(types), types, values);
}

/* What holds now, also for a transaction that sees what held when it began: rights are given and taken by what there is. */
static PrismQueryRows
query_latest(const char *query, int parameters, Oid *types, Datum *values)
{
	CommandCounterIncrement();
	return prism_query_latest(query, parameters, types, values, 0);
}
