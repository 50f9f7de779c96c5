-- apply(), plan() and drop_namespace(): what they do, that they do all or nothing, and that drift is seen and repaired.
SET client_min_messages = warning;

-- Made, then left alone, then changed.
SELECT namespace, action, detail FROM prism.plan($$
namespaces:
  - name: apply_orders
    pattern: queue
    needs:
      consistency: strong
$$);
SELECT count(*) FROM prism.namespaces WHERE namespace = 'apply_orders';
SELECT namespace, action, detail FROM prism.apply($$
namespaces:
  - name: apply_orders
    pattern: queue
    needs:
      consistency: strong
$$);
SELECT namespace, action, detail FROM prism.apply('{name: apply_orders, client_api: queue, needs: {consistency: strong}}');
SELECT namespace, action, detail FROM prism.plan('{name: apply_orders, client_api: pubsub, patterns: [outbox], needs: {max_message_size: 64 MiB}}');
SELECT namespace, action, detail FROM prism.apply('{name: apply_orders, client_api: pubsub, patterns: [outbox], needs: {max_message_size: 64 MiB}}');
SELECT namespace, topic, client_api, patterns, backend, delivery_guarantee, max_message_size, privileges, applied_by = current_user AS mine
FROM prism.namespaces WHERE namespace LIKE 'apply\_%';
SELECT name, message_bytes_max FROM prism.topic WHERE name LIKE 'apply\_%';

-- Units: k, M, G are decimal, Ki, Mi, Gi binary.
SELECT size, (SELECT after
              FROM prism.plan(format('{name: apply_orders, client_api: pubsub, patterns: [outbox], needs: {max_message_size: %s}}', size))
              WHERE part = 'needs.max_message_size')
FROM unnest(ARRAY['1', '7B', '2k', '2KB', '2 Ki', '3MB', '3MiB', '512M', '512MB']) WITH ORDINALITY AS s(size, i) ORDER BY i;
SELECT pause, (SELECT after
               FROM prism.plan(format('{name: apply_orders, client_api: pubsub, patterns: [{type: outbox, publisher: {interval: %s}}], needs: {max_message_size: 64MiB}}', pause))
               WHERE part = 'patterns.outbox.publisher.interval')
FROM unnest(ARRAY['100ms', '100 ms', '2', '2s', '3min', '1h', '1day']) WITH ORDINALITY AS s(pause, i) ORDER BY i;

-- NULL is not "nothing to do".
SELECT namespace, action, detail FROM prism.apply(NULL);
SELECT prism.drop_namespace(NULL);
SELECT prism.grant('apply_orders', NULL, 'postgres');

-- All or nothing.
SELECT namespace, action, detail FROM prism.apply('namespaces: [{name: apply_first}, {name: apply_second, backend: {topic: apply_orders}}]');
SELECT count(*) FROM prism.namespaces WHERE namespace IN ('apply_first', 'apply_second');
BEGIN;
SELECT action FROM prism.apply('name: apply_first');
ROLLBACK;
SELECT count(*) FROM prism.namespaces WHERE namespace = 'apply_first';

-- Two namespaces for one topic: both are named.
SELECT namespace, action, detail FROM prism.apply('{name: apply_thief, backend: {topic: apply_orders}}');

-- The RFC's forms: flat and nested options, the back end as a word, as type and as queue. (Rolled back: there is no Kafka here.)
BEGIN;
SELECT namespace, action, detail FROM prism.apply($$
namespaces:
  - name: apply_flat
    client_api: pubsub
    patterns:
      - type: outbox
        database: postgres
        table: apply_flat_outbox
        publisher:
          interval: 100ms
          batch_size: 100
    backend:
      queue: kafka
      brokers: [kafka-1:9092, kafka-2]
      topic_prefix: video
  - name: apply_nested
    client_api: pubsub
    patterns:
      - type: outbox
        enabled: true
        config:
          database: postgres
          table: apply_nested_outbox
          publisher:
            interval: 100ms
            batch_size: 100
      - type: tiered-storage
        enabled: false  # Optional pattern
    backend:
      type: memory
      topic: apply_videos
      partitions: 10
      replication: 3
    observability:
      trace_patterns: true
      pattern_metrics: true
  - name: apply_needs
    pattern: queue
    needs:
      consistency: strong
      delivery_guarantee: exactly_once
    backend: memory
$$);
SELECT namespace, jsonb_pretty(config) FROM prism.namespaces WHERE namespace IN ('apply_flat', 'apply_nested') ORDER BY 1;
SELECT t.name, s.backend, s.server, s.config, s.paused FROM prism.sink s JOIN prism.topic t USING (topic_id)
WHERE t.name LIKE 'apply\_%' ORDER BY 1;
-- A namespace is published to under its topic.
SELECT prism.publish('apply_videos', 'x'::bytea) IS NOT NULL AS published;
\set VERBOSITY terse
SELECT prism.publish('apply_nested', 'x'::bytea);
\set VERBOSITY default
ROLLBACK;

