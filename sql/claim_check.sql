-- The claim check: payloads larger than the threshold lie beside the log, and come back as they were published.
SELECT namespace, action FROM prism.apply($$
namespaces:
  - name: cc
    client_api: queue
    patterns:
      - type: claim-check
        threshold: 1000
        storage: postgres
      - type: outbox
        table: cc_outbox
  - name: cc-plain
    client_api: queue
$$);
\set QUIET on
-- Bytes that no method makes shorter.
CREATE FUNCTION cc_bytes(seed text, bytes int) RETURNS bytea LANGUAGE sql IMMUTABLE AS
$$ SELECT substring(coalesce(string_agg(sha512((seed || i)::bytea), '' ORDER BY i), '') FROM 1 FOR bytes) FROM generate_series(1, (bytes + 63) / 64) i $$;
-- The rows of a topic's log, as they lie there.
CREATE FUNCTION cc_rows(of_topic text, OUT first bigint, OUT messages int, OUT payload_bytes int) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT "offset", messages, length(payload) FROM prism_log.topic_%s_0 ORDER BY 1',
        (SELECT t.topic_id FROM prism.topic t WHERE t.name = of_topic));
END $$;
-- The error of a statement, which tells topics by their numbers.
CREATE FUNCTION cc_error(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    EXECUTE statement;
    RETURN 'none';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(': ', SQLSTATE, SQLERRM, regexp_replace(detail, 'topic_\d+_', 'topic_N_'));
END $$;
-- What a statement does to each of its payload segments; of a query, the sum.
CREATE FUNCTION cc_beside(of_topic text, statement text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    segment text;
    one bigint;
    total bigint := 0;
BEGIN
    FOR segment IN SELECT c.oid::regclass FROM prism.topic t JOIN pg_class c ON c.relname ~ format('^topic_%s_payload_\d+$', t.topic_id) WHERE t.name = of_topic LOOP
        EXECUTE format(statement, segment) INTO one;
        total := total + one;
    END LOOP;
    RETURN total;
END $$;
\set QUIET off

-- Larger than the threshold, not as large; nothing is something else than NULL.
SELECT count(prism.publish('cc', cc_bytes('edge', n), n::text)) FROM unnest(ARRAY[0, 1, 1000, 1001, 100000]) n;
SELECT prism.publish('cc', NULL::bytea, 'tombstone') IS NOT NULL AS published;
SELECT key, length(payload), payload = cc_bytes('edge', CASE WHEN key <> 'tombstone' THEN key::int END) AS same, headers, prism.ack(m)
  FROM prism.consume('cc', 'g') AS m;
SELECT first, messages, CASE WHEN messages = -1 THEN payload_bytes BETWEEN 50 AND 120 END AS is_short_claim FROM cc_rows('cc');
SELECT "position", length(payload), payload = cc_bytes('edge', 100000) AS same FROM prism.read('cc', 3);

-- All forms of publish().
SELECT count(prism.publish('cc', repeat(form, 700), form)) FROM unnest(ARRAY['text', 'ünicode']) form;
SELECT prism.publish('cc', jsonb_build_object('pad', repeat('jsonb', 300)), 'jsonb') IS NOT NULL AS published;
SELECT prism.publish('cc', json_build_object('pad', repeat('json', 300)), 'json') IS NOT NULL AS published;
SELECT prism.publish_batch('cc', ARRAY['small', repeat('large', 300), NULL, 'small'], keys => ARRAY['b1', 'b2', 'b3', 'b4']);
SELECT prism.publish_batch('cc', ARRAY[jsonb_build_object('pad', repeat('x', 2000))], keys => ARRAY['bj']);
SELECT prism.publish_batch('cc', ARRAY[cc_bytes('batch', 5000)], keys => ARRAY['bb']);
INSERT INTO prism.cc_outbox (key, payload) VALUES ('o1', repeat('outbox', 300)), ('o2', 'small');
SELECT key, length(payload), md5(payload), headers, prism.ack(m) FROM prism.consume('cc', 'g') AS m;

-- A claim stands alone: what is published around it shares rows.
BEGIN;
SELECT count(prism.publish('cc', CASE n WHEN 4 THEN cc_bytes('among', 3000) ELSE n::text::bytea END, n::text)) FROM generate_series(1, 8) n;
COMMIT;
SELECT messages FROM cc_rows('cc') ORDER BY first DESC LIMIT 3;
SELECT string_agg(key || ':' || length(payload), ' ' ORDER BY m."position") FROM prism.consume('cc', 'g') AS m, LATERAL (SELECT prism.ack(m)) a;
SELECT max("position") - 4 AS behind FROM prism.read('cc', 0, 1000) \gset
SELECT key, length(payload) FROM prism.read('cc', :behind, 2);

-- Bytes are written when the message is published: readers of the topic wait while a transaction commits.
BEGIN;
SELECT cc_beside('cc', 'SELECT coalesce(sum(length(bytes)), 0) FROM %s') AS before \gset
SELECT prism.publish('cc', cc_bytes('early', 50000), 'early') IS NOT NULL AS published;
SELECT cc_beside('cc', 'SELECT coalesce(sum(length(bytes)), 0) FROM %s') - :before AS written;
ROLLBACK;

-- A savepoint takes its claims along, a rollback all of them.
BEGIN;
SELECT prism.publish('cc', cc_bytes('kept', 2000), 'kept') IS NOT NULL AS published;
SAVEPOINT s;
SELECT prism.publish('cc', cc_bytes('gone', 2000), 'gone') IS NOT NULL AS published;
ROLLBACK TO s;
SELECT prism.publish('cc', cc_bytes('also kept', 3000), 'also kept') IS NOT NULL AS published;
-- in a view there is its reference, as in the RFC
SELECT key, payload, payload IS NULL AS is_null, headers - 'claim_check_id' AS headers, (headers ->> 'claim_check_id')::uuid IS NOT NULL AS has_id, "position"
  FROM prism.outbox WHERE topic = 'cc' AND "position" IS NULL;
COMMIT;
BEGIN; SELECT prism.publish('cc', cc_bytes('gone', 2000), 'gone') IS NOT NULL AS published; ROLLBACK;
SELECT key, payload = cc_bytes(key, length(payload)) AS same, length(payload), prism.ack(m) FROM prism.consume('cc', 'g') AS m;
SELECT key, payload, headers ->> 'payload_size' AS size FROM prism.cc_outbox WHERE headers ? 'claim_check_id' ORDER BY "position" DESC LIMIT 2;

-- Arguments that lie out of line, as they are or compressed.
CREATE TABLE cc_source (kind text, payload bytea);
ALTER TABLE cc_source ALTER payload SET STORAGE EXTERNAL;
INSERT INTO cc_source VALUES ('external', repeat('external ', 400000)::bytea);
ALTER TABLE cc_source ALTER payload SET STORAGE EXTENDED;
INSERT INTO cc_source VALUES ('compressed', repeat('compressed ', 400000)::bytea), ('in line', repeat('in line ', 200)::bytea);
SELECT kind, pg_column_size(payload) < length(payload) AS is_compressed, prism.publish('cc', payload, kind) IS NOT NULL AS published,
       prism.publish('cc-plain', payload, kind) IS NOT NULL AS published_without FROM cc_source;
SELECT m.key, m.payload = s.payload AS same, length(m.payload), prism.ack(m) FROM prism.consume('cc', 'g') AS m JOIN cc_source s ON s.kind = m.key;
SELECT m.key, m.payload = s.payload AS same, length(m.payload), prism.ack(m) FROM prism.consume('cc-plain', 'g') AS m JOIN cc_source s ON s.kind = m.key;
DROP TABLE cc_source;

-- More than is handed over with a message: an empty payload, which is no tombstone, and headers that tell what it is.
SELECT prism.publish('cc', cc_bytes('withheld', 20000), 'k', headers => '{"own": "1", "content-type": "text/x"}') IS NOT NULL AS published;
SELECT prism.publish('cc', jsonb_build_object('amount', 5, 'pad', repeat('x', 2000)), 'k') IS NOT NULL AS published;
SELECT prism.publish('cc', jsonb_build_object('amount', 500, 'pad', repeat('x', 2000)), 'k') IS NOT NULL AS published;
SET prism.max_inline_payload = '10kB';
SELECT key, payload, payload IS NULL AS is_null, headers - '{claim_check_id,payload_sha256}'::text[] AS headers,
       headers ->> 'payload_sha256' = encode(sha256(cc_bytes('withheld', 20000)), 'hex') AS right_hash
  FROM prism.consume('cc', 'reads', 1000) AS m WHERE headers ? 'own';
SELECT "position" AS large FROM prism.read('cc', 0, 1000) WHERE headers ? 'own' \gset
SELECT payload, headers ->> 'payload_size' AS size FROM prism.read('cc', :large, 1);
-- such headers are refused: nobody publishes again what he has not got
SELECT prism.publish('cc', payload, headers => headers) FROM prism.read('cc', :large, 1);
-- a filter looks into what is handed over, and takes what it cannot look at
SELECT length(payload), headers ->> 'payload_size' AS size, prism.ack(m) FROM prism.consume('cc', 'g', filter => '$.amount > 100') AS m;
RESET prism.max_inline_payload;
SELECT length(payload), headers FROM prism.read('cc', :large, 1);
SET prism.max_inline_payload = 0;
SELECT key, length(payload), headers ->> 'payload_size' AS size FROM prism.read('cc', 0, 6);
RESET prism.max_inline_payload;

-- For later: checked in at once, and pinned until it is delivered.
SELECT prism.publish('cc', cc_bytes('later', 4000), 'later', deliver_at => clock_timestamp() + interval '300 ms') IS NOT NULL AS published;
SELECT key, payload = cc_bytes('later', 4000) AS same, prism.ack(m) FROM prism.consume('cc', 'g', wait => '1 minute') AS m;
BEGIN;
SELECT prism.publish('cc', cc_bytes('never', 4000), 'never', deliver_at => now() + interval '1 day') IS NOT NULL AS published;
SELECT key, payload, headers ->> 'payload_size' AS size, deliver_at > now() AS waits FROM prism.outbox WHERE topic = 'cc' AND deliver_at IS NOT NULL;
SELECT count(*) FROM prism.open_payload WHERE topic_id = (SELECT topic_id FROM prism.topic WHERE name = 'cc');
ROLLBACK;
SELECT count(*) FROM prism.open_payload WHERE topic_id = (SELECT topic_id FROM prism.topic WHERE name = 'cc');

-- A payload counts among the bytes of its topic, wherever it lies.
SELECT bytes_total AS before FROM prism.topics WHERE topic = 'cc' \gset
SELECT prism.publish('cc', cc_bytes('counted', 1000000), 'counted') IS NOT NULL AS published;
BEGIN; SELECT prism.publish('cc', cc_bytes('gone', 1000000)) IS NOT NULL AS published; ROLLBACK;
SELECT bytes_total - :before BETWEEN 1000000 AND 1001000 AS counted FROM prism.topics WHERE topic = 'cc';
SELECT payload = cc_bytes('counted', 1000000) AS same, prism.ack(m) FROM prism.consume('cc', 'g') AS m;

-- What the caller may not publish is not written at all.
BEGIN READ ONLY; SELECT prism.publish('cc', cc_bytes('refused', 2000)); ROLLBACK;

-- Compressed, where that is worth it: the log and what lies beside it are the same to who reads.
SELECT count(*) FROM unnest(ARRAY['gzip', 'zstd', 'lz4']) AS word,
    prism.apply(format(E'name: cc-%s\nclient_api: queue\npatterns:\n  - type: claim-check\n    threshold: 1000\n    compression: %s\n    metadata_field: blob', word, word)) a WHERE a.action = 'created';
SELECT count(prism.publish('cc-' || word, payload, length(payload)::text)) FROM unnest(ARRAY['gzip', 'zstd', 'lz4']) AS word,
    (VALUES (repeat('compressible ', 300000)::bytea), (cc_bytes('incompressible', 1500000)), (repeat('short', 300)::bytea), (cc_bytes('at first', 1500) || repeat('x', 100)::bytea)) p(payload);
SELECT word, m.key, md5(m.payload), m.headers FROM unnest(ARRAY['gzip', 'zstd', 'lz4']) AS word, prism.consume('cc-' || word, 'g') AS m ORDER BY m."position", word;
SELECT word, cc_beside('cc-' || word, 'SELECT sum(length(bytes)) FROM %s') BETWEEN 1501600 AND 1600000 AS is_smaller FROM unnest(ARRAY['gzip', 'zstd', 'lz4']) AS word;
SET prism.max_inline_payload = '1kB';
SELECT headers - 'payload_sha256' - 'blob' AS headers, (headers ->> 'blob')::uuid IS NOT NULL AS has_id FROM prism.read('cc-zstd');
RESET prism.max_inline_payload;

-- What is damaged or missing is told: to who reads by an error, to a group by a dead letter, and nobody is stuck behind it.
SELECT action FROM prism.apply($$
name: cc-damage
client_api: queue
patterns:
  - type: claim-check
    threshold: 1000
$$);
SELECT count(prism.publish('cc-damage', CASE WHEN word LIKE 'good%' THEN word::bytea ELSE cc_bytes(word, 20000) END, word, headers => '{"own": "1"}'))
  FROM unnest(ARRAY['good 1', 'claim', 'no rows', 'a row less', 'the last row', 'a bit', 'good 2']) AS word;
SET prism.max_inline_payload = 0;
CREATE TABLE cc_ids AS SELECT key, "position", headers ->> 'claim_check_id' AS id FROM prism.read('cc-damage');
RESET prism.max_inline_payload;
\set QUIET on
SELECT cc_beside('cc-damage', (SELECT format('WITH gone AS (DELETE FROM %%s WHERE payload_id = %L RETURNING 1) SELECT count(*) FROM gone', id) FROM cc_ids WHERE key = 'no rows')) > 0 AS gone;
SELECT cc_beside('cc-damage', (SELECT format('WITH gone AS (DELETE FROM %%s WHERE payload_id = %L AND at BETWEEN 1 AND 10000 RETURNING 1) SELECT count(*) FROM gone', id) FROM cc_ids WHERE key = 'a row less')) > 0 AS gone;
SELECT cc_beside('cc-damage', (SELECT format('WITH gone AS (DELETE FROM %%s WHERE payload_id = %L AND at > 10000 RETURNING 1) SELECT count(*) FROM gone', id) FROM cc_ids WHERE key = 'the last row')) > 0 AS gone;
SELECT cc_beside('cc-damage', (SELECT format('WITH turned AS (UPDATE %%s SET bytes = set_bit(bytes, 77, 1 - get_bit(bytes, 77)) WHERE payload_id = %L AND at = 0 RETURNING 1) SELECT count(*) FROM turned', id) FROM cc_ids WHERE key = 'a bit')) > 0 AS turned;
\set ECHO none
SELECT format('UPDATE prism_log.topic_%s_0 SET payload = ''\x07'' WHERE "offset" = %s', topic_id, "position") FROM prism.topic, cc_ids WHERE name = 'cc-damage' AND key = 'claim' \gexec
\set ECHO all
\set QUIET off
SELECT key, payload FROM prism.read('cc-damage', 0, 1);
SELECT key, cc_error(format('SELECT FROM prism.read(''cc-damage'', %s, 1)', "position")) FROM cc_ids ORDER BY "position";
-- a view shows what there is
SELECT key, payload, headers - 'claim_check_id' - 'payload_sha256' AS headers FROM prism.outbox WHERE topic = 'cc-damage' AND key IN ('claim', 'a bit');
SELECT key, convert_from(payload, 'UTF8'), prism.ack(m) FROM prism.consume('cc-damage', 'g') AS m;
SELECT count(*) FROM prism.consume('cc-damage', 'g');
SELECT key, payload, headers ->> 'own' AS own, headers ->> 'payload_size' AS size, headers ->> 'dead_letter_reason' AS reason FROM prism.consume('cc-damage.dlq', 'g');
SELECT key, payload, headers ->> 'dead_letter_position' AS "position" FROM prism.read('cc-damage.dlq', 0, 1);
-- a row that says it has a claim, and has nothing, is a damaged row like any
\set ECHO none
SELECT format('UPDATE prism_log.topic_%s_0 SET payload = NULL, messages = -1 WHERE "offset" = 0', topic_id) FROM prism.topic WHERE name = 'cc-damage' \gexec
\set ECHO all
SELECT cc_error('SELECT FROM prism.read(''cc-damage'')');
\set ECHO none
SELECT format('UPDATE prism_log.topic_%s_0 SET payload = ''x'', messages = -2 WHERE "offset" = 0', topic_id) FROM prism.topic WHERE name = 'cc-damage' \gexec
\set ECHO all
SELECT cc_error('SELECT FROM prism.read(''cc-damage'')');

-- ------------------------------------------------------------------
-- Who works on a payload of a megabyte or more is shown, as long as he does.
-- ------------------------------------------------------------------
SELECT prism.publish('cc', cc_bytes('long', 3000000)) IS NOT NULL AS published;
CREATE VIEW cc_progress AS SELECT namespace, topic, what, bytes_done, bytes_total, pid = pg_backend_pid() AS mine, since <= clock_timestamp() AS begun FROM prism.progress;
SELECT max("position") AS long FROM prism.read('cc') \gset
BEGIN;
DECLARE pieces CURSOR FOR SELECT length(prism.payload_pieces('cc', :long, 1000000));
FETCH 1 FROM pieces;
SELECT * FROM cc_progress;
SAVEPOINT s;
FETCH 1 FROM pieces;
SELECT * FROM cc_progress;
-- with its last piece it is at its end
FETCH 1 FROM pieces;
SELECT count(*) FROM cc_progress;
ROLLBACK TO s;
CLOSE pieces;
DECLARE pieces CURSOR FOR SELECT length(prism.payload_pieces('cc', :long, 1000000));
FETCH 1 FROM pieces;
SELECT count(*) FROM cc_progress;
COMMIT;
SELECT count(*) FROM cc_progress;
-- an error ends it, one in a savepoint as well; less than a megabyte is not told
BEGIN;
SAVEPOINT s;
DECLARE pieces CURSOR FOR SELECT length(prism.payload_pieces('cc', :long, 1000000));
FETCH 1 FROM pieces;
SELECT count(*) FROM cc_progress;
ROLLBACK TO s;
SELECT count(*) FROM cc_progress;
DECLARE pieces CURSOR FOR SELECT length(prism.payload_pieces('cc', :long - 1, 100));
FETCH 1 FROM pieces;
SELECT count(*) FROM cc_progress;
COMMIT;
DROP VIEW cc_progress;

SELECT count(prism.drop_namespace(name, force => true)) FROM unnest(ARRAY['cc', 'cc-plain', 'cc-damage', 'cc-gzip', 'cc-zstd', 'cc-lz4']) name;
DROP TABLE cc_ids;
DROP FUNCTION cc_bytes, cc_rows, cc_error, cc_beside;
