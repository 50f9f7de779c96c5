/*-------------------------------------------------------------------------
 *
 * reference.h
 *	  All keys of a configuration, for people: in order, with what each takes.
 *
 * Nothing here needs a server: test/module/keys writes the reference of
 * README.md by it, prism.config_keys shows the same.
 *
 * src/namespace/reference.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_REFERENCE_H
#define PRISM_REFERENCE_H

#include "namespace/keys.h"

#define PRISM_KEY_PATH_BYTES 200
#define PRISM_KEY_TEXT_BYTES 500

/* A key where it stands; it may stand in several maps. */
typedef struct PrismKeyEntry
{
	char		path[PRISM_KEY_PATH_BYTES]; /* as errors call it */
	const PrismKey *key;
	const PrismMap *map;		/* of which it is a key */
	bool		chosen;			/* by a word of the map's chooser */
	bool		available;		/* what it needs is built */
} PrismKeyEntry;

/* Calls 'visit' with each key, a map before what is in it. */
extern void prism_keys_visit(void (*visit) (const PrismKeyEntry *entry, void *arg), void *arg);

/* The number-th word, from 0, of the chooser with which a chosen key may stand; false: there are no more. */
extern bool prism_key_choice(const PrismKeyEntry *entry, int number, PrismWord *word);

/* What a key takes, as in "It must be ...": "an integer from 1 to 10".   In 'text', of PRISM_KEY_TEXT_BYTES. */
extern const char *prism_key_takes(const PrismKey *key, char *text);

/* The row that says what a key takes: of another map, where that is the place of its value. */
extern const PrismKey *prism_key_value(const PrismKey *key);

/* In one word or two. */
extern const char *prism_key_type(const PrismKey *key);

/* Of its numbers, or NULL. */
extern const char *prism_key_unit(const PrismKey *key);

/* Its minimum and maximum say something. */
extern bool prism_key_has_bounds(const PrismKey *key);

#endif							/* PRISM_REFERENCE_H */
