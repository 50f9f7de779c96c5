-- What ends or extends leases beside prism.ack(), and dead letters: src/api/acknowledge.c, redrive.c.

CREATE FUNCTION prism.nack(message prism.message, delay interval DEFAULT '0', reason text DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_nack';
COMMENT ON FUNCTION prism.nack(prism.message, interval, text) IS
'Gives up a message that prism.consume() returned: when this transaction commits, it is there for all consumers of the group again, after a delay (0 to 7 days from now; NULL: as long as the group''s backoff says of this attempt). Until then later messages of its key wait for it, as far as the group''s ordering says so; those of them that were handed out together with it stay where they are. In the last of the group''s max_attempts it becomes a dead letter instead, with the reason. Returns 1, or 0 when it was given up or finished before under this lease. Errors: 55000 the lease is not held any more, with the position; 22004 NULL; 22023 a message of prism.read(), delay out of range; 42704 unknown group; 42501 no right to consume; 25006 read-only transaction or standby.';

CREATE FUNCTION prism.nack(
    topic text, consumer_group text, positions bigint[], lease_ids bigint[] DEFAULT NULL,
    delay interval DEFAULT '0', reason text DEFAULT NULL
) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_nack';
COMMENT ON FUNCTION prism.nack(text, text, bigint[], bigint[], interval, text) IS
'Gives up messages by their positions and returns how many were not given up or finished before. lease_ids: those that consume() returned, one a position; NULL: the leases that this session was given. In a call of three arguments without a type the third is positions. Errors: as prism.nack(prism.message, interval, text); 2202E arrays of different length.';

CREATE FUNCTION prism.nack(topic text, consumer_group text, positions text) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_nack_literal';
COMMENT ON FUNCTION prism.nack(text, text, text) IS
'The same where nothing tells the type of the arguments, as for the parameters of many drivers: positions is the text of a bigint[]. Errors: as prism.nack(text, text, bigint[], bigint[], interval, text); 22P02 text that is no array.';

CREATE FUNCTION prism.reject(message prism.message, reason text DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_reject';
COMMENT ON FUNCTION prism.reject(prism.message, text) IS
'Makes a message that prism.consume() returned a dead letter, whatever its attempts: it is finished for the group when this transaction commits, and published to the topic <topic>.dlq in it, with headers dead_letter_topic, _position, _group, _reason (up to 4096 bytes), _attempts, _first_failure and _last_failure. The topic is made when it is needed first; no right to publish there is asked for. Returns 1, or 0 when the message was finished before under this lease. Errors: 55000 the lease is not held any more, with the position; 22004 NULL; 22023 a message of prism.read(); 42704 unknown group; 42501 no right to consume; 25006 read-only transaction or standby; 53400 no room for one more topic.';

CREATE FUNCTION prism.reject(
    topic text, consumer_group text, positions bigint[], lease_ids bigint[] DEFAULT NULL, reason text DEFAULT NULL
) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_reject';
COMMENT ON FUNCTION prism.reject(text, text, bigint[], bigint[], text) IS
'Makes messages dead letters by their positions and returns how many were not finished before. lease_ids: those that consume() returned, one a position; NULL: the leases that this session was given. Errors: as prism.reject(prism.message, text); 2202E arrays of different length.';

CREATE FUNCTION prism.extend(message prism.message, lease interval DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_extend';
COMMENT ON FUNCTION prism.extend(prism.message, interval) IS
'Lets the lease of a message that prism.consume() returned end so much later than now (1 microsecond to 12 hours; NULL: the group''s lease). At once: it does not wait for this transaction''s commit, and a rollback does not undo it (but gives back what the same transaction was handed out). A lease that ended while nobody else got the message is good again. Returns 1, or 0 when the message was finished before under this lease. Errors: 55000 the lease is not held any more, with the position; 22004 NULL; 22023 a message of prism.read(), lease out of range; 42704 unknown group; 42501 no right to consume; 25006 read-only transaction or standby.';

CREATE FUNCTION prism.extend(
    topic text, consumer_group text, positions bigint[], lease_ids bigint[] DEFAULT NULL, lease interval DEFAULT NULL
) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_extend';
COMMENT ON FUNCTION prism.extend(text, text, bigint[], bigint[], interval) IS
'The same for messages by their positions; returns how many were not finished before. lease_ids: those that consume() returned, one a position; NULL: the leases that this session was given. Errors: as prism.extend(prism.message, interval); 2202E arrays of different length.';

CREATE FUNCTION prism.redrive(topic text, positions bigint[] DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'prism_redrive';
COMMENT ON FUNCTION prism.redrive(text, bigint[]) IS
'Publishes dead letters of a topic, those of <topic>.dlq, to the topic again, and returns how many: with the same key and payload, without the dead_letter_ headers, as new messages with ids of their own, for all consumer groups and sinks. positions: in <topic>.dlq; NULL: all, up to prism.group_window of them in one transaction. A call redrives one, and then no more than prism.consume_bytes of payloads. A NOTICE tells when more are left. The dead letters stay readable; prism.redrive() consumes them as consumer group prism.redrive, so none is redriven twice: those that were, or that another session redrives, and positions of none do not count. Whoever acknowledges them as that group leaves them where they are for good. Errors: 22004 NULL; 42704 unknown topic, or a topic of dead letters itself; 42501 no right to administer; 53400 a position behind more dead letters than prism.group_window; 25006 read-only transaction or standby.';
