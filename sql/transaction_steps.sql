-- prism.transaction(): operations that are skipped, references to earlier results, and the dry run.
SELECT action FROM prism.apply($$
namespaces:
  - {name: step-orders, patterns: [outbox], backend: postgres}
  - {name: step-work, patterns: [outbox], backend: postgres}
$$);
CREATE TABLE step_order (order_id int PRIMARY KEY, status text NOT NULL CHECK (status <> ''), details jsonb, placed timestamptz, amount numeric(10, 2), code uuid, raw bytea, tags text[]);
CREATE FUNCTION step_fail(code text, said text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = code, MESSAGE = said; END $$;
-- What is there, and what was published.
CREATE VIEW step_state AS
SELECT (SELECT array_agg(order_id || ' ' || status ORDER BY order_id) FROM step_order) AS orders,
    (SELECT array_agg(coalesce(key || ': ', '') || payload ORDER BY "position") FROM prism.outbox WHERE topic = 'step-orders') AS messages;

-- ------------------------------------------------------------------
-- "on_error": "skip"
-- ------------------------------------------------------------------
-- What fails is undone by itself, and its result says why; what is before and behind stays.
SELECT jsonb_array_elements(prism.transaction('[
    {"execute": "INSERT INTO step_order VALUES ($1, $2)", "params": [1, "new"], "on_error": "skip"},
    {"execute": "INSERT INTO step_order VALUES ($1, $2)", "params": [1, "twice"], "on_error": "skip"},
    {"execute": "INSERT INTO step_order VALUES (5, ''kept''), (6, '''')", "on_error": "skip"},
    {"execute": "INSERT INTO step_order VALUES (7, NULL)", "on_error": "skip"},
    {"execute": "SELECT FROM step_missing", "on_error": "skip"},
    {"execute": "SELECT $1::int", "params": ["x"], "on_error": "skip"},
    {"execute": "SELECT $1::int", "params": [], "on_error": "skip"},
    {"execute": "COMMIT", "on_error": "skip"},
    {"publish": {"topic": "step-nowhere", "payload": 1}, "on_error": "skip"},
    {"publish": {"topic": "step-orders", "payload": 1, "deliver_at": "soon"}, "on_error": "skip"},
    {"execute": "SELECT i / (i - 3) FROM generate_series(1, 9) i", "on_error": "skip"},
    {"execute": "INSERT INTO step_order VALUES ($1, $2) RETURNING order_id", "params": [2, "new"], "on_error": "abort"}
]') || '"end"') AS result;
SELECT * FROM step_state;
-- Messages of a statement that fails behind publish() are gone, those around it are there, in order, also where savepoints nest.
CREATE FUNCTION step_publish(said text, fails boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM prism.publish('step-orders', to_jsonb(said));
    BEGIN
        PERFORM prism.publish('step-orders', to_jsonb(said || ' nested'));
    END;
    BEGIN
        PERFORM prism.publish('step-orders', to_jsonb(said || ' undone'));
        PERFORM 1 / 0;
    EXCEPTION WHEN division_by_zero THEN
    END;
    IF fails THEN
        PERFORM 1 / 0;
    END IF;
END
$$;
SELECT jsonb_array_length(prism.transaction('[
    {"publish": {"topic": "step-orders", "payload": "first"}},
    {"execute": "SELECT step_publish($1, true)", "params": ["lost"], "on_error": "skip"},
    {"execute": "SELECT step_publish($1, false)", "params": ["kept"], "on_error": "skip"},
    {"execute": "SELECT step_publish($1, true)", "params": ["lost too"], "on_error": "skip"},
    {"publish": {"topic": "step-orders", "payload": "last"}, "on_error": "skip"}
]'));
SELECT messages FROM step_state;
-- So are acknowledgements: the message whose step failed comes again.
SELECT prism.publish('step-work', to_jsonb(i)) IS NOT NULL AS published FROM generate_series(1, 2) i;
SELECT prism.transaction('[
    {"execute": "SELECT position, convert_from(payload, ''UTF8'') AS payload FROM prism.consume(''step-work'', ''g'', 10)"},
    {"execute": "SELECT prism.ack(''step-work'', ''g'', ARRAY[0]), step_fail(''P0001'', ''too late'')", "on_error": "skip"},
    {"execute": "SELECT prism.ack(''step-work'', ''g'', ARRAY[1])", "on_error": "skip"},
    {"execute": "SELECT prism.nack(''step-work'', ''g'', ARRAY[0], delay => ''0'')"}
]');
SELECT position, convert_from(payload, 'UTF8') AS payload FROM prism.consume('step-work', 'g', 10);
-- And what a step has consumed itself: another one gets it.
SELECT prism.transaction('[
    {"execute": "SELECT position, step_fail(''P0001'', ''too late'') FROM prism.consume(''step-work'', ''h'', 10)", "on_error": "skip"},
    {"execute": "SELECT position FROM prism.consume(''step-work'', ''h'', 10)"}
]');
-- What is set in a step goes with it.
SELECT prism.transaction('[
    {"execute": "SELECT set_config(''step.x'', ''a'', false)"},
    {"execute": "SELECT set_config(''step.x'', ''b'', false), step_fail(''P0001'', ''too late'')", "on_error": "skip"},
    {"execute": "SELECT current_setting(''step.x'') AS x"}]') #> '{2,rows}' AS x;
-- A result that jsonb cannot take is its own operation's, wherever the json lies.
CREATE DOMAIN step_json AS json;
CREATE TYPE step_pair AS (a int, b json);
SELECT result #>> '{error,sqlstate}' AS code, result #>> '{error,message}' AS message, result #> '{rows}' AS rows FROM jsonb_array_elements(prism.transaction('[
    {"execute": "INSERT INTO step_order VALUES (200, ''must go'') RETURNING ''\"\\u0000\"''::json AS j", "on_error": "skip"},
    {"execute": "SELECT ''1e1000000''::json AS j", "on_error": "skip"},
    {"execute": "SELECT ''\"\\ud800\"''::step_json AS j", "on_error": "skip"},
    {"execute": "SELECT ARRAY[''\"\\u0000\"'']::json[] AS j", "on_error": "skip"},
    {"execute": "SELECT (1, ''\"\\u0000\"'')::step_pair AS j", "on_error": "skip"},
    {"execute": "SELECT ROW(''\"\\u0000\"''::json) AS j", "on_error": "skip"},
    {"execute": "SELECT ''{\"a\": [1.50, \"\\u0041\"]}''::json AS j, ''plain'' AS t", "on_error": "skip"}]')) result;
SELECT count(*) AS undone FROM step_order WHERE order_id = 200;
SELECT prism.transaction('[{"execute": "SELECT 1"}, {"execute": "SELECT ''1e1000000''::json AS j"}, {"execute": "SELECT 1"}]');
DROP TYPE step_pair;
DROP DOMAIN step_json;

-- Not skipped: what ends the transaction, what is about the server, what somebody wants; and nothing is left then.
\set VERBOSITY terse
DO $do$
DECLARE
    code text;
    told text;
BEGIN
    FOREACH code IN ARRAY ARRAY['40001', '40P01', '53100', '53200', '53400', '57014', '57P01', '57P03', '58030', 'XX001', 'XX002', 'P0004',
        'XX000', '55P03', 'P0001', '25006', '54000', '22023', '0A000', '42501', '23505'] LOOP
        BEGIN
            told := prism.transaction(jsonb_build_array(
                jsonb_build_object('publish', '{"topic": "step-orders", "payload": "must go"}'::jsonb),
                jsonb_build_object('execute', 'SELECT step_fail($1, $2)', 'params', jsonb_build_array(code, 'it is ' || code), 'on_error', 'skip'))) -> 1;
            RAISE EXCEPTION USING MESSAGE = 'skipped: ' || told, ERRCODE = 'P0099';
        EXCEPTION WHEN OTHERS OR query_canceled OR assert_failure THEN
            RAISE INFO '%', CASE SQLSTATE WHEN 'P0099' THEN SQLERRM ELSE 'not skipped: ' || SQLSTATE || ' ' || SQLERRM END;
        END;
    END LOOP;
END
$do$;
-- A limit that only this one meets: the place for its consumer group, its temporary files.
BEGIN;
SELECT count(prism.create_group('step-work', 'full' || i)) FROM generate_series(1, 1000 - (SELECT count(*) FROM prism.groups WHERE topic = 'step-work')) i;
SELECT r #>> '{0,error,sqlstate}' AS code, r #>> '{0,error,message}' AS message, r -> 1 AS behind FROM prism.transaction('[
    {"execute": "SELECT prism.create_group(''step-work'', ''more'')", "on_error": "skip"}, {"execute": "SELECT 1 AS a"}]') r;
ROLLBACK;
SET temp_file_limit = '64kB';
SET work_mem = '64kB';
SELECT r #>> '{0,error,sqlstate}' AS code, r -> 1 AS behind FROM prism.transaction('[
    {"execute": "SELECT count(*) FROM (SELECT i FROM generate_series(1, 100000) i ORDER BY -i OFFSET 0) sorted", "on_error": "skip"}, {"execute": "SELECT 1 AS a"}]') r;
RESET temp_file_limit;
RESET work_mem;
-- A cancel and a time-out, from outside; the session is as before.
CREATE FUNCTION step_spin() RETURNS void LANGUAGE plpgsql AS $$ BEGIN LOOP END LOOP; END $$;
SELECT prism.transaction('[
    {"execute": "INSERT INTO step_order VALUES (100, ''must go'')", "on_error": "skip"},
    {"execute": "SELECT pg_cancel_backend(pg_backend_pid()), step_spin()", "on_error": "skip"}]');
SET statement_timeout = '20ms';
SELECT prism.transaction('[{"execute": "SELECT step_spin()", "on_error": "skip"}]');
RESET statement_timeout;
\set VERBOSITY default
BEGIN;
SAVEPOINT mine;
SELECT prism.transaction('[{"execute": "SELECT step_fail(''40001'', ''try it all again'')", "on_error": "skip"}]');
ROLLBACK TO mine;
SELECT prism.transaction('[{"execute": "SELECT 1 / 0", "on_error": "skip"}]');
COMMIT;
SELECT count(*) FROM step_order WHERE order_id = 100;

-- What has the form of an operation, and cannot be done, is skipped.
SELECT result #>> '{error,sqlstate}' AS code, result #>> '{error,message}' AS message FROM jsonb_array_elements(prism.transaction('[
    {"publish": {"topic": null, "payload": 1}, "on_error": "skip"},
    {"publish": {"topic": "step-orders", "payload": 1, "headers": [1]}, "on_error": "skip"},
    {"publish": {"topic": "step-orders", "payload": 1, "headers": {"a": {"b": 1}}}, "on_error": "skip"},
    {"execute": "SELECT $1::int, $2::int", "params": [1], "on_error": "skip"},
    {"execute": "SELECT $1::int", "params": [{"a": 1}], "on_error": "skip"},
    {"execute": "SELECT 1; SELECT 2", "on_error": "skip"},
    {"execute": "", "on_error": "skip"},
    {"execute": "ROLLBACK", "on_error": "skip"}]')) result;
