-- Statements and messages in one call: src/api/transaction.c. It runs with the caller's rights and search_path.

CREATE FUNCTION prism.transaction(operations jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_transaction';
COMMENT ON FUNCTION prism.transaction(jsonb) IS
'Runs statements and publishes messages in the order of the array, all or nothing, with the caller''s rights, and returns an array with one result for each.
{"execute": statement, "params": [values]}: one statement; the values are bound to $1, $2, ..., never spliced; their types are inferred as in PREPARE. null is NULL; objects go to json and jsonb, arrays to those and to array types. Result: {"rows": [objects]} for SELECT and RETURNING (at most 10,000 rows a statement and 64 MiB in all), else {"rows_affected": n}.
{"publish": {"topic", "payload", "key", "headers", "namespace", "deliver_at"}}: as prism.publish(topic, jsonb, ...); payload null is a tombstone, deliver_at a string. Result: {"id": uuid}.
An error names the operation in its context, counted from 1.
Errors: 22004 NULL; 22023 not an array, unknown or missing keys, wrong types, wrong number of parameters, more than one statement; 42P18 and 42P08 a parameter whose type is not clear; 54000 result too large; 0A000 transaction control and COPY from or to the client; those of the statements and of prism.publish().';
