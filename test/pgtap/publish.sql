-- What prism.publish() promises; run it on any server that has prism and pgtap.
BEGIN;
SELECT plan(26);

SELECT lives_ok($$ SELECT prism.apply('namespaces: [{name: pgtap-publish, client_api: queue}, {name: pgtap-small, client_api: queue, needs: {max_message_size: 1kB}}]') $$,
    'a namespace is made in a transaction');

-- In the transaction
SELECT matches(prism.publish('pgtap-publish', '{"n": 1}'::jsonb, 'k', '{"h": "1"}')::text, '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
    'publish() returns a UUID of version 7');
SELECT is(string_agg(concat_ws(' ', key, payload, headers, coalesce(published_at::text, 'pending')), ';'),
    'k {"n": 1} {"h": "1", "content-type": "application/json"} pending', 'the transaction sees its own message in prism.outbox')
  FROM prism.outbox WHERE topic = 'pgtap-publish';
SELECT is_empty($$ SELECT * FROM prism.read('pgtap-publish') $$, 'prism.read() returns only what is committed');
SELECT is(prism.publish_batch('pgtap-publish', ARRAY['{"n": 2}', '{"n": 3}']::jsonb[], ARRAY['k', 'l']), 2::bigint, 'publish_batch() tells how many');
SELECT lives_ok($$ SELECT prism.publish('pgtap-publish', NULL::bytea, 'k') $$, 'a key without payload is a tombstone');
SELECT is(ARRAY(SELECT payload FROM prism.outbox WHERE topic = 'pgtap-publish'),
    ARRAY['{"n": 1}', '{"n": 2}', '{"n": 3}', NULL], 'in the order of the calls');

-- Savepoints
SAVEPOINT s;
SELECT isnt(prism.publish('pgtap-publish', 'gone'), NULL, 'published after a savepoint');
SELECT is(count(*), 5::bigint, 'it is seen') FROM prism.outbox WHERE topic = 'pgtap-publish';
ROLLBACK TO s;
SELECT is(count(*), 4::bigint, 'a rolled back savepoint takes its messages along') FROM prism.outbox WHERE topic = 'pgtap-publish';

-- Content types
SELECT isnt(prism.publish('pgtap-small', '{}'::json), NULL, 'a json payload');
SELECT isnt(prism.publish('pgtap-small', 'text'::text), NULL, 'a text payload');
SELECT isnt(prism.publish('pgtap-small', '[]'), NULL, 'an untyped payload');
SELECT is(ARRAY(SELECT headers ->> 'content-type' FROM prism.outbox WHERE topic = 'pgtap-small'),
    ARRAY['application/json', NULL, 'application/json'], 'JSON, and text that is JSON, gets its content type');

-- Refusals
SELECT throws_ok($$ SELECT prism.publish('pgtap-nowhere', 'x') $$, '42704', 'topic "pgtap-nowhere" does not exist', 'an unknown topic');
SELECT throws_ok($$ SELECT prism.publish(NULL, 'x') $$, '22004', 'topic must not be null', 'no topic');
SELECT throws_ok($$ SELECT prism.publish('pgtap-publish', NULL::jsonb) $$, '22004', 'a message without payload needs a key', 'neither payload nor key');
SELECT throws_ok($$ SELECT prism.publish('pgtap-publish', 'x', headers => '[]') $$, '22023', 'headers must be a flat JSON object of strings', 'headers that are no object');
SELECT throws_ok($$ SELECT prism.publish('pgtap-publish', 'x', headers => '{"a": {}}') $$, '22023', 'headers must be a flat JSON object of strings', 'headers that are not flat');
SELECT throws_ok($$ SELECT prism.publish('pgtap-publish', 'x', repeat('k', 65537)) $$, '22023', 'key is too long', 'a key over the limit');
SELECT throws_ok($$ SELECT prism.publish('pgtap-small', repeat('x', 1001)) $$, '54000', 'payload is too large for topic "pgtap-small"', 'a payload over the limit');
SELECT throws_ok($$ SELECT prism.publish('pgtap-publish', 'x', namespace => 'pgtap-small') $$, '42704', NULL, 'a topic of another namespace');
SELECT throws_ok($$ SELECT prism.publish('pgtap-publish', 'x', deliver_at => 'infinity') $$, '22023', 'deliver_at must be a finite time', 'a time that never comes');
SELECT throws_ok($$ SELECT prism.publish_batch('pgtap-publish', '{1,2}'::jsonb[], '{k}') $$, '2202E', 'arrays of publish_batch differ in length', 'arrays of different length');

-- What was refused has left nothing
SELECT is(count(*), 4::bigint, 'a refused message leaves nothing behind') FROM prism.outbox WHERE topic = 'pgtap-publish';
SELECT is_empty($$ SELECT * FROM prism.last_position() WHERE topic LIKE 'pgtap-%' $$, 'before COMMIT there is no position');

SELECT * FROM finish();
ROLLBACK;
