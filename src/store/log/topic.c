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
#include "base/patience.h"
#include "store/log/counter.h"
#include "store/log/topic_read.h"

#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/hsearch.h"

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

/* The chain that was read, where it stays as long as the topic: what was there, if it is the same. */
static Jsonb *
keep_chain(Jsonb *former, const Jsonb *found)
{
	Size		bytes = VARSIZE(found);

	if (former != NULL && VARSIZE(former) == bytes && memcmp(former, found, bytes) == 0)
		return former;
	return memcpy(MemoryContextAlloc(TopMemoryContext, bytes), found, bytes);
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
		entered.stored_chain = keep_chain(topic->stored_chain, found->stored_chain);
		if (entered.stored_chain != topic->stored_chain)
			pfree(topic->stored_chain);
		entered.chain = topic->chain;
		entered.incompressible = topic->incompressible;
	}
	else
	{
		if (topic != NULL)
			topic->known_at = 0;
		/* before the hash table has an entry that is nobody's */
		topic = MemoryContextAlloc(TopMemoryContext, sizeof(PrismTopic));
		entered.stored_chain = keep_chain(NULL, found->stored_chain);
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

		if (!prism_topic_read(&found, name, topic_id))
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
			if (!prism_topic_read(&found, name, topic_id) || found.mark_relid != locked)
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
