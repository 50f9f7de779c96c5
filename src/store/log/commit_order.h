/*-------------------------------------------------------------------------
 *
 * commit_order.h
 *	  What the rest of a commit would wait for, done before blocks are registered.
 *
 * src/store/log/commit_order.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_COMMIT_ORDER_H
#define PRISM_COMMIT_ORDER_H

/* First of all in PRE_COMMIT of a transaction that publishes or acknowledges: temporary tables are emptied and dropped now. */
extern void prism_commit_temporary_tables(void);

/* Before blocks are registered: if the transaction notifies, take the lock that its commit takes for that. May wait. */
extern void prism_commit_lock_notify(void);

/* They could not be registered, and what comes now may wait for others: let go of it again. */
extern void prism_commit_unlock_notify(void);

/* From here to the end nothing below ERROR goes to the client, for a client that does not read makes it wait. */
extern void prism_commit_be_quiet(void);

/* Of every report, before it is sent (emit_log_hook): keep warnings for later. Cannot throw. */
extern void prism_commit_hear(ErrorData *report);

/* COMMIT and ABORT callback: cannot throw. */
extern void prism_commit_order_end(bool committed);

/* When others can no longer wait for us: what was kept goes to the client. */
extern void prism_commit_tell(void);

#endif							/* PRISM_COMMIT_ORDER_H */
