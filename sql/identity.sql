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

SELECT prism.drop_namespace(name) FROM unnest(ARRAY['identity-pay', 'identity-pay2', 'identity-other']) AS name;
SELECT count(*) FROM prism.topic WHERE name LIKE 'identity-%';
DROP ROLE regress_identity_other;
