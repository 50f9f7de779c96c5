-- What apply() refuses, with the place and what to write instead. Nothing is applied here: plan() reads the same way.
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;

CREATE FUNCTION pg_temp.refused(config text) RETURNS text LANGUAGE plpgsql AS $function$
DECLARE
    message text;
    detail text;
    hint text;
    context text;
BEGIN
    PERFORM * FROM prism.plan(config);
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
    detail := replace(detail, current_database(), 'this_database');
    RETURN concat_ws(E'\n  ', SQLSTATE || ' ' || message, 'detail: ' || nullif(detail, ''), 'hint: ' || nullif(hint, ''),
        'at: ' || substring(context FROM '^(line [^\n]*) of the configuration'),
        'in: ' || substring(context FROM '(?n)^(namespace [^\n]*) of the configuration$'));
END
$function$;

-- Not YAML, or more YAML than a configuration needs.
SELECT pg_temp.refused('');
SELECT pg_temp.refused('# only a comment');
SELECT pg_temp.refused('just text');
SELECT pg_temp.refused('[1, 2]');
SELECT pg_temp.refused('~');
SELECT pg_temp.refused(E'name: a\n\tclient_api: queue');
SELECT pg_temp.refused(E'name: [a');
SELECT pg_temp.refused(E'name: a\n  client_api: queue');
SELECT pg_temp.refused(E'name: a\x01');
SELECT pg_temp.refused(E'name: "a\\0b"');
SELECT pg_temp.refused(E'name: a\n---\nname: b');
SELECT pg_temp.refused(E'name: a\nname: b');
SELECT pg_temp.refused(E'name: &a x\nbackend: *a');
SELECT pg_temp.refused(E'name: a\nbackend: *b');
SELECT pg_temp.refused(E'name: !!str a');
SELECT pg_temp.refused(E'[a]: b');
SELECT pg_temp.refused(E'a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]');

-- Junk up to the limits ends soon, with an error.
SELECT pg_temp.refused(repeat('x', 1024 * 1024 + 1));
SELECT pg_temp.refused(repeat('[', 1024 * 1024));
SELECT pg_temp.refused(repeat('{a: ', 32) || '1' || repeat('}', 32));
SELECT pg_temp.refused(repeat('- ', 512 * 1024));
SELECT pg_temp.refused('a: [' || repeat('a,', 500000) || ']');
SELECT pg_temp.refused((SELECT string_agg('k' || i || ': 1', E'\n') FROM generate_series(1, 65) i));
SELECT pg_temp.refused((SELECT string_agg('%TAG !a' || i || '! tag:a', E'\n') FROM generate_series(1, 17) i) || E'\n---\nnamespace: a');
SELECT pg_temp.refused((SELECT string_agg('%TAG !a' || i || '! tag:a', E'\n') FROM generate_series(1, 16) i) || E'\n---\nname: a');
SELECT pg_temp.refused(E'%YAML 1.1\n---\nname: a # 100 %TAG' || repeat('%TAG ', 20));
SELECT pg_temp.refused('namespaces: [' || (SELECT string_agg('{name: n' || i || '}', ',') FROM generate_series(1, 1001) i) || ']');

-- Unknown keys: the place, what is known there and what was probably meant.
SELECT pg_temp.refused(E'namespace:\n  - name: a');
SELECT pg_temp.refused('{namespace: a, client_api: queue}');
SELECT pg_temp.refused('{namespace: a, name: a}');
SELECT pg_temp.refused(E'namespaces:\n  - name: a\n    patern: queue');
SELECT pg_temp.refused(E'name: a\nneeds:\n  consistancy: strong');
SELECT pg_temp.refused(E'name: a\nbackend:\n  topik: x');
SELECT pg_temp.refused(E'name: a\nbackend:\n  type: kafka\n  sasl.password: secret');
SELECT pg_temp.refused(E'name: a\npatterns:\n  - type: outbox\n    treshold: 1');
SELECT pg_temp.refused(E'name: a\npatterns:\n  - type: outbox\n    config:\n      publisher: {intervall: 1s}');
SELECT pg_temp.refused(E'name: a\nobservability: {trace: true}');
SELECT pg_temp.refused(E'name: a\n' || repeat('k', 10000) || ': 1');

