/*-------------------------------------------------------------------------
 *
 * uuid7.c
 *	  UUID version 7: 48 bits of milliseconds, 12 bits of sub-milliseconds, 62 random bits.
 *
 * The random bits come from a generator of this process that is seeded from
 * the system once: an id must be unique, it need not be a secret.  The
 * sub-millisecond bits make ids of one session ascend (RFC 9562, section 6.2,
 * method 3).
 *
 * src/base/uuid7.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/uuid7.h"

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/timestamp.h"

/* Parts of a millisecond that 12 bits can tell apart. */
#define TICKS_PER_MS 4096

static uint64
random_bits(void)
{
	static pg_prng_state state;
	static int	seeded_pid = 0;

	if (seeded_pid != MyProcPid)
	{
		if (!pg_prng_strong_seed(&state))
			ereport(ERROR,
					errcode(ERRCODE_INTERNAL_ERROR),
					errmsg("could not get random numbers for message ids"));
		seeded_pid = MyProcPid;
	}
	return pg_prng_uint64(&state);
}

void
prism_uuid7(TimestampTz now, pg_uuid_t *id)
{
	static uint64 last_tick = 0;
	uint64		unix_us = now + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	uint64		tick = unix_us / 1000 * TICKS_PER_MS + unix_us % 1000 * TICKS_PER_MS / 1000;
	uint64		high;
	uint64		low;

	/* a clock that stands or goes back does not make ids go back */
	if (tick <= last_tick)
		tick = last_tick + 1;
	last_tick = tick;

	high = pg_hton64((tick / TICKS_PER_MS) << 16 | UINT64CONST(7) << 12 | tick % TICKS_PER_MS);
	low = pg_hton64(UINT64CONST(2) << 62 | random_bits() >> 2);
	memcpy(id->data, &high, sizeof(high));
	memcpy(id->data + 8, &low, sizeof(low));
}

/* 30 random bits are left beside those of the time, which tells apart what one session makes. */
void
prism_uuid7_tagged(TimestampTz now, uint32 tag, pg_uuid_t *id)
{
	tag = pg_hton32(tag);
	prism_uuid7(now, id);
	memcpy(id->data + UUID_LEN - sizeof(tag), &tag, sizeof(tag));
}
