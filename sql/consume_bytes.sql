-- One call hands over one message, and then no more than prism.consume_bytes of payloads; the others come with the next call, in their order, no attempt counted.
SELECT action FROM prism.apply('{name: bytes-test, client_api: queue, consumers: [{group: strict, ordering: strict, max_attempts: 2}]}');
SELECT prism.create_group('bytes-test', g, 'earliest') FROM unnest('{plain,list,cursor,savepoint,whole}'::text[]) AS g ORDER BY g;
CREATE FUNCTION noise(bytes integer) RETURNS bytea LANGUAGE sql AS $$
    SELECT substr(string_agg(sha256(i::text::bytea), ''), 1, bytes) FROM generate_series(0, bytes / 32) AS i $$;
-- Compressed in their rows, out of line, and one that is larger than the limit by itself; a tombstone and a small one take no room.
SELECT prism.publish('bytes-test', repeat('a', 30000), 'k') IS NOT NULL, prism.publish('bytes-test', noise(30000), 'k') IS NOT NULL, prism.publish('bytes-test', NULL::bytea, 'k') IS NOT NULL,
       prism.publish('bytes-test', 'small'::text, 'other') IS NOT NULL, prism.publish('bytes-test', noise(30000), 'k') IS NOT NULL, prism.publish('bytes-test', noise(200000), 'k') IS NOT NULL,
       prism.publish('bytes-test', noise(65537), 'k') IS NOT NULL, prism.publish('bytes-test', noise(65535), 'other') IS NOT NULL, prism.publish('bytes-test', 'x'::text) IS NOT NULL,
       prism.publish('bytes-test', 'y'::text, 'k') IS NOT NULL;
SET prism.consume_bytes = '63kB';
SET prism.consume_bytes = '64kB';

SELECT "position", attempt, length(payload), prism.ack(m) FROM prism.consume('bytes-test', 'plain') AS m;
SELECT in_flight, available FROM prism.groups WHERE topic = 'bytes-test' AND consumer_group = 'plain';
SELECT "position", attempt, length(payload), prism.ack(m) FROM prism.consume('bytes-test', 'plain') AS m;
SELECT "position", attempt, length(payload), prism.ack(m) FROM prism.consume('bytes-test', 'plain') AS m;
SELECT "position", attempt, length(payload), prism.ack(m) FROM prism.consume('bytes-test', 'plain') AS m;
SELECT "position", attempt, length(payload), prism.ack(m) FROM prism.consume('bytes-test', 'plain') AS m;
SELECT "position", attempt, length(payload), prism.ack(m) FROM prism.consume('bytes-test', 'plain') AS m;

-- All in one transaction, in a group that keeps the order of all of them; there is always something to hand over, so nobody waits.
BEGIN;
SELECT array_agg("position") FROM prism.consume('bytes-test', 'strict', wait => '1 s');
SELECT array_agg("position") FROM prism.consume('bytes-test', 'strict', wait => '1 s');
SELECT array_agg("position") FROM prism.consume('bytes-test', 'strict', wait => '1 s');
SELECT array_agg("position") FROM prism.consume('bytes-test', 'strict', wait => '1 s');
SELECT array_agg("position") FROM prism.consume('bytes-test', 'strict', wait => '1 s');
SELECT array_agg("position") FROM prism.consume('bytes-test', 'strict');
ROLLBACK;
-- That was an attempt of each.  The next ones are the last: what goes back while they are used up is not given up.
SELECT "position", attempt FROM prism.consume('bytes-test', 'strict', lease => '1 microsecond');
SELECT "position", attempt FROM prism.consume('bytes-test', 'strict', lease => '1 hour');
SELECT count(*) FROM prism.read('bytes-test.dlq');

-- A savepoint that is rolled back gives back what was handed over, which was an attempt; what had no room has had none.
BEGIN;
SAVEPOINT s;
SELECT "position", attempt FROM prism.consume('bytes-test', 'savepoint');
ROLLBACK TO s;
SELECT "position", attempt FROM prism.consume('bytes-test', 'savepoint', 4);
SELECT "position", attempt FROM prism.consume('bytes-test', 'savepoint', 2);
ROLLBACK;

-- One by one, also when they lie in a temporary file.
SET work_mem = '64kB';
SET prism.consume_bytes = '1MB';
SELECT (m)."position", (m).attempt, length((m).payload), md5((m).payload) = md5(r.payload) AS same
    FROM (SELECT prism.consume('bytes-test', 'list') AS m OFFSET 0) AS s LEFT JOIN prism.read('bytes-test') AS r ON r."position" = (m)."position" ORDER BY 1;
BEGIN;
DECLARE c CURSOR FOR SELECT (m)."position", length((m).payload) FROM (SELECT prism.consume('bytes-test', 'cursor') AS m OFFSET 0) AS s;
FETCH 2 FROM c;
SAVEPOINT s;
FETCH 5 FROM c;
ROLLBACK TO s;
FETCH 1 FROM c;
CLOSE c;
-- The cursor has let go of what it had not come to.
SELECT array_agg("position") FROM prism.consume('bytes-test', 'cursor');
ROLLBACK;
SELECT (prism.consume('bytes-test', 'cursor'))."position" LIMIT 1;
SELECT array_agg("position") FROM prism.consume('bytes-test', 'cursor');
RESET work_mem;

-- With a filter, what is passed over takes no room.
SET prism.consume_bytes = '64kB';
SELECT action FROM prism.apply('{name: bytes-filter, client_api: queue}');
SELECT count(prism.publish('bytes-filter', jsonb_build_object('n', n, 'wanted', n % 3 = 0, 'filling', repeat('x', 30000)))) FROM generate_series(0, 11) AS n;
SELECT array_agg("position"), count(prism.ack(m)) FROM prism.consume('bytes-filter', 'g', filter => '$.wanted == true') AS m;
SELECT array_agg("position"), count(prism.ack(m)) FROM prism.consume('bytes-filter', 'g', filter => '$.wanted == true') AS m;
SELECT array_agg("position"), count(prism.ack(m)) FROM prism.consume('bytes-filter', 'g', filter => '$.wanted == true') AS m;
SELECT "position", lag_messages FROM prism.groups WHERE topic = 'bytes-filter';

-- What reads without a group is not cut short.
SELECT count(*), sum(length(payload)) FROM prism.read('bytes-test');
RESET prism.consume_bytes;
SELECT count(*), sum(length(payload)) FROM prism.consume('bytes-test', 'whole');
DROP FUNCTION noise(integer);
SELECT prism.drop_namespace(n, true) IS NOT NULL AS dropped FROM unnest('{bytes-test,bytes-filter}'::text[]) AS n;
