-- What operators look at: prism.topics, prism.status, prism.metrics, prism.doctor().
BEGIN;
SELECT plan(38);

-- A topic's slot in shared memory outlives a rolled back publish, not the topic: this file's topics are its own.
SELECT lives_ok($$ SELECT prism.apply('namespaces: [{name: watched, patterns: [outbox]}, {name: hidden}]') $$, 'two namespaces');

-- ---------- prism.topics ----------
SELECT results_eq($$ SELECT topic, namespace, segments, disk_bytes > 0 FROM prism.topics WHERE namespace = 'watched' ORDER BY topic $$,
    $$ VALUES ('watched'::text, 'watched'::text, 1::bigint, true) $$, 'prism.topics shows a topic with its segments');
SELECT results_eq($$ SELECT first_position, next_position, messages_total, bytes_total, last_publish FROM prism.topics WHERE topic = 'watched' $$,
    $$ VALUES (0::bigint, 0::bigint, 0::bigint, 0::bigint, NULL::timestamptz) $$, 'a new topic is at position 0 and has no messages');
SELECT lives_ok($$ SELECT prism.publish('watched', '{}'::jsonb) $$, 'publish');
SELECT is((SELECT next_position FROM prism.topics WHERE topic = 'watched'), 0::bigint, 'what is not committed has no position');
SELECT is((SELECT count(*) FROM prism.topics WHERE topic LIKE '\_\_prism%'), 0::bigint, 'prism''s own topics are not shown');

-- ---------- prism.status ----------
SELECT results_eq($$ SELECT state, pending, sink_state, last_error, committing_pid, hint FROM prism.status WHERE namespace = 'watched' $$,
    $$ VALUES ('ok'::text, 0::bigint, NULL::text, NULL::text, NULL::int, NULL::text) $$, 'a namespace without a sink is ok');
SELECT lives_ok($$ SELECT prism.apply('namespaces: [{name: far, patterns: [outbox], backend: {type: kafka, brokers: ["127.0.0.1:1"]}}]') $$, 'a namespace with a broker');
SELECT results_eq($$ SELECT state, sink_state, hint IS NOT NULL FROM prism.status WHERE namespace = 'far' $$,
    $$ VALUES ('warn'::text, 'starting'::text, true) $$, 'its sink starts, and a hint says where to look');
SELECT lives_ok($$ SELECT prism.pause('far') $$, 'pause');
SELECT results_eq($$ SELECT state, hint FROM prism.status WHERE namespace = 'far' $$,
    $$ VALUES ('paused'::text, 'SELECT prism.resume(topic) lets it go on.'::text) $$, 'a paused sink is told apart from a failing one');

SELECT is((SELECT group_lag FROM prism.status WHERE namespace = 'watched'), NULL::bigint, 'without a consumer group there is no lag of one');
SELECT lives_ok($$ SELECT prism.create_group('watched', 'watchers') $$, 'a consumer group');
SELECT is((SELECT group_lag FROM prism.status WHERE namespace = 'watched'), 0::bigint, 'with one there is');

-- ---------- prism.metrics ----------
SELECT set_eq($$ SELECT name FROM prism.metrics WHERE labels = '{"namespace": "watched"}' $$,
    ARRAY['prism_pattern_outbox_inserted_total', 'prism_pattern_outbox_published_total', 'prism_pattern_outbox_lag_seconds', 'prism_pattern_outbox_pending_count'],
    'the four metrics of the outbox with the label namespace alone');
SELECT is_empty($$ SELECT * FROM prism.metrics WHERE name !~ '^prism_[a-z_]+$' OR type NOT IN ('counter', 'gauge') OR help IS NULL OR value IS NULL $$,
    'names, types and help are Prometheus''s');
SELECT is_empty($$ SELECT name FROM prism.metrics WHERE (type = 'counter') <> (name LIKE '%\_total') $$, 'counters, and they alone, end in _total');
SELECT is_empty($$ SELECT name, labels FROM prism.metrics GROUP BY 1, 2 HAVING count(*) > 1 $$, 'no sample comes twice');
SELECT is_empty($$ SELECT labels FROM prism.metrics m, jsonb_each(m.labels) l WHERE jsonb_typeof(l.value) <> 'string' $$, 'labels are strings');
SELECT is_empty($$ SELECT name FROM prism.metrics GROUP BY name HAVING count(DISTINCT (type, help)) > 1 $$, 'a name has one type and one help');
SELECT is((SELECT value FROM prism.metrics WHERE name = 'prism_sink_up' AND labels ->> 'topic' = 'far'), 0::float8, 'a paused sink is not up');

-- The text format: two lines of comment before the samples of a name, and no line of another form.
CREATE TEMP TABLE line AS SELECT ordinality AS place, line FROM string_to_table(prism.metrics_text(), E'\n') WITH ORDINALITY AS l(line, ordinality);
SELECT is_empty($$ SELECT line FROM line WHERE line <> '' AND line !~ '^# (HELP|TYPE) prism_[a-z_]+ .+$'
    AND line !~ '^prism_[a-z_]+\{([a-z_]+="([^"\\]|\\["\\n])*",?)*\} [0-9.e+-]+$' $$, 'every line of metrics_text() is a comment or a sample');
