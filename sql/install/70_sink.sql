-- Sinks: how they stand, and what operators do to them.

CREATE FUNCTION prism_internal.sink_states(OUT sink_id integer, OUT topic text, OUT sink text, OUT backend text, OUT server text, OUT target text,
                                  OUT state text, OUT since timestamptz, OUT "position" bigint,
                                  OUT lag_messages bigint, OUT lag_seconds double precision,
                                  OUT error text, OUT error_at timestamptz, OUT retry_at timestamptz,
                                  OUT partitions integer, OUT replication integer, OUT max_message_bytes bigint,
                                  OUT seen_at timestamptz, OUT partitions_error text,
                                  OUT messages_total bigint, OUT bytes_total bigint, OUT retries_total bigint,
                                  OUT rejected_total bigint, OUT dead_letters_total bigint, OUT splits_total bigint,
                                  OUT doubts_total bigint)
RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'prism_sink_states';
COMMENT ON FUNCTION prism_internal.sink_states() IS
'The sinks of topics on which the caller holds a privilege; the error text for administrators only. Behind prism.sinks.';

CREATE VIEW prism.sinks AS
SELECT s.topic, s.sink, s.backend, s.server, s.target, s.state, s.since, s."position", s.lag_messages, s.lag_seconds,
       s.error, s.error_at, s.retry_at, s.partitions, s.replication, s.max_message_bytes, s.seen_at, s.partitions_error, s.messages_total, s.bytes_total, s.retries_total,
       s.rejected_total, s.dead_letters_total, s.splits_total, s.doubts_total
FROM prism_internal.sink_states() s;
COMMENT ON VIEW prism.sinks IS
'One row a sink: of a topic that has several each goes on by itself. sink: its name, that of the back end for the one of the namespace''s backend. state: starting, waiting (for an answer of the other side), running, backoff (tried again at retry_at), paused, stopped (wrong settings or rights there), fenced (another server sends as this installation), sink_regressed (the other side lost what it had acknowledged), diverged (a copy of this database went on in its place), paused: copied and paused: rewound (prism.adopt() or prism.rebase() decides). position: the first one that is not out; lag: how many messages wait and the age in seconds of the first; server: what the foreign server is called now; error: what is in its way, NULL when nothing is; state and error are those of a process that lives, without one a sink is starting or paused, or stopped when its server was dropped; partitions, replication (copies of each partition) and max_message_bytes (of a record): of the target as the other side has it, seen_at: when that was seen last, which is at each connection, once a minute and after prism.resume(), all NULL when the sink''s process has not reached it since the server started, or the other side does not tell; partitions_error: why the target has not been given the partitions that are asked for, which keeps nothing from being sent, and is tried again; totals since the server started: messages and bytes acknowledged, rounds sent again, messages refused (with their neighbours), dead letters, transactions larger than a batch, connections made anew as an answer could not be trusted';

CREATE FUNCTION prism.pause(topic text, sink text DEFAULT NULL) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'prism_pause';
COMMENT ON FUNCTION prism.pause(text, text) IS
'At commit, the sink takes no more messages, by default all that the topic has; what is under way comes to its end, then prism.sinks shows it as paused. Publishing goes on. Needs admin on the namespace (42501); 42704 when there is no such sink.';

CREATE FUNCTION prism.resume(topic text, sink text DEFAULT NULL) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'prism_resume';
COMMENT ON FUNCTION prism.resume(text, text) IS
'Ends prism.pause() for a sink, by default for all that the topic has, and lets one that is stopped, fenced, sink_regressed or diverged try again at once; what the other side has of the target is seen anew. Needs admin on the namespace (42501); 42704 when there is no such sink.';

CREATE FUNCTION prism.skip(topic text, sink text DEFAULT NULL, to_position bigint DEFAULT NULL) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'prism_skip';
COMMENT ON FUNCTION prism.skip(text, text, bigint) IS
'Lets a sink (the topic''s only one by default) that is paused, stopped, fenced, sink_regressed or diverged go on at to_position after prism.resume(), or behind the next message by default, and returns that position; a smaller position sends again. Needs admin on the namespace (42501); 42704 when there is no such sink, 42P08 when the topic has several and none is named, 55000 while the sink is at work, 22023 for a position outside of the log.';

CREATE FUNCTION prism.adopt() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'prism_adopt';
COMMENT ON FUNCTION prism.adopt() IS
'This database takes the place of the one it was copied or restored from: sinks that are "paused: copied" or "paused: rewound" go on under the same identity. The original must never run again. For the owner of the extension (42501).';

CREATE FUNCTION prism.rebase() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'prism_rebase';
COMMENT ON FUNCTION prism.rebase() IS
'This database is an installation of its own from now on, beside the one it was copied from: it gets a new identity, and its sinks go on where the copy was made; those that run have to be paused first (55000). For the owner of the extension (42501).';

CREATE FUNCTION prism_internal.add_sink(namespace text, sink text, config text, from_position bigint DEFAULT NULL) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'prism_add_sink';
COMMENT ON FUNCTION prism_internal.add_sink(text, text, text, bigint) IS
'For tests, until patterns ask for it: the namespace''s topic gets a sink of this name beside the one of its backend, as the backend of config says, which is a configuration of the namespace. It begins with the first message kept, or at from_position. For the owner of the extension (42501); 42704 no such namespace, 42710 the name or the place at the other side is taken, 54000 there are 16 sinks, 22023 for a position outside of the log or a backend that sends nothing.';

CREATE FUNCTION prism_internal.drop_sink(namespace text, sink text, force boolean DEFAULT false) RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'prism_drop_sink';
COMMENT ON FUNCTION prism_internal.drop_sink(text, text, boolean) IS
'For tests, as prism_internal.add_sink(): drops a sink that it has added; waits for those who use the topic. For the owner of the extension (42501); 42704 no such namespace or sink, 55000 it is the one of the namespace''s backend, or, without force, messages wait for it.';
