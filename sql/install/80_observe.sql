-- Seen from outside: topics, status, metrics, doctor. Everybody sees the namespaces on which he holds a privilege,
-- pg_monitor all of them. None of this shows a payload, a key or a header.
-- Each function says how many rows are usual (ROWS): taken for 1,000 each, prism.metrics seems so dear that the server
-- compiles it, for seconds in which nothing interrupts it.

CREATE FUNCTION prism_internal.topic_states(
    OUT topic_id integer, OUT namespace_id integer, OUT first_position bigint, OUT next_position bigint,
    OUT messages_total bigint, OUT bytes_total bigint, OUT last_publish timestamptz,
    OUT committing_pid integer, OUT committing_since timestamptz,
    OUT delayed bigint, OUT next_due timestamptz, OUT locked boolean, OUT kept bigint, OUT lacking boolean, OUT placeless boolean, OUT inserted_total bigint,
    OUT payloads_stored bigint, OUT payloads_retrieved bigint, OUT payloads_removed bigint
) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
    AS 'MODULE_PATHNAME', 'prism_topic_states';
COMMENT ON FUNCTION prism_internal.topic_states() IS
'How the topics stand that the caller may see. What is in shared memory is NULL without preload, on a standby, and of a topic that found no place there among prism.max_topics (placeless). Behind prism.topics, prism.status and prism.metrics.';

CREATE FUNCTION prism_internal.topic_size(topic_id integer, OUT segments bigint, OUT disk_bytes bigint, OUT payload_bytes bigint) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 1
    AS 'MODULE_PATHNAME', 'prism_topic_size';
COMMENT ON FUNCTION prism_internal.topic_size(integer) IS
'What a topic that the caller may see has on disk; disk_bytes and payload_bytes are NULL while somebody has a segment locked. Behind prism.topics.';

CREATE FUNCTION prism_internal.topics_full() RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_topics_full';
COMMENT ON FUNCTION prism_internal.topics_full() IS
'Whether all places of prism.max_topics are in use, so that a topic that is made now finds none. Behind prism.status.';

CREATE VIEW prism.topics WITH (security_barrier) AS
SELECT
    t.name AS topic,
    n.name AS namespace,
    s.first_position,
    s.next_position,
    s.messages_total,
    s.bytes_total,
    s.last_publish,
    d.segments,
    d.disk_bytes,
    t.created_at,
    s.delayed,
    s.next_due,
    t.policy,
    t.chain,
    t.dropped_until,
    s.locked,
    d.payload_bytes
FROM prism_internal.topic_states() s
JOIN prism.topic t USING (topic_id)
JOIN prism.namespace n ON n.namespace_id = t.namespace_id
LEFT JOIN LATERAL prism_internal.topic_size(s.topic_id) d ON true;
COMMENT ON VIEW prism.topics IS
'One row a topic, dead letters (<topic>.dlq) included. first_position: the first message kept; next_position: the next one to be given out at a commit; messages_total, bytes_total (of their rows), last_publish: since the server started; segments and disk_bytes: what is kept, with indexes, and payload_bytes: what large payloads beside the log take, likewise; delayed: messages that wait for their deliver_at, and next_due, when the first of them is due: as the scheduler knows them, which is told of new ones within a tenth of a second; NULL when none has looked since the server started; policy: what the log promises, as its namespace needs it, without what is as by default; chain: the patterns that a message passes when it is published, each with its options; dropped_until: when the last message that retention has dropped was published; locked: another session has tables of the topic locked (VACUUM FULL, REINDEX, LOCK TABLE ...): its publishers and readers wait, and first_position and disk_bytes are NULL when they cannot be looked up, as is payload_bytes. Of a topic that has no place among prism.max_topics, as prism.status says, all that is in shared memory is NULL.';

CREATE FUNCTION prism_internal.claim_states(
    OUT topic_id integer, OUT "position" bigint, OUT created_at timestamptz, OUT id uuid,
    OUT claim_check_id uuid, OUT size bigint, OUT stored_size bigint, OUT compression text, OUT store_id integer, OUT state text
) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
    AS 'MODULE_PATHNAME', 'prism_claim_states';
COMMENT ON FUNCTION prism_internal.claim_states() IS
'The latest 1,000 messages of each topic, of those that the caller may see, whose payload lies beside the log. None without preload, on a standby, or of a topic that another session has locked. Behind prism.claims.';

