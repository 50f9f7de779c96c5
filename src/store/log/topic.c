/*-------------------------------------------------------------------------
 *
 * topic.c
 *	  The catalogue of topics, cached in each backend.
 *
 * A topic's lock is the lock of its mark sequence.  Whoever uses a topic holds
 * AccessShareLock on it until the end of the transaction, so dropping one waits
 * for its publishers and readers, and its slot in shared memory is safe to use.
 *
 * src/store/log/topic.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/extension.h"
#include "base/generation.h"
#include "base/guc.h"
#include "base/guess.h"
#include "base/patience.h"
#include "store/log/counter.h"
#include "store/log/segment.h"
#include "store/log/topic.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
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
	TOPIC_DEAD_LETTER_OF
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
 * A topic is known by its name; names change hands.  What a name meant once
 * stays as it is for whoever still has it, out of date: a transaction that
 * published there commits there.
 */
typedef struct KnownTopic
{
	char		name[PRISM_TOPIC_NAME_MAX + 1]; /* hash key */
	PrismTopic *topic;
} KnownTopic;

static HTAB *topics = NULL;

static bool read_topic(PrismTopic *topic, const char *name, int32 topic_id);

/* ---------- the cache ---------- */

static void
make_cache(void)
{
	HASHCTL		control = {
		.keysize = PRISM_TOPIC_NAME_MAX + 1,
		.entrysize = sizeof(KnownTopic),
	};

	topics = hash_create("prism topics", 64, &control, HASH_ELEM | HASH_STRINGS);
}

/* What is in the cache is as of now, as far as prism_topic_is_current() says so. */
static void
look_at_cache(void)
{
	if (topics == NULL)
		make_cache();
	(void) prism_catalog_generation();
}

/* ---------- lookups ---------- */

/* Lock the topic against being dropped.  busy NULL: wait for a transaction that drops it; else do not wait, and set *busy. */
static bool
lock_topic(const PrismTopic *topic, bool *busy)
{
	if (busy == NULL)
		prism_lock_relation(topic->mark_relid, AccessShareLock);
	else if (!ConditionalLockRelationOid(topic->mark_relid, AccessShareLock))
	{
		*busy = true;
		return false;
	}
	return true;
}

/* Enter what was read into the cache; what was made for the topic stays with it. */
static PrismTopic *
enter_topic(const PrismTopic *found, uint64 read_at)
{
	KnownTopic *known = hash_search(topics, found->name, HASH_FIND, NULL);
	PrismTopic *topic = known != NULL ? known->topic : NULL;
	PrismTopic	entered = *found;

	if (topic != NULL && topic->topic_id == found->topic_id && topic->mark_relid == found->mark_relid)
	{
		entered.chain = topic->chain;
		entered.incompressible = topic->incompressible;
	}
	else
	{
		if (topic != NULL)
			topic->known_at = 0;
		/* before the hash table has an entry that is nobody's */
		topic = MemoryContextAlloc(TopMemoryContext, sizeof(PrismTopic));
		entered.chain = NULL;
		entered.incompressible = 0;
		if (known == NULL)
			known = hash_search(topics, found->name, HASH_ENTER, NULL);
		known->topic = topic;
	}
	*topic = entered;
	topic->known_at = read_at;
	return topic;
}

/* Those who serve or show all topics pass it over. */
static void
tell_of_damaged_topic(const PrismTopic *topic, bool *busy)
{
	ereport(busy == NULL ? ERROR : MyBackendType == B_BG_WORKER ? DEBUG1 : WARNING,
			errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("the row of topic \"%s\" in prism.topic is damaged", topic->name),
			errdetail("Its %s.", topic->damage),
			errhint("Put the row right: its messages are where they were."));
	*busy = true;
}

/*
 * Find a topic, by name or else by id, that the cache does not know, and take
 * its lock.  Whoever drops it has that lock exclusively, so only what is seen
 * with the lock held counts: there is a topic, with a place in shared memory
 * that its drop will free, or there is none.  NULL: there is none, or 'busy'
 * was given and it is being made or dropped or has no place in shared memory;
 * with 'placeless' what has none is found all the same.
 */
