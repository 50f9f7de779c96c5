-- plan() and apply() are one list of steps: what each key's change is, what is refused, and that both say the same.
SET client_min_messages = warning;

-- One row a key, with its values as people write them, and when it holds.
SELECT action FROM prism.apply(E'name: steps_one\nbackend: {type: memory, topic: steps_one}\nconsumers:\n - group: billing\n   lease: 1min\n - group: former');
SELECT action, part, before, after, mode, line FROM prism.plan($$
name: steps_one
client_api: queue
patterns:
  - wal
  - type: outbox
    table: steps_one_outbox
    publisher: {interval: 1min, batch_size: 7}
backend:
  type: memory
  topic: steps_one
  topic_prefix: steps
  partitions: 3
  replication: 2
needs:
  consistency: strong
  delivery_guarantee: exactly_once
  durability: strong
  replay: disabled
  ordered: true
  retention: {time: 2days, size: 3GB}
  retain: consumers
  max_backlog: 10
  on_full: reject
  max_message_size: 3MiB
observability:
  trace_patterns: true
consumers:
  - group: billing
    lease: 2min
  - group: new
$$) WHERE action NOT IN ('pattern', 'warning');
SELECT part, reason FROM prism.plan('{name: steps_one, backend: {type: memory, topic_prefix: steps}, patterns: [outbox], needs: {max_message_size: 1MB, delivery_guarantee: exactly_once}, consumers: [{group: billing, lease: 1min}, {group: former}]}') WHERE reason IS NOT NULL ORDER BY 1;

-- apply() returns the rows that plan() has shown, and then there are none.
CREATE FUNCTION pg_temp.same(config text) RETURNS TABLE (planned bigint, other bigint, again text) LANGUAGE plpgsql AS $$
DECLARE
    expected text[] := ARRAY(SELECT p::text FROM prism.plan(config) p WHERE action IN ('created', 'changed', 'unchanged'));
    done text[] := ARRAY(SELECT a::text FROM prism.apply(config) a);
BEGIN
    RETURN QUERY SELECT cardinality(expected)::bigint,
        (SELECT count(*) FROM unnest(expected, done) AS u(e, d) WHERE e IS DISTINCT FROM d),
        (SELECT string_agg(action, ' ') FROM prism.plan(config) WHERE action NOT IN ('pattern', 'warning'));
END
$$;
SELECT * FROM pg_temp.same('{name: steps_one, backend: {type: memory, topic: steps_other}, needs: {retention: 2h}, consumers: [{group: billing}]}');
SELECT * FROM pg_temp.same('{name: steps_one, backend: {type: memory, topic: steps_one}, patterns: [{type: outbox, table: steps_one_outbox}]}');
SELECT * FROM pg_temp.same('namespaces: [{name: steps_new, patterns: [{type: outbox, table: steps_new_outbox}], consumers: [{group: g}]}, {name: steps_one, patterns: [{type: outbox, table: steps_one_outbox}]}]');

-- What has drifted is told beside what changes, unless the change is the reason.
CREATE TEMP VIEW steps_drift AS SELECT action, detail, part, mode FROM prism.plan('{name: steps_new, client_api: queue, patterns: [{type: outbox, table: steps_new_outbox}]}') WHERE action <> 'pattern';
DROP VIEW prism.steps_new_outbox;
UPDATE prism.topic SET message_bytes_max = 1 WHERE name = 'steps_new';
SELECT * FROM steps_drift;
SELECT action, detail FROM prism.apply('{name: steps_new, client_api: queue, patterns: [{type: outbox, table: steps_new_outbox}]}');
SELECT * FROM steps_drift;
-- The same namespace in another form of the row.
UPDATE prism.namespace SET config = jsonb_set(config, '{max_message_size}', '"256000000"') WHERE name = 'steps_new';
SELECT * FROM steps_drift;
SELECT action, detail FROM prism.apply('{name: steps_new, client_api: queue, patterns: [{type: outbox, table: steps_new_outbox}]}');
SELECT * FROM steps_drift;

-- What apply() refuses plan() shows, with the same words, and goes on with the others.
DO $$
BEGIN
    PERFORM prism.apply('{name: steps_sink, patterns: [{type: outbox, table: steps_sink_outbox}], backend: memory}');
    PERFORM prism.pause('steps_sink');
    PERFORM prism.publish('steps_sink', repeat('x', 2000)), prism.publish('steps_sink', 'small'), prism.publish('steps_sink', repeat('y', 3000));
    EXECUTE 'CREATE VIEW public.steps_others AS SELECT payload FROM prism.steps_sink_outbox';
