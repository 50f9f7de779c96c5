-- What nobody names: patterns by needs, back ends and partitions by rates; and what cannot be asked for together.
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_choice_admin;
-- The chain that plan() shows, or that the error says it would be, were all of it built.
CREATE FUNCTION pg_temp.chosen(config text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    told text;
BEGIN
    RETURN (SELECT format('patterns [%s]', string_agg(substring(detail FROM '^[a-z-]+'), ', ' ORDER BY ordinality) FILTER (WHERE action = 'pattern'))
                   || coalesce(string_agg(E'\n  ' || action || ' ' || detail, '' ORDER BY ordinality) FILTER (WHERE action IN ('backend', 'partitions', 'warning')), '')
            FROM prism.plan(config) WITH ORDINALITY);
EXCEPTION WHEN feature_not_supported THEN
    GET STACKED DIAGNOSTICS told = PG_EXCEPTION_DETAIL;
    RETURN split_part(told, E'\n', 1);
END
$$;
-- All that is said of a configuration that cannot be.
CREATE FUNCTION pg_temp.refused(config text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(concat_ws(E'\n  ', format('%s %s (line %s, column %s)', code, message, line, "column"), detail, hint), E'\n'), 'accepted')
    FROM prism.check(config)
$$;

-- The seven rows of the specification's selection guide.
SELECT pg_temp.chosen('{name: guide-1, needs: {write_rps: 100k+, retention: 90days}}');
SELECT pg_temp.chosen('{name: guide-2, needs: {max_message_size: ">1MB"}}');
SELECT pg_temp.chosen('{name: guide-3, needs: {consistency: strong}}');
SELECT pg_temp.chosen('{name: guide-4, client_api: reader, cdc: {enabled: true}}');
SELECT pg_temp.chosen('{name: guide-5, needs: {max_message_size: ">1MB", consistency: strong}}');
SELECT pg_temp.chosen('{name: guide-6, client_api: reader, cache: {enabled: true}, cdc: {enabled: true}}');
SELECT pg_temp.chosen('{name: guide-7, client_api: transact, needs: {audit: true, replay: enabled}}');

-- Each need by itself, and what it does not ask for.
SELECT need, pg_temp.chosen(format('{name: each-need, needs: {%s}}', need))
FROM unnest(ARRAY['durability: strong', 'durability: relaxed', 'replay: enabled', 'replay: disabled', 'ordered: true', 'ordered: false', 'retain: consumers',
    'retain: time', 'write_rps: 1', 'throughput: 1', 'consistency: strong', 'consistency: eventual', 'delivery_guarantee: exactly_once',
    'delivery_guarantee: at_least_once', 'max_message_size: 1MB', 'max_message_size: 1000001', 'max_message_size: ">10k"', 'storage_backend: s3',
    'cleanup: never', 'cleanup: {ttl: 1day}', 'audit: false', 'retention: 29days', 'retention: 30days', 'retention: forever', 'retention: 10GB',
    'retention: {time: 30days, size: 10GB}', 'retention: 30days, durability: strong', 'retention: 30days, replay: enabled', 'retention: 30days, ordered: true'])
    WITH ORDINALITY AS n(need, i) ORDER BY i;
SELECT pg_temp.chosen('{name: each-need, client_api: durable-queue, needs: {retention: 30days}}');

-- However it is written, the chain is one: a claim check before the outbox is one behind it.
SELECT patterns, pg_temp.chosen(format('{name: any-order, patterns: %s}', patterns)) FROM unnest(ARRAY['[outbox, wal]', '[wal, outbox]', '[outbox, claim-check]', '[claim-check, outbox]']) AS w(patterns);
SELECT action FROM prism.apply('{name: any-order, patterns: [outbox, wal]}');
SELECT action FROM prism.apply('{name: any-order, patterns: [wal, outbox]}');
SELECT config -> 'patterns' FROM prism.namespaces WHERE namespace = 'any-order';
SELECT prism.drop_namespace('any-order');

-- A pattern that is needed is not switched off; but large messages may go through the log, while that takes them.
SELECT pg_temp.refused(E'name: off\nneeds: {consistency: strong, delivery_guarantee: exactly_once}\npatterns: [{type: outbox, enabled: false}]');
SELECT pg_temp.refused(E'name: off\nneeds: {retention: forever}\npatterns: [{type: tiered-storage, enabled: false}]');
SELECT needs, pg_temp.refused(format(E'name: off\nneeds: {%s}\npatterns: [{type: claim-check, enabled: false}]', needs))
FROM unnest(ARRAY['max_message_size: 512MB', 'max_message_size: 512000001', 'max_message_size: ">1MB"', 'max_message_size: 2MB, storage_backend: s3',
    'max_message_size: 2MB, cleanup: never']) WITH ORDINALITY AS n(needs, i) ORDER BY i;
SELECT pg_temp.chosen('{name: off, needs: {max_message_size: 64MB}, patterns: [{type: claim-check, enabled: false}]}');

-- What cannot be had together is told with both places.
SELECT pg_temp.refused(E'name: both\nclient_api: durable-queue\nneeds:\n  durability: relaxed');
SELECT pg_temp.refused(E'name: both\nclient_api: transact\nneeds:\n  audit: true\n  durability: relaxed');
SELECT pg_temp.refused(E'name: both\nneeds:\n  consistency: eventual\n  delivery_guarantee: exactly_once');
SELECT pg_temp.refused(E'name: both\nneeds:\n  consistency: eventual\npatterns:\n  - outbox');
SELECT pg_temp.refused(E'name: both\nneeds:\n  replay: enabled\n  cleanup: on_consume');
SELECT pg_temp.refused(E'name: both\nneeds:\n  replay: enabled\npatterns:\n  - type: claim-check\n    cleanup: on_consume');
SELECT pg_temp.refused(E'name: both\nclient_api: transact\nneeds:\n  audit: true\n  cleanup: {strategy: on_consume}');
SELECT pg_temp.refused(E'name: both\nclient_api: transact\nneeds:\n  audit: true\n  replay: disabled');
SELECT pg_temp.refused(E'name: both\nneeds:\n  ordered: true\nconsumers:\n  - {group: g, ordering: none}');
-- These are not: an outbox that is switched off, what is eventual by default, a relaxed durability with exactly once.
SELECT pg_temp.refused(E'name: both\nneeds: {consistency: eventual}\npatterns: [{type: outbox, enabled: false}]');
SELECT pg_temp.refused(E'name: both\nneeds: {delivery_guarantee: exactly_once, durability: relaxed}');
SELECT pg_temp.refused(E'name: both\nneeds: {ordered: true, write_rps: 100k}');

-- What is only unwise is a warning of the plan.
SELECT pg_temp.chosen('{name: unwise, needs: {write_rps: 1001}, consumers: [{group: slow, ordering: strict}, {group: quick}]}');
SELECT pg_temp.chosen('{name: unwise, needs: {write_rps: 1000}, consumers: [{group: slow, ordering: strict}]}');

-- The specification's three errors.
SELECT pg_temp.refused('{name: fits, client_api: queue, patterns: [cache]}');
SELECT pg_temp.refused('{name: fits, client_api: reader, needs: {consistency: strong}}');
SELECT pg_temp.refused('{name: fits, client_api: pubsub, patterns: [claim-check, wal]}');
SELECT pg_temp.refused('{name: fits, client_api: transact, patterns: [outbox, projection]}');
SELECT pg_temp.refused('{name: fits, client_api: reader, patterns: [cache], backend: kafka}');
SELECT pg_temp.refused('{name: fits, needs: {audit: true}}');
SELECT pg_temp.refused('{name: fits, client_api: queue, patterns: [wal], needs: {retention: 30days, audit: true}}');
-- Of two that are as near, [cdc] and [outbox], it is the one that can be had now.
SELECT pg_temp.refused('{name: fits, client_api: cache, patterns: [cdc, outbox]}');
SELECT pg_temp.refused('{name: fits, patterns: [outbox], backend: s3}');
SELECT pg_temp.refused('{name: fits, needs: {delivery_guarantee: exactly_once}, backend: nats}');

-- A pattern's store is its own business, not that of the namespace's back end.
SELECT pg_temp.refused('{name: fits, patterns: [{type: claim-check, storage: s3}], backend: kafka}');
-- Who reads a message elsewhere could not fetch what stays here; and one thing is said once.
SELECT pg_temp.refused('{name: fits, patterns: [{type: claim-check, storage: postgres}], backend: kafka}');
SELECT pg_temp.refused(E'name: fits\nneeds:\n  storage_backend: postgres\nbackend: kafka');
SELECT pg_temp.refused(E'name: fits\nneeds: {storage_backend: s3}\npatterns: [{type: claim-check, storage: postgres}]');
SELECT pg_temp.refused(E'name: fits\nneeds: {cleanup: on_consume}\npatterns: [{type: claim-check, cleanup: {ttl: 1h}}]');

-- Partitions: one for 500 messages a second.
SELECT rate, pg_temp.chosen(format('{name: rates, backend: memory, needs: {%s}}', rate))
FROM unnest(ARRAY['throughput: 1', 'throughput: 500', 'throughput: 501', 'throughput: 10k msgs/s', 'write_rps: 5000', 'write_rps: 100k+', 'throughput: 1000M',
    'write_rps: 100, throughput: 2000', 'write_rps: 2000, throughput: 100']) WITH ORDINALITY AS r(rate, i) ORDER BY i;
SELECT pg_temp.chosen('{name: rates, backend: {type: memory, partitions: 7}, needs: {throughput: 10k}}');
-- A topic has no fewer than before; more are asked for.
SELECT detail FROM prism.apply('{name: rates, backend: memory, needs: {throughput: 10k}}');
SELECT config -> 'backend' FROM prism.namespaces WHERE namespace = 'rates';
SELECT action, detail FROM prism.plan('{name: rates, backend: memory, needs: {throughput: 1k}}');
SELECT action, detail FROM prism.plan('{name: rates, backend: memory, needs: {throughput: 20k}}');
SELECT prism.drop_namespace('rates');

-- Back ends: nobody names one, so it is the server that is there for who applies.
BEGIN;
SELECT action, detail FROM prism.apply('{name: laptop, needs: {throughput: 1k}}');
SELECT config -> 'backend' FROM prism.namespaces WHERE namespace = 'laptop';
SELECT action, detail FROM prism.apply('{name: laptop, needs: {throughput: 1k}}');
CREATE FOREIGN DATA WRAPPER regress_choice;
CREATE SERVER kafka FOREIGN DATA WRAPPER regress_choice;
SELECT pg_temp.chosen('{name: platform, needs: {throughput: 1k}}');
DROP SERVER kafka;
CREATE SERVER kafka FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers 'kafka-1:9092');
SELECT pg_temp.chosen('{name: platform, needs: {throughput: 1k}}');
SELECT action, detail FROM prism.apply('{name: platform, needs: {throughput: 1k}}');
SELECT config -> 'backend' FROM prism.namespaces WHERE namespace = 'platform';
-- The same document moves nothing: what was chosen stays, until somebody names a back end.
SELECT action, detail FROM prism.plan('{name: laptop, needs: {throughput: 1k}}');
SELECT action FROM prism.apply('{name: laptop, needs: {throughput: 1k}}');
SELECT action, detail FROM prism.plan('{name: laptop, needs: {throughput: 3k}}');
SELECT action, detail FROM prism.plan('{name: laptop, needs: {throughput: 1k}, backend: kafka}');
SELECT action, detail FROM prism.plan('{name: platform}');
SELECT action, detail FROM prism.plan('{name: platform, backend: postgres}');
-- Who may not use the server does not get it by default; and moves nothing either.
SELECT prism.grant('laptop', 'admin', 'regress_choice_admin'), prism.grant('platform', 'admin', 'regress_choice_admin');
SET LOCAL ROLE regress_choice_admin;
SELECT action, detail FROM prism.plan('{name: laptop, needs: {throughput: 1k}}');
SAVEPOINT s;
SELECT action FROM prism.plan('{name: platform, needs: {throughput: 1k}}');
ROLLBACK TO s;
RESET ROLE;
-- Nor does a server that is gone.
SET LOCAL client_min_messages = warning;
DROP SERVER kafka CASCADE;
SELECT action FROM prism.plan('{name: platform, needs: {throughput: 1k}}');
ROLLBACK;

-- The specification's worked examples, where the platform has servers.
BEGIN;
CREATE SERVER kafka FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers 'kafka-1:9092');
CREATE SERVER s3 FOREIGN DATA WRAPPER prism_s3;
SELECT pg_temp.chosen('{name: video-uploads, needs: {write_rps: 5000, max_message_size: 5GB, consistency: strong, retention: 30days}}');
SELECT pg_temp.chosen('{name: video-processing, needs: {message_size: 5GB, consistency: strong, retention: 30 days, throughput: 10k msgs/s}}');
SELECT pg_temp.chosen('{name: order-processing, client_api: durable-queue, needs: {durability: strong, replay: enabled, retention: 30days, ordered: true}}');
-- Where a pattern keeps what is its own may be named.
SELECT pg_temp.chosen('{name: named, patterns: [{type: claim-check, storage: postgres}], backend: postgres}');
SELECT pg_temp.chosen('{name: named, client_api: reader, cdc: {destination: kafka}, cache: {backend: redis}}');
ROLLBACK;
DROP ROLE regress_choice_admin;
