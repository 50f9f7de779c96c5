/*-------------------------------------------------------------------------
 *
 * ownership.h
 *	  What prism makes belongs to prism.
 *
 * src/base/ownership.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_OWNERSHIP_H
#define PRISM_OWNERSHIP_H

#include "postgres.h"

/*
 * A relation was just made: DROP EXTENSION takes it along, nobody but its owner
 * has rights on it whatever his default privileges say, and if it is a table,
 * nobody else writes it.
 */
extern void prism_own_relation(Oid relid);

/* The same for one that a restore has made, as far as the dump does not say it. */
extern void prism_own_restored(Oid relid);

/*
 * Keep prism.granted as the privileges on the rights view of a namespace are;
 * 0: of all that a restore is through with, unless somebody is at it.  For a
 * restore, under which default privileges become rights on the view.
 */
extern void prism_own_note_granted(int32 namespace_id);

/*
 * The table, which the caller has locked, has its guard, as prism made it: the
 * last thing that a restore makes of one, without which it is not through with
 * it.  A guard that is in force in ordinary sessions alone, as ENABLE TRIGGER ALL
 * leaves it, is set right, for the next time that somebody asks.
 */
extern bool prism_is_guarded(Oid relid);

#endif							/* PRISM_OWNERSHIP_H */
