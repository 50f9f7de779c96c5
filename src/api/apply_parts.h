/*-------------------------------------------------------------------------
 *
 * apply_parts.h
 *	  What a namespace consists of in the database.
 *
 * A part knows which steps (step.h) it needs to be as wanted, and how to make
 * them.  So making, changing and repairing are one thing, and drift is found
 * where it would be repaired.
 *
 * src/api/apply_parts.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_APPLY_PARTS_H
#define PRISM_APPLY_PARTS_H

#include "base/prism.h"
#include "api/step.h"
#include "namespace/spec.h"
#include "store/payload/store_catalog.h"
#include "store/sink/sink_ddl.h"

/* A namespace between what is there and what is wanted. */
typedef struct PrismNamespaceWork
{
	const PrismNamespace *wanted;
	const struct PrismNamespaceWork *earlier;	/* the one before it in the document, NULL: none; plan() looks at what apply() finds by then */
	PrismStoredNamespace *stored;	/* NULL: it is new */
	int32		namespace_id;	/* 0: not given yet */
	int32		topic_id;		/* 0: there is no topic yet */
	char	   *topic_name;		/* of the existing topic */
	int64		message_bytes_max;	/* likewise */
	char	   *policy;			/* likewise */
	char	   *chain;			/* likewise */
	char	   *letters_policy;	/* of the topic of its dead letters; NULL: there is none */
	char	   *letters_chain;	/* likewise */
	int32		letters_id;		/* likewise; 0: there is none */
	PrismStoreRow *store;		/* of the existing topic: where its large payloads go; NULL: nowhere */
	PrismStoreRow *letters_store;	/* likewise, of its dead letters */
	PrismSinkRow *sink;			/* of the existing topic; NULL: none */
	bool		topic_is_taken; /* the wanted topic is somebody else's */
	int32		topic_owner_id; /* then that namespace; 0: prism's own, or there is none */
	char	   *topic_owner;	/* likewise */
} PrismNamespaceWork;

#define PRISM_PART_KEYS_MAX 6

typedef struct PrismNamespacePart
{
	/* the keys that it is made of: beginnings of paths as in prism.config_keys; with one that changes its repairs are no news */
	const char *keys[PRISM_PART_KEYS_MAX];
	/* List of PrismStep; NIL: as wanted. Touches nothing */
	List	   *(*steps) (const PrismNamespaceWork *work);
	/* Make it as wanted. Called when there is a step, and none is refused; NULL: others make it */
	void		(*make) (PrismNamespaceWork *work);
} PrismNamespacePart;

/* In the order in which they are made; ended by NULLs. */
extern const PrismNamespacePart prism_namespace_parts[];

/* apply_look.c: find the topics that belong to the namespaces (a list of PrismNamespaceWork), their sinks, and whose the wanted topics are. */
extern void prism_works_look(const List *works);
/* The topic of one that is stored, and its sink. */
extern void prism_namespace_find_topic(PrismNamespaceWork *work);

/* apply_sink.c */
extern List *prism_namespace_sink_steps(const PrismNamespaceWork *work);
extern void prism_namespace_make_sink(PrismNamespaceWork *work);
/* Its topic's sink is to go, for none or another one: nobody may use the topic meanwhile. */
extern bool prism_namespace_moves_sink(const PrismNamespaceWork *work);
/* Why the topic's sinks cannot go, or its own alone: messages wait for one. NULL: they can. */
extern const PrismRefusal *prism_namespace_waiting(int32 topic_id, const char *topic_name, bool own, const char *hint);

/* Keep everybody from the outbox view, if it is there and the namespace's. */
extern Oid	prism_namespace_lock_table(const char *table, int32 namespace_id);

/* Drop the outbox view, if it is there and the namespace's. */
extern void prism_namespace_drop_table(const char *table, int32 namespace_id, bool force);

/* Does making it use the topic, which has to have a place among prism.max_topics then? */
extern bool prism_namespace_needs_place(const PrismNamespaceWork *work);

/* NULL equals NULL. */
static inline bool
prism_same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

#endif							/* PRISM_APPLY_PARTS_H */
