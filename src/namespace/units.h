/*-------------------------------------------------------------------------
 *
 * units.h
 *	  Numbers with units, as people write them in YAML.
 *
 * src/namespace/units.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_UNITS_H
#define PRISM_UNITS_H

#include "base/prism.h"

/* False: not a size (bytes), not an interval (milliseconds), not an integer. */
extern bool prism_parse_size(const char *text, int64 *bytes);
extern bool prism_parse_interval(const char *text, int64 *ms);
extern bool prism_parse_integer(const char *text, int64 *number);
/* How long messages are kept: milliseconds, -1 for "forever". */
extern bool prism_parse_retention_time(const char *text, int64 *ms);
/* How many bytes are kept. */
extern bool prism_parse_retention_size(const char *text, int64 *bytes);

#endif							/* PRISM_UNITS_H */