static PrismTopic *
find_in_catalog(const char *name, int32 topic_id, bool *busy, bool placeless)
{
	for (;;)
	{
		uint64		read_at = prism_catalog_generation();
		PrismTopic	found;
		Oid			locked;

		if (!read_topic(&found, name, topic_id))
			return NULL;
		if (!OidIsValid(found.mark_relid))
		{
			/* a restore has not come to it yet, or never will: nothing is known of its messages */
			if (busy != NULL)
				*busy = true;
			return NULL;
		}
		locked = found.mark_relid;
		if (!lock_topic(&found, busy))
			return NULL;
		if (!prism_catalog_is_of(read_at))
		{
			/* perhaps it is another one by now; that this happens again while we read tells nothing new */
			read_at = prism_catalog_generation();
			if (!read_topic(&found, name, topic_id) || found.mark_relid != locked)
			{
				UnlockRelationOid(locked, AccessShareLock);
				continue;
			}
		}
		if (found.damage != NULL)
		{
			tell_of_damaged_topic(&found, busy);
			prism_topic_release(&found);
			return NULL;
		}
		if (prism_preloaded)
			found.counter = prism_counter_attach(found.mark_relid, found.segment_messages);
		if (prism_preloaded && found.counter == NULL)
		{
			if (placeless)		/* not for the cache: who finds a topic there may use its place */
				return memcpy(palloc(sizeof(PrismTopic)), &found, sizeof(PrismTopic));
			if (busy == NULL)
				prism_counter_no_place();
			*busy = true;
			prism_topic_release(&found);
			return NULL;
		}
		/* it never changes: with another one, offsets would be looked for in other segments */
		if (prism_preloaded && found.counter->segment_messages != found.segment_messages)
		{
			found.damage = "segment_messages is not what it was";
			tell_of_damaged_topic(&found, busy);
			prism_topic_release(&found);
			return NULL;
		}
		return enter_topic(&found, read_at);
	}
}

/* An entry of the cache with its lock; false: it is out of date, or somebody drops it (*busy). */
static bool
lock_entry(PrismTopic *topic, bool *busy)
{
	if (!prism_topic_is_current(topic) || !lock_topic(topic, busy))
		return false;
	/* taking the lock may tell us that the entry is out of date */
	if (prism_topic_is_current(topic))
		return true;
	prism_topic_release(topic);
	return false;
}

static PrismTopic *
find_by_name(const char *name, bool *busy)
{
	static PrismTopic *last = NULL;	/* most sessions use one topic, again and again */
	char		key[PRISM_TOPIC_NAME_MAX + 1];

	look_at_cache();
	if (strlen(name) > PRISM_TOPIC_NAME_MAX)
		return NULL;
	strlcpy(key, name, sizeof(key));
	if (last == NULL || !prism_topic_is_current(last) || strcmp(last->name, key) != 0)
	{
		KnownTopic *known = hash_search(topics, key, HASH_FIND, NULL);

		last = known != NULL ? known->topic : NULL;
	}
	if (last != NULL && lock_entry(last, busy))
		return last;
	if (busy != NULL && *busy)
		return NULL;
	return find_in_catalog(key, 0, busy, false);
}

static PrismTopic *
find_by_id(int32 topic_id, bool *busy, bool placeless)
{
	HASH_SEQ_STATUS status;
	KnownTopic *known;

	look_at_cache();
	hash_seq_init(&status, topics);
	while ((known = hash_seq_search(&status)) != NULL)
	{
		PrismTopic *topic = known->topic;

		if (!prism_topic_is_current(topic) || topic->topic_id != topic_id)
			continue;
		hash_seq_term(&status);
		if (lock_entry(topic, busy))
			return topic;
		if (busy != NULL && *busy)
			return NULL;
		break;
	}
	return find_in_catalog(NULL, topic_id, busy, placeless);
}

PrismTopic *
prism_topic_lookup(const char *name, bool missing_ok)
{
	PrismTopic *topic = find_by_name(name, NULL);

	if (topic == NULL && !missing_ok)
		prism_topic_missing(name);
	return topic;
}

PrismTopic *
prism_topic_lookup_id(int32 topic_id, bool missing_ok)
{
	PrismTopic *topic = find_by_id(topic_id, NULL, false);

	if (topic == NULL && !missing_ok)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("topic %d does not exist", topic_id));
	return topic;
}

PrismTopic *
prism_topic_lookup_placeless(int32 topic_id, bool missing_ok)
{
	PrismTopic *topic = find_by_id(topic_id, NULL, true);

	return topic != NULL ? topic : prism_topic_lookup_id(topic_id, missing_ok);
}

PrismTopic *
prism_topic_try(const char *name, bool *busy)
{
	*busy = false;
	return find_by_name(name, busy);
}

PrismTopic *
prism_topic_try_id(int32 topic_id, bool *busy)
{
	*busy = false;
	return find_by_id(topic_id, busy, false);
}

PrismTopic *
prism_topic_look_id(int32 topic_id, bool *busy)
{
	*busy = false;
	return find_by_id(topic_id, busy, true);
}

void
prism_topic_release(const PrismTopic *topic)
{
	UnlockRelationOid(topic->mark_relid, AccessShareLock);
}

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

	topic->damage = name_bytes > PRISM_TOPIC_NAME_MAX ? "name is longer than a topic's"
		: topic->segment_messages < SEGMENT_MESSAGES_MIN || topic->segment_messages > PG_INT32_MAX ? "segment_messages is out of range"
		: topic->message_bytes_max <= 0 ? "message_bytes_max is out of range"
		: topic->dropped_end < 0 ? "dropped_end is out of range"
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

/* Read a topic's row, by name or else by id, and what belongs to it, all as of one moment.  False: there is none. */
static bool
read_topic(PrismTopic *topic, const char *name, int32 topic_id)
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

	return read_topic(&found, name, 0) && !OidIsValid(found.mark_relid);
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