-- Mistakes in the form of the list are nobody's to skip.
\set VERBOSITY terse
SELECT prism.transaction('[{"execute": "SELECT 1", "on_error": "ignore"}]');
SELECT prism.transaction('[{"execute": "SELECT 1", "on_error": true}]');
SELECT prism.transaction('[{"execute": "SELECT 1", "on_error": null}]');
SELECT prism.transaction('[{"execute": 1, "on_error": "skip"}]');
SELECT prism.transaction('[{"execute": "SELECT 1", "params": {}, "on_error": "skip"}]');
SELECT prism.transaction('[{"publish": {"topic": "step-orders", "payload": 1, "on_error": "skip"}}]');
SELECT prism.transaction('[{"publish": {"topic": "step-orders", "payload": 1, "key": 1}, "on_error": "skip"}]');
SELECT prism.transaction('[{"on_error": "skip"}]');
-- Errors of the commit belong to no step: a deferred constraint takes all along, and a step can ask for it before.
CREATE TABLE step_line (order_id int REFERENCES step_order DEFERRABLE INITIALLY DEFERRED);
SELECT prism.transaction('[{"publish": {"topic": "step-orders", "payload": "must go"}}, {"execute": "INSERT INTO step_line VALUES (999)", "on_error": "skip"}]') #- '{0,id}';
SELECT prism.transaction('[
    {"execute": "SET CONSTRAINTS ALL IMMEDIATE"},
    {"execute": "INSERT INTO step_line VALUES (999)", "on_error": "skip"}, {"execute": "INSERT INTO step_line VALUES (1)", "on_error": "skip"}]') #> '{1,error,sqlstate}' AS found;
