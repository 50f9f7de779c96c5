-- A large payload, in and out: psql runs this file after the queue's steps.
\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
\pset pager off
CREATE TEMP TABLE video AS SELECT string_agg(sha512(i::text::bytea), '' ORDER BY i) AS content FROM generate_series(1, 3276800) AS i;
\timing off
\set ECHO queries
SELECT namespace, action, detail FROM prism.apply('{name: videos, patterns: [{type: claim-check, threshold: 1MB}]}');
SELECT pg_size_pretty(length(content)::bigint) AS size, left(encode(sha256(content), 'hex'), 16) AS sha256 FROM video;
SELECT prism.publish('videos', content, key => 'intro') IS NOT NULL AS published FROM video;
SELECT topic, position, size, storage, state FROM prism.claims;
-- More than is handed over with a message is told by its headers ...
SELECT key, length(payload) AS bytes, headers ->> 'payload_size' AS payload_size, left(headers ->> 'payload_sha256', 16) AS payload_sha256 FROM prism.read('videos');
-- ... unless the consumer takes it whole, which has been compared with its SHA-256 then.
SET prism.max_inline_payload = '256MB';
SELECT key, length(payload) AS bytes, left(encode(sha256(payload), 'hex'), 16) AS sha256, prism.ack(m) AS acknowledged FROM prism.consume('videos', 'players') AS m;
\set ECHO none
