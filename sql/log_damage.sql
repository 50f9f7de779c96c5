-- Tables of the log that somebody has altered or dropped, and rows that say what nobody has written.
SELECT action FROM prism.apply('{name: damaged-log, client_api: queue}');
SELECT format('prism_log.topic_%s_0', topic_id) AS segment FROM prism.topic WHERE name = 'damaged-log' \gset
SELECT prism.publish('damaged-log', 'before') IS NOT NULL AS published;

-- Nothing is written to, or read from, a table of other columns.
ALTER TABLE :segment ALTER COLUMN messages TYPE bigint;
\set VERBOSITY sqlstate
SELECT prism.publish('damaged-log', 'meanwhile') IS NOT NULL AS published;
SELECT count(*) FROM prism.read('damaged-log');
\set VERBOSITY default
ALTER TABLE :segment ALTER COLUMN messages TYPE integer;
SELECT prism.publish('damaged-log', 'afterwards') IS NOT NULL AS published;
SELECT convert_from(payload, 'UTF8') FROM prism.read('damaged-log');

-- A time to keep messages that overflows, or is none, drops nothing: it is not believed.
\set VERBOSITY sqlstate
UPDATE prism.topic SET policy = '{"retention_ms": 10000000000000000}' WHERE name = 'damaged-log';
\c -
SELECT count(*) FROM prism.read('damaged-log');
UPDATE prism.topic SET policy = '{"retention_ms": 0}' WHERE name = 'damaged-log';
\c -
SELECT count(*) FROM prism.read('damaged-log');
\set VERBOSITY default
UPDATE prism.topic SET policy = '{"retention_ms": 3153600000000}' WHERE name = 'damaged-log';
\c -
SELECT count(*) FROM prism.read('damaged-log');

-- A segment whose table is gone is no reason to keep the topic.
DROP TABLE :segment;
SELECT action FROM prism.drop_namespace('damaged-log', force => true) AS action;
SELECT count(*) FROM prism.topic WHERE name = 'damaged-log';

-- prism.workers tells a time of day.
SELECT bool_and(since BETWEEN pg_postmaster_start_time() - interval '1 min' AND clock_timestamp()) AS since FROM prism.workers;