-- Wrong types and words.
SELECT pg_temp.refused('namespaces: {name: a}');
SELECT pg_temp.refused('namespaces: [a]');
SELECT pg_temp.refused('namespaces:');
SELECT pg_temp.refused('client_api: queue');
SELECT pg_temp.refused('namespaces: [{client_api: queue}]');
SELECT pg_temp.refused('{nme: k3}');
SELECT pg_temp.refused('{namespacs: [{name: k3}]}');
SELECT pg_temp.refused('{namespaces: [{nme: k3}]}');
SELECT pg_temp.refused('{}');
SELECT pg_temp.refused('name:');
SELECT pg_temp.refused('name: ""');
SELECT pg_temp.refused('name: [a]');
SELECT pg_temp.refused('{name: a, client_api: qeue}');
SELECT pg_temp.refused('{name: a, client_api: [queue]}');
SELECT pg_temp.refused('{name: a, client_api: queue, pattern: queue}');
SELECT pg_temp.refused('{name: a, needs: strong}');
SELECT pg_temp.refused('{name: a, needs: {consistency: stronk}}');
SELECT pg_temp.refused('{name: a, needs: {delivery_guarantee: exactly-once}}');
SELECT pg_temp.refused('{name: a, needs: {max_message_size: large}}');
SELECT pg_temp.refused('{name: a, needs: {max_message_size: -1MB}}');
SELECT pg_temp.refused('{name: a, needs: {max_message_size: 0}}');
SELECT pg_temp.refused('{name: a, needs: {max_message_size: 99999999999999999999}}');
SELECT pg_temp.refused('{name: a, needs: {max_message_size: 99999999TB}}');
SELECT pg_temp.refused('{name: a, needs: {max_message_size: 1MB, message_size: 1MB}}');
SELECT pg_temp.refused('{name: a, backend: kafak}');
SELECT pg_temp.refused('{name: a, backend: {type: kafka, queue: kafka}}');
SELECT pg_temp.refused('{name: a, backend: {type: kafka, partitions: ten}}');
SELECT pg_temp.refused('{name: a, backend: {type: kafka, partitions: 0}}');
SELECT pg_temp.refused('{name: a, backend: {type: kafka, partitions: 100001}}');
SELECT pg_temp.refused('{name: a, backend: {type: kafka, replication: 20000}}');
SELECT pg_temp.refused('{name: a, backend: {type: kafka, brokers: "k:9092"}}');
SELECT pg_temp.refused('{name: a, backend: {type: kafka, brokers: []}}');
SELECT pg_temp.refused('{name: a, backend: {type: kafka, brokers: [{host: k}]}}');
SELECT pg_temp.refused('{name: a, patterns: outbox}');
-- Twice is twice, also with another one in between.
SELECT pg_temp.refused('{name: a, patterns: [outbox, outbox]}');
SELECT pg_temp.refused('{name: a, patterns: [outbox, wal, outbox]}');
SELECT pg_temp.refused(E'name: a\npatterns:\n  - wal\n  - {type: outbox, enabled: false}\n  - {type: outbox, table: t}');
SELECT pg_temp.refused(E'name: a\npatterns:\n  - {type: claim-check, enabled: false}\n  - outbox\n  - {type: claim-check, enabled: false}');
SELECT pg_temp.refused('{name: a, patterns: [{enabled: true}]}');
SELECT pg_temp.refused('{name: a, patterns: [{type: outbox, enabled: maybe}]}');
SELECT pg_temp.refused('{name: a, patterns: [{type: outbox, enabled: "true"}]}');
SELECT pg_temp.refused('{name: a, patterns: [{type: outbox, publisher: {interval: soon}}]}');
SELECT pg_temp.refused('{name: a, patterns: [{type: outbox, publisher: {batch_size: 0}}]}');
SELECT pg_temp.refused('{name: a, observability: {trace_patterns: 1}}');

