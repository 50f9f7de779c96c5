-- The payload of one message, of any size: in parts, in pieces, as a large object.
SELECT namespace, action FROM prism.apply($$
namespaces:
  - name: out
    client_api: queue
    patterns: [{type: claim-check, threshold: 1000, storage: postgres}]
  - name: out-zstd
    client_api: queue
    patterns: [{type: claim-check, threshold: 1000, storage: postgres, compression: zstd}]
$$);
CREATE FUNCTION out_bytes(bytes integer) RETURNS bytea LANGUAGE sql IMMUTABLE AS
$$ SELECT substr(string_agg(sha256(i::text::bytea), '' ORDER BY i), 1, bytes) FROM generate_series(0, bytes / 32) AS i $$;
-- The error of a statement, which tells tables by their numbers.
CREATE FUNCTION out_error(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    EXECUTE statement;
    RETURN 'none';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(': ', SQLSTATE, SQLERRM, regexp_replace(detail, '[0-9a-f]{64}', 'sha', 'g'));
END $$;
-- In its row, beside the log (one page, and many), compressed blocks of which the last is short, and none.
SELECT prism.publish('out', '0123456789'::text) IS NOT NULL, prism.publish('out', out_bytes(1001)) IS NOT NULL, prism.publish('out', out_bytes(3000000)) IS NOT NULL,
    prism.publish('out', NULL::bytea, 'tombstone') IS NOT NULL, prism.publish('out', ''::bytea) IS NOT NULL, prism.publish('out', repeat('compressible', 80)) IS NOT NULL;
SELECT prism.publish('out-zstd', encode(out_bytes(1500000), 'hex')) IS NOT NULL;

SELECT p AS "position", prism.payload_read(t, p, 0, 5000000) = m.payload AS same, prism.payload_read(t, p, 3, 5) = substr(m.payload, 4, 5) AS part,
    length(prism.payload_read(t, p, 999999, 10)) AS behind, length(prism.payload_read(t, p, length(m.payload))) AS at_the_end, length(prism.payload_read(t, p, 9223372036854775807)) AS far_behind,
    length(prism.payload_read(t, p)) AS by_default, prism.payload_read(t, p, 2, 0) AS none
    FROM unnest('{out,out-zstd}'::text[]) AS t, prism.read(t) AS m, LATERAL (SELECT m."position") AS o(p) WHERE m.payload IS NOT NULL ORDER BY t, 1;
-- Across the borders of blocks and rows.
SELECT count(*) FILTER (WHERE prism.payload_read('out-zstd', 0, f, 7) IS DISTINCT FROM substr(convert_to(encode(out_bytes(1500000), 'hex'), 'UTF8'), f + 1, 7)) AS wrong,
    count(*) FILTER (WHERE prism.payload_read('out', 2, f, 7) IS DISTINCT FROM substr(out_bytes(3000000), f + 1, 7)) AS also_wrong
    FROM unnest(ARRAY[0, 1, 8101, 8102, 8107, 8108, 8109, 1048569, 1048570, 1048575, 1048576, 2097151, 2999993, 2999999]) AS f;

-- Pieces.
SELECT t, p, piece, count(*), min(length(b)), max(length(b)), string_agg(b, '' ORDER BY n) = prism.payload_read(t, p, 0, 5000000) AS same
    FROM (VALUES ('out', 0, 3), ('out', 0, 10), ('out', 1, 1000), ('out', 1, 1001), ('out', 2, 1048576), ('out', 2, 999999), ('out', 5, 100), ('out-zstd', 0, 1500000)) AS c(t, p, piece),
        LATERAL prism.payload_pieces(t, p, piece) WITH ORDINALITY AS s(b, n) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT count(*) FROM prism.payload_pieces('out', 4);
SELECT length(prism.payload_pieces('out', 2)) LIMIT 2;
BEGIN;
DECLARE c CURSOR FOR SELECT length(prism.payload_pieces('out', 2, 1000000));
FETCH 1 FROM c;
SAVEPOINT s;
FETCH 1 FROM c;
ROLLBACK TO s;
FETCH ALL FROM c;
COMMIT;
-- What is read piece by piece is not dropped in between.
BEGIN;
DECLARE c CURSOR FOR SELECT length(prism.payload_pieces('out', 2, 1000000));
FETCH 1 FROM c;
SELECT count(*), min(mode) FROM pg_locks JOIN pg_class ON relation = pg_class.oid WHERE pid = pg_backend_pid() AND relname ~ '_payload_\d+$';
COMMIT;

-- A large object.
CREATE TEMP TABLE exported AS SELECT p, prism.payload_export('out', p) AS o FROM unnest(ARRAY[0, 1, 2, 4]) AS p;
SELECT p, length(lo_get(o)), lo_get(o) = prism.payload_read('out', p, 0, 5000000) AS same, lo_unlink(o) FROM exported ORDER BY 1;

-- A consumer that is not handed a payload over, as it is too large, reads it.
SET prism.max_inline_payload = '1MB';
SELECT "position", length(payload), headers ->> 'payload_size' AS size,
    (SELECT encode(sha256(string_agg(b, '' ORDER BY n)), 'hex') FROM prism.payload_pieces(m.topic, m."position") WITH ORDINALITY AS p(b, n)) = headers ->> 'payload_sha256' AS right_bytes, prism.ack(m)
    FROM prism.consume('out', 'g') AS m WHERE headers ? 'claim_check_id';
RESET prism.max_inline_payload;

-- Errors.
SELECT out_error(s) FROM unnest(ARRAY[
    $$SELECT prism.payload_read('out', 3)$$, $$SELECT prism.payload_pieces('out', 3)$$, $$SELECT prism.payload_export('out', 3)$$,
    $$SELECT prism.payload_read('out', 6)$$, $$SELECT prism.payload_read('out', -1)$$, $$SELECT prism.payload_read('out', 9223372036854775807)$$, $$SELECT prism.payload_read('nowhere', 0)$$,
    $$SELECT prism.payload_read(NULL, 0)$$, $$SELECT prism.payload_read('out', NULL)$$, $$SELECT prism.payload_read('out', 0, NULL)$$, $$SELECT prism.payload_read('out', 0, 0, NULL)$$,
    $$SELECT prism.payload_read('out', 0, -1)$$, $$SELECT prism.payload_read('out', 0, 0, -1)$$, $$SELECT prism.payload_read('out', 0, 0, 1073741820)$$,
    $$SELECT prism.payload_pieces('out', 0, 0)$$, $$SELECT prism.payload_pieces('out', 0, NULL)$$]) AS s;
BEGIN;
SELECT prism.publish('out', out_bytes(2000)) IS NOT NULL AS published;
SELECT out_error($$SELECT prism.payload_read('out', 6)$$);
ROLLBACK;
BEGIN READ ONLY;
SELECT prism.payload_read('out', 0);
SELECT prism.payload_export('out', 0);
ROLLBACK;

-- For who may read or consume.
CREATE ROLE out_reader;
CREATE ROLE out_consumer;
CREATE ROLE out_publisher;
SELECT prism.grant('out', 'read', 'out_reader'), prism.grant('out', 'consume', 'out_consumer'), prism.grant('out', 'publish', 'out_publisher'), prism.grant('out-zstd', 'read', 'out_publisher');
SET ROLE out_reader;
SELECT prism.payload_read('out', 0), count(*) FROM prism.payload_pieces('out', 1);
SELECT out_error($$SELECT prism.payload_read('out-zstd', 0)$$);
SELECT out_error($$SELECT prism.payload_read('nowhere', 0)$$);
SET ROLE out_consumer;
SELECT prism.payload_read('out', 0), count(*) FROM prism.payload_pieces('out', 1);
BEGIN;
SELECT prism.payload_export('out', 1) AS made \gset
SELECT lomowner::regrole FROM pg_largeobject_metadata WHERE oid = :made;
ROLLBACK;
SET ROLE out_publisher;
SELECT out_error($$SELECT prism.payload_pieces('out', 0)$$);
RESET ROLE;
BEGIN;
REVOKE EXECUTE ON FUNCTION lo_create(oid) FROM PUBLIC;
SET ROLE out_consumer;
SELECT out_error($$SELECT prism.payload_export('out', 1)$$);
ROLLBACK;
SELECT prism.revoke('out', 'read', 'out_reader'), prism.revoke('out', 'consume', 'out_consumer'), prism.revoke('out', 'publish', 'out_publisher'), prism.revoke('out-zstd', 'read', 'out_publisher');
DROP ROLE out_reader, out_consumer, out_publisher;

-- Damage: of all of it, its last piece does not come; parts that are right are read, and of compressed ones other blocks are not even opened.
SELECT format('prism_log.topic_%s_payload_%s', t.topic_id, max(segment_number)) AS beside FROM prism.payload_segment JOIN prism.topic AS t USING (topic_id) WHERE t.name = 'out' GROUP BY t.topic_id \gset
SELECT format('prism_log.topic_%s_payload_%s', t.topic_id, max(segment_number)) AS packed FROM prism.payload_segment JOIN prism.topic AS t USING (topic_id) WHERE t.name = 'out-zstd' GROUP BY t.topic_id \gset
BEGIN;
UPDATE :beside SET bytes = set_byte(bytes, 0, 255 - get_byte(bytes, 0)) WHERE at > 2000000 AND at < 2010000;
SELECT out_error($$SELECT prism.payload_read('out', 2, 0, 3000000)$$);
SELECT out_error($$SELECT prism.payload_export('out', 2)$$);
SELECT length(prism.payload_read('out', 2, 0, 1000000)), length(prism.payload_read('out', 2, 2500000));
DECLARE c CURSOR FOR SELECT length(prism.payload_pieces('out', 2, 1000000));
FETCH 2 FROM c;
FETCH 1 FROM c;
ROLLBACK;
BEGIN;
UPDATE :packed SET bytes = set_byte(bytes, 30, 255 - get_byte(bytes, 30)) WHERE at = (SELECT max(at) FROM :packed);
SELECT convert_from(prism.payload_read('out-zstd', 0, 0, 10), 'UTF8');
SELECT out_error($$SELECT prism.payload_read('out-zstd', 0, 2999990, 10)$$);
DELETE FROM :beside;
SELECT out_error($$SELECT prism.payload_read('out', 2)$$);
SELECT out_error($$SELECT prism.payload_pieces('out', 2)$$);
ROLLBACK;
DROP FUNCTION out_bytes(integer), out_error(text);
SELECT prism.drop_namespace(n, true) IS NOT NULL AS dropped FROM unnest('{out,out-zstd}'::text[]) AS n;
