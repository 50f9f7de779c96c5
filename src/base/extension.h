/*-------------------------------------------------------------------------
 *
 * extension.h
 *	  The extension in this database: is it there, of which version, whose is it?
 *
 * src/base/extension.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_EXTENSION_H
#define PRISM_EXTENSION_H

#include "postgres.h"

#define PRISM_VERSION "0.3.0"

/* True when this library was loaded by shared_preload_libraries. */
extern bool prism_preloaded;

/* Throws 55000 with the shared_preload_libraries hint unless prism_preloaded. */
extern void prism_require_preload(void);

/*
 * 55000 with a hint unless the extension's SQL in this database is of this
 * library's version.  Cheap after the first time; in a transaction.
 */
extern void prism_check_version(void);

/* The version of the extension's SQL in this database, in the current memory context; NULL: not installed. */
extern char *prism_installed_version(void);

/* The oid of the extension in this database, or InvalidOid. */
extern Oid	prism_extension_oid(void);

/* Its owner, or InvalidOid; as the catalogue has it now, whatever the version. */
extern Oid	prism_extension_owner(void);

/* The role that owns the extension: prism's own tables are read and written as it. */
extern Oid	prism_owner(void);

/*
 * Run as the extension's owner until prism_leave_owner(): for prism's own
 * sequences, which callers have no rights on; statements go through query.h.
 * An error restores the caller's identity by itself (AbortTransaction,
 * AbortSubTransaction).
 */
typedef struct PrismIdentity
{
	Oid			user;
	int			security_context;
} PrismIdentity;

extern PrismIdentity prism_enter_owner(void);
extern void prism_leave_owner(PrismIdentity identity);

#endif							/* PRISM_EXTENSION_H */
