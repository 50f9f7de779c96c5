-- The RFC's YAML runs as written. Pattern 1, the durable operation log:
SELECT namespace, action, detail FROM prism.apply($$
# Declare what you need - Prism handles the rest
namespaces:
  - name: order-processing
    pattern: durable-queue      # What pattern you need

    # Tell Prism what guarantees you need
    needs:
      durability: strong        # → Prism adds WAL with fsync
      replay: enabled           # → Prism keeps committed log for replay
      retention: 30days         # → Prism retains WAL for 30 days
      ordered: true             # → Prism guarantees order
$$);
SELECT namespace, action, detail FROM prism.plan($$
namespaces:
  - name: order-processing
    pattern: durable-queue
    needs: {durability: strong, replay: enabled, retention: 30days, ordered: true}
$$);
-- Its client code: publish, consume, acknowledge what worked.
BEGIN;
SELECT prism.publish('order-processing', '{"order_id": 12345, "amount": 99.99, "status": "pending"}'::jsonb) IS NOT NULL AS published;
COMMIT;
SELECT first, last FROM prism.last_position();
SELECT convert_from(payload, 'UTF8') AS payload, prism.ack(m) FROM prism.consume('order-processing', 'orders') AS m;
-- It can be replayed.
SELECT "position", convert_from(payload, 'UTF8') AS payload FROM prism.read('order-processing');
SELECT prism.drop_namespace('order-processing');

-- Pattern 3, transactional messaging:
SELECT namespace, action, detail FROM prism.apply($$
namespaces:
  - name: order-processing
    pattern: queue

    needs:
      consistency: strong          # → Prism adds Outbox pattern
      delivery_guarantee: exactly_once
$$);

-- The configuration schema's namespace without its claim check, whose store is still to come.
SELECT namespace, action, detail FROM prism.apply($$
namespaces:
  - name: video-processing

    # Layer 3: Client API
    client_api: pubsub

    # Layer 2: Pattern composition (ordered!)
    patterns:
      - type: outbox
        enabled: true
        config:
          database: postgres
          table: video_outbox
          publisher:
            interval: 100ms
            batch_size: 100

      - type: tiered-storage
        enabled: false  # Optional pattern

    # Layer 1: Backend configuration
    backend:
      type: kafka
      brokers: [kafka-1:9092, kafka-2:9092]
      topic: videos
      partitions: 10
      replication: 3

    # Observability
    observability:
      trace_patterns: true  # Trace each pattern execution
      pattern_metrics: true
$$);

-- Pattern 5, transactional large payloads: where there is no object store the payloads lie in this database.
SELECT namespace, action, detail FROM prism.apply($$
namespaces:
  - name: ml-model-releases
    pattern: pubsub

    needs:
      consistency: strong           # → Prism adds Outbox
      max_message_size: 5GB        # → Prism adds Claim Check
      delivery_guarantee: exactly_once
$$);
CREATE TABLE model_registry (name text, version text, status text);
BEGIN;
INSERT INTO model_registry (name, version, status) VALUES ('my-model', 'v2', 'published');
SELECT prism.publish('ml-model-releases', jsonb_build_object('model_name', 'my-model', 'version', 'v2', 'weights', repeat('w', 3000000))) IS NOT NULL AS published;
COMMIT;
SELECT model ->> 'version' AS version, length(model ->> 'weights') AS weights
FROM prism.consume('ml-model-releases', 'deployer') AS m CROSS JOIN LATERAL CAST(convert_from(m.payload, 'UTF8') AS jsonb) AS model;
-- If commit fails, no message is sent.
BEGIN;
SELECT prism.publish('ml-model-releases', repeat('w', 3000000)) IS NOT NULL AS published;
ROLLBACK;
SELECT count(*) FROM prism.claims WHERE topic = 'ml-model-releases';

-- The RFC's tests. A small payload triggers no claim check, a large one does; the outbox before it, or behind.
SELECT namespace, action, detail FROM prism.apply($$
namespaces:
  - namespace: test
    client_api: pubsub
    patterns:
      - {type: outbox, database: postgres}
      - {type: claim-check, threshold: 1MB, storage: postgres}
  - namespace: test-order
    client_api: pubsub
    patterns:
      - {type: claim-check, threshold: 1MB, storage: postgres}
      - {type: outbox, database: postgres}
$$);
BEGIN;
SELECT prism.publish(topic, convert_to(repeat('x', 500000), 'UTF8')) IS NOT NULL AS published FROM unnest(ARRAY['test', 'test-order']) AS topic;
SELECT topic, headers ? 'claim_check_id' AS claimed, length(payload) AS bytes FROM prism.outbox WHERE published_at IS NULL ORDER BY topic;
ROLLBACK;
-- 1,000,000 bytes are not larger than 1 MB.
BEGIN;
SELECT prism.publish('test', convert_to(repeat('x', bytes), 'UTF8')) IS NOT NULL AS published FROM unnest(ARRAY[1000000, 1000001, 2000000]) AS bytes;
SELECT headers ? 'claim_check_id' AS claimed, length(payload) AS bytes FROM prism.outbox WHERE published_at IS NULL ORDER BY id;
ROLLBACK;
-- A chain: one pending row without a payload, one payload beside the log.
BEGIN;
SELECT prism.publish(topic, convert_to(repeat('x', 5000000), 'UTF8')) IS NOT NULL AS published FROM unnest(ARRAY['test', 'test-order']) AS topic;
SELECT topic, headers ? 'claim_check_id' AS claimed, length(payload) AS bytes FROM prism.outbox WHERE published_at IS NULL ORDER BY topic;
COMMIT;
SELECT topic, size, state FROM prism.claims WHERE topic LIKE 'test%';
-- End to end.
SELECT prism.publish('test', convert_to(repeat('x', 10000000), 'UTF8')) IS NOT NULL AS published;
SELECT length(payload) AS bytes, payload = convert_to(repeat('x', 10000000), 'UTF8') AS reconstructed, headers, prism.ack(m) AS acknowledged
FROM prism.consume('test', 'subscriber') AS m;
SELECT prism.drop_namespace(name) FROM prism.namespace WHERE name IN ('test', 'test-order', 'ml-model-releases') ORDER BY name;
DROP TABLE model_registry;

-- Patterns that are still to come are named.
SELECT namespace, action, detail FROM prism.apply($$
namespaces:
  - name: video-uploads
    pattern: pubsub
    needs:
      max_message_size: 5GB        # → Prism adds Claim Check
      storage_backend: s3          # → Prism configures S3 storage
$$);
SELECT namespace, detail FROM prism.plan('{name: order-processing, pattern: queue, needs: {consistency: strong, delivery_guarantee: exactly_once}}');
SELECT prism.drop_namespace('order-processing');
SELECT prism.drop_namespace('video-processing');
