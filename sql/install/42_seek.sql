-- Moving consumer groups: src/api/seek.c.

CREATE FUNCTION prism.seek(topic text, consumer_group text, target text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_seek';
COMMENT ON FUNCTION prism.seek(text, text, text) IS
'Lets a consumer group go on somewhere else when this transaction commits, and returns the position. target: earliest, latest (the end at the moment of the call), a position, or a time: then the first message published at that time or later, or the end when there is none. Times are those of publish(), positions those of the commit: behind a transaction that took more than a minute from one to the other, a later message may be found. What was handed out before the commit cannot be acknowledged after it (55000); messages are attempt 1 again.
Errors: 22004 NULL; 22007 target is none of these; 22023 a position that is negative or behind the end, a position or time of which retention has dropped messages: the detail names the first one kept; 42704 unknown topic or group; 42501 no right to consume; 25006 read-only transaction or standby; 55000 library not preloaded.';

CREATE FUNCTION prism.seek(topic text, consumer_group text, target bigint) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_seek_position';
COMMENT ON FUNCTION prism.seek(text, text, bigint) IS
'The same for a position as a number. Errors: as prism.seek(text, text, text).';

CREATE FUNCTION prism.seek(topic text, consumer_group text, target timestamptz) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_seek_time';
COMMENT ON FUNCTION prism.seek(text, text, timestamptz) IS
'The same for a time. Errors: as prism.seek(text, text, text).';
