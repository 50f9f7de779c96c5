-- prism.nack(), reject(), extend(), and dead letters of consumer groups.
SELECT action FROM prism.apply($$
name: verbs-test
consumers:
  - {group: work, ordering: none, max_attempts: 2, backoff: [1 hour]}
  - {group: keys, max_attempts: 0}
$$);
\set QUIET on
CREATE VIEW group_state AS
    SELECT consumer_group, "position", in_flight, available, delayed, lag_messages FROM prism.groups WHERE topic = 'verbs-test';
-- Dead letters, with what does not change from run to run.
CREATE VIEW letters AS
    SELECT "position", key, convert_from(payload, 'UTF8') AS payload, headers - '{dead_letter_first_failure,dead_letter_last_failure}'::text[] AS headers,
           (headers ->> 'dead_letter_first_failure')::timestamptz <= (headers ->> 'dead_letter_last_failure')::timestamptz
               AND now() - (headers ->> 'dead_letter_first_failure')::timestamptz < '1 min' AS times
    FROM prism.read('verbs-test.dlq');
CREATE FUNCTION sqlstate_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
\set QUIET off
SELECT count(prism.publish('verbs-test', 'm' || n, 'k' || n % 2, '{"from": "test"}')) FROM generate_series(0, 7) AS n;

-- Given up, a message is there again at once, with its attempts; partly within a batch.
SELECT "position", attempt FROM prism.consume('verbs-test', 'work', 4);
SELECT prism.nack('verbs-test', 'work', positions => '{0,2}');
SELECT * FROM group_state WHERE consumer_group = 'work';
-- Twice is harmless; to acknowledge what was given up is not.
SELECT prism.nack('verbs-test', 'work', positions => '{0,2}');
SELECT prism.ack('verbs-test', 'work', '{0}');
SELECT prism.reject('verbs-test', 'work', '{2}');
SELECT prism.extend('verbs-test', 'work', '{2}');
SELECT prism.ack('verbs-test', 'work', '{1}');
SELECT prism.nack('verbs-test', 'work', positions => '{1}'), prism.reject('verbs-test', 'work', '{1}'), prism.extend('verbs-test', 'work', '{1}');
-- It takes effect at commit; a rollback, also of a savepoint, undoes it.
BEGIN;
SELECT prism.nack('verbs-test', 'work', positions => '{3}');
SELECT * FROM group_state WHERE consumer_group = 'work';
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT prism.nack('verbs-test', 'work', positions => '{3}');
ROLLBACK TO s;
SELECT prism.ack('verbs-test', 'work', '{3}');
COMMIT;
-- Within one transaction the first verb counts.
BEGIN;
SELECT "position", attempt FROM prism.consume('verbs-test', 'work', 1);
SELECT prism.ack('verbs-test', 'work', '{0}'), prism.nack('verbs-test', 'work', positions => '{0}'), prism.reject('verbs-test', 'work', '{0}');
ROLLBACK;
BEGIN;
SELECT prism.nack(m) FROM prism.consume('verbs-test', 'keys', 1) AS m;
SELECT prism.nack('verbs-test', 'keys', positions => '{0}');
SELECT prism.ack('verbs-test', 'keys', '{0}');
ROLLBACK;
-- Two attempts were enough: of the one that was given up and rolled back, the next consumer makes a dead letter.
SELECT "position", attempt FROM prism.consume('verbs-test', 'work', 1);
SELECT * FROM letters;
SELECT * FROM group_state WHERE consumer_group = 'work';

-- A delay: nobody gets it before; NULL is the group's back-off.
SELECT "position", attempt FROM prism.consume('verbs-test', 'work');
SELECT prism.nack('verbs-test', 'work', ARRAY[5], delay => NULL);
SELECT "position", attempt FROM prism.consume('verbs-test', 'work');
SELECT prism.nack('verbs-test', 'work', ARRAY[6], delay => '10 ms');
SELECT "position", attempt FROM prism.consume('verbs-test', 'work', wait => '1 min');
SELECT * FROM group_state WHERE consumer_group = 'work';
-- In its last attempt it becomes a dead letter, with the reason.
SELECT prism.nack('verbs-test', 'work', ARRAY[6], delay => '1 h', reason => 'no such customer');
SELECT * FROM letters WHERE "position" > 0;
-- Rejected, it becomes one at once; a rollback leaves none.
BEGIN;
SELECT prism.reject('verbs-test', 'work', '{7}', reason => 'bad');
ROLLBACK;
SELECT prism.reject('verbs-test', 'work', '{7}', reason => 'bad');
SELECT prism.reject('verbs-test', 'work', '{7}', reason => 'bad');
SELECT count(prism.publish('verbs-test', n::text)) FROM generate_series(8, 9) AS n;
SELECT prism.reject(m) FROM prism.consume('verbs-test', 'work', 1) AS m;
SELECT prism.nack(m, NULL, 'later') FROM prism.consume('verbs-test', 'work', 1) AS m;
SELECT * FROM letters WHERE "position" > 1;
SELECT * FROM group_state WHERE consumer_group = 'work';
-- A lease that ends in the last attempt: whoever consumes next makes the letter.
SELECT prism.create_group('verbs-test', 'once', max_attempts => 1, ordering => 'strict');
SELECT "position", attempt FROM prism.consume('verbs-test', 'once', 1, lease => '1 microsecond');
BEGIN;
SELECT "position", attempt FROM prism.consume('verbs-test', 'once', 1);
SELECT * FROM group_state WHERE consumer_group = 'once';
ROLLBACK;
SELECT "position", attempt FROM prism.consume('verbs-test', 'once', 1);
SELECT * FROM group_state WHERE consumer_group = 'once';
SELECT "position", headers ->> 'dead_letter_position' AS origin, headers ->> 'dead_letter_group' AS "group", headers ->> 'dead_letter_reason' AS reason FROM letters WHERE "position" > 3;
-- A late acknowledgement comes in time as long as nobody has.
SELECT prism.create_group('verbs-test', 'late', max_attempts => 1);
SELECT "position", attempt FROM prism.consume('verbs-test', 'late', 1, lease => '1 microsecond');
SELECT prism.ack('verbs-test', 'late', '{0}');
-- Dead letters are consumed as any message; one that is rejected is finished for its group and stays where it is.
SELECT count(*) AS letters_before FROM letters \gset
SELECT (m).position, prism.reject(m, 'again') FROM prism.consume('verbs-test.dlq', 'graves', 1) AS m;
SELECT "position" FROM prism.consume('verbs-test.dlq', 'graves', 1);
SELECT count(*) = :letters_before AS no_letter_more, count(*) FILTER (WHERE "position" = 0) AS stays FROM letters;
SELECT name FROM prism.topic WHERE name LIKE 'verbs-test.%';

