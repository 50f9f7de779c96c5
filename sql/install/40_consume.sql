-- Consuming, acknowledging and replaying: src/api/consume.c, group.c, read.c.

CREATE TYPE prism.message AS (
    topic          text,
    "position"     bigint,
    id             uuid,
    key            text,
    headers        jsonb,
    payload        bytea,
    created_at     timestamptz,
    attempt        integer,
    consumer_group text,
    lease_id       bigint
);
COMMENT ON TYPE prism.message IS
'A message as prism.consume() and prism.read() return it; attempt, consumer_group and lease_id are NULL in the latter';

CREATE FUNCTION prism.consume(
    topic text, consumer_group text, max_messages integer DEFAULT 100, lease interval DEFAULT NULL,
    wait interval DEFAULT '0', namespace text DEFAULT NULL, filter jsonpath DEFAULT NULL
) RETURNS SETOF prism.message
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'prism_consume';
COMMENT ON FUNCTION prism.consume(text, text, integer, interval, interval, text, jsonpath) IS
'Hands out the next messages of a topic to a consumer group: to nobody else of the group until they are acknowledged, or their lease (1 microsecond to 12 hours; NULL: the group''s, 30 seconds by default) ends, or this transaction rolls back; after that again, with attempt + 1. In the order of their positions, as far as the group''s ordering lets them. Nothing is written. A group that does not exist begins at the earliest kept message.
max_messages: at most so many; fewer when there are no more, when there is no room for the next payload in prism.consume_bytes (one message is always handed out; the others come with the next call, as if they had not been taken), or when the group has prism.group_window unfinished ones. LIMIT does not change what is taken in FROM: what was taken stays leased.
wait: how long to wait for a first message when there is none, cut at 60 seconds; see also prism.wait(). namespace: only checked.
payload: one that is kept beside its message (claim check) and is larger than prism.max_inline_payload is empty, never NULL, and headers tell what it is: claim_check_id, or what metadata_field says, payload_size, payload_sha256; prism.payload_read() has it. A message whose payload is missing or damaged is not handed out: it becomes a dead letter that says so.
filter: only messages whose payload is JSON and matches; the others count as done for the group, acknowledged by this transaction. A predicate such as ''$.amount > 100'' must be true, as with @@; another path such as ''$.items[*] ? (@.price > 5)'' must find something, as with @?. What fails on a payload does not match; one that is not handed over with its message does. A call looks at prism.group_window messages at most, and for half of the lease at most; so with a filter fewer rows, even none, may come before the end: go on in the next transaction.
Errors: 22004 NULL; 42704 unknown topic, or a variable in the filter; 42501 no right to consume; 22023 argument out of range; 25006 read-only transaction or standby; 53400 prism.max_groups groups in use; 55000 library not preloaded, or retention has dropped messages that the group has not finished: the detail names the first one kept, prism.seek() lets the group go on there.';

CREATE FUNCTION prism.ack(message prism.message) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_ack';
COMMENT ON FUNCTION prism.ack(prism.message) IS
'Acknowledges a message that prism.consume() returned; takes effect when the transaction commits, together with all that it did. Returns 1, or 0 when the message was acknowledged before. Errors: 55000 the lease is not held any more, with the position; 22023 a message of prism.read(); 42704 unknown group; 42501 no right to consume; 25006 read-only transaction or standby.';

