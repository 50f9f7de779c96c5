/*-------------------------------------------------------------------------
 *
 * statement.h
 *	  One SQL statement with parameters out of JSON and rows back as JSON.
 *
 * src/api/statement.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_STATEMENT_H
#define PRISM_STATEMENT_H

#include "base/prism.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* What one statement may return, and all statements of a call together. */
#define PRISM_STATEMENT_ROWS_MAX 10000
#define PRISM_RESULT_BYTES_MAX (64 * 1024 * 1024)

/*
 * Run 'statement' with the caller's rights, search_path and transaction.
 * params is a JSON array or NULL; its values become the parameters $1, $2, ...
 * whose types the parser infers.  Appends {"rows": [..]} or
 * {"rows_affected": n} to 'result'.
 */
extern void prism_statement_run(const char *statement, JsonbContainer *params, StringInfo result);

/* 54000 when all results together have more bytes than a call may return. */
extern void prism_result_check_size(int64 bytes);

/*
 * The text that a type's input function understands, for a JSON value: NULL
 * for null.  22023 for an object or array where the type has no place for it.
 */
extern char *prism_json_to_input(const JsonbValue *value, Oid type);

#endif							/* PRISM_STATEMENT_H */
