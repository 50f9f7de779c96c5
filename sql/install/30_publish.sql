-- Publishing: src/api/publish.c.

CREATE FUNCTION prism.version() RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'prism_version';
COMMENT ON FUNCTION prism.version() IS 'Version of the loaded library';

CREATE FUNCTION prism.publish(
    topic text, payload jsonb, key text DEFAULT NULL, headers jsonb DEFAULT NULL,
    namespace text DEFAULT NULL, deliver_at timestamptz DEFAULT NULL
) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_publish_jsonb';
CREATE FUNCTION prism.publish(
    topic text, payload json, key text DEFAULT NULL, headers jsonb DEFAULT NULL,
    namespace text DEFAULT NULL, deliver_at timestamptz DEFAULT NULL
) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_publish_json';
CREATE FUNCTION prism.publish(
    topic text, payload text, key text DEFAULT NULL, headers jsonb DEFAULT NULL,
    namespace text DEFAULT NULL, deliver_at timestamptz DEFAULT NULL
) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_publish_text';
CREATE FUNCTION prism.publish(
    topic text, payload bytea, key text DEFAULT NULL, headers jsonb DEFAULT NULL,
    namespace text DEFAULT NULL, deliver_at timestamptz DEFAULT NULL
) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_publish_bytea';
COMMENT ON FUNCTION prism.publish(text, jsonb, text, jsonb, text, timestamptz) IS
'Adds a message to a topic in the current transaction and returns its id (UUID version 7); nothing is sent unless the transaction commits.
payload: stored as the bytes of the JSON text, header content-type is set to application/json; NULL is a tombstone and needs a key.
key: messages of one key keep their order; at most 65,536 bytes. headers: a flat object of strings, at most 1 MiB.
namespace: only checked.
deliver_at: not before this time, and by then if the transaction has committed; NULL, or a time that is past: at the commit. What is due at the same time comes in the order of the commits. The id is known at once; created_at is the time of delivery.
Errors: 22004 NULL topic; 42704 unknown topic; 42501 no right to publish; 22023 wrong key or headers, or an infinite deliver_at; 54000 payload over the namespace''s max_message_size; 25006 read-only transaction or standby; 55000 library not preloaded; at commit 53000 when no segment is ready, 53400 when a consumer group would be left farther behind than the namespace''s max_backlog allows.';
COMMENT ON FUNCTION prism.publish(text, json, text, jsonb, text, timestamptz) IS
'Adds a message to a topic in the current transaction: see prism.publish(text, jsonb, ...). The JSON text is stored as it is.';
COMMENT ON FUNCTION prism.publish(text, text, text, jsonb, text, timestamptz) IS
$comment$Adds a message to a topic in the current transaction: see prism.publish(text, jsonb, ...). The text is stored in the database's encoding; text that is a JSON object or array gets content-type application/json. It is also what a parameter or literal without a type becomes; so 22023 for the text form of bytea (\x and pairs of hexadecimal digits) and for an array of it: say $2::bytea or $2::jsonb.$comment$;
COMMENT ON FUNCTION prism.publish(text, bytea, text, jsonb, text, timestamptz) IS
'Adds a message to a topic in the current transaction: see prism.publish(text, jsonb, ...). The bytes are stored as they are.';

CREATE FUNCTION prism.publish_batch(
    topic text, payloads jsonb[], keys text[] DEFAULT NULL, headers jsonb[] DEFAULT NULL,
    namespace text DEFAULT NULL
) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_publish_batch_jsonb';
CREATE FUNCTION prism.publish_batch(
    topic text, payloads json[], keys text[] DEFAULT NULL, headers jsonb[] DEFAULT NULL,
    namespace text DEFAULT NULL
) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_publish_batch_json';
CREATE FUNCTION prism.publish_batch(
    topic text, payloads text[], keys text[] DEFAULT NULL, headers jsonb[] DEFAULT NULL,
    namespace text DEFAULT NULL
) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_publish_batch_text';
CREATE FUNCTION prism.publish_batch(
    topic text, payloads text, keys text[] DEFAULT NULL, headers jsonb[] DEFAULT NULL,
    namespace text DEFAULT NULL
) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_publish_batch_literal';
CREATE FUNCTION prism.publish_batch(
    topic text, payloads bytea[], keys text[] DEFAULT NULL, headers jsonb[] DEFAULT NULL,
    namespace text DEFAULT NULL
) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_publish_batch_bytea';
COMMENT ON FUNCTION prism.publish_batch(text, jsonb[], text[], jsonb[], text) IS
'Adds one message for each payload, in the order of the array, and returns how many. keys and headers: as many as payloads, or NULL. Errors: as prism.publish(); 2202E arrays of different length or more than one dimension.';
COMMENT ON FUNCTION prism.publish_batch(text, json[], text[], jsonb[], text) IS
'Adds one message for each payload: see prism.publish_batch(text, jsonb[], ...). The JSON texts are stored as they are.';
COMMENT ON FUNCTION prism.publish_batch(text, text[], text[], jsonb[], text) IS
'Adds one message for each payload: see prism.publish_batch(text, jsonb[], ...). Each text is taken as by prism.publish(text, text, ...).';
COMMENT ON FUNCTION prism.publish_batch(text, text, text[], jsonb[], text) IS
'The same for a parameter or literal without a type: the text of a text[]. Errors: as prism.publish_batch(text, text[], ...); 22P02 text that is no array.';
COMMENT ON FUNCTION prism.publish_batch(text, bytea[], text[], jsonb[], text) IS
'Adds one message for each payload, in the order of the array, and returns how many: see prism.publish_batch(text, jsonb[], ...).';

CREATE FUNCTION prism.last_position(OUT topic text, OUT first bigint, OUT last bigint)
    RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_last_position';
COMMENT ON FUNCTION prism.last_position() IS
'Topics and positions of what this session''s last committed transaction published, as lastval() does for sequences; no row before the first, after SET ROLE to another role, and after DISCARD ALL.';

CREATE FUNCTION prism_internal.payload_text(payload bytea) RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'prism_payload_text';
COMMENT ON FUNCTION prism_internal.payload_text(bytea) IS
$$A payload as text: what it was published as, or, when its bytes are no text in the database's encoding, \x and their hexadecimal digits. Errors: 54000 bytes that have no room in a text.$$;
