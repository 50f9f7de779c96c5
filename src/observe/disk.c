/*-------------------------------------------------------------------------
 *
 * disk.c
 *	  What is left on the disks that prism writes to, for prism.status and
 *	  prism.doctor().
 *
 * A full disk fails commits that publish, and a full one under the WAL stops the
 * whole server.
 *
 * src/observe/disk.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/query.h"

#include "access/xlog_internal.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_tablespace_d.h"
#include "common/relpath.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include <sys/statvfs.h>

PG_FUNCTION_INFO_V1(prism_disks);

/* Less than this share of it, and less than this many bytes, is little. */
#define SCARCE_PART 20
#define SCARCE_BYTES (INT64CONST(1024) * 1024 * 1024)

/* Columns of prism_internal.disks(). */
enum
{
	DISK_PLACE,
	DISK_FREE,
	DISK_TOTAL,
	DISK_SCARCE,
	DISK_COLUMNS
};

/* A place that cannot be asked is left out; one that has enough is for those who watch the server. */
static void
put_place(ReturnSetInfo *result, const char *place, const char *path)
{
	struct statvfs disk;
	Datum		values[DISK_COLUMNS];
	bool		nulls[DISK_COLUMNS] = {0};
	int64		left;
	int64		total;
	bool		scarce;

	if (statvfs(path, &disk) != 0)
		return;
	left = (int64) disk.f_bavail * disk.f_frsize;
	total = (int64) disk.f_blocks * disk.f_frsize;
	values[DISK_PLACE] = CStringGetTextDatum(place);
	values[DISK_FREE] = Int64GetDatum(left);
	values[DISK_TOTAL] = Int64GetDatum(total);
	scarce = left < total / SCARCE_PART && left < SCARCE_BYTES;
	if (!scarce && !has_privs_of_role(GetUserId(), prism_owner()) && !has_privs_of_role(GetUserId(), ROLE_PG_MONITOR))
		return;
	values[DISK_SCARCE] = BoolGetDatum(scarce);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* New segments go to the database's own tablespace; somebody may have moved others. */
static const char places_query[] =
"SELECT t.oid, t.spcname FROM pg_catalog.pg_tablespace t WHERE t.oid = (SELECT d.dattablespace FROM pg_catalog.pg_database d WHERE d.oid = $1)"
" OR t.oid IN (SELECT c.reltablespace FROM pg_catalog.pg_class c WHERE c.relnamespace IN ('prism'::pg_catalog.regnamespace, 'prism_log'::pg_catalog.regnamespace))"
" ORDER BY t.spcname";

Datum
prism_disks(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(MyDatabaseId)};
	PrismQueryRows rows;

	InitMaterializedSRF(fcinfo, 0);
	rows = prism_query_read(places_query, lengthof(types), types, values, 0);
	for (uint64 i = 0; i < rows.count; i++)
	{
		Oid			tablespace = prism_column_oid(&rows.row[i], 1);

		put_place(result, psprintf("tablespace %s", prism_column_text(&rows.row[i], 2)),
				  tablespace == DEFAULTTABLESPACE_OID ? "base" : GetDatabasePath(MyDatabaseId, tablespace));
	}
	put_place(result, "write-ahead log", XLOGDIR);
	return (Datum) 0;
}