CREATE FUNCTION prism.ack(topic text, consumer_group text, positions bigint[], lease_ids bigint[] DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_ack';
COMMENT ON FUNCTION prism.ack(text, text, bigint[], bigint[]) IS
'Acknowledges messages by their positions and returns how many were not acknowledged before; takes effect when the transaction commits. lease_ids: those that consume() returned, one a position; NULL: the leases that this session was given. Errors: 55000 some lease is not held any more, with the positions; 22004 NULLs; 2202E arrays of different length; 42704 unknown topic or group; 42501 no right to consume; 25006 read-only transaction or standby.';

CREATE FUNCTION prism.create_group(
    topic text, consumer_group text, start text DEFAULT 'earliest', ordering text DEFAULT NULL,
    max_attempts integer DEFAULT NULL, lease interval DEFAULT NULL, max_in_flight integer DEFAULT NULL,
    backoff interval[] DEFAULT NULL
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_create_group';
COMMENT ON FUNCTION prism.create_group(text, text, text, text, integer, interval, integer, interval[]) IS
'Makes a consumer group of a topic. start: earliest, latest, a position or a time, as for prism.seek(). Options, NULL for the default:
ordering: key (default): a message waits for earlier unfinished ones of its key; strict: for all earlier ones; none: for nothing. Messages that wait only for what the same transaction was handed out come together with it, in order.
max_attempts: deliveries (0 to 10000, default 5; 0: no limit). lease: of consume() that names none, 1 microsecond to 12 hours, default 30 seconds. max_in_flight: messages that are handed out at a time (0, the default: what prism.group_window holds). backoff: how long a message rests after its first, second ... attempt when prism.nack() leaves it to the group; up to 16 steps of 0 to 7 days, default 1 s, 10 s, 1 min; the last one repeats.
Errors: 42710 it exists; 22023 wrong name (1 to 249 bytes), start or option; 22007 start is none of these; 2202E and 22004 wrong array; 42704 unknown topic; 42501 no right to consume.';

CREATE FUNCTION prism.drop_group(topic text, consumer_group text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_drop_group';
COMMENT ON FUNCTION prism.drop_group(text, text) IS
'Drops a consumer group of a topic; who holds messages of it cannot acknowledge them any more. Errors: 42704 unknown topic or group; 42501 no right to consume.';

CREATE PROCEDURE prism.wait(topic text, consumer_group text, timeout interval)
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'prism_wait';
COMMENT ON PROCEDURE prism.wait(text, text, interval) IS
'Returns when a message is available for the consumer group, or after timeout (0 to 24 hours). Called outside of a transaction block it holds no snapshot while it sleeps (under REPEATABLE READ and SERIALIZABLE it must), and no lock on the topic, so neither VACUUM nor who drops it is held up. As many of those who wait are called as there are messages; who does not consume within 100 ms is not waited for. Whoever consumes may still find that another consumer was faster. Errors: 22004 NULL; 22023 timeout out of range; 42704 unknown topic; 42501 no right to consume.';

CREATE FUNCTION prism.read(topic text, from_position bigint DEFAULT NULL, max_messages integer DEFAULT 100)
    RETURNS SETOF prism.message
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'prism_read';
COMMENT ON FUNCTION prism.read(text, bigint, integer) IS
'Messages of a topic in the order of their positions, from a position on (NULL: the first kept one); leaves no trace. A position that retention has dropped is an error (55000) that names the first one kept. Only what is committed and settled is returned: what this transaction publishes is not. Of a payload that is kept beside its message (claim check) and is larger than prism.max_inline_payload, or that was deleted as the namespace''s cleanup says, an empty payload is shown, and headers that tell its size. Errors: 58P01 a payload that is missing, XX001 a message or payload that is damaged: the detail says how, the hint where to go on; 22004 NULL; 22023 argument out of range; 42704 unknown topic; 42501 no right to read; 25006 on a standby.';

CREATE FUNCTION prism_internal.group_states(
    OUT topic text, OUT consumer_group text, OUT "position" bigint, OUT in_flight integer, OUT available integer,
    OUT delayed integer, OUT lag_messages bigint, OUT lag_seconds double precision, OUT window_full boolean,
    OUT ordering text, OUT oldest_unacknowledged_seconds double precision, OUT consumers integer
) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
    AS 'MODULE_PATHNAME', 'prism_group_states';
COMMENT ON FUNCTION prism_internal.group_states() IS
'The consumer groups of topics that the caller may consume, read or administer. Behind prism.groups.';

CREATE VIEW prism.groups WITH (security_barrier) AS
    SELECT g.topic, g.consumer_group, g."position", g.in_flight, g.available, g.delayed,
           g.lag_messages, g.lag_seconds, g.window_full, g.ordering, g.oldest_unacknowledged_seconds, g.consumers
    FROM prism_internal.group_states() AS g;
COMMENT ON VIEW prism.groups IS
'Consumer groups: position (everything below is finished), messages handed out (in_flight), read ahead and held by nobody (available, those included that wait for an earlier one of their key), delayed, lag in messages and as the age of the oldest unfinished one, whether prism.group_window is used up, the ordering, the age of the oldest message that is handed out and not acknowledged (0: none is), and how many sessions hold messages (consumers; those of a pooler''s clients count as one, that which has ended until its leases do). NULL on a standby, and for a group that found no place in prism.max_groups; lag also while somebody has the tables locked in which it would have to be looked for.';
