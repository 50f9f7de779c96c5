-- prism.consume(filter => ...): what does not match counts as done for the group.
SELECT action FROM prism.apply('name: filter-test');
\set QUIET on
CREATE VIEW filter_state AS
    SELECT consumer_group, "position", in_flight, available, lag_messages FROM prism.groups WHERE topic = 'filter-test';
CREATE FUNCTION filtered(consumer_group text, filter jsonpath, max_messages integer DEFAULT 100)
RETURNS TABLE ("position" bigint, payload text, attempt integer) LANGUAGE sql AS $$
    SELECT m.position, encode(m.payload, 'escape'), m.attempt
    FROM prism.consume('filter-test', $1, $3, filter => $2) AS m $$;
\set QUIET off
SELECT count(prism.publish('filter-test', jsonb_build_object('n', n, 'kind', CASE n % 2 WHEN 0 THEN 'even' ELSE 'odd' END)))
FROM generate_series(1, 6) AS n;

-- A predicate has to be true.
SELECT * FROM filtered('predicate', '$.n > 4');
SELECT * FROM filter_state WHERE consumer_group = 'predicate';
-- Any other path has to find something; a value of false or null is something.
SELECT * FROM filtered('path', '$ ? (@.kind == "even")', 2);
SELECT * FROM filtered('path', '$.n ? (@ > 5)');
SELECT * FROM filtered('path', '$.n');
SELECT * FROM filter_state WHERE consumer_group = 'path';
-- A predicate that is unknown is not true; nothing is left of the others.
SELECT * FROM filtered('unknown', '$.kind > 4');
SELECT * FROM filter_state WHERE consumer_group = 'unknown';
-- max_messages counts what matches. What lies behind the last one is not touched: no attempt is lost.
SELECT * FROM filtered('bounded', '$.kind == "even"', 1);
SELECT * FROM filter_state WHERE consumer_group = 'bounded';
SELECT * FROM filtered('bounded', '$.n >= 3', 1);
SELECT * FROM filtered('bounded', NULL);

-- Rollback undoes what was passed over; also of a savepoint.
SELECT prism.create_group('filter-test', 'undone');
BEGIN;
SELECT * FROM filtered('undone', '$.n == 3');
ROLLBACK;
SELECT * FROM filter_state WHERE consumer_group = 'undone';
BEGIN;
SELECT * FROM filtered('undone', '$.n == 1', 1);
SAVEPOINT s;
SELECT * FROM filtered('undone', '$.n == 3', 1);
ROLLBACK TO s;
SELECT * FROM filtered('undone', '$.n == 2', 1);
SAVEPOINT t;
SELECT count(*) FROM filtered('undone', '$.n > 100');
RELEASE t;
COMMIT;
SELECT * FROM filter_state WHERE consumer_group = 'undone';
SELECT prism.ack('filter-test', 'undone', '{0,1}');
SELECT * FROM filter_state WHERE consumer_group = 'undone';

-- Two consumers of a group with filters of their own: each message is looked at once.
SELECT * FROM filtered('shared', '$.kind == "even"', 1);
SELECT * FROM filtered('shared', '$.kind == "odd"', 1);
SELECT * FROM filter_state WHERE consumer_group = 'shared';

-- What was passed over is one record in the progress log, whatever its number.
SELECT prism.create_group('filter-test', 'records');
CREATE TEMP VIEW records AS
    SELECT s.messages_total FROM prism_internal.topic_states() AS s JOIN prism.topic AS t USING (topic_id) WHERE t.name = '__prism_progress';
SELECT messages_total AS before FROM records \gset
SELECT count(*) FROM filtered('records', '$.n > 100');
SELECT messages_total - :before AS records FROM records;

-- In a SELECT list, what LIMIT leaves goes back, and what was passed over is done.
SELECT prism.create_group('filter-test', 'limit');
SELECT (prism.consume('filter-test', 'limit', filter => '$.kind == "even"')).position LIMIT 1;
SELECT * FROM filter_state WHERE consumer_group = 'limit';
SELECT * FROM filtered('limit', NULL);