-- An option stands beside its pattern or under config; what stood in both would be lost once. Where "type" stands is no matter.
SELECT pg_temp.refused('{name: a, patterns: [{table: t, type: outbox, config: {database: postgres}}]}');
SELECT pg_temp.refused('{name: a, patterns: [{table: t, type: outbox, config: {table: t}}]}');
-- Of a map, some options may stand here and others there: sql/namespace_apply.sql.
SELECT pg_temp.refused('{name: a, patterns: [{type: outbox, publisher: {interval: 1s}, config: {publisher: {interval: 1s, batch_size: 5}}}]}');
SELECT pg_temp.refused('{name: a, patterns: [{config: {publisher: {batch_size: 5}}, type: outbox, publisher: {interval: 1s, batch_size: 5}}]}');
SELECT pg_temp.refused('{name: a, patterns: [{type: outbox, publisher: {interval: 1s}, config: {publisher: {batch: 5}}}]}');
SELECT pg_temp.refused('{name: a, patterns: [{type: outbox, publisher: {interval: 1s}, config: {publisher: 5}}]}');
SELECT pg_temp.refused('{name: a, patterns: [{type: outbox, config: table}]}');
SELECT pg_temp.refused('{name: a, patterns: [{type: outbox, config: {type: wal}}]}');
SELECT pg_temp.refused('{name: a, patterns: [[outbox]]}');
SELECT pg_temp.refused('{name: a, patterns: [~]}');
SELECT pg_temp.refused('{name: a, patterns: [{type: outbux, enabled: false}]}');
SELECT pg_temp.refused('{name: a, backend: []}');
SELECT pg_temp.refused('{name: a, backend: {server: k, brokerz: [k], queue: kafka}}');

-- How messages are kept: times and sizes have units, and what says nothing without another need is not ignored.
SELECT config, pg_temp.refused('{name: a, needs: {retention: ' || config || '}}')
FROM unnest(ARRAY['30days', '30 days', '90d', '10GB', '10 GiB', 'forever', '{time: 30days, size: 10GB}', '{time: forever, size: 1MB}', '{size: 1GB}',
    '30', '30dayz', '-1d', '0s', '10ms', '40000 days', '0GB', '1.5GB', '', '~', '[30days, 10GB]', 'always', '99999999999999999999d',
    '{time: 10GB}', '{size: 30days}', '{size: 30}', '{tiem: 30days}', '{time: [1d]}']) WITH ORDINALITY AS c(config, i) ORDER BY i;
SELECT pg_temp.refused('{name: a, needs: {durability: weak}}');
SELECT pg_temp.refused('{name: a, needs: {durability: true}}');
SELECT pg_temp.refused('{name: a, needs: {replay: true}}');
SELECT pg_temp.refused('{name: a, needs: {ordered: yes}}');
SELECT pg_temp.refused(E'name: a\npattern: durable-queue\nneeds:\n  durability: relaxed');
SELECT pg_temp.refused(E'name: a\nneeds: {durability: strong}\npatterns:\n  - {type: wal, enabled: false}');
SELECT pg_temp.refused(E'name: a\nneeds: {ordered: true}\nconsumers:\n  - {group: g, ordering: none}');
SELECT pg_temp.refused('{name: a, needs: {retain: always}}');
SELECT pg_temp.refused(E'name: a\nneeds:\n  max_backlog: 1000');
SELECT pg_temp.refused(E'name: a\nneeds:\n  retain: time\n  max_backlog: 1000');
SELECT pg_temp.refused(E'name: a\nneeds:\n  retain: consumers\n  on_full: reject');
SELECT pg_temp.refused('{name: a, needs: {retain: consumers, max_backlog: 0}}');
SELECT pg_temp.refused('{name: a, needs: {retain: consumers, max_backlog: 10GB}}');
SELECT pg_temp.refused('{name: a, needs: {retain: consumers, max_backlog: 1000, on_full: stop}}');
SELECT pg_temp.refused('{name: a, needs: {retain: consumers, max_backlog: 1000, on_full: reject}}');

