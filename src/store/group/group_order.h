/*-------------------------------------------------------------------------
 *
 * group_order.h
 *	  Which entries of a group's window wait for which.
 *
 * The unfinished entries of a key (ordering strict: all) form a chain in the
 * order of their offsets; its first one is marked PRISM_ENTRY_FIRST and found
 * by the hash of the key.  Only the first can be available.  An entry that
 * waits for nobody (ordering none, or a message without a key) is in no chain
 * and always a first one.  Keys whose hashes are equal wait for each other.
 *
 * Entries are linked by their slots in the ring: whoever moves entries links
 * all of them again.
 *
 * src/store/group/group_order.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_GROUP_ORDER_H
#define PRISM_GROUP_ORDER_H

#include "store/group/group_window.h"

/* Memory behind a window's entries. */
extern Size prism_order_bytes(int32 size);

/* Nothing is linked. */
extern void prism_order_clear(PrismWindow *window);

/* An entry with a higher offset than all that are linked; sets or clears its PRISM_ENTRY_FIRST. */
extern void prism_order_link(PrismWindow *window, PrismEntry *entry);

/* Take a finished entry out; returns the entry that is a first one now instead, or NULL. */
extern PrismEntry *prism_order_unlink(PrismWindow *window, PrismEntry *entry);

/* Does the holder's transaction have all that the entry, which is no first one, waits for? */
extern bool prism_order_follows(PrismWindow *window, const PrismEntry *entry, PrismHolder holder);

/* Does another lease than the entry's own have, or had last, something that it waits for? */
extern bool prism_order_overtaken(PrismWindow *window, const PrismEntry *entry);

#endif							/* PRISM_GROUP_ORDER_H */