END
$$;
SELECT size, (SELECT detail FROM prism.plan(format('{name: steps_sink, patterns: [{type: outbox, table: steps_sink_outbox}], backend: memory, needs: {max_message_size: %s}}', size)) WHERE action = 'warning')
FROM unnest(ARRAY['4kB', '3kB', '2500', '1kB', '1']) size;
CREATE FUNCTION pg_temp.refusals(config text) RETURNS TABLE (plan text, agrees boolean, place text) LANGUAGE plpgsql AS $$
DECLARE
    planned text;
    refused text;
    line int;
    told record;
    detail text;
    hint text;
    context text;
BEGIN
    SELECT p.detail, concat_ws(': ', p.detail, p.reason), p.line INTO planned, refused, line FROM prism.plan(config) p WHERE p.action = 'refused' LIMIT 1;
    BEGIN
        PERFORM prism.apply(config);
        RETURN QUERY SELECT planned, planned IS NULL, 'applied';
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
        RETURN QUERY SELECT planned, refused IS NOT DISTINCT FROM SQLSTATE || ': ' || SQLERRM || ': ' || concat_ws(' ', nullif(detail, ''), nullif(hint, ''))
            AND context LIKE '%line ' || line || ',%', substring(context FROM '^line \d+, column \d+');
    END;
END
$$;
SELECT r.* FROM unnest(ARRAY[
    '{name: steps_sink, patterns: [{type: outbox, table: steps_sink_outbox}]}',
    E'name: steps_sink\npatterns: [{type: outbox, table: steps_sink_outbox}]\nbackend:\n  type: memory\n  topic_prefix: elsewhere',
    E'name: steps_sink\npatterns: [{type: outbox, table: steps_sink_outbox}]\nbackend:\n  type: memory\n  topic: steps_renamed',
    '{name: steps_sink, patterns: [outbox], backend: memory}',
    E'name: steps_sink\npatterns:\n - type: outbox\n   table: topic\nbackend: memory',
    E'name: steps_sink\npatterns:\n - type: outbox\n   table: steps_new_outbox\nbackend: memory',
    E'name: steps_new\npatterns: [{type: outbox, table: steps_new_outbox}]\nbackend:\n  topic: steps_sink',
    E'namespaces:\n - name: steps_beside\n - name: steps_third\n   backend: {topic: steps_sink}',
    '{name: steps_sink, patterns: [{type: outbox, table: steps_sink_outbox}], backend: memory, needs: {max_message_size: 1kB}}'
    ]) WITH ORDINALITY AS c(config, i), LATERAL pg_temp.refusals(c.config) r ORDER BY i;
SELECT namespace, action, detail FROM prism.plan('namespaces: [{name: steps_before}, {name: steps_sink, backend: memory, patterns: [outbox], needs: {max_message_size: 1kB}}, {name: steps_new, client_api: pubsub}]');

-- A topic and a view that one namespace gives up and the next one takes: as apply() does it, in the order of the document.
SELECT action FROM prism.apply('namespaces: [{name: steps_a, patterns: [{type: outbox, table: steps_a}], backend: {topic: steps_x}}, {name: steps_b}]');
BEGIN;
SELECT r.* FROM pg_temp.refusals('namespaces: [{name: steps_b, patterns: [{type: outbox, table: steps_a}], backend: {topic: steps_x}}, {name: steps_a, backend: {topic: steps_y}}]') r;
SELECT r.* FROM pg_temp.refusals('namespaces: [{name: steps_a, patterns: [{type: outbox, table: steps_c}], backend: {topic: steps_y}}, {name: steps_b, patterns: [{type: outbox, table: steps_a}], backend: {topic: steps_x}}]') r;
SELECT name, namespace_id = (SELECT namespace_id FROM prism.namespace WHERE name = 'steps_b') AS of_b FROM prism.topic WHERE name LIKE 'steps\__' ORDER BY 1;
ROLLBACK;

DROP VIEW public.steps_others;
SELECT prism.drop_namespace(name, true) FROM prism.namespace WHERE name LIKE 'steps\_%';
