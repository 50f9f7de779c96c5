-- Statements and messages in one call: src/api/transaction.c. It runs with the caller's rights and search_path.

CREATE FUNCTION prism.transaction(operations jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_transaction';
COMMENT ON FUNCTION prism.transaction(jsonb) IS
'Runs statements and publishes messages in the order of the array, all or nothing, with the caller''s rights, and returns an array with one result for each.
{"execute": statement, "params": [values]}: one statement; the values are bound to $1, $2, ..., never spliced; their types are inferred as in PREPARE. null is NULL; objects go to json and jsonb, arrays to those and to array types. Result: {"rows": [objects]} for SELECT and RETURNING (at most 10,000 rows a statement and 64 MiB in all), else {"rows_affected": n}.
{"publish": {"topic", "payload", "key", "headers", "namespace", "deliver_at"}}: as prism.publish(topic, jsonb, ...); payload null is a tombstone, deliver_at a string. Result: {"id": uuid}.
"on_error": "skip" in an operation (else "abort"): if it fails, its effects are undone, its messages and acknowledgements included, the others go on, and its result is {"error": {"sqlstate", "message", and if known "detail", "hint", "schema", "table", "column", "datatype", "constraint"}}. Not skipped: a wrong form of the list (unknown, missing or contradicting keys, wrong JSON types of what an operation or message consists of); SQLSTATE classes 40 (serialization, deadlock), 53 (no memory, disk full; but 53400, no place for a topic or consumer group, is skipped), 57 (cancelled, timed out, shut down), 58 (I/O), XX001, XX002 and P0004. Skipped are also a wrong number of parameters, more than one statement, a null topic, wrong headers, and what is wrong with a reference. Not undone is what no rollback undoes: cursors that were moved or closed, PREPARE and DEALLOCATE, advisory locks of the session, numbers of sequences, attempts of consume(), what extend() did, what functions do outside of the database.
{"$ref": "0.rows.0.id"}, or {"$ref": [0, "rows", 0, "id"]}, in "params" and in the fields of "publish", at any depth: that value in the results of earlier operations, counted from 0. It is bound as any other value. What you did not write yourself goes under "references": false or into {"$literal": value}, as a user''s object with such a key would be a reference, too: "references": false in an operation looks for none in it, {"$literal": value} is the value as it is.
An error names the operation in its context, counted from 1.
Errors: 22004 NULL; 22023 not an array, unknown or missing keys, wrong types, wrong number of parameters, more than one statement, a reference that is malformed or points to its own operation, a later one or none; 2203A a reference that points nowhere; 55000 one that points to a skipped operation; 42P18 and 42P08 a parameter whose type is not clear; 54000 result too large, references bring more than 64 MiB; 22P05, 22P02 and 22003 json in a result that jsonb cannot take; 0A000 transaction control and COPY from or to the client; those of the statements and of prism.publish().';

-- A function of its own: a default is read out of the catalogue by each parser, for 15,000 instructions.
CREATE FUNCTION prism.transaction(operations jsonb, dry_run boolean) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_transaction';
COMMENT ON FUNCTION prism.transaction(jsonb, boolean) IS
'Likewise; false changes nothing. dry_run => true: all of it runs, also what is deferred to the commit, and is undone; the results are returned. Not undone is what a skipped operation does not undo either: see prism.transaction(jsonb). What only a commit finds is not found.';
