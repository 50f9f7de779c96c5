/*-------------------------------------------------------------------------
 *
 * payload_hash.c
 *	  SHA-256 of a payload, by what the server has for it.
 *
 * The server ties a hash in the making to the current resource owner, so one
 * that is not finished at the end of a statement would be freed with a warning.
 * Here it belongs to a resource owner that lasts as long as the session, and to
 * a memory context, which frees it.
 *
 * src/store/payload/payload_hash.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "store/payload/payload_hash.h"

#include "common/cryptohash.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

struct PrismPayloadHash
{
	pg_cryptohash_ctx *state;	/* NULL: it was freed */
	MemoryContextCallback release;
};

static ResourceOwner hash_owner = NULL;

static void
release_hash(void *arg)
{
	PrismPayloadHash *hash = arg;
	ResourceOwner caller = CurrentResourceOwner;

	if (hash->state == NULL)
		return;
	CurrentResourceOwner = hash_owner;
	pg_cryptohash_free(hash->state);
	CurrentResourceOwner = caller;
	hash->state = NULL;
}

static pg_cryptohash_ctx *
create_state(void)
{
	ResourceOwner caller = CurrentResourceOwner;
	pg_cryptohash_ctx *volatile state = NULL;	/* set where an error may jump out of */

	if (hash_owner == NULL)
		hash_owner = ResourceOwnerCreate(NULL, "prism payload hash");
	CurrentResourceOwner = hash_owner;
	PG_TRY();
	{
		state = pg_cryptohash_create(PG_SHA256);
	}
	PG_FINALLY();
	{
		CurrentResourceOwner = caller;
	}
	PG_END_TRY();
	return state;
}

pg_noreturn static void
refuse_to_hash(PrismPayloadHash *hash)
{
	char	   *why = pstrdup(pg_cryptohash_error(hash->state));

	release_hash(hash);
	ereport(ERROR,
			errcode(ERRCODE_INTERNAL_ERROR),
			errmsg("could not compute the SHA-256 of a payload: %s", why));
}

PrismPayloadHash *
prism_payload_hash_begin(void)
{
	PrismPayloadHash *hash = palloc0(sizeof(PrismPayloadHash));

	/* once the state exists nothing may throw before its release is registered */
	hash->release.func = release_hash;
	hash->release.arg = hash;
	hash->state = create_state();
	if (hash->state == NULL)
		ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"));
	MemoryContextRegisterResetCallback(GetMemoryChunkContext(hash), &hash->release);
	if (pg_cryptohash_init(hash->state) < 0)
		refuse_to_hash(hash);
	return hash;
}

void
prism_payload_hash_add(PrismPayloadHash *hash, const void *bytes, Size length)
{
	if (pg_cryptohash_update(hash->state, bytes, length) < 0)
		refuse_to_hash(hash);
}

void
prism_payload_hash_finish(PrismPayloadHash *hash, unsigned char sha256[PRISM_SHA256_BYTES])
{
	if (pg_cryptohash_final(hash->state, sha256, PRISM_SHA256_BYTES) < 0)
		refuse_to_hash(hash);
	release_hash(hash);
}

void
prism_payload_hash_drop(PrismPayloadHash *hash)
{
	release_hash(hash);
}

void
prism_payload_sha256(const void *bytes, Size length, unsigned char sha256[PRISM_SHA256_BYTES])
{
	PrismPayloadHash *hash = prism_payload_hash_begin();

	prism_payload_hash_add(hash, bytes, length);
	prism_payload_hash_finish(hash, sha256);
}