-- Waiting: what was passed over meanwhile is done afterwards.
SELECT count(*) FROM prism.consume('filter-test', 'wait', wait => '20ms', filter => '$.n > 100');
SELECT * FROM filter_state WHERE consumer_group = 'wait';
SELECT count(*) FROM prism.consume('filter-test', 'wait2', wait => '60s', filter => '$.n > 5');
-- A lease shorter than the wait: the consumer comes back while it holds.
SELECT count(*) FROM prism.consume('filter-test', 'wait3', lease => '20ms', wait => '60s', filter => '$.n > 100');
SELECT * FROM filter_state WHERE consumer_group = 'wait3';

-- At every isolation level.
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT * FROM filtered('serializable', '$.n == 2', 1);
COMMIT;
SELECT * FROM filter_state WHERE consumer_group = 'serializable';

-- What is not JSON, or more than jsonb can hold, matches nothing and stands in nobody's way.
SELECT action FROM prism.apply('name: filter-odd');
SELECT prism.publish('filter-odd', '\xff00'::bytea) IS NOT NULL AS published;
SELECT count(prism.publish('filter-odd', convert_to(p, 'UTF8')))
FROM unnest(ARRAY['no json', '', '{"n": 1', '{"n": "\u0000"}', '{"n": 1e1000000}', repeat('[', 100000), repeat('[', 100000) || repeat(']', 100000)]) AS p;
SELECT prism.publish('filter-odd', NULL::bytea, key => 'tombstone') IS NOT NULL AS published;
SELECT count(prism.publish('filter-odd', p)) FROM unnest(ARRAY['1', '"text"', 'null', 'true', '[2, 3]']::jsonb[]) AS p;
SELECT "position", convert_from(payload, 'UTF8') FROM prism.consume('filter-odd', 'all', filter => '$') WHERE length(payload) < 100;
SELECT "position", convert_from(payload, 'UTF8') FROM prism.consume('filter-odd', 'number', filter => '$ > 2');
SELECT "position", in_flight, available, lag_messages FROM prism.groups WHERE topic = 'filter-odd' AND consumer_group = 'number';
-- What goes wrong in a path is silent, in strict mode too.
SELECT count(*) FROM prism.consume('filter-odd', 'strict', filter => 'strict $.a.b[7].double() > 1');
SELECT count(*) FROM prism.consume('filter-odd', 'deep', filter => '$.** > 100');
-- Dates with and without a time zone can be compared.
SELECT prism.publish('filter-odd', '{"at": "2024-02-03T04:05:06+01:00"}'::jsonb) IS NOT NULL AS published;
SELECT convert_from(payload, 'UTF8') FROM prism.consume('filter-odd', 'date', filter => '$.at.datetime() > "2024-01-01".datetime()');
-- A mistake in the filter itself is an error.
SELECT * FROM prism.consume('filter-odd', 'date', filter => '$.n >');
SELECT * FROM prism.consume('filter-odd', 'bad', filter => '$.n > $limit');

-- A call looks at as many messages as the window holds; the next transaction goes on. No warning: nobody is to blame.
SELECT action FROM prism.apply('name: filter-many');
SELECT prism.publish_batch('filter-many', array_agg(jsonb_build_object('n', n))) FROM generate_series(1, 5000) AS n;
SELECT convert_from(payload, 'UTF8') FROM prism.consume('filter-many', 'g', filter => '$.n > 4999', wait => '60s');
SELECT "position", lag_messages, window_full FROM prism.groups WHERE topic = 'filter-many';
SELECT convert_from(payload, 'UTF8') FROM prism.consume('filter-many', 'g', filter => '$.n > 4999', wait => '60s');
BEGIN;
SELECT count(*) FROM prism.consume('filter-many', 'h', filter => '$.n > 4999');
SELECT count(*) FROM prism.consume('filter-many', 'h', filter => '$.n > 4999');
ROLLBACK;

