/*-------------------------------------------------------------------------
 *
 * segment_size.c
 *	  How much disk a segment takes.
 *
 * PostgreSQL opens a table and its indexes to tell their size, and keeps for
 * each in the process what it has learnt of them, 13 kB a segment.  A process
 * that looks at all segments of a large log would grow until it is replaced,
 * and its successor as well.  Nobody writes a settled segment any more, so its
 * size is asked for once, and what was opened for it is forgotten.
 *
 * src/store/log/segment_size.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/patience.h"
#include "store/log/segment.h"
#include "store/log/segment_size.h"

#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/relcache.h"

typedef struct KnownSize
{
	Oid			relid;
	int64		bytes;
} KnownSize;

static HTAB *known = NULL;
static uint64 changes = 0;

/* Somebody has rewritten, repaired or dropped it. */
static void
forget_size(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS scan;
	KnownSize  *size;

	changes++;
	if (OidIsValid(relid))
	{
		(void) hash_search(known, &relid, HASH_REMOVE, NULL);
		return;
	}
	hash_seq_init(&scan, known);
	while ((size = hash_seq_search(&scan)) != NULL)
		(void) hash_search(known, &size->relid, HASH_REMOVE, NULL);
}

static void
begin_knowing(void)
{
	HASHCTL		info = {.keysize = sizeof(Oid),.entrysize = sizeof(KnownSize)};

	if (known != NULL)
		return;
	known = hash_create("prism sizes of segments", 1024, &info, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(forget_size, (Datum) 0);
}

/* All that the server opens to learn the size. False: the table is gone. */
static bool
lock_all_of(Oid relid, List **locked)
{
	Relation	segment = prism_try_relation_open(relid, AccessShareLock);

	if (segment == NULL)
		return false;
	*locked = lappend_oid(prism_lock_indexes(segment, AccessShareLock), relid);
	*locked = list_concat(*locked, prism_lock_toast(segment, AccessShareLock));
	relation_close(segment, NoLock);
	return true;
}

/* False: it is gone. */
static bool
measure(Oid relid, bool keep_open, int64 *bytes)
{
	LOCAL_FCINFO(fcinfo, 1);
	List	   *locked = NIL;
	ListCell   *cell;

	if (!OidIsValid(relid) || !lock_all_of(relid, &locked))
		return false;
	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = ObjectIdGetDatum(relid);
	fcinfo->args[0].isnull = false;
	*bytes = DatumGetInt64(pg_total_relation_size(fcinfo));
	foreach(cell, locked)
	{
		if (!keep_open)
			RelationCacheInvalidateEntry(lfirst_oid(cell));
	}
	prism_unlock(locked, AccessShareLock);
	return !fcinfo->isnull;
}

int64
prism_table_bytes(Oid relid)
{
	int64		bytes;

	return measure(relid, false, &bytes) ? bytes : 0;
}

int64
prism_segment_bytes(PrismTopic *topic, int64 number)
{
	int64		bytes;

	return measure(prism_segment_relid(topic, number, NULL), true, &bytes) ? bytes : 0;
}

int64
prism_segment_settled_bytes(PrismTopic *topic, int64 number)
{
	Oid			relid = prism_segment_relid(topic, number, NULL);
	uint64		before = changes;
	KnownSize  *size;
	int64		bytes;

	begin_knowing();
	size = hash_search(known, &relid, HASH_FIND, NULL);
	if (size != NULL)
		return size->bytes;
	if (!measure(relid, false, &bytes))
		return 0;
	if (changes == before)
	{
		size = hash_search(known, &relid, HASH_ENTER, NULL);
		size->bytes = bytes;
	}
	return bytes;
}
