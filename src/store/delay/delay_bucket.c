/*-------------------------------------------------------------------------
 *
 * delay_bucket.c
 *	  Buckets of delayed messages.
 *
 * src/store/delay/delay_bucket.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/index_choice.h"
#include "base/marker.h"
#include "base/object_id.h"
#include "base/ownership.h"
#include "base/patience.h"
#include "base/query.h"
#include "store/delay/delay_bucket.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Columns of a bucket. */
enum
{
	BUCKET_TOPIC_ID = 1,
	BUCKET_DUE_AT,
	BUCKET_SEQUENCE,
	BUCKET_ID,
	BUCKET_KEY,
	BUCKET_HEADERS,
	BUCKET_PAYLOAD,
	BUCKET_CLAIM,				/* payload is a claim */
	BUCKET_COLUMNS = BUCKET_CLAIM
};

/* Columns of its index. */
enum
{
	INDEX_TOPIC_ID = 1,
	INDEX_DUE_AT,
	INDEX_SEQUENCE
};

/* How long spans are for what is due so far ahead; later still: one for all. */
static const struct
{
	int64		ahead;
	int64		length;
}			levels[] =
{
	{USECS_PER_DAY, USECS_PER_HOUR},
	{60 * USECS_PER_DAY, USECS_PER_DAY},
	{1800 * USECS_PER_DAY, 30 * USECS_PER_DAY},
};

PrismDelaySpan
prism_delay_span(TimestampTz due_at, TimestampTz now)
{
	for (int i = 0; i < (int) lengthof(levels); i++)
	{
		if (due_at - now < levels[i].ahead)
		{
			TimestampTz from = due_at - due_at % levels[i].length;

			return (PrismDelaySpan)
			{
				from, from + levels[i].length
			};
		}
	}
	return (PrismDelaySpan)
	{
		DT_NOBEGIN, DT_NOEND
	};
}

/* ---------- the catalogue ---------- */

List *
prism_delay_buckets(void)
{
	PrismQueryRows rows = prism_query("SELECT bucket_id, due_from, due_to FROM prism.delay_bucket WHERE NOT retired ORDER BY bucket_id",
									  0, NULL, NULL, NULL);
	List	   *buckets = NIL;

	for (uint64 i = 0; i < rows.count; i++)
	{
		PrismDelayBucket *bucket = palloc_object(PrismDelayBucket);

		bucket->made = false;
		bucket->bucket_id = prism_column_int32(&rows.row[i], 1);
		bucket->span.from = prism_column_time(&rows.row[i], 2);
		bucket->span.to = prism_column_time(&rows.row[i], 3);
		buckets = lappend(buckets, bucket);
	}
	prism_query_free(&rows);
	return buckets;
}

static char *
bucket_name(char *name, int32 bucket_id)
{
	snprintf(name, NAMEDATALEN, "delayed_%d", bucket_id);
	return name;
}

static char *
index_name(char *name, int32 bucket_id)
{
	snprintf(name, NAMEDATALEN, "delayed_%d_due", bucket_id);
	return name;
}

