/*-------------------------------------------------------------------------
 *
 * payload_copy.c
 *	  A payload of its own for a message that was made of another one.
 *
 * src/store/payload/payload_copy.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "store/payload/payload_copy.h"
#include "store/payload/payload_hash.h"
#include "store/payload/payload_id.h"
#include "store/payload/payload_progress.h"
#include "store/payload/payload_read.h"
#include "store/payload/payload_write.h"
#include "store/payload/store_catalog.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"

/* ---------- its rows ---------- */

static bool
is_damaged(PrismPayloadFault *fault, const char *why)
{
	*fault = (PrismPayloadFault) {ERRCODE_DATA_CORRUPTED, why};
	return false;
}

/* All stored bytes, of which 'hash' (NULL: nobody) hears. */
static bool
copy_bytes(PrismPayloadReader *reader, PrismPayloadWriter *writer, PrismPayloadHash *hash, int64 stored_size, PrismPayloadFault *fault)
{
	const char *bytes;
	Size		length;
	int64		copied = 0;

	while (prism_payload_next(reader, &bytes, &length))
	{
		CHECK_FOR_INTERRUPTS();
		copied += length;
		if (copied > stored_size)
			break;
		if (hash != NULL)
			prism_payload_hash_add(hash, bytes, length);
		prism_payload_put(writer, bytes, length);
		prism_payload_progress_add(length);
	}
	if (prism_payload_damage(reader) != NULL)
		return is_damaged(fault, psprintf("its payload is damaged: %s", prism_payload_damage(reader)));
	return copied == stored_size || is_damaged(fault, "its payload is damaged: it has not as many bytes as it should");
}

static bool
copy_proven(PrismPayloadReader *reader, const PrismClaim *claim, PrismTopic *to, int32 store_id, PrismClaim *copy, PrismPayloadFault *fault)
{
	PrismPayloadHash *hash = claim->encoding == PRISM_PAYLOAD_PLAIN ? prism_payload_hash_begin() : NULL;
	PrismPayloadWriter *writer;
	unsigned char sha256[PRISM_SHA256_BYTES];
	bool		good;
	int64		end;

	*copy = *claim;
	prism_payload_make_id(&copy->payload_id);
	copy->store_id = store_id;
	copy->segments = 1;
	writer = prism_payload_begin(to, store_id, &copy->payload_id, 0);
	good = copy_bytes(reader, writer, hash, claim->stored_size, fault);
	prism_payload_finish(writer, &copy->first_segment, &end);
	if (hash == NULL)
		return good;
	prism_payload_hash_finish(hash, sha256);
	return good && (memcmp(sha256, claim->sha256, PRISM_SHA256_BYTES) == 0 ||
					is_damaged(fault, "its payload is damaged: its SHA-256 is another one"));
}

static bool
copy_payload_rows(PrismTopic *from, const PrismClaim *claim, PrismTopic *to, int32 store_id, PrismClaim *copy, PrismPayloadFault *fault)
{
	PrismPayloadReader *reader;
	bool		good;

	/* of an encoded one the hash is that of other bytes than those that are copied; of one that has no rows this tells why */
	if ((claim->kind != PRISM_CLAIM_ROWS || claim->encoding != PRISM_PAYLOAD_PLAIN) &&
		!prism_payload_check(from, claim, fault))
		return false;
	reader = prism_payload_open_rows(from, &claim->payload_id, claim->first_segment, claim->segments, 0);
	if (reader == NULL)
	{
		*fault = (PrismPayloadFault) {ERRCODE_UNDEFINED_FILE, "its payload is missing: a table of its topic is not there"};
		return false;
	}
	prism_payload_progress_begin(PRISM_PAYLOAD_COPY, from, -1, claim->stored_size);
	good = copy_proven(reader, claim, to, store_id, copy, fault);
	prism_payload_progress_end();
	prism_payload_close(reader);
	return good;
}

typedef struct PayloadCopying
{
	PrismTopic *from;
	const PrismClaim *claim;
	PrismTopic *to;
	int32		store_id;
	PrismClaim *copy;
	PrismPayloadFault *fault;
	bool		good;
} PayloadCopying;

static void
copy_part(void *arg)
{
	PayloadCopying *copying = arg;

	copying->good = copy_payload_rows(copying->from, copying->claim, copying->to, copying->store_id, copying->copy, copying->fault);
}

bool
prism_payload_copy(PrismTopic *from, const PrismClaim *claim, PrismTopic *to, int32 store_id, PrismClaim *copy, PrismPayloadFault *fault)
{
	PayloadCopying copying = {from, claim, to, store_id, copy, fault, false};

	if (prism_payload_try(copy_part, &copying, fault))
		return copying.good;
	/* what is whole is not given up as the table that was to take the copy is damaged */
	if (prism_payload_check(from, claim, fault))
		ereport(ERROR,
				errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("could not write a copy of a payload for topic \"%s\"", to->name),
				errdetail("The payload can be read; a table that was to take the copy is damaged."));
	return false;
}

/* ---------- dead letters ---------- */

/* A topic of dead letters is made with one; but not before its origin had one.  The first letter with a payload makes it, and others wait. */
static int32
store_of_letters(PrismTopic *letters, const PrismClaim *claim)
{
	PrismStoreRow *store = prism_store_in_use(letters->topic_id);

	if (store != NULL)
		return store->store_id;
	LockDatabaseObject(get_relname_relid("store", get_namespace_oid("prism", false)), (Oid) letters->topic_id, 0, AccessExclusiveLock);
	store = prism_store_in_use(letters->topic_id);
	return store != NULL ? store->store_id : prism_store_follow(letters->topic_id, claim->store_id);
}

int64
prism_payload_to_dead_letter(PrismTopic *origin, PrismTopic *letters, PrismMessage *letter)
{
	PrismPayloadFault fault;
	PrismClaim	claim;
	PrismClaim	copy;
	int32		store_id;

	if (!prism_message_claim(&claim, letter, &fault))
	{
		prism_payload_mark_lost(letter, NULL);
		return 0;
	}
	store_id = store_of_letters(letters, &claim);
	if (store_id == 0 || !prism_payload_copy(origin, &claim, letters, store_id, &copy, &fault))
	{
		prism_payload_mark_lost(letter, &claim);
		return 0;
	}
	letter->payload = PointerGetDatum(prism_claim_write(&copy));
	return copy.stored_size;
}