-- Order: what was passed over is behind the consumer, so later messages of the key follow in the same call; to others they do not.
SELECT action FROM prism.apply('name: filter-order');
SELECT count(prism.publish('filter-order', jsonb_build_object('n', n), key => 'k')) FROM generate_series(1, 6) AS n;
SELECT prism.create_group('filter-order', 'strict', ordering => 'strict');
SELECT "position", convert_from(payload, 'UTF8') FROM prism.consume('filter-order', 'key', 1, filter => '$.n == 3');
SELECT "position", in_flight, lag_messages FROM prism.groups WHERE topic = 'filter-order' AND consumer_group = 'key';
SELECT "position" FROM prism.consume('filter-order', 'key', filter => '$.n > 3');
SELECT prism.ack('filter-order', 'key', '{2}');
SELECT "position", attempt FROM prism.consume('filter-order', 'key', filter => '$.n > 4');
SELECT "position", convert_from(payload, 'UTF8') FROM prism.consume('filter-order', 'strict', 1, filter => '$.n == 6');
SELECT "position", in_flight, lag_messages FROM prism.groups WHERE topic = 'filter-order' AND consumer_group = 'strict';

-- A limit of messages in flight bounds a call likewise: it does not wait for what it holds itself.
SELECT prism.create_group('filter-many', 'few', 'earliest', max_in_flight => 10);
SELECT count(*), clock_timestamp() - statement_timestamp() < interval '10s' AS at_once
FROM prism.consume('filter-many', 'few', filter => '$.n > 4999', wait => '60s');
SELECT "position" FROM prism.groups WHERE topic = 'filter-many' AND consumer_group = 'few';

-- JSON of more elements than memory is given out for at once matches nothing, and holds up nobody.
SELECT action FROM prism.apply('name: filter-huge');
SELECT prism.publish('filter-huge', convert_to('[' || repeat('null,', 16777300) || 'null]', 'UTF8')) IS NOT NULL AS published;
SELECT prism.publish('filter-huge', '{"n": 1}'::jsonb) IS NOT NULL AS published;
SELECT "position", convert_from(payload, 'UTF8') FROM prism.consume('filter-huge', 'g', filter => '$.n == 1');
SELECT prism.drop_namespace('filter-huge');

DROP VIEW filter_state;
DROP FUNCTION filtered;
SELECT prism.drop_namespace('filter-test'), prism.drop_namespace('filter-odd'), prism.drop_namespace('filter-many'), prism.drop_namespace('filter-order');

-- A damaged message ends a call, also between what the filter is asked about in rounds; the next call is told.
SELECT action FROM prism.apply('name: filter-damage');
SELECT format('prism_log.topic_%s_0', topic_id) AS segment FROM prism.topic WHERE name = 'filter-damage' \gset
SELECT prism.publish('filter-damage', '{"n": 0}') IS NOT NULL AS published;
SELECT prism.publish('filter-damage', '{"n": 1}') IS NOT NULL AS published;
SELECT prism.publish('filter-damage', '{"n": 2}') IS NOT NULL AS published;
SELECT prism.publish('filter-damage', '{"n": 3}') IS NOT NULL AS published;
UPDATE :segment SET messages = 0 WHERE "offset" = 2;
\set VERBOSITY terse
SELECT "position", prism.ack(m) FROM prism.consume('filter-damage', 'many', 100, filter => '$.n >= 0') AS m;
SELECT * FROM prism.consume('filter-damage', 'many', 100, filter => '$.n >= 0');
SELECT "position", prism.ack(m) FROM prism.consume('filter-damage', 'rounds', 2, filter => '$.n == 0') AS m;
SELECT * FROM prism.consume('filter-damage', 'rounds', 2, filter => '$.n == 0');
SELECT "position", prism.ack(m) FROM prism.consume('filter-damage', 'single', 1, wait => '1 minute', filter => '$.n > 2') AS m;
SELECT "position" FROM prism.groups WHERE topic = 'filter-damage' ORDER BY consumer_group;
SELECT * FROM prism.consume('filter-damage', 'single', 1, wait => '1 minute', filter => '$.n > 2');
\set VERBOSITY default
SELECT prism.drop_namespace('filter-damage', true) IS NOT NULL AS dropped;