CREATE VIEW prism.claims WITH (security_barrier) AS
SELECT n.name AS namespace, t.name AS topic, c."position", c.created_at, c.id, c.claim_check_id, c.size, c.stored_size, c.compression, s.backend AS storage, c.state
FROM prism_internal.claim_states() c
JOIN prism.topic t USING (topic_id)
JOIN prism.namespace n ON n.namespace_id = t.namespace_id
LEFT JOIN prism.store s USING (store_id)
ORDER BY t.name, c."position" DESC;
COMMENT ON VIEW prism.claims IS
'Messages whose payload lies beside the log, the latest 1,000 of each topic: their position, when they were published, their id and that of the payload (claim_check_id), its bytes as published and as stored, how they are packed, and where they are (storage; NULL: that place was given up). state: stored; removed, as the namespace''s cleanup or retention says; lost, of a dead letter whose payload could not be had; damaged: the claim cannot be read.';

CREATE FUNCTION prism_internal.progress(
    OUT pid integer, OUT topic_id integer, OUT "position" bigint, OUT what text, OUT bytes_done bigint, OUT bytes_total bigint, OUT since timestamptz
) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL SAFE ROWS 2
    AS 'MODULE_PATHNAME', 'prism_progress';
COMMENT ON FUNCTION prism_internal.progress() IS
'Sessions of this database that write, read or copy a payload of a megabyte or more, of topics that the caller may see. None without preload. Behind prism.progress.';

CREATE VIEW prism.progress WITH (security_barrier) AS
SELECT p.pid, n.name AS namespace, t.name AS topic, p."position", p.what, p.bytes_done, p.bytes_total, p.since
FROM prism_internal.progress() p
JOIN prism.topic t USING (topic_id)
JOIN prism.namespace n ON n.namespace_id = t.namespace_id
ORDER BY p.since;
COMMENT ON VIEW prism.progress IS
'Sessions that work on a payload of a megabyte or more at the moment: process id, topic, position of the message if it has one, what they do (publish: write it beside the log; read: prism.payload_pieces() and payload_export(), until the transaction ends or all of it was taken; copy: for a dead letter or its way back; verify: a stream that another session has written is read for its SHA-256), how many bytes of how many, and since when';

CREATE FUNCTION prism_internal.disks(OUT place text, OUT free_bytes bigint, OUT total_bytes bigint, OUT scarce boolean) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL SAFE ROWS 2
    AS 'MODULE_PATHNAME', 'prism_disks';
COMMENT ON FUNCTION prism_internal.disks() IS
'What is left on the disks of the tablespaces in which prism has its tables, and of the write-ahead log; scarce: less than a twentieth and less than 1 GiB. Those that have enough are for the owner of the extension and members of pg_monitor. Behind prism.status.';

