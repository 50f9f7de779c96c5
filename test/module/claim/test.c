/*-------------------------------------------------------------------------
 *
 * test.c
 *	  Claims: what is written is read, and nothing else is believed.
 *
 * A number in the environment, PRISM_SEED, gives the random part another seed.
 *
 * test/module/claim/test.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/compat.h"
#include "store/payload/claim.h"

#include <stdlib.h>

#undef printf					/* the system's: this program links nothing of the server */

#include "../tap.h"

#define ROUNDS 400000
#define SEED_DEFAULT 20261129

/* ---------- the server's memory ---------- */

static void *taken[16];
static int	taken_count = 0;

void *
palloc(Size size)
{
	if (taken_count == (int) lengthof(taken))
		abort();
	return taken[taken_count++] = malloc(size);
}

static void
free_all(void)
{
	while (taken_count > 0)
		free(taken[--taken_count]);
}

/* ---------- random numbers ---------- */

static uint64 state;

static uint64
draw(uint64 below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state * UINT64CONST(0x2545F4914F6CDD1D) >> 11) % below;
}

/* Of any length, short ones as often as long ones. */
static int64
draw_size(void)
{
	return (int64) (draw(UINT64CONST(1) << 53) >> draw(53));
}

/* ---------- claims ---------- */

static void
fill(unsigned char *bytes, int length, int with)
{
	for (int i = 0; i < length; i++)
		bytes[i] = (unsigned char) (with + i);
}

/* Of an incompressible payload of 2 MB in one segment. */
static PrismClaim
make_plain(void)
{
	PrismClaim	claim = {
		.kind = PRISM_CLAIM_ROWS,.size = 2000000,.stored_size = 2000000,.store_id = 7,.first_segment = 3,.segments = 1
	};

	fill(claim.payload_id.data, UUID_LEN, 1);
	fill(claim.sha256, PRISM_SHA256_BYTES, 100);
	return claim;
}

static int64 blocks[] = {300000, 1, 200000};

static PrismClaim
make_encoded(void)
{
	PrismClaim	claim = make_plain();

	claim.encoding = PRISM_PAYLOAD_ZSTD;
	claim.size = 2 * 1048576 + 5;
	claim.stored_size = 500001;
	claim.block_bytes = 1048576;
	claim.block_count = 3;
	claim.block_stored = blocks;
	return claim;
}

static bool
is_same(const PrismClaim *a, const PrismClaim *b)
{
	return a->kind == b->kind && a->encoding == b->encoding && a->sha256_declared == b->sha256_declared &&
		memcmp(a->payload_id.data, b->payload_id.data, UUID_LEN) == 0 && a->size == b->size &&
		a->stored_size == b->stored_size && memcmp(a->sha256, b->sha256, PRISM_SHA256_BYTES) == 0 &&
		a->store_id == b->store_id && a->first_segment == b->first_segment && a->segments == b->segments &&
		a->source_store_id == b->source_store_id &&
		memcmp(a->source_payload_id.data, b->source_payload_id.data, UUID_LEN) == 0 &&
		a->block_bytes == b->block_bytes && a->block_count == b->block_count &&
		(a->block_count == 0 || memcmp(a->block_stored, b->block_stored, a->block_count * sizeof(int64)) == 0);
}

