-- deliver_at: messages for later.
SELECT action FROM prism.apply('{name: delay-test, client_api: queue}');
\set QUIET on
CREATE TABLE delay_sent (n int PRIMARY KEY, id uuid NOT NULL, due timestamptz NOT NULL);
CREATE TABLE delay_received (place serial, n int, id uuid, key text, headers jsonb, created_at timestamptz, received_at timestamptz DEFAULT clock_timestamp());
-- Waits until so many more messages have come.
CREATE PROCEDURE receive(wanted int) LANGUAGE plpgsql AS $$
DECLARE
    taken int;
BEGIN
    WHILE wanted > 0 LOOP
        INSERT INTO delay_received (n, id, key, headers, created_at)
        SELECT convert_from(m.payload, 'UTF8')::int, m.id, m.key, m.headers, m.created_at
        FROM prism.consume('delay-test', 'g', wanted, wait => '1 minute') AS m, LATERAL (SELECT prism.ack(m)) AS a;
        GET DIAGNOSTICS taken = ROW_COUNT;
        IF taken = 0 THEN RAISE EXCEPTION 'nothing came'; END IF;
        wanted := wanted - taken;
        COMMIT;
    END LOOP;
END $$;
\set QUIET off
SELECT prism.create_group('delay-test', 'g');

-- In the order of time, not of publishing; what is due at the same time in the order of publishing. The id is known at
-- once, the time in the log is that of the delivery.
INSERT INTO delay_sent SELECT n, prism.publish('delay-test', n::text, key => 'k' || n, headers => '{"a": "b"}', deliver_at => due), due
    FROM (SELECT n, now() + (6 - n % 5) * interval '150 ms' AS due FROM generate_series(1, 10) n) s ORDER BY n;
SELECT prism.publish('delay-test', '0') IS NOT NULL AS at_once;
CALL receive(11);
SELECT n, key, headers FROM delay_received ORDER BY place;
SELECT count(*) AS delayed, bool_and(r.id = s.id) AS same_id, bool_and(r.created_at >= s.due) AS created_when_due, bool_and(r.received_at >= s.due) AS not_before
    FROM delay_sent s JOIN delay_received r USING (n);
TRUNCATE delay_sent, delay_received RESTART IDENTITY;

-- The past is now: in the log with the commit, before any worker has seen it.
BEGIN;
SELECT prism.publish('delay-test', '1', deliver_at => '2000-01-01') IS NOT NULL AS published;
SELECT prism.publish('delay-test', '2', deliver_at => now()) IS NOT NULL AS published;
SELECT prism.publish('delay-test', '3', deliver_at => '4714-11-24 00:00:00+00 BC') IS NOT NULL AS published;
SELECT payload, deliver_at FROM prism.outbox WHERE topic = 'delay-test' AND "position" IS NULL;
COMMIT;
SELECT last - first + 1 AS messages FROM prism.last_position() WHERE topic = 'delay-test';
CALL receive(3);

-- Forms of payload, a key that looks like anything, a tombstone, a key and a payload that are large.
SELECT prism.create_group('delay-test', 'forms', 'latest');
SELECT prism.publish('delay-test', '{"n": 1}'::jsonb, key => 'p1,2,k', deliver_at => now() + interval '30 ms') IS NOT NULL AS published;
SELECT prism.publish('delay-test', '[2]', key => '', deliver_at => now() + interval '60 ms') IS NOT NULL AS published;
SELECT prism.publish('delay-test', NULL::jsonb, key => 'Schlüssel', deliver_at => now() + interval '90 ms') IS NOT NULL AS published;
SELECT prism.publish('delay-test', '\x00ff'::bytea, deliver_at => now() + interval '120 ms') IS NOT NULL AS published;
SELECT prism.publish('delay-test', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 20000) i), key => repeat('k', 65536),
    deliver_at => now() + interval '150 ms') IS NOT NULL AS published;
DO $$
BEGIN
    FOR i IN 1 .. 5 LOOP
        PERFORM prism.ack(m) FROM prism.consume('delay-test', 'forms', 1, wait => '1 minute') m;
    END LOOP;
END $$;
SELECT left(key, 10) AS key, length(key) AS key_length, headers, length(payload) AS payload_length, left(payload::text, 20) AS payload
    FROM prism.read('delay-test', (SELECT next_position - 5 FROM prism.topics WHERE topic = 'delay-test'));
SELECT count(prism.ack(m)) FROM prism.consume('delay-test', 'g', 5, wait => '1 minute') m;

-- With the transaction, savepoints included; prism.outbox shows what is pending, and takes it.
BEGIN;
SELECT prism.publish('delay-test', '1', deliver_at => now() + interval '500 ms') IS NOT NULL AS published;
SAVEPOINT s;
SELECT prism.publish('delay-test', '2', deliver_at => now() + interval '500 ms') IS NOT NULL AS published;
INSERT INTO prism.outbox (topic, payload, deliver_at) VALUES ('delay-test', '3', now() + interval '500 ms');
SELECT payload, "position", published_at, deliver_at = now() + interval '500 ms' AS deliver_at
    FROM prism.outbox WHERE topic = 'delay-test' AND "position" IS NULL;
ROLLBACK TO s;
INSERT INTO prism.outbox (topic, key, payload, deliver_at) VALUES ('delay-test', 'k', '4', now() + interval '600 ms');
SELECT prism.publish('delay-test', '5') IS NOT NULL AS published;
SELECT payload, key, "position", deliver_at - now() AS ahead
    FROM prism.outbox WHERE topic = 'delay-test' AND "position" IS NULL;
