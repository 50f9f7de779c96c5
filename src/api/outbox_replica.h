/*-------------------------------------------------------------------------
 *
 * outbox_replica.h
 *	  Refusing what would be inserted into an outbox without its trigger.
 *
 * src/api/outbox_replica.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_OUTBOX_REPLICA_H
#define PRISM_OUTBOX_REPLICA_H

/* _PG_init, preloaded or not: refuse what would be inserted without the trigger. */
extern void prism_outbox_init(void);

#endif							/* PRISM_OUTBOX_REPLICA_H */
