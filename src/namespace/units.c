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

static const Unit rate_factors[] = {{"", 1}, {"k", KB}, {"M", KB * KB}, {NULL, 0}};
static const char *const rate_units[] = {"", "msgs/s", "msg/s", "messages/s", "rps", "/s", NULL};

/* What stands at the begin of a text, and what is behind it.  No sign, no fraction: neither has a use here. */
static const char *
parse_digits(const char *text, int64 *number)
{
	*number = 0;
	if (*text < '0' || *text > '9')
		return NULL;
	for (; *text >= '0' && *text <= '9'; text++)
		if (pg_mul_s64_overflow(*number, 10, number) ||
			pg_add_s64_overflow(*number, *text - '0', number))
			return NULL;
	return text;
}

static const char *
skip_spaces(const char *text)
{
	while (*text == ' ')
		text++;
	return text;
}

/* The factor whose name is the text's first 'bytes'; 0: none. */
static int64
factor_of(const Unit *units, const char *text, Size bytes)
{
	for (const Unit *unit = units; unit->name != NULL; unit++)
		if (strlen(unit->name) == bytes && memcmp(unit->name, text, bytes) == 0)
			return unit->factor;
	return 0;
}

/* Digits, perhaps spaces, a unit. */
static bool
parse_quantity(const char *text, const Unit *units, int64 *value)
{
	int64		number;
	int64		factor;

	text = parse_digits(text, &number);
	if (text == NULL)
		return false;
	text = skip_spaces(text);
	factor = factor_of(units, text, strlen(text));
	return factor != 0 && !pg_mul_s64_overflow(number, factor, value);
}

bool
prism_parse_size(const char *text, int64 *bytes)
{
	return parse_quantity(text, size_units, bytes);
}

bool
prism_parse_size_or_more(const char *text, int64 *bytes, bool *more)
{
	*more = *text == '>';
	return prism_parse_size(*more ? skip_spaces(text + 1) : text, bytes);
}

/* "5000", "100k+", "10k msgs/s". */
bool
prism_parse_rate(const char *text, int64 *a_second, bool *more)
{
	const char *factor;
	int64		number;
	int64		times;

	factor = parse_digits(text, &number);
	if (factor == NULL)
		return false;
	text = factor + strspn(factor, "kM");
	times = factor_of(rate_factors, factor, text - factor);
	*more = *text == '+';
	text = skip_spaces(*more ? text + 1 : text);
	for (const char *const *unit = rate_units; *unit != NULL; unit++)
		if (strcmp(*unit, text) == 0)
			return times != 0 && !pg_mul_s64_overflow(number, times, a_second);
	return false;
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

/* With the unit that leaves the smallest number; of two that do, the first. */
static char *
write_quantity(int64 value, const Unit *units)
{
	const Unit *best = &units[0];

	for (const Unit *unit = units; unit->name != NULL; unit++)
		if (value % unit->factor == 0 && unit->factor > best->factor)
			best = unit;
	return psprintf(INT64_FORMAT "%s", value / best->factor, best->name);
}

char *
prism_write_size(int64 bytes)
{
	static const Unit units[] = {
		{"B", 1}, {"kB", KB}, {"KiB", KIB}, {"MB", KB * KB}, {"MiB", KIB * KIB},
		{"GB", KB * KB * KB}, {"GiB", KIB * KIB * KIB}, {"TB", KB * KB * KB * KB}, {"TiB", KIB * KIB * KIB * KIB},
		{NULL, 0}
	};

	return write_quantity(bytes, units);
}

char *
prism_write_interval(int64 ms)
{
	static const Unit units[] = {
		{"ms", 1}, {"s", SECOND}, {"min", MINUTE}, {"h", HOUR}, {"days", DAY}, {NULL, 0}
	};

	return ms == DAY ? pstrdup("1day") : write_quantity(ms, units);
}
