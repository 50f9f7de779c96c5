-- Rows in another segment than that of their position, as version 0.2.0 wrote them at the ends of segments.
SET prism.segment_messages = 1024;
SELECT action FROM prism.apply('{name: repair-test, client_api: queue}');
RESET prism.segment_messages;
CREATE FUNCTION repair_publish(count integer, size integer DEFAULT 1) RETURNS void LANGUAGE sql AS $$
    SELECT prism.publish('repair-test', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, size) i)::bytea) FROM generate_series(1, count)
$$;
CREATE FUNCTION repair_segment(number integer) RETURNS text LANGUAGE sql AS $$
    SELECT format('prism_log.topic_%s_%s', topic_id, number) FROM prism.topic WHERE name = 'repair-test'
$$;
-- How many of many small ones share a row is decided by their times; the first row is one of three.
SELECT repair_publish(3);
SELECT repair_publish(1021);
SELECT repair_publish(5);
SELECT repair_publish(1, 3000);
SELECT repair_publish(3);
CREATE TABLE repair_before AS SELECT "position", id, created_at, payload FROM prism.read('repair-test', 0, 10000);
SELECT count(*), max(length(payload)) FROM repair_before;
SELECT prism.create_group('repair-test', 'before', 'earliest'), prism.create_group('repair-test', 'behind', 'latest');
SELECT state, hint FROM prism.doctor() WHERE item IN ('rows', 'topic repair-test');
SELECT * FROM prism.repair('repair-test');

-- The row of five messages and the large one go astray, one message goes to the segment behind.
DO $$ BEGIN
    EXECUTE format('INSERT INTO %s SELECT * FROM %s WHERE "offset" BETWEEN 1024 AND 1029', repair_segment(0), repair_segment(1));
    EXECUTE format('DELETE FROM %s WHERE "offset" BETWEEN 1024 AND 1029', repair_segment(1));
    EXECUTE format('INSERT INTO %s SELECT * FROM %s WHERE "offset" = 0', repair_segment(1), repair_segment(0));
    EXECUTE format('DELETE FROM %s WHERE "offset" = 0', repair_segment(0));
END $$;
SELECT count(*), min("position"), max("position") FROM prism.read('repair-test', 1024);
SELECT state, hint FROM prism.doctor() WHERE item IN ('rows', 'topic repair-test');

-- For the owner of the extension; all or nothing.
CREATE ROLE regress_prism_repair;
SELECT prism.grant('repair-test', 'admin', 'regress_prism_repair');
GRANT EXECUTE ON FUNCTION prism.repair(text) TO regress_prism_repair;
SET ROLE regress_prism_repair;
SELECT * FROM prism.repair('repair-test');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION prism.repair(text) FROM regress_prism_repair;
SELECT prism.revoke('repair-test', 'admin', 'regress_prism_repair');
DROP ROLE regress_prism_repair;
BEGIN;
SELECT * FROM prism.repair('repair-test');
ROLLBACK;
SELECT state FROM prism.doctor() WHERE item IN ('rows', 'topic repair-test');
BEGIN READ ONLY;
SELECT * FROM prism.repair('repair-test');
ROLLBACK;
SELECT * FROM prism.repair('repair-tset');
SELECT * FROM prism.repair(NULL);

-- A transaction that began before it does not see less than others.
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM repair_before;
SELECT * FROM prism.repair('repair-test');
COMMIT;
SELECT state, hint FROM prism.doctor() WHERE item IN ('rows', 'topic repair-test');
SELECT * FROM prism.repair('repair-test');
SELECT "position", id, created_at, payload FROM prism.read('repair-test', 0, 10000) EXCEPT TABLE repair_before;
SELECT count(*) FROM prism.read('repair-test', 1026);
-- Who has not passed it gets it.
SELECT count(*), min("position"), max("position") FROM prism.consume('repair-test', 'before', 10000);
SELECT count(*) FROM prism.consume('repair-test', 'behind', 10000);
SELECT prism.seek('repair-test', 'behind', 1024);
SELECT count(prism.ack(m)) FROM prism.consume('repair-test', 'behind', 10000) AS m;
-- New messages go on.
SELECT repair_publish(1);
SELECT max("position") FROM prism.read('repair-test', 1030);

SELECT prism.drop_namespace('repair-test', force => true);
DROP TABLE repair_before;
DROP FUNCTION repair_publish, repair_segment;
