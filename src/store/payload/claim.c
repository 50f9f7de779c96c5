/*-------------------------------------------------------------------------
 *
 * claim.c
 *	  What stands in the log in place of a large payload: between bytes and C.
 *
 * Nothing here needs a server but memory: test/module/claim runs it without one.
 *
 * src/store/payload/claim.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "store/payload/claim.h"

#define CLAIM_VERSION 1

#define CLAIM_SHA256_DECLARED (1 << 0)
#define CLAIM_FLAGS CLAIM_SHA256_DECLARED

/* A varint of 64 bits has at most ten bytes. */
#define VARINT_BYTES_MAX 10

/* All but the blocks: four bytes, two ids, the hash, eight numbers. */
#define CLAIM_FIXED_MAX (4 + 2 * UUID_LEN + PRISM_SHA256_BYTES + 8 * VARINT_BYTES_MAX)

/* ---------- writing ---------- */

static unsigned char *
put_claim_number(unsigned char *at, uint64 value)
{
	while (value >= 0x80)
	{
		*at++ = (unsigned char) (value | 0x80);
		value >>= 7;
	}
	*at++ = (unsigned char) value;
	return at;
}

static unsigned char *
put_claim_bytes(unsigned char *at, const unsigned char *bytes, Size length)
{
	memcpy(at, bytes, length);
	return at + length;
}

bytea *
prism_claim_write(const PrismClaim *claim)
{
	int			blocks = claim->encoding != PRISM_PAYLOAD_PLAIN ? claim->block_count : 0;
	bytea	   *result = palloc(VARHDRSZ + CLAIM_FIXED_MAX + (Size) blocks * VARINT_BYTES_MAX);
	unsigned char *at = (unsigned char *) VARDATA(result);

	*at++ = CLAIM_VERSION;
	*at++ = (unsigned char) claim->kind;
	*at++ = (unsigned char) claim->encoding;
	*at++ = claim->sha256_declared ? CLAIM_SHA256_DECLARED : 0;
	at = put_claim_bytes(at, claim->payload_id.data, UUID_LEN);
	at = put_claim_number(at, claim->size);
	at = put_claim_number(at, claim->stored_size);
	at = put_claim_bytes(at, claim->sha256, PRISM_SHA256_BYTES);
	at = put_claim_number(at, claim->store_id);
	if (claim->kind == PRISM_CLAIM_ROWS)
	{
		at = put_claim_number(at, claim->first_segment);
		at = put_claim_number(at, claim->segments);
	}
	else if (claim->kind == PRISM_CLAIM_COPY)
	{
		at = put_claim_number(at, claim->source_store_id);
		at = put_claim_bytes(at, claim->source_payload_id.data, UUID_LEN);
	}
	if (claim->encoding != PRISM_PAYLOAD_PLAIN)
	{
		at = put_claim_number(at, claim->block_bytes);
		at = put_claim_number(at, claim->block_count);
		for (int i = 0; i < claim->block_count; i++)
			at = put_claim_number(at, claim->block_stored[i]);
	}
	SET_VARSIZE(result, at - (unsigned char *) result);
	return result;
}

/* ---------- reading ---------- */

/* Bytes that are being read; 'wrong' is the first thing that is. */
typedef struct ClaimBytes
{
	const unsigned char *at;
	const unsigned char *end;
	const char *wrong;
} ClaimBytes;

static void
disbelieve(ClaimBytes *source, const char *what)
{
	if (source->wrong == NULL)
		source->wrong = what;
	source->at = source->end;
}

static unsigned char
take_claim_byte(ClaimBytes *source)
{
	if (source->at < source->end)
		return *source->at++;
	disbelieve(source, "its claim is cut off");
	return 0;
}

static void
take_claim_bytes(ClaimBytes *source, unsigned char *bytes, Size length)
{
	if (length > (Size) (source->end - source->at))
	{
		disbelieve(source, "its claim is cut off");
		return;
	}
	memcpy(bytes, source->at, length);
	source->at += length;
}

/* From min to max; 'min' where it is none. */
static int64
take_claim_number(ClaimBytes *source, int64 min, int64 max)
{
	uint64		value = 0;
	unsigned char byte;
	int			shift = 0;

	do
	{
		byte = take_claim_byte(source);
		if (shift == 63 && byte > 1)
			disbelieve(source, "a number in its claim is too long");
		value |= (uint64) (byte & 0x7f) << shift;
		shift += 7;
	} while (byte >= 0x80 && source->wrong == NULL);
	if (byte == 0 && shift > 7)
		disbelieve(source, "a number in its claim is longer than it need be");
	if (source->wrong != NULL)
		return min;
	if (value <= PG_INT64_MAX && (int64) value >= min && (int64) value <= max)
		return (int64) value;
	disbelieve(source, "a number in its claim is out of range");
	return min;
}