/* Rows are only ever inserted and go with the table: no vacuum after inserts, no truncation. */
int32
prism_delay_bucket_create(PrismDelaySpan span)
{
	int32		bucket_id = prism_next_object_id();
	char		table[NAMEDATALEN];
	char		index[NAMEDATALEN];
	Oid			types[] = {INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[] = {
		Int32GetDatum(bucket_id), TimestampTzGetDatum(span.from), TimestampTzGetDatum(span.to)
	};

	bucket_name(table, bucket_id);
	index_name(index, bucket_id);
	prism_query(psprintf("CREATE TABLE prism_log.%s ("
						 "topic_id integer NOT NULL, due_at pg_catalog.timestamptz NOT NULL, sequence bigint NOT NULL,"
						 " id pg_catalog.uuid NOT NULL, key pg_catalog.text, headers pg_catalog.jsonb, payload pg_catalog.bytea,"
						 " claim boolean NOT NULL DEFAULT false)"
						 " USING heap WITH (autovacuum_vacuum_insert_threshold = -1, vacuum_truncate = off,"
						 " toast.autovacuum_vacuum_insert_threshold = -1, toast.vacuum_truncate = off)", table),
				0, NULL, NULL, NULL);
	prism_query(psprintf("CREATE UNIQUE INDEX %s ON prism_log.%s (topic_id, due_at, sequence) WITH (deduplicate_items = off)",
						 index, table), 0, NULL, NULL, NULL);
	prism_query("INSERT INTO prism.delay_bucket (bucket_id, due_from, due_to) VALUES ($1, $2, $3)",
				lengthof(types), types, values, NULL);
	CommandCounterIncrement();

	prism_own_relation(get_relname_relid(table, get_namespace_oid("prism_log", false)));
	return bucket_id;
}

/* One update for a whole table. */
void
prism_delay_bucket_retire(int32 bucket_id)
{
	prism_query_one("UPDATE prism.delay_bucket SET retired = true WHERE bucket_id = $1", bucket_id);
}

bool
prism_delay_write_off(int32 bucket_id, int32 topic_id, int64 messages)
{
	Oid			types[] = {INT4OID, INT4OID, INT8OID};
	Datum		values[] = {Int32GetDatum(bucket_id), Int32GetDatum(topic_id), Int64GetDatum(messages)};

	/* one that somebody is changing says nothing yet */
	return prism_query("UPDATE prism.delay_lost SET written_off = true WHERE ctid = (SELECT ctid FROM prism.delay_lost"
					   " WHERE bucket_id = $1 AND topic_id = $2 AND messages = $3 AND NOT written_off"
					   " LIMIT 1 FOR UPDATE SKIP LOCKED)", lengthof(types), types, values, NULL).count > 0;
}

void
prism_delay_bucket_keep(int32 bucket_id, int32 topic_id)
{
	Oid			types[] = {INT4OID, INT4OID};
	Datum		values[] = {Int32GetDatum(bucket_id), Int32GetDatum(topic_id)};

	prism_query("INSERT INTO prism.delay_lost (bucket_id, topic_id, messages, written_off) VALUES ($1, $2, 0, true)",
				lengthof(types), types, values, NULL);
}

bool
prism_delay_bucket_next_retired(int32 *bucket_id)
{
	Oid			type = INT4OID;
	Datum		after = Int32GetDatum(*bucket_id);
	PrismQueryRows next = prism_query("SELECT bucket_id FROM prism.delay_bucket b WHERE retired AND bucket_id > $1"
									  " AND NOT EXISTS (SELECT FROM prism.delay_lost l WHERE l.bucket_id = b.bucket_id) ORDER BY 1 LIMIT 1",
									  1, &type, &after, NULL);

	if (next.count == 0)
		return false;
	*bucket_id = prism_column_int32(&next.row[0], 1);
	return true;
}

/* A bucket without its index is left: pg_restore is still filling it.  The lock is not waited for: a reader keeps its bucket. */
void
prism_delay_bucket_drop(int32 bucket_id)
{
	Oid			schema = get_namespace_oid("prism_log", false);
	char		name[NAMEDATALEN];
	Oid			relid = get_relname_relid(bucket_name(name, bucket_id), schema);

	if (OidIsValid(relid) &&
		(!OidIsValid(get_relname_relid(index_name(name, bucket_id), schema)) ||
		 !ConditionalLockRelationOid(relid, AccessExclusiveLock) || !prism_is_guarded(relid)))
		return;
	if (OidIsValid(relid))
		prism_query(psprintf("DROP TABLE prism_log.%s", bucket_name(name, bucket_id)), 0, NULL, NULL, NULL);
	prism_query_one("DELETE FROM prism.delay_bucket WHERE bucket_id = $1", bucket_id);
}

/* ---------- opening ---------- */

/* Somebody may have altered it. */
static void
check_columns(Relation table)
{
	static const Oid types[] = {INT4OID, TIMESTAMPTZOID, INT8OID, UUIDOID, TEXTOID, JSONBOID, BYTEAOID, BOOLOID};
	TupleDesc	found = RelationGetDescr(table);
	bool		good = found->natts >= BUCKET_COLUMNS;

	StaticAssertStmt(lengthof(types) == BUCKET_COLUMNS, "each column has a type");
	for (int i = 0; i < BUCKET_COLUMNS && good; i++)
		good = TupleDescAttr(found, i)->atttypid == types[i];
	if (!good)
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("\"%s\" has not the columns of a table of delayed messages", RelationGetRelationName(table)));
}

