/*-------------------------------------------------------------------------
 *
 * payload_codec.c
 *	  Payloads compressed in blocks: gzip by zlib, zstd, lz4.
 *
 * The libraries are those that the server links itself; the Makefile says
 * which of them are there.  Speed counts for more than size here: a session
 * waits for it within its transaction.
 *
 * src/store/payload/payload_codec.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef PRISM_WITH_ZLIB
#include <zlib.h>
#endif
#ifdef PRISM_WITH_ZSTD
#include <zstd.h>
#endif
#ifdef PRISM_WITH_LZ4
#include <lz4frame.h>
#endif

#include "store/payload/payload_codec.h"

/* Fastest of those that are worth it. */
#define GZIP_LEVEL 1
#define ZSTD_LEVEL 1
#define LZ4_LEVEL 0

#define GZIP_TRAILER_BYTES 8

/* Clauses, for "payload is damaged: %s". */
#define CANNOT_OPEN "a compressed block cannot be opened"
#define TOO_SHORT "a compressed block has fewer bytes than it should"
#define TOO_LONG "a compressed block has more bytes than it should"
#define MORE_BEHIND "there is more behind a compressed block"
#define NO_MEMORY "out of memory for compression"
#define NOT_ENCODED "a block could not be compressed"

/* One way of encoding; stored_bytes is the room to begin with, and what was taken of it. */
typedef struct Codec
{
	const char *name;
	const char *(*encode) (PrismPayloadEncoder *encoder, const void *raw, Size raw_bytes, bool last, void *stored, Size *stored_bytes);
	const char *(*decode) (bool first, bool last, const void *stored, Size stored_bytes, void *raw, Size raw_bytes);
} Codec;

#ifdef PRISM_WITH_ZLIB

/* What a full flush ends with: an empty stored block. */
static const unsigned char flush_end[4] = {0, 0, 0xFF, 0xFF};
/* Deflate, no flags, no time, fastest, Unix. */
static const unsigned char gzip_header[10] = {0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 4, 3};

static void
put_little_endian(unsigned char *at, uint32 value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char) (value >> (8 * i));
}

