-- needs.max_backlog: publishers do not run away from consumer groups.
CREATE FUNCTION backlog_publish(count integer) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM prism.publish('backlog-test', 'x') FROM generate_series(1, count);
    RETURN 'ready';
END $$;
SELECT action FROM prism.apply('{name: backlog-test, needs: {retain: consumers, max_backlog: 10, on_full: reject}}');
-- Without a group nobody is behind.
SELECT backlog_publish(20);
SELECT prism.create_group('backlog-test', 'slow', 'latest'), prism.create_group('backlog-test', 'quick', 'latest');
SELECT backlog_publish(9);
SELECT state, hint FROM prism.status WHERE namespace = 'backlog-test';
-- A transaction that would go beyond is refused as a whole, at its commit.
SELECT backlog_publish(2);
\echo :SQLSTATE
SELECT count(*) FROM prism.read('backlog-test', 20);
SELECT backlog_publish(1);
SELECT state, hint FROM prism.status WHERE namespace = 'backlog-test';
BEGIN;
CREATE TABLE backlog_effect ();
SELECT backlog_publish(1);
COMMIT;
SELECT to_regclass('backlog_effect');
-- The slowest counts.
SELECT count(prism.ack(m)) FROM prism.consume('backlog-test', 'quick', 10) AS m;
SELECT backlog_publish(1);
-- As soon as it has caught up, or is gone, there is room.
SELECT count(prism.ack(m)) FROM prism.consume('backlog-test', 'slow', 4) AS m;
SELECT backlog_publish(4);
SELECT backlog_publish(1);
SELECT prism.seek('backlog-test', 'slow', 'latest');
SELECT backlog_publish(6);
SELECT backlog_publish(1);
SELECT prism.drop_group('backlog-test', 'quick');
SELECT backlog_publish(4);
SELECT backlog_publish(1);
SELECT prism.drop_group('backlog-test', 'slow');
SELECT backlog_publish(1);
-- More at once than anybody may be behind.
SELECT prism.create_group('backlog-test', 'slow', 'latest');
SELECT backlog_publish(11);
SELECT backlog_publish(10);

-- on_full: warn (the default): once, not at each commit.
SELECT detail FROM prism.apply('{name: backlog-test, needs: {retain: consumers, max_backlog: 10}}');
SELECT backlog_publish(1);
SELECT backlog_publish(1);
SELECT state, hint FROM prism.status WHERE namespace = 'backlog-test';
-- Without a limit nobody looks.
SELECT action FROM prism.apply('{name: backlog-test, needs: {retain: consumers}}');
SELECT backlog_publish(1);
SELECT state, hint FROM prism.status WHERE namespace = 'backlog-test';
SELECT prism.drop_namespace('backlog-test');
DROP FUNCTION backlog_publish;
