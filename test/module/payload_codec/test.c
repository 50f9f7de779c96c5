/*-------------------------------------------------------------------------
 *
 * test.c
 *	  Payloads in blocks: round trips, single blocks, and what others have damaged.
 *
 * Buffers have exactly the room that is told, so that the sanitizer sees a byte
 * beyond.
 *
 * test/module/payload_codec/test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>

#undef printf					/* the system's: this program links nothing of the server */
#undef snprintf

#include "../tap.h"
#include "test.h"

static const PrismPayloadEncoding encodings[] = {PRISM_PAYLOAD_GZIP, PRISM_PAYLOAD_ZSTD, PRISM_PAYLOAD_LZ4};
static uint32 random_state;
static char about[200];

static const char *
named(PrismPayloadEncoding encoding, const char *what)
{
	snprintf(about, sizeof(about), "%s: %s", prism_payload_encoding_name(encoding), what);
	return about;
}

static uint32
draw(uint32 below)
{
	random_state = random_state * 1664525 + 1013904223;
	return (uint32) (((uint64) random_state * below) >> 32);
}

unsigned char *
some_text(Size bytes, uint32 seed)
{
	unsigned char *text = malloc(bytes + 1);

	random_state = seed;
	for (Size i = 0; i < bytes; i++)
		text[i] = "etaoin shrdlu\n01"[draw(16)];
	return text;
}

Stored
encode(PrismPayloadEncoding encoding, const unsigned char *raw, Size bytes)
{
	Stored		made = {.bytes = malloc(BLOCKS_MAX * (Size) PRISM_PAYLOAD_STORED_BYTES_MAX)};
	unsigned char *room = malloc(PRISM_PAYLOAD_STORED_BYTES_MAX);
	PrismPayloadEncoder encoder;

	prism_payload_encode_begin(&encoder, encoding);
	for (Size at = 0; at < bytes; at += BLOCK)
	{
		const void *stored;
		Size		stored_bytes;
		const char *why = prism_payload_encode_block(&encoder, raw + at, Min(BLOCK, bytes - at), at + BLOCK >= bytes, room, &stored, &stored_bytes);

		if (why != NULL)
		{
			printf("Bail out! %s\n", why);
			exit(1);
		}
		memcpy(made.bytes + made.length, stored, stored_bytes);
		made.block_stored[made.blocks++] = stored_bytes;
		made.length += stored_bytes;
	}
	made.encoding = encoder.encoding;
	free(room);
	return made;
}

void
free_stored(Stored *stored)
{
	free(stored->bytes);
	stored->bytes = NULL;
}

/* Decode bytes into exactly as much room. */
static const char *
decode(PrismPayloadEncoding encoding, bool first, bool last, const unsigned char *stored, Size stored_bytes, unsigned char **raw, Size raw_bytes)
{
	unsigned char *copy = malloc(stored_bytes == 0 ? 1 : stored_bytes);
	const char *why;

	*raw = malloc(raw_bytes == 0 ? 1 : raw_bytes);
	memcpy(copy, stored, stored_bytes);
	why = prism_payload_decode_block(encoding, first, last, copy, stored_bytes, *raw, raw_bytes);
	free(copy);
	return why;
}

/* Each block by itself, the last one first. */
static bool
comes_back(const Stored *stored, const unsigned char *raw, Size bytes)
{
	Size		end = stored->length;

	for (int i = stored->blocks - 1; i >= 0; i--)
	{
		Size		raw_bytes = i == stored->blocks - 1 ? bytes - (Size) i * BLOCK : BLOCK;
		unsigned char *back;
		bool		same;

		end -= stored->block_stored[i];
		same = decode(stored->encoding, i == 0, i == stored->blocks - 1, stored->bytes + end, stored->block_stored[i], &back, raw_bytes) == NULL &&
			memcmp(back, raw + (Size) i * BLOCK, raw_bytes) == 0;
		free(back);
		if (!same)
			return false;
	}
	return end == 0;
}

static void
test_round_trips(PrismPayloadEncoding encoding)
{
	static const Size sizes[] = {1000, 1000000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 4711};
	bool		back = true;
	bool		smaller = true;

	for (int i = 0; i < (int) lengthof(sizes); i++)
	{
		unsigned char *raw = some_text(sizes[i], i + 1);
		Stored		stored = encode(encoding, raw, sizes[i]);

		if (stored.encoding != encoding)
			smaller = false;
		else if (!comes_back(&stored, raw, sizes[i]))
			back = false;
		free_stored(&stored);
		free(raw);
	}
	/* lz4 finds nothing in this text, in which no word comes twice */
	if (encoding != PRISM_PAYLOAD_LZ4)
	{
		ok(smaller, named(encoding, "text of any length gets smaller by an eighth"));
		ok(back, named(encoding, "each block comes back by itself"));
	}
}