CREATE VIEW prism.status WITH (security_barrier) AS
WITH states AS MATERIALIZED (
    SELECT s.* FROM prism_internal.topic_states() s
), group_trouble AS (    -- looked at once, not for each namespace
    SELECT s.topic, max(s.lag_messages) AS lag_messages, min(s.consumer_group) AS any_group, min(s.consumer_group) FILTER (WHERE s.window_full) AS full_group,
        min(s.consumer_group) FILTER (WHERE s."position" < t.dropped_end) AS lost_group,
        min(s.consumer_group) FILTER (WHERE s.lag_messages >= CASE WHEN pg_catalog.jsonb_typeof(t.policy -> 'max_backlog') = 'number' THEN (t.policy ->> 'max_backlog')::numeric END) AS slow_group
    FROM prism_internal.group_states() s JOIN prism.topic t ON t.name = s.topic
    GROUP BY s.topic
), handler_trouble AS (
    SELECT s.topic, min(s.consumer_group) FILTER (WHERE s.state IN ('failed', 'backoff')) AS failing_group,
        min(s.consumer_group) FILTER (WHERE s.state IN ('failed', 'backoff') AND s.error LIKE 'no free place for %prism.max_groups%') AS placeless_group
    FROM prism_internal.handler_states() s
    GROUP BY s.topic
), sink_state AS MATERIALIZED (
    SELECT * FROM prism_internal.sink_states()
)
SELECT
    n.name AS namespace,
    CASE WHEN NOT l.preloaded THEN 'error'
         WHEN c.lacking OR c.placeless THEN 'error'
         WHEN k.rank > 1 THEN k.verdict
         WHEN k.rank = 1 OR coalesce(g.full_group, g.lost_group, g.slow_group, h.failing_group, q.letterless_group) IS NOT NULL OR w.topic IS NOT NULL OR c.committing_since < pg_catalog.clock_timestamp() - interval '10 s' THEN 'warn'
         ELSE 'ok' END AS state,
    coalesce(k.lag_messages, 0) AS pending,
    pg_catalog.make_interval(secs => k.lag_seconds) AS oldest_age,
    g.lag_messages AS group_lag,
    coalesce(e.kept, 0) AS dead_letters,
    k.state AS sink_state,
    k.error AS last_error,
    k.error_at AS last_error_at,
    c.committing_pid,
    pg_catalog.clock_timestamp() - c.committing_since AS committing_age,
    CASE WHEN NOT l.preloaded THEN 'prism is not loaded at server start: SELECT * FROM prism.doctor() prints the line to set.'
         WHEN c.placeless THEN 'Its topic can be neither published to nor read: it has no place in shared memory, as all of prism.max_topics are in use. SELECT * FROM prism.doctor() prints the line to set.'
         WHEN k.rank > 1 AND c.lacking IS NOT TRUE THEN k.hint
         WHEN w.topic IS NOT NULL THEN w.topic
         WHEN k.rank = 1 THEN k.hint
         WHEN c.committing_since < pg_catalog.clock_timestamp() - interval '10 s'
         THEN 'Readers wait for process ' || c.committing_pid || ', which is committing: for a synchronous standby, or as it published very much. See pg_stat_activity.'
         WHEN g.full_group IS NOT NULL
         THEN 'Consumer group ' || g.full_group || ' gets nothing new, as it has as many unfinished messages as prism.group_window allows: acknowledge them, or raise it and restart the server.'
         WHEN g.lost_group IS NOT NULL
         THEN 'Consumer group ' || g.lost_group || ' gets nothing, as messages that it has not finished were dropped after retention: SELECT prism.seek(topic, consumer_group, ''earliest'') lets it go on without them.'
         WHEN g.slow_group IS NOT NULL
         THEN 'Consumer group ' || g.slow_group || ' is as far behind as max_backlog allows: '
             || CASE WHEN t.policy ->> 'on_full' = 'reject' THEN 'publishers are refused until it catches up.' ELSE 'what it is farther behind is not kept for it.' END
         WHEN q.letterless_group IS NOT NULL
         THEN 'What consumer group ' || q.letterless_group || ' gives up cannot become a dead letter, and stays unfinished: all of prism.max_topics are in use, and the dead letters'' topic has no place among them. SELECT * FROM prism.doctor() prints the line to set.'
         WHEN h.placeless_group IS NOT NULL
         THEN 'The handler of consumer group ' || h.placeless_group || ' gets no messages, as all places of prism.max_groups are in use: remove handlers and groups that are not needed, or raise it and restart the server.'
         WHEN h.failing_group IS NOT NULL
         THEN 'The handler of consumer group ' || h.failing_group || ' is in trouble: prism.handlers says why.'
    END AS hint
FROM prism.visible_namespace v
JOIN prism.namespace n USING (namespace_id)
CROSS JOIN (SELECT pg_catalog.current_setting('prism.max_topics', true) IS NOT NULL AS preloaded) l
LEFT JOIN prism.topic t ON t.name = n.config ->> 'topic'
LEFT JOIN states c ON c.topic_id = t.topic_id
LEFT JOIN prism.topic d ON d.dead_letter_of = t.topic_id
LEFT JOIN states e ON e.topic_id = d.topic_id
CROSS JOIN (SELECT prism_internal.topics_full() AS topics_full OFFSET 0) o
CROSS JOIN (SELECT string_agg(x.kind || ' ' || x.state, ', ' ORDER BY x.kind) AS trouble, bool_or(x.state = 'switched off') AS off FROM prism_internal.worker_trouble() x) u
CROSS JOIN (SELECT string_agg(x.place || ' (' || pg_catalog.pg_size_pretty(x.free_bytes) || ')', ', ') AS scarce FROM prism_internal.disks() x WHERE x.scarce) f
CROSS JOIN LATERAL (SELECT CASE    -- what keeps all of the topic's publishers and readers
    WHEN c.lacking
    THEN 'A publisher needs a segment that is not there, and fails when it is not made within seconds: prism.workers shows what the maintainer does, the server log why it fails.'
    WHEN c.locked
    THEN 'Another session has tables of the topic locked: its publishers and readers wait, those of other topics do not. Who it is: SELECT pid, mode, relation::regclass FROM pg_locks WHERE granted'
    WHEN t.name IS NOT NULL AND c.namespace_id IS NULL
    THEN 'The topic cannot be looked at: another session drops it or has its sequence locked, see pg_locks.'
    WHEN u.off
    THEN 'Prism''s workers are switched off: nothing is forwarded, delivered when it is due or given to handlers. Set in postgresql.conf and reload: prism.enabled = on'
    WHEN u.trouble IS NOT NULL
    THEN 'Of the workers that all namespaces of this database need: ' || u.trouble || '. prism.workers shows the error, prism.doctor() what to do.'
    WHEN f.scarce IS NOT NULL
    THEN 'Little is left on the disk of ' || f.scarce || ': when it is full, publishers fail. Make room, or let retention keep less.'
    END AS topic) w