SELECT * FROM step_line;
\set VERBOSITY default

-- The caller's rights: what one may not do can be skipped.
CREATE ROLE regress_step;
SELECT prism.grant('step-work', 'publish', 'regress_step');
SET ROLE regress_step;
SELECT (r -> 0) || (r -> 1) - 'id' AS refused, r -> 2 ? 'id' AS published FROM prism.transaction('[
    {"execute": "DELETE FROM step_order", "on_error": "skip"},
    {"publish": {"topic": "step-orders", "payload": 1}, "on_error": "skip"},
    {"publish": {"topic": "step-work", "payload": 3}, "on_error": "skip"}]') r;
RESET ROLE;

-- A thousand steps, every other one fails.
SELECT count(*) FILTER (WHERE result ? 'error') AS skipped, count(*) FILTER (WHERE result ? 'id') AS published, count(*) FILTER (WHERE result ? 'rows') AS run
FROM jsonb_array_elements(prism.transaction((SELECT jsonb_agg(jsonb_build_object('on_error', 'skip') || CASE i % 4
    WHEN 0 THEN '{"publish": {"topic": "step-work", "payload": 4}}'::jsonb
    WHEN 1 THEN '{"publish": {"topic": "step-nowhere", "payload": 5}}'
    WHEN 2 THEN '{"execute": "SELECT prism.publish(''step-work'', ''6''::jsonb), pg_backend_pid()"}'
    ELSE '{"execute": "SELECT prism.publish(''step-work'', ''7''::jsonb), step_fail(''P0001'', ''too late'')"}' END) FROM generate_series(1, 1000) i))) result;
