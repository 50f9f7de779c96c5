/*-------------------------------------------------------------------------
 *
 * topic_read.c
 *	  Topics as the catalogue has them.
 *
 * src/store/log/topic_read.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/generation.h"
#include "base/guess.h"
#include "base/patience.h"
#include "store/log/topic_read.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Columns of prism.topic. */
enum
{
	TOPIC_ID = 1,
	TOPIC_NAMESPACE_ID,
	TOPIC_NAME,
	TOPIC_SEGMENT_MESSAGES,
	TOPIC_MESSAGE_BYTES_MAX,
	TOPIC_CREATED_AT,
	TOPIC_POLICY,
	TOPIC_DROPPED_END,
	TOPIC_DROPPED_UNTIL,
	TOPIC_DEAD_LETTER_OF,
	TOPIC_CHAIN,
	TOPIC_PAYLOAD_CLEANED
};

/* Columns of prism.namespace. */
enum
{
	NAMESPACE_ID = 1,
	NAMESPACE_NAME
};

/* As of prism.segment_messages. */
#define SEGMENT_MESSAGES_MIN 1024

/*
 * A relation of prism_log as of a snapshot.  The catalogue's own look-ups may
 * be a moment behind: a commit is visible before others hear of what it made.
 */
static Oid
log_relid(const char *format, int32 id, Snapshot snapshot)
{
	Relation	classes = table_open(RelationRelationId, AccessShareLock);
	char		name[NAMEDATALEN];
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			relid = InvalidOid;

	snprintf(name, sizeof(name), format, id);
	ScanKeyInit(&keys[0], Anum_pg_class_relname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum(name));
	ScanKeyInit(&keys[1], Anum_pg_class_relnamespace, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(get_namespace_oid("prism_log", false)));
	scan = systable_beginscan(classes, ClassNameNspIndexId, true, snapshot, lengthof(keys), keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		relid = ((Form_pg_class) GETSTRUCT(tuple))->oid;
	systable_endscan(scan);
	table_close(classes, AccessShareLock);
	return relid;
}

static void
fill_topic(PrismTopic *topic, TupleDesc descriptor, HeapTuple tuple)
{
	bool		isnull;
	bool		policy_is_sound;
	Size		name_bytes;
	Datum		value;

	value = heap_getattr(tuple, TOPIC_NAME, descriptor, &isnull);
	name_bytes = toast_raw_datum_size(value) - VARHDRSZ;
	text_to_cstring_buffer(DatumGetTextPP(value), topic->name, sizeof(topic->name));
	topic->topic_id = DatumGetInt32(heap_getattr(tuple, TOPIC_ID, descriptor, &isnull));
	value = heap_getattr(tuple, TOPIC_NAMESPACE_ID, descriptor, &isnull);
	topic->namespace_id = isnull ? 0 : DatumGetInt32(value);
	topic->segment_messages =
		DatumGetInt64(heap_getattr(tuple, TOPIC_SEGMENT_MESSAGES, descriptor, &isnull));
	topic->message_bytes_max =
		DatumGetInt64(heap_getattr(tuple, TOPIC_MESSAGE_BYTES_MAX, descriptor, &isnull));
	policy_is_sound = prism_topic_policy_read(&topic->policy,
											  DatumGetJsonbP(heap_getattr(tuple, TOPIC_POLICY, descriptor, &isnull)));
	topic->dropped_end = DatumGetInt64(heap_getattr(tuple, TOPIC_DROPPED_END, descriptor, &isnull));
	value = heap_getattr(tuple, TOPIC_DROPPED_UNTIL, descriptor, &isnull);
	topic->dropped_until = isnull ? 0 : DatumGetTimestampTz(value);
	value = heap_getattr(tuple, TOPIC_DEAD_LETTER_OF, descriptor, &isnull);
	topic->dead_letter_of = isnull ? 0 : DatumGetInt32(value);
	topic->stored_chain = DatumGetJsonbPCopy(heap_getattr(tuple, TOPIC_CHAIN, descriptor, &isnull));

	topic->payload_cleaned = DatumGetInt64(heap_getattr(tuple, TOPIC_PAYLOAD_CLEANED, descriptor, &isnull));

	topic->damage = name_bytes > PRISM_TOPIC_NAME_MAX ? "name is longer than a topic's"
		: topic->segment_messages < SEGMENT_MESSAGES_MIN || topic->segment_messages > PG_INT32_MAX ? "segment_messages is out of range"
		: topic->message_bytes_max <= 0 ? "message_bytes_max is out of range"
		: topic->dropped_end < 0 ? "dropped_end is out of range"
		: topic->payload_cleaned < 0 ? "payload_cleaned is out of range"
		: !policy_is_sound ? "policy holds what prism has not written"
		: NULL;
}

/* The name of a topic's namespace; empty for prism's own topics. */
static void
fill_namespace_name(PrismTopic *topic, Snapshot snapshot)
{
	Relation	catalog = table_open(get_relname_relid("namespace", get_namespace_oid("prism", false)),
									 AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	topic->namespace_name[0] = '\0';
	ScanKeyInit(&key, NAMESPACE_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(topic->namespace_id));
	scan = systable_beginscan(catalog, InvalidOid, false, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		name = heap_getattr(tuple, NAMESPACE_NAME, RelationGetDescr(catalog), &isnull);

		text_to_cstring_buffer(DatumGetTextPP(name), topic->namespace_name, sizeof(topic->namespace_name));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/* The topic that holds a topic's dead letters; 0: there is none. */
static int32
find_dead_letters(Relation catalog, int32 topic_id, Snapshot snapshot)
{
	int32		found = 0;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, TOPIC_DEAD_LETTER_OF, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(topic_id));
	scan = systable_beginscan(catalog, InvalidOid, false, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;

		found = DatumGetInt32(heap_getattr(tuple, TOPIC_ID, RelationGetDescr(catalog), &isnull));
	}
	systable_endscan(scan);
	return found;
}

bool
prism_topic_read(PrismTopic *topic, const char *name, int32 topic_id)
{
	Relation	catalog = table_open(prism_topic_catalog(), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	if (name != NULL)
		ScanKeyInit(&key, TOPIC_NAME, BTEqualStrategyNumber, F_TEXTEQ,
					CStringGetTextDatum(name));
	else
		ScanKeyInit(&key, TOPIC_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(topic_id));
	scan = systable_beginscan(catalog, InvalidOid, false, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		memset(topic, 0, sizeof(PrismTopic));
		fill_topic(topic, RelationGetDescr(catalog), tuple);
		fill_namespace_name(topic, snapshot);
		topic->dead_letters = find_dead_letters(catalog, topic->topic_id, snapshot);
		topic->mark_relid = log_relid("topic_%d_mark", topic->topic_id, snapshot);
		topic->rights_relid =
			topic->namespace_id > 0 ? log_relid("namespace_%d", topic->namespace_id, snapshot) : InvalidOid;
		topic->segment_number = -1;
		if (topic->namespace_id > 0 && !OidIsValid(topic->rights_relid))
			topic->damage = "namespace is missing";
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(catalog, AccessShareLock);
	return found;
}

bool
prism_topic_lost_mark(const char *name)
{
	PrismTopic	found;

	return prism_topic_read(&found, name, 0) && !OidIsValid(found.mark_relid);
}

void
prism_topic_lock_all(void)
{
	Relation	catalog = table_open(prism_topic_catalog(), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, snapshot, 0, NULL);
	List	   *marks = NIL;
	List	   *own_marks = NIL;	/* acknowledgements take that of the progress log last */
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		topic_id = heap_getattr(tuple, TOPIC_ID, RelationGetDescr(catalog), &isnull);
		Oid			mark_relid = log_relid("topic_%d_mark", DatumGetInt32(topic_id), snapshot);

		(void) heap_getattr(tuple, TOPIC_NAMESPACE_ID, RelationGetDescr(catalog), &isnull);
		if (!OidIsValid(mark_relid))
			continue;
		if (isnull)
			own_marks = lappend_oid(own_marks, mark_relid);
		else
			marks = lappend_oid(marks, mark_relid);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(catalog, AccessShareLock);

	list_sort(marks, list_oid_cmp);
	prism_lock_all_topics(list_concat(marks, own_marks));
}

/* ---------- all of them ---------- */

List *
prism_topic_names(void)
{
	Relation	catalog = table_open(prism_topic_catalog(), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, snapshot, 0, NULL);
	List	   *names = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		name = heap_getattr(tuple, TOPIC_NAME, RelationGetDescr(catalog), &isnull);

		(void) heap_getattr(tuple, TOPIC_NAMESPACE_ID, RelationGetDescr(catalog), &isnull);
		if (!isnull)
			names = lappend(names, TextDatumGetCString(name));
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(catalog, AccessShareLock);
	return names;
}

/* ---------- one that is not there ---------- */

/* The existing name nearest to a mistyped one, or NULL. */
static const char *
nearest_topic(const char *name)
{
	PrismGuess	guess;
	ListCell   *cell;

	prism_guess_begin(&guess, name);
	foreach(cell, prism_topic_names())
		prism_guess_try(&guess, lfirst(cell));
	return guess.best;
}

void
prism_topic_missing(const char *name)
{
	const char *nearest;

	if (prism_topic_lost_mark(name))
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("topic \"%s\" has lost its sequence in schema prism_log", name),
				errhint("Restore the whole dump, not its data alone, into a database without extension prism."));
	nearest = nearest_topic(name);
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_OBJECT),
			errmsg("topic \"%s\" does not exist", name),
			nearest != NULL
			? errhint("Perhaps you mean \"%s\"; prism.topics lists all.", nearest)
			: errhint("Declare a namespace for it with prism.apply(); prism.topics lists those that exist."));
}
