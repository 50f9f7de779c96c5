/*-------------------------------------------------------------------------
 *
 * clock.c
 *	  The server's clock and dice.
 *
 * src/base/clock.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/clock.h"

#include "common/pg_prng.h"

static double
random_fraction(void)
{
	return pg_prng_double(&pg_global_prng_state);
}

const PrismClock prism_real_clock = {.now = prism_instant, .random = random_fraction};