static void
take_head(ClaimBytes *source, PrismClaim *claim)
{
	unsigned char flags;

	if (take_claim_byte(source) != CLAIM_VERSION)
		disbelieve(source, "its claim is of an unknown version");
	claim->kind = take_claim_byte(source);
	if (claim->kind < PRISM_CLAIM_ROWS || claim->kind > PRISM_CLAIM_LOST)
		disbelieve(source, "its claim is of an unknown kind");
	claim->encoding = take_claim_byte(source);
	if (claim->encoding > PRISM_PAYLOAD_LZ4)
		disbelieve(source, "the encoding of its payload is unknown");
	flags = take_claim_byte(source);
	if ((flags & ~CLAIM_FLAGS) != 0)
		disbelieve(source, "its claim has unknown parts");
	claim->sha256_declared = (flags & CLAIM_SHA256_DECLARED) != 0;
}

static void
take_place(ClaimBytes *source, PrismClaim *claim)
{
	if (claim->kind == PRISM_CLAIM_ROWS)
	{
		claim->first_segment = take_claim_number(source, 0, PG_INT64_MAX - PG_INT32_MAX);
		claim->segments = take_claim_number(source, 0, PG_INT32_MAX);
		if (claim->segments == 0 && claim->stored_size > 0)
			disbelieve(source, "its claim names no segment of its payload");
	}
	else if (claim->kind == PRISM_CLAIM_COPY)
	{
		claim->source_store_id = take_claim_number(source, 1, PG_INT32_MAX);
		take_claim_bytes(source, claim->source_payload_id.data, UUID_LEN);
	}
}

static void
take_blocks(ClaimBytes *source, PrismClaim *claim)
{
	int64		left = claim->stored_size;

	claim->block_bytes = take_claim_number(source, 1, PG_INT32_MAX);
	claim->block_count = take_claim_number(source, 0, PG_INT32_MAX);
	/* each has a byte at least: what is believed takes no more memory than there are bytes */
	if (claim->block_count > source->end - source->at)
		disbelieve(source, "its claim is cut off");
	else if (claim->size / claim->block_bytes + (claim->size % claim->block_bytes > 0) != claim->block_count)
		disbelieve(source, "its claim has not the blocks of its payload");
	if (source->wrong != NULL)
		return;
	claim->block_stored = palloc((claim->block_count + 1) * sizeof(int64));
	for (int i = 0; i < claim->block_count; i++)
	{
		claim->block_stored[i] = take_claim_number(source, 1, PG_INT64_MAX);
		if (claim->block_stored[i] > left)
			disbelieve(source, "the blocks of its payload are longer than that");
		left -= claim->block_stored[i];
	}
	if (left > 0)
		disbelieve(source, "the blocks of its payload are shorter than that");
}

const char *
prism_claim_read(PrismClaim *claim, const void *bytes, Size length)
{
	ClaimBytes		source = {bytes, (const unsigned char *) bytes + length, NULL};

	memset(claim, 0, sizeof(*claim));
	take_head(&source, claim);
	take_claim_bytes(&source, claim->payload_id.data, UUID_LEN);
	claim->size = take_claim_number(&source, 0, PG_INT64_MAX);
	claim->stored_size = take_claim_number(&source, 0, PG_INT64_MAX);
	take_claim_bytes(&source, claim->sha256, PRISM_SHA256_BYTES);
	claim->store_id = take_claim_number(&source, claim->kind == PRISM_CLAIM_LOST ? 0 : 1, PG_INT32_MAX);
	if (claim->kind == PRISM_CLAIM_LOST && claim->stored_size != 0)
		disbelieve(&source, "its claim has a size where its payload is lost");
	if (claim->kind != PRISM_CLAIM_LOST && claim->encoding == PRISM_PAYLOAD_PLAIN && claim->stored_size != claim->size)
		disbelieve(&source, "the sizes in its claim differ");
	take_place(&source, claim);
	if (claim->kind == PRISM_CLAIM_LOST && claim->encoding != PRISM_PAYLOAD_PLAIN)
		disbelieve(&source, "its claim has an encoding where its payload is lost");
	else if (claim->encoding != PRISM_PAYLOAD_PLAIN)
		take_blocks(&source, claim);
	if (source.at < source.end)
		disbelieve(&source, "its claim has bytes too many");
	return source.wrong;
}