SELECT results_eq($$ SELECT line FROM line WHERE line LIKE '%prism_pattern_outbox_inserted_total%' AND line !~ 'namespace="(?!watched)' ORDER BY place $$,
    $$ VALUES ('# HELP prism_pattern_outbox_inserted_total Messages committed through the namespace''s outbox since the server started.'),
              ('# TYPE prism_pattern_outbox_inserted_total counter'),
              ('prism_pattern_outbox_inserted_total{namespace="watched"} 0') $$, 'help, type, sample');
SELECT is_empty($$ SELECT line FROM line WHERE line LIKE '# TYPE%' GROUP BY line HAVING count(*) > 1 $$, 'each name is announced once');
SELECT is((SELECT line FROM line ORDER BY place DESC LIMIT 1), '', 'it ends with a line feed');

-- ---------- prism.doctor() ----------
SELECT results_eq($$ SELECT item, state FROM prism.doctor() WHERE item IN ('library', 'preload', 'workers', 'segments', 'commits', 'prism.max_topics') ORDER BY item $$,
    $$ VALUES ('commits', 'ok'), ('library', 'ok'), ('preload', 'ok'), ('prism.max_topics', 'ok'), ('segments', 'ok'), ('workers', 'ok') $$,
    'a server with prism is in order');
SELECT is_empty($$ SELECT * FROM prism.doctor() WHERE state NOT IN ('ok', 'note', 'warning', 'error') OR (state <> 'ok' AND hint IS NULL) $$,
    'what is not in order has a hint');
SELECT results_eq($$ SELECT state, hint FROM prism.doctor() WHERE item = 'namespace far' $$,
    $$ VALUES ('note'::text, 'SELECT prism.resume(topic) lets it go on.'::text) $$, 'a paused sink is noted');
SET LOCAL client_min_messages = error;
CREATE PUBLICATION everything FOR ALL TABLES;
SELECT results_eq($$ SELECT state, hint LIKE '%CREATE PUBLICATION everything FOR TABLES IN SCHEMA public%' FROM prism.doctor() WHERE item = 'publication everything' $$,
    $$ VALUES ('warning'::text, true) $$, 'a publication that ships prism''s tables is named, with what to write instead');
DROP PUBLICATION everything;
CREATE PUBLICATION inside FOR TABLES IN SCHEMA prism;
SELECT results_eq($$ SELECT item, state FROM prism.doctor() WHERE item LIKE 'publication%' $$, $$ VALUES ('publication inside'::text, 'warning'::text) $$, 'by schema too');
ALTER PUBLICATION inside SET TABLES IN SCHEMA prism_log;
SELECT results_eq($$ SELECT item, state FROM prism.doctor() WHERE item LIKE 'publication%' $$, $$ VALUES ('publication inside'::text, 'warning'::text) $$, 'of either schema');
DROP PUBLICATION inside;
SELECT results_eq($$ SELECT item, state FROM prism.doctor() WHERE item LIKE 'publication%' $$, $$ VALUES ('publications'::text, 'ok'::text) $$, 'without one all is well');

-- ---------- who sees what ----------
CREATE ROLE observe_reader;
CREATE ROLE observe_monitor IN ROLE pg_monitor;
CREATE ROLE observe_nobody;
SELECT lives_ok($$ SELECT prism.grant('watched', 'read', 'observe_reader') $$, 'a reader of one namespace');
SET LOCAL ROLE observe_reader;
SELECT results_eq($$ SELECT (SELECT array_agg(namespace) FROM prism.topics), (SELECT array_agg(namespace) FROM prism.status),
        (SELECT array_agg(DISTINCT labels ->> 'namespace') FROM prism.metrics) $$,
    $$ VALUES ('{watched}'::text[], '{watched}'::text[], '{watched}'::text[]) $$, 'a role sees the namespaces on which it holds a privilege');
RESET ROLE;
SET LOCAL ROLE observe_monitor;
SELECT ok((SELECT array_agg(namespace) FROM prism.topics) @> '{watched,hidden,far}' AND (SELECT array_agg(namespace) FROM prism.status) @> '{watched,hidden,far}'
    AND prism.metrics_text() LIKE '%"hidden"%', 'pg_monitor sees all of them');
SELECT lives_ok($$ SELECT * FROM prism.doctor() $$, 'and may ask the doctor');
RESET ROLE;
GRANT USAGE ON SCHEMA prism, prism_internal TO observe_nobody;
GRANT SELECT ON ALL TABLES IN SCHEMA prism TO observe_nobody;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA prism, prism_internal TO observe_nobody;
SET LOCAL ROLE observe_nobody;
SELECT is((SELECT count(*) FROM prism.topics) + (SELECT count(*) FROM prism.status) + (SELECT count(*) FROM prism.metrics) + (SELECT count(*) FROM prism_internal.topic_states()), 0::bigint,
    'a role without a privilege on a namespace sees nothing, even where a grant went wrong');
SELECT throws_ok($$ SELECT * FROM prism.doctor() $$, '42501', 'permission denied for prism.doctor()', 'nor does the doctor speak to it');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
