/*-------------------------------------------------------------------------
 *
 * payload_make.c
 *	  A payload that was handed to publish(), as rows of payload segments and a claim to them.
 *
 * src/store/payload/payload_make.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "store/payload/payload_codec.h"
#include "store/payload/payload_hash.h"
#include "store/payload/payload_make.h"
#include "store/payload/payload_progress.h"
#include "store/payload/payload_write.h"

#include "access/detoast.h"
#include "miscadmin.h"

bool
prism_payload_comes_in_pieces(const struct varlena *payload)
{
	struct varatt_external where;

	if (!VARATT_IS_EXTERNAL_ONDISK(payload))
		return false;
	VARATT_EXTERNAL_GET_POINTER(where, payload);
	return VARATT_EXTERNAL_GET_EXTSIZE(where) == (uint32) where.va_rawsize - VARHDRSZ;
}

/* Where the bytes of a value come from. */
typedef struct ValueSource
{
	struct varlena *whole;		/* NULL: they are fetched in pieces */
	struct varlena *toasted;
	struct varlena *piece;		/* the one at hand; NULL: none */
} ValueSource;

static void
open_value(ValueSource *source, Datum payload)
{
	struct varlena *given = (struct varlena *) DatumGetPointer(payload);

	*source = (ValueSource) {0};
	/* what is compressed can only be opened as a whole */
	if (prism_payload_comes_in_pieces(given))
		source->toasted = given;
	else
		source->whole = pg_detoast_datum_packed(given);
}

static const char *
bytes_of_value(void *arg, int64 from, Size length)
{
	ValueSource *source = arg;

	if (source->whole != NULL)
		return VARDATA_ANY(source->whole) + from;
	if (source->piece != NULL)
		pfree(source->piece);
	source->piece = detoast_attr_slice(source->toasted, (int32) from, (int32) length);
	if (VARSIZE_ANY_EXHDR(source->piece) != length)
		elog(ERROR, "a payload that is out of line has fewer bytes than it should");
	return VARDATA_ANY(source->piece);
}

/* The claim as it is before the first byte is written. */
static void
begin_claim(PrismClaim *claim, int32 store_id, const pg_uuid_t *id, int64 size)
{
	int64		blocks = (size + PRISM_PAYLOAD_BLOCK_BYTES - 1) / PRISM_PAYLOAD_BLOCK_BYTES;

	*claim = (PrismClaim) {
		.kind = PRISM_CLAIM_ROWS,.payload_id = *id,.size = size,.store_id = store_id,.segments = 1,
		.block_bytes = PRISM_PAYLOAD_BLOCK_BYTES,.block_count = (int32) blocks
	};
	claim->block_stored = palloc(Max(blocks, 1) * sizeof(int64));
}

static void
write_block(PrismPayloadWriter *writer, PrismPayloadEncoder *encoder, const char *raw, Size raw_bytes, bool last, void *room,
			int64 *stored_bytes)
{
	const void *stored;
	Size		bytes;
	const char *wrong = prism_payload_encode_block(encoder, raw, raw_bytes, last, room, &stored, &bytes);

	if (wrong != NULL)
		ereport(ERROR,
				errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				errmsg("could not compress a payload"),
				errdetail("%s.", wrong));
	prism_payload_put(writer, stored, bytes);
	*stored_bytes = bytes;
}

void
prism_payload_make(PrismTopic *topic, int32 store_id, const pg_uuid_t *id, PrismPayloadEncoding encoding,
				   Datum payload, PrismClaim *claim)
{
	ValueSource source;

	open_value(&source, payload);
	prism_payload_make_from(topic, store_id, id, encoding, (int64) toast_raw_datum_size(payload) - VARHDRSZ, bytes_of_value, &source, claim);
}

void
prism_payload_make_from(PrismTopic *topic, int32 store_id, const pg_uuid_t *id, PrismPayloadEncoding encoding,
						int64 size, PrismPayloadSource bytes_of, void *source, PrismClaim *claim)
{
	PrismPayloadHash *hash = prism_payload_hash_begin();
	PrismPayloadWriter *writer = prism_payload_begin(topic, store_id, id, 0);
	void	   *room = encoding != PRISM_PAYLOAD_PLAIN ? palloc(PRISM_PAYLOAD_STORED_BYTES_MAX) : NULL;
	PrismPayloadEncoder encoder;

	begin_claim(claim, store_id, id, size);
	prism_payload_progress_begin(PRISM_PAYLOAD_PUBLISH, topic, -1, size);
	prism_payload_encode_begin(&encoder, encoding);
	for (int i = 0; i < claim->block_count; i++)
	{
		int64		from = (int64) i * PRISM_PAYLOAD_BLOCK_BYTES;
		Size		length = Min(size - from, PRISM_PAYLOAD_BLOCK_BYTES);
		const char *raw = bytes_of(source, from, length);

		CHECK_FOR_INTERRUPTS();
		prism_payload_hash_add(hash, raw, length);
		write_block(writer, &encoder, raw, length, i + 1 == claim->block_count, room, &claim->block_stored[i]);
		prism_payload_progress_add(length);
	}
	prism_payload_progress_end();
	prism_payload_finish(writer, &claim->first_segment, &claim->stored_size);
	prism_payload_hash_finish(hash, claim->sha256);
	claim->encoding = encoder.encoding;
	if (room != NULL)
		pfree(room);
}
