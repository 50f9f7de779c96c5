/*-------------------------------------------------------------------------
 *
 * held_stream.c
 *	  Streams of payload that this session writes.
 *
 * src/api/held_stream.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/access.h"
#include "api/held_stream.h"
#include "base/compat.h"
#include "base/kept_memory.h"
#include "store/payload/open_payload.h"
#include "store/payload/payload_read.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* A session that writes more of them at once has what it hashed of the others read again. */
#define STREAMS_HELD 8
#define LARGER_THAN_PIECES (8 * 1024 * 1024)

static PrismHeldStream streams[STREAMS_HELD];
static uint64 uses = 0;

/* ---------- what is kept ---------- */

static void
drop_hash(PrismHeldStream *stream)
{
	if (stream->hash != NULL)
		prism_payload_hash_drop(stream->hash);
	stream->hash = NULL;
	stream->hashed = 0;
	stream->hashed_at = 0;
}

void
prism_held_stream_forget(PrismHeldStream *stream)
{
	drop_hash(stream);
	memset(stream, 0, sizeof(PrismHeldStream));
}

/* Its place, or one for it. */
static PrismHeldStream *
held_place(const pg_uuid_t *id)
{
	PrismHeldStream *place = &streams[0];

	for (int i = 0; i < STREAMS_HELD; i++)
	{
		if (streams[i].used > 0 && memcmp(&streams[i].id, id, sizeof(pg_uuid_t)) == 0)
		{
			streams[i].used = ++uses;
			return &streams[i];
		}
		if (streams[i].used < place->used)
			place = &streams[i];
	}
	prism_held_stream_forget(place);
	place->id = *id;
	place->used = ++uses;
	return place;
}

/* ---------- finding ---------- */

static bool
is_there(const pg_uuid_t *id, PrismOpenPayload *pin)
{
	return prism_open_payload_find(id, pin) && pin->kind == PRISM_OPEN_STREAM;
}

static void
check_rights(const PrismTopic *topic, bool mine)
{
	if (!prism_topic_allows(topic, PRISM_PUBLISH))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for a stream of payload"),
				errdetail("It needs the privilege publish on the namespace of its topic."));
	if (!mine)
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for a stream of payload"),
				errdetail("It belongs to the role that has opened it."));
}

/* Two that share a lock by chance wait for each other, no more. */
static void
lock_stream(const pg_uuid_t *id)
{
	uint64		hash = hash_bytes_extended(id->data, UUID_LEN, 0);

	LockDatabaseObject(get_relname_relid("open_payload", get_namespace_oid("prism", false)), (Oid) hash, (uint16) (hash >> 32), ExclusiveLock);
}

/* Under the lock; false: it is gone. */
static bool
look_up(PrismHeldStream *stream)
{
	PrismOpenPayload pin;
	PrismPayloadExtent extent;

	if (!is_there(&stream->id, &pin))
		return false;
	stream->topic = prism_topic_lookup_id(pin.topic_id, true);
	if (stream->topic == NULL)
		return false;
	check_rights(stream->topic, pin.mine || prism_access_is_owner());
	lock_stream(&stream->id);
	if (!is_there(&stream->id, &pin))
		return false;

	prism_payload_extent(stream->topic, &stream->id, pin.segment_first, &extent);
	stream->segment_first = pin.segment_first;
	stream->end = extent.end;
	stream->expired = pin.expires_at != 0 && pin.expires_at <= GetCurrentTimestamp();
	if (stream->hash != NULL && stream->hashed != stream->end)
		drop_hash(stream);
	stream->transaction = prism_my_local_xid();
	stream->subtransaction = GetCurrentSubTransactionId();
	stream->role = GetUserId();
	return true;
}

PrismHeldStream *
prism_held_stream_if_any(const pg_uuid_t *id)
{
	PrismHeldStream *stream = held_place(id);

	if (stream->transaction == prism_my_local_xid() && stream->subtransaction == GetCurrentSubTransactionId() &&
		stream->role == GetUserId())
	{
		/* what was granted may have been taken away meanwhile */
		check_rights(stream->topic, true);
		return stream;
	}
	stream->transaction = 0;
	return look_up(stream) ? stream : NULL;
}

static void
refuse_gone(const char *why)
{
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_OBJECT),
			errmsg("there is no such stream of payload"),
			errdetail("%s.", why),
			errhint("Open another one with prism.payload_open(); its argument \"valid\" says how long it has."));
}

PrismHeldStream *
prism_held_stream(const pg_uuid_t *id)
{
	PrismHeldStream *stream = prism_held_stream_if_any(id);

	if (stream == NULL)
		refuse_gone("It was published, discarded, given up as it had expired, or went with its topic; or the transaction that opened it was rolled back");
	if (stream->expired)
		refuse_gone("It has expired");
	return stream;
}

/* Who gives up what has expired asks for no lock. */
void
prism_held_stream_take(PrismHeldStream *stream)
{
	if (!prism_open_payload_delete(&stream->id))
		refuse_gone("It has expired");
}

/* ---------- hashing ---------- */

/*
 * The level first: whatever comes of this statement, with its savepoint the
 * bytes go, and the hash with them.
 */
void
prism_held_stream_add(PrismHeldStream *stream, const void *bytes, Size length)
{
	if (stream->hash == NULL && stream->end == 0)
	{
		MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

		prism_keep_memory(LARGER_THAN_PIECES);
		stream->hash = prism_payload_hash_begin();
		stream->hashed = 0;
		MemoryContextSwitchTo(caller);
	}
	if (stream->hash != NULL)
	{
		Assert(stream->hashed == stream->end);
		stream->hashed_at = GetCurrentTransactionNestLevel();
		prism_payload_hash_add(stream->hash, bytes, length);
		stream->hashed += length;
	}
	stream->end += length;
}

bool
prism_held_stream_hash(PrismHeldStream *stream, unsigned char sha256[PRISM_SHA256_BYTES])
{
	PrismPayloadHash *hash = stream->hash;

	if (hash == NULL || stream->hashed != stream->end)
		return false;
	stream->hash = NULL;
	drop_hash(stream);
	prism_payload_hash_finish(hash, sha256);
	return true;
}

/* ---------- the ends of transactions ---------- */

/* Bytes that were written at this level, or deeper, are not there; nor is what was found there. */
static void
drop_hashes(int nest_level)
{
	for (int i = 0; i < STREAMS_HELD; i++)
	{
		if (streams[i].hashed_at >= nest_level)
			drop_hash(&streams[i]);
	}
}

void
prism_held_streams_prepared(void)
{
	drop_hashes(1);
}

void
prism_held_streams_end(bool committed)
{
	if (!committed)
		drop_hashes(1);
	for (int i = 0; i < STREAMS_HELD; i++)
		streams[i].hashed_at = 0;
}

void
prism_held_streams_subcommit(int nest_level)
{
	for (int i = 0; i < STREAMS_HELD; i++)
		streams[i].hashed_at = Min(streams[i].hashed_at, nest_level - 1);
}

void
prism_held_streams_subabort(int nest_level)
{
	drop_hashes(nest_level);
}
