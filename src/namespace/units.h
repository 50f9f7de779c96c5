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
/* Either may be a lower bound, and says so then: ">1MB" is more than that, "100k+" (messages a second) at least that. */
extern bool prism_parse_size_or_more(const char *text, int64 *bytes, bool *more);
extern bool prism_parse_rate(const char *text, int64 *a_second, bool *more);
/* How long messages are kept: milliseconds, -1 for "forever". */
extern bool prism_parse_retention_time(const char *text, int64 *ms);
/* How many bytes are kept. */
extern bool prism_parse_retention_size(const char *text, int64 *bytes);

/* As people write them: "64MiB", "30days". */
extern char *prism_write_size(int64 bytes);
extern char *prism_write_interval(int64 ms);

#endif							/* PRISM_UNITS_H */
