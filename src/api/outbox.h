/*-------------------------------------------------------------------------
 *
 * outbox.h
 *	  What an outbox needs beside its trigger.
 *
 * src/api/outbox.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_OUTBOX_H
#define PRISM_OUTBOX_H

/* _PG_init, preloaded or not: refuse what would be inserted without the trigger. */
extern void prism_outbox_init(void);

#endif							/* PRISM_OUTBOX_H */