SELECT payload, count(*) FROM prism.outbox WHERE topic = 'step-work' GROUP BY 1 ORDER BY 1;

-- ------------------------------------------------------------------
-- References
-- ------------------------------------------------------------------
-- A value of any type comes back as what it was; the whole of a result goes to JSON; a message takes them at any depth, a key as its text.
SELECT jsonb_array_elements(prism.transaction('[
    {"execute": "INSERT INTO step_order VALUES (10, $1, $2, $3, $4, $5, $6, $7) RETURNING *",
     "params": ["it''s", {"$literal": {"$ref": "0.rows"}}, "2026-11-29 05:00+00", 12.50, "018f0000-0000-7000-8000-000000000001", "\\x00ff", ["a", null, "b,\"c\""]]},
    {"execute": "INSERT INTO step_order VALUES ($1::int + 1, $2, $3, $4, $5, $6, $7, $8) RETURNING order_id",
     "params": [{"$ref": "0.rows.0.order_id"}, {"$ref": "0.rows.0.status"}, {"$ref": "0.rows.0.details"}, {"$ref": "0.rows.0.placed"}, {"$ref": "0.rows.0.amount"},
                {"$ref": "0.rows.0.code"}, {"$ref": "0.rows.0.raw"}, {"$ref": "0.rows.0.tags"}]},
    {"execute": "SELECT count(*) AS same FROM step_order a, step_order b WHERE a.order_id = 10 AND b.order_id = 11 AND (a.status, a.details, a.placed, a.amount, a.code, a.raw, a.tags) IS NOT DISTINCT FROM (b.status, b.details, b.placed, b.amount, b.code, b.raw, b.tags)"},
    {"execute": "SELECT r.order_id + 100 AS more, $2::int[] AS ids, $3 AS \"a.b\" FROM jsonb_to_recordset($1) AS r(order_id int)",
     "params": [{"$ref": "0.rows"}, [{"$ref": "0.rows.0.order_id"}, {"$ref": "1.rows.0.order_id"}], {"$ref": "0.rows.0.tags.2"}]}
]')) AS result;
SELECT (prism.transaction('[
    {"execute": "UPDATE step_order SET status = ''seen'' WHERE order_id >= 10"},
    {"execute": "SELECT order_id, ''step-orders'' AS topic, NULL AS nothing, true AS yes, 1.5 AS \"a.b\", details, now() + interval ''1 hour'' AS due FROM step_order WHERE order_id = 10"},
    {"publish": {"topic": {"$ref": "1.rows.0.topic"}, "key": {"$ref": "1.rows.0.order_id"}, "headers": {"h": {"$ref": "1.rows.0.topic"}}, "namespace": {"$ref": "1.rows.0.topic"},
                 "payload": {"n": {"$ref": "0.rows_affected"}, "deep": [[{"x": {"$ref": "1.rows.0.nothing"}}, {"$ref": [1, "rows", 0, "a.b"]}], {"$ref": "1.rows.0.details"}], "$refs": 1, "plain": "$ref", "literal": {"$literal": {"$literal": [{"$ref": 7}]}}}}},
    {"publish": {"topic": "step-orders", "key": {"$ref": "1.rows.0.yes"}, "payload": {"$ref": "1.rows.0.nothing"}}},
    {"publish": {"topic": "step-orders", "key": {"$ref": "1.rows.0.nothing"}, "payload": {"$ref": "2.id"}}},
    {"publish": {"topic": "step-orders", "payload": "later", "deliver_at": {"$ref": "1.rows.0.due"}}}
]') #> '{1,rows,0}') - 'due' AS read;
SELECT key, headers, CASE WHEN payload LIKE '"%' AND length(payload) = 38 THEN 'an id' ELSE payload END AS payload FROM prism.outbox
WHERE topic = 'step-orders' AND (headers ? 'h' OR key = 'true' OR length(payload) = 38) ORDER BY "position";
-- A value that is found is a value: neither SQL nor a reference nor a part of an array.
SELECT prism.transaction(jsonb_build_array(
    jsonb_build_object('execute', 'SELECT $1 AS text, $2::jsonb AS json', 'params', jsonb_build_array('1; DROP TABLE step_order --', '{"$literal": {"$ref": "0.rows.0.text"}}'::jsonb)),
    '{"execute": "SELECT $1 AS text, $2::jsonb AS json, $3::text[] AS list", "params": [{"$ref": "0.rows.0.text"}, {"$ref": "0.rows.0.json"}, [{"$ref": "0.rows.0.text"}, "{},\"NULL"]]}'::jsonb)) -> 1 AS found;
-- Rows of one step as rows of the next: consume, work and acknowledge in one call.
SELECT prism.transaction('[
    {"execute": "SELECT position FROM prism.consume(''step-work'', ''i'', 2)"},
    {"execute": "SELECT prism.ack(''step-work'', ''i'', ARRAY(SELECT r.position FROM jsonb_to_recordset($1) AS r(position bigint))) AS done", "params": [{"$ref": "0.rows"}]}]');
-- However deep it lies, the rest is built once: the memory that is held while the statement runs.
SELECT prism.transaction(format('[{"execute": "SELECT 8 AS a"},
    {"execute": "SELECT sum(total_bytes) < 50000000 AS little, length($1::json::text) AS length FROM pg_backend_memory_contexts", "params": [%s%s, {"$ref": "0.rows.0.a"}%s]}]',
    repeat('[', 1000), (SELECT string_agg(i::text, ', ') FROM generate_series(1, 5000) i), repeat(']', 1000))::jsonb) -> 1 AS deep;

-- References that cannot be right, whatever the results are, and those that find nothing, are errors of their step.
DO $do$
DECLARE
    value text;
    detail text;
    hint text;
BEGIN
    FOREACH value IN ARRAY ARRAY['{"$ref": "1.rows"}', '{"$ref": "2.rows"}', '{"$ref": "4.rows"}', '{"$ref": "99999999999"}', '{"$ref": "-1.rows"}', '{"$ref": ""}', '{"$ref": "rows.0"}', '{"$ref": []}', '{"$ref": [{}]}',
        '{"$ref": ["0", true]}', '{"$ref": 0}', '{"$ref": null}', '{"$ref": {"$ref": "0"}}', '{"$ref": "0", "default": 1}', '{"$literal": 1, "b": 2}', '[[{"a": {"$ref": "1"}}]]',
        '{"$ref": "0.rows.1.a"}', '{"$ref": "0.rows.-1.a"}', '{"$ref": "0.rows.a"}', '{"$ref": "0.rows.0.b"}', '{"$ref": "0.rows.0.a.b"}', '{"$ref": "0.rows.0.a."}', '{"$ref": "0..rows"}', '{"$ref": "0.id"}',
        '{"$ref": "0.rows.0.n.x"}', '{"$ref": [0, "rows", 0.5]}', '{"$ref": [0, "rows", 99999999999]}', '{"$ref": "3.error"}', '{"$ref": "0.rows.0"}', '{"$ref": "0.rows.0.s"}'] LOOP
        BEGIN
            IF value LIKE '%3.error%' THEN
                PERFORM prism.transaction(replace('[{"execute": "SELECT 1 / 0", "on_error": "skip"}, {"execute": "SELECT $1::int", "params": [VALUE]}]', 'VALUE', replace(value, '3.', '0.'))::jsonb);
            ELSE
                PERFORM prism.transaction(replace('[{"execute": "SELECT 1 AS a, NULL AS n, ''s'' AS s"}, {"execute": "SELECT $1::int", "params": [VALUE]}, {"execute": "SELECT 1"}, {"execute": "SELECT 1"}]', 'VALUE', value)::jsonb);
            END IF;
            RAISE NOTICE '% passed', value;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
            RAISE INFO '%', concat_ws(E'\n    ', value, SQLSTATE || ' ' || SQLERRM, nullif(detail, ''), nullif(hint, ''));
        END;
    END LOOP;
END
$do$;
\set VERBOSITY terse
-- Likewise in a message, in each of its fields; all of them can be skipped.
SELECT prism.transaction('[{"publish": {"topic": "step-orders", "payload": {"a": [{"$ref": "0.id"}]}}, "on_error": "skip"}]');
SELECT prism.transaction('[{"execute": "SELECT 1 / 0", "on_error": "skip"}, {"publish": {"topic": "step-orders", "payload": {"a": [{"$ref": "0.rows"}]}}, "on_error": "skip"},
    {"execute": "SELECT $1", "params": [{"$ref": "1.id"}], "on_error": "skip"}]') #> '{2,error,message}';
SELECT prism.transaction('[{"execute": "SELECT 1 AS a"}, {"publish": {"topic": "step-orders", "payload": 1, "key": {"$ref": "0.rows"}}}]');
SELECT result #>> '{error,sqlstate}' AS code, result #>> '{error,message}' AS message FROM jsonb_array_elements(prism.transaction('[
    {"execute": "SELECT $1", "params": [[[{"$ref": "0.rows", "a": 1}]]], "on_error": "skip"},
    {"execute": "SELECT $1", "params": [{"$literal": 1, "$ref": "0"}], "on_error": "skip"},
    {"publish": {"topic": "step-orders", "payload": 1, "key": {"$ref": "0", "a": 1}}, "on_error": "skip"},
    {"publish": {"topic": {"$ref": 1}, "payload": 1}, "on_error": "skip"},
    {"publish": {"topic": "step-orders", "payload": 1, "headers": {"a": {"$ref": "9"}}}, "on_error": "skip"},
    {"publish": {"topic": "step-orders", "payload": 1, "deliver_at": {"$literal": [1]}}, "on_error": "skip"},
    {"execute": "SELECT 1"}]')) result;

