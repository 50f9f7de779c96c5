/*-------------------------------------------------------------------------
 *
 * json_writer.h
 *	  Members of JSON objects, as they are stored.
 *
 * What was not given (NULL, 0) is left out.
 *
 * src/namespace/json_writer.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_JSON_WRITER_H
#define PRISM_JSON_WRITER_H

#include "postgres.h"

#include "lib/stringinfo.h"

/* The key alone, with a comma before it if something stands there. */
extern void prism_json_add_key(StringInfo json, const char *key);

extern void prism_json_add_text(StringInfo json, const char *key, const char *value);
extern void prism_json_add_integer(StringInfo json, const char *key, int64 value);
extern void prism_json_add_boolean(StringInfo json, const char *key, bool value);

#endif							/* PRISM_JSON_WRITER_H */