-- A topic gets another name, and keeps its messages.
SELECT prism.publish('apply_orders', 'kept'::bytea) IS NOT NULL AS published;
SELECT namespace, action, detail FROM prism.apply('{name: apply_orders, client_api: pubsub, backend: {topic: apply_renamed}}');
SELECT topic, convert_from(payload, 'UTF8') FROM prism_internal.outbox_messages('apply_renamed');
\set VERBOSITY terse
SELECT prism.publish('apply_orders', 'x'::bytea);
\set VERBOSITY default

-- Drift: plan() shows it, apply() repairs it, then there is none.
CREATE TEMP VIEW drift_config AS
SELECT '{name: apply_drift, patterns: [{type: outbox, table: apply_drift_outbox}], backend: memory}' AS config;
-- The sink is paused: what is published later waits for it.
BEGIN;
SELECT action, detail FROM drift_config, prism.apply(config);
UPDATE prism.sink SET paused = true FROM prism.topic t WHERE t.topic_id = sink.topic_id AND t.name = 'apply_drift';
COMMIT;
CREATE TEMP VIEW drift AS SELECT p.action, regexp_replace(p.detail, 'topic_\d+', 'topic_n', 'g') AS detail FROM drift_config, prism.plan(config) p WHERE p.action <> 'pattern';
CREATE TEMP VIEW repair AS SELECT p.action, p.detail FROM drift_config, prism.apply(config) p;
SELECT * FROM drift;
UPDATE prism.sink SET config = config || '{"topic": "elsewhere"}'
FROM prism.topic t WHERE t.topic_id = sink.topic_id AND t.name = 'apply_drift';
SELECT * FROM drift;
SELECT * FROM repair;
SELECT * FROM drift;
BEGIN;
DELETE FROM prism.sink USING prism.topic t WHERE t.topic_id = sink.topic_id AND t.name = 'apply_drift';
SELECT * FROM drift;
SELECT action FROM repair;
UPDATE prism.sink SET paused = true FROM prism.topic t WHERE t.topic_id = sink.topic_id AND t.name = 'apply_drift';
COMMIT;
SELECT * FROM drift;
DROP VIEW prism.apply_drift_outbox;
SELECT * FROM drift;
SELECT action FROM repair;
SELECT * FROM drift;
DROP TRIGGER publish ON prism.apply_drift_outbox;
SELECT * FROM drift;
SELECT action FROM repair;
SELECT * FROM drift;
UPDATE prism.topic SET message_bytes_max = 1 WHERE name = 'apply_drift';
SELECT * FROM drift;
SELECT action FROM repair;
SELECT * FROM drift;
DO $$
BEGIN
    EXECUTE format('DROP VIEW prism_log.namespace_%s', (SELECT namespace_id FROM prism.namespace WHERE name = 'apply_drift'));
    EXECUTE format('DROP TABLE prism_log.topic_%s_0', (SELECT topic_id FROM prism.topic WHERE name = 'apply_drift'));
END
$$;
SELECT * FROM drift;
SELECT action FROM repair;
SELECT * FROM drift;
-- What was repaired works.
INSERT INTO prism.apply_drift_outbox (payload) VALUES ('after the repair');
SELECT payload FROM prism.apply_drift_outbox;

-- drop_namespace() refuses while messages wait for the sink, and so does another back end.
SELECT prism.drop_namespace('apply_drift');
SELECT namespace, action, detail FROM prism.apply('{name: apply_drift, patterns: [{type: outbox, table: apply_drift_outbox}], backend: postgres}');
SELECT prism.drop_namespace('apply_drift', force => true);
SELECT count(*) FROM prism.namespaces WHERE namespace = 'apply_drift';
SELECT to_regclass('prism.apply_drift_outbox');
\set VERBOSITY terse
SELECT prism.publish('apply_drift', 'x'::bytea);
\set VERBOSITY default
SELECT prism.drop_namespace('apply_drift');