SELECT prism.transaction('[{"execute": "SELECT 1 AS a"}, {"execute": {"$ref": "0.rows.0.a"}}]');
SELECT prism.transaction('[{"execute": "SELECT 1 AS a"}, {"execute": "SELECT 1", "params": {"$ref": "0.rows"}}]');
\set VERBOSITY default
-- "references": false: what looks like one is data, right or wrong, at every place, and the results do not leak into it; others have theirs.
SELECT prism.transaction('[
    {"execute": "SELECT ''secret'' AS s"},
    {"execute": "SELECT $1::json AS a, $2::jsonb AS b, $3::json AS c", "references": false,
     "params": [{"$ref": "0.rows.0.s"}, [{"$ref": 7, "more": 1}], {"$literal": {"$ref": "0.rows"}}]},
    {"execute": "SELECT $1 AS a", "references": true, "params": [{"$ref": "0.rows.0.s"}]},
    {"execute": "SELECT $1 AS a", "references": null, "params": [{"$ref": "1.rows.0.a.$ref"}]},
    {"publish": {"topic": "step-orders", "payload": {"plain": {"$ref": "0.rows.0.s"}}, "headers": {"$ref": "0.rows.0.s"}}, "references": false}]') - 4 AS plain;
SELECT payload, headers FROM prism.outbox WHERE topic = 'step-orders' AND payload LIKE '%plain%' ORDER BY "position" DESC LIMIT 1;
\set VERBOSITY terse
-- A field that is a string has no place for an object then; and a flag is a flag.
SELECT prism.transaction('[{"publish": {"topic": "step-orders", "payload": 1, "key": {"$ref": "0.id"}}, "references": false, "on_error": "skip"}]');
SELECT prism.transaction('[{"execute": "SELECT $1::int", "params": [{"$ref": "0"}], "references": false}]');
SELECT prism.transaction('[{"execute": "SELECT 1", "references": "false", "on_error": "skip"}]');
-- As much as a call may return, and not as often as one likes.
CREATE FUNCTION step_bring(times int) RETURNS jsonb LANGUAGE sql AS $$
    SELECT prism.transaction(jsonb_build_array('{"execute": "SELECT repeat(''x'', 1000000) AS x"}'::jsonb,
        jsonb_build_object('execute', 'SELECT cardinality($1::text[])', 'params', jsonb_build_array((SELECT jsonb_agg('{"$ref": "0.rows.0.x"}'::jsonb) FROM generate_series(1, times)))),
        '{"execute": "SELECT length($1)", "params": [{"$ref": "0.rows.0.x"}]}'::jsonb)) - 0
