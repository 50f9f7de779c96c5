/*-------------------------------------------------------------------------
 *
 * index_choice.h
 *	  Which index of a table serves: chosen by what it is, not by its name or place.
 *
 * An interrupted REINDEX CONCURRENTLY leaves an invalid one beside the one that
 * serves, and anybody may have made more.
 *
 * src/base/index_choice.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_INDEX_CHOICE_H
#define PRISM_INDEX_CHOICE_H

#include "utils/relcache.h"

/* A valid, unique btree on the table's columns 1 .. columns, in this order, of all rows. */
extern bool prism_index_serves(Relation index, int columns);

/* The first such index of a table; 55000, or 55P03 for those who never wait: it has none. The caller has locked the table: then it stays. */
extern Oid	prism_index_choose(Relation table, int columns);

#endif							/* PRISM_INDEX_CHOICE_H */
