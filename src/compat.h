/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  What differs between PostgreSQL's major versions, and nothing else.
 *
 * The only file that names PG_VERSION_NUM.  An entry is a wrapper with the
 * newest signature.
 *
 * src/compat.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_COMPAT_H
#define PRISM_COMPAT_H

#include "postgres.h"

#include "storage/proc.h"

#if PG_VERSION_NUM < 150000
#error "prism needs PostgreSQL 15 or newer"
#endif

/* The index of this process in ProcGlobal->allProcs. */
static inline int
prism_my_proc_number(void)
{
#if PG_VERSION_NUM >= 170000
	return MyProcNumber;
#else
	return MyProc->pgprocno;
#endif
}

/* Before the declaration of a function that does not return. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

#endif /* PRISM_COMPAT_H */
