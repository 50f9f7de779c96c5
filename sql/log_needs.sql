-- What needs make of a topic: its policy and its chain of patterns, which apply() changes and repairs.
CREATE FUNCTION topic_policy(topic text) RETURNS text LANGUAGE sql AS
    'SELECT policy::text || '' '' || chain::text FROM prism.topic t WHERE t.name = $1';
SELECT detail FROM prism.apply('{name: needs-test, client_api: queue}');
SELECT topic_policy('needs-test');
SELECT detail FROM prism.apply('{name: needs-test, client_api: queue, needs: {durability: strong, replay: disabled, ordered: false, retention: {time: 30days, size: 10GB}, retain: consumers, max_backlog: 1000, on_full: reject}}');
SELECT topic_policy('needs-test');
SELECT action, detail FROM prism.plan('{name: needs-test, client_api: queue, needs: {durability: strong, replay: disabled, ordered: false, retention: {time: 30days, size: 10GB}, retain: consumers, max_backlog: 1000, on_full: reject}}');
-- What says the defaults is the default.
SELECT detail FROM prism.apply('{name: needs-test, client_api: queue, needs: {durability: relaxed, replay: enabled, ordered: true, retention: forever, retain: time}}');
SELECT topic_policy('needs-test');
-- A durable queue is durable, whether it says so or not.
SELECT detail FROM prism.apply('{name: needs-test, client_api: durable-queue}');
SELECT topic_policy('needs-test');
-- What somebody else did to the topic is repaired.
UPDATE prism.topic SET policy = '{"retain": "consumers"}' WHERE name = 'needs-test';
SELECT action, detail FROM prism.plan('{name: needs-test, client_api: durable-queue}');
SELECT action, detail FROM prism.apply('{name: needs-test, client_api: durable-queue}');
UPDATE prism.topic SET chain = '[{"type": "wal"}]' WHERE name = 'needs-test';
SELECT action, detail FROM prism.plan('{name: needs-test, client_api: durable-queue}');
SELECT action, detail FROM prism.apply('{name: needs-test, client_api: durable-queue}');
SELECT topic_policy('needs-test');
-- A pattern that is named needs no reason.
SELECT detail FROM prism.plan('{name: needs-test, patterns: [wal, outbox], needs: {durability: strong}}');
SELECT detail FROM prism.plan('{name: needs-test, patterns: [outbox], needs: {durability: strong, consistency: strong}}');

-- Dead letters are kept as long as the messages, without any other promise.
SELECT action FROM prism.apply('{name: needs-test, needs: {retention: {time: 30days, size: 10GB}, durability: strong, retain: consumers}}');
SELECT prism.publish('needs-test', 'dead') IS NOT NULL AS published;
SELECT prism.reject(m, 'no use') FROM prism.consume('needs-test', 'g') AS m;
SELECT topic_policy('needs-test.dlq');
SELECT action FROM prism.apply('{name: needs-test, needs: {retention: forever}}');
SELECT topic_policy('needs-test.dlq');

-- Groups that say nothing else are ordered by key, unless nobody needs that.
SELECT action FROM prism.apply('{name: needs-test, needs: {ordered: false}, consumers: [{group: declared}, {group: strict, ordering: strict}]}');
SELECT prism.publish('needs-test', 'x') IS NOT NULL AS published;
SELECT count(*) FROM prism.consume('needs-test', 'implicit');
SELECT prism.create_group('needs-test', 'made'), prism.create_group('needs-test', 'keyed', ordering => 'key');
SELECT g.name, g.config FROM prism.consumer_group g JOIN prism.topic t USING (topic_id) WHERE t.name = 'needs-test' ORDER BY 1;
SELECT action FROM prism.plan('{name: needs-test, needs: {ordered: false}, consumers: [{group: declared}, {group: strict, ordering: strict}]}');
SELECT prism.drop_namespace('needs-test');
DROP FUNCTION topic_policy;
