/*-------------------------------------------------------------------------
 *
 * refusal.h
 *	  What is told of a document that is not as the tables of keys say: all of
 *	  these throw.
 *
 * src/namespace/refusal.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_REFUSAL_H
#define PRISM_REFUSAL_H

#include "base/compat.h"
#include "namespace/schema.h"

pg_noreturn extern void prism_refuse_configuration(const PrismYaml *root);
pg_noreturn extern void prism_refuse_singular(const PrismYaml *list);
pg_noreturn extern void prism_refuse_key(const PrismLevel *level, const PrismYaml *written);
pg_noreturn extern void prism_refuse_later(const PrismLevel *level, const PrismKey *key, const PrismYaml *written);
pg_noreturn extern void prism_refuse_twice(const PrismLevel *level, const PrismKey *key, const PrismYaml *value,
											const PrismPlace *first);
pg_noreturn extern void prism_refuse_missing(const PrismLevel *level, const PrismYaml *map);
pg_noreturn extern void prism_refuse_value(const PrismLevel *level, const PrismKey *key, const PrismYaml *value);
pg_noreturn extern void prism_refuse_entry(const PrismLevel *level, const PrismKey *key, const PrismYaml *entry);
pg_noreturn extern void prism_refuse_word(const PrismLevel *level, const PrismKey *key, const PrismYaml *value);
pg_noreturn extern void prism_refuse_entries(const PrismLevel *level, const PrismKey *key, const PrismYaml *list);

#endif							/* PRISM_REFUSAL_H */
