-- prism.transaction(): statements and messages, all or nothing.
SELECT namespace, action, detail FROM prism.apply($$
namespaces:
  - name: tx-orders
    client_api: queue
    patterns: [outbox]
    backend: postgres
$$);
CREATE TABLE tx_order (
    order_id int PRIMARY KEY, status text NOT NULL, tags text[], details jsonb, grid int[], amount numeric(10, 2), paid boolean, at date
);

-- The RFC's transaction: the row and the event, and one result for each operation.
SELECT prism.transaction('[
    {"execute": "INSERT INTO tx_order (order_id, status) VALUES ($1, $2)", "params": [1, "new"]},
    {"execute": "UPDATE tx_order SET status = $1 WHERE order_id = $2", "params": ["completed", 1]},
    {"execute": "UPDATE tx_order SET status = $1 WHERE order_id = $2 RETURNING order_id, status", "params": ["completed", 1]},
    {"execute": "SELECT order_id FROM tx_order WHERE order_id > $1", "params": [1]},
    {"publish": {"topic": "tx-orders", "payload": {"order_id": 1, "status": "completed"}, "key": "1", "headers": {"source": "test"}}}
]') AS result \gset
SELECT jsonb_array_elements(:'result'::jsonb - 4) AS result;
-- The message has the id that the result tells.
SELECT key, headers, payload, id = (:'result'::jsonb #>> '{4,id}')::uuid AS same_id
FROM prism.outbox WHERE topic = 'tx-orders';

-- JSON values become values of the types that the statement needs.
SELECT jsonb_pretty(prism.transaction('[
    {"execute": "INSERT INTO tx_order VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *",
     "params": [2, "it''s", ["a", "b\"\\,{}", null, "NULL", ""], {"x": [1, null]}, [[1, 2], [3, 4]], 1.5, true, "2026-11-22"]}
]') #> '{0,rows,0}') AS row;
-- A string stays a string for json, an array of jsonb keeps its elements, null is NULL, a number can be text.
SELECT prism.transaction('[
    {"execute": "SELECT $1::jsonb AS a, $2::json AS b, $3::jsonb[] AS c, $4::jsonb IS NULL AS d, $5 || $6 AS e, $7::int[] AS f",
     "params": ["s", [1, {}], [{"a": 1}, [2], "x", null], null, "n=", 7, []]}
]');
-- A value is never read as SQL.
SELECT prism.transaction(jsonb_build_array(
    jsonb_build_object('execute', 'SELECT count(*) FROM tx_order WHERE status = $1', 'params', jsonb_build_array(''' OR true --')),
    jsonb_build_object('execute', 'SELECT $1', 'params', jsonb_build_array('$1; DROP TABLE tx_order'))));
-- An empty list does nothing; a statement without rows says so; utility statements work.
SELECT prism.transaction('[]');
SELECT prism.transaction('[{"execute": "CREATE TEMP TABLE tx_copy AS SELECT order_id FROM tx_order"}, {"execute": "SHOW transaction_isolation"},
    {"execute": "SELECT order_id FROM tx_order WHERE false"}]');

-- All or nothing: the third operation fails, the first two have not happened.
SELECT prism.transaction('[
    {"execute": "UPDATE tx_order SET status = ''lost''"},
    {"publish": {"topic": "tx-orders", "payload": "lost"}},
    {"execute": "INSERT INTO tx_order (order_id, status) VALUES ($1, $2)", "params": [1, "twice"]}
]');
SELECT count(*) FILTER (WHERE status = 'lost') AS lost_rows, (SELECT count(*) FROM prism.outbox WHERE topic = 'tx-orders') AS messages FROM tx_order;
-- The caller's savepoint holds both too.
BEGIN;
SAVEPOINT before;
SELECT jsonb_array_length(prism.transaction('[{"execute": "DELETE FROM tx_order"}, {"publish": {"topic": "tx-orders", "payload": 1}}]'));
ROLLBACK TO before;
COMMIT;
SELECT count(*) AS rows_kept, (SELECT count(*) FROM prism.outbox WHERE topic = 'tx-orders') AS messages FROM tx_order;

-- A tombstone is a payload that is null, not one that was forgotten.
SELECT prism.transaction('[{"publish": {"topic": "tx-orders", "key": "1", "payload": null}}]') #>> '{0,id}' IS NOT NULL AS tombstone;
SELECT prism.transaction('[{"publish": {"topic": "tx-orders", "key": "1"}}]');

-- Lists of a wrong shape: the operation is named, counted from 1.
\set VERBOSITY terse
DO $do$
DECLARE
    operations text;
    state text;
    message text;
    detail text;
    hint text;
    context text;
BEGIN
    FOREACH operations IN ARRAY ARRAY[
        '{"execute": "SELECT 1"}', '"SELECT 1"', 'null',
        '[{"execute": "SELECT 1"}, 1]', '[[]]', '[{}]',
        '[{"execute": "SELECT 1"}, {"exec": "SELECT 1"}]',
        '[{"execute": "SELECT 1", "publish": {"topic": "tx-orders", "payload": 1}}]',
        '[{"execute": 1}]', '[{"execute": "SELECT 1", "params": {"a": 1}}]', '[{"execute": "SELECT $1", "params": []}]',
        '[{"execute": "SELECT 1", "params": [1]}]', '[{"execute": ""}]', '[{"execute": "SELECT 1; SELECT 2"}]',
        '[{"execute": "SELECT $1 IS NULL", "params": [1]}]', '[{"execute": "SELECT $1::int", "params": [{}]}]',
        '[{"execute": "SELECT $1::text", "params": [["a"]]}]', '[{"execute": "SELECT $2::int, $1::int", "params": [1, "x"]}]',
        '[{"execute": "SELECT $1 IS NULL OR $1 > 1", "params": [1]}]',
        '[{"execute": "BEGIN"}]', '[{"execute": "COMMIT"}]', '[{"execute": "SAVEPOINT s"}]', '[{"execute": "PREPARE TRANSACTION ''x''"}]',
        '[{"execute": "COPY tx_order TO STDOUT"}]',
        '[{"execute": "SELECT generate_series(1, 10001)"}]',
        '[{"execute": "SELECT repeat(''x'', 1000000) FROM generate_series(1, 100)"}]',
        '[{"publish": 1}]', '[{"publish": {"payload": 1}}]', '[{"publish": {"topic": null, "payload": 1}}]', '[{"publish": {"topic": 1, "payload": 1}}]',
        '[{"publish": {"topic": "tx-orders", "payload": 1, "keys": "a"}}]', '[{"publish": {"topic": "tx-orders", "payload": 1, "key": 1}}]',
        '[{"publish": {"topic": "tx-orders", "payload": 1, "headers": []}}]', '[{"publish": {"topic": "tx-orders", "payload": 1}, "params": []}]',
        '[{"publish": {"topic": "tx-orders", "payload": null}}]', '[{"publish": {"topic": "tx-nowhere", "payload": 1}}]',
        '[{"publish": {"topic": "tx-orders", "payload": 1, "namespace": "another"}}]'
    ] LOOP
        BEGIN
            PERFORM prism.transaction(operations::jsonb);
            RAISE NOTICE '% passed', operations;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
                context = PG_EXCEPTION_CONTEXT;
            context := replace(substring(context FROM '(?:parameter[^\n]*\n)?prism.transaction\(\)[^\n]*'), E'\n', ' of ');
            RAISE INFO '%', concat_ws(E'\n    ', operations, state || ' ' || message, nullif(detail, ''), nullif(hint, ''), context);
        END;
    END LOOP;
END
$do$;
\set VERBOSITY default
SELECT prism.transaction(NULL);

-- As many elements as one piece of memory does not hold.
\set VERBOSITY sqlstate
SELECT prism.transaction('[{"execute": "SELECT (''{'' || repeat(''\"\":[],'', 8388608) || ''\"\":0}'')::json"}]') IS NULL AS too_large;
\set VERBOSITY default

-- A domain refuses NULL although the statement does not ask for a value.
CREATE DOMAIN tx_name AS text NOT NULL;
SELECT prism.transaction('[{"execute": "SELECT $1::tx_name", "params": [null]}]');

-- The caller's rights and search_path, whoever owns prism.
CREATE ROLE regress_tx_writer;
CREATE SCHEMA tx_own AUTHORIZATION regress_tx_writer;
CREATE TABLE tx_own.tx_order (order_id int);
GRANT ALL ON tx_own.tx_order TO regress_tx_writer;
SELECT prism.grant('tx-orders', 'publish', 'regress_tx_writer');
SET ROLE regress_tx_writer;
SELECT prism.transaction('[{"execute": "INSERT INTO public.tx_order (order_id, status) VALUES (9, ''x'')"}]');
SET search_path = tx_own;
SELECT prism.transaction('[{"execute": "INSERT INTO tx_order VALUES ($1)", "params": [9]}, {"execute": "SELECT current_user::text AS runs_as"}]');
SELECT prism.transaction('[{"execute": "SELECT * FROM prism.topic"}]');
RESET ROLE;
RESET search_path;
SELECT count(*) FROM tx_own.tx_order;
-- Without the right to publish nothing is left of the statements before.
SELECT prism.revoke('tx-orders', 'publish', 'regress_tx_writer');
SELECT prism.grant('tx-orders', 'read', 'regress_tx_writer');
GRANT EXECUTE ON FUNCTION prism.transaction(jsonb) TO regress_tx_writer;
SET ROLE regress_tx_writer;
SELECT prism.transaction('[{"execute": "DELETE FROM tx_own.tx_order"}, {"publish": {"topic": "tx-orders", "payload": 1}}]');
RESET ROLE;
SELECT count(*) FROM tx_own.tx_order;

-- Not in a read-only transaction.
BEGIN READ ONLY;
SELECT prism.transaction('[{"execute": "SELECT 1 AS one"}]');
SELECT prism.transaction('[{"publish": {"topic": "tx-orders", "payload": 1}}]');
ROLLBACK;

SELECT prism.drop_namespace('tx-orders');
DROP SCHEMA tx_own CASCADE;
DROP DOMAIN tx_name;
DROP TABLE tx_order;
REVOKE ALL ON FUNCTION prism.transaction(jsonb) FROM regress_tx_writer;
DROP ROLE regress_tx_writer;
