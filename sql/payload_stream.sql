-- Payloads that come in pieces: any number of transactions, one message; and those out of a large object.
SELECT namespace, action FROM prism.apply($$
namespaces:
  - name: stream
    client_api: queue
    patterns:
      - type: claim-check
        threshold: 1000
        storage: postgres
    needs:
      max_message_size: 2MB
  - name: stream-other
    client_api: queue
    patterns:
      - type: claim-check
        threshold: 1000
        storage: postgres
  - name: stream-plain
    client_api: queue
$$);
\set QUIET on
CREATE FUNCTION stream_bytes(seed text, bytes int) RETURNS bytea LANGUAGE sql IMMUTABLE AS
$$ SELECT substring(coalesce(string_agg(sha512((seed || i)::bytea), '' ORDER BY i), '') FROM 1 FOR bytes) FROM generate_series(1, (bytes + 63) / 64) i $$;
-- How a message's payload is stored: 'claim' beside the log, else in it.
CREATE FUNCTION stream_stored(of_topic text) RETURNS TABLE (key text, stored text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT key, CASE WHEN messages = -1 THEN ''claim'' ELSE ''in the log'' END FROM prism_log.topic_%s_0 ORDER BY "offset"',
        (SELECT t.topic_id FROM prism.topic t WHERE t.name = of_topic));
END $$;
\set QUIET off

-- Pieces of any length, over transactions.
SELECT prism.payload_open('stream') AS one \gset
SELECT prism.payload_append(:'one', stream_bytes('a', 10000)), prism.payload_append(:'one', ''), prism.payload_append(:'one', 'x');
SELECT prism.payload_append(:'one', stream_bytes('b', 20000));
SELECT topic_id = (SELECT topic_id FROM prism.topic WHERE name = 'stream') AS of_topic, kind, expires_at - now() BETWEEN '23 hours 59 minutes' AND '1 day' AS a_day, owner = current_user AS mine FROM prism.open_payload WHERE payload_id = :'one';
SELECT prism.publish_payload('stream', :'one', 'one', '{"own": "1"}') IS NOT NULL AS published;
SELECT key, headers, payload = stream_bytes('a', 10000) || 'x' || stream_bytes('b', 20000) AS same, prism.ack(m) FROM prism.consume('stream', 'g') AS m;
-- it is published once
SELECT prism.publish_payload('stream', :'one');
SELECT prism.payload_append(:'one', 'x');
SELECT prism.payload_discard(:'one');
SELECT count(*) FROM prism.open_payload WHERE kind = 's';

-- All in one transaction; a savepoint takes its pieces along, and so does an error in a block.
BEGIN;
SELECT prism.payload_open('stream') AS two \gset
SELECT prism.payload_append(:'two', stream_bytes('kept', 5000));
SAVEPOINT s;
SELECT prism.payload_append(:'two', stream_bytes('gone', 5000));
ROLLBACK TO s;
SELECT prism.payload_append(:'two', stream_bytes('also kept', 5000));
DO $do$ BEGIN PERFORM prism.payload_append((SELECT payload_id FROM prism.open_payload WHERE kind = 's'), 'gone as well'); RAISE 'undo'; EXCEPTION WHEN raise_exception THEN NULL; END $do$;
DO $do$ BEGIN PERFORM prism.payload_append((SELECT payload_id FROM prism.open_payload WHERE kind = 's'), 'of a block'); EXCEPTION WHEN raise_exception THEN NULL; END $do$;
SELECT prism.payload_append(:'two', 'the end');
SELECT prism.publish_payload('stream', :'two', 'two') IS NOT NULL AS published;
COMMIT;
SELECT key, payload = stream_bytes('kept', 5000) || stream_bytes('also kept', 5000) || 'of a block' || 'the end' AS same, prism.ack(m) FROM prism.consume('stream', 'g') AS m;

