/*-------------------------------------------------------------------------
 *
 * guess.c
 *	  The name that somebody may have meant who has written another one.
 *
 * src/base/guess.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "base/guess.h"

#include "utils/varlena.h"

/* Characters that may differ, but no more than every second one. */
#define TYPING_ERRORS_MAX 4
/* What is longer than any name is not compared: that takes time by the square of it. */
#define WRITTEN_BYTES_MAX PRISM_TOPIC_NAME_MAX

void
prism_guess_begin(PrismGuess *guess, const char *written)
{
	guess->written = written;
	guess->best = NULL;
	guess->distance = Min(TYPING_ERRORS_MAX, (int) strlen(written) / 2) + 1;
}

void
prism_guess_try(PrismGuess *guess, const char *candidate)
{
	int			distance;

	if (strlen(guess->written) > WRITTEN_BYTES_MAX)
		return;
	distance = varstr_levenshtein_less_equal(guess->written, strlen(guess->written), candidate, strlen(candidate),
											 1, 1, 1, guess->distance - 1, true);
	if (distance < guess->distance)
	{
		guess->best = candidate;
		guess->distance = distance;
	}
}
