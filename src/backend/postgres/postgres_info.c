/*-------------------------------------------------------------------------
 *
 * postgres_info.c
 *	  The log itself as a back end: messages stay where they were written.
 *
 * It has no operations and so no library.  A consumer that takes, works and
 * acknowledges in one transaction does so exactly once.
 *
 * src/backend/postgres/postgres_info.c
 *
 *-------------------------------------------------------------------------
 */
#include "base/prism.h"

#include "backend/registry.h"

extern const PrismBackendInfo prism_postgres_info;

static const PrismKey keys[] = {
	{
		PRISM_BACKEND_KEY(database, TEXT),
		.default_text = "this one",.help = "Where the log and the tables are: postgres or the name of this database; another one is an error."
	},
	{0}
};

const PrismBackendInfo prism_postgres_info = {
	.name = "postgres",
	.built = true,
	.roles = PRISM_ROLE_QUEUE | PRISM_ROLE_OBJECT | PRISM_ROLE_ROWS,
	.keys = keys,
	.transactional = true,
	.message_bytes_max = INT64CONST(256000000),
};
