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

-- The configuration schema's namespace without its claim check, which is still to come.
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