-- Rates: a number of messages a second, also as a lower bound.
SELECT config, pg_temp.refused('{name: a, needs: {write_rps: ' || config || '}}')
FROM unnest(ARRAY['5000', '100k+', '10k msgs/s', '"10k msgs/s"', '2M', '1 msg/s', '1000000000', '1000000001', '0', '-1', '+5', '1.5k', '1_000', '5K', '5kk', '5 msgs/min', '5MB', '1s', '',
    '~', 'many', '[5]', '{rate: 5}']) WITH ORDINALITY AS c(config, i) ORDER BY i;
SELECT pg_temp.refused('{name: a, needs: {throughput: 10k msgs/s, write_rps: 10k msgs/s}}');
SELECT pg_temp.refused('{name: a, needs: {throughput: fast}}');
-- A plain > begins a folded text.
SELECT pg_temp.refused(E'name: a\nneeds:\n  max_message_size: >1MB');
SELECT pg_temp.refused('{name: a, needs: {message_size: >1MB}}');
SELECT pg_temp.refused('{name: a, needs: {max_message_size: ">"}}');
SELECT pg_temp.refused('{name: a, needs: {max_message_size: ">0"}}');
SELECT pg_temp.refused('{name: a, needs: {retention: ">10GB"}}');
SELECT pg_temp.refused('{name: a, needs: {storage_backend: kafka}}');
SELECT config, pg_temp.refused('{name: a, needs: {cleanup: ' || config || '}}')
FROM unnest(ARRAY['sometimes', 'true', '', '[never]', '{strategie: never}', '{strategy: ~}', '{strategy: ttl, ttl: 0}', '{ttl: 7 days, ttl: 8 days}', '{ttl: on_consume}', '{strategy: {never: true}}'])
    WITH ORDINALITY AS c(config, i) ORDER BY i;
SELECT pg_temp.refused('{name: a, needs: {audit: yes}}');
SELECT pg_temp.refused('{name: a, needs: {audit: false}}');

-- Known from the RFC, but not in this version.
SELECT pg_temp.refused(E'name: a\npatterns:\n  - type: claim-check\n    threshold: 1MB');
SELECT pg_temp.refused('{name: a, patterns: [{type: outbox}, {type: tiered-storage}]}');
SELECT pg_temp.refused('{name: a, patterns: [outbux]}');
SELECT pg_temp.refused('{name: a, client_api: reader}');
SELECT pg_temp.refused('{name: a, backend: redis}');
SELECT pg_temp.refused('{name: a, backend: nats}');
SELECT pg_temp.refused('{name: a, needs: {storage_backend: s3}}');
SELECT pg_temp.refused('{name: a, needs: {cleanup: on_consume}}');
SELECT pg_temp.refused('{name: a, needs: {audit: true}}');
SELECT pg_temp.refused('{name: a, needs: {max_message_size: 5GB}}');
SELECT pg_temp.refused('{name: a, needs: {max_message_size: 513MB}}');
SELECT pg_temp.refused('{name: a, needs: {max_message_size: ">1MB"}}');
SELECT pg_temp.refused('{name: a, needs: {max_message_size: 512MB}}');
SELECT pg_temp.refused('{name: a, cdc: {enabled: true}}');
SELECT pg_temp.refused('{name: a, cache: {backend: redis}}');
-- What is switched off is not missed.
SELECT pg_temp.refused('{name: a, patterns: [{type: claim-check, enabled: false, threshold: 1MB}], cdc: {enabled: false}}');

-- Patterns, API and back end have to fit together.
SELECT pg_temp.refused('{name: a, patterns: [outbox, outbox]}');
SELECT pg_temp.refused(E'name: a\nneeds: {consistency: strong}\npatterns:\n  - {type: outbox, enabled: false}');
SELECT pg_temp.refused('{name: a, backend: {type: postgres, partitions: 3}}');
SELECT pg_temp.refused('{name: a, backend: {partitions: 3}}');
SELECT pg_temp.refused('{name: a, needs: {write_rps: 1200}, backend: {server: s}}');
SELECT pg_temp.refused('{name: a, backend: {partition: 3}}');
SELECT pg_temp.refused('{name: a, patterns: [{type: wal, table: t}]}');
SELECT pg_temp.refused('{name: a, patterns: [{type: wal, config: {table: t}}]}');
SELECT pg_temp.refused('{name: a, backend: {type: postgres, brokers: ["k:9092"]}}');
SELECT pg_temp.refused('{name: a, patterns: [{type: outbox, database: elsewhere}]}');
SELECT pg_temp.refused('{name: a, patterns: [{type: outbox, table: ' || repeat('t', 64) || '}]}');

