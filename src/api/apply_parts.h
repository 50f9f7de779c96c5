/*-------------------------------------------------------------------------
 *
 * apply_parts.h
 *	  What a namespace consists of in the database.
 *
 * A part knows how to tell whether it is as wanted, and how to make it so.
 * apply() runs through the parts; plan() only asks them.  So making, changing
 * and repairing are one thing, and drift is found where it would be repaired.
 *
 * src/api/apply_parts.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_APPLY_PARTS_H
#define PRISM_APPLY_PARTS_H

#include "base/prism.h"
#include "namespace/spec.h"

/* A namespace between what is there and what is wanted. */
typedef struct PrismNamespaceWork
{
	const PrismNamespace *wanted;
	PrismStoredNamespace *stored;	/* NULL: it is new */
	int32		namespace_id;	/* 0: not given yet */
	int32		topic_id;		/* 0: there is no topic yet */
	char	   *topic_name;		/* of the existing topic */
	int64		message_bytes_max;	/* likewise */
	char	   *policy;			/* likewise */
	char	   *chain;			/* likewise */
} PrismNamespaceWork;

typedef struct PrismNamespacePart
{
	/* NULL: as wanted; else what is not, for people */
	char	   *(*difference) (const PrismNamespaceWork *work);
	/* Make it as wanted. Called only when there is a difference. */
	void		(*make) (PrismNamespaceWork *work);
} PrismNamespacePart;

/* In the order in which they are made; ended by NULLs. */
extern const PrismNamespacePart prism_namespace_parts[];

/* Find the topic that belongs to the namespace. */
extern void prism_namespace_find_topic(PrismNamespaceWork *work);

/* Its topic's sink is to go: nobody may use the topic meanwhile. */
extern bool prism_namespace_drops_sink(const PrismNamespaceWork *work);

/* 55000 when messages of the topic wait for one of its sinks, or for its own alone. */
extern void prism_namespace_check_waiting(int32 topic_id, const char *topic_name, bool own, const char *hint);

/* Keep everybody from the outbox view, if it is there and the namespace's. */
extern Oid	prism_namespace_lock_table(const char *table, int32 namespace_id);

/* Drop the outbox view, if it is there and the namespace's. */
extern void prism_namespace_drop_table(const char *table, int32 namespace_id, bool force);

/* Does making it use the topic, which has to have a place among prism.max_topics then? */
extern bool prism_namespace_needs_place(const PrismNamespaceWork *work);

#endif							/* PRISM_APPLY_PARTS_H */
