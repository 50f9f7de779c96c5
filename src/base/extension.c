/*-------------------------------------------------------------------------
 *
 * extension.c
 *	  The extension in this database: is it there, of which version, whose is it?
 *
 * src/base/extension.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/generation.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

bool		prism_preloaded = false;

pg_noreturn static void refuse_version(const char *installed);

PG_FUNCTION_INFO_V1(prism_version);

void
prism_require_preload(void)
{
	if (!prism_preloaded)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("prism must be loaded at server start"),
				errhint("Add prism to shared_preload_libraries in postgresql.conf and restart the server."));
}

/* ---------- version: library and SQL are of one, else neither knows what the other means ---------- */

Datum
prism_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(PRISM_VERSION));
}

/* What pg_extension has of prism. */
typedef struct ExtensionRow
{
	Oid			extension;
	Oid			owner;
	char	   *version;		/* in the current memory context */
} ExtensionRow;

/* False: not installed here. */
static bool
read_row(ExtensionRow *row)
{
	Relation	catalog = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("prism"));
	scan = systable_beginscan(catalog, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		Form_pg_extension form = (Form_pg_extension) GETSTRUCT(tuple);
		bool		isnull;

		row->extension = form->oid;
		row->owner = form->extowner;
		row->version = TextDatumGetCString(heap_getattr(tuple, Anum_pg_extension_extversion,
														RelationGetDescr(catalog), &isnull));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

char *
prism_installed_version(void)
{
	ExtensionRow row;

	return read_row(&row) ? row.version : NULL;
}

void
prism_check_version(void)
{
	static uint64 agreed_at = 0;
	uint64		now = prism_catalog_generation();
	char	   *installed;

	if (agreed_at == now)
		return;
	installed = prism_installed_version();
	if (installed != NULL && strcmp(installed, PRISM_VERSION) != 0)
		refuse_version(installed);
	if (installed != NULL)
		pfree(installed);
	agreed_at = now;
}

static void
refuse_version(const char *installed)
{
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("prism's library and its SQL are of different versions"),
			errdetail("The library is %s, the extension in this database is %s.", PRISM_VERSION, installed),
			errhint("Run ALTER EXTENSION prism UPDATE; if the library is the older one, restart the server first."));
}

/* ---------- whose it is ---------- */

Oid
prism_extension_oid(void)
{
	ExtensionRow row;

	return read_row(&row) ? row.extension : InvalidOid;
}

Oid
prism_extension_owner(void)
{
	ExtensionRow row;

	return read_row(&row) ? row.owner : InvalidOid;
}

Oid
prism_owner(void)
{
	static Oid	owner = InvalidOid;
	static uint64 known_at = 0;
	uint64		now = prism_catalog_generation();

	if (known_at != now)
	{
		ExtensionRow row;

		if (!read_row(&row))
			ereport(ERROR,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("extension \"prism\" is not installed in this database"),
					errhint("Run CREATE EXTENSION prism."));
		prism_check_version();
		owner = row.owner;
		known_at = now;
	}
	return owner;
}

PrismIdentity
prism_enter_owner(void)
{
	PrismIdentity identity;

	GetUserIdAndSecContext(&identity.user, &identity.security_context);
	SetUserIdAndSecContext(prism_owner(),
						   identity.security_context | SECURITY_LOCAL_USERID_CHANGE);
	return identity;
}

void
prism_leave_owner(PrismIdentity identity)
{
	SetUserIdAndSecContext(identity.user, identity.security_context);
}
