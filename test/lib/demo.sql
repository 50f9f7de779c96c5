-- What "./dev demo" shows: psql runs this file on a new database and prints every statement before its result.
\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
\pset null '(null)'
\pset pager off

\echo
\echo 'STEP 1  A namespace says what is wanted, in YAML. Applying it makes the topic "orders".'
\echo '        Nothing but PostgreSQL is needed: the log lies in this database.'
\echo
CREATE EXTENSION prism;
\set ECHO queries
SELECT namespace, action, detail FROM prism.apply($$
name: orders
client_api: pubsub
patterns:
  - type: outbox
backend: postgres
$$);

CREATE TABLE orders (id integer PRIMARY KEY, total numeric);
\set ECHO none

\echo
\echo 'STEP 2  Data and message change in one transaction. Until COMMIT only this session sees the message.'
\echo
\set ECHO queries
BEGIN;
INSERT INTO orders VALUES (1, 9.50);
SELECT prism.publish('orders', '{"order": 1, "total": 9.50}'::json, key => 'customer-7', headers => '{"type": "placed"}') AS message_id;
SELECT prism.publish('orders', '{"order": 1, "paid": true}'::json, key => 'customer-7', headers => '{"type": "paid"}') AS message_id;
SELECT key, payload, published_at FROM prism.outbox WHERE topic = 'orders';
COMMIT;
SELECT * FROM prism.last_position();
\set ECHO none

\echo
\echo 'STEP 3  The next order is rolled back, and its message with it.'
\echo
\set ECHO queries
BEGIN;
INSERT INTO orders VALUES (2, 1000000);
SELECT prism.publish('orders', '{"order": 2}'::json, key => 'customer-8') IS NOT NULL AS published;
ROLLBACK;
\set ECHO none

\echo
\echo 'STEP 4  A consumer group takes what is new, works, and acknowledges. Done in one transaction,'
\echo '        its work and its position commit together: each message is processed exactly once.'
\echo
\set ECHO queries
BEGIN;
SELECT m.position, m.key, m.headers ->> 'type' AS type, convert_from(m.payload, 'UTF8') AS payload, prism.ack(m) AS acknowledged
FROM prism.consume('orders', 'billing') AS m;
COMMIT;
SELECT count(*) AS left_for_billing FROM prism.consume('orders', 'billing');
\set ECHO none

\echo
\echo 'STEP 5  Everything can be read again, as often as one likes, and watched.'
\echo
\set ECHO queries
SELECT position, key, convert_from(payload, 'UTF8') AS payload FROM prism.read('orders');
SELECT topic, consumer_group, position, lag_messages FROM prism.groups;
SELECT namespace, state, pending, hint FROM prism.status;
\set ECHO none
