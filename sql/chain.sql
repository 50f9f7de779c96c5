-- The chain of a topic: what apply() decided, which publish() runs.
CREATE FUNCTION topic_chain(topic text) RETURNS text LANGUAGE sql AS
    'SELECT chain::text FROM prism.topics t WHERE t.topic = $1';
CREATE FUNCTION inserted(namespace text) RETURNS float8 LANGUAGE sql AS
    'SELECT value FROM prism.metrics WHERE name = ''prism_pattern_outbox_inserted_total'' AND labels ->> ''namespace'' = $1';
SELECT action FROM prism.apply('{name: chain-test, client_api: queue}');
SELECT topic_chain('chain-test');
-- As apply() has decided: the order in which a chain runs is the same for all.
SELECT action FROM prism.apply('{name: chain-test, patterns: [outbox, wal]}');
SELECT topic_chain('chain-test');

-- An outbox counts what is committed through it; without one nothing is counted.
SELECT count(prism.publish('chain-test', 'message')) FROM generate_series(1, 3);
BEGIN;
SELECT count(prism.publish('chain-test', 'message'));
SAVEPOINT taken_back;
SELECT count(prism.publish('chain-test', 'message')) FROM generate_series(1, 5);
ROLLBACK TO taken_back;
SAVEPOINT kept;
SELECT count(prism.publish('chain-test', 'message')) FROM generate_series(1, 2);
RELEASE kept;
COMMIT;
BEGIN;
SELECT count(prism.publish('chain-test', 'message'));
ROLLBACK;
SELECT inserted('chain-test');
SELECT action FROM prism.apply('{name: chain-test, patterns: [wal]}');
SELECT count(prism.publish('chain-test', 'message'));
SELECT inserted('chain-test');
SELECT messages_total FROM prism.topics WHERE topic = 'chain-test';

-- A transaction keeps the chain with which it first published to the topic.
BEGIN;
SELECT count(prism.publish('chain-test', 'without'));
SELECT action FROM prism.apply('{name: chain-test, patterns: [outbox]}');
SELECT count(prism.publish('chain-test', 'still without'));
COMMIT;
SELECT inserted('chain-test');
SELECT count(prism.publish('chain-test', 'with'));
SELECT inserted('chain-test');
-- Published is what is not rolled back: a savepoint takes along what it has kept, and what it has applied.
BEGIN;
SAVEPOINT s;
SELECT action FROM prism.apply('{name: chain-test, patterns: [wal]}');
SELECT count(prism.publish('chain-test', 'without'));
ROLLBACK TO s;
SELECT count(prism.publish('chain-test', 'with'));
COMMIT;
SELECT inserted('chain-test');
-- And one that is released hands it over.
BEGIN;
SAVEPOINT s;
SELECT count(prism.publish('chain-test', 'with'));
RELEASE s;
SELECT action FROM prism.apply('{name: chain-test, patterns: [wal]}');
SELECT count(prism.publish('chain-test', 'still with'));
ROLLBACK;
SELECT inserted('chain-test');
BEGIN;
SAVEPOINT s;
SELECT count(prism.publish('chain-test', 'with'));
RELEASE s;
SELECT action FROM prism.apply('{name: chain-test, patterns: [wal]}');
SELECT count(prism.publish('chain-test', 'still with'));
SELECT action FROM prism.apply('{name: chain-test, patterns: [outbox]}');
COMMIT;
SELECT inserted('chain-test');
-- Another topic's is its own; the name makes no topic.
BEGIN;
SELECT count(prism.publish('chain-test', 'with'));
SELECT action FROM prism.apply('{name: chain-test, backend: {type: postgres, topic: chain-other}, patterns: [wal]}');
SELECT count(prism.publish('chain-other', 'still with'));
SELECT action FROM prism.apply('{name: chain-new, backend: {type: postgres, topic: chain-test}, patterns: [wal]}');
SELECT count(prism.publish('chain-test', 'without'));
SELECT action FROM prism.apply('{name: chain-test, backend: {type: postgres, topic: chain-other}, patterns: [outbox]}');
COMMIT;
SELECT inserted('chain-test'), (SELECT messages_total FROM prism.topics WHERE topic = 'chain-test');

