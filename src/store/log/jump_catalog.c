/*-------------------------------------------------------------------------
 *
 * jump_catalog.c
 *	  The rows of prism.jump: offsets that hold no message.
 *
 * Jumps (counter_jump.c) and what commits that came to nothing had taken
 * (counter_void.c) stand there alike.
 *
 * src/store/log/jump_catalog.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/index_choice.h"
#include "base/query.h"
#include "store/log/jump_catalog.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Columns of prism.jump. */
enum
{
	JUMP_TOPIC_ID = 1,
	JUMP_FROM,
	JUMP_TO,
	JUMP_SKIPPED
};

List *
prism_jump_read(int32 topic_id, int64 from, int64 to, int max)
{
	Relation	catalog = table_open(get_relname_relid("jump", get_namespace_oid("prism", false)), AccessShareLock);
	Relation	index = index_open(prism_index_choose(catalog, 2), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	List	   *jumps = NIL;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], JUMP_TOPIC_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(topic_id));
	ScanKeyInit(&keys[1], JUMP_FROM, BTLessStrategyNumber, F_INT8LT, Int64GetDatum(to));
	scan = systable_beginscan_ordered(catalog, index, snapshot, lengthof(keys), keys);
	while ((max == 0 || list_length(jumps) < max) &&
		   HeapTupleIsValid(tuple = systable_getnext_ordered(scan, BackwardScanDirection)))
	{
		PrismJump  *jump = palloc(sizeof(PrismJump));
		bool		isnull;

		jump->from = DatumGetInt64(heap_getattr(tuple, JUMP_FROM, RelationGetDescr(catalog), &isnull));
		jump->to = DatumGetInt64(heap_getattr(tuple, JUMP_TO, RelationGetDescr(catalog), &isnull));
		jump->skipped = DatumGetInt64(heap_getattr(tuple, JUMP_SKIPPED, RelationGetDescr(catalog), &isnull));
		if (jump->to <= from)
			break;
		jumps = lappend(jumps, jump);
	}
	systable_endscan_ordered(scan);
	UnregisterSnapshot(snapshot);
	index_close(index, AccessShareLock);
	table_close(catalog, AccessShareLock);
	return jumps;
}

void
prism_jump_insert(int32 topic_id, const PrismJump *jump)
{
	Oid			types[] = {INT4OID, INT8OID, INT8OID, INT8OID};
	Datum		values[] = {Int32GetDatum(topic_id), Int64GetDatum(jump->from), Int64GetDatum(jump->to), Int64GetDatum(jump->skipped)};

	prism_query("INSERT INTO prism.jump (topic_id, from_offset, to_offset, skipped)"
				" VALUES ($1, $2, $3, $4) ON CONFLICT (topic_id, from_offset)"
				" DO UPDATE SET to_offset = EXCLUDED.to_offset, skipped = EXCLUDED.skipped",
				lengthof(types), types, values, NULL);
}

void
prism_jump_delete_past(int32 topic_id, int64 kept_from)
{
	Oid			types[] = {INT4OID, INT8OID};
	Datum		values[] = {Int32GetDatum(topic_id), Int64GetDatum(kept_from)};

	prism_query("DELETE FROM prism.jump WHERE topic_id OPERATOR(pg_catalog.=) $1 AND to_offset OPERATOR(pg_catalog.<=) $2",
				lengthof(types), types, values, NULL);
}