LEFT JOIN LATERAL (
    SELECT max(s.lag_messages) OVER () AS lag_messages, max(s.lag_seconds) OVER () AS lag_seconds, s.error, s.error_at, s.state,
        coalesce(a.verdict, 'warn') AS verdict, coalesce(a.rank, 1) AS rank,
        CASE WHEN count(*) OVER () > 1 THEN 'Sink ' || s.sink || ': ' ELSE '' END
            || pg_catalog.format(a.hint, CASE WHEN count(*) OVER () > 1 THEN 'topic, ' || pg_catalog.quote_literal(s.sink) ELSE 'topic' END) AS hint
    FROM sink_state s
    LEFT JOIN (VALUES   -- what a sink's state means for those who watch
        ('running',         'ok',     0, NULL),
        ('starting',        'warn',   1, 'No worker has reached the sink yet: prism.workers shows what runs, prism.doctor() what is missing.'),
        ('waiting',         'warn',   1, 'The other side has not answered yet; prism.sinks shows what was tried.'),
        ('backoff',         'warn',   1, 'It is tried again by itself; prism.sinks shows the error and when.'),
        ('paused',          'paused', 2, 'SELECT prism.resume(%1$s) lets it go on.'),
        ('paused: copied',  'paused', 2, 'This database is a copy. SELECT prism.adopt() when it takes the place of the original, SELECT prism.rebase() when it is to live beside it.'),
        ('paused: rewound', 'paused', 2, 'This database was taken back in time. SELECT prism.adopt() when it takes the place of the original, SELECT prism.rebase() when it is to live beside it.'),
        ('stopped',         'error',  3, 'Repair the settings or rights at the other side, then SELECT prism.resume(%1$s).'),
        ('fenced',          'error',  3, 'Another server sends as this installation: stop it, then SELECT prism.resume(%1$s).'),
        ('sink_regressed',  'error',  3, 'The other side has lost what it had acknowledged: SELECT prism.skip(%1$s, to_position => ...) decides where to go on, then prism.resume(%1$s).'),
        ('diverged',        'error',  3, 'A copy of this database has sent in its place: stop it, then SELECT prism.skip(%1$s, to_position => ...) decides where to go on, and prism.resume(%1$s).')
    ) AS a(state, verdict, rank, hint) ON a.state = s.state
    WHERE s.topic = t.name
    ORDER BY a.rank DESC NULLS LAST, s.lag_messages DESC
    LIMIT 1) k ON true
LEFT JOIN group_trouble g ON g.topic = t.name
CROSS JOIN LATERAL (SELECT CASE WHEN CASE WHEN d.topic_id IS NULL THEN o.topics_full ELSE e.placeless END THEN g.any_group END AS letterless_group) q
LEFT JOIN handler_trouble h ON h.topic = t.name;
COMMENT ON VIEW prism.status IS
'One row a namespace. state: ok, warn, error or paused; pending: messages that wait for the sink, of several for the one that is farthest behind; oldest_age: of the first of them; group_lag: messages that the slowest consumer group has not finished, NULL without groups; dead_letters: how many its topic <topic>.dlq keeps, of sinks and groups; sink_state: as in prism.sinks, of several that of the one that fares worst, of which last_error and hint tell as well; NULL without a sink; last_error: what is in the sink''s way, for administrators; committing_pid and committing_age: the oldest transaction that is committing messages right now, for which readers of the topic wait; hint: what to do.';

