-- Names of topics and outbox views that change hands within one document: from one that gives them up to one behind it.
SET client_min_messages = warning;
CREATE FUNCTION hands_of(topics text, tables text) RETURNS TABLE (namespace text, topic text, outbox text) LANGUAGE sql AS $$
    SELECT n.name, t.name, (SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_class c
            WHERE c.relnamespace = 'prism'::regnamespace AND c.relname LIKE tables AND pg_get_viewdef(c.oid) LIKE '%' || quote_literal(t.name) || '%')
    FROM prism.namespace n JOIN prism.topic t USING (namespace_id) WHERE t.name LIKE topics ORDER BY 1, 2
$$;
SELECT count(DISTINCT namespace) FROM prism.apply($$
namespaces:
- {name: hands-a, backend: {topic: hands-one}, patterns: [{type: outbox, table: hands_one}]}
- {name: hands-b, backend: {topic: hands-two}, patterns: [{type: outbox, table: hands_two}]}
$$);
SELECT * FROM hands_of('hands-%', 'hands%');
-- plan() knows it as apply() does.
\set handed '{namespaces: [{name: hands-a, backend: {topic: hands-three}, patterns: [{type: outbox, table: hands_three}]}, {name: hands-b, backend: {topic: hands-one}, patterns: [{type: outbox, table: hands_one}]}, {name: hands-c, backend: {topic: hands-two}, patterns: [{type: outbox, table: hands_two}]}]}'
SELECT DISTINCT namespace, action FROM prism.plan(:'handed') WHERE action NOT IN ('pattern', 'backend') ORDER BY 1, 2;
SELECT DISTINCT namespace, action FROM prism.apply(:'handed') ORDER BY 1, 2;
SELECT * FROM hands_of('hands-%', 'hands%');
SELECT namespace, action FROM prism.apply(:'handed') ORDER BY 1;
-- Before it is given up it is somebody else's, and nothing of the document is done.
SELECT namespace, action FROM prism.apply('namespaces: [{name: hands-d, backend: {topic: hands-one}}, {name: hands-b, backend: {topic: hands-four}}]');
SELECT namespace, action FROM prism.apply('namespaces: [{name: hands-d, patterns: [{type: outbox, table: hands_one}]}, {name: hands-b, patterns: [{type: outbox}], backend: {topic: hands-one}}]');
SELECT * FROM hands_of('hands-%', 'hands%');
-- Messages stay with their namespace.
SELECT prism.publish('hands-one', 'of b') IS NOT NULL AS published;
SELECT count(DISTINCT namespace) FROM prism.apply('namespaces: [{name: hands-b, backend: {topic: hands-four}}, {name: hands-e, backend: {topic: hands-one}}]');
SELECT (SELECT count(*) FROM prism.read('hands-one')) AS one, (SELECT count(*) FROM prism.read('hands-four')) AS four;
SELECT prism.drop_namespace(name, force => true) FROM prism.namespace WHERE name LIKE 'hands-%';
DROP FUNCTION hands_of;
