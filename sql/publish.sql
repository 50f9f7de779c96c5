-- prism.publish() and prism.publish_batch(): every form, every refusal, every way a transaction can end.
SELECT namespace, action FROM prism.apply($$
namespaces:
  - name: publish-test
    client_api: queue
  - name: publish-second
    client_api: queue
  - name: publish-small
    client_api: queue
    needs:
      max_message_size: 1kB
$$);

-- What a topic holds; positions count from the first message of each look.
CREATE TABLE publish_seen (topic text PRIMARY KEY, next bigint NOT NULL);
CREATE FUNCTION publish_look(topic text DEFAULT 'publish-test')
RETURNS TABLE (nth bigint, key text, headers jsonb, payload text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	begins bigint := coalesce((SELECT s.next FROM publish_seen s WHERE s.topic = $1), 0);
BEGIN
	RETURN QUERY
		SELECT m."position" - begins, m.key, m.headers, encode(m.payload, 'escape')
		FROM prism.read($1, begins, 10000) m ORDER BY m."position";
	INSERT INTO publish_seen
		SELECT $1, max(m."position") + 1 FROM prism.read($1, begins, 10000) m HAVING max(m."position") IS NOT NULL
		ON CONFLICT (topic) DO UPDATE SET next = EXCLUDED.next;
END $$;
-- The positions are without gaps as long as no commit failed after it took some, which nothing in here does.

-- The four types of payloads. JSON gets its content type, so does text that is a JSON object or array.
SELECT prism.publish('publish-test', '{"b": 1,  "a": 2}'::jsonb) IS NOT NULL AS published;
SELECT prism.publish('publish-test', '{"b": 1,  "a": 2}'::json) IS NOT NULL AS published;
SELECT prism.publish('publish-test', 'plain text'::text) IS NOT NULL AS published;
SELECT prism.publish('publish-test', '\x00ff'::bytea) IS NOT NULL AS published;
SELECT prism.publish('publish-test', ' [1, 2]') IS NOT NULL AS published;
SELECT prism.publish('publish-test', '[1, 2') IS NOT NULL AS published;
SELECT prism.publish('publish-test', '"a string"') IS NOT NULL AS published;
SELECT prism.publish('publish-test', '7') IS NOT NULL AS published;
SELECT prism.publish('publish-test', '7'::jsonb) IS NOT NULL AS published;
SELECT prism.publish('publish-test', 'null'::jsonb) IS NOT NULL AS published;
SELECT prism.publish('publish-test', '') IS NOT NULL AS published;
SELECT prism.publish('publish-test', ''::bytea, 'empty') IS NOT NULL AS published;
SELECT * FROM publish_look();

-- Keys and headers; a content type of the caller's own stays.
SELECT prism.publish('publish-test', '{}'::jsonb, key => 'k', headers => '{"x": "1", "y": ""}') IS NOT NULL AS published;
SELECT prism.publish('publish-test', '{}'::jsonb, '', '{"Content-Type": "application/cloudevents+json"}') IS NOT NULL AS published;
SELECT prism.publish('publish-test', 'x'::text, headers => '{}') IS NOT NULL AS published;
SELECT prism.publish('publish-test', 'x'::text, namespace => 'publish-test') IS NOT NULL AS published;
SELECT prism.publish('publish-test', 'ä€😀', 'schlüssel', '{"é": "ß"}') IS NOT NULL AS published;
SELECT prism.publish('publish-test', NULL::jsonb, 'tombstone') IS NOT NULL AS published;
SELECT prism.publish('publish-test', NULL::json, 'tombstone') IS NOT NULL AS published;
SELECT prism.publish('publish-test', NULL::text, 'tombstone') IS NOT NULL AS published;
SELECT prism.publish('publish-test', NULL::bytea, 'tombstone', '{"h": "1"}') IS NOT NULL AS published;
SELECT * FROM publish_look();

-- Text that nests deeper than a JSON parser likes is published as text.
SELECT prism.publish('publish-test', repeat('[', 500000)) IS NOT NULL AS published;
SELECT prism.publish('publish-test', repeat('[', 900) || repeat(']', 900)) IS NOT NULL AS published;
SELECT headers, length(payload) FROM publish_look();

-- Ids are of version 7 and ascend with the positions of one session.
SELECT count(prism.publish('publish-second', i::text)) FROM generate_series(1, 500) i;
SELECT count(*), count(DISTINCT id), bool_and(id > former) AS ascend, bool_and(substr(id::text, 15, 1) = '7') AS version_7,
       bool_and(substr(id::text, 20, 1) IN ('8', '9', 'a', 'b')) AS variant
  FROM (SELECT id, lag(id) OVER (ORDER BY "position") AS former FROM prism.read('publish-second', 0, 10000)) m;

-- Batches
SELECT prism.publish_batch('publish-test', ARRAY['{"n": 1}', '{"n": 2}', NULL]::jsonb[], ARRAY['a', NULL, 'c'], ARRAY[NULL, '{"h": "2"}', NULL]::jsonb[]);
SELECT prism.publish_batch('publish-test', ARRAY['\x61', '\x62']::bytea[]);
SELECT prism.publish_batch('publish-test', '{}'::jsonb[]);
SELECT prism.publish_batch('publish-test', '{}'::bytea[], '{}', '{}', 'publish-test');
SELECT prism.publish_batch('publish-test', '[5:6]={"\\x63","\\x64"}'::bytea[], '[-1:0]={x,y}'::text[]);
SELECT * FROM publish_look();
SELECT prism.publish_batch('publish-second', array_agg(to_jsonb(i))) FROM generate_series(1, 2500) i;
SELECT * FROM prism.last_position();

-- What is refused, and what the error says.
CREATE FUNCTION publish_error(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text; message text; detail text; hint text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', state, message, nullif(detail, ''), nullif(hint, ''));
END $$;
\pset tuples_only on
\pset format unaligned
SELECT publish_error($$SELECT prism.publish('publish-tset', 'x')$$);
SELECT publish_error($$SELECT prism.publish('nothing like any', 'x')$$);
SELECT publish_error($$SELECT prism.publish('', 'x')$$);
SELECT publish_error($$SELECT prism.publish(repeat('x', 249), 'x')$$) LIKE '42704 | topic "xxx%" does not exist | %';
SELECT publish_error($$SELECT prism.publish(repeat('x', 100000), 'x')$$) LIKE '42704 | topic "xxx%" does not exist | %';
SELECT publish_error($$SELECT prism.publish(NULL, 'x')$$);
SELECT publish_error($$SELECT prism.publish('__prism_progress', 'x')$$);
SELECT publish_error($$SELECT prism.publish('publish-test', 'x', namespace => 'publish-second')$$);
SELECT publish_error($$SELECT prism.publish('publish-test', 'x', namespace => 'nowhere')$$);
SELECT publish_error($$SELECT prism.publish('publish-test', 'x', deliver_at => 'infinity')$$);
SELECT publish_error($$SELECT prism.publish('publish-test', 'x', deliver_at => '-infinity')$$);
SELECT publish_error($$SELECT prism.publish('publish-test', 'x', deliver_at => '294277-01-01')$$);
SELECT publish_error($$SELECT prism.publish('publish-test', NULL::text)$$);
SELECT publish_error($$SELECT prism.publish('publish-test', 'x', headers => '[]')$$);
SELECT publish_error($$SELECT prism.publish('publish-test', 'x', headers => '"s"')$$);
SELECT publish_error($$SELECT prism.publish('publish-test', 'x', headers => 'null')$$);
SELECT publish_error($$SELECT prism.publish('publish-test', 'x', headers => '{"a": 1}')$$);
SELECT publish_error($$SELECT prism.publish('publish-test', 'x', headers => '{"a": null}')$$);
SELECT publish_error($$SELECT prism.publish('publish-test', 'x', headers => '{"a": {"b": "c"}}')$$);
SELECT publish_error($$SELECT prism.publish('publish-test', 'x', headers => '{"a": ["b"]}')$$);
SELECT publish_error($$SELECT prism.publish('publish-test', 'x', headers => '{"id": "mine"}')$$);
SELECT publish_error($$SELECT prism.publish('publish-test', 'x', headers => jsonb_build_object('a', repeat('x', 1024 * 1024)))$$);
SELECT publish_error($$SELECT prism.publish('publish-test', 'x', key => repeat('k', 65537))$$);
SELECT publish_error($$SELECT prism.publish('publish-small', repeat('x', 1001))$$);
SELECT publish_error($$SELECT prism.publish('publish-small', convert_to(repeat('x', 1001), 'UTF8'))$$);
SELECT publish_error($$SELECT prism.publish('publish-small', to_jsonb(repeat('x', 999)))$$);
SELECT publish_error($$SELECT prism.publish_batch(NULL, '{}'::jsonb[])$$);
SELECT publish_error($$SELECT prism.publish_batch('publish-tset', '{}'::jsonb[])$$);
SELECT publish_error($$SELECT prism.publish_batch('publish-test', NULL::jsonb[])$$);
SELECT publish_error($$SELECT prism.publish_batch('publish-test', '{{1,2},{3,4}}'::jsonb[])$$);
SELECT publish_error($$SELECT prism.publish_batch('publish-test', '{1,2}'::jsonb[], '{k}')$$);
SELECT publish_error($$SELECT prism.publish_batch('publish-test', '{1,2}'::jsonb[], NULL, '{}')$$);
SELECT publish_error($$SELECT prism.publish_batch('publish-test', '{1,NULL}'::jsonb[])$$);
SELECT publish_error($$SELECT prism.publish_batch('publish-test', '{1,2}'::jsonb[], NULL, ARRAY['{}', '7']::jsonb[])$$);
SELECT publish_error($$SELECT prism.publish_batch('publish-small', ARRAY['\x00', convert_to(repeat('x', 1001), 'UTF8')])$$);
-- the limits themselves are allowed
SELECT publish_error($$SELECT prism.publish('publish-small', repeat('x', 1000), repeat('k', 65536))$$);
BEGIN READ ONLY;
SELECT prism.publish('publish-test', 'x');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SET default_transaction_read_only = on;
SELECT prism.publish_batch('publish-test', '{1}'::jsonb[]);
\echo :LAST_ERROR_SQLSTATE
RESET default_transaction_read_only;
BEGIN;
SELECT prism.publish('publish-test', 'x') IS NOT NULL AS published;
PREPARE TRANSACTION 'publish';
\echo :LAST_ERROR_SQLSTATE
-- nothing of what was refused is there
\pset tuples_only off
\pset format aligned
SELECT * FROM publish_look();
SELECT count(*) FROM publish_look('publish-small');

-- Rollback, savepoints, and what is left in which order.
BEGIN;
SELECT prism.publish('publish-test', 'rolled back') IS NOT NULL AS published;
ROLLBACK;
BEGIN;
SELECT prism.publish('publish-test', '1') IS NOT NULL AS published;
SAVEPOINT a;
SELECT prism.publish('publish-test', '2 gone') IS NOT NULL AS published;
ROLLBACK TO a;
SELECT prism.publish('publish-test', '3') IS NOT NULL AS published;
SAVEPOINT b;
SELECT prism.publish('publish-test', '4 gone') IS NOT NULL AS published;
SAVEPOINT c;
SELECT prism.publish('publish-test', '5 gone') IS NOT NULL AS published;
RELEASE c;
ROLLBACK TO b;
SAVEPOINT d;
SELECT prism.publish('publish-test', '6') IS NOT NULL AS published;
SAVEPOINT e;
SELECT prism.publish('publish-test', '7') IS NOT NULL AS published;
RELEASE d;
SAVEPOINT f;
SELECT prism.publish('publish-test', 'gone with an error') IS NOT NULL AS published;
SELECT 1 / 0;
ROLLBACK TO f;
SELECT prism.publish('publish-test', '8') IS NOT NULL AS published;
COMMIT;
SELECT * FROM publish_look();

-- The same with a buffer so small that all of it goes through a file.
SET prism.publish_buffer = '64kB';
CREATE FUNCTION publish_many(tag text, count int) RETURNS bigint LANGUAGE sql AS
	$$ SELECT count(prism.publish('publish-second', repeat(tag, 1000), key => tag, headers => jsonb_build_object('n', i::text))) FROM generate_series(1, count) i $$;
INSERT INTO publish_seen SELECT 'publish-second', max("position") + 1 FROM prism.read('publish-second', 0, 10000);
BEGIN;
SELECT publish_many('a', 200);
SAVEPOINT s1;
SELECT publish_many('b', 200);
SAVEPOINT s2;
SELECT publish_many('c', 200);
ROLLBACK TO s2;
SELECT publish_many('d', 10);
RELEASE s1;
SAVEPOINT s3;
SELECT publish_many('e', 200);
SELECT prism.publish('publish-test', 'another topic') IS NOT NULL AS published;
ROLLBACK TO s3;
SELECT publish_many('f', 100);
SAVEPOINT s4;
ROLLBACK TO s4;
COMMIT;
SELECT key, count(*), bool_and(payload = repeat(key, 1000)) AS whole, bool_and(former IS NULL OR former + 1 = n) AS in_order, min(nth), max(nth)
  FROM (SELECT *, (headers ->> 'n')::int AS n, lag((headers ->> 'n')::int) OVER (PARTITION BY key ORDER BY nth) AS former FROM publish_look('publish-second')) m
 GROUP BY key ORDER BY min(nth);
-- What was rolled back leaves no file, neither in an error nor with a savepoint around it.
CREATE VIEW publish_files AS SELECT count(*) > 0 AS files FROM pg_ls_tmpdir() WHERE name LIKE format('pgsql_tmp%s.%%', pg_backend_pid());
CREATE FUNCTION publish_noise() RETURNS bigint LANGUAGE sql AS $$ SELECT count(prism.publish('publish-second', noise))
	FROM (SELECT string_agg(md5(format('%s %s', i, j)), '') AS noise FROM generate_series(1, 200) i, generate_series(1, 60) j GROUP BY i) n $$;
BEGIN;
SELECT publish_noise();
SELECT files FROM publish_files;
ROLLBACK;
SELECT files FROM publish_files;
BEGIN;
SAVEPOINT s1;
SELECT publish_noise();
ROLLBACK TO s1;
SELECT publish_noise();
SELECT files FROM publish_files;
SELECT 1 / 0;
COMMIT;
SELECT files FROM publish_files;
RESET prism.publish_buffer;
SELECT * FROM publish_look();

-- An error at commit: nothing is published.
CREATE TABLE publish_once (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);
BEGIN;
INSERT INTO publish_once VALUES (1), (1);
SELECT prism.publish('publish-test', 'never') IS NOT NULL AS published;
COMMIT;
-- What a deferred trigger publishes belongs to the transaction.
CREATE FUNCTION publish_row() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN PERFORM prism.publish('publish-test', TG_ARGV[0] || NEW.id, 'row'); RETURN NEW; END $$;
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON publish_once DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION publish_row('deferred ');
CREATE TRIGGER before BEFORE INSERT ON publish_once FOR EACH ROW EXECUTE FUNCTION publish_row('before ');
BEGIN;
INSERT INTO publish_once VALUES (2);
SELECT prism.publish('publish-test', 'between') IS NOT NULL AS published;
COMMIT;
INSERT INTO publish_once VALUES (2);
SELECT * FROM publish_look();

-- A transaction that becomes read only after it has published commits what it published.
BEGIN;
SELECT prism.publish('publish-test', 'before READ ONLY') IS NOT NULL AS published;
SET TRANSACTION READ ONLY;
SELECT prism.publish('publish-test', 'after READ ONLY');
ROLLBACK;
BEGIN;
SELECT prism.publish('publish-test', 'before READ ONLY') IS NOT NULL AS published;
SET TRANSACTION READ ONLY;
COMMIT;
-- Isolation levels
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT prism.publish('publish-test', 'repeatable read') IS NOT NULL AS published;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT prism.publish('publish-test', 'serializable') IS NOT NULL AS published;
COMMIT AND CHAIN;
SELECT prism.publish('publish-test', 'chained') IS NOT NULL AS published;
COMMIT;
SELECT * FROM publish_look();

-- Cursors publish what is fetched; a holdable one the rest at commit.
BEGIN;
DECLARE fetched CURSOR FOR SELECT prism.publish('publish-test', 'cursor ' || i) IS NOT NULL AS published FROM generate_series(1, 3) i;
FETCH 2 FROM fetched;
COMMIT;
BEGIN;
DECLARE held NO SCROLL CURSOR WITH HOLD FOR SELECT prism.publish('publish-test', 'held ' || i) IS NOT NULL AS published FROM generate_series(1, 3) i;
FETCH 1 FROM held;
COMMIT;
FETCH 1 FROM held;
CLOSE held;
BEGIN;
DECLARE fetched CURSOR FOR SELECT prism.publish('publish-test', 'cursor of a savepoint ' || i) IS NOT NULL AS published FROM generate_series(1, 3) i;
SAVEPOINT s;
FETCH 1 FROM fetched;
ROLLBACK TO s;
FETCH 1 FROM fetched;
COMMIT;
SELECT * FROM publish_look();

-- PL/pgSQL: exception blocks are savepoints, procedures and DO may commit.
DO $$
BEGIN
	PERFORM prism.publish('publish-test', 'outer 1');
	BEGIN
		PERFORM prism.publish('publish-test', 'inner, gone');
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		PERFORM prism.publish('publish-test', 'handler');
	END;
	BEGIN
		PERFORM prism.publish('publish-test', 'inner, kept');
	EXCEPTION WHEN OTHERS THEN
		RAISE;
	END;
	PERFORM prism.publish('publish-test', 'outer 2');
END $$;
CREATE PROCEDURE publish_steps() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 4 LOOP
		PERFORM prism.publish('publish-test', 'step ' || i);
		IF i % 2 = 0 THEN COMMIT; ELSIF i = 3 THEN ROLLBACK; END IF;
	END LOOP;
	PERFORM prism.publish('publish-test', 'last step');
END $$;
CALL publish_steps();
SELECT * FROM publish_look();

-- A refused message leaves the others of its transaction alone.
DO $$
BEGIN
	PERFORM prism.publish('publish-small', 'good');
	BEGIN
		PERFORM prism.publish('publish-small', repeat('x', 2000));
	EXCEPTION WHEN program_limit_exceeded THEN
		PERFORM prism.publish('publish-small', 'also good');
	END;
END $$;
SELECT payload FROM publish_look('publish-small');

-- Several topics: last_position tells each of them, in the order of first use, of the last transaction that published.
BEGIN;
SELECT prism.publish('publish-small', 'x') IS NOT NULL, prism.publish('publish-test', 'x') IS NOT NULL, prism.publish('publish-small', 'y') IS NOT NULL;
SELECT count(*) FROM prism.last_position() WHERE topic = 'publish-test';
COMMIT;
SELECT topic, last - first AS more FROM prism.last_position();
BEGIN;
SELECT prism.publish('publish-test', 'x') IS NOT NULL AS published;
ROLLBACK;
SELECT topic, last - first AS more FROM prism.last_position();
SELECT l.topic, l.last = max(m."position") AS true FROM prism.last_position() l, prism.read(l.topic, 0, 10000) m GROUP BY l.topic, l.last ORDER BY 1;
-- An acknowledgement publishes to prism's own topics alone: it stays the last one that published to a user's.
SELECT count(prism.ack(m)) FROM prism.consume('publish-small', 'publish-last', 2) m;
SELECT topic, last - first AS more FROM prism.last_position();
SELECT prism.drop_group('publish-small', 'publish-last');
SELECT count(*) FROM publish_look();

-- Toasted values, compressed values and values from tables arrive as they were.
CREATE TABLE publish_large (id int, payload bytea, document jsonb);
ALTER TABLE publish_large ALTER payload SET STORAGE EXTERNAL;
INSERT INTO publish_large
	SELECT i, string_agg(sha256((i * 1000 + j)::text::bytea), NULL ORDER BY j), jsonb_agg(md5((i * 1000 + j)::text))
	FROM generate_series(1, 3) i, generate_series(1, 1000) j GROUP BY i;
SELECT prism.publish('publish-second', payload, id::text) IS NOT NULL AS published FROM publish_large ORDER BY id;
SELECT prism.publish('publish-second', document, id::text) IS NOT NULL AS published FROM publish_large ORDER BY id;
SELECT prism.publish_batch('publish-second', array_agg(payload ORDER BY id), array_agg(id::text ORDER BY id)) FROM publish_large;
SELECT count(*), count(*) FILTER (WHERE m.payload = l.payload OR m.payload = convert_to(l.document::text, 'UTF8')) AS same
  FROM prism.read('publish-second', 0, 10000) m JOIN publish_large l ON m.key = l.id::text
 WHERE m."position" >= (SELECT next FROM publish_seen WHERE topic = 'publish-second');

-- Topics that are made and dropped around messages.
BEGIN;
SELECT action FROM prism.apply('namespaces: [{name: publish-passing, client_api: queue}]');
SELECT prism.publish('publish-passing', 'in the same transaction') IS NOT NULL AS published;
COMMIT;
SELECT * FROM publish_look('publish-passing');
BEGIN;
SELECT prism.publish('publish-passing', 'before the drop that is rolled back') IS NOT NULL AS published;
SAVEPOINT s;
SELECT prism.drop_namespace('publish-passing');
SELECT prism.publish('publish-passing', 'x');
ROLLBACK TO s;
SELECT prism.publish('publish-passing', 'after it') IS NOT NULL AS published;
COMMIT;
SELECT prism.publish('publish-passing', 'later') IS NOT NULL AS published;
SELECT * FROM publish_look('publish-passing');
BEGIN;
SELECT prism.publish('publish-passing', 'before the drop') IS NOT NULL AS published;
SELECT prism.drop_namespace('publish-passing');
COMMIT;
SELECT prism.publish('publish-passing', 'x');
BEGIN;
SAVEPOINT s;
SELECT action FROM prism.apply('namespaces: [{name: publish-passing, client_api: queue}]');
SELECT prism.publish('publish-passing', 'x') IS NOT NULL AS published;
ROLLBACK TO s;
SELECT prism.publish('publish-test', 'the topic of a savepoint is gone, this is not') IS NOT NULL AS published;
COMMIT;
SELECT prism.publish('publish-passing', 'x');
SELECT * FROM publish_look();
BEGIN;
SELECT action FROM prism.apply('namespaces: [{name: publish-passing, client_api: queue}]');
PREPARE TRANSACTION 'publish';
\echo :LAST_ERROR_SQLSTATE

-- A client that does not read holds up his commit, but no reader: nothing is said between registration and commit.
SET trace_notify = on;
SET client_min_messages = debug1;
BEGIN;
SELECT prism.publish('publish-test', 'x') IS NOT NULL AS published;
NOTIFY publish_test;
COMMIT;
RESET client_min_messages;
RESET trace_notify;

-- last_position() is for the role that published, and for its session: not across SET ROLE, not for a pooler's next client.
CREATE ROLE regress_publish_next;
GRANT USAGE ON SCHEMA prism TO regress_publish_next;
GRANT EXECUTE ON FUNCTION prism.last_position() TO regress_publish_next;
SELECT prism.publish('publish-small', 'x') IS NOT NULL AS published;
SELECT topic, last - first AS more FROM prism.last_position();
SET ROLE regress_publish_next;
SELECT count(*) FROM prism.last_position();
RESET ROLE;
SELECT count(*) FROM prism.last_position();
DISCARD TEMP;
SELECT count(*) FROM prism.last_position();
DISCARD ALL;
SELECT count(*) FROM prism.last_position();
REVOKE ALL ON FUNCTION prism.last_position() FROM regress_publish_next;
REVOKE ALL ON SCHEMA prism FROM regress_publish_next;
DROP ROLE regress_publish_next;

SELECT prism.drop_namespace(name) FROM (VALUES ('publish-test'), ('publish-second'), ('publish-small')) AS v(name);
DROP TABLE publish_seen, publish_once, publish_large;
DROP FUNCTION publish_look(text), publish_error(text), publish_many(text, int), publish_row();
DROP PROCEDURE publish_steps();
