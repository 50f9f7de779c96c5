/*-------------------------------------------------------------------------
 *
 * handler_catalog.c
 *	  The rows of prism.handler.
 *
 * Whoever writes a row holds the lock of its group's name until the end of the
 * transaction, as does who drops the group: so a handler of a group that is
 * being dropped is either seen and goes along, or is not made.
 *
 * src/store/handler/handler_catalog.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/extension.h"
#include "base/generation.h"
#include "base/marker.h"
#include "base/query.h"
#include "store/group/group_shared.h"
#include "store/handler/handler.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Columns of prism.handler. */
enum
{
	HANDLER_GROUP_ID = 1,
	HANDLER_TOPIC_ID,
	HANDLER_FUNCTION_SCHEMA,
	HANDLER_FUNCTION_NAME,
	HANDLER_TAKES_BATCH,
	HANDLER_ROLE,
	HANDLER_REGISTERED_BY,
	HANDLER_BATCH_SIZE,
	HANDLER_TIMEOUT_MS,
	HANDLER_CREATED_AT,
	HANDLER_COLUMNS = HANDLER_CREATED_AT
};

/* No more than prism.on() takes. */
#define TIMEOUT_MS_MAX (24 * 60 * 60 * 1000)

static Relation
open_catalog(LOCKMODE mode)
{
	return table_open(get_relname_relid("handler", get_namespace_oid("prism", false)), mode);
}

/* ---------- reading ---------- */

static PrismHandler *
make_handler(HeapTuple tuple, TupleDesc descriptor)
{
	PrismHandler *handler = palloc0(sizeof(PrismHandler));
	Datum		values[HANDLER_COLUMNS];
	bool		nulls[HANDLER_COLUMNS];

	heap_deform_tuple(tuple, descriptor, values, nulls);
	handler->group_id = DatumGetInt32(values[HANDLER_GROUP_ID - 1]);
	handler->topic_id = DatumGetInt32(values[HANDLER_TOPIC_ID - 1]);
	handler->function_schema = pstrdup(NameStr(*DatumGetName(values[HANDLER_FUNCTION_SCHEMA - 1])));
	handler->function_name = pstrdup(NameStr(*DatumGetName(values[HANDLER_FUNCTION_NAME - 1])));
	handler->takes_batch = DatumGetBool(values[HANDLER_TAKES_BATCH - 1]);
	if (!nulls[HANDLER_ROLE - 1])
		handler->role = pstrdup(NameStr(*DatumGetName(values[HANDLER_ROLE - 1])));
	if (!nulls[HANDLER_REGISTERED_BY - 1])
		handler->registered_by = pstrdup(NameStr(*DatumGetName(values[HANDLER_REGISTERED_BY - 1])));
	prism_handler_read_parties(handler);
	/* what is out of range would be taken for a size of memory, or a time that has passed */
	handler->batch_size = Max(DatumGetInt32(values[HANDLER_BATCH_SIZE - 1]), 1);
	handler->timeout_ms = Max(Min(DatumGetInt32(values[HANDLER_TIMEOUT_MS - 1]), TIMEOUT_MS_MAX), 1);
	handler->written_by = HeapTupleHeaderGetRawXmin(tuple->t_data);
	return handler;
}

static const char *
group_name(const List *groups, int32 group_id)
{
	ListCell   *cell;

	foreach(cell, groups)
	{
		const PrismGroupRow *group = lfirst(cell);

		if (group->group_id == group_id)
			return group->name;
	}
	return NULL;
}

/* Rows as of now, whatever the transaction's snapshot. */
List *
prism_handler_list(Oid role)
{
	List	   *groups = prism_group_rows();
	Relation	catalog = open_catalog(AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, snapshot, 0, NULL);
	List	   *handlers = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		PrismHandler *handler = make_handler(tuple, RelationGetDescr(catalog));

		handler->group_name = group_name(groups, handler->group_id);
		if (handler->group_name != NULL && (!OidIsValid(role) || handler->role_oid == role))
			handlers = lappend(handlers, handler);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(catalog, AccessShareLock);
	return handlers;
}

/* A copy of the row of the group's handler, as of now; NULL: it has none. */
static HeapTuple
find_row(Relation catalog, int32 group_id)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;

	ScanKeyInit(&key, HANDLER_GROUP_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(group_id));
	scan = systable_beginscan(catalog, InvalidOid, false, snapshot, 1, &key);
	row = heap_copytuple(systable_getnext(scan));
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	return row;
}

bool
prism_handler_has_row(const PrismHandler *handler)
{
	Relation	catalog = open_catalog(AccessShareLock);
	HeapTuple	row = find_row(catalog, handler->group_id);

	table_close(catalog, AccessShareLock);
	return HeapTupleIsValid(row) && HeapTupleHeaderGetRawXmin(row->t_data) == handler->written_by;
}

