/*-------------------------------------------------------------------------
 *
 * arguments.c
 *	  Values of arguments: what must be there, and within which bounds; and of results.
 *
 * src/api/arguments.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"
#include "api/arguments.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

void
prism_require_argument(bool present, const char *name)
{
	if (!present)
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", name));
}

text *
prism_required_text(FunctionCallInfo fcinfo, int argument, const char *name)
{
	prism_require_argument(!PG_ARGISNULL(argument), name);
	return PG_GETARG_TEXT_PP(argument);
}

char *
prism_text_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	return text_to_cstring(prism_required_text(fcinfo, argument, name));
}

int64
prism_interval_us(const Interval *interval, const char *name, int64 min_us, int64 max_us)
{
	/* far from overflow, and exact where it matters */
	double		microseconds = (double) interval->time +
		((double) interval->month * DAYS_PER_MONTH + interval->day) * (double) USECS_PER_DAY;

	if (microseconds < (double) min_us || microseconds > (double) max_us)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s is out of range", name),
				errdetail("It is %.6g seconds; the range is %.6g to %.6g seconds.",
						  microseconds / USECS_PER_SEC,
						  (double) min_us / USECS_PER_SEC, (double) max_us / USECS_PER_SEC));
	/* the largest of all is no double: it is rounded to what is no int64 */
	return microseconds >= (double) PG_INT64_MAX ? PG_INT64_MAX : (int64) microseconds;
}

int64
prism_interval_argument(FunctionCallInfo fcinfo, int argument, const char *name,
						int64 min_us, int64 max_us)
{
	prism_require_argument(!PG_ARGISNULL(argument), name);
	return prism_interval_us(PG_GETARG_INTERVAL_P(argument), name, min_us, max_us);
}

int
prism_count_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	int			count;

	prism_require_argument(!PG_ARGISNULL(argument), name);
	count = PG_GETARG_INT32(argument);
	if (count <= 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s must be greater than zero", name),
				errdetail("It is %d.", count));
	return count;
}

int64 *
prism_bigint_array_argument(FunctionCallInfo fcinfo, int argument, const char *name, int *count)
{
	*count = 0;
	return PG_ARGISNULL(argument) ? NULL : prism_bigint_array(PG_GETARG_ARRAYTYPE_P(argument), name, count);
}

int64 *
prism_bigint_array(ArrayType *array, const char *name, int *count)
{
	Datum	   *values;
	bool	   *nulls;
	int64	   *copy;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				errmsg("%s must have one dimension", name));
	if (array_contains_nulls(array))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not contain nulls", name));
	deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &values, &nulls, count);
	copy = MemoryContextAllocHuge(CurrentMemoryContext, ((Size) *count + 1) * sizeof(int64));
	for (int i = 0; i < *count; i++)
		copy[i] = DatumGetInt64(values[i]);
	return copy;
}

void
prism_put_time(Datum *values, bool *nulls, int column, TimestampTz time)
{
	values[column] = TimestampTzGetDatum(time);
	nulls[column] = time == 0;
}
