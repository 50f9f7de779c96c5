-- Options of consumer groups, and the order that they keep.
SELECT action FROM prism.apply('name: order-test');
SELECT count(prism.publish('order-test', n::text, key)) FROM unnest('{a,a,b,NULL,a,NULL,b}'::text[]) WITH ORDINALITY AS k(key, n);
\set QUIET on
-- What a consumer is handed out, in a transaction that is rolled back: as another one would see it.
CREATE PROCEDURE others_get(consumer_group text) LANGUAGE plpgsql AS $$
DECLARE
    got text;
BEGIN
    SELECT string_agg("position"::text, ' ') INTO got FROM prism.consume('order-test', consumer_group);
    RAISE NOTICE 'others get: %', coalesce(got, 'nothing');
    ROLLBACK;
END $$;
\set QUIET off

-- By key, the default: who has the first of a key may have those behind it, nobody else may.
SELECT "position", key FROM prism.consume('order-test', 'by key', 1);
CALL others_get('by key');
SELECT "position", key FROM prism.consume('order-test', 'by key', 2);
SELECT prism.ack('order-test', 'by key', '{0}');
SELECT "position", key FROM prism.consume('order-test', 'by key');
-- Within one transaction, savepoints included, the next one is welcome.
SELECT prism.create_group('order-test', 'in one', ordering => 'strict');
BEGIN;
SELECT "position" FROM prism.consume('order-test', 'in one', 1);
SAVEPOINT s;
SELECT "position" FROM prism.consume('order-test', 'in one', 2);
ROLLBACK TO s;
SELECT "position", attempt FROM prism.consume('order-test', 'in one', 1);
SELECT prism.ack('order-test', 'in one', '{0,1}');
COMMIT;
SELECT "position", attempt FROM prism.consume('order-test', 'in one', 1);
CALL others_get('in one');
-- Without an order nothing waits.
SELECT prism.create_group('order-test', 'any', ordering => 'none');
SELECT "position" FROM prism.consume('order-test', 'any', 1);
SELECT "position" FROM prism.consume('order-test', 'any', 2);
-- No more than max_in_flight at a time.
SELECT prism.create_group('order-test', 'few', ordering => 'none', max_in_flight => 2);
SELECT "position" FROM prism.consume('order-test', 'few');
SELECT "position" FROM prism.consume('order-test', 'few');
CALL prism.wait('order-test', 'few', '10 ms');
SELECT prism.ack('order-test', 'few', '{1}');
SELECT "position" FROM prism.consume('order-test', 'few');

-- What prism.groups tells of it.
SELECT consumer_group, ordering, in_flight, available, consumers, oldest_unacknowledged_seconds BETWEEN 0.000001 AND 600 AS held
  FROM prism.groups WHERE topic = 'order-test' ORDER BY 1;
SELECT prism.create_group('order-test', 'idle');
SELECT ordering, in_flight, consumers, oldest_unacknowledged_seconds FROM prism.groups WHERE topic = 'order-test' AND consumer_group = 'idle';

-- Kept is what differs from the defaults.
SELECT prism.create_group('order-test', 'all', 'latest', 'strict', 3, '1 min', 10, '{100 ms,1 day}');
SELECT prism.create_group('order-test', 'none', backoff => '{}', max_attempts => 0);
SELECT name, config FROM prism.consumer_group WHERE config <> '{}' ORDER BY name;
-- Wrong options.
SELECT prism.create_group('order-test', 'wrong', ordering => 'Key');
SELECT prism.create_group('order-test', 'wrong', max_attempts => -1);
SELECT prism.create_group('order-test', 'wrong', max_attempts => 10001);
SELECT prism.create_group('order-test', 'wrong', lease => '0');
SELECT prism.create_group('order-test', 'wrong', lease => '13 hours');
SELECT prism.create_group('order-test', 'wrong', max_in_flight => -1);
SELECT prism.create_group('order-test', 'wrong', backoff => '{1 s,NULL}');
SELECT prism.create_group('order-test', 'wrong', backoff => '{{1 s},{2 s}}');
SELECT prism.create_group('order-test', 'wrong', backoff => '{8 days}');
SELECT prism.create_group('order-test', 'wrong', backoff => array_fill('1 s'::interval, '{17}'));

-- In the namespace's configuration: made, changed, repaired.
SELECT action, detail FROM prism.apply($$
name: order-test
consumers:
  - group: few
    ordering: none
    max_in_flight: 2
  - name: billing
    lease: 2min
    backoff: [500ms, 1min]
$$);
SELECT name, config FROM prism.consumer_group WHERE name IN ('few', 'billing') ORDER BY name;
SELECT action FROM prism.apply($$
name: order-test
consumers: [{group: few, ordering: none, max_in_flight: 2}, {group: billing, lease: 2min, backoff: [500ms, 1min]}]
$$);
BEGIN;
SELECT action, detail FROM prism.apply('{name: order-test, consumers: [{group: few, ordering: none, max_in_flight: 5}]}');
ROLLBACK;
SELECT "position" FROM prism.consume('order-test', 'few');
SELECT action, detail FROM prism.apply('{name: order-test, consumers: [{group: few, ordering: none, max_in_flight: 5}]}');
-- The consumers of now have the new options at once.
SELECT "position" FROM prism.consume('order-test', 'few');
SELECT prism.drop_group('order-test', 'few');
SELECT action, detail FROM prism.plan('{name: order-test, consumers: [{group: few, ordering: none, max_in_flight: 5}, {group: none}]}') WHERE action <> 'pattern';
SELECT action, detail FROM prism.apply('{name: order-test, consumers: [{group: few, ordering: none, max_in_flight: 5}]}');
-- Mistakes, with their places.
SELECT namespace, action, detail FROM prism.plan('{name: order-test, consumers: {group: few}}');
SELECT namespace, action, detail FROM prism.plan('{name: order-test, consumers: [few]}');
SELECT namespace, action, detail FROM prism.plan('{name: order-test, consumers: [{ordering: key}]}');
SELECT namespace, action, detail FROM prism.plan('{name: order-test, consumers: [{group: a, name: b}]}');
SELECT namespace, action, detail FROM prism.plan('{name: order-test, consumers: [{group: a}, {group: a}]}');
SELECT namespace, action, detail FROM prism.plan('{name: order-test, consumers: [{group: a, max_atempts: 3}]}');
SELECT namespace, action, detail FROM prism.plan('{name: order-test, consumers: [{group: a, ordering: keys}]}');
SELECT namespace, action, detail FROM prism.plan('{name: order-test, consumers: [{group: a, lease: 13h}]}');
SELECT namespace, action, detail FROM prism.plan('{name: order-test, consumers: [{group: a, backoff: 1s}]}');
SELECT namespace, action, detail FROM prism.plan('{name: order-test, consumers: [{group: a, backoff: [1s, soon]}]}');
SELECT namespace, action, detail FROM prism.plan('{name: order-test, consumers: [{group: a, backoff: [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}]}');

SELECT prism.drop_namespace('order-test', true) IS NOT NULL AS dropped;
DROP PROCEDURE others_get(text);
