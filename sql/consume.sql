-- prism.consume(), prism.ack(), groups and prism.read().
SELECT action FROM prism.apply($$
namespaces:
  - name: consume-test
    client_api: queue
    patterns: [outbox]
    backend: postgres
$$);
\set QUIET on
CREATE VIEW group_state AS
    SELECT consumer_group, "position", in_flight, available, lag_messages FROM prism.groups WHERE topic = 'consume-test';
-- Whether a statement fails, and how, without its text.
CREATE FUNCTION sqlstate_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
\set QUIET off
SELECT count(prism.publish('consume-test', jsonb_build_object('n', n), 'k' || n)) FROM generate_series(1, 5) AS n;

-- A group is made by its first consumer, at the earliest message.
SELECT topic, "position", key, headers, convert_from(payload, 'UTF8') AS payload, attempt, consumer_group, lease_id IS NOT NULL AS lease
  FROM prism.consume('consume-test', 'work', 2);
-- What is leased goes to nobody else; another group gets all.
SELECT "position", attempt FROM prism.consume('consume-test', 'work', 2);
SELECT count(*), min("position"), max("position") FROM prism.consume('consume-test', 'audit', 100);
SELECT * FROM group_state ORDER BY 1;

-- By position, out of order: leases of this session. Twice is harmless.
SELECT prism.ack('consume-test', 'work', '{2,0,2}');
SELECT prism.ack('consume-test', 'work', '{0,2}');
SELECT * FROM group_state WHERE consumer_group = 'work';
SELECT prism.ack('consume-test', 'work', '{1,3}');
SELECT prism.ack('consume-test', 'work', '{}');
-- consume and acknowledge in one statement: each message once.
SELECT (m).position, prism.ack(m) FROM prism.consume('consume-test', 'work') AS m;
SELECT count(*) FROM prism.consume('consume-test', 'work');
SELECT * FROM group_state WHERE consumer_group = 'work';

-- In one transaction, twice the same message: the second answer is 0, before and after.
BEGIN;
SELECT prism.ack('consume-test', 'audit', '{0}'), prism.ack('consume-test', 'audit', '{0,1}');
COMMIT;
SELECT prism.ack('consume-test', 'audit', '{0,1}');
-- A rolled back acknowledgement did not happen.
BEGIN;
SELECT prism.ack('consume-test', 'audit', '{2,3}');
ROLLBACK;
SELECT * FROM group_state WHERE consumer_group = 'audit';
SELECT prism.ack('consume-test', 'audit', '{2,3,4}');

-- Rollback gives back what the transaction took, as one more attempt.
BEGIN;
SELECT count(*) FROM prism.consume('consume-test', 'back', 3);
ROLLBACK;
-- ... even the group itself, that this transaction had made.
SELECT count(*) FROM group_state WHERE consumer_group = 'back';
SELECT prism.create_group('consume-test', 'back');
BEGIN;
SELECT "position", attempt FROM prism.consume('consume-test', 'back', 2);
ROLLBACK;
SELECT "position", attempt FROM prism.consume('consume-test', 'back', 1);

-- A savepoint: what it took goes back, its acknowledgements are forgotten, the rest stays.
BEGIN;
SELECT "position", attempt FROM prism.consume('consume-test', 'back', 1);
SAVEPOINT s;
SELECT "position", attempt FROM prism.consume('consume-test', 'back', 2);
SELECT prism.ack('consume-test', 'back', '{1,2}');
ROLLBACK TO s;
SELECT "position", attempt FROM prism.consume('consume-test', 'back', 1);
SAVEPOINT t;
SELECT prism.ack('consume-test', 'back', '{1}');
RELEASE t;
COMMIT;
SELECT * FROM group_state WHERE consumer_group = 'back';
-- An exception block is a savepoint.
DO $$
BEGIN
    PERFORM prism.consume('consume-test', 'back', 2);
    RAISE EXCEPTION 'no';
EXCEPTION WHEN raise_exception THEN
END $$;
SELECT * FROM group_state WHERE consumer_group = 'back';

-- A lease that ended: handed out again, with the next attempt; then the first lease is worth nothing.
SELECT prism.create_group('consume-test', 'lease');
SELECT lease_id AS first_lease FROM prism.consume('consume-test', 'lease', 1, lease => '1 microsecond') \gset
SELECT "position", attempt, lease_id AS second_lease FROM prism.consume('consume-test', 'lease', 1) \gset
\echo :position :attempt
SELECT prism.ack('consume-test', 'lease', '{0}', ARRAY[:first_lease]);
SELECT prism.ack('consume-test', 'lease', '{0,0}', ARRAY[:second_lease, :second_lease]);
-- Finished by another, it is no less lost: an answer of 0 would let the work count twice.
SELECT prism.ack('consume-test', 'lease', '{0}', ARRAY[:second_lease]);
SELECT prism.ack('consume-test', 'lease', '{0}', ARRAY[:first_lease]);
-- While nobody else got the message, a late acknowledgement is welcome.
SELECT "position", attempt FROM prism.consume('consume-test', 'lease', 1, lease => '1 microsecond');
SELECT prism.ack('consume-test', 'lease', '{1}');
-- Acknowledged at once, a lease cannot end any more.
BEGIN;
SELECT prism.ack(m) FROM prism.consume('consume-test', 'lease', 1, lease => '1 microsecond') AS m;
COMMIT;
SELECT * FROM group_state WHERE consumer_group = 'lease';