/* Runs of a few bytes, which all of them find. */
static unsigned char *
some_runs(Size bytes, uint32 seed)
{
	unsigned char *raw = malloc(bytes + 1);

	random_state = seed;
	for (Size i = 0; i < bytes;)
	{
		unsigned char byte = (unsigned char) draw(256);

		for (uint32 run = 1 + draw(200); run > 0 && i < bytes; run--)
			raw[i++] = byte;
	}
	return raw;
}

static unsigned char *
noise(Size bytes, uint32 seed)
{
	unsigned char *raw = malloc(bytes + 1);

	random_state = seed;
	for (Size i = 0; i < bytes; i++)
		raw[i] = (unsigned char) draw(256);
	return raw;
}

/* Payloads of any kind: whatever was made of them comes back. */
static void
test_random(PrismPayloadEncoding encoding, uint32 seed)
{
	bool		back = true;
	int			encoded = 0;

	for (int round = 0; round < 40; round++)
	{
		Size		bytes = 1 + (Size) ((seed * 2654435761u + round * 40503u) % (round % 4 == 0 ? 3 * BLOCK : 70000));
		unsigned char *raw = round % 2 == 0 ? some_runs(bytes, seed + round) : some_text(bytes, seed + round);
		Stored		stored = encode(encoding, raw, bytes);

		if (stored.encoding == PRISM_PAYLOAD_PLAIN)
			back = back && stored.length == bytes && memcmp(stored.bytes, raw, bytes) == 0;
		else
		{
			encoded++;
			back = back && comes_back(&stored, raw, bytes);
		}
		free_stored(&stored);
		free(raw);
	}
	ok(back && encoded >= 15, named(encoding, "payloads of any length and kind come back"));
}

static void
test_not_worth_it(PrismPayloadEncoding encoding)
{
	Size		bytes = 2 * BLOCK + 10;
	unsigned char *raw = noise(bytes, 7);
	unsigned char *mixed = some_runs(bytes, 8);
	Stored		stored = encode(encoding, raw, bytes);

	ok(stored.encoding == PRISM_PAYLOAD_PLAIN && stored.length == bytes && memcmp(stored.bytes, raw, bytes) == 0,
	   named(encoding, "what does not get smaller is stored as it is"));
	free_stored(&stored);

	/* the first block has decided; blocks that get larger have their room */
	memcpy(mixed + BLOCK, raw, BLOCK);
	stored = encode(encoding, mixed, bytes);
	ok(stored.encoding == encoding && stored.block_stored[1] > BLOCK && comes_back(&stored, mixed, bytes),
	   named(encoding, "a later block may get larger"));
	free_stored(&stored);
	free(raw);
	free(mixed);
}

/* ---------- what somebody else has made of it ---------- */

static void
test_wrong_lengths(PrismPayloadEncoding encoding)
{
	unsigned char *raw = some_runs(2 * BLOCK, 9);
	Stored		stored = encode(encoding, raw, 2 * BLOCK);
	unsigned char *padded = malloc(stored.length + 1);
	unsigned char *back;
	bool		all = true;

	for (Size bytes = 0; bytes < stored.block_stored[0]; bytes += 1 + bytes / 3)
	{
		all = decode(encoding, true, false, stored.bytes, bytes, &back, BLOCK) != NULL && all;
		free(back);
	}
	for (Size less = 1; less <= 30; less++)
	{
		all = decode(encoding, false, true, stored.bytes + stored.block_stored[0], stored.block_stored[1] - less, &back, BLOCK) != NULL && all;
		free(back);
		all = decode(encoding, true, false, stored.bytes, stored.block_stored[0] - less, &back, BLOCK) != NULL && all;
		free(back);
	}
	ok(all, named(encoding, "a block that was cut is refused"));

	memcpy(padded, stored.bytes, stored.length);
	padded[stored.length] = 0;
	all = decode(encoding, true, false, padded, stored.block_stored[0] + 1, &back, BLOCK) != NULL;
	free(back);
	all = decode(encoding, false, true, padded + stored.block_stored[0], stored.block_stored[1] + 1, &back, BLOCK) != NULL && all;
	free(back);
	all = decode(encoding, true, true, padded, stored.length, &back, BLOCK) != NULL && all;
	free(back);
	ok(all, named(encoding, "more behind a block is refused"));

	all = decode(encoding, true, false, stored.bytes, stored.block_stored[0], &back, BLOCK - 1) != NULL;
	free(back);
	all = decode(encoding, true, false, stored.bytes, stored.block_stored[0], &back, 1) != NULL && all;
	free(back);
	ok(all, named(encoding, "a block with more bytes than the claim says writes none beyond, and is refused"));
	all = prism_payload_decode_block(encoding, true, false, stored.bytes, stored.block_stored[0], raw, 0) != NULL &&
		prism_payload_decode_block(encoding, true, false, stored.bytes, stored.block_stored[0], raw, BLOCK + 1) != NULL &&
		prism_payload_decode_block(encoding, true, false, stored.bytes, PRISM_PAYLOAD_STORED_BYTES_MAX + 1, raw, BLOCK) != NULL;
	ok(all, named(encoding, "lengths that no block has are refused"));

	free_stored(&stored);
	stored = encode(encoding, raw, 1000000);
	all = decode(encoding, true, true, stored.bytes, stored.length, &back, 1000001) != NULL;
	free(back);
	ok(all, named(encoding, "a block with fewer bytes than the claim says is refused"));

	free(padded);
	free(raw);
	free_stored(&stored);
}

