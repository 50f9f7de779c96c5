-- The table that a namespace names for its outbox is a view of the shape of prism.outbox: INSERT and COPY publish.
SET client_min_messages = warning;
SELECT namespace, action, detail FROM prism.apply('{name: view_orders, patterns: [{type: outbox, table: view_orders_outbox}], backend: {topic: view_events}}');
SELECT column_name, data_type FROM information_schema.columns
WHERE table_schema = 'prism' AND table_name = 'view_orders_outbox' ORDER BY ordinal_position;
SELECT count(*) AS columns_that_differ FROM (
    SELECT attnum, attname, atttypid FROM pg_attribute WHERE attrelid = 'prism.outbox'::regclass
    EXCEPT
    SELECT attnum, attname, atttypid FROM pg_attribute WHERE attrelid = 'prism.view_orders_outbox'::regclass) d;

BEGIN;
INSERT INTO prism.view_orders_outbox (key, payload, headers) VALUES ('k', 'by insert', '{"a": "b"}');
COPY prism.view_orders_outbox (key, payload) FROM stdin;
k	by copy
\.
-- Its own messages are seen before the commit; the others' topic is not.
SELECT topic, key, headers ->> 'a' AS a, payload, "position" IS NULL AS pending FROM prism.view_orders_outbox;
COMMIT;
SELECT key, payload, "position", published_at = created_at AS published FROM prism.view_orders_outbox ORDER BY "position";
BEGIN;
INSERT INTO prism.view_orders_outbox (payload) VALUES ('rolled back');
ROLLBACK;
SELECT count(*) FROM prism.view_orders_outbox;
-- Messages of another topic do not come this way.
INSERT INTO prism.view_orders_outbox (topic, payload) VALUES ('view_other', 'x');

-- Another name, no name, another topic.
SELECT action, detail FROM prism.apply('{name: view_orders, patterns: [{type: outbox, table: "View orders"}], backend: {topic: view_events}}');
SELECT to_regclass('prism.view_orders_outbox'), to_regclass('prism."View orders"');
SELECT action, detail FROM prism.apply('{name: view_orders, patterns: [{type: outbox, table: "View orders"}], backend: {topic: view_news}}');
INSERT INTO prism."View orders" (payload) VALUES ('renamed');
SELECT topic, payload FROM prism."View orders" ORDER BY "position";
SELECT action, detail FROM prism.apply('{name: view_orders, patterns: [outbox], backend: {topic: view_news}}');
SELECT to_regclass('prism."View orders"');

-- A name that is taken, whoever took it.
SELECT namespace, action, detail FROM prism.apply('{name: view_orders, patterns: [{type: outbox, table: outbox}], backend: {topic: view_news}}');
SELECT namespace, action, detail FROM prism.plan('{name: view_orders, patterns: [{type: outbox, table: topic}], backend: {topic: view_news}}');
SELECT namespace, action, detail FROM prism.apply('{name: view_new, patterns: [{type: outbox, table: namespace}]}');
CREATE TABLE prism.view_taken ();
SELECT namespace, action, detail FROM prism.apply('{name: view_orders, patterns: [{type: outbox, table: view_taken}], backend: {topic: view_news}}');
DROP TABLE prism.view_taken;
SELECT action FROM prism.apply('{name: view_orders, patterns: [{type: outbox, table: view_taken}], backend: {topic: view_news}}');
SELECT namespace, action, detail FROM prism.apply('{name: view_new, patterns: [{type: outbox, table: view_taken}]}');
SELECT action FROM prism.apply('{name: view_orders, patterns: [{type: outbox, table: view_taken}], backend: {topic: view_news}}');
-- The view was replaced by a table: neither apply() nor drop_namespace() touches what is not prism's.
BEGIN;
DROP VIEW prism.view_taken;
CREATE TABLE prism.view_taken ();
SAVEPOINT taken;
SELECT namespace, action, detail FROM prism.apply('{name: view_orders, patterns: [{type: outbox, table: view_taken}], backend: {topic: view_news}}');
ROLLBACK TO taken;
SELECT prism.drop_namespace('view_orders');
SELECT to_regclass('prism.view_taken');
ROLLBACK;
-- The view is lost, its name is not free: the one who takes it would have his view changed or dropped with the first namespace.
BEGIN;
DROP VIEW prism.view_taken;
SAVEPOINT lost;
SELECT namespace, action, detail FROM prism.plan('{name: view_new, patterns: [{type: outbox, table: view_taken}]}');
ROLLBACK TO lost;
SELECT namespace, action, detail FROM prism.apply('{name: view_new, patterns: [{type: outbox, table: view_taken}]}');
ROLLBACK TO lost;
SELECT action, detail FROM prism.apply('{name: view_orders, patterns: [{type: outbox, table: view_taken}], backend: {topic: view_news}}');
ROLLBACK TO lost;
SELECT action FROM prism.apply('namespaces: [{name: view_orders, backend: {topic: view_news}}, {name: view_new, patterns: [{type: outbox, table: view_taken}]}]');
ROLLBACK;
-- Two that name the same one, in rows that were edited: nobody touches it.
BEGIN;
SELECT action FROM prism.apply('{name: view_new, patterns: [{type: outbox, table: view_of_new}]}');
UPDATE prism.namespace SET config = replace(config::text, '"view_taken"', '"view_of_new"')::jsonb WHERE name = 'view_orders';
SAVEPOINT edited;
SELECT namespace, action, detail FROM prism.apply('{name: view_orders, patterns: [{type: outbox, table: view_of_new}], backend: {topic: view_news}}');
ROLLBACK TO edited;
SELECT namespace, action, detail FROM prism.apply('{name: view_orders, patterns: [{type: outbox, table: view_moved}], backend: {topic: view_news}}');
SELECT to_regclass('prism.view_of_new'), to_regclass('prism.view_moved');
SELECT prism.drop_namespace('view_orders');
SELECT to_regclass('prism.view_of_new');
ROLLBACK TO edited;
SELECT prism.drop_namespace('view_orders');
SELECT to_regclass('prism.view_of_new');
SELECT prism.drop_namespace('view_new');
SELECT to_regclass('prism.view_of_new');
ROLLBACK;