-- What stands in an edited catalogue is an error of who publishes; reading goes on, and apply() puts it right.
CREATE FUNCTION edit(chain jsonb) RETURNS void LANGUAGE sql AS
    'UPDATE prism.topic t SET chain = $1 WHERE t.name = ''chain-other''';
CREATE FUNCTION published() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    about text;
BEGIN
    PERFORM prism.publish('chain-other', 'x');
    RETURN 'yes';
EXCEPTION WHEN data_corrupted THEN
    GET STACKED DIAGNOSTICS about = PG_EXCEPTION_DETAIL;
    RETURN about;
END $$;
SELECT edit('{"type": "outbox"}');
\c -
SELECT prism.publish('chain-other', 'x');
SELECT prism.publish('chain-other', 'x', deliver_at => now() + interval '1 day');
SELECT count(*) > 0 AS readable FROM prism.read('chain-other');
SELECT count(*) > 0 AS readable FROM prism.consume('chain-other', 'g');
SELECT action, detail FROM prism.plan('{name: chain-test, backend: {type: postgres, topic: chain-other}, patterns: [outbox]}') WHERE action <> 'pattern';
SELECT action, detail FROM prism.apply('{name: chain-test, backend: {type: postgres, topic: chain-other}, patterns: [outbox]}');
SELECT published();
SELECT edit('null');
\c -
SELECT published();
SELECT edit('[null]');
\c -
SELECT published();
SELECT edit('[["outbox"]]');
\c -
SELECT published();
SELECT edit('[{"name": "outbox"}]');
\c -
SELECT published();
SELECT edit('[{"type": 1}]');
\c -
SELECT published();
-- The log cannot be named, nor what is not built, nor anything twice.
SELECT edit('[{"type": "log"}]');
\c -
SELECT published();
SELECT edit('[{"type": "projection"}]');
\c -
SELECT published();
SELECT edit('[{"type": "outbox"}, {"type": "wal"}, {"type": "outbox"}]');
\c -
SELECT published();
SELECT edit('[{"type": "wal", "flush": "yes"}]');
\c -
SELECT published();
SELECT edit('[{"type": "wal", "flush": true, "flsh": true}]');
\c -
SELECT published();
SELECT edit('[{"type": "outbox", "flush": true}]');
\c -
SELECT published();
SELECT edit((SELECT jsonb_agg(i) FROM generate_series(1, 1000) i));
\c -
SELECT published();
SELECT edit('[]');
\c -
SELECT published();
-- So with the topic of its dead letters, which has a chain and a policy of its own.
SELECT action FROM prism.apply('{name: chain-test, backend: {type: postgres, topic: chain-other}, patterns: [outbox]}');
SELECT count(prism.reject('chain-other', 'letters', ARRAY[m."position"], reason => 'test')) FROM prism.consume('chain-other', 'letters', 1) m;
UPDATE prism.topic SET chain = '[{"type": "projection"}]', policy = '{"retention_ms": 86400000}' WHERE name = 'chain-other.dlq';
\c -
SELECT prism.publish('chain-other.dlq', 'x');
SELECT action, detail FROM prism.plan('{name: chain-test, backend: {type: postgres, topic: chain-other}, patterns: [outbox]}') WHERE action <> 'pattern';
SELECT action, detail FROM prism.apply('{name: chain-test, backend: {type: postgres, topic: chain-other}, patterns: [outbox]}');
SELECT chain, policy FROM prism.topics WHERE topic = 'chain-other.dlq';
UPDATE prism.topic SET chain = '[{"type": "projection"}]' WHERE name = 'chain-other.dlq';
SELECT action, detail FROM prism.apply('{name: chain-test, backend: {type: postgres, topic: chain-other}, patterns: [outbox]}');
SELECT count(prism.publish('chain-other.dlq', 'x'));
SELECT action, detail FROM prism.apply('{name: chain-test, backend: {type: postgres, topic: chain-other}, patterns: [outbox]}');
SELECT prism.drop_namespace('chain-test', force => true);
SELECT prism.drop_namespace('chain-new', force => true);
DROP FUNCTION topic_chain, inserted, edit, published;
