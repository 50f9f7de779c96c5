/*-------------------------------------------------------------------------
 *
 * payload_open.c
 *	  The one place where a claim becomes bytes.
 *
 * src/store/payload/payload_open.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/kept_memory.h"
#include "base/savepoint.h"
#include "store/log/log.h"
#include "store/log/message_copy.h"
#include "store/payload/payload_codec.h"
#include "store/payload/payload_hash.h"
#include "store/payload/payload_open.h"
#include "store/payload/payload_read.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Who reads payloads of so many bytes keeps the memory of most that are handed over with their messages. */
#define KEPT_FROM_BYTES (1024 * 1024)
#define LARGER_THAN_MOST (17 * 1024 * 1024)

/* ---------- faults ---------- */

static bool
tell_damaged(PrismPayloadFault *fault, const char *why)
{
	*fault = (PrismPayloadFault) {ERRCODE_DATA_CORRUPTED, psprintf("its payload is damaged: %s", why)};
	return false;
}

static bool
tell_missing(PrismPayloadFault *fault, const char *why)
{
	*fault = (PrismPayloadFault) {ERRCODE_UNDEFINED_FILE, psprintf("its payload is missing: %s", why)};
	return false;
}

/* As in log_value.c: what is damaged, not what passes, nor a wish to end. */
bool
prism_payload_try(void (*part) (void *arg), void *arg, PrismPayloadFault *fault)
{
	ErrorData  *error = prism_savepoint_try(part, arg);

	if (error == NULL)
		return true;
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR))
		ReThrowError(error);
	return tell_damaged(fault, error->message);
}

/* ---------- the claim ---------- */