-- A key waits for a message of it that is delayed.
SELECT "position" FROM prism.consume('verbs-test', 'keys', 1);
SELECT prism.nack('verbs-test', 'keys', positions => '{0}', delay => '1 h');
SELECT "position" FROM prism.consume('verbs-test', 'keys');
-- Extending: at once, whatever the transaction does; and a lease that ended is good again.
SELECT prism.create_group('verbs-test', 'long', lease => '1 microsecond');
SELECT "position" FROM prism.consume('verbs-test', 'long', 2);
BEGIN;
SELECT prism.extend('verbs-test', 'long', '{0}', lease => '1 h');
ROLLBACK;
SELECT "position", attempt FROM prism.consume('verbs-test', 'long', 1);
SELECT prism.extend(m, '1 h') FROM prism.consume('verbs-test', 'long', 1) AS m;
SELECT * FROM group_state WHERE consumer_group = 'long';

-- Refused: never handed out, of another session's or nobody's lease, of prism.read().
SELECT prism.nack('verbs-test', 'long', positions => '{4,5}');
SELECT prism.reject('verbs-test', 'long', '{0}', '{12345}');
SELECT prism.extend('verbs-test', 'long', '{0}', '{0}');
SELECT prism.nack(m) FROM prism.read('verbs-test', 0, 1) AS m;
SELECT prism.nack('verbs-test', 'long', positions => '{}'), prism.reject('verbs-test', 'long', '{}'), prism.extend('verbs-test', 'long', '{}');
SELECT call, sqlstate_of(call) FROM (VALUES
    ($$SELECT prism.nack(NULL::prism.message)$$), ($$SELECT prism.reject(NULL::prism.message)$$), ($$SELECT prism.extend(NULL::prism.message)$$),
    ($$SELECT prism.nack('verbs-test', 'work', NULL::bigint[])$$), ($$SELECT prism.nack('verbs-test', 'work', positions => '{1,NULL}')$$),
    ($$SELECT prism.nack('verbs-test', 'work', positions => '{{1}}')$$), ($$SELECT prism.nack('verbs-test', 'work', positions => '{1}', lease_ids => '{1,2}')$$),
    ($$SELECT prism.nack('verbs-test', 'work', positions => '{-1}')$$), ($$SELECT prism.nack('verbs-test', 'work', positions => '{1000000}')$$),
    ($$SELECT prism.nack('verbs-test', 'work', positions => '{1}', delay => '-1 s')$$), ($$SELECT prism.nack('verbs-test', 'work', positions => '{1}', delay => '8 days')$$),
    ($$SELECT prism.nack('verbs-test', 'nobody', positions => '{1}')$$), ($$SELECT prism.nack('nowhere', 'work', positions => '{1}')$$),
    ($$SELECT prism.nack(NULL, 'work', positions => '{1}')$$), ($$SELECT prism.nack('verbs-test', NULL, positions => '{1}')$$),
    ($$SELECT prism.reject('verbs-test', 'work', '{-1}')$$), ($$SELECT prism.reject('verbs-test', 'work', '{NULL}')$$),
    ($$SELECT prism.extend('verbs-test', 'work', '{-1}')$$), ($$SELECT prism.extend('verbs-test', 'work', '{1}', lease => '0')$$),
    ($$SELECT prism.extend('verbs-test', 'work', '{1}', lease => '13 h')$$)) AS v(call);
BEGIN READ ONLY;
SELECT prism.nack('verbs-test', 'long', positions => '{0}');
ROLLBACK;
-- Who holds messages of a group that was dropped cannot give them up.
SELECT prism.drop_group('verbs-test', 'long');
SELECT prism.nack('verbs-test', 'long', positions => '{0}');
-- A consumer needs no right on the dead letters.
CREATE ROLE verbs_test_role;
SELECT prism.grant('verbs-test', 'consume', 'verbs_test_role');
SET ROLE verbs_test_role;
SELECT prism.reject(m, 'mine') FROM prism.consume('verbs-test', 'theirs', 1) AS m;
SELECT prism.publish('verbs-test.dlq', 'x');
RESET ROLE;
SELECT count(*) FROM letters WHERE headers ->> 'dead_letter_reason' = 'mine';

SELECT prism.drop_namespace('verbs-test', true) IS NOT NULL AS dropped;
DROP ROLE verbs_test_role;
DROP VIEW group_state;
DROP VIEW letters;
DROP FUNCTION sqlstate_of(text);
