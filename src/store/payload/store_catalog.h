/*-------------------------------------------------------------------------
 *
 * store_catalog.h
 *	  Where the large payloads of a topic are kept: rows of prism.store.
 *
 * A topic uses one of them, whose number its chain has; a claim has the number of
 * the one that it was made with.  When the place changes, another row takes over,
 * and the former one stays as long as messages name it.
 *
 * All of these run SQL as the extension's owner.  Who writes has the topic locked
 * against others who do: apply() its names, whoever makes dead letters their topic.
 *
 * src/store/payload/store_catalog.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_STORE_CATALOG_H
#define PRISM_STORE_CATALOG_H

#include "base/prism.h"

/* A place; NULLs: the back end has no such thing. */
typedef struct PrismStorePlace
{
	const char *backend;
	const char *server;			/* foreign server */
	const char *bucket;
	const char *prefix;
} PrismStorePlace;

typedef struct PrismStoreRow
{
	int32		store_id;
	PrismStorePlace place;
} PrismStoreRow;

/* Of each topic the row that is in use, or NULL. */
extern PrismStoreRow **prism_stores_in_use(const int32 *topic_ids, int count);
extern PrismStoreRow *prism_store_in_use(int32 topic_id);

extern bool prism_store_is_at(const PrismStoreRow *store, const PrismStorePlace *place);

/* The number of the topic's row for the place, made if that is not the one in use; the former one is retired. */
extern int32 prism_store_put(int32 topic_id, const PrismStorePlace *place);

/* The one in use is it no longer: no new payload goes there. */
extern void prism_store_retire(int32 topic_id);

/*
 * Of a topic that holds what comes from another one (its dead letters): the number
 * of a row of its own for the same place as that store's.  0: there is no such store.
 */
extern int32 prism_store_follow(int32 topic_id, int32 store_id);

/* For the maintainer: rows of places that were given up, and that no message kept and no table of payloads names any more. */
extern void prism_stores_forget(void);

/* The topic is being dropped. */
extern void prism_store_drop_all(int32 topic_id);

#endif							/* PRISM_STORE_CATALOG_H */
