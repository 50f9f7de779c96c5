/*-------------------------------------------------------------------------
 *
 * units.c
 *	  Numbers with units, as people write them in YAML.
 *
 * Sizes follow the standard's words, not those of postgresql.conf: 1MB is a
 * million bytes, 1MiB is 1048576.  That is why the server's reader is not used.
 *
 * src/namespace/units.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "namespace/units.h"

#include "common/int.h"

typedef struct Unit
{
	const char *name;
	int64		factor;
} Unit;

#define KB INT64CONST(1000)
#define KIB INT64CONST(1024)

static const Unit size_units[] = {
	{"", 1}, {"B", 1},
	{"k", KB}, {"kB", KB}, {"K", KB}, {"KB", KB},
	{"M", KB * KB}, {"MB", KB * KB},
	{"G", KB * KB * KB}, {"GB", KB * KB * KB},
	{"T", KB * KB * KB * KB}, {"TB", KB * KB * KB * KB},
	{"Ki", KIB}, {"KiB", KIB},
	{"Mi", KIB * KIB}, {"MiB", KIB * KIB},
	{"Gi", KIB * KIB * KIB}, {"GiB", KIB * KIB * KIB},
	{"Ti", KIB * KIB * KIB * KIB}, {"TiB", KIB * KIB * KIB * KIB},
	{NULL, 0}
};

#define SECOND INT64CONST(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static const Unit interval_units[] = {
	{"ms", 1}, {"millisecond", 1}, {"milliseconds", 1},
	{"", SECOND}, {"s", SECOND}, {"sec", SECOND}, {"second", SECOND}, {"seconds", SECOND},
	{"m", MINUTE}, {"min", MINUTE}, {"minute", MINUTE}, {"minutes", MINUTE},
	{"h", HOUR}, {"hour", HOUR}, {"hours", HOUR},
	{"d", DAY}, {"day", DAY}, {"days", DAY},
	{"w", 7 * DAY}, {"week", 7 * DAY}, {"weeks", 7 * DAY},
	{NULL, 0}
};

static const Unit no_units[] = {{"", 1}, {NULL, 0}};

/* Digits, perhaps spaces, a unit.  No sign, no fraction: neither has a use here. */
static bool
parse_quantity(const char *text, const Unit *units, int64 *value)
{
	int64		number = 0;
	const char *at = text;

	if (*at < '0' || *at > '9')
		return false;
	for (; *at >= '0' && *at <= '9'; at++)
		if (pg_mul_s64_overflow(number, 10, &number) ||
			pg_add_s64_overflow(number, *at - '0', &number))
			return false;
	while (*at == ' ')
		at++;

	for (const Unit *unit = units; unit->name != NULL; unit++)
		if (strcmp(unit->name, at) == 0)
			return !pg_mul_s64_overflow(number, unit->factor, value);
	return false;
}

bool
prism_parse_size(const char *text, int64 *bytes)
{
	return parse_quantity(text, size_units, bytes);
}

bool
prism_parse_interval(const char *text, int64 *ms)
{
	return parse_quantity(text, interval_units, ms);
}

bool
prism_parse_integer(const char *text, int64 *number)
{
	return parse_quantity(text, no_units, number);
}

bool
prism_parse_retention_time(const char *text, int64 *ms)
{
	if (strcmp(text, "forever") == 0)
	{
		*ms = -1;
		return true;
	}
	return prism_parse_interval(text, ms) && *ms >= PRISM_RETENTION_MS_MIN && *ms <= PRISM_RETENTION_MS_MAX;
}

bool
prism_parse_retention_size(const char *text, int64 *bytes)
{
	return prism_parse_size(text, bytes) && *bytes >= PRISM_RETENTION_BYTES_MIN;
}
