/*-------------------------------------------------------------------------
 *
 * access.h
 *	  Rights on namespaces.
 *
 * The rights of a namespace are PostgreSQL's privileges on its rights view,
 * prism_log.namespace_<id> (PrismPrivilege in store/topic.h): so DROP ROLE,
 * DROP OWNED, role membership and pg_dump know them.  Whoever holds any of
 * them also gets what the verbs need in schema prism; which functions and
 * views those are stands in sql/install/90_grant.sql and nowhere else.
 *
 * src/api/access.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_ACCESS_H
#define PRISM_ACCESS_H

#include "prism.h"
#include "compat.h"
#include "store/topic.h"

#include "fmgr.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

/* The argument as a C string; 22004 with its name when it is NULL. */
extern char *prism_text_argument(FunctionCallInfo fcinfo, int number, const char *name);

/*
 * One session at a time changes namespaces or rights on them, until the end of
 * its transaction: two that change the same object's privileges at once would
 * fail with an internal error.  Publishers and readers do not wait for it.
 */
extern void prism_access_lock(void);

/*
 * These namespaces (list of char *) do not change under who only looks, until
 * the end of his transaction: 'mode' is AccessShareLock for him and
 * AccessExclusiveLock for who changes them, after prism_access_lock().
 */
extern void prism_access_lock_names(List *names, LOCKMODE mode);

/* Superuser or the extension's owner: holds every right. */
extern bool prism_access_is_owner(void);

/* The rights view of a namespace, or InvalidOid. */
extern Oid	prism_access_view(int32 namespace_id);

/* Does the current user hold the privilege on the namespace? */
extern bool prism_access_allows(int32 namespace_id, PrismPrivilege privilege);

/* Does the current user hold any privilege on the namespace? Who does not is not told that it exists. */
extern bool prism_access_sees(int32 namespace_id);

/* 42501 for a namespace the caller may not administer, whether or not it exists. */
pg_noreturn extern void prism_access_refuse(const char *namespace_name);

/* The roles (list of Oid) that hold something on the namespace. */
extern List *prism_access_holders(int32 namespace_id);

/* Give the role what its privileges need in schema prism, and take the rest away. SPI must be connected. */
extern void prism_access_sync_role(Oid role);

/* Likewise the privileges on the namespace's outbox view. */
extern void prism_access_sync_outbox(int32 namespace_id, const char *table);

#endif							/* PRISM_ACCESS_H */
