/*-------------------------------------------------------------------------
 *
 * guess.h
 *	  The name that somebody may have meant who has written another one.
 *
 * src/base/guess.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_GUESS_H
#define PRISM_GUESS_H

typedef struct PrismGuess
{
	const char *written;
	const char *best;			/* the nearest one so far; NULL: none is near enough */
	int			distance;		/* a better one is nearer */
} PrismGuess;

extern void prism_guess_begin(PrismGuess *guess, const char *written);
extern void prism_guess_try(PrismGuess *guess, const char *candidate);

#endif							/* PRISM_GUESS_H */