/* A block as a part of the deflate stream, which ends on a byte. */
static const char *
deflate_block(const void *raw, Size raw_bytes, bool last, unsigned char *stored, Size *stored_bytes)
{
	z_stream	stream = {0};
	bool		done;

	if (deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return NO_MEMORY;
	stream.next_in = (Bytef *) unconstify(void *, raw);
	stream.avail_in = (uInt) raw_bytes;
	stream.next_out = stored;
	stream.avail_out = (uInt) *stored_bytes;
	done = deflate(&stream, last ? Z_FINISH : Z_FULL_FLUSH) == (last ? Z_STREAM_END : Z_OK) &&
		stream.avail_in == 0 && stream.avail_out > 0;
	*stored_bytes = stream.total_out;
	deflateEnd(&stream);
	return done ? NULL : NOT_ENCODED;
}

static const char *
gzip_encode(PrismPayloadEncoder *encoder, const void *raw, Size raw_bytes, bool last, void *stored, Size *stored_bytes)
{
	unsigned char *at = stored;
	Size		header_bytes = encoder->blocks == 0 ? sizeof(gzip_header) : 0;
	Size		deflated = *stored_bytes - header_bytes - GZIP_TRAILER_BYTES;
	const char *why;

	memcpy(at, gzip_header, header_bytes);
	if ((why = deflate_block(raw, raw_bytes, last, at + header_bytes, &deflated)) != NULL)
		return why;
	*stored_bytes = header_bytes + deflated;

	encoder->crc = (uint32) crc32(encoder->blocks == 0 ? crc32(0, NULL, 0) : encoder->crc, raw, (uInt) raw_bytes);
	encoder->raw_bytes += (uint32) raw_bytes;	/* modulo 2^32, as the trailer has it */
	if (last)
	{
		put_little_endian(at + *stored_bytes, encoder->crc);
		put_little_endian(at + *stored_bytes + 4, encoder->raw_bytes);
		*stored_bytes += GZIP_TRAILER_BYTES;
	}
	return NULL;
}

/* Inflate to exactly raw_bytes, and to the end of what is stored. */
static const char *
inflate_block(z_stream *stream, bool last, unsigned char *raw, Size raw_bytes)
{
	unsigned char beyond;
	int			result;

	stream->next_out = raw;
	stream->avail_out = (uInt) raw_bytes;
	result = inflate(stream, Z_SYNC_FLUSH);
	if (result == Z_MEM_ERROR)
		return NO_MEMORY;
	if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
		return CANNOT_OPEN;
	if (stream->avail_out > 0)
		return TOO_SHORT;
	if (result != Z_STREAM_END)
	{
		/* the empty block of the flush, or the end of the stream, may be left */
		stream->next_out = &beyond;
		stream->avail_out = 1;
		result = inflate(stream, Z_SYNC_FLUSH);
		if (stream->avail_out == 0)
			return TOO_LONG;
		if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
			return CANNOT_OPEN;
	}
	if (last != (result == Z_STREAM_END))
		return last ? TOO_SHORT : TOO_LONG;
	return stream->avail_in == (last ? GZIP_TRAILER_BYTES : 0) ? NULL : MORE_BEHIND;
}

static const char *
gzip_decode(bool first, bool last, const void *stored, Size stored_bytes, void *raw, Size raw_bytes)
{
	z_stream	stream = {0};
	const unsigned char *at = stored;
	const char *why;

	if (first)
	{
		if (stored_bytes < sizeof(gzip_header) || memcmp(at, gzip_header, sizeof(gzip_header)) != 0)
			return CANNOT_OPEN;
		at += sizeof(gzip_header);
		stored_bytes -= sizeof(gzip_header);
	}
	if (!last && (stored_bytes < sizeof(flush_end) || memcmp(at + stored_bytes - sizeof(flush_end), flush_end, sizeof(flush_end)) != 0))
		return TOO_SHORT;
	if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
		return NO_MEMORY;
	stream.next_in = (Bytef *) unconstify(unsigned char *, at);
	stream.avail_in = (uInt) stored_bytes;
	why = inflate_block(&stream, last, raw, raw_bytes);
	inflateEnd(&stream);
	return why;
}

#else
#define gzip_encode NULL
#define gzip_decode NULL
#endif							/* PRISM_WITH_ZLIB */

#ifdef PRISM_WITH_ZSTD

static const unsigned char zstd_magic[4] = {0x28, 0xB5, 0x2F, 0xFD};

static const char *
zstd_encode(PrismPayloadEncoder *encoder, const void *raw, Size raw_bytes, bool last, void *stored, Size *stored_bytes)
{
	ZSTD_CCtx  *context = ZSTD_createCCtx();
	size_t		result;

	if (context == NULL)
		return NO_MEMORY;
	(void) ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	(void) ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	result = ZSTD_compress2(context, stored, *stored_bytes, raw, raw_bytes);
	ZSTD_freeCCtx(context);
	if (ZSTD_isError(result))
		return NOT_ENCODED;
	*stored_bytes = result;
	return NULL;
}

static const char *
zstd_decode(bool first, bool last, const void *stored, Size stored_bytes, void *raw, Size raw_bytes)
{
	size_t		result;

	/* one frame of today's format, no less and no more: anything else was not written here */
	if (stored_bytes < sizeof(zstd_magic) || memcmp(stored, zstd_magic, sizeof(zstd_magic)) != 0 ||
		ZSTD_findFrameCompressedSize(stored, stored_bytes) != stored_bytes)
		return CANNOT_OPEN;
	result = ZSTD_decompress(raw, raw_bytes, stored, stored_bytes);
	if (ZSTD_isError(result))
		return CANNOT_OPEN;
	return result == raw_bytes ? NULL : TOO_SHORT;
}

#else
#define zstd_encode NULL
#define zstd_decode NULL
#endif							/* PRISM_WITH_ZSTD */

#ifdef PRISM_WITH_LZ4

static const char *
lz4_encode(PrismPayloadEncoder *encoder, const void *raw, Size raw_bytes, bool last, void *stored, Size *stored_bytes)
{
	LZ4F_preferences_t how = {
		.frameInfo = {
			.blockSizeID = LZ4F_max1MB,
			.blockMode = LZ4F_blockIndependent,
			.contentChecksumFlag = LZ4F_contentChecksumEnabled,
			.contentSize = raw_bytes,
		},
		.compressionLevel = LZ4_LEVEL,
	};
	size_t		result = LZ4F_compressFrame(stored, *stored_bytes, raw, raw_bytes, &how);

	if (LZ4F_isError(result))
		return NOT_ENCODED;
	*stored_bytes = result;
	return NULL;
}

/* Decode a frame to exactly raw_bytes, and to the end of what is stored. */
static const char *
lz4_decode_frame(LZ4F_dctx *context, const char *stored, Size stored_bytes, char *raw, Size raw_bytes)
{
	char		beyond;
	size_t		result;

	do
	{
		bool		full = raw_bytes == 0;
		size_t		taken = stored_bytes;
		size_t		made = full ? 1 : raw_bytes;

		result = LZ4F_decompress(context, full ? &beyond : raw, &made, stored, &taken, NULL);
		if (LZ4F_isError(result))
			return CANNOT_OPEN;
		if (full && made > 0)
			return TOO_LONG;
		if (taken == 0 && made == 0 && result != 0)
			return TOO_SHORT;	/* it asks for more bytes, and there are none */
		stored += taken;
		stored_bytes -= taken;
		raw += made;
		raw_bytes -= made;
	} while (result != 0);

	if (raw_bytes > 0)
		return TOO_SHORT;
	return stored_bytes == 0 ? NULL : MORE_BEHIND;
}

static const char *
lz4_decode(bool first, bool last, const void *stored, Size stored_bytes, void *raw, Size raw_bytes)
{
	LZ4F_dctx  *context;
	const char *why;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
		return NO_MEMORY;
	why = lz4_decode_frame(context, stored, stored_bytes, raw, raw_bytes);
	LZ4F_freeDecompressionContext(context);
	return why;
}

#else
#define lz4_encode NULL
#define lz4_decode NULL
#endif							/* PRISM_WITH_LZ4 */

static const Codec codecs[] = {
	[PRISM_PAYLOAD_PLAIN] = {.name = "none"},
	[PRISM_PAYLOAD_GZIP] = {.name = "gzip", .encode = gzip_encode, .decode = gzip_decode},
	[PRISM_PAYLOAD_ZSTD] = {.name = "zstd", .encode = zstd_encode, .decode = zstd_decode},
	[PRISM_PAYLOAD_LZ4] = {.name = "lz4", .encode = lz4_encode, .decode = lz4_decode},
};

bool
prism_payload_encoding_find(const char *name, PrismPayloadEncoding *encoding)
{
	for (int i = 0; i < (int) lengthof(codecs); i++)
	{
		if (strcmp(codecs[i].name, name) == 0)
		{
			*encoding = (PrismPayloadEncoding) i;
			return true;
		}
	}
	return false;
}

const char *
prism_payload_encoding_name(PrismPayloadEncoding encoding)
{
	return codecs[encoding].name;
}

bool
prism_payload_encoding_built(PrismPayloadEncoding encoding)
{
	return encoding == PRISM_PAYLOAD_PLAIN || codecs[encoding].encode != NULL;
}

void
prism_payload_encode_begin(PrismPayloadEncoder *encoder, PrismPayloadEncoding encoding)
{
	Assert(prism_payload_encoding_built(encoding));
	*encoder = (PrismPayloadEncoder) {.encoding = encoding};
}

const char *
prism_payload_encode_block(PrismPayloadEncoder *encoder, const void *raw, Size raw_bytes, bool last, void *room,
						   const void **stored, Size *stored_bytes)
{
	Assert(raw_bytes > 0 && raw_bytes <= PRISM_PAYLOAD_BLOCK_BYTES);
	Assert(last || raw_bytes == PRISM_PAYLOAD_BLOCK_BYTES);

	*stored = raw;
	*stored_bytes = raw_bytes;
	if (encoder->encoding != PRISM_PAYLOAD_PLAIN)
	{
		Size		bytes = PRISM_PAYLOAD_STORED_BYTES_MAX;
		const char *why = codecs[encoder->encoding].encode(encoder, raw, raw_bytes, last, room, &bytes);

		if (why != NULL)
			return why;
		if (encoder->blocks == 0 && bytes > raw_bytes - raw_bytes / 8)
			encoder->encoding = PRISM_PAYLOAD_PLAIN;
		else
		{
			*stored = room;
			*stored_bytes = bytes;
		}
	}
	encoder->blocks++;
	return NULL;
}

const char *
prism_payload_decode_block(PrismPayloadEncoding encoding, bool first, bool last,
						   const void *stored, Size stored_bytes, void *raw, Size raw_bytes)
{
	Assert(encoding != PRISM_PAYLOAD_PLAIN);
	if (raw_bytes == 0 || raw_bytes > PRISM_PAYLOAD_BLOCK_BYTES || stored_bytes > PRISM_PAYLOAD_STORED_BYTES_MAX)
		return TOO_LONG;
	if (codecs[encoding].decode == NULL)
		return "this prism was built without the library that opens it";
	return codecs[encoding].decode(first, last, stored, stored_bytes, raw, raw_bytes);
}
