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

#include "base/prism.h"
#include "base/compat.h"
#include "namespace/spec.h"
#include "store/log/topic.h"

#include "fmgr.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

/* What has names that are locked. */
typedef enum PrismNameKind
{
	PRISM_NAME_NAMESPACE,
	PRISM_NAME_TOPIC,
	PRISM_NAME_TABLE			/* an outbox view */
} PrismNameKind;

typedef struct PrismAccessName
{
	PrismNameKind kind;
	const char *text;
	uint64		number;			/* by which it is locked */
} PrismAccessName;

/*
 * Locks until the end of the transaction (access_lock.c); 55P03 with the process
 * that has it when that keeps us waiting, 40001 when the transaction's snapshot
 * does not see what namespaces there are by then.  Publishers and readers do not
 * wait for them.
 */
/* Of namespaces, topics and outbox views (list of PrismAccessName): AccessExclusiveLock to change them, AccessShareLock to look. */
extern void prism_access_lock_names(List *names, LOCKMODE mode);
/* A role that is given something, or from whom something is taken; several in the order of their oids. */
extern void prism_access_lock_role(Oid role, bool gives);
/* What all namespaces share: the rights on objects of schema prism, prism's own topics while they are made. */
extern void prism_access_lock_shared_objects(void);

/* An outbox view that is changed or dropped, against those who publish and read by it. */
extern void prism_access_lock_view(Oid view, const char *name);

/* The topic of a topic's dead letters, which somebody may be making; who makes it uses the topic, so with the topic shut nobody does. */
extern void prism_access_lock_dead_letters(int32 topic_id, const char *topic_name);

/*
 * Of roles from whom something is taken, and of what is shared if 'shared': all
 * without waiting, or none and false.  And give back as many.
 */
extern bool prism_access_try(const List *roles, bool shared);
extern void prism_access_release(const List *roles, bool shared);
/*
 * Wait for those who use these topics, and keep others out to the end of the
 * transaction.  Nobody is kept from one while another one is waited for; 55P03
 * when that takes longer than for the locks above.
 */
extern void prism_access_shut_topics(const List *marks);
/* Between these no statement waits longer for a lock than for those above; an error ends it too. */
extern int	prism_access_begin_patience(void);
extern void prism_access_end_patience(int nest_level);

/* The names of a namespace to lock; 'stored' is NULL when there is none yet. */
extern List *prism_access_names(const char *namespace_name, const PrismStoredNamespace *stored);
/* And one more; NULL: there is none. */
extern List *prism_access_add_name(List *names, PrismNameKind kind, const char *text);

/* 40001 when the transaction sees other namespaces than there are. */
extern void prism_access_refuse_old_snapshot(void);

/* 42501 unless the caller may administer the namespace, or make it (NULL). */
extern void prism_access_require_admin(const char *namespace_name, const PrismStoredNamespace *namespace);

/* The namespace, or NULL; 42501 unless the caller may administer it, or make it. */
extern PrismStoredNamespace *prism_access_find(const char *namespace_name);

/* Likewise, with its names locked to change it; 42704 when there is none.  Nobody waits for what he may not touch. */
extern PrismStoredNamespace *prism_access_find_and_lock(const char *namespace_name);

/* Superuser or the extension's owner: holds every right. */
extern bool prism_access_is_owner(void);

/* The rights view of a namespace, or InvalidOid. */
extern Oid	prism_access_view(int32 namespace_id);

/* Does the current user hold the privilege on the namespace? */
extern bool prism_access_allows(int32 namespace_id, PrismPrivilege privilege);

/* Does the current user hold any privilege on the namespace? Those who do not are not told that it exists. */
extern bool prism_access_sees(int32 namespace_id);

/* 42501 for a namespace the caller may not administer, whether or not it exists. */
pg_noreturn extern void prism_access_refuse(const char *namespace_name);

/*
 * Lock what prism_access_take_all() needs, without waiting.  False: somebody has
 * some of it; then wait for it with nothing else locked, and try again.
 */
extern bool prism_access_try_take(int32 namespace_id);
extern void prism_access_await_take(int32 namespace_id);

/* Take from all roles what they hold on the namespace, and what they have in schema prism for it. */
extern void prism_access_take_all(int32 namespace_id);

/* Likewise the privileges on the namespace's outbox view. */
extern void prism_access_sync_outbox(int32 namespace_id, const char *table);

#endif							/* PRISM_ACCESS_H */
