/*-------------------------------------------------------------------------
 *
 * database.h
 *	  Which databases workers must stay away from, and at which the launcher shall look.
 *
 * src/bgworker/database.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_DATABASE_H
#define PRISM_DATABASE_H

#include "base/prism.h"

extern Size prism_database_shmem_size(void);
extern void prism_database_shmem_init(void);

/*
 * A database is to be dropped, renamed, moved or copied: its workers leave and
 * none comes back until prism_database_release() or ten seconds have passed.
 * False: some are still there after the wait.
 */
extern bool prism_database_hold_off(Oid database, long timeout_ms);
extern void prism_database_release(Oid database);	/* cannot throw */

extern bool prism_database_is_held(Oid database);

/* The launcher looks (again) at the database, InvalidOid: at their list. Cannot throw. */
extern void prism_database_look_at(Oid database);

/*
 * The launcher takes what it shall look at one by one; *all is set instead when
 * there was too much to remember.  Holds whose time is over come along.
 */
extern Oid	prism_database_look_next(bool *all);

/* When the next hold is over, in ms; -1: there is none. */
extern long prism_database_hold_ms(void);

#endif							/* PRISM_DATABASE_H */
