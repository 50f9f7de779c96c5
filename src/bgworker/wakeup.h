/*-------------------------------------------------------------------------
 *
 * wakeup.h
 *	  Asking prism's workers for something from any backend.
 *
 * src/bgworker/wakeup.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_WAKEUP_H
#define PRISM_WAKEUP_H

#include "base/prism.h"

/* Prism was created, changed or dropped in this database: the launcher and this database's workers look again. Takes effect at commit. */
extern void prism_wake_at_commit(void);

/* Wake this database's maintainer now (a publisher waits for a segment). Does nothing when there is none. Cannot throw. */
extern void prism_wake_maintainer(void);

/* A delayed message was committed: wake this database's scheduler, or the manager, which starts one. Cannot throw. */
extern void prism_wake_scheduler(void);

/* First of all before a commit.  True: this transaction has dropped the extension, and with it all that it had to do for it. */
extern bool prism_wake_pre_commit(void);

/* Transaction callbacks: see PrismModule. */
extern void prism_wake_pre_prepare(void);
extern void prism_wake_end(bool committed); /* cannot throw */

/* The transaction's invalidation messages are out. Cannot throw. */
extern void prism_wake_told(void);

/* What the hooks of utility.c see; all for the end of the transaction. */
extern void prism_wake_extension_dropped(Oid extension);
extern void prism_wake_servers_changed(void);
extern void prism_wake_functions_changed(void);
extern void prism_wake_roles_changed(void);
extern void prism_wake_relations_restored(void);
extern void prism_wake_databases_changed(void);

/* Workers stay away from the database until the end of this transaction, which may drop it. */
extern void prism_wake_hold_off(Oid database, bool to_drop);

#endif							/* PRISM_WAKEUP_H */