COMMIT;
SELECT jsonb_array_length(prism.transaction(format('[{"publish": {"topic": "delay-test", "payload": 6, "deliver_at": "%s"}}]', now() + interval '900 ms')::jsonb)) AS published;
BEGIN;
SELECT prism.publish('delay-test', '7', deliver_at => now() + interval '500 ms') IS NOT NULL AS published;
ROLLBACK;
CALL receive(4);
SELECT n, key FROM delay_received WHERE n > 3 OR place > 3 ORDER BY place;

-- Refusals.
CREATE FUNCTION delay_error(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
    RETURN SQLSTATE || ' ' || message;
END $$;
\pset tuples_only on
SELECT delay_error($$SELECT prism.publish('delay-test', 'x', deliver_at => 'infinity')$$);
SELECT delay_error($$SELECT prism.publish('delay-test', 'x', deliver_at => '-infinity')$$);
SELECT delay_error($$SELECT prism.publish('delay-test', 'x', deliver_at => '294277-01-01')$$);
SELECT delay_error($$INSERT INTO prism.outbox (topic, payload, deliver_at) VALUES ('delay-test', 'x', 'infinity')$$);
SELECT delay_error($$SELECT prism.transaction('[{"publish": {"topic": "delay-test", "payload": 1, "deliver_at": "soon"}}]')$$);
SELECT delay_error($$SELECT prism.transaction('[{"publish": {"topic": "delay-test", "payload": 1, "deliver_at": "294277-01-01"}}]')$$);
SELECT delay_error($$SELECT prism.transaction('[{"publish": {"topic": "delay-test", "payload": 1, "deliver_at": "infinity"}}]')$$);
SELECT delay_error($$SELECT prism.transaction('[{"publish": {"topic": "delay-test", "payload": 1, "deliver_at": 1}}]')$$);
SELECT delay_error($$SELECT prism.publish('delay-nowhere', 'x', deliver_at => now() + interval '1 hour')$$);
SELECT delay_error($$SELECT prism.publish('delay-test', NULL::text, deliver_at => now() + interval '1 hour')$$);
SELECT delay_error($$SELECT prism.publish('__prism_delayed', 'x')$$);
BEGIN READ ONLY;
SELECT delay_error($$SELECT prism.publish('delay-test', 'x', deliver_at => now() + interval '1 hour')$$);
ROLLBACK;
\pset tuples_only off
BEGIN;
SELECT prism.publish('delay-test', 'x', deliver_at => now() + interval '1 hour') IS NOT NULL AS published;
PREPARE TRANSACTION 'delay';

-- Who may publish may do it later; what waits is not for his eyes.
CREATE ROLE regress_delay_writer;
SELECT prism.grant('delay-test', 'publish', 'regress_delay_writer');
SET ROLE regress_delay_writer;
SELECT prism.publish('delay-test', '8', deliver_at => now() + interval '50 ms') IS NOT NULL AS published;
SELECT delay_error($$SELECT * FROM prism.delay_bucket$$);
RESET ROLE;
CALL receive(1);
SELECT n FROM delay_received ORDER BY place DESC LIMIT 1;

-- A topic that is full for one of its groups takes them when there is room; others do not wait for it.
SELECT action FROM prism.apply('{name: delay-full, needs: {retain: consumers, max_backlog: 2, on_full: reject}}');
SELECT prism.create_group('delay-full', 'g');
SELECT count(prism.publish('delay-full', i::text, deliver_at => now() + interval '100 ms')) FROM generate_series(1, 5) i;
SELECT prism.publish('delay-test', '9', deliver_at => now() + interval '200 ms') IS NOT NULL AS published;
CALL receive(1);
SELECT array_agg(convert_from(payload, 'UTF8') ORDER BY "position") AS full FROM prism.read('delay-full');
DO $$
BEGIN
    FOR i IN 1 .. 5 LOOP
        PERFORM prism.ack(m) FROM prism.consume('delay-full', 'g', 1, wait => '1 minute') m;
        COMMIT;
    END LOOP;
END $$;
SELECT array_agg(convert_from(payload, 'UTF8') ORDER BY "position") AS all FROM prism.read('delay-full');
SELECT prism.drop_namespace('delay-full');

-- A payload that lies out of line is fetched when it is published: its table may be gone at the commit.
CREATE TABLE delay_source (payload bytea);
ALTER TABLE delay_source ALTER payload SET STORAGE EXTERNAL;
INSERT INTO delay_source VALUES (repeat('out of line ', 2000)::bytea);
BEGIN;
SELECT prism.publish('delay-test', payload, deliver_at => now() + interval '50 ms') IS NOT NULL AS published FROM delay_source;
DROP TABLE delay_source;
COMMIT;
SELECT payload = repeat('out of line ', 2000)::bytea AS same, prism.ack(m) FROM prism.consume('delay-test', 'g', wait => '1 minute') m;

-- As far as time goes; a topic with waiting messages is not dropped by mistake.
SELECT prism.publish('delay-test', 'x', deliver_at => '294276-12-31 23:59:59+00') IS NOT NULL AS published;
SELECT prism.publish('delay-test', 'x', deliver_at => now() + span) IS NOT NULL AS published
    FROM unnest(ARRAY['1 hour', '23 hours', '2 days', '59 days', '90 days', '4 years', '30 years']::interval[]) span;
SELECT prism.drop_namespace('delay-test');
SELECT prism.drop_namespace('delay-test', force => true);
SELECT action FROM prism.apply('{name: delay-test, client_api: queue}');
SELECT prism.drop_namespace('delay-test');
DROP TABLE delay_sent, delay_received;
DROP PROCEDURE receive;
DROP FUNCTION delay_error;
DROP OWNED BY regress_delay_writer;
DROP ROLE regress_delay_writer;
