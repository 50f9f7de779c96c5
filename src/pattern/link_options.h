/*-------------------------------------------------------------------------
 *
 * link_options.h
 *	  A link's options: between prism.topic.chain and C.
 *
 * apply() writes them, but a catalogue can be edited.  Reading one never throws:
 * the first thing that is wrong is kept, and whoever makes the chain asks for it.
 *
 * src/pattern/link_options.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_LINK_OPTIONS_H
#define PRISM_LINK_OPTIONS_H

#include "postgres.h"

#include "utils/jsonb.h"

typedef struct PrismLinkOptions
{
	const char *pattern;
	JsonbContainer *stored;		/* the object of the link: "type", and its options */
	int			known;			/* how many of its keys were asked for */
	char	   *complaint;		/* what is wrong, a clause; NULL: nothing is */
} PrismLinkOptions;

/* An option of all links that keep payloads elsewhere: the number of the topic's store (prism.store). */
#define PRISM_LINK_STORE "store"

/* What a stored link says that it is, palloc'd; NULL: it says nothing. */
extern char *prism_link_type(const JsonbValue *stored);

/* What is not there is 'missing'. */
extern bool prism_link_boolean(PrismLinkOptions *options, const char *key, bool missing);
extern int64 prism_link_integer(PrismLinkOptions *options, const char *key, int64 min, int64 max, int64 missing);
/* Which of the words, ended by NULL, it is. */
extern int	prism_link_word(PrismLinkOptions *options, const char *key, const char *const *words, int missing);
/* At least one byte; palloc'd unless it is 'missing'. */
extern const char *prism_link_text(PrismLinkOptions *options, const char *key, int bytes_max, const char *missing);

/* All were asked for: what is left is an option that the pattern does not have. */
extern void prism_link_options_end(PrismLinkOptions *options);

#endif							/* PRISM_LINK_OPTIONS_H */