-- A transaction that is rolled back takes its pieces along, other bytes of the same length may follow; and the publication.
SELECT prism.payload_open('stream') AS three \gset
SELECT prism.payload_append(:'three', stream_bytes('committed', 3000));
BEGIN; SELECT prism.payload_append(:'three', stream_bytes('rolled back', 3000)); ROLLBACK;
SELECT prism.payload_append(:'three', stream_bytes('after it', 3000));
BEGIN; SELECT prism.publish_payload('stream', :'three', 'three') IS NOT NULL AS published; ROLLBACK;
BEGIN; SELECT prism.payload_discard(:'three'); SELECT prism.payload_append(:'three', 'x'); ROLLBACK;
BEGIN;
SAVEPOINT s; SELECT prism.publish_payload('stream', :'three', 'three') IS NOT NULL AS published; ROLLBACK TO s;
SELECT prism.payload_append(:'three', 'one more');
SELECT prism.publish_payload('stream', :'three', 'three', namespace => 'stream') IS NOT NULL AS published;
COMMIT;
SELECT key, payload = stream_bytes('committed', 3000) || stream_bytes('after it', 3000) || 'one more' AS same, prism.ack(m) FROM prism.consume('stream', 'g') AS m;

-- Not larger than the threshold: a message like others.
SELECT prism.payload_open('stream') AS small \gset
SELECT prism.payload_append(:'small', stream_bytes('s', 1000));
SELECT prism.publish_payload('stream', :'small', 'as large') IS NOT NULL AS published;
SELECT prism.payload_open('stream') AS small \gset
SELECT prism.payload_append(:'small', stream_bytes('s', 1001));
SELECT prism.publish_payload('stream', :'small', 'larger') IS NOT NULL AS published;
SELECT prism.payload_open('stream') AS small \gset
SELECT prism.publish_payload('stream', :'small', 'empty') IS NOT NULL AS published;
SELECT key, payload = stream_bytes('s', length(payload)) AS same, length(payload), prism.ack(m) FROM prism.consume('stream', 'g') AS m;
SELECT * FROM stream_stored('stream');

-- COPY and INSERT: each row is a piece.
SELECT prism.payload_open('stream', valid => '1 hour') AS four \gset
SELECT prism.payload_open('stream') AS five \gset
INSERT INTO prism.payload_piece VALUES (:'four', 'one '), (:'five', '1 '), (:'four', 'two ');
INSERT INTO prism.payload_piece (bytes, payload) SELECT stream_bytes('i' || i, 9000), :'four' FROM generate_series(1, 5) i;
\set QUIET on
CREATE TABLE stream_pieces (payload uuid, bytes bytea);
INSERT INTO stream_pieces SELECT :'four', stream_bytes('c' || i, 50000) FROM generate_series(1, 4) i;
\set QUIET off
INSERT INTO prism.payload_piece SELECT * FROM stream_pieces;
SELECT count(*) FROM prism.payload_piece;
SELECT prism.publish_payload('stream', :'four', 'four') IS NOT NULL AS published, prism.publish_payload('stream', :'five', 'five') IS NOT NULL AS published;
SELECT key, payload = CASE key WHEN 'five' THEN '1 ' ELSE 'one two '::bytea || (SELECT string_agg(stream_bytes('i' || i, 9000), '' ORDER BY i) FROM generate_series(1, 5) i)
    || (SELECT string_agg(stream_bytes('c' || i, 50000), '' ORDER BY i) FROM generate_series(1, 4) i) END AS same, prism.ack(m) FROM prism.consume('stream', 'g') AS m;
-- text format as well
SELECT prism.payload_open('stream') AS six \gset
SELECT format('COPY prism.payload_piece FROM PROGRAM %L', format('printf ''%s\t\\\\x616263\n%s\t\\\\x646566\n''', :'six', :'six')) AS copy \gset
:copy;
SELECT prism.publish_payload('stream', :'six', 'six') IS NOT NULL AS published;
SELECT key, convert_from(payload, 'UTF8'), prism.ack(m) FROM prism.consume('stream', 'g') AS m;

-- Out of a table: pieces that are out of line are read in slices.
SELECT prism.payload_open('stream') AS seven \gset
CREATE TABLE stream_large (bytes bytea);
ALTER TABLE stream_large ALTER bytes SET STORAGE EXTERNAL;
INSERT INTO stream_large VALUES (stream_bytes('out of line', 1500000));
SELECT prism.payload_append(:'seven', bytes) FROM stream_large;
ALTER TABLE stream_large ALTER bytes SET STORAGE EXTENDED;
TRUNCATE stream_large;
INSERT INTO stream_large VALUES (repeat('compressed', 20000)::bytea);
SELECT prism.payload_append(:'seven', bytes) FROM stream_large;
SELECT prism.publish_payload('stream', :'seven', 'seven') IS NOT NULL AS published;
SELECT key, payload = stream_bytes('out of line', 1500000) || repeat('compressed', 20000)::bytea AS same, prism.ack(m) FROM prism.consume('stream', 'g') AS m;

