-- What a thing is called does not make it that thing: dead letters, roles and servers are known by what they are.
SET client_min_messages = warning;
CREATE ROLE regress_identity_other;
SELECT action FROM prism.apply('namespaces: [{name: identity-pay}, {name: identity-other}]');
SELECT prism.grant('identity-other', 'admin', 'regress_identity_other');
SELECT prism.grant('identity-other', 'read', 'regress_identity_other');

-- ---------- dead letters ----------
-- Nobody can be there first: names that end so come with their topic. A namespace may be called so, if its topic is not.
SELECT prism.apply('name: identity-pay.dlq');
SELECT action FROM prism.apply('{name: identity-pay.dlq, backend: {type: postgres, topic: identity-elsewhere}}');
SELECT prism.drop_namespace('identity-pay.dlq');
SET ROLE regress_identity_other;
SELECT prism.apply('{name: identity-other, backend: {type: postgres, topic: identity-pay.dlq}}');
SELECT prism.apply('{name: identity-other, backend: {type: postgres, topic: .dlq}}');
RESET ROLE;
-- If one is there all the same, it gets no letters, and those that are in it are not redriven.
UPDATE prism.topic SET name = 'identity-pay.dlq' WHERE name = 'identity-other';
SELECT prism.wake_workers();
SELECT prism.publish('identity-pay.dlq', 'not of identity-pay') IS NOT NULL AS published;
SELECT prism.redrive('identity-pay');
SELECT prism.publish('identity-pay', 'secret') IS NOT NULL AS published;
\set VERBOSITY sqlstate
SELECT prism.reject(m, 'r') FROM prism.consume('identity-pay', 'g') AS m;
\set VERBOSITY default
SELECT count(*) FROM prism.read('identity-pay.dlq');
UPDATE prism.topic SET name = 'identity-other' WHERE name = 'identity-pay.dlq';
-- With its name, letters have a topic, and so have their own; all follow the topic when it is called something else.
SELECT prism.reject(m, 'r') FROM prism.consume('identity-pay', 'g') AS m;
SELECT prism.reject(m, 'r') FROM prism.consume('identity-pay.dlq', 'g') AS m;
SELECT t.name, o.name AS dead_letter_of FROM prism.topic t LEFT JOIN prism.topic o ON o.topic_id = t.dead_letter_of WHERE t.name LIKE 'identity-%' ORDER BY t.topic_id;
SELECT action FROM prism.apply('{name: identity-pay, backend: {type: postgres, topic: identity-paid}}');
SELECT t.name, o.name AS dead_letter_of FROM prism.topic t LEFT JOIN prism.topic o ON o.topic_id = t.dead_letter_of WHERE t.name LIKE 'identity-%' ORDER BY t.topic_id;
SELECT prism.redrive('identity-paid');
-- Whose names those were may be another namespace's now.
SELECT action FROM prism.apply('{name: identity-pay2, backend: {type: postgres, topic: identity-pay}}');
SELECT prism.publish('identity-pay', 'x') IS NOT NULL AS published;
SELECT prism.reject(m, 'r') FROM prism.consume('identity-pay', 'g') AS m;
SELECT prism.reject(m, 'r') FROM prism.consume('identity-pay.dlq', 'g') AS m;
SELECT topic, namespace FROM prism.topics WHERE topic LIKE 'identity-%' ORDER BY 1;

-- ---------- roles ----------
-- A handler runs as a role, with what that role, who registered it and who owns its function agree to: now, not once.
CREATE ROLE regress_identity_app LOGIN;
CREATE ROLE regress_identity_boss;
GRANT regress_identity_app TO regress_identity_boss;
GRANT CREATE ON SCHEMA public TO regress_identity_app, regress_identity_boss;
SELECT prism.grant('identity-pay', 'consume', r) FROM unnest(ARRAY['regress_identity_app', 'regress_identity_boss']) AS r;
SET ROLE regress_identity_app;
CREATE FUNCTION identity_own(prism.message[]) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
SELECT prism.on('identity-paid', 'own', 'identity_own(prism.message[])');
SET ROLE regress_identity_boss;
CREATE FUNCTION identity_boss(prism.message[]) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
SELECT prism.on('identity-paid', 'boss', 'identity_own(prism.message[])', role => 'regress_identity_app');
RESET ROLE;
SELECT prism.on('identity-paid', 'boss-owns', 'identity_boss(prism.message[])', role => 'regress_identity_app');
CREATE VIEW identity_handlers AS SELECT consumer_group, role, state = 'failed' AS failed, CASE state WHEN 'failed' THEN error END AS error
    FROM prism.handlers WHERE topic = 'identity-paid' ORDER BY 1;
SELECT * FROM identity_handlers;
REVOKE regress_identity_app FROM regress_identity_boss;
SELECT * FROM identity_handlers;
GRANT regress_identity_app TO regress_identity_boss;
SELECT consumer_group FROM identity_handlers WHERE failed;
-- Another name is still the same role; whoever gets the former one is somebody else.
ALTER ROLE regress_identity_app RENAME TO regress_identity_renamed;
CREATE ROLE regress_identity_app LOGIN;
SELECT prism.grant('identity-pay', 'consume', 'regress_identity_app');
SELECT * FROM identity_handlers;
DROP OWNED BY regress_identity_app;
DROP ROLE regress_identity_app;
-- Nobody who is needed goes unnoticed: by name here, as a dependency from any database.
DROP ROLE regress_identity_renamed;
DROP ROLE regress_identity_boss;
SELECT pg_describe_object(d.classid, d.objid, 0) ~ '^view prism_log.handler_[0-9]+$' AS view, count(*)
    FROM pg_shdepend d WHERE d.refobjid = 'regress_identity_renamed'::regrole AND d.deptype = 'a'
        AND d.classid = 'pg_class'::regclass AND d.objid IN (SELECT oid FROM pg_class WHERE relname LIKE 'handler_%') GROUP BY 1;
-- DROP OWNED takes the consent back, and a role of the same name does not give it.
REASSIGN OWNED BY regress_identity_renamed TO regress_identity_boss;
DROP OWNED BY regress_identity_renamed;
DROP ROLE regress_identity_renamed;
CREATE ROLE regress_identity_renamed LOGIN;
SELECT prism.grant('identity-pay', 'consume', 'regress_identity_renamed');
GRANT regress_identity_renamed TO regress_identity_boss;
SELECT * FROM identity_handlers;
SELECT prism.off('identity-paid', 'boss');
SELECT prism.on('identity-paid', 'boss', 'identity_boss(prism.message[])', role => 'regress_identity_renamed');
SELECT * FROM identity_handlers WHERE NOT failed;
-- What is off needs nobody.
SELECT prism.off('identity-paid', g) FROM unnest(ARRAY['own', 'boss', 'boss-owns']) AS g;
SELECT count(*) FROM pg_class WHERE relname LIKE 'handler_%' AND relnamespace = 'prism_log'::regnamespace;
DROP VIEW identity_handlers;
DROP OWNED BY regress_identity_renamed, regress_identity_boss;
DROP ROLE regress_identity_renamed, regress_identity_boss;

SELECT prism.drop_namespace(name) FROM unnest(ARRAY['identity-pay', 'identity-pay2', 'identity-other']) AS name;
SELECT count(*) FROM prism.topic WHERE name LIKE 'identity-%';
DROP ROLE regress_identity_other;