static const char *
read_bytea(PrismClaim *claim, const bytea *bytes)
{
	return prism_claim_read(claim, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

static bool
is_read_back(PrismClaim claim)
{
	PrismClaim	back;
	bool		same = read_bytea(&back, prism_claim_write(&claim)) == NULL && is_same(&claim, &back);

	free_all();
	return same;
}

/* What is wrong with a claim that was written so; "" is nothing. */
static const char *
wrong_with(PrismClaim claim)
{
	PrismClaim	back;
	const char *wrong = read_bytea(&back, prism_claim_write(&claim));

	free_all();
	return wrong != NULL ? wrong : "";
}

static void
test_kinds(void)
{
	PrismClaim	claim = make_plain();
	bytea	   *written = prism_claim_write(&claim);

	ok(VARSIZE_ANY_EXHDR(written) < 100, "a claim of a plain payload is shorter than 100 bytes");
	free_all();
	ok(is_read_back(claim), "it is read as it was written");
	claim.size = claim.stored_size = PG_INT64_MAX;
	claim.first_segment = PG_INT64_MAX - PG_INT32_MAX;
	claim.segments = claim.store_id = PG_INT32_MAX;
	claim.sha256_declared = true;
	ok(is_read_back(claim), "with the largest numbers");
	claim = make_plain();
	claim.size = claim.stored_size = claim.segments = 0;
	ok(is_read_back(claim), "with the smallest ones");
	claim = make_plain();
	claim.kind = PRISM_CLAIM_OBJECT;
	claim.first_segment = claim.segments = 0;
	ok(is_read_back(claim), "that of an object");
	claim.kind = PRISM_CLAIM_COPY;
	claim.source_store_id = 9;
	fill(claim.source_payload_id.data, UUID_LEN, 200);
	ok(is_read_back(claim), "that of a copy");
	claim = make_plain();
	claim.kind = PRISM_CLAIM_LOST;
	claim.stored_size = claim.first_segment = claim.segments = 0;
	ok(is_read_back(claim), "that of what is lost");
	ok(is_read_back((PrismClaim) {.kind = PRISM_CLAIM_LOST}), "of which nothing need be known");
	ok(is_read_back(make_encoded()), "that of an encoded payload, with its blocks");
}

static void
test_contradictions(void)
{
	PrismClaim	claim = make_plain();

	claim.stored_size--;
	ok(strcmp(wrong_with(claim), "the sizes in its claim differ") == 0, "a plain payload is stored as it is");
	claim = make_plain();
	claim.segments = 0;
	ok(strcmp(wrong_with(claim), "its claim names no segment of its payload") == 0, "rows lie in a segment");
	claim = make_plain();
	claim.store_id = 0;
	ok(strcmp(wrong_with(claim), "a number in its claim is out of range") == 0, "a store has a number");
	claim = make_plain();
	claim.kind = PRISM_CLAIM_LOST;
	ok(strcmp(wrong_with(claim), "its claim has a size where its payload is lost") == 0, "what is lost is not stored");
	claim = make_encoded();
	claim.kind = PRISM_CLAIM_LOST;
	claim.stored_size = 0;
	ok(strcmp(wrong_with(claim), "its claim has an encoding where its payload is lost") == 0, "nor encoded");
	claim = make_encoded();
	claim.stored_size++;
	ok(strcmp(wrong_with(claim), "the blocks of its payload are shorter than that") == 0, "blocks are the payload");
	claim.stored_size -= 2;
	ok(strcmp(wrong_with(claim), "the blocks of its payload are longer than that") == 0, "and not more");
	claim = make_encoded();
	claim.size = 2 * 1048576;
	ok(strcmp(wrong_with(claim), "its claim has not the blocks of its payload") == 0, "there are as many as it takes");
	claim.block_bytes = 0;
	ok(strcmp(wrong_with(claim), "a number in its claim is out of range") == 0, "a block has bytes");
}

/* Bytes that stand at a place of a claim that is good but for them. */
static const char *
with_byte(int at, unsigned char byte)
{
	PrismClaim	claim = make_plain();
	bytea	   *written = prism_claim_write(&claim);
	const char *wrong;

	VARDATA(written)[at] = (char) byte;
	wrong = read_bytea(&claim, written);
	free_all();
	return wrong != NULL ? wrong : "";
}

static bool
is_refused_cut(PrismClaim claim)
{
	bytea	   *written = prism_claim_write(&claim);
	bool		refused = true;

	for (Size length = 0; length < VARSIZE_ANY_EXHDR(written); length++)
	{
		PrismClaim	back;
		void	   *cut = malloc(length + 1);	/* of this length: the sanitizer sees what is read behind it */

		memcpy(cut, VARDATA(written), length);
		cut = realloc(cut, Max(length, 1));
		if (prism_claim_read(&back, cut, length) == NULL)
			refused = false;
		free(cut);
	}
	free_all();
	return refused;
}

static bool
is_longer_refused(void)
{
	PrismClaim	claim = make_plain();
	bytea	   *written = prism_claim_write(&claim);
	Size		length = VARSIZE_ANY_EXHDR(written);
	char		longer[200] = {0};
	const char *wrong;

	memcpy(longer, VARDATA(written), length);
	wrong = prism_claim_read(&claim, longer, length + 1);
	free_all();
	return wrong != NULL && strcmp(wrong, "its claim has bytes too many") == 0;
}

/* The number at 'at', one byte long, in two. */
static bool
is_long_form_refused(void)
{
	PrismClaim	claim = make_plain();
	bytea	   *written = prism_claim_write(&claim);
	Size		length = VARSIZE_ANY_EXHDR(written);
	char		longer[200];
	const char *wrong;

	/* the last two bytes are the first segment, 3, and their number, 1 */
	memcpy(longer, VARDATA(written), length - 1);
	longer[length - 1] = (char) 0x81;
	longer[length] = 0;
	wrong = prism_claim_read(&claim, longer, length + 1);
	free_all();
	return wrong != NULL && strcmp(wrong, "a number in its claim is longer than it need be") == 0;
}

static void
test_damage(void)
{
	ok(strcmp(with_byte(0, 2), "its claim is of an unknown version") == 0, "another version is none of ours");
	ok(strcmp(with_byte(1, 0), "its claim is of an unknown kind") == 0, "nor is another kind");
	ok(strcmp(with_byte(1, 5), "its claim is of an unknown kind") == 0, "above as below");
	ok(strcmp(with_byte(2, 4), "the encoding of its payload is unknown") == 0, "nor another encoding");
	ok(strcmp(with_byte(3, 2), "its claim has unknown parts") == 0, "nor other flags");
	ok(is_refused_cut(make_plain()), "a claim is refused wherever it is cut");
	ok(is_refused_cut(make_encoded()), "with blocks as well");
	ok(is_longer_refused(), "and with a byte more");
	ok(is_long_form_refused(), "a number has one form");
}

/* ---------- whatever the bytes are ---------- */

static PrismClaim
draw_claim(void)
{
	PrismClaim	claim = draw(2) == 0 ? make_plain() : make_encoded();

	claim.kind = PRISM_CLAIM_ROWS + draw(4);
	if (draw(2) == 0)
		claim.size = draw_size();
	if (draw(2) == 0)
		claim.stored_size = draw(2) == 0 ? claim.size : draw_size();
	claim.first_segment = draw_size();
	claim.segments = (int32) (draw_size() & PG_INT32_MAX);
	claim.source_store_id = (int32) draw(3);
	return claim;
}

/* Another byte, one more, one less, or cut: up to four times. */
static Size
disturb(unsigned char *bytes, Size length, Size room)
{
	for (int i = (int) draw(5); i > 0 && length > 0; i--)
	{
		Size		at = draw(length);

		switch (draw(4))
		{
			case 0:
				bytes[at] = (unsigned char) draw(256);
				break;
			case 1:
				bytes[at] ^= (unsigned char) (1 << draw(8));
				break;
			case 2:
				if (length == room)
					break;
				memmove(bytes + at + 1, bytes + at, length - at);
				bytes[at] = (unsigned char) (draw(2) == 0 ? 0x80 : draw(256));
				length++;
				break;
			default:
				memmove(bytes + at, bytes + at + 1, length - at - 1);
				length--;
		}
	}
	return length;
}

/* What is believed holds together, and is written as the same bytes. */
static bool
is_sound(const PrismClaim *claim, const unsigned char *bytes, Size length)
{
	bytea	   *again = prism_claim_write(claim);
	int64		stored = 0;

	for (int i = 0; i < claim->block_count; i++)
		stored += claim->block_stored[i];
	return VARSIZE_ANY_EXHDR(again) == length && memcmp(VARDATA(again), bytes, length) == 0 &&
		claim->size >= 0 && claim->stored_size >= 0 && (claim->store_id > 0 || claim->kind == PRISM_CLAIM_LOST) &&
		(claim->encoding == PRISM_PAYLOAD_PLAIN || stored == claim->stored_size);
}

static void
test_any_bytes(uint64 seed)
{
	int			believed = 0;
	int			wrong = 0;

	state = seed != 0 ? seed : 1;
	for (int round = 0; round < ROUNDS; round++)
	{
		PrismClaim	claim = draw_claim();
		bytea	   *written = prism_claim_write(&claim);
		Size		length = VARSIZE_ANY_EXHDR(written);
		unsigned char *bytes = malloc(length + 8);

		memcpy(bytes, VARDATA(written), length);
		length = disturb(bytes, length, length + 8);
		bytes = realloc(bytes, Max(length, 1));
		if (prism_claim_read(&claim, bytes, length) == NULL)
		{
			believed++;
			wrong += !is_sound(&claim, bytes, length);
		}
		free(bytes);
		free_all();
	}
	printf("# seed %llu: %d of %d were claims\n", (unsigned long long) seed, believed, ROUNDS);
	ok(wrong == 0, "whatever the bytes are, what is believed of them holds together");
	ok(believed > ROUNDS / 100 && believed < ROUNDS / 2, "some are believed, not all");
}

int
main(void)
{
	const char *seed = getenv("PRISM_SEED");

	test_kinds();
	test_contradictions();
	test_damage();
	test_any_bytes(seed != NULL ? strtoull(seed, NULL, 10) : SEED_DEFAULT);
	return end_tests();
}
