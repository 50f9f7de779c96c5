-- Kafka as a back end: the namespace names a foreign server. (All rolled back: there is no Kafka here.)
SET client_min_messages = warning;
CREATE ROLE regress_server_admin;
CREATE ROLE regress_server_watcher;
SELECT action FROM prism.apply('name: server_mine');
SELECT prism.grant('server_mine', 'admin', 'regress_server_admin');

BEGIN;
CREATE SERVER kafka FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers 'kafka-1:9092');
CREATE SERVER "Kafka 2" FOREIGN DATA WRAPPER prism_kafka OPTIONS (bootstrap_servers 'kafka-2:9092');
CREATE FOREIGN DATA WRAPPER regress_other;
CREATE SERVER regress_other FOREIGN DATA WRAPPER regress_other;

-- The RFC's example of the outbox as it stands; then with Kafka, and the other ways to name that.
SELECT namespace, action, detail FROM prism.apply($$
namespaces:
  - name: order-processing
    pattern: queue

    needs:
      consistency: strong          # → Prism adds Outbox pattern
      delivery_guarantee: exactly_once
$$);
SELECT namespace, action, detail FROM prism.apply($$
namespaces:
  - name: order-processing
    pattern: queue

    needs:
      consistency: strong          # → Prism adds Outbox pattern
      delivery_guarantee: exactly_once
    backend: kafka
$$);
SELECT namespace, action, detail FROM prism.apply('{name: server_queue, backend: {queue: kafka, topic_prefix: video}}');
SELECT namespace, action, detail FROM prism.apply('{name: server_named, backend: {type: kafka, server: "Kafka 2", topic: videos, partitions: 10, replication: 3}}');
SELECT t.name, s.backend, s.server, s.config FROM prism.sink s JOIN prism.topic t USING (topic_id) WHERE s.backend = 'kafka' ORDER BY 1;
-- Another server is a change; the sink stays the same one.
CREATE TEMP TABLE former AS SELECT sink_id, topic_id FROM prism.sink WHERE backend = 'kafka';
SELECT namespace, action, detail FROM prism.apply('{name: server_named, backend: {type: kafka, topic: videos, partitions: 10, replication: 3}}');
SELECT count(*) AS same FROM former JOIN prism.sink USING (sink_id, topic_id);

SAVEPOINT s;
SELECT prism.apply('{name: server_wrong, backend: {type: kafka, server: regress_other}}');
ROLLBACK TO s;
SELECT prism.apply('{name: server_wrong, backend: {type: memory, server: kafka}}');
ROLLBACK TO s;
SELECT prism.apply('{name: server_wrong, backend: {type: kafka, server: missing}}');
ROLLBACK TO s;

-- An admin of a namespace sends where he may: USAGE on the server.
SET LOCAL ROLE regress_server_admin;
SELECT prism.apply('{name: server_mine, backend: kafka}');
ROLLBACK TO s;
GRANT USAGE ON FOREIGN SERVER kafka TO regress_server_admin;
SET LOCAL ROLE regress_server_admin;
SELECT namespace, action, detail FROM prism.apply('{name: server_mine, backend: kafka}');
RESET ROLE;

-- A server that namespaces use is missed. What is said of the other side is for administrators, not for who watches.
GRANT pg_monitor TO regress_server_watcher;
DROP SERVER kafka CASCADE;
SELECT state, hint FROM prism.doctor() WHERE item = 'namespace server_mine';
SET LOCAL ROLE regress_server_watcher;
SELECT state, hint FROM prism.doctor() WHERE item = 'namespace server_mine';
SELECT error FROM prism.sinks WHERE topic = 'server_mine';
RESET ROLE;
SELECT prism.plan('{name: server_mine, backend: kafka}');
ROLLBACK;

SELECT prism.drop_namespace('server_mine');
DROP ROLE regress_server_admin, regress_server_watcher;