-- With nothing waiting both go through.
SELECT action FROM prism.apply('{name: apply_needs, client_api: queue, needs: {consistency: strong, delivery_guarantee: exactly_once}, backend: memory}');
SELECT namespace, action, detail FROM prism.apply('{name: apply_needs, client_api: queue, needs: {consistency: strong}, backend: postgres}');
SELECT count(*) FROM prism.sink s JOIN prism.topic t USING (topic_id) WHERE t.name = 'apply_needs';

-- A segment without its index, as a restore leaves it for a while, is not missing; nobody reads it or writes to it.
SELECT action FROM prism.apply('{name: apply_restored, client_api: queue}');
SELECT count(prism.publish('apply_restored', 'x'::bytea)) FROM generate_series(1, 3);
CREATE FUNCTION apply_lose_index() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DROP INDEX prism_log.topic_%s_0_offset', (SELECT topic_id FROM prism.topic WHERE name = 'apply_restored'));
END
$$;
\set VERBOSITY sqlstate
BEGIN;
SELECT apply_lose_index();
SELECT action FROM prism.plan('{name: apply_restored, client_api: queue}');
SELECT action FROM prism.apply('{name: apply_restored, client_api: queue}');
SELECT count(*) FROM prism.segment JOIN prism.topic USING (topic_id) WHERE name = 'apply_restored' AND segment_number = 0;
SAVEPOINT before;
SELECT count(*) FROM prism.read('apply_restored');
ROLLBACK TO before;
SELECT prism.consume('apply_restored', 'g');
ROLLBACK TO before;
SELECT count(prism.publish('apply_restored', 'x'::bytea)) FROM generate_series(1, 2);
COMMIT;
-- Who has looked while it was not there finds it when it is.
CREATE FUNCTION apply_make_index() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE UNIQUE INDEX topic_%1$s_0_offset ON prism_log.topic_%1$s_0 ("offset")', (SELECT topic_id FROM prism.topic WHERE name = 'apply_restored'));
END
$$;
SELECT apply_lose_index();
SELECT count(*) FROM prism.read('apply_restored');
SELECT prism.publish('apply_restored', 'x'::bytea) IS NOT NULL AS published;
SELECT apply_make_index();
SELECT prism.publish('apply_restored', 'x'::bytea) IS NOT NULL AS published;
DROP FUNCTION apply_make_index();
\set VERBOSITY default
SELECT count(*) FROM prism.read('apply_restored');
SELECT count(*) FROM prism.consume('apply_restored', 'g', 10);
DROP FUNCTION apply_lose_index();

SELECT prism.drop_namespace(name) FROM unnest(ARRAY['apply_orders', 'apply_needs', 'apply_restored']) name;
SELECT count(*) FROM prism.namespaces WHERE namespace LIKE 'apply\_%';
SELECT count(*) FROM prism.topic WHERE name LIKE 'apply\_%';
SELECT count(*) FROM prism.segment WHERE topic_id NOT IN (SELECT topic_id FROM prism.topic);
SELECT count(*) FROM pg_class WHERE relnamespace = 'prism_log'::regnamespace AND relname LIKE 'namespace%'
    AND substring(relname FROM '\d+')::int NOT IN (SELECT namespace_id FROM prism.namespace);

-- Of an option that is a map, some keys may stand beside "config" and others in it, in either order: none is lost.
SELECT action FROM prism.apply('{name: apply_halves, patterns: [{type: outbox, publisher: {interval: 1s}, config: {publisher: {batch_size: 5}}}]}');
SELECT config -> 'patterns' AS patterns FROM prism.namespaces WHERE namespace = 'apply_halves';
SELECT action FROM prism.apply('{name: apply_halves, patterns: [{config: {publisher: {interval: 2s}, table: apply_halves}, type: outbox, publisher: {batch_size: 6}}]}');
SELECT config -> 'patterns' AS patterns FROM prism.namespaces WHERE namespace = 'apply_halves';
SELECT prism.drop_namespace('apply_halves');
