-- The claim check in a namespace: what is stored of it, where its payloads go, and what a change changes.
CREATE FUNCTION pg_temp.link(topic text) RETURNS TABLE (link jsonb) LANGUAGE sql AS $$
	SELECT l - 'store' || CASE WHEN l -> 'store' = to_jsonb(s.store_id) THEN jsonb '{"store": "its own"}' ELSE jsonb_build_object('store', l -> 'store') END
	FROM prism.topic t CROSS JOIN jsonb_array_elements(t.chain) AS l LEFT JOIN prism.store s ON s.topic_id = t.topic_id AND s.retired_at IS NULL
	WHERE t.name = $1 AND l ->> 'type' = 'claim-check'
$$;
CREATE FUNCTION pg_temp.config(topic text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_path_query_first(config, '$.patterns[*] ? (@.type == "claim-check")') - 'type' FROM prism.namespace WHERE name = $1
$$;
CREATE FUNCTION pg_temp.stores(topic text) RETURNS TABLE (number bigint, backend text, server name, bucket text, prefix text, retired_at bigint) LANGUAGE sql AS $$
	SELECT row_number() OVER (ORDER BY s.store_id), s.backend, s.server, s.bucket, s.prefix, s.retired_at
	FROM prism.store s JOIN prism.topic t USING (topic_id) WHERE t.name = $1 ORDER BY s.store_id
$$;
CREATE FUNCTION pg_temp.refused(config text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	d text; h text; c text;
BEGIN
	PERFORM prism.plan(config);
	RETURN 'taken';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT, c = PG_EXCEPTION_CONTEXT;
	RETURN concat_ws(E'\n  ', format('%s %s (%s)', SQLSTATE, SQLERRM, substring(c FROM 'line \d+, column \d+')), nullif(d, ''), nullif(h, ''));
END
$$;
\t on
\a

-- What is needed has all defaults; the topic takes 5 GB, as much as the specification's examples have.
SELECT action, detail FROM prism.apply('{name: claim-need, needs: {max_message_size: ">1MB"}}');
SELECT message_bytes_max FROM prism.topic WHERE name = 'claim-need';
SELECT * FROM pg_temp.link('claim-need');
SELECT pg_temp.config('claim-need');
SELECT * FROM pg_temp.stores('claim-need');
SELECT action, detail FROM prism.plan('{name: claim-need, needs: {max_message_size: ">1MB"}}');

-- The pattern by itself, with options: a prior or a later place in the list makes no difference to what runs.
SELECT action FROM prism.apply($$
name: claim-options
patterns:
  - type: claim-check
    threshold: 64KB
    storage: postgres
    compression: zstd
    cleanup: {strategy: on_consume, ttl: 604800}
    metadata_field: payload_id
  - outbox
consumers: [{group: readers}]
$$);
SELECT jsonb_path_query_array(chain, '$[*].type') FROM prism.topic WHERE name = 'claim-options';
SELECT message_bytes_max FROM prism.topic WHERE name = 'claim-options';
SELECT * FROM pg_temp.link('claim-options');
SELECT pg_temp.config('claim-options');

-- Each change is a row, with when it holds; none of these moves a payload.
SELECT part, before, after, mode, reason FROM prism.plan($$
name: claim-options
patterns:
  - outbox
  - type: claim-check
    threshold: 2MB
    cleanup: never
consumers: [{group: readers}]
$$) WHERE action = 'changed';
-- The same place is the same store, whoever has named it.
SELECT action FROM prism.apply('{name: claim-options, patterns: [outbox, {type: claim-check, threshold: 2MB, cleanup: never}], consumers: [{group: readers}]}');
SELECT * FROM pg_temp.link('claim-options');
SELECT * FROM pg_temp.stores('claim-options');

-- A message becomes a dead letter: its topic has a store of its own.
SELECT prism.publish('claim-options', 'bad'::bytea) IS NOT NULL;
SELECT prism.reject('claim-options', 'readers', ARRAY(SELECT position FROM prism.consume('claim-options', 'readers', 1)), reason => 'no');
SELECT * FROM pg_temp.link('claim-options.dlq');
SELECT count(DISTINCT s.store_id), count(DISTINCT s.topic_id) FROM prism.store s JOIN prism.topic t USING (topic_id) WHERE t.name LIKE 'claim-options%';
SELECT action FROM prism.plan('{name: claim-options, patterns: [outbox, {type: claim-check, threshold: 2MB, cleanup: never}], consumers: [{group: readers}]}') WHERE action NOT IN ('pattern', 'storage');

-- Drift is found and put right: a store that is lost, one that is another topic's, a number that is none.
UPDATE prism.store SET retired_at = 1 WHERE topic_id IN (SELECT topic_id FROM prism.topic WHERE name LIKE 'claim-options%');
SELECT action, count(*) FROM prism.apply('{name: claim-options, patterns: [outbox, {type: claim-check, threshold: 2MB, cleanup: never}], consumers: [{group: readers}]}') GROUP BY 1;
SELECT * FROM pg_temp.link('claim-options');
SELECT * FROM pg_temp.link('claim-options.dlq');
SELECT * FROM pg_temp.stores('claim-options');
UPDATE prism.topic SET chain = jsonb_set(chain, '{1,store}', '1e30') WHERE name = 'claim-options';
SELECT action FROM prism.apply('{name: claim-options, patterns: [outbox, {type: claim-check, threshold: 2MB, cleanup: never}], consumers: [{group: readers}]}');
SELECT * FROM pg_temp.link('claim-options');

-- Switched off: no new payload goes anywhere, those that are there stay where they are. Switched on: from there on another one.
SELECT part, before, after, mode, reason FROM prism.apply('{name: claim-options, patterns: [outbox, {type: claim-check, enabled: false}], needs: {max_message_size: 64MB}, consumers: [{group: readers}]}');
SELECT * FROM pg_temp.link('claim-options');
SELECT * FROM pg_temp.stores('claim-options');
SELECT * FROM pg_temp.stores('claim-options.dlq');
SELECT action FROM prism.apply('{name: claim-options, patterns: [outbox, claim-check], consumers: [{group: readers}]}') LIMIT 1;
SELECT * FROM pg_temp.stores('claim-options');

-- What cannot be.
SELECT pg_temp.refused('{name: claim-not, patterns: [{type: claim-check, storage: s3}]}');
SELECT pg_temp.refused('{name: claim-not, needs: {max_message_size: 5GB, storage_backend: s3}}');
SELECT pg_temp.refused('{name: claim-not, patterns: [claim-check], backend: kafka}');
SELECT pg_temp.refused('{name: claim-not, patterns: [{type: claim-check, storage: postgres}], backend: memory}');
SELECT pg_temp.refused('{name: claim-not, needs: {max_message_size: 501GB}}');
SELECT pg_temp.refused('{name: claim-not, patterns: [{type: claim-check, threshold: 600MB}]}');
SELECT pg_temp.refused('{name: claim-not, patterns: [{type: claim-check, threshold: 0}]}');
SELECT pg_temp.refused('{name: claim-not, patterns: [{type: claim-check, compression: bzip2}]}');
SELECT pg_temp.refused('{name: claim-not, patterns: [{type: claim-check, cleanup: {strategy: retention, ttl: 1h}}]}');
SELECT pg_temp.refused('{name: claim-not, patterns: [{type: claim-check, cleanup: {ttl: 1ms}}]}');
SELECT pg_temp.refused('{name: claim-not, patterns: [{type: claim-check, metadata_field: "a b"}]}');
SELECT pg_temp.refused('{name: claim-not, patterns: [{type: claim-check, metadata_field: Payload_Size}]}');
SELECT pg_temp.refused('{name: claim-not, patterns: [{type: claim-check, max_pending: 10GB}]}');
SELECT pg_temp.refused('{name: claim-not, patterns: [{type: claim-check, bucket: payloads, storage: postgres}]}');
SELECT pg_temp.refused('{name: claim-not, patterns: [{type: claim-check, enabled: false}], needs: {max_message_size: 513MB}}');
SELECT pg_temp.refused('{name: claim-not, client_api: reader, patterns: [claim-check]}');
-- What is only unwise.
SELECT detail FROM prism.plan('{name: claim-not, patterns: [{type: claim-check, threshold: 2MB}], needs: {max_message_size: 1MB}}') WHERE action = 'warning';

-- All of it goes with the namespace.
SELECT prism.drop_namespace(name) FROM prism.namespace WHERE name LIKE 'claim-%';
SELECT count(*) FROM prism.store;