-- For later: pinned until it is delivered.
SELECT prism.payload_open('stream') AS later \gset
SELECT prism.payload_append(:'later', stream_bytes('later', 3000));
BEGIN;
SELECT prism.publish_payload('stream', :'later', 'later', deliver_at => now() + interval '1 day') IS NOT NULL AS published;
SELECT kind, expires_at FROM prism.open_payload WHERE payload_id = :'later';
ROLLBACK;
SELECT prism.publish_payload('stream', :'later', 'later', deliver_at => clock_timestamp() + interval '300 ms') IS NOT NULL AS published;
SELECT key, payload = stream_bytes('later', 3000) AS same, prism.ack(m) FROM prism.consume('stream', 'g', wait => '1 minute') AS m;

-- Too large: told with the piece that is, and nothing is lost of what was there.
SELECT prism.payload_open('stream') AS large \gset
SELECT prism.payload_append(:'large', stream_bytes('l', 1999999));
SELECT prism.payload_append(:'large', 'xy');
SELECT prism.payload_append(:'large', 'x');
SELECT prism.publish_payload('stream', :'large', 'large') IS NOT NULL AS published;
SELECT length(payload), prism.ack(m) FROM prism.consume('stream', 'g') AS m;

-- A stream is its role's, which needs the right to publish, then and now.
CREATE ROLE stream_writer; CREATE ROLE stream_stranger; CREATE ROLE stream_nobody;
SELECT prism.grant('stream', 'publish', role) FROM unnest(ARRAY['stream_writer', 'stream_stranger']) role;
SELECT prism.grant('stream-plain', 'publish', 'stream_writer');
SET ROLE stream_nobody;
SELECT prism.payload_open('stream');
INSERT INTO prism.payload_piece VALUES (:'large', 'x');
SET ROLE stream_writer;
SELECT prism.payload_open('stream') AS mine \gset
SELECT prism.payload_append(:'mine', 'mine');
SELECT prism.payload_open('stream-other');
BEGIN;
SELECT prism.payload_append(:'mine', ' and mine');
SET LOCAL ROLE stream_stranger;
SELECT prism.payload_append(:'mine', 'not mine');
ROLLBACK;
SET ROLE stream_stranger;
SELECT prism.publish_payload('stream', :'mine');
SELECT prism.payload_discard(:'mine');
INSERT INTO prism.payload_piece VALUES (:'mine', 'not mine');
RESET ROLE;
BEGIN;
SET LOCAL ROLE stream_writer;
SELECT prism.payload_append(:'mine', ', still');
RESET ROLE;
SELECT prism.revoke('stream', 'publish', 'stream_writer');
SET LOCAL ROLE stream_writer;
SELECT prism.payload_append(:'mine', ', not any more');
ROLLBACK;
SET ROLE stream_writer;
SELECT prism.publish_payload('stream', :'mine', 'mine') IS NOT NULL AS published;
RESET ROLE;
SELECT convert_from(payload, 'UTF8'), prism.ack(m) FROM prism.consume('stream', 'g') AS m;

-- Refused.
SELECT prism.payload_open(NULL);
SELECT prism.payload_open('nowhere');
SELECT prism.payload_open('stream-plain');
SELECT prism.payload_open('stream', valid => NULL);
SELECT prism.payload_open('stream', valid => '0');
SELECT prism.payload_open('stream', valid => '1 year');
SELECT prism.payload_append(NULL, 'x');
SELECT prism.payload_append('01999999-0000-7000-8000-000000000000', 'x');
SELECT prism.payload_open('stream') AS eight \gset
SELECT prism.payload_append(:'eight', NULL);
INSERT INTO prism.payload_piece VALUES (NULL, 'x');
INSERT INTO prism.payload_piece VALUES (:'eight', NULL);
SELECT prism.publish_payload('stream', NULL);
SELECT prism.publish_payload('stream-other', :'eight');
SELECT prism.publish_payload('stream-plain', :'eight');
SELECT prism.publish_payload('stream', :'eight', namespace => 'stream-other');
SELECT prism.publish_payload('stream', :'eight', deliver_at => 'infinity');
SELECT prism.publish_payload('stream', :'eight', repeat('k', 65537));
SELECT prism.payload_discard(NULL);
BEGIN READ ONLY; SELECT prism.payload_append(:'eight', 'x'); ROLLBACK;
BEGIN READ ONLY; SELECT prism.payload_open('stream'); ROLLBACK;
SET session_replication_role = replica;
INSERT INTO prism.payload_piece VALUES (:'eight', 'x');
RESET session_replication_role;
CREATE VIEW stream_view AS SELECT NULL::uuid AS payload, NULL::text AS bytes WHERE false;
CREATE TRIGGER append INSTEAD OF INSERT ON stream_view FOR EACH ROW EXECUTE FUNCTION prism.payload_piece_insert();
INSERT INTO stream_view VALUES (:'eight', 'x');
SELECT prism.payload_discard(:'eight'), prism.payload_discard(:'eight');
-- expired
SELECT prism.payload_open('stream') AS nine \gset
UPDATE prism.open_payload SET expires_at = now() - interval '1 s' WHERE payload_id = :'nine';
SELECT prism.payload_append(:'nine', 'x');
SELECT prism.publish_payload('stream', :'nine');
SELECT prism.payload_discard(:'nine') IS NOT NULL AS discarded;

