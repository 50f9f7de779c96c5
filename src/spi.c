/*-------------------------------------------------------------------------
 *
 * spi.c
 *	  Statements on prism's own tables.
 *
 * src/spi.c
 *
 *-------------------------------------------------------------------------
 */
#include "prism.h"

#include "executor/spi.h"

void
prism_spi_run(const char *statement, int parameters, Oid *types, Datum *values, const char *nulls)
{
	int			result = SPI_execute_with_args(statement, parameters, types, values, nulls, false, 0);

	if (result < 0)
		elog(ERROR, "SPI failed on \"%s\": %s", statement, SPI_result_code_string(result));
}
