-- The payload of one message, of any size: src/api/payload_out.c.

CREATE FUNCTION prism.payload_read(topic text, "position" bigint, from_byte bigint DEFAULT 0, bytes integer DEFAULT 1048576) RETURNS bytea
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_payload_read';
COMMENT ON FUNCTION prism.payload_read(text, bigint, bigint, integer) IS
'Bytes of the payload of a message, wherever it is kept, from byte from_byte (0: the first) on: as many as bytes says (up to 1073741819), fewer where it ends before, none behind its end. All of it, if that is asked for, is compared with its SHA-256; of one that is kept compressed only the blocks that have these bytes are opened. For who may read or consume the topic. Errors: 22004 NULL; 22023 argument out of range; 42501 neither right; 42704 unknown topic, no message at the position, or one without a payload (a tombstone); 55000 retention has dropped it; 58P01 its payload is not there any more; XX001 it is damaged; 25006 on a standby.';

CREATE FUNCTION prism.payload_pieces(topic text, "position" bigint, piece integer DEFAULT 1048576) RETURNS SETOF bytea
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1000
    AS 'MODULE_PATHNAME', 'prism_payload_pieces';
COMMENT ON FUNCTION prism.payload_pieces(text, bigint, integer) IS
'The payload of a message in order, in pieces of so many bytes (1 to 1073741819; the last one may have fewer), a row each. In a SELECT list one piece is in memory at a time: COPY (SELECT prism.payload_pieces(topic, position)) TO STDOUT (FORMAT binary) takes the same memory for any size; in FROM all of it goes to a temporary file first. All of it is compared with its SHA-256: the last piece comes only if it is right. Errors: as prism.payload_read().';

CREATE FUNCTION prism.payload_export(topic text, "position" bigint) RETURNS oid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_payload_export';
COMMENT ON FUNCTION prism.payload_export(text, bigint) IS
'Makes a large object of the payload of a message, compared with its SHA-256, and returns its oid; it belongs to the caller, who removes it by lo_unlink(). Errors: as prism.payload_read(); 42501 also without EXECUTE on lo_create() or lowrite(); 25006 also in a read-only transaction.';