$$;
SELECT step_bring(5);
SELECT step_bring(70);
DROP FUNCTION step_bring(int);
-- Numbers too, by their digits, whether they are referred to or lie in what is.
CREATE FUNCTION step_bring(path text, times int) RETURNS jsonb LANGUAGE sql AS $$
    SELECT prism.transaction(jsonb_build_array('{"execute": "SELECT 1e130000::numeric AS n"}'::jsonb,
        jsonb_build_object('execute', 'SELECT json_array_length($1)', 'params', jsonb_build_array((SELECT jsonb_agg(jsonb_build_object('$ref', path)) FROM generate_series(1, times)))))) - 0
$$;
SELECT step_bring('0.rows.0.n', 500);
SELECT step_bring('0.rows.0.n', 520);
SELECT step_bring('0.rows', 500);
SELECT step_bring('0.rows', 520);
DROP FUNCTION step_bring(text, int);
SELECT prism.transaction(('[{"execute": "SELECT 1 AS a"}, {"execute": "SELECT $1", "params": [{"$ref": [0' || repeat(',1', 100) || ']}]}]')::jsonb);
\set VERBOSITY default

-- ------------------------------------------------------------------
-- dry_run
-- ------------------------------------------------------------------
TRUNCATE step_order, step_line;
SELECT coalesce(array_length(messages, 1), 0) AS messages_before FROM step_state \gset
-- Everything runs, results come back, nothing has happened; skipped steps and references are as ever.
SELECT jsonb_array_elements(r #- '{1,id}') AS result FROM prism.transaction('[
    {"execute": "INSERT INTO step_order VALUES ($1, $2) RETURNING order_id, status", "params": [1, "dry"]},
    {"publish": {"topic": "step-orders", "payload": "must go", "key": {"$ref": "0.rows.0.order_id"}}},
    {"execute": "INSERT INTO step_order VALUES (1, ''twice'')", "on_error": "skip"},
    {"execute": "CREATE TABLE step_made AS SELECT order_id FROM step_order"},
    {"execute": "SELECT order_id FROM step_made"},
    {"execute": "SELECT set_config(''step.x'', ''dry'', false)"}
]', dry_run => true) r;
SELECT (SELECT count(*) FROM step_order) AS orders, to_regclass('step_made') AS made, current_setting('step.x') AS x, coalesce(array_length(messages, 1), 0) - :messages_before AS messages FROM step_state;
-- In a transaction, what was done before and comes behind stays.
BEGIN;
INSERT INTO step_order VALUES (1, 'before');
SELECT prism.publish('step-orders', '"before"'::jsonb) IS NOT NULL AS published;
SELECT jsonb_array_length(prism.transaction('[{"execute": "UPDATE step_order SET status = ''must go''"}, {"publish": {"topic": "step-orders", "payload": "must go"}}]', true));
SELECT prism.publish('step-orders', '"behind"'::jsonb) IS NOT NULL AS published;
COMMIT;
SELECT orders, messages[:messages_before + 1:] AS messages FROM step_state;
-- An error is an error, and says where.
SELECT prism.transaction('[{"execute": "SELECT 1"}, {"execute": "INSERT INTO step_order VALUES (1, ''twice'')"}]', dry_run => true);
-- What a commit would find in deferred constraints is found.
SELECT prism.transaction('[{"execute": "INSERT INTO step_line VALUES (999)"}]', dry_run => true);
SELECT prism.transaction('[{"execute": "INSERT INTO step_line VALUES (1)"}]', dry_run => true);
-- It leaves what is deferred as it was: deferred, and still to be checked.
BEGIN;
INSERT INTO step_line VALUES (2);
SAVEPOINT mine;
SELECT prism.transaction('[]', dry_run => true);
ROLLBACK TO mine;
SELECT prism.transaction('[{"execute": "INSERT INTO step_order VALUES (2, ''in time'')"}]', dry_run => true);
INSERT INTO step_line VALUES (3);
SELECT count(*) AS still_deferred FROM step_line;
COMMIT;
-- Leases go back; a number of a sequence does not.
CREATE SEQUENCE step_number;
SELECT jsonb_array_length(r #> '{0,rows}') AS taken, r #> '{1}' AS number FROM prism.transaction('[
    {"execute": "SELECT position, prism.ack(m) FROM prism.consume(''step-work'', ''j'', 5) m"}, {"execute": "SELECT nextval(''step_number'')"}]', dry_run => true) r;
