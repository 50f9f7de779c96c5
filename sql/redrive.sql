-- prism.redrive(): dead letters go back to where they came from, each once.
SELECT action FROM prism.apply('{name: redrive-test, consumers: [{group: work, max_attempts: 1}]}');
-- No dead letters yet.
SELECT prism.redrive('redrive-test');
SELECT count(prism.publish('redrive-test', jsonb_build_object('n', n), 'k' || n, '{"from": "test"}')) FROM generate_series(0, 3) AS n;
SELECT prism.publish('redrive-test', NULL::jsonb, 'tombstone') IS NOT NULL AS published;
SELECT count(prism.reject(m, 'bad')) FROM prism.consume('redrive-test', 'work') AS m;
SELECT count(*) FROM prism.read('redrive-test.dlq');
SELECT dead_letters FROM prism.status WHERE namespace = 'redrive-test';

-- A rollback leaves them where they are.
BEGIN;
SELECT prism.redrive('redrive-test');
ROLLBACK;
SELECT count(*) FROM prism.read('redrive-test') WHERE "position" > 4;
-- One of them, with what does not exist.
SELECT prism.redrive('redrive-test', '{2,77,-1}');
SELECT prism.redrive('redrive-test', '{2}');
SELECT prism.redrive('redrive-test', '{}');
SELECT "position", attempt, key, convert_from(payload, 'UTF8') AS payload, headers, id = (SELECT id FROM prism.read('redrive-test', 2, 1)) AS same_id
  FROM prism.consume('redrive-test', 'work') AS m WHERE prism.ack(m) = 1;
-- The others; none twice.
SELECT prism.redrive('redrive-test');
SELECT prism.redrive('redrive-test');
SELECT "position", key, convert_from(payload, 'UTF8') AS payload, headers FROM prism.consume('redrive-test', 'work', lease => '1 hour');
SELECT topic, consumer_group, "position", lag_messages FROM prism.groups WHERE consumer_group = 'prism.redrive';
SELECT prism.reject('redrive-test', 'work', '{6}', reason => 'bad again');
SELECT headers ->> 'dead_letter_position' AS "position", headers ->> 'dead_letter_reason' AS reason FROM prism.read('redrive-test.dlq', 5);
-- The name is that of the origin.
SELECT prism.redrive('redrive-test.dlq');
SELECT prism.redrive('nowhere');
SELECT prism.redrive(NULL);
SELECT prism.redrive('redrive-test', '{1,NULL}');
SELECT prism.redrive('redrive-test', '{{1}}');
BEGIN READ ONLY;
SELECT prism.redrive('redrive-test');
ROLLBACK;
-- More than one window of them.
SELECT count(prism.publish('redrive-test', n::text)) FROM generate_series(1, 4200) AS n;
SELECT count(prism.reject(m)) FROM prism.consume('redrive-test', 'many', 4096) AS m;
SELECT count(prism.reject(m)) FROM prism.consume('redrive-test', 'many', 4096) AS m;
SELECT max("position") AS last FROM prism.read('redrive-test.dlq', 4000, 10000) \gset
SELECT prism.redrive('redrive-test', ARRAY[:last]);
SELECT prism.redrive('redrive-test');
SELECT prism.redrive('redrive-test', ARRAY[:last]);
SELECT prism.redrive('redrive-test') + 4096 + 1 = :last - 4 AS all_of_them;
SELECT prism.redrive('redrive-test');

-- A dead letter that is given up again stays where it is: finished for the group, there for a redrive, and no topic for it.
SELECT count(prism.reject(m)) FROM prism.consume('redrive-test', 'work', 4) AS m;
SELECT prism.create_group('redrive-test.dlq', 'again', 'earliest', max_attempts => 1);
SELECT prism.seek('redrive-test.dlq', 'again', :last + 1);
SELECT max("position") AS before FROM prism.read('redrive-test.dlq', :last, 10000) \gset
SELECT prism.reject(m, 'bad again') AS rejected FROM prism.consume('redrive-test.dlq', 'again', 1) AS m;
SELECT prism.nack(m, reason => 'bad again') AS given_up FROM prism.consume('redrive-test.dlq', 'again', 1) AS m;
SELECT count(*) AS taken FROM prism.consume('redrive-test.dlq', 'again', 1, lease => '1 microsecond');
SELECT count(*) AS taken FROM prism.consume('redrive-test.dlq', 'again');
SELECT lag_messages FROM prism.groups WHERE consumer_group = 'again';
SELECT max("position") = :before AS nothing_new FROM prism.read('redrive-test.dlq', :last, 10000);
SELECT count(*) AS topics FROM prism.topics WHERE topic LIKE 'redrive-test.dlq%';
SELECT prism.redrive('redrive-test');

