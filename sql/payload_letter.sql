-- Dead letters and redriven messages have payloads of their own.
SELECT namespace, action FROM prism.apply($$
namespaces:
  - name: letter
    client_api: queue
    patterns: [{type: claim-check, threshold: 1000, storage: postgres}]
  - name: letter-zstd
    client_api: queue
    patterns: [{type: claim-check, threshold: 1000, storage: postgres, compression: zstd}]
$$);
CREATE FUNCTION letter_bytes(seed text, bytes integer) RETURNS bytea LANGUAGE sql IMMUTABLE AS
$$ SELECT substr(string_agg(sha256((seed || i)::bytea), '' ORDER BY i), 1, bytes) FROM generate_series(0, bytes / 32) AS i $$;
CREATE FUNCTION letter_beside(of_topic text) RETURNS text LANGUAGE sql AS
$$ SELECT format('prism_log.topic_%s_payload_%s', t.topic_id, max(segment_number)) FROM prism.payload_segment JOIN prism.topic AS t USING (topic_id) WHERE t.name = of_topic GROUP BY t.topic_id $$;

SELECT count(prism.publish('letter', letter_bytes('p' || n, 100000), 'k' || n)) FROM generate_series(1, 5) AS n;
SELECT count(prism.publish('letter-zstd', encode(letter_bytes('z' || n, 1500000), 'hex'), 'k' || n)) FROM generate_series(1, 2) AS n;
-- What is too large to be handed over is no less a letter.
SET prism.max_inline_payload = '1MB';
SELECT count(prism.reject(m, 'bad')) FROM prism.consume('letter', 'g', 2) AS m;
SELECT prism.reject(m, 'bad'), length(m.payload) FROM prism.consume('letter-zstd', 'g', 1) AS m;
RESET prism.max_inline_payload;
SELECT letter_beside('letter') AS beside, letter_beside('letter.dlq') AS of_letters, letter_beside('letter-zstd.dlq') AS of_packed_letters \gset
SELECT :'beside' <> :'of_letters' AS own_table, count(DISTINCT payload_id) AS payloads FROM :of_letters;
-- The originals may go.
DELETE FROM :beside WHERE payload_id IN (SELECT payload_id FROM :beside GROUP BY 1 ORDER BY 1 LIMIT 2);
SELECT "position", key, payload = letter_bytes('p' || substr(key, 2), 100000) AS same, headers ->> 'dead_letter_reason' AS reason FROM prism.read('letter.dlq');
SELECT "position", key, convert_from(payload, 'UTF8') = encode(letter_bytes('z' || substr(key, 2), 1500000), 'hex') AS same FROM prism.read('letter-zstd.dlq');
SELECT "position", length(payload) FROM prism.read('letter', 2, 1);
-- They count among the bytes of their topic.
SELECT topic, payload_bytes FROM (SELECT topic, bytes_total >= 200000 AS payload_bytes FROM prism.topics WHERE topic = 'letter.dlq') AS s;

-- What is damaged or missing when a consumer is to have it becomes a letter that says so; those behind it come.
UPDATE :beside SET bytes = set_byte(bytes, 0, 255 - get_byte(bytes, 0)) WHERE ctid = (SELECT min(ctid) FROM :beside);
DELETE FROM :beside WHERE payload_id = (SELECT payload_id FROM :beside GROUP BY 1 ORDER BY 1 OFFSET 1 LIMIT 1) AND at > 0;
SELECT "position", payload = letter_bytes('p' || substr(key, 2), 100000) AS same, prism.ack(m) FROM prism.consume('letter', 'g') AS m;
SELECT lag_messages FROM prism.groups WHERE topic = 'letter' AND consumer_group = 'g';
SELECT "position", key, length(payload) AS length, headers ->> 'payload_size' AS size, regexp_replace(headers ->> 'dead_letter_reason', '[0-9a-f]{64}', 'sha', 'g') AS reason
    FROM prism.read('letter.dlq', 2);
SELECT prism.payload_read('letter.dlq', 2);

-- Redriven, they get another one, of the topic.
SELECT prism.redrive('letter'), prism.redrive('letter-zstd');
SELECT count(*) FROM :of_letters;
DELETE FROM :of_letters;
DELETE FROM :of_packed_letters;
SELECT "position", key, payload = letter_bytes('p' || substr(key, 2), 100000) AS same, headers, prism.ack(m) FROM prism.consume('letter', 'g') AS m;
SELECT "position", key, convert_from(payload, 'UTF8') = encode(letter_bytes('z' || substr(key, 2), 1500000), 'hex') AS same, headers, prism.ack(m) FROM prism.consume('letter-zstd', 'g') AS m;
DROP FUNCTION letter_bytes(text, integer), letter_beside(text);
SELECT prism.drop_namespace(n, true) IS NOT NULL AS dropped FROM unnest('{letter,letter-zstd}'::text[]) AS n;