-- Names are those that Kafka allows, also with a prefix and as a topic of dead letters.
SELECT pg_temp.refused('{name: "a b"}');
SELECT pg_temp.refused('{name: ".."}');
SELECT pg_temp.refused('{name: __prism_progress}');
SELECT pg_temp.refused('{name: ä}');
SELECT pg_temp.refused('{name: a, backend: {topic: ä}}');
SELECT pg_temp.refused('{name: a, backend: {topic: a/b}}');
SELECT pg_temp.refused('{name: a, backend: {type: memory, topic_prefix: "x/y"}}');
SELECT pg_temp.refused('{name: ' || repeat('n', 250) || '}');
SELECT pg_temp.refused('{name: ' || repeat('n', 246) || '}');

-- Within one configuration.
SELECT pg_temp.refused('namespaces: [{name: a}, {name: a}]');
SELECT pg_temp.refused('namespaces: [{name: a}, {name: b, backend: {topic: a}}]');
SELECT pg_temp.refused('namespaces: [{name: a, patterns: [{type: outbox, table: t}]}, {name: b, patterns: [{type: outbox, table: t}]}]');

-- Endpoints: nothing that could be taken for something else than a host and a port.
SELECT pg_temp.refused('{name: a, backend: {type: kafka, brokers: ["' || broker || '"]}}')
FROM unnest(ARRAY['file:///etc/passwd', 'user@kafka:9092', 'kafka:0', 'kafka:65536', 'kafka:9092,other:9092', '', 'kafka:', '-kafka:1', 'kafka:9092/x']) WITH ORDINALITY AS b(broker, i) ORDER BY i;
SELECT pg_temp.refused('{name: a, backend: {type: kafka, server: s, brokers: [k]}}');
SELECT pg_temp.refused('{name: a, backend: kafka}');
SELECT pg_temp.refused('{name: a, backend: {type: kafka, server: nowhere}}');

-- Nothing of all this is left.
SELECT count(*) FROM prism.namespaces WHERE namespace IN ('a', 'b', 'n1');

-- The keys as prism.config_keys shows them: from the tables by which a document is read.
SELECT key, synonym, type, unit, default_value, minimum, maximum, words, only_with, available FROM prism.config_keys
WHERE key IN ('client_api', 'patterns.publisher.interval', 'patterns.table', 'backend.partitions', 'needs.max_message_size', 'needs.retention.time', 'needs.retention.size', 'needs.storage_backend', 'consumers.max_attempts');
SELECT count(*) > 50 AS all_keys, count(*) = count(DISTINCT key) AS once, bool_and(help ~ '^.{9,}\.$') AS helped FROM prism.config_keys;
-- What has bounds is taken at them and refused beyond.
SELECT key, value, left(pg_temp.refused(format('{name: a, consumers: [{group: g, %s: %s%s}]}', replace(key, 'consumers.', ''), value, unit)), 8) FROM prism.config_keys,
    LATERAL unnest(ARRAY[minimum - 1, minimum, maximum, maximum + 1]) AS value WHERE key LIKE 'consumers.%' AND type IN ('integer', 'time') ORDER BY 1, 2;
SELECT key, value, left(pg_temp.refused('{name: a, ' || replace(key, '.', ': {') || ': ' || value || replace(unit, 'bytes', 'B') || repeat('}', regexp_count(key, '[.]') + 1)), 8) FROM prism.config_keys,
    LATERAL unnest(ARRAY[minimum - 1, minimum, maximum, maximum + 1]) AS value WHERE key LIKE 'needs.%' AND unit IS NOT NULL AND value IS NOT NULL ORDER BY 1, 2;