SELECT count(*) AS taken, min(position) AS first FROM prism.consume('step-work', 'j', 5);
SELECT nextval('step_number');
-- What neither of both undoes, as no savepoint does: cursors, PREPARE and DEALLOCATE, sequences, locks of the session.
CREATE FUNCTION step_session(fails boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c refcursor := 'step_moved';
BEGIN
    MOVE FORWARD 3 IN c;
    EXECUTE 'CLOSE step_closed';
    EXECUTE 'PREPARE step_new AS SELECT 1';
    EXECUTE 'DEALLOCATE step_old';
    PERFORM nextval('step_number'), pg_advisory_lock(7474);
    IF fails THEN
        PERFORM 1 / 0;
    END IF;
END
$$;
CREATE VIEW step_session_state AS
SELECT (SELECT array_agg(name ORDER BY name) FROM pg_cursors WHERE name LIKE 'step%') AS cursors,
    (SELECT array_agg(name ORDER BY name) FROM pg_prepared_statements WHERE name LIKE 'step%') AS prepared,
    (SELECT last_value FROM step_number) AS number, (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7474 AND pid = pg_backend_pid()) AS locks;
PREPARE step_old AS SELECT 1;
BEGIN;
DECLARE step_moved CURSOR FOR SELECT generate_series(1, 9) AS i;
DECLARE step_closed CURSOR FOR SELECT 1;
SELECT * FROM step_session_state;
SELECT prism.transaction('[{"execute": "SELECT step_session(false)"}]', dry_run => true) IS NOT NULL AS dry;
SELECT * FROM step_session_state;
FETCH step_moved;
COMMIT;
DEALLOCATE step_new;
PREPARE step_old AS SELECT 1;
SELECT pg_advisory_unlock(7474);
BEGIN;
DECLARE step_moved CURSOR FOR SELECT generate_series(1, 9) AS i;
DECLARE step_closed CURSOR FOR SELECT 1;
SELECT prism.transaction('[{"execute": "SELECT step_session(true)", "on_error": "skip"}]') #>> '{0,error,sqlstate}' AS skipped;
SELECT * FROM step_session_state;
FETCH step_moved;
COMMIT;
DEALLOCATE step_new;
SELECT pg_advisory_unlock(7474);
DROP VIEW step_session_state;
DROP FUNCTION step_session(boolean);
-- By name, by place, false, and not unknown.
SELECT prism.transaction('[]', false), prism.transaction(operations => '[]', dry_run => false);
SELECT prism.transaction('[]', NULL);
BEGIN READ ONLY;
SELECT prism.transaction('[{"execute": "SELECT 1 / 0", "on_error": "skip"}, {"execute": "SELECT 2 AS two", "on_error": "skip"}]', true);
COMMIT;

DROP VIEW step_state;
DROP TABLE step_line, step_order;
DROP SEQUENCE step_number;
DROP FUNCTION step_fail(text, text), step_spin(), step_publish(text, boolean);
SELECT prism.revoke('step-work', 'publish', 'regress_step');
SELECT prism.drop_namespace('step-orders', force => true), prism.drop_namespace('step-work', force => true);
DROP ROLE regress_step;