-- Refused: never handed out, beyond the end, somebody else's, of prism.read().
SELECT prism.ack('consume-test', 'lease', '{3,4}');
SELECT prism.ack('consume-test', 'lease', '{100}');
SELECT prism.ack('consume-test', 'back', '{2}', '{12345}');
SELECT prism.ack('consume-test', 'back', '{2}', '{0}');
SELECT prism.ack(m) FROM prism.read('consume-test') AS m;
SELECT prism.ack(NULL::prism.message);

-- In a SELECT list what LIMIT leaves is not taken; in FROM max_messages decides.
SELECT prism.create_group('consume-test', 'limit');
SELECT (prism.consume('consume-test', 'limit')).position LIMIT 2;
SELECT * FROM group_state WHERE consumer_group = 'limit';
BEGIN;
DECLARE c CURSOR FOR SELECT (m).position, (m).attempt FROM (SELECT prism.consume('consume-test', 'limit') AS m OFFSET 0) AS s;
FETCH 1 FROM c;
CLOSE c;
SELECT * FROM group_state WHERE consumer_group = 'limit';
COMMIT;

-- What a cursor has not returned was not handed out: a rollback is no attempt of it.
SELECT prism.create_group('consume-test', 'cursor');
BEGIN;
DECLARE c CURSOR FOR SELECT (m).position, (m).attempt FROM (SELECT prism.consume('consume-test', 'cursor', 3) AS m OFFSET 0) AS s;
FETCH 1 FROM c;
ROLLBACK;
SELECT "position", attempt FROM prism.consume('consume-test', 'cursor', 3);
SELECT prism.drop_group('consume-test', 'cursor');

-- At every isolation level.
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT prism.ack(m) FROM prism.consume('consume-test', 'limit', 1) AS m;
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT prism.ack(m) FROM prism.consume('consume-test', 'limit', 1) AS m;
COMMIT;
-- In a procedure that commits.
DO $$
DECLARE
    message prism.message;
BEGIN
    FOR i IN 1 .. 2 LOOP
        FOR message IN SELECT * FROM prism.consume('consume-test', 'procedure', 1) LOOP
            PERFORM prism.ack(message);
        END LOOP;
        COMMIT;
    END LOOP;
END $$;
SELECT * FROM group_state WHERE consumer_group = 'procedure';

-- create_group: where it begins.
SELECT prism.create_group('consume-test', 'new', 'latest');
SELECT prism.create_group('consume-test', 'third', start => '3');
SELECT prism.publish('consume-test', 'later', NULL) IS NOT NULL AS published;
SELECT "position" FROM prism.consume('consume-test', 'new');
SELECT "position" FROM prism.consume('consume-test', 'third');
SELECT prism.create_group('consume-test', 'third');
SELECT prism.create_group('consume-test', 'wrong', 'sometime');
SELECT prism.create_group('consume-test', 'wrong', '-1');
SELECT prism.create_group('consume-test', 'wrong', '1000000');
-- drop_group: who holds messages cannot acknowledge them any more; a new group of the name begins anew.
BEGIN;
SELECT prism.drop_group('consume-test', 'third');
ROLLBACK;
SELECT prism.ack('consume-test', 'third', '{3}');
SELECT prism.drop_group('consume-test', 'third');
SELECT prism.ack('consume-test', 'third', '{4}');
SELECT min("position") FROM prism.consume('consume-test', 'third');
SELECT prism.drop_group('consume-test', 'nobody');

-- prism.wait() returns at once when there is something, or at its time; consume() waits as well.
CALL prism.wait('consume-test', 'limit', '1 day');
CALL prism.wait('consume-test', 'not made yet', '1 day');
CALL prism.wait('consume-test', 'new', '10 ms');
SELECT count(*) FROM prism.consume('consume-test', 'new', wait => '10 ms');
-- The longest interval there is: it waits.
SET statement_timeout = '200 ms';
SELECT count(*) FROM prism.consume('consume-test', 'new', wait => '2562047788:00:54.775807');
RESET statement_timeout;
SELECT count(*) FROM prism.groups WHERE consumer_group = 'not made yet';

-- prism.read(): what is kept, in order, without a trace; what this transaction publishes is not there yet.
BEGIN;
SELECT prism.publish('consume-test', 'mine') IS NOT NULL AS published;
SELECT "position", key, convert_from(payload, 'UTF8') AS payload, attempt, consumer_group, lease_id FROM prism.read('consume-test');
ROLLBACK;
SELECT "position" FROM prism.read('consume-test', 3, 2);
SELECT "position" FROM prism.read('consume-test', 1000000);
-- A payload that is stored out of line comes back whole, through both.
SELECT prism.publish('consume-test', string_agg(md5(i::text), '')) IS NOT NULL AS published FROM generate_series(1, 5000) AS i;
SELECT md5(payload) = (SELECT md5(string_agg(md5(i::text), '')) FROM generate_series(1, 5000) AS i) AS same FROM prism.read('consume-test', 6);
SELECT md5(payload) = (SELECT md5(string_agg(md5(i::text), '')) FROM generate_series(1, 5000) AS i) AS same FROM prism.consume('consume-test', 'new') AS m
  WHERE prism.ack(m) = 1 AND length(payload) > 10;