-- A large object, by the rights that one has on it.
SELECT lo_from_bytea(0, stream_bytes('object', 1500000)) AS object, lo_from_bytea(0, 'small') AS small_object, lo_create(0) AS empty_object \gset
SELECT prism.publish_large_object('stream', :object, 'object', '{"own": "1"}') IS NOT NULL AS published,
       prism.publish_large_object('stream', :small_object, 'small object', namespace => 'stream') IS NOT NULL AS published,
       prism.publish_large_object('stream', :empty_object, 'empty object') IS NOT NULL AS published;
SELECT prism.publish_large_object('stream-plain', :small_object, 'plain') IS NOT NULL AS published;
-- where nothing was written there are zeros
SELECT lo_put(:empty_object, 100000, 'end');
SELECT prism.publish_large_object('stream', :empty_object, 'holes') IS NOT NULL AS published;
SELECT key, headers, length(payload), payload IN (stream_bytes('object', 1500000), 'small', '', decode(repeat('00', 100000), 'hex') || 'end') AS same, prism.ack(m) FROM prism.consume('stream', 'g') AS m;
SELECT key, payload = 'small' AS same, prism.ack(m) FROM prism.consume('stream-plain', 'g') AS m;
SELECT key, stored FROM stream_stored('stream') WHERE key LIKE '%object' OR key = 'holes';
SELECT prism.publish_large_object('stream', 4711);
SELECT prism.publish_large_object('stream', NULL);
SELECT lo_from_bytea(0, stream_bytes('object', 2000001)) AS too_large \gset
SELECT prism.publish_large_object('stream', :too_large);
SET ROLE stream_stranger;
\set VERBOSITY sqlstate
SELECT prism.publish_large_object('stream', :object);
\set VERBOSITY default
RESET ROLE;
GRANT SELECT ON LARGE OBJECT :object TO stream_stranger;
SET ROLE stream_stranger;
SELECT prism.publish_large_object('stream', :object) IS NOT NULL AS published;
RESET ROLE;
SELECT payload = stream_bytes('object', 1500000) AS same, prism.ack(m) FROM prism.consume('stream', 'g') AS m;

-- ------------------------------------------------------------------
-- A topic that is dropped takes its streams along, also for another one of its name.
-- ------------------------------------------------------------------
SELECT prism.payload_open('stream-other') AS gone \gset
SELECT prism.payload_append(:'gone', stream_bytes('gone', 100000));
SELECT prism.drop_namespace('stream-other', force => true);
SELECT prism.payload_append(:'gone', 'more');
SELECT count(*) FROM prism.apply(E'name: stream-other\npatterns:\n  - type: claim-check\n    threshold: 1000\n') WHERE action = 'created';
SELECT prism.publish_payload('stream-other', :'gone');
SELECT prism.payload_discard(:'gone');

SELECT count(*) FROM prism.open_payload WHERE kind = 's';
SELECT lo_unlink(:object), lo_unlink(:small_object), lo_unlink(:empty_object), lo_unlink(:too_large);
SELECT count(prism.drop_namespace(name, force => true)) FROM unnest(ARRAY['stream', 'stream-other', 'stream-plain']) name;
DROP VIEW stream_view;
DROP TABLE stream_large, stream_pieces;
DROP FUNCTION stream_bytes, stream_stored;
DROP ROLE stream_writer, stream_stranger, stream_nobody;
