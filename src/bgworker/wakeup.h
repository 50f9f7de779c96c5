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

#include "prism.h"

/* Prism was created, changed or dropped in this database: the launcher and this database's workers look again. Takes effect at commit. */
extern void prism_wake_at_commit(void);

/* Wake this database's maintainer now (a publisher waits for a segment). Does nothing when there is none. */
extern void prism_wake_maintainer(void);

#endif							/* PRISM_WAKEUP_H */