-- What namespaces made goes with the extension, and comes with a name that needs quoting.
BEGIN;
SELECT action FROM prism.apply(E'{name: view_quoted, patterns: [{type: outbox, table: "it''s; DROP \\"x\\""}]}');
INSERT INTO prism."it's; DROP ""x""" (payload) VALUES ('x');
SELECT count(*) FROM prism."it's; DROP ""x""";
ROLLBACK;
BEGIN;
DROP EXTENSION prism;
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'prism%';
ROLLBACK;

-- A view of a reader on it stays with it, and goes with it when the drop is forced: nobody keeps an administrator from either.
CREATE ROLE regress_prism_viewer;
GRANT CREATE ON SCHEMA public TO regress_prism_viewer;
SELECT prism.grant('view_orders', 'read', 'regress_prism_viewer');
SET ROLE regress_prism_viewer;
CREATE VIEW public.view_of_reader AS SELECT topic FROM prism.view_taken;
RESET ROLE;
SELECT action FROM prism.apply('{name: view_orders, patterns: [{type: outbox, table: view_moved}], backend: {topic: view_latest}}');
INSERT INTO prism.view_moved (payload) VALUES ('moved');
SET ROLE regress_prism_viewer;
SELECT DISTINCT topic FROM public.view_of_reader;
RESET ROLE;
SELECT prism.drop_namespace('view_orders');
SELECT prism.drop_namespace('view_orders', force => true);
SELECT to_regclass('prism.view_moved'), to_regclass('public.view_of_reader');
-- What is temporary goes with it in any case: only its session could drop it.
SELECT count(*) > 0 AS made FROM prism.apply('{name: view_orders, patterns: [{type: outbox, table: view_seen}]}');
SELECT prism.grant('view_orders', 'read', 'regress_prism_viewer');
SET ROLE regress_prism_viewer;
CREATE TEMP VIEW view_of_session AS SELECT topic FROM prism.view_seen;
CREATE TEMP TABLE table_of_session (seen prism.view_seen, all_seen prism.view_seen[], other text DEFAULT (NULL::prism.view_seen)::text);
CREATE TYPE pg_temp.type_of_session AS (seen prism.view_seen);
CREATE DOMAIN pg_temp.domain_of_session AS prism.view_seen;
CREATE FUNCTION pg_temp.function_of_session(prism.view_seen) RETURNS text LANGUAGE sql AS 'SELECT $1.topic';
CREATE CAST (prism.view_seen AS pg_temp.type_of_session) WITH INOUT;
CREATE TABLE public.table_of_reader (seen prism.view_seen);
RESET ROLE;
SELECT action FROM prism.apply('{name: view_orders, patterns: [outbox]}');
DROP TABLE public.table_of_reader;
SELECT action FROM prism.apply('{name: view_orders, patterns: [outbox]}');
SELECT to_regclass('prism.view_seen'), to_regclass('view_of_session');
SELECT prism.drop_namespace('view_orders');
REVOKE CREATE ON SCHEMA public FROM regress_prism_viewer;
DROP TABLE table_of_session;
DROP TYPE type_of_session;
DROP ROLE regress_prism_viewer;
