/*-------------------------------------------------------------------------
 *
 * patience.h
 *	  Which sessions wait for a lock on a relation of a topic, and which do not.
 *
 * Whoever publishes to a topic or reads it waits while somebody rewrites or
 * locks its tables, as for any table.  A process that serves many topics, and a
 * view of many, do not: one topic's lock would hold up all the others.  They
 * are told by an error (55P03), pass the topic over and come back later.
 *
 * src/base/patience.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PATIENCE_H
#define PRISM_PATIENCE_H

#include "base/compat.h"

#include "access/genam.h"
#include "access/relation.h"
#include "nodes/pg_list.h"
#include "storage/lmgr.h"
#include "utils/relcache.h"

/* True in prism's workers, and while a view looks at a topic. */
extern bool prism_never_waits;

/* How long they wait at most for what others are just doing: moving a mark, reading ahead. */
#define PRISM_PATIENCE_MS 1000

/* 55P03: the relation is locked by somebody. */
pg_noreturn extern void prism_refuse_to_wait(Oid relid);
/* 55P03: another session is at something for too long; the message says at what. */
pg_noreturn extern void prism_refuse_to_wait_for(const char *message);

/* The errcode and the marks of these, for an error of another text about what may be over soon: 55P03 for those who do not wait, 55000 for others. */
extern int	prism_not_ready(void);

/* The error is one of these. */
extern bool prism_is_refusal(const ErrorData *error);

/*
 * Look at something without waiting for locks.  It happens in a subtransaction
 * that is rolled back in any case, so that no lock outlives the look.  False: a
 * lock was in the way (55P03 of any origin), or, if 'damage' is not NULL, what is
 * looked at cannot be read: it is told by a warning, and by '*damage', which is
 * NULL otherwise.
 */
extern bool prism_look_without_waiting(void (*look) (void *arg), void *arg, const char **damage);

/* Look at something that may be damaged, waiting for locks as ever. False: it is, which is told by a warning. */
extern bool prism_look_past_damage(void (*look) (void *arg), void *arg);

/* LockRelationOid() for those who wait; for the others 55P03 when it cannot be had at once. */
static inline void
prism_lock_relation(Oid relid, LOCKMODE mode)
{
	if (!prism_never_waits)
		LockRelationOid(relid, mode);
	else if (!ConditionalLockRelationOid(relid, mode))
		prism_refuse_to_wait(relid);
}

/* try_relation_open(), likewise. */
static inline Relation
prism_try_relation_open(Oid relid, LOCKMODE mode)
{
	Relation	relation;

	if (!prism_never_waits)
		return try_relation_open(relid, mode);
	prism_lock_relation(relid, mode);
	relation = try_relation_open(relid, NoLock);
	if (relation == NULL)
		UnlockRelationOid(relid, mode);
	return relation;
}

/* index_open(), likewise; the caller holds a lock on the table. */
static inline Relation
prism_index_open(Oid relid, LOCKMODE mode)
{
	prism_lock_relation(relid, mode);
	return index_open(relid, NoLock);
}

/* Lock all indexes of a table, until the end of the transaction; what is locked. */
extern List *prism_lock_indexes(Relation table, LOCKMODE mode);
/* What holds its values out of line, likewise: who fetches or writes one would wait for it. */
extern List *prism_lock_toast(Relation table, LOCKMODE mode);
/* A session that goes through all tables of a topic lets go of one before the next: the server's lock table is not made for all of them. */
extern void prism_unlock(List *relids, LOCKMODE mode);

/* AccessExclusiveLock on all marks but 'held', without waiting; or on none, and the first that somebody uses. */
extern Oid	prism_try_topics(const List *marks, Oid held);
/* AccessExclusiveLock on the marks of all topics, for the session that takes the extension: see there for how no deadlock comes of it. */
extern void prism_lock_all_topics(const List *marks);

#endif							/* PRISM_PATIENCE_H */