CREATE FUNCTION prism.doctor(OUT item text, OUT state text, OUT hint text)
RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_doctor';
COMMENT ON FUNCTION prism.doctor() IS
'Looks at the server and this database and tells what is missing, with the very line to set. state: ok, note (good to know), warning (works, but not for ever or not for all), error. Works without preload and on a standby, where it leaves out what is not there. For the owner of the extension and members of pg_monitor (42501).';

CREATE FUNCTION prism.repair(topic text, OUT first_position bigint, OUT last_position bigint, OUT messages integer)
RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_repair';
COMMENT ON FUNCTION prism.repair(text) IS
'Puts messages where readers find them that version 0.2.0 wrote to another segment than that of their position (prism.doctor() tells of which topics), in this transaction, and returns where they are, by position. Waits for those who use the topic and keeps others out until the transaction ends. A sink, group or reader that is behind such a position gets the messages now; one that has passed it does not come back by itself: read them with prism.read(topic, first_position, messages) and publish them again, or let a group begin again there with prism.seek(), which repeats what follows. For the owner of the extension (42501). Errors: 42704 unknown topic; 55000 the segment they belong to is missing, 25006 read-only transaction or standby.';

-- The samples: name, type and help as Prometheus has them, labels as a flat object of strings. Totals begin with the server.
CREATE VIEW prism.metrics WITH (security_barrier) AS
WITH sink_state AS MATERIALIZED (
    SELECT * FROM prism_internal.sink_states()
), outbox AS (
    SELECT n.name AS namespace, c.inserted_total, coalesce(s.messages_total, c.inserted_total) AS published_total, s.lag_messages, s.lag_seconds
    FROM prism.visible_namespace v
    JOIN prism.namespace n USING (namespace_id)
    JOIN prism.topic t ON t.name = n.config ->> 'topic'
    JOIN prism_internal.topic_states() c USING (topic_id)
    CROSS JOIN LATERAL (
        SELECT min(k.messages_total) AS messages_total, max(k.lag_messages) AS lag_messages, max(k.lag_seconds) AS lag_seconds
        FROM sink_state k WHERE k.topic = t.name) s
    WHERE c.inserted_total IS NOT NULL AND t.chain @> '[{"type": "outbox"}]'
), topic AS (
    SELECT pg_catalog.jsonb_build_object('namespace', t.namespace, 'topic', t.topic) AS labels, t.*
    FROM prism.topics t
), claim AS (    -- of a namespace that has the pattern, or has payloads of a time when it had it; its dead letters included
    SELECT t.namespace, sum(c.payloads_stored) AS stored, sum(c.payloads_retrieved) AS retrieved, sum(c.payloads_removed) AS removed, sum(t.payload_bytes) AS bytes
    FROM topic t JOIN prism.topic k ON k.name = t.topic JOIN prism_internal.topic_states() c USING (topic_id)
    GROUP BY t.namespace
    HAVING pg_catalog.bool_or(t.chain @> '[{"type": "claim-check"}]') OR sum(t.payload_bytes) > 0
), sink AS (
    SELECT t.labels || pg_catalog.jsonb_build_object('sink', s.sink) AS labels, s.*
    FROM sink_state s JOIN topic t ON t.topic = s.topic
), consumer AS (
    SELECT t.labels || pg_catalog.jsonb_build_object('consumer_group', g.consumer_group) AS labels, g.*
    FROM prism_internal.group_states() g JOIN topic t ON t.topic = g.topic
), handler AS (
    SELECT t.labels || pg_catalog.jsonb_build_object('consumer_group', h.consumer_group, 'handler', h.handler) AS labels, h.*
    FROM prism_internal.handler_states() h JOIN topic t ON t.topic = h.topic
), worker AS (    -- what has no name, or none that can be told from here, goes by its oid: no two have the same labels
    SELECT pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('kind', w.kind, 'database', coalesce(d.datname, w.database_oid::text),
            'server', coalesce(s.srvname, w.server_oid::text), 'sink_id', w.sink_id::text, 'role', coalesce(r.rolname, w.role_oid::text))) AS labels, w.*
    FROM prism_internal.worker_slots() w
    LEFT JOIN pg_catalog.pg_database d ON d.oid = w.database_oid
    LEFT JOIN pg_catalog.pg_roles r ON r.oid = w.role_oid
    LEFT JOIN pg_catalog.pg_foreign_server s ON s.oid = w.server_oid AND d.datname = pg_catalog.current_database()
), sample AS (
    SELECT 10 AS place, 'prism_pattern_outbox_inserted_total' AS name, pg_catalog.jsonb_build_object('namespace', namespace) AS labels,
        inserted_total::float8 AS value, 'counter' AS type, 'Messages committed through the namespace''s outbox since the server started.' AS help FROM outbox
    UNION ALL SELECT 11, 'prism_pattern_outbox_published_total', pg_catalog.jsonb_build_object('namespace', namespace),
        published_total, 'counter', 'Messages that the sink has acknowledged since the server started; without a sink those committed.' FROM outbox
    UNION ALL SELECT 12, 'prism_pattern_outbox_lag_seconds', pg_catalog.jsonb_build_object('namespace', namespace),
        coalesce(lag_seconds, 0), 'gauge', 'Age of the oldest message that waits for the sink.' FROM outbox
    UNION ALL SELECT 13, 'prism_pattern_outbox_pending_count', pg_catalog.jsonb_build_object('namespace', namespace),
        coalesce(lag_messages, 0), 'gauge', 'Messages that wait for the sink.' FROM outbox

    UNION ALL SELECT 15, 'prism_pattern_claim_check_stored_total', pg_catalog.jsonb_build_object('namespace', namespace),
        stored, 'counter', 'Messages committed with a payload beside the log since the server started.' FROM claim
    UNION ALL SELECT 16, 'prism_pattern_claim_check_retrieved_total', pg_catalog.jsonb_build_object('namespace', namespace),
        retrieved, 'counter', 'Payloads beside the log that were handed over with their message since the server started.' FROM claim
    UNION ALL SELECT 17, 'prism_pattern_claim_check_storage_bytes', pg_catalog.jsonb_build_object('namespace', namespace),
        bytes, 'gauge', 'Bytes that payloads beside the log take on disk, with indexes.' FROM claim
    UNION ALL SELECT 18, 'prism_pattern_claim_check_cleanup_success', pg_catalog.jsonb_build_object('namespace', namespace),
        removed, 'counter', 'Payloads beside the log that were removed since the server started.' FROM claim

    UNION ALL SELECT 20, 'prism_topic_messages_total', labels, messages_total, 'counter', 'Messages committed to the topic since the server started.' FROM topic
    UNION ALL SELECT 21, 'prism_topic_bytes_total', labels, bytes_total, 'counter', 'Bytes of rows committed to the topic since the server started.' FROM topic
    UNION ALL SELECT 22, 'prism_topic_next_position', labels, next_position, 'gauge', 'The next position to be given out.' FROM topic
    UNION ALL SELECT 23, 'prism_topic_first_position', labels, first_position, 'gauge', 'The first position kept.' FROM topic
    UNION ALL SELECT 24, 'prism_topic_segments', labels, segments, 'gauge', 'Segments of the topic.' FROM topic
    UNION ALL SELECT 25, 'prism_topic_disk_bytes', labels, disk_bytes, 'gauge', 'Bytes of the topic''s segments on disk, with indexes.' FROM topic
    UNION ALL SELECT 26, 'prism_topic_delayed_messages', labels, delayed, 'gauge', 'Messages that wait for their deliver_at.' FROM topic

    UNION ALL SELECT 30, 'prism_sink_up', labels, (state = 'running')::int, 'gauge', '1 when the sink is running.' FROM sink
    UNION ALL SELECT 31, 'prism_sink_state', labels || pg_catalog.jsonb_build_object('state', state), 1, 'gauge', 'The state of the sink, as a label.' FROM sink
    UNION ALL SELECT 32, 'prism_sink_position', labels, "position", 'gauge', 'The first position that is not out.' FROM sink
    UNION ALL SELECT 33, 'prism_sink_lag_messages', labels, lag_messages, 'gauge', 'Messages that wait for the sink.' FROM sink
    UNION ALL SELECT 34, 'prism_sink_lag_seconds', labels, lag_seconds, 'gauge', 'Age of the oldest message that waits for the sink.' FROM sink
    UNION ALL SELECT 35, 'prism_sink_messages_total', labels, messages_total, 'counter', 'Messages acknowledged by the other side since the server started.' FROM sink
    UNION ALL SELECT 36, 'prism_sink_bytes_total', labels, bytes_total, 'counter', 'Bytes acknowledged by the other side since the server started.' FROM sink
    UNION ALL SELECT 37, 'prism_sink_retries_total', labels, retries_total, 'counter', 'Rounds that were sent again.' FROM sink
    UNION ALL SELECT 38, 'prism_sink_rejected_total', labels, rejected_total, 'counter', 'Messages in refused rounds.' FROM sink
    UNION ALL SELECT 39, 'prism_sink_dead_letters_total', labels, dead_letters_total, 'counter', 'Messages that went to the dead letters.' FROM sink
    UNION ALL SELECT 40, 'prism_sink_splits_total', labels, splits_total, 'counter', 'Transactions that were larger than a batch.' FROM sink
    UNION ALL SELECT 41, 'prism_sink_doubts_total', labels, doubts_total, 'counter', 'Connections made anew because an answer could not be trusted.' FROM sink

    UNION ALL SELECT 45, 'prism_group_position', labels, "position", 'gauge', 'Everything below is finished.' FROM consumer
    UNION ALL SELECT 46, 'prism_group_lag_messages', labels, lag_messages, 'gauge', 'Messages that the consumer group has not finished.' FROM consumer
    UNION ALL SELECT 47, 'prism_group_lag_seconds', labels, lag_seconds, 'gauge', 'Age of the oldest message that the consumer group has not finished.' FROM consumer
    UNION ALL SELECT 48, 'prism_group_in_flight', labels, in_flight, 'gauge', 'Messages handed out and not finished.' FROM consumer

    UNION ALL SELECT 50, 'prism_handler_up', labels, (state IN ('waiting', 'running'))::int, 'gauge', '1 when the handler waits for messages or processes some.' FROM handler
    UNION ALL SELECT 51, 'prism_handler_calls_total', labels, calls_total, 'counter', 'Transactions in which the handler was called.' FROM handler
    UNION ALL SELECT 52, 'prism_handler_messages_total', labels, messages_total, 'counter', 'Messages that the handler has processed.' FROM handler
    UNION ALL SELECT 53, 'prism_handler_failures_total', labels, failures_total, 'counter', 'Calls of the handler that failed.' FROM handler

    UNION ALL SELECT 60, 'prism_worker_up', labels, (state = 'running')::int, 'gauge', '1 when the worker is running.' FROM worker
    UNION ALL SELECT 61, 'prism_worker_restarts_total', labels, restarts, 'counter', 'Processes started for the worker after the first.' FROM worker
)
SELECT name, labels, value, type, help FROM sample WHERE value IS NOT NULL ORDER BY place, labels;
COMMENT ON VIEW prism.metrics IS
'Samples for monitoring: name, labels (a flat object of strings), value, type (counter or gauge) and help. Of the namespaces on which the caller holds a privilege; workers for the owner and pg_monitor, those of other databases with the oid of their foreign server. Totals since the server started.';

CREATE FUNCTION prism.metrics_text() RETURNS text
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH sample AS (
        SELECT m.ordinality AS place, m.name, m.value, m.type, m.help,
            (SELECT '{' || string_agg(l.key || '="' || replace(replace(replace(l.value, E'\\', E'\\\\'), '"', E'\\"'), E'\n', E'\\n') || '"', ',' ORDER BY l.key) || '}'
             FROM jsonb_each_text(m.labels) l) AS labels
        FROM (SELECT s.*, row_number() OVER () AS ordinality FROM prism.metrics s) m
    ), family AS (
        SELECT min(place) AS place,
            '# HELP ' || name || ' ' || replace(replace(help, E'\\', E'\\\\'), E'\n', E'\\n') || E'\n'
            || '# TYPE ' || name || ' ' || type || E'\n'
            || string_agg(name || coalesce(labels, '') || ' ' || value || E'\n', '' ORDER BY place) AS lines
        FROM sample GROUP BY name, type, help
    )
    SELECT coalesce(string_agg(lines, '' ORDER BY place), '') FROM family;
END;
COMMENT ON FUNCTION prism.metrics_text() IS
'prism.metrics in the Prometheus text format, version 0.0.4: for postgres_exporter, or any job that serves it over HTTP.';
