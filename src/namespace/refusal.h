/*-------------------------------------------------------------------------
 *
 * refusal.h
 *	  What is told of a document that is not as the tables of keys say: all of
 *	  these complain.
 *
 * src/namespace/refusal.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_REFUSAL_H
#define PRISM_REFUSAL_H

#include "namespace/schema.h"

extern void prism_refuse_configuration(const PrismYaml *root);
extern void prism_refuse_singular(const PrismYaml *list);
/* True: perhaps it is the key that must be given, which is then not missing as well. */
extern bool prism_refuse_key(const PrismLevel *level, const PrismYamlEntry *entry);

extern void prism_refuse_twice(const PrismLevel *level, const PrismKey *key, const PrismYaml *value,
							   const PrismPlace *first);
extern void prism_refuse_missing(const PrismLevel *level, const PrismYaml *map);
extern void prism_refuse_value(const PrismLevel *level, const PrismKey *key, const PrismYaml *value);
extern void prism_refuse_entry(const PrismLevel *level, const PrismKey *key, const PrismYaml *entry);
extern void prism_refuse_word(const PrismLevel *level, const PrismKey *key, const PrismYaml *value);
extern void prism_refuse_entries(const PrismLevel *level, const PrismKey *key, const PrismYaml *list);
extern void prism_refuse_entry_twice(const PrismLevel *level, const PrismKey *key, const PrismValue *entry,
									 const PrismPlace *first);
extern void prism_refuse_long(const PrismLevel *level, const PrismKey *key, const PrismYaml *value);

#endif							/* PRISM_REFUSAL_H */
