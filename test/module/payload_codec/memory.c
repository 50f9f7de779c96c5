/*-------------------------------------------------------------------------
 *
 * memory.c
 *	  What the libraries take for a block, also for one that asks for much.
 *
 * This program's malloc counts; the libraries call it.
 *
 * test/module/payload_codec/memory.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#undef printf

#include "store/payload/payload_codec.h"

#define BLOCK PRISM_PAYLOAD_BLOCK_BYTES
#define BOMB_BYTES (64 * 1024 * 1024)

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void __libc_free(void *chunk);

static int64 taken;
static int64 peak;

static void *
count(void *chunk)
{
	taken += (int64) malloc_usable_size(chunk);
	peak = Max(peak, taken);
	return chunk;
}

void *
malloc(size_t bytes)
{
	return count(__libc_malloc(bytes));
}

void *
calloc(size_t number, size_t bytes)
{
	return count(__libc_calloc(number, bytes));
}

void
free(void *chunk)
{
	if (chunk != NULL)
		taken -= (int64) malloc_usable_size(chunk);
	__libc_free(chunk);
}

static unsigned char raw[BLOCK];
static unsigned char back[BLOCK];
static unsigned char room[PRISM_PAYLOAD_STORED_BYTES_MAX];
static bool right = true;

/* From here on to the end of a step. */
static void
begin(void)
{
	peak = taken;
}

static void
end(const char *name, const char *what, int64 begun, int64 kilobytes_max)
{
	printf("# %s: to %s takes %d kB\n", name, what, (int) ((peak - begun) / 1000));
	if (peak - begun > kilobytes_max * 1000 || taken != begun)
		right = false;
}

static void
block(PrismPayloadEncoding encoding, int64 encode_max, int64 decode_max)
{
	PrismPayloadEncoder encoder;
	const void *stored;
	Size		stored_bytes;
	int64		begun;

	begun = taken;
	begin();
	prism_payload_encode_begin(&encoder, encoding);
	right = prism_payload_encode_block(&encoder, raw, BLOCK, true, room, &stored, &stored_bytes) == NULL && stored == room && right;
	end(prism_payload_encoding_name(encoding), "encode", begun, encode_max);
	begin();
	right = prism_payload_decode_block(encoding, true, true, room, stored_bytes, back, BLOCK) == NULL && memcmp(raw, back, BLOCK) == 0 && right;
	end(prism_payload_encoding_name(encoding), "decode", begun, decode_max);
}

/* A block that would be 64 MB, and asks for a window to match: as large as a block may be stored, or smaller. */
static void
bomb(PrismPayloadEncoding encoding, int64 decode_max)
{
	unsigned char *zeros = __libc_calloc(1, BOMB_BYTES);
	Size		room_bytes = BOMB_BYTES + BOMB_BYTES / 8;
	unsigned char *stored = __libc_malloc(room_bytes);
	Size		stored_bytes = 0;
	int64		begun;

	if (encoding == PRISM_PAYLOAD_GZIP)
	{
		z_stream	stream = {.next_in = zeros, .avail_in = BOMB_BYTES, .next_out = stored, .avail_out = room_bytes};

		deflateInit2(&stream, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY);
		deflate(&stream, Z_FINISH);
		stored_bytes = stream.total_out;
		deflateEnd(&stream);
		memcpy(stored, room, 10);	/* header as we write it: of the block before */
	}
	else if (encoding == PRISM_PAYLOAD_ZSTD)
	{
		ZSTD_CCtx  *context = ZSTD_createCCtx();

		ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
		stored_bytes = ZSTD_compress2(context, stored, room_bytes, zeros, BOMB_BYTES);
		ZSTD_freeCCtx(context);
	}
	else
	{
		LZ4F_preferences_t how = {.frameInfo = {.blockSizeID = LZ4F_max4MB, .blockMode = LZ4F_blockLinked}};

		stored_bytes = LZ4F_compressFrame(stored, room_bytes, zeros, BOMB_BYTES, &how);
	}

	begun = taken;
	begin();
	right = stored_bytes > 0 && stored_bytes <= PRISM_PAYLOAD_STORED_BYTES_MAX && right;
	right = prism_payload_decode_block(encoding, true, true, stored, stored_bytes, back, BLOCK) != NULL && right;
	end(prism_payload_encoding_name(encoding), "refuse 64 MB", begun, decode_max);
	__libc_free(zeros);
	__libc_free(stored);
}

int
main(void)
{
	uint32		state = 1;

	for (int i = 0; i < BLOCK; i++)
	{
		state = state * 1664525 + 1013904223;
		raw[i] = "etaoin shrdlu\n01"[state >> 28];
		if (i % 128 >= 64)
			raw[i] = raw[i - 64];
	}
	setvbuf(stdout, NULL, _IOLBF, 4096);
	printf("# kilobytes beside the caller's buffers\n");
	/* as payload_codec.h says */
	block(PRISM_PAYLOAD_GZIP, 270, 40);
	bomb(PRISM_PAYLOAD_GZIP, 40);
	block(PRISM_PAYLOAD_ZSTD, 600, 100);
	bomb(PRISM_PAYLOAD_ZSTD, 100);
	block(PRISM_PAYLOAD_LZ4, 10, 2100);
	bomb(PRISM_PAYLOAD_LZ4, 9000);
	return right ? 0 : 1;
}
