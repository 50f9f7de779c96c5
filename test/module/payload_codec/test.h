/*-------------------------------------------------------------------------
 *
 * test.h
 *	  What the files of this test share.
 *
 * test/module/payload_codec/test.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PAYLOAD_CODEC_TEST_H
#define PAYLOAD_CODEC_TEST_H

#include "store/payload/payload_codec.h"

#define BLOCK PRISM_PAYLOAD_BLOCK_BYTES
#define BLOCKS_MAX 8

/* A payload as it is stored. */
typedef struct Stored
{
	PrismPayloadEncoding encoding;	/* what was made of the one asked for */
	unsigned char *bytes;
	Size		length;
	int			blocks;
	Size		block_stored[BLOCKS_MAX];
} Stored;

/* Encode a payload; its bytes are freed by free_stored(). */
extern Stored encode(PrismPayloadEncoding encoding, const unsigned char *raw, Size bytes);
extern void free_stored(Stored *stored);

/* Bytes that compress about to a half, others for each seed. */
extern unsigned char *some_text(Size bytes, uint32 seed);

/* Does a program make of what is stored what was published?  tools.c */
extern bool program_reads_payloads(const char *program, PrismPayloadEncoding encoding);

#endif							/* PAYLOAD_CODEC_TEST_H */