-- However many there are and however large, they are in memory one at a time: 400 of 300 kB take 120 MB.
SELECT action FROM prism.apply('{name: redrive-large}');
SET prism.consume_bytes = '1GB';
SELECT count(prism.publish('redrive-large', repeat('x', 300000), headers => '{"from": "test"}')) FROM generate_series(1, 400);
SELECT array_agg("position") AS positions, array_agg(lease_id) AS leases FROM prism.consume('redrive-large', 'work', 400) \gset
\c
CREATE FUNCTION peak_mb() RETURNS integer LANGUAGE sql AS $$
    SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+) kB')::integer / 1024 $$;
SELECT peak_mb() AS before \gset
SELECT prism.reject('redrive-large', 'work', :'positions', :'leases', 'large');
SELECT peak_mb() - :before < 60 AS small;
\c
SELECT peak_mb() AS before \gset
-- But for what prism.consume_bytes says all at once, or those that are named.
SET prism.consume_bytes = '1MB';
SELECT prism.redrive('redrive-large');
SELECT prism.redrive('redrive-large', '{9,7,3,8,390}');
SET prism.consume_bytes = '1GB';
SELECT prism.redrive('redrive-large');
SELECT peak_mb() - :before < 60 AS small;
RESET prism.consume_bytes;
DROP FUNCTION peak_mb();
SELECT prism.drop_namespace('redrive-large', true) IS NOT NULL AS dropped;

-- A letter that is damaged is told when it is wanted, again and again; what lies before it goes first, and who wants others does not meet it.
SELECT action FROM prism.apply('name: redrive-damage');
SELECT count(prism.publish('redrive-damage', 'x'::text)) FROM generate_series(1, 3);
SELECT count(prism.reject(m)) FROM prism.consume('redrive-damage', 'g', 1) AS m;
SELECT count(prism.reject(m)) FROM prism.consume('redrive-damage', 'g', 1) AS m;
SELECT count(prism.reject(m)) FROM prism.consume('redrive-damage', 'g', 1) AS m;
SELECT format('prism_log.topic_%s_0', topic_id) AS segment FROM prism.topic WHERE name = 'redrive-damage.dlq' \gset
UPDATE :segment SET messages = 0 WHERE "offset" = 1;
\set VERBOSITY sqlstate
SELECT prism.redrive('redrive-damage', '{1,2}');
SELECT prism.redrive('redrive-damage', '{1,2}');
SELECT prism.redrive('redrive-damage', '{0,1}');
SELECT prism.redrive('redrive-damage', '{0,1}');
SELECT prism.redrive('redrive-damage', '{2}');
SELECT prism.redrive('redrive-damage');
\set VERBOSITY default
SELECT prism.drop_namespace('redrive-damage', true) IS NOT NULL AS dropped;

-- What the topic takes no more stays, and is in nobody's way; nor is the way in which somebody made the group.
SELECT action FROM prism.apply('{name: redrive-small, client_api: queue}');
SELECT count(prism.publish('redrive-small', repeat('x', n)::bytea)) FROM unnest('{1,2000,3}'::int[]) AS n;
SELECT count(prism.reject(m)) FROM prism.consume('redrive-small', 'g') AS m;
SELECT prism.create_group('redrive-small.dlq', 'prism.redrive', 'earliest', ordering => 'strict', max_attempts => 1);
SELECT action FROM prism.apply('{name: redrive-small, client_api: queue, needs: {max_message_size: 1000}}');
SELECT prism.redrive('redrive-small');
SELECT ordering, lag_messages FROM prism.groups WHERE consumer_group = 'prism.redrive' AND topic = 'redrive-small.dlq';
SELECT action FROM prism.apply('{name: redrive-small, client_api: queue, needs: {max_message_size: 2000}}');
SELECT prism.redrive('redrive-small');
SELECT length(payload) FROM prism.read('redrive-small', 3);
SELECT prism.drop_namespace('redrive-small', true) IS NOT NULL AS dropped;

-- For administrators.
CREATE ROLE redrive_test_role;
SELECT prism.grant('redrive-test', 'consume', 'redrive_test_role');
SET ROLE redrive_test_role;
SELECT prism.redrive('redrive-test');
RESET ROLE;
SELECT prism.grant('redrive-test', 'admin', 'redrive_test_role');
SET ROLE redrive_test_role;
SELECT prism.redrive('redrive-test');
RESET ROLE;
SELECT prism.drop_namespace('redrive-test', true) IS NOT NULL AS dropped;
DROP ROLE redrive_test_role;
