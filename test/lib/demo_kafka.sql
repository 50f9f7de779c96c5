-- The second half of "./dev demo --kafka"; :broker is its address.
\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
\pset null '(null)'
\pset pager off

\echo
\echo 'STEP 9  The endpoint is a foreign server, so that no address and no secret stands in a namespace.'
\echo
\set ECHO queries
CREATE SERVER kafka FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers :'broker');

SELECT namespace, action, detail FROM prism.apply($$
name: shipments
client_api: pubsub
patterns:
  - type: outbox
needs:
  delivery_guarantee: exactly_once
backend:
  type: kafka
  topic: shipments
  partitions: 3
$$);
\set ECHO none

\echo
\echo 'STEP 10  Two transactions commit, one between them is rolled back.'
\echo
\set ECHO queries
BEGIN;
SELECT prism.publish('shipments', '{"order": 1, "state": "packed"}'::json, key => 'customer-7', headers => '{"type": "packed"}') AS message_id;
SELECT prism.publish('shipments', '{"order": 1, "state": "sent"}'::json, key => 'customer-7', headers => '{"type": "sent"}') AS message_id;
COMMIT;

BEGIN;
SELECT prism.publish('shipments', '{"order": 2, "state": "lost"}'::json, key => 'customer-8') IS NOT NULL AS published;
ROLLBACK;

SELECT prism.publish('shipments', '{"order": 3, "state": "packed"}'::json, key => 'customer-9', headers => '{"type": "packed"}') AS message_id;
\set ECHO none