const char *
prism_handler_function(const PrismHandler *handler)
{
	return quote_qualified_identifier(handler->function_schema, handler->function_name);
}

/* ---------- writing; under the lock of the group's name ---------- */

static void
name_value(Datum *value, const char *text)
{
	*value = DirectFunctionCall1(namein, CStringGetDatum(text));
}

/* The owner of the extension is whoever that is. */
static void
role_value(Datum *value, bool *isnull, Oid role)
{
	*isnull = role == prism_owner();
	if (!*isnull)
		name_value(value, GetUserNameFromId(role, false));
}

void
prism_handler_insert(const PrismGroupRef *ref, const PrismHandler *handler)
{
	Relation	catalog = open_catalog(RowExclusiveLock);
	Datum		values[HANDLER_COLUMNS];
	bool		nulls[HANDLER_COLUMNS] = {false};
	PrismGroupRow group;

	prism_group_lock_name(ref);
	if (!prism_group_find_row(handler->topic_id, handler->group_name, &group) ||
		group.group_id != handler->group_id)
		prism_group_dropped(handler->group_name);
	if (HeapTupleIsValid(find_row(catalog, handler->group_id)))
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("consumer group \"%s\" has a handler already", handler->group_name),
				errhint("Remove it with prism.off(), or let another group read the topic as well."));

	values[HANDLER_GROUP_ID - 1] = Int32GetDatum(handler->group_id);
	values[HANDLER_TOPIC_ID - 1] = Int32GetDatum(handler->topic_id);
	name_value(&values[HANDLER_FUNCTION_SCHEMA - 1], handler->function_schema);
	name_value(&values[HANDLER_FUNCTION_NAME - 1], handler->function_name);
	values[HANDLER_TAKES_BATCH - 1] = BoolGetDatum(handler->takes_batch);
	role_value(&values[HANDLER_ROLE - 1], &nulls[HANDLER_ROLE - 1], handler->role_oid);
	role_value(&values[HANDLER_REGISTERED_BY - 1], &nulls[HANDLER_REGISTERED_BY - 1], handler->registered_by_oid);
	values[HANDLER_BATCH_SIZE - 1] = Int32GetDatum(handler->batch_size);
	values[HANDLER_TIMEOUT_MS - 1] = Int32GetDatum(handler->timeout_ms);
	values[HANDLER_CREATED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	prism_marked_insert(catalog, heap_form_tuple(RelationGetDescr(catalog), values, nulls));
	table_close(catalog, NoLock);
	prism_handler_agree(handler);
	prism_catalog_changed();
}

bool
prism_handler_remove(const PrismGroupRef *ref)
{
	prism_group_lock_name(ref);
	return prism_handler_delete(prism_group_number(ref));
}

bool
prism_handler_delete(int32 group_id)
{
	Relation	catalog = open_catalog(RowExclusiveLock);
	HeapTuple	row = find_row(catalog, group_id);

	if (HeapTupleIsValid(row))
	{
		prism_marked_delete(catalog, &row->t_self);
		prism_handler_forget_agreement(group_id);
		prism_catalog_changed();
	}
	table_close(catalog, NoLock);
	return HeapTupleIsValid(row);
}

void
prism_handler_end(int32 group_id)
{
	(void) prism_handler_delete(group_id);
}

void
prism_handler_drop_all(int32 topic_id)
{
	ListCell   *cell;

	foreach(cell, prism_handler_list(InvalidOid))
		if (((PrismHandler *) lfirst(cell))->topic_id == topic_id)
			prism_handler_forget_agreement(((PrismHandler *) lfirst(cell))->group_id);
	prism_query_one("DELETE FROM prism.handler WHERE topic_id = $1", topic_id);
}

/* ---------- DROP ROLE ---------- */

/* PostgreSQL would name the view; in other databases it has to do with that. */
void
prism_handler_refuse_drop_role(Oid role)
{
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, prism_handler_list(InvalidOid))
	{
		const PrismHandler *handler = lfirst(cell);

		if (handler->role_oid == role || handler->registered_by_oid == role)
			appendStringInfo(&names, "%s%s of consumer group \"%s\"", names.len > 0 ? ", " : "",
							 prism_handler_function(handler), handler->group_name);
	}
	if (names.len > 0)
		ereport(ERROR,
				errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				errmsg("role \"%s\" cannot be dropped because some objects depend on it",
					   GetUserNameFromId(role, false)),
				errdetail("Handlers run as it, or were registered by it: %s.", names.data),
				errhint("Remove them with prism.off(); DROP OWNED takes the role's consent back as well."));
}
