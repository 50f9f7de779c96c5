/*-------------------------------------------------------------------------
 *
 * payload_codec.h
 *	  Payloads compressed in blocks, each of which can be opened by itself.
 *
 * What is stored is what gunzip, zstd -d and lz4 -d read, curl --compressed as
 * well, without knowing of blocks: they see one stream.  The blocks are for
 * prism: a reader that wants a range opens those that hold it.
 *
 *		gzip	one member.  Every block is made without a look at the ones
 *				before it and ends on a byte (a full flush), the first one is
 *				behind the member's header, the last one before its trailer.
 *				Not a member a block: curl stops behind the first one.
 *		zstd	a frame a block, with its checksum
 *		lz4		a frame a block, with its checksum
 *
 * A library's state lives within one call: blocks do not depend on each other,
 * so nothing is to be released when an error jumps over whoever writes or
 * reads them.  What a call takes besides the caller's buffers, and gives back:
 *
 *					to encode	to decode
 *		gzip		270 kB		 40 kB
 *		zstd		600 kB		100 kB
 *		lz4			  0			2.1 MB; 9 MB at most, as the frame's header asks for
 *
 * Nothing here throws; what goes wrong is told as a clause.  No bytes, however
 * they came about, make a decoder write more than the caller has room for.
 *
 * src/store/payload/payload_codec.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_PAYLOAD_CODEC_H
#define PRISM_PAYLOAD_CODEC_H

#include "store/payload/claim.h"

/* What a block holds, raw; the last one less. */
#define PRISM_PAYLOAD_BLOCK_BYTES (1024 * 1024)
/* Room for a block, whatever its bytes are and however it is stored. */
#define PRISM_PAYLOAD_STORED_BYTES_MAX (PRISM_PAYLOAD_BLOCK_BYTES + 16 * 1024)

/* A payload in the making: plain memory. */
typedef struct PrismPayloadEncoder
{
	PrismPayloadEncoding encoding;	/* PLAIN as well when the first block has shown that it is not worth it */
	int32		blocks;			/* encoded so far */
	uint32		crc;			/* gzip's trailer: of the raw bytes so far, and their number */
	uint32		raw_bytes;
} PrismPayloadEncoder;

/* The encoding that is called so, as in "compression" and in Content-Encoding ("none": PLAIN); false: none is. */
extern bool prism_payload_encoding_find(const char *name, PrismPayloadEncoding *encoding);
extern const char *prism_payload_encoding_name(PrismPayloadEncoding encoding);
/* Was prism built with the library for it? */
extern bool prism_payload_encoding_built(PrismPayloadEncoding encoding);

extern void prism_payload_encode_begin(PrismPayloadEncoder *encoder, PrismPayloadEncoding encoding);

/*
 * Encode the next block: PRISM_PAYLOAD_BLOCK_BYTES raw bytes, the last one may
 * have fewer, at least one.  Gives the stored bytes of the block.
 *
 * When the first block does not get smaller by an eighth, the encoder is PLAIN
 * from then on, and *stored is the caller's raw bytes; so it is for every
 * block of a plain payload.  Else it is in 'room', of
 * PRISM_PAYLOAD_STORED_BYTES_MAX bytes.
 */
extern const char *prism_payload_encode_block(PrismPayloadEncoder *encoder, const void *raw, Size raw_bytes, bool last, void *room,
											  const void **stored, Size *stored_bytes);

/*
 * Open one block: its raw bytes, exactly as many as are asked for, go to 'raw'.
 * Not for plain ones, of which there is nothing to open.
 */
extern const char *prism_payload_decode_block(PrismPayloadEncoding encoding, bool first, bool last,
											  const void *stored, Size stored_bytes, void *raw, Size raw_bytes);

#endif							/* PRISM_PAYLOAD_CODEC_H */
