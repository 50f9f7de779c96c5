/*-------------------------------------------------------------------------
 *
 * config_key.h
 *	  A key of the configuration, as a row of a table.
 *
 * Whoever owns keys (the namespace, a pattern, a back end) has a table of them;
 * src/namespace/schema.c reads a document by the tables.  A row says all of its
 * key: how it is called, what it takes, and where its value goes: to 'offset' in
 * the struct that its map becomes.  So each key is one row and one member.
 *
 * No .c of its name: types alone, here on the ground, so that every owner can
 * include them.
 *
 * src/base/config_key.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_CONFIG_KEY_H
#define PRISM_CONFIG_KEY_H

#include "base/prism.h"

#include "nodes/pg_list.h"

/* Where something stands in the document. */
typedef struct PrismPlace
{
	int			line;			/* from 1; 0: it is not given */
	int			column;			/* from 1, in characters */
} PrismPlace;

/* What a key has, once it is checked. */
typedef struct PrismValue
{
	PrismPlace	place;
	char	   *text;			/* of what is no list, as written; or what holds when it is not given */
	int64		number;			/* an integer, bytes, milliseconds, messages a second; 1 is true */
	bool		more;			/* written as a lower bound: more than those bytes, at least that rate */
	List	   *list;			/* PrismValue, or the structs of its maps */
} PrismValue;

#define prism_is_given(value) ((value)->place.line > 0)

typedef enum PrismKeyKind
{
	/* a PrismValue */
	PRISM_KEY_TEXT,				/* at most bytes_max */
	PRISM_KEY_WORD,				/* one of the row's words */
	PRISM_KEY_BOOLEAN,
	PRISM_KEY_INTEGER,			/* minimum .. maximum */
	PRISM_KEY_SIZE,				/* bytes, minimum .. maximum */
	PRISM_KEY_SIZE_OR_MORE,		/* such a size, or ">" and one */
	PRISM_KEY_RATE,				/* messages a second, minimum .. maximum; or a number and "+" */
	PRISM_KEY_INTERVAL,			/* milliseconds, minimum .. maximum */
	PRISM_KEY_RETENTION_TIME,	/* milliseconds, minimum .. maximum, or forever */
	PRISM_KEY_RETENTION_SIZE,	/* bytes, minimum .. maximum */
	PRISM_KEY_TEXT_LIST,
	PRISM_KEY_WORD_LIST,
	PRISM_KEY_INTERVAL_LIST,	/* each minimum .. maximum milliseconds */
	PRISM_KEY_MAPS,				/* a list of maps, each palloc'd */
	/* the struct of its map, which begins with a PrismPlace */
	PRISM_KEY_MAP,
	PRISM_KEY_RETENTION,		/* such a map, or the value of its first key that takes it */
	/* nothing of its own: a map of the options of what was chosen beside it */
	PRISM_KEY_OPTIONS,
	/* nor this one: what the key of that name takes in the map of the key 'inside', which stands beside it */
	PRISM_KEY_INSIDE
} PrismKeyKind;

/* One of the words that a key takes. */
typedef struct PrismWord
{
	const char *name;			/* as it is kept */
	const char *synonym;		/* another one that stands for it, or NULL */
	bool		available;		/* false: known, but this version refuses it in the end */
} PrismWord;

struct PrismMap;

typedef struct PrismKey
{
	const char *name;			/* NULL ends the table */
	const char *synonym;		/* the RFC's other word for it, or NULL */
	PrismKeyKind kind;
	Size		offset;			/* of its value */
	int64		minimum;
	int64		maximum;
	int			bytes_max;		/* of a text, or of each entry of a list; 0: any number */
	int			entries_min;	/* of a list */
	int			entries_max;	/* 0: any number */
	const char *entries_hint;	/* what helps when there are more, or NULL */
	bool		distinct;		/* no entry of the list comes twice */
	const char *const *words;	/* ended by NULL; or: */
	bool		(*word) (int number, PrismWord *word);	/* from 0; false: there are no more */
	const char *standard;		/* its text when it is not given, or NULL */
	const struct PrismMap *map;
	const char *inside;			/* PRISM_KEY_INSIDE */
	const char *pattern;		/* the one without which it says nothing, or NULL */
	bool		unkept;			/* an option that is checked, and says nothing then */

	/* for people: prism.config_keys, and the reference in src/namespace/README.md */
	const char *default_text;	/* what holds when it is not given, unless that is 'standard'; or NULL */
	const char *help;			/* one sentence */
} PrismKey;

typedef struct PrismMap
{
	Size		bytes;			/* of its struct */
	const PrismKey *keys;
	const char *required;		/* the name of the key that must be given, or NULL */
	const char *required_hint;
	const char *unknown_hint;	/* what helps with a key that nobody knows, or NULL */

	const PrismKey *more;		/* further ones, or NULL */

	/* the name of the key whose value may stand in place of the map, or NULL */
	const char *alone;

	/* the name of the key that chooses further ones, or NULL: that one may stand alone */
	const char *chooser;
	const PrismKey *(*keys_of) (const char *word);	/* NULL: none */
} PrismMap;

#endif							/* PRISM_CONFIG_KEY_H */
