/*-------------------------------------------------------------------------
 *
 * arguments.h
 *	  Values of arguments: what must be there, and within which bounds; and of results.
 *
 * src/api/arguments.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_ARGUMENTS_H
#define PRISM_ARGUMENTS_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/array.h"
#include "utils/timestamp.h"

/* 22004 when it is not there. */
extern void prism_require_argument(bool present, const char *name);

/* An argument of type text; 22004 when it is null. */
extern text *prism_required_text(FunctionCallInfo fcinfo, int argument, const char *name);
extern char *prism_text_argument(FunctionCallInfo fcinfo, int argument, const char *name);

/* An interval in microseconds, a month taken as 30 days; 22023 outside of [min, max]. */
extern int64 prism_interval_us(const Interval *interval, const char *name, int64 min_us, int64 max_us);
extern int64 prism_interval_argument(FunctionCallInfo fcinfo, int argument, const char *name,
									 int64 min_us, int64 max_us);

/* A copy of an argument of type bigint[], without NULLs (22004), of one dimension (2202E); NULL when the array is. */
extern int64 *prism_bigint_array_argument(FunctionCallInfo fcinfo, int argument, const char *name, int *count);

/* Likewise of an array that is no argument. */
extern int64 *prism_bigint_array(ArrayType *array, const char *name, int *count);

/* 22023 unless it is greater than zero. */
extern int	prism_count_argument(FunctionCallInfo fcinfo, int argument, const char *name);

/* A column of a result, counted from 0: null where the time is 0. */
extern void prism_put_time(Datum *values, bool *nulls, int column, TimestampTz time);

#endif							/* PRISM_ARGUMENTS_H */
