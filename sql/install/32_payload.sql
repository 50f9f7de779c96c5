-- Payloads that come in pieces, or out of a large object: src/api/payload_stream.c, large_object.c.

CREATE FUNCTION prism.payload_open(topic text, valid interval DEFAULT '1 day') RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_payload_open';
COMMENT ON FUNCTION prism.payload_open(text, interval) IS
$$Begins a payload that comes in pieces, and returns its id: prism.payload_append() adds to it, in this and in other transactions and sessions of the same role, and prism.publish_payload() makes a message of it. Its topic needs the pattern claim-check.
valid: what is neither published nor discarded by then is given up, with its bytes; 1 second to 30 days. Until then the topic's payloads that came after its beginning keep their space.
Errors: 22004 NULL; 42704 unknown topic; 42501 no right to publish; 22023 wrong valid; 55000 the namespace has no claim-check, or library not preloaded; 25006 read-only transaction or standby.$$;

CREATE FUNCTION prism.payload_append(payload uuid, bytes bytea) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_payload_append';
COMMENT ON FUNCTION prism.payload_append(uuid, bytea) IS
$$Adds bytes to a payload that prism.payload_open() has begun, and returns how many it has by then. A rollback, also to a savepoint, takes them away again. Another session that appends to the same one waits until this transaction has ended. COPY prism.payload_piece does the same for each of its rows.
Errors: 22004 NULL; 42704 no such payload, as it was published, discarded, or has expired; 42501 another role's, or no right to publish; 54000 more than the namespace's max_message_size; 55000 the namespace has no claim-check any more, or library not preloaded; 25006 read-only transaction or standby; 53000 no payload segment is ready.$$;

CREATE FUNCTION prism.publish_payload(
    topic text, payload uuid, key text DEFAULT NULL, headers jsonb DEFAULT NULL,
    namespace text DEFAULT NULL, deliver_at timestamptz DEFAULT NULL
) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_publish_payload';
COMMENT ON FUNCTION prism.publish_payload(text, uuid, text, jsonb, text, timestamptz) IS
$$Makes a message of a payload that came in pieces, in the current transaction, and returns the message's id: see prism.publish(text, jsonb, ...) for the other arguments. The payload is as it was appended, and is stored so: nothing is compressed. One that is not larger than the namespace's threshold is a message like others.
The SHA-256 of what this session has appended is known; where another one did, or something was rolled back in between, the payload is read once (about a second a gigabyte).
Errors: as prism.publish(); 42704 no such payload, as it was published, discarded, or has expired; 42501 another role's; 22023 it was opened for another topic; 54000 more than the namespace's max_message_size; 55000 the namespace has no claim-check any more, or another store; XX001 its bytes cannot be read back.$$;

CREATE FUNCTION prism.payload_discard(payload uuid) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_payload_discard';
COMMENT ON FUNCTION prism.payload_discard(uuid) IS
$$Gives up a payload that came in pieces; false when there is none of the id, as it was published, discarded, or given up before. Its space comes back with that of its topic's other payloads.
Errors: 22004 NULL; 42501 another role's, or no right to publish; 25006 read-only transaction or standby.$$;

CREATE FUNCTION prism.publish_large_object(
    topic text, large_object oid, key text DEFAULT NULL, headers jsonb DEFAULT NULL,
    namespace text DEFAULT NULL, deliver_at timestamptz DEFAULT NULL
) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_publish_large_object';
COMMENT ON FUNCTION prism.publish_large_object(text, oid, text, jsonb, text, timestamptz) IS
$$Makes a message of the bytes of a large object, as it is now, in the current transaction, and returns the message's id: see prism.publish(text, jsonb, ...) for the other arguments. It is read with the caller's right on it, a megabyte at a time, and stays as it is.
Errors: as prism.publish(); 42704 no such large object; 42501 no right to read it; 54000 more than the namespace's max_message_size.$$;

CREATE FUNCTION prism.payload_piece_insert() RETURNS trigger
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'prism_payload_piece_insert';
COMMENT ON FUNCTION prism.payload_piece_insert() IS
'INSTEAD OF INSERT trigger of prism.payload_piece: appends the row''s bytes to its payload. Errors: as prism.payload_append(); 42804 a view without columns payload uuid and bytes bytea.';

CREATE VIEW prism.payload_piece AS
    SELECT NULL::uuid AS payload, NULL::bytea AS bytes WHERE false;
CREATE TRIGGER append INSTEAD OF INSERT ON prism.payload_piece
    FOR EACH ROW EXECUTE FUNCTION prism.payload_piece_insert();
COMMENT ON VIEW prism.payload_piece IS
$$To insert into, and above all to COPY to: each row is a piece of a payload, as prism.payload_append() takes it, in their order. COPY prism.payload_piece (payload, bytes) FROM STDIN (FORMAT binary) needs no more memory than a piece, whatever the payload's size; pieces of 64 kB to 1 MB do well. Nothing is to be seen in it, and RETURNING has the payload's id alone. Error 55000 under session_replication_role = replica, where the server does not call triggers of views.$$;