/* A stored block with some of its bytes changed never reads or writes beyond; zstd and lz4 see each change. */
static void
test_damaged(PrismPayloadEncoding encoding, uint32 seed)
{
	Size		bytes = 50000;
	unsigned char *raw = some_runs(bytes, seed);
	Stored		stored = encode(encoding, raw, bytes);
	int			unseen = 0;

	random_state = seed;
	for (int round = 0; round < 5000; round++)
	{
		unsigned char *back;
		Size		at = round < 100 ? (Size) round : draw((uint32) stored.length);
		unsigned char was = stored.bytes[at];

		stored.bytes[at] ^= (unsigned char) (1 + draw(255));
		if (decode(encoding, true, true, stored.bytes, stored.length, &back, bytes) == NULL &&
			memcmp(back, raw, bytes) != 0)
			unseen++;
		free(back);
		stored.bytes[at] = was;
	}
	if (encoding == PRISM_PAYLOAD_GZIP)
		ok(unseen < 5000, named(encoding, "damage stays within the block; the payload's own hash sees it"));
	else
		ok(unseen == 0, named(encoding, "the block's checksum sees damage"));
	free(raw);
	free_stored(&stored);
}

/* Bytes that were never a block, behind a right beginning or not. */
static void
test_foreign_bytes(PrismPayloadEncoding encoding, uint32 seed)
{
	unsigned char *raw = some_runs(1000, seed);
	Stored		stored = encode(encoding, raw, 1000);
	int			taken = 0;

	for (int round = 0; round < 20000; round++)
	{
		unsigned char bytes[300];
		unsigned char *back;
		uint32		length = draw(sizeof(bytes));
		uint32		kept = draw(20);

		for (uint32 i = 0; i < length; i++)
			bytes[i] = i < kept && i < stored.length ? stored.bytes[i] : (unsigned char) draw(256);
		if (decode(encoding, round % 2 == 0, round % 3 == 0, bytes, length, &back, 1 + draw(2000)) == NULL)
			taken++;
		free(back);
	}
	ok(taken < 20, named(encoding, "foreign bytes are refused"));
	free(raw);
	free_stored(&stored);
}

static void
test_names(void)
{
	PrismPayloadEncoding found;
	bool		all = true;

	for (int i = 0; i < (int) lengthof(encodings); i++)
		all = all && prism_payload_encoding_find(prism_payload_encoding_name(encodings[i]), &found) && found == encodings[i] &&
			prism_payload_encoding_built(encodings[i]);
	ok(all, "encodings are found by their names, and are built");
	ok(prism_payload_encoding_find("none", &found) && found == PRISM_PAYLOAD_PLAIN && prism_payload_encoding_built(found), "none is plain");
	ok(!prism_payload_encoding_find("brotli", &found) && !prism_payload_encoding_find("", &found) && !prism_payload_encoding_find("GZIP", &found),
	   "others are not found");
}

static void
test_programs(void)
{
	ok(program_reads_payloads("gunzip -c", PRISM_PAYLOAD_GZIP), "gunzip reads the whole");
	ok(program_reads_payloads("zstd -q -d -c", PRISM_PAYLOAD_ZSTD), "zstd -d reads the whole");
	ok(program_reads_payloads("lz4 -q -d -c", PRISM_PAYLOAD_LZ4), "lz4 -d reads the whole");
	/* what comes behind a member is left over there, as in curl */
	ok(program_reads_payloads("python3 -c 'import sys, zlib; z = zlib.decompressobj(31); "
							  "sys.stdout.buffer.write(z.decompress(sys.stdin.buffer.read())); sys.exit(not z.eof or len(z.unused_data) > 0)'",
							  PRISM_PAYLOAD_GZIP),
	   "the whole is one member of gzip");
}

int
main(void)
{
	const char *given = getenv("PRISM_SEED");
	uint32		seed = given != NULL ? (uint32) strtoul(given, NULL, 10) : 1;

	printf("# PRISM_SEED=%u\n", seed);
	test_names();
	for (int i = 0; i < (int) lengthof(encodings); i++)
	{
		test_round_trips(encodings[i]);
		test_random(encodings[i], seed);
		test_not_worth_it(encodings[i]);
		test_wrong_lengths(encodings[i]);
		test_damaged(encodings[i], seed);
		test_foreign_bytes(encodings[i], seed);
	}
	test_programs();
	ok(system("./memory_test") == 0, "what a call takes is what the header says");
	ok(system("./without_test") == 0, "without the libraries everything is plain, and an encoded block is refused");
	return end_tests();
}
