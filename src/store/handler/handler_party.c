/*-------------------------------------------------------------------------
 *
 * handler_party.c
 *	  Whose rights a handler uses: privileges on prism_log.handler_<group_id>.
 *
 * The view shows nothing.  What counts is its ACL: roles stand there by what
 * they are, not by what they are called, and each entry is a dependency that
 * DROP ROLE finds in any database.  The owner of the extension, who has every
 * privilege anyway, is told by the row's NULL.
 *
 * src/store/handler/handler_party.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/extension.h"
#include "base/ownership.h"
#include "base/query.h"
#include "store/handler/handler.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* What a role is to a handler, and the privilege that says so. */
#define CALLED_AS ACL_SELECT
#define REGISTERED_BY ACL_INSERT

/* ---------- writing ---------- */

static void
grant(const char *view, const char *privilege, Oid role)
{
	if (role != prism_owner())
		prism_query(psprintf("GRANT %s ON prism_log.%s TO %s", privilege, view,
							 quote_identifier(GetUserNameFromId(role, false))), 0, NULL, NULL, NULL);
}

void
prism_handler_agree(const PrismHandler *handler)
{
	char	   *view = psprintf(PRISM_HANDLER_VIEW, handler->group_id);

	prism_query(psprintf("CREATE VIEW prism_log.%s AS SELECT %d AS group_id", view, handler->group_id),
				0, NULL, NULL, NULL);
	CommandCounterIncrement();
	prism_own_relation(get_relname_relid(view, get_namespace_oid("prism_log", false)));
	grant(view, "SELECT", handler->role_oid);
	grant(view, "INSERT", handler->registered_by_oid);
	CommandCounterIncrement();
}

void
prism_handler_forget_agreement(int32 group_id)
{
	char	   *view = psprintf(PRISM_HANDLER_VIEW, group_id);

	/* a restore that was cut short may have left it out */
	if (!OidIsValid(get_relname_relid(view, get_namespace_oid("prism_log", false))))
		return;
	prism_query(psprintf("DROP VIEW prism_log.%s", view), 0, NULL, NULL, NULL);
}

/* ---------- reading ---------- */

/*
 * The role that holds the privilege beside the view's owner.  InvalidOid: none
 * does, or several, by default privileges where a dump was restored: one of them
 * was not asked.
 */
static Oid
holder(const Acl *acl, Oid owner, AclMode privilege)
{
	/* ACL_DAT(), which compilers warn of; an ACL has no NULLs */
	const AclItem *items = (const AclItem *) ((const char *) acl + ARR_OVERHEAD_NONULLS(1));
	Oid			found = InvalidOid;

	for (int i = 0; i < ACL_NUM(acl); i++)
	{
		if (items[i].ai_grantee == owner || (ACLITEM_GET_PRIVS(items[i]) & privilege) == 0)
			continue;
		if (OidIsValid(found) || items[i].ai_grantee == ACL_ID_PUBLIC)
			return InvalidOid;
		found = items[i].ai_grantee;
	}
	return found;
}

/* InvalidOid where the view does not tell, or is not there. */
static void
read_view(const PrismHandler *handler, Oid *role, Oid *registered_by)
{
	Oid			relid = get_relname_relid(psprintf(PRISM_HANDLER_VIEW, handler->group_id),
										  get_namespace_oid("prism_log", false));
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Datum		value;
	bool		isnull;

	*role = *registered_by = InvalidOid;
	if (!HeapTupleIsValid(tuple))
		return;
	value = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
	if (!isnull)
	{
		const Acl  *acl = DatumGetAclP(value);
		Oid			owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;

		*role = holder(acl, owner, CALLED_AS);
		*registered_by = holder(acl, owner, REGISTERED_BY);
	}
	ReleaseSysCache(tuple);
}

/* What the role is called now; the former name of one that is gone. Lives as long as the handler. */
static const char *
current_name(PrismHandler *handler, Oid role, const char *former)
{
	const char *name = OidIsValid(role) ? GetUserNameFromId(role, true) : NULL;

	if (name == NULL || (former != NULL && strcmp(name, former) == 0))
		return former;
	return MemoryContextStrdup(GetMemoryChunkContext(handler), name);
}

void
prism_handler_read_parties(PrismHandler *handler)
{
	bool		owner_runs = handler->role == NULL || handler->role_is_owner;
	bool		owner_registered = handler->registered_by == NULL || handler->registered_by_owner;

	read_view(handler, &handler->role_oid, &handler->registered_by_oid);
	if (owner_runs)
		handler->role_oid = prism_owner();
	if (owner_registered)
		handler->registered_by_oid = prism_owner();
	handler->role_is_owner = owner_runs;
	handler->registered_by_owner = owner_registered;
	handler->role = current_name(handler, handler->role_oid, handler->role);
	handler->registered_by = current_name(handler, handler->registered_by_oid, handler->registered_by);
}

bool
prism_handler_has_consent(const PrismHandler *handler)
{
	Oid			role;
	Oid			registered_by;

	read_view(handler, &role, &registered_by);
	return (handler->role_is_owner || role == handler->role_oid) &&
		(handler->registered_by_owner || registered_by == handler->registered_by_oid);
}