bool
prism_message_claim(PrismClaim *claim, const PrismMessage *message, PrismPayloadFault *fault)
{
	struct varlena *bytes = prism_log_value(message->payload);
	const char *wrong;

	Assert(message->claim && message->has_payload);
	claim->block_stored = NULL;
	wrong = bytes == NULL ? "its claim cannot be fetched" : prism_claim_read(claim, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	return wrong == NULL || tell_damaged(fault, wrong);
}

bool
prism_payload_is_inline(const PrismClaim *claim)
{
	return claim->kind != PRISM_CLAIM_LOST && claim->size <= prism_max_inline_payload_kb * INT64CONST(1024);
}

int64
prism_message_payload_size(const PrismMessage *message)
{
	PrismClaim	claim = {0};		/* of one that cannot be fetched nothing is read */
	PrismPayloadFault fault;
	int64		size;

	if (!message->claim)
		return prism_message_payload_bytes(message);
	size = prism_message_claim(&claim, message, &fault) && prism_payload_is_inline(&claim) ? claim.size : 0;
	if (claim.block_stored != NULL)
		pfree(claim.block_stored);
	return size;
}

/* ---------- its rows ---------- */

/* Where bytes of a payload go. */
typedef struct PayloadSink
{
	char	   *at;				/* NULL: they are only looked at */
	int64		left;			/* how many are still wanted */
	PrismPayloadHash *hash;		/* NULL: a part proves nothing */
} PayloadSink;

/* Stored bytes as they come. */
typedef struct StoredBytes
{
	PrismPayloadReader *reader;
	const char *bytes;			/* what is left of those read last */
	Size		length;
	int64		taken;
} StoredBytes;

static bool
open_stored(StoredBytes *stored, PrismTopic *topic, const PrismClaim *claim, int64 from, PrismPayloadFault *fault)
{
	*stored = (StoredBytes) {.reader = prism_payload_open_rows(topic, &claim->payload_id, claim->first_segment, claim->segments, from)};
	return stored->reader != NULL ||
		tell_missing(fault, psprintf("payload segment " INT64_FORMAT " of its topic is not there", claim->first_segment));
}

/* Take what is at hand, at most 'max' bytes. */
static bool
next_stored(StoredBytes *stored, const char **bytes, Size max, Size *length, PrismPayloadFault *fault)
{
	CHECK_FOR_INTERRUPTS();
	while (stored->length == 0)
	{
		const char *damage;

		if (prism_payload_next(stored->reader, &stored->bytes, &stored->length))
			continue;
		damage = prism_payload_damage(stored->reader);
		if (damage != NULL)
			return tell_damaged(fault, damage);
		return stored->taken == 0 ? tell_missing(fault, "no row of it is there") : tell_damaged(fault, "its last rows are not there");
	}
	*bytes = stored->bytes;
	*length = Min(stored->length, max);
	stored->bytes += *length;
	stored->length -= *length;
	stored->taken += *length;
	return true;
}

static void
pour(PayloadSink *sink, const char *bytes, Size length)
{
	if (sink->hash != NULL)
		prism_payload_hash_add(sink->hash, bytes, length);
	if (sink->at != NULL)
	{
		memcpy(sink->at, bytes, length);
		sink->at += length;
	}
	sink->left -= length;
}

static bool
read_plain(StoredBytes *stored, PayloadSink *sink, PrismPayloadFault *fault)
{
	while (sink->left > 0)
	{
		const char *bytes;
		Size		length;

		if (!next_stored(stored, &bytes, sink->left, &length, fault))
			return false;
		pour(sink, bytes, length);
	}
	return true;
}

/* ---------- encoded ones ---------- */

/* What is larger was never written: memory is not taken for it. */
static bool
has_good_blocks(const PrismClaim *claim, PrismPayloadFault *fault)
{
	if (claim->block_bytes > PRISM_PAYLOAD_BLOCK_BYTES)
		return tell_damaged(fault, "its blocks are larger than any");
	for (int i = 0; i < claim->block_count; i++)
	{
		if (claim->block_stored[i] > PRISM_PAYLOAD_STORED_BYTES_MAX)
			return tell_damaged(fault, "a block of it is longer than any");
	}
	return true;
}

static Size
raw_bytes_of_block(const PrismClaim *claim, int i)
{
	return i + 1 < claim->block_count ? claim->block_bytes : claim->size - (int64) i * claim->block_bytes;
}

/* Gather block i and open it, to 'raw'. */
static bool
read_block(StoredBytes *stored, const PrismClaim *claim, int i, char *room, char *raw, PrismPayloadFault *fault)
{
	Size		wanted = claim->block_stored[i];
	const char *wrong;

	for (Size got = 0; got < wanted;)
	{
		const char *bytes;
		Size		length;

		if (!next_stored(stored, &bytes, wanted - got, &length, fault))
			return false;
		memcpy(room + got, bytes, length);
		got += length;
	}
	wrong = prism_payload_decode_block(claim->encoding, i == 0, i + 1 == claim->block_count, room, wanted,
									   raw, raw_bytes_of_block(claim, i));
	return wrong == NULL || tell_damaged(fault, wrong);
}

/* From byte 'skip' of block 'first' on. */
static bool
read_blocks(StoredBytes *stored, const PrismClaim *claim, int first, Size skip, PayloadSink *sink, PrismPayloadFault *fault)
{
	char	   *room = palloc(PRISM_PAYLOAD_STORED_BYTES_MAX);
	char	   *raw = palloc(claim->block_bytes);
	bool		good = true;

	for (int i = first; good && sink->left > 0; i++)
	{
		good = read_block(stored, claim, i, room, raw, fault);
		if (good)
			pour(sink, raw + skip, Min(raw_bytes_of_block(claim, i) - skip, (Size) sink->left));
		skip = 0;
	}
	pfree(room);
	pfree(raw);
	return good;
}

/* ---------- all of it ---------- */

static bool
read_rows(PrismTopic *topic, const PrismClaim *claim, int64 from, PayloadSink *sink, PrismPayloadFault *fault)
{
	StoredBytes stored;
	int			first = 0;
	int64		stored_from = from;
	bool		good;

	if (sink->left == 0)
		return true;
	if (claim->encoding != PRISM_PAYLOAD_PLAIN)
	{
		if (!has_good_blocks(claim, fault))
			return false;
		first = (int) (from / claim->block_bytes);
		stored_from = 0;
		for (int i = 0; i < first; i++)
			stored_from += claim->block_stored[i];
	}
	if (!open_stored(&stored, topic, claim, stored_from, fault))
		return false;
	good = claim->encoding == PRISM_PAYLOAD_PLAIN ? read_plain(&stored, sink, fault)
		: read_blocks(&stored, claim, first, from % claim->block_bytes, sink, fault);
	prism_payload_close(stored.reader);
	return good;
}

static bool
read_kind(PrismTopic *topic, const PrismClaim *claim, int64 from, PayloadSink *sink, PrismPayloadFault *fault)
{
	switch (claim->kind)
	{
		case PRISM_CLAIM_ROWS:
			return read_rows(topic, claim, from, sink, fault);
		case PRISM_CLAIM_LOST:
			return tell_missing(fault, "it was lost before the message became a dead letter");
		case PRISM_CLAIM_OBJECT:
		case PRISM_CLAIM_COPY:
			break;
	}
	return tell_missing(fault, "it lies in a store that this version does not reach");
}

static char *
hex_of_hash(const unsigned char *sha256)
{
	char	   *text = palloc0(2 * PRISM_SHA256_BYTES + 1);

	hex_encode((const char *) sha256, PRISM_SHA256_BYTES, text);
	return text;
}

static bool
is_proven(const PrismClaim *claim, PrismPayloadHash *hash, PrismPayloadFault *fault)
{
	unsigned char found[PRISM_SHA256_BYTES];

	prism_payload_hash_finish(hash, found);
	return memcmp(found, claim->sha256, PRISM_SHA256_BYTES) == 0 ||
		tell_damaged(fault, psprintf("its SHA-256 is %s, and should be %s", hex_of_hash(found), hex_of_hash(claim->sha256)));
}

typedef struct PayloadReading
{
	PrismTopic *topic;
	const PrismClaim *claim;
	int64		from;
	PayloadSink *sink;
	PrismPayloadFault *fault;
	bool		good;
} PayloadReading;

static void
read_part(void *arg)
{
	PayloadReading *reading = arg;

	reading->good = read_kind(reading->topic, reading->claim, reading->from, reading->sink, reading->fault);
}

/* Bytes from 'from' on, as many as the sink wants; all of them are proven. */
static bool
fill_sink(PrismTopic *topic, const PrismClaim *claim, int64 from, PayloadSink *sink, PrismPayloadFault *fault)
{
	PayloadReading reading = {topic, claim, from, sink, fault, false};

	if (sink->left == claim->size)
		sink->hash = prism_payload_hash_begin();
	if (prism_payload_try(read_part, &reading, fault) && reading.good)
		return sink->hash == NULL || is_proven(claim, sink->hash, fault);
	if (sink->hash != NULL)
		prism_payload_hash_drop(sink->hash);
	return false;
}

bytea *
prism_payload_fetch(PrismTopic *topic, const PrismClaim *claim, int64 from, int64 bytes, PrismPayloadFault *fault)
{
	int64		length = Max(Min(bytes, claim->size - from), 0);
	PayloadSink sink = {.left = length};
	bytea	   *result;

	Assert(from >= 0 && bytes >= 0);
	if (length > (int64) MaxAllocSize - VARHDRSZ)
	{
		*fault = (PrismPayloadFault) {ERRCODE_PROGRAM_LIMIT_EXCEEDED, "its payload is too large to be read at once"};
		return NULL;
	}
	if (length >= KEPT_FROM_BYTES)
		prism_keep_memory(LARGER_THAN_MOST);
	result = palloc(VARHDRSZ + length);
	SET_VARSIZE(result, VARHDRSZ + length);
	sink.at = VARDATA(result);
	if (fill_sink(topic, claim, from, &sink, fault))
		return result;
	pfree(result);
	return NULL;
}

bool
prism_payload_check(PrismTopic *topic, const PrismClaim *claim, PrismPayloadFault *fault)
{
	PayloadSink sink = {.left = claim->size};

	return fill_sink(topic, claim, 0, &sink, fault);
}

void
prism_payload_mark_lost(PrismMessage *message, const PrismClaim *claim)
{
	PrismClaim	lost = {.kind = PRISM_CLAIM_LOST};

	if (claim != NULL)
	{
		lost.payload_id = claim->payload_id;
		lost.size = claim->size;
		lost.store_id = claim->store_id;
		memcpy(lost.sha256, claim->sha256, PRISM_SHA256_BYTES);
	}
	message->payload = PointerGetDatum(prism_claim_write(&lost));
}
