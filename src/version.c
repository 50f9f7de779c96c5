/*-------------------------------------------------------------------------
 *
 * version.c
 *	  Library and SQL of one version: else neither knows what the other means.
 *
 * src/version.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"
#include "compat.h"
#include "store/topic.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

pg_noreturn static void refuse_version(const char *installed);

char *
prism_installed_version(void)
{
	Relation	catalog = table_open(ExtensionRelationId, AccessShareLock);
	char	   *version = NULL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("prism"));
	scan = systable_beginscan(catalog, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;

		version = TextDatumGetCString(heap_getattr(tuple, Anum_pg_extension_extversion,
												   RelationGetDescr(catalog), &isnull));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return version;
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
