-- A subscription to all tables that leaves out what comes from elsewhere goes on whatever prism does, and gets all that
-- the application writes, in the same transactions too: run by ./dev test build on each major that can do so.
\set ON_ERROR_STOP on
CREATE DATABASE subscribed;
CREATE DATABASE subscriber;
SELECT format('host=%s port=%s dbname=subscribed user=%s', current_setting('unix_socket_directories'), current_setting('port'), current_user) AS connection \gset
\c subscriber
CREATE EXTENSION prism;
CREATE TABLE work (id int PRIMARY KEY);
\c subscribed
CREATE EXTENSION prism;
CREATE TABLE work (id int PRIMARY KEY);
CREATE PUBLICATION everything FOR ALL TABLES;
SELECT pg_create_logical_replication_slot('everything', 'pgoutput');
\c subscriber
CREATE SUBSCRIPTION everything CONNECTION :'connection' PUBLICATION everything WITH (create_slot = false, copy_data = false, origin = none, disable_on_error = true);
\c subscribed
CREATE ROLE subscribed_consumer;
BEGIN; INSERT INTO work VALUES (1); SELECT prism.apply('{name: heard, client_api: queue, patterns: [outbox], backend: memory, consumers: [{group: audit}]}'); INSERT INTO work VALUES (2); COMMIT;
BEGIN; INSERT INTO work VALUES (3); SELECT count(prism.publish('heard', i::text)) FROM generate_series(1, 100) i; INSERT INTO work VALUES (4); COMMIT;
BEGIN; INSERT INTO work VALUES (5); SELECT prism.grant('heard', 'consume', 'subscribed_consumer'), prism.create_group('heard', 'g'); INSERT INTO work VALUES (6); COMMIT;
BEGIN; SELECT count(prism.ack(m)) FROM prism.consume('heard', 'g') m; INSERT INTO work VALUES (7); COMMIT;
BEGIN; UPDATE work SET id = 70 WHERE id = 7; SELECT prism.pause('heard'), prism.revoke('heard', 'consume', 'subscribed_consumer'), prism.drop_group('heard', 'g'); COMMIT;
BEGIN; DELETE FROM work WHERE id = 6; SELECT prism.apply('{name: heard, client_api: queue, needs: {retention: 3days}, patterns: [outbox], backend: memory}'); COMMIT;
BEGIN; INSERT INTO work VALUES (8); SELECT prism.drop_namespace('heard', true); INSERT INTO work VALUES (9); COMMIT;
\c subscriber
DO $$
DECLARE
    found text;
BEGIN
    FOR i IN 1 .. 600 LOOP
        SELECT string_agg(id::text, ' ' ORDER BY id) INTO found FROM work;
        EXIT WHEN found = '1 2 3 4 5 8 9 70' OR EXISTS (SELECT FROM pg_subscription WHERE NOT subenabled);
        PERFORM pg_sleep(0.1);
    END LOOP;
    IF found IS DISTINCT FROM '1 2 3 4 5 8 9 70' OR EXISTS (SELECT FROM pg_subscription WHERE NOT subenabled) THEN
        RAISE EXCEPTION 'the subscriber has % and its subscription is %', found, (SELECT CASE WHEN subenabled THEN 'on' ELSE 'off' END FROM pg_subscription);
    END IF;
    IF EXISTS (SELECT FROM prism.namespace) OR EXISTS (SELECT FROM prism.topic) THEN
        RAISE EXCEPTION 'prism''s own rows came too';
    END IF;
END $$;
DROP SUBSCRIPTION everything;