-- Wrong arguments.
SELECT call, sqlstate_of(call) FROM (VALUES
    ($$SELECT prism.consume(NULL, 'g')$$), ($$SELECT prism.consume('consume-test', NULL)$$),
    ($$SELECT prism.consume('consume-test', 'g', NULL)$$), ($$SELECT prism.consume('consume-test', 'g', lease => NULL)$$),
    ($$SELECT prism.consume('consume-test', 'g', wait => NULL)$$), ($$SELECT prism.consume('nowhere', 'g')$$),
    ($$SELECT prism.consume('consume-test', '')$$), ($$SELECT prism.consume('consume-test', repeat('g', 250))$$),
    ($$SELECT prism.consume('consume-test', 'g', 0)$$), ($$SELECT prism.consume('consume-test', 'g', -1)$$),
    ($$SELECT prism.consume('consume-test', 'g', lease => '0')$$), ($$SELECT prism.consume('consume-test', 'g', lease => '-1 s')$$),
    ($$SELECT prism.consume('consume-test', 'g', lease => '12 h 1 s')$$), ($$SELECT prism.consume('consume-test', 'g', lease => '100000 years')$$),
    ($$SELECT prism.consume('consume-test', 'g', wait => '-1 s')$$), ($$SELECT prism.consume('consume-test', 'g', namespace => 'other')$$),
    ($$SELECT prism.ack('consume-test', 'nobody', '{1}')$$), ($$SELECT prism.ack('nowhere', 'work', '{1}')$$),
    ($$SELECT prism.ack(NULL, 'work', '{1}')$$), ($$SELECT prism.ack('consume-test', 'work', NULL)$$),
    ($$SELECT prism.ack('consume-test', 'work', '{1,NULL}')$$), ($$SELECT prism.ack('consume-test', 'work', '{{1,2}}')$$),
    ($$SELECT prism.ack('consume-test', 'work', '{1}', '{1,2}')$$), ($$SELECT prism.ack('consume-test', 'work', '{-1}')$$),
    ($$SELECT prism.read(NULL)$$), ($$SELECT prism.read('nowhere')$$), ($$SELECT prism.read('consume-test', -1)$$),
    ($$SELECT prism.read('consume-test', 0, 0)$$), ($$SELECT prism.read('consume-test', 0, NULL)$$),
    ($$CALL prism.wait('consume-test', 'work', NULL)$$), ($$CALL prism.wait('consume-test', 'work', '-1 s')$$),
    ($$CALL prism.wait('consume-test', 'work', '25 h')$$), ($$CALL prism.wait('nowhere', 'work', '1 s')$$),
    ($$SELECT prism.create_group('consume-test', NULL)$$), ($$SELECT prism.create_group('consume-test', '')$$)) AS v(call);
SELECT * FROM prism.consume('consume-test', 'g', 0);
SELECT * FROM prism.consume('consume-test', 'g', lease => '13 hours');
BEGIN READ ONLY;
SELECT * FROM prism.consume('consume-test', 'work');
ROLLBACK;
BEGIN READ ONLY;
SELECT prism.ack('consume-test', 'back', '{2}');
ROLLBACK;
-- A prepared transaction's end would be seen by nobody.
BEGIN;
SELECT count(*) FROM prism.consume('consume-test', 'back');
PREPARE TRANSACTION 'consume-test';

-- Rights: without any nothing is told, with consume the verbs work.
CREATE ROLE consume_test_role;
SET ROLE consume_test_role;
SELECT prism.consume('consume-test', 'work');
RESET ROLE;
SELECT prism.grant('consume-test', 'publish', 'consume_test_role');
SET ROLE consume_test_role;
SELECT count(*) FROM prism.groups;
RESET ROLE;
SELECT prism.grant('consume-test', 'consume', 'consume_test_role');
SET ROLE consume_test_role;
SELECT count(*) FROM prism.consume('consume-test', 'theirs');
SELECT prism.ack('consume-test', 'theirs', '{0}');
CALL prism.wait('consume-test', 'theirs', '0');
SELECT count(*) > 0 AS visible FROM prism.groups;
SELECT count(*) FROM prism.read('consume-test');
SELECT count(*) FROM prism.consumer_group;
RESET ROLE;

-- With the topic its groups are gone.
SELECT prism.drop_namespace('consume-test', true) IS NOT NULL AS dropped;
SELECT count(*) FROM prism.groups WHERE topic = 'consume-test';
DROP ROLE consume_test_role;
DROP VIEW group_state;
DROP FUNCTION sqlstate_of(text);
