SET client_min_messages = warning;
-- What parameters and literals without a type become: most drivers leave the type to the server, and it takes text.
\set VERBOSITY terse
SELECT action FROM prism.apply('{name: untyped-test, consumers: [{group: g}]}');
CREATE FUNCTION pg_temp.state(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN '00000';
EXCEPTION WHEN others THEN
    RETURN SQLSTATE;
END
$$;

-- The text form of bytes and of arrays of bytes is refused, with the way out; what only resembles it is text.
\set VERBOSITY default
SELECT prism.publish('untyped-test', '\x00ff');
SELECT prism.publish('untyped-test', '{"\\x00ff",NULL}');
SELECT prism.publish_batch('untyped-test', ARRAY['{"a": 1}', '\x00ff']);
\set VERBOSITY terse
SELECT payload, pg_temp.state(format('SELECT prism.publish(%L, %L)', 'untyped-test', payload)) AS state
FROM unnest(ARRAY['\x', '\xAb', '\xa', '\xag', 'x00', '\\x00', ' \x00', '{\\x00}', '{"\\x00","\\xFF"}', '{null,\\x00}', '{ \\x00 , "\\x" }',
                  '{}', '{NULL}', '{\\x0}', '{"\\x00"', '{\\x00,a}', '{\x00}', '{"\\x00": 1}', '{', '\', '']) AS payload;
SELECT payload, pg_temp.state(format('SELECT prism.publish_batch(%L, ARRAY[%L])', 'untyped-test', payload)) AS state
FROM unnest(ARRAY['\xAb', '{\\x00}', '\xa']) AS payload;
-- With its type each is what it was meant to be.
SELECT prism.publish('untyped-test', '\x00ff'::bytea, 'b') IS NOT NULL AS published,
       prism.publish('untyped-test', convert_to('\x00ff', 'UTF8'), 't') IS NOT NULL AS published;
SELECT key, payload FROM prism.outbox WHERE topic = 'untyped-test' AND key IN ('b', 't') ORDER BY "position";
SELECT payload, convert_from(payload, 'UTF8') AS text FROM prism.read('untyped-test', 0, 1000) WHERE key IN ('b', 't') AND payload <> '\x00ff';

-- publish_batch() takes each array as publish() takes its element, and a call without types is not ambiguous.
SELECT prism.seek('untyped-test', 'g', 'latest') > 0 AS moved;
SELECT prism.publish_batch('untyped-test', ARRAY['{"a": 1}', 'text', NULL], ARRAY['1', '2', '3']);
SELECT prism.publish_batch('untyped-test', ARRAY['{"a":  2}', '3']::json[], '{4,5}');
SELECT prism.publish_batch('untyped-test', '{"{\"a\": 3}",plain}', '{6,7}');
SELECT prism.publish_batch('untyped-test', '{\\x00ff}'::bytea[], '{8}');
SELECT prism.publish_batch('untyped-test', '{"{\"a\":   4}"}'::jsonb[], '{9}');
PREPARE batch AS SELECT prism.publish_batch($1, $2, $3, $4, $5);
EXECUTE batch('untyped-test', '{ten}', '{10}', '{"{\"h\": \"1\"}"}', 'untyped-test');
SELECT o.key, o.payload, o.headers FROM prism.consume('untyped-test', 'g') m JOIN prism.outbox o USING (topic, "position", id) ORDER BY m."position";
SELECT prism.publish_batch('untyped-test', '{a,b}', '{1}');
SELECT prism.publish_batch('untyped-test', 'no array');
SELECT prism.publish_batch('untyped-test', '{{a},{b}}');
SELECT prism.publish_batch('untyped-test', NULL);
SELECT prism.publish_batch('untyped-test', '{"\\\\x00ff"}');

-- nack() of three arguments without a type is that of positions.
SELECT "position" AS first FROM prism.groups WHERE topic = 'untyped-test' \gset
PREPARE give_up AS SELECT prism.nack($1, $2, $3);
EXECUTE give_up('untyped-test', 'g', ARRAY[:first]);
SELECT prism.nack('untyped-test', 'g', format('{%s}', :first + 1));
SELECT prism.nack('untyped-test', 'g', '{one}');
SELECT prism.nack('untyped-test', 'g', NULL);
SELECT prism.nack('untyped-test', 'g', '{NULL}');
SELECT in_flight, available FROM prism.groups WHERE topic = 'untyped-test';
PREPARE done AS SELECT prism.ack($1, $2, $3);
EXECUTE done('untyped-test', 'g', ARRAY[:first + 2]);

-- seek() takes a time as such, whatever the DateStyle.
SELECT created_at, "position" AS "at" FROM prism.read('untyped-test', 0, 1000) WHERE key = '10' \gset
SET datestyle = 'SQL, DMY';
SELECT prism.seek('untyped-test', 'g', :'created_at'::timestamptz) <= :at AS found, prism.seek('untyped-test', 'g', now() + interval '1 day') > :at AS "end";
RESET datestyle;
SELECT prism.seek('untyped-test', 'g', NULL::timestamptz);
SELECT prism.seek('untyped-nowhere', 'g', now());

-- An outbox that an ORM can use: text, JSON and bytes go in, and what prism fills in comes back.
DEALLOCATE ALL;
BEGIN;
INSERT INTO prism.outbox (topic, key, payload) VALUES ('untyped-test', 'o1', '{"path": "C:\\new\u0020\"x\""}')
    RETURNING id IS NOT NULL AS id, topic, key, payload, headers, created_at = now() OR created_at > now() AS created, "position", published_at;
INSERT INTO prism.outbox (topic, payload) SELECT 'untyped-test', jsonb_build_object('a', i) FROM generate_series(1, 2) i RETURNING payload, headers;
INSERT INTO prism.outbox (topic, payload) VALUES ('untyped-test', '{"a":  1}'::json), ('untyped-test', 'plain'::varchar) RETURNING payload, headers;
INSERT INTO prism.outbox (topic, payload) VALUES ('untyped-test', '\x00ff'), ('untyped-test', '\x0102'::bytea) RETURNING payload, headers;
INSERT INTO prism.outbox (topic, key, headers, deliver_at) VALUES ('untyped-test', 'k', '{"h": "1"}', now() + interval '1 hour')
    RETURNING id IS NOT NULL AS id, headers, deliver_at = now() + interval '1 hour' AS later;
INSERT INTO prism.outbox (topic, payload) VALUES ('untyped-test', 'a') RETURNING id \gset
SELECT count(*) FROM prism.outbox WHERE id = :'id';
SELECT payload, headers, "position" FROM prism.outbox WHERE topic = 'untyped-test' AND "position" IS NULL AND deliver_at IS NULL;
SELECT payload FROM prism_internal.outbox_messages('untyped-test') WHERE key = 'o1';
ROLLBACK;
SET bytea_output = escape;
SELECT pg_temp.state($$INSERT INTO prism.outbox (topic, payload) VALUES ('untyped-test', '\x00ff'::bytea)$$) AS bytes,
       pg_temp.state($$INSERT INTO prism.outbox (topic, payload) VALUES ('untyped-test', '{"a": "\\"}')$$) AS text,
       pg_temp.state($$INSERT INTO prism.outbox (topic, payload) VALUES ('untyped-test', '{"a": 1}')$$) AS clear;
RESET bytea_output;

-- A view of one's own with other types: those that mean something work, the others are refused, never misread.
CREATE VIEW pg_temp.mine AS SELECT NULL::text AS topic, NULL::jsonb AS payload, NULL::varchar AS key, NULL::int AS extra, NULL::uuid AS id;
CREATE TRIGGER publish INSTEAD OF INSERT ON pg_temp.mine FOR EACH ROW EXECUTE FUNCTION prism.outbox_insert();
INSERT INTO pg_temp.mine VALUES ('untyped-test', '{"a": 1}', 'v1', 7) RETURNING topic, payload, key, extra, id IS NOT NULL AS id;
CREATE FUNCTION pg_temp.of_types(types text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE OR REPLACE TEMP VIEW wrong AS SELECT %s', types);
    CREATE TRIGGER publish INSTEAD OF INSERT ON pg_temp.wrong FOR EACH ROW EXECUTE FUNCTION prism.outbox_insert('untyped-test');
    EXECUTE 'INSERT INTO pg_temp.wrong SELECT (w).* FROM (SELECT w FROM pg_temp.wrong w) AS s';
    DROP VIEW pg_temp.wrong;
    RETURN '00000';
EXCEPTION WHEN others THEN
    RETURN SQLSTATE || ': ' || SQLERRM;
END
$$;
SELECT types, pg_temp.of_types(types) FROM unnest(ARRAY[
    '7 AS payload', '7::bigint AS payload', 'ARRAY[''x''] AS payload', '''x''::name AS payload',
    '''x''::text AS payload, 7 AS key', '''x''::text AS payload, 7::bigint AS headers', '''x''::text AS payload, ''{}''::json AS headers',
    '''x''::text AS payload, 7 AS id', '''x''::text AS payload, ''a''::text AS id', '''x''::text AS payload, 7::bigint AS topic',
    '''x''::text AS payload, 7::bigint AS deliver_at', '''x''::text AS payload, current_date AS deliver_at', '''x''::text AS payload, 7 AS "position"',
    '''x''::text AS payload, 7 AS created_at, ''{"h": "1"}''::jsonb AS headers', '''x''::varchar AS payload, ''k''::text AS key']) AS types;
SELECT prism.drop_namespace('untyped-test', force => true);