/* A restore makes the table first, fills it, and makes the index last. */
static Relation
open_bucket(int32 bucket_id, LOCKMODE mode)
{
	Oid			schema = get_namespace_oid("prism_log", false);
	char		name[NAMEDATALEN];
	Oid			relid = get_relname_relid(bucket_name(name, bucket_id), schema);
	Relation	table;

	if (!OidIsValid(relid) || !OidIsValid(get_relname_relid(index_name(name, bucket_id), schema)))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("a table of delayed messages is missing or has no index: prism_log.delayed_%d", bucket_id),
				errhint("If a restore is under way, wait until it has ended; otherwise restore the table from a backup."));
	prism_lock_relation(relid, mode);
	table = table_open(relid, NoLock);
	check_columns(table);
	return table;
}

/* A table and its indexes. Whoever opens them says what is missing. */
static bool
lock_table(Oid relid, LOCKMODE mode)
{
	Relation	table;
	List	   *indexes;
	ListCell   *cell;
	bool		locked = true;

	if (!ConditionalLockRelationOid(relid, mode))
		return false;
	table = try_relation_open(relid, NoLock);
	if (table == NULL)
		return true;
	indexes = RelationGetIndexList(table);
	foreach(cell, indexes)
		locked = locked && ConditionalLockRelationOid(lfirst_oid(cell), mode);
	if (locked && OidIsValid(table->rd_rel->reltoastrelid))
		locked = lock_table(table->rd_rel->reltoastrelid, mode);
	relation_close(table, NoLock);
	list_free(indexes);
	return locked;
}

bool
prism_delay_bucket_is_free(int32 bucket_id, LOCKMODE mode)
{
	char		name[NAMEDATALEN];
	Oid			relid = get_relname_relid(bucket_name(name, bucket_id), get_namespace_oid("prism_log", false));

	return !OidIsValid(relid) || lock_table(relid, mode);
}

/* ---------- filling ---------- */

struct PrismDelayWriter
{
	Relation	table;
	ResultRelInfo *target;
	EState	   *estate;
	TupleTableSlot *slot;
};

PrismDelayWriter *
prism_delay_writer_open(int32 bucket_id)
{
	PrismDelayWriter *writer = palloc(sizeof(PrismDelayWriter));

	writer->table = open_bucket(bucket_id, RowExclusiveLock);
	if (prism_never_waits)
		list_free(prism_lock_indexes(writer->table, RowExclusiveLock));
	writer->estate = CreateExecutorState();
	writer->slot = MakeSingleTupleTableSlot(RelationGetDescr(writer->table), &TTSOpsHeapTuple);
	writer->target = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->target, writer->table, 0, NULL, 0);
	ExecOpenIndices(writer->target, false);
	return writer;
}

/* As in the log, the rows are marked as nothing to replicate. */
void
prism_delay_writer_put(PrismDelayWriter *writer, int32 topic_id, PrismDelayPlace place,
					   const PrismMessage *message)
{
	Datum		values[BUCKET_COLUMNS];
	bool		nulls[BUCKET_COLUMNS] = {false};
	RepOriginId caller_origin;

	values[BUCKET_TOPIC_ID - 1] = Int32GetDatum(topic_id);
	values[BUCKET_DUE_AT - 1] = TimestampTzGetDatum(place.due_at);
	values[BUCKET_SEQUENCE - 1] = Int64GetDatum(place.sequence);
	values[BUCKET_ID - 1] = UUIDPGetDatum(&message->id);
	values[BUCKET_KEY - 1] = message->key;
	values[BUCKET_HEADERS - 1] = message->headers;
	values[BUCKET_PAYLOAD - 1] = message->payload;
	values[BUCKET_CLAIM - 1] = BoolGetDatum(message->claim);
	nulls[BUCKET_KEY - 1] = !message->has_key;
	nulls[BUCKET_HEADERS - 1] = !message->has_headers;
	nulls[BUCKET_PAYLOAD - 1] = !message->has_payload;
	ExecStoreHeapTuple(heap_form_tuple(RelationGetDescr(writer->table), values, nulls), writer->slot, true);

	caller_origin = prism_marker_begin();
	PG_TRY();
	{
		ExecSimpleRelationInsert(writer->target, writer->estate, writer->slot);
	}
	PG_FINALLY();
	{
		prism_marker_end(caller_origin);
	}
	PG_END_TRY();
	ExecClearTuple(writer->slot);
	ResetPerTupleExprContext(writer->estate);
}

void
prism_delay_writer_close(PrismDelayWriter *writer)
{
	ExecCloseIndices(writer->target);
	ExecDropSingleTupleTableSlot(writer->slot);
	FreeExecutorState(writer->estate);
	table_close(writer->table, NoLock);
	pfree(writer);
}

