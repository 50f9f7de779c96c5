-- prism.outbox: the log as the RFC's outbox table.
SELECT action FROM prism.apply($$
namespaces:
  - name: outbox-test
    client_api: queue
    patterns:
      - type: outbox
        table: shop_outbox
$$);

-- Inside the transaction its own messages are there, without a position, in order; savepoints count.
BEGIN;
SELECT prism.publish('outbox-test', '{"order": 1}', 'k1') IS NOT NULL AS published;
SAVEPOINT later;
SELECT prism.publish('outbox-test', 'gone') IS NOT NULL AS published;
ROLLBACK TO later;
SELECT prism.publish('outbox-test', 'plain', headers => '{"h": "1"}') IS NOT NULL AS published;
SELECT topic, key, headers, payload, "position", published_at
  FROM prism.outbox WHERE topic = 'outbox-test';
ROLLBACK;
SELECT count(*) FROM prism.outbox WHERE topic = 'outbox-test';

-- A namespace without a sink: a message is published with its commit.
SELECT prism.publish('outbox-test', '{"order": 2}', 'k1') IS NOT NULL AS published;
SELECT key, "position", published_at IS NOT NULL AS published FROM prism.outbox WHERE topic = 'outbox-test';

-- The view that the namespace names has the same shape; INSERT and COPY publish.
INSERT INTO prism.shop_outbox (key, payload) VALUES ('k2', '{"order": 3}'), ('k2', 'text');
COPY prism.shop_outbox (key, headers, payload) FROM stdin;
k3	{"h": "2"}	copied
k3	\N	\N
\.
INSERT INTO prism.outbox (topic, payload) VALUES ('outbox-test', '\x00ff');
INSERT INTO prism.shop_outbox (id, payload) VALUES ('0190c8a2-0000-7000-8000-000000000001', 'own id');
SELECT key, headers, payload, "position" FROM prism.shop_outbox ORDER BY "position";
SELECT "position" FROM prism.shop_outbox WHERE id = '0190c8a2-0000-7000-8000-000000000001';
SELECT a.attname FROM pg_attribute a WHERE a.attrelid = 'prism.outbox'::regclass AND a.attnum > 0
EXCEPT
SELECT a.attname FROM pg_attribute a WHERE a.attrelid = 'prism.shop_outbox'::regclass AND a.attnum > 0;

-- What cannot be inserted.
INSERT INTO prism.shop_outbox (payload, "position") VALUES ('x', 7);
INSERT INTO prism.shop_outbox (payload, published_at) VALUES ('x', now());
INSERT INTO prism.shop_outbox (topic, payload) VALUES ('elsewhere', 'x');
INSERT INTO prism.outbox (payload) VALUES ('x');
INSERT INTO prism.outbox (topic, payload) VALUES ('outbox-nowhere', 'x');
INSERT INTO prism.shop_outbox (headers, payload) VALUES ('[]', 'x');
INSERT INTO prism.shop_outbox (payload) VALUES (NULL);
UPDATE prism.outbox SET key = 'x';
DELETE FROM prism.outbox;
SELECT prism.outbox_insert();

-- Where the server would not call the trigger (a subscription's apply worker, a load), nothing is lost without a word:
-- an insert is refused, also through views of one's own and from triggers, and prism.publish() works.
CREATE VIEW outbox_simple AS SELECT topic, key, payload FROM prism.outbox;
CREATE VIEW outbox_own AS SELECT topic, payload FROM prism.outbox;
CREATE TRIGGER publish INSTEAD OF INSERT ON outbox_own FOR EACH ROW EXECUTE FUNCTION prism.outbox_insert();
CREATE VIEW outbox_other AS SELECT 1 AS a;
CREATE FUNCTION outbox_other() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER publish INSTEAD OF INSERT ON outbox_other FOR EACH ROW EXECUTE FUNCTION outbox_other();
CREATE TABLE outbox_order (id int);
CREATE FUNCTION outbox_by_view() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO prism.outbox (topic, payload) VALUES (''outbox-test'', new.id::text); RETURN new; END';
CREATE FUNCTION outbox_by_call() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM prism.publish(''outbox-test'', new.id::text::jsonb); RETURN new; END';
CREATE TRIGGER publish AFTER INSERT ON outbox_order FOR EACH ROW EXECUTE FUNCTION outbox_by_view();
ALTER TABLE outbox_order ENABLE ALWAYS TRIGGER publish;
PREPARE outbox_insert AS INSERT INTO prism.outbox (topic, payload) VALUES ('outbox-test', 'prepared');
BEGIN; EXECUTE outbox_insert; ROLLBACK;
SET session_replication_role = replica;
INSERT INTO prism.outbox (topic, payload) VALUES ('outbox-test', 'lost') RETURNING topic;
INSERT INTO prism.shop_outbox (payload) SELECT 'lost';
WITH gone AS (INSERT INTO prism.shop_outbox (payload) VALUES ('lost') RETURNING 1) SELECT * FROM gone;
COPY prism.outbox (topic, payload) FROM '/dev/null';
COPY prism.shop_outbox (payload) FROM '/dev/null';
EXECUTE outbox_insert;
INSERT INTO outbox_simple VALUES ('outbox-test', 'k', 'lost');
INSERT INTO outbox_own VALUES ('outbox-test', 'lost');
INSERT INTO outbox_order VALUES (1);
INSERT INTO outbox_other VALUES (1);
SELECT count(*) > 0 AS readable FROM prism.shop_outbox;
CREATE OR REPLACE TRIGGER publish AFTER INSERT ON outbox_order FOR EACH ROW EXECUTE FUNCTION outbox_by_call();
ALTER TABLE outbox_order ENABLE ALWAYS TRIGGER publish;
INSERT INTO outbox_order VALUES (2);
RESET session_replication_role;
EXECUTE outbox_insert;
SELECT payload FROM prism.shop_outbox ORDER BY "position" DESC LIMIT 2;
DEALLOCATE outbox_insert;
DROP TABLE outbox_order;
DROP VIEW outbox_simple, outbox_own, outbox_other;
DROP FUNCTION outbox_other, outbox_by_view, outbox_by_call;

-- A message out of many that spilled to a file is seen as well.
BEGIN;
SET LOCAL prism.publish_buffer = '64kB';
SELECT count(prism.publish('outbox-test', repeat('x', 100), i::text)) FROM generate_series(1, 3000) i;
SELECT count(*), min(key::int), max(key::int) FROM prism.outbox WHERE "position" IS NULL;
ROLLBACK;

-- Who may only publish sees nothing; who may read sees.
CREATE ROLE prism_outbox_writer;
CREATE ROLE prism_outbox_reader;
SELECT prism.grant('outbox-test', 'publish', 'prism_outbox_writer');
SELECT prism.grant('outbox-test', 'read', 'prism_outbox_reader');
SET ROLE prism_outbox_writer;
SELECT prism.publish('outbox-test', 'mine') IS NOT NULL AS published;
SELECT count(*) FROM prism.outbox;
INSERT INTO prism.outbox (topic, payload) VALUES ('outbox-test', 'mine too');
RESET ROLE;
SET ROLE prism_outbox_reader;
SELECT count(*) > 0 AS sees FROM prism.outbox;
SELECT prism.publish('outbox-test', 'mine');
INSERT INTO prism.outbox (topic, payload) VALUES ('outbox-test', 'mine');
RESET ROLE;
DROP OWNED BY prism_outbox_writer, prism_outbox_reader;
DROP ROLE prism_outbox_writer, prism_outbox_reader;
SELECT prism.drop_namespace('outbox-test');
SELECT to_regclass('prism.shop_outbox');
