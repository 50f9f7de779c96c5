CREATE SCHEMA probe;
CREATE FUNCTION probe.write(topic text, id uuid, payload bytea, at bigint DEFAULT 0, store integer DEFAULT 1, piece integer DEFAULT 1048576, hash boolean DEFAULT false) RETURNS bigint LANGUAGE c STRICT AS :'probe', 'probe_write';
CREATE FUNCTION probe.read(topic text, id uuid, first bigint, segments integer DEFAULT 1, from_byte bigint DEFAULT 0) RETURNS bytea LANGUAGE c STRICT AS :'probe', 'probe_read';
CREATE FUNCTION probe.extent(topic text, id uuid, from_segment bigint DEFAULT 1) RETURNS text LANGUAGE c STRICT AS :'probe', 'probe_extent';
CREATE FUNCTION probe.pin(topic text, id uuid, first bigint, kind "char" DEFAULT 's', expires_at timestamptz DEFAULT NULL) RETURNS void LANGUAGE c AS :'probe', 'probe_pin';
CREATE FUNCTION probe.unpin(id uuid) RETURNS text LANGUAGE c STRICT AS :'probe', 'probe_unpin';
CREATE FUNCTION probe.clean(topic text, on_consume boolean, ttl_ms bigint DEFAULT 0) RETURNS boolean LANGUAGE c STRICT AS :'probe', 'probe_clean';
CREATE FUNCTION probe.sha256(payload bytea) RETURNS bytea LANGUAGE c STRICT AS :'probe', 'probe_sha256';
CREATE FUNCTION probe.dangling_claims(topic text) RETURNS text LANGUAGE c STRICT AS :'probe', 'probe_dangling_claims';

-- A message whose payload lies beside the log, as far as a test needs it: its key says where it is.
CREATE FUNCTION probe.publish(topic text, payload bytea, id uuid DEFAULT gen_random_uuid()) RETURNS uuid LANGUAGE sql
AS $$ SELECT prism.publish(topic, octet_length(payload)::text, key => format('%s %s', id, probe.write(topic, id, payload))) $$;

-- The kept messages whose tables of payloads are gone, and that should have them: there must be none.
CREATE FUNCTION probe.dangling(topic text) RETURNS TABLE ("position" bigint, key text) LANGUAGE sql
AS $$ SELECT m."position", m.key FROM prism.read(topic, max_messages => 1000000) m JOIN prism.topic t ON t.name = topic
    WHERE m."position" >= t.payload_cleaned AND m.key LIKE '% %'
    AND to_regclass(format('prism_log.topic_%s_payload_%s', t.topic_id, split_part(m.key, ' ', 2))) IS NULL $$;