/* ---------- reading ---------- */

struct PrismDelayScan
{
	Relation	table;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	List	   *locked;			/* beside them */
	ScanKeyData keys[2];
	ScanKeyData place[2];		/* members of the second key */
};

/* topic_id = topic AND (due_at, sequence) > place: one descent, however many are due at the same time. */
static void
set_keys(PrismDelayScan *scan, int32 topic_id, PrismDelayPlace behind)
{
	ScanKey		row = &scan->keys[1];

	ScanKeyInit(&scan->keys[0], INDEX_TOPIC_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(topic_id));
	ScanKeyEntryInitialize(&scan->place[0], SK_ROW_MEMBER, INDEX_DUE_AT, BTGreaterStrategyNumber,
						   InvalidOid, InvalidOid, F_TIMESTAMPTZ_CMP, TimestampTzGetDatum(behind.due_at));
	ScanKeyEntryInitialize(&scan->place[1], SK_ROW_MEMBER | SK_ROW_END, INDEX_SEQUENCE, BTGreaterStrategyNumber,
						   InvalidOid, InvalidOid, F_BTINT8CMP, Int64GetDatum(behind.sequence));
	memset(row, 0, sizeof(*row));
	row->sk_flags = SK_ROW_HEADER;
	row->sk_attno = INDEX_DUE_AT;
	row->sk_strategy = BTGreaterStrategyNumber;
	row->sk_argument = PointerGetDatum(scan->place);
}

PrismDelayScan *
prism_delay_scan_open(int32 bucket_id, int32 topic_id, PrismDelayPlace behind)
{
	PrismDelayScan *scan = palloc(sizeof(PrismDelayScan));

	scan->table = open_bucket(bucket_id, AccessShareLock);
	scan->index = prism_index_open(prism_index_choose(scan->table, INDEX_SEQUENCE), AccessShareLock);
	scan->locked = prism_never_waits ? prism_lock_toast(scan->table, AccessShareLock) : NIL;
	scan->slot = table_slot_create(scan->table, NULL);
	scan->scan = prism_index_beginscan(scan->table, scan->index, SnapshotSelf, lengthof(scan->keys));
	set_keys(scan, topic_id, behind);
	index_rescan(scan->scan, scan->keys, lengthof(scan->keys), NULL, 0);
	return scan;
}

/* What no message can do without. */
static bool
lacks_a_column(const Datum *values, const bool *nulls)
{
	for (int i = 0; i < BUCKET_KEY - 1; i++)
	{
		if (nulls[i])
			return true;
	}
	return nulls[BUCKET_CLAIM - 1] || (DatumGetBool(values[BUCKET_CLAIM - 1]) && nulls[BUCKET_PAYLOAD - 1]);
}

bool
prism_delay_scan_next(PrismDelayScan *scan, PrismDelayPlace *place, PrismMessage *message)
{
	Datum	   *values = scan->slot->tts_values;
	bool	   *nulls = scan->slot->tts_isnull;

	if (!index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot))
		return false;
	slot_getallattrs(scan->slot);
	if (lacks_a_column(values, nulls))
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("a row of \"%s\" is damaged", RelationGetRelationName(scan->table)),
				errdetail("A column that every delayed message has is null."),
				errhint("When it cannot be mended, delete it there; what is to be done next tells the error that follows."));
	place->due_at = DatumGetTimestampTz(values[BUCKET_DUE_AT - 1]);
	place->sequence = DatumGetInt64(values[BUCKET_SEQUENCE - 1]);
	memset(message, 0, sizeof(*message));
	message->id = *DatumGetUUIDP(values[BUCKET_ID - 1]);
	message->has_key = !nulls[BUCKET_KEY - 1];
	message->has_headers = !nulls[BUCKET_HEADERS - 1];
	message->has_payload = !nulls[BUCKET_PAYLOAD - 1];
	message->key = values[BUCKET_KEY - 1];
	message->headers = values[BUCKET_HEADERS - 1];
	message->payload = values[BUCKET_PAYLOAD - 1];
	message->claim = DatumGetBool(values[BUCKET_CLAIM - 1]);
	return true;
}

void
prism_delay_scan_close(PrismDelayScan *scan)
{
	index_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
	index_close(scan->index, AccessShareLock);
	table_close(scan->table, AccessShareLock);
	prism_unlock(scan->locked, AccessShareLock);
	pfree(scan);
}
