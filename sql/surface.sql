-- What \df prism.* shows is what people call, and says what it does; what only prism calls is in a schema that is closed.
SET client_min_messages = warning;
SELECT p.proname AS name, CASE WHEN p.prorettype = 'trigger'::regtype THEN 'trigger' WHEN p.prokind = 'p' THEN 'procedure' ELSE 'function' END AS kind,
    count(*) AS signatures, bool_and(obj_description(p.oid, 'pg_proc') IS NOT NULL) AS commented
FROM pg_proc p WHERE p.pronamespace = 'prism'::regnamespace GROUP BY 1, 2 ORDER BY p.proname COLLATE "C";
-- The functions behind views and triggers, and whom the extension gives them: who may watch may look at the views.
SELECT p.oid::regprocedure AS function, obj_description(p.oid, 'pg_proc') IS NOT NULL AS commented,
    (SELECT string_agg(a.grantee::regrole::text, ', ') FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee <> p.proowner) AS others_may
FROM pg_proc p WHERE p.pronamespace = 'prism_internal'::regnamespace ORDER BY p.proname COLLATE "C";
-- Nobody but the owner may name one of them; nothing else is in their schema.
SELECT n.nspname AS schema, obj_description(n.oid, 'pg_namespace') IS NOT NULL AS commented,
    (SELECT string_agg(a.grantee::regrole || ' ' || a.privilege_type, ', ') FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a WHERE a.grantee <> n.nspowner) AS others_may
FROM pg_namespace n WHERE n.nspname LIKE 'prism%' ORDER BY 1;
SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
WHERE refclassid = 'pg_namespace'::regclass AND refobjid = 'prism_internal'::regnamespace AND classid <> 'pg_proc'::regclass;

-- ------------------------------------------------------------------
-- With each privilege on a namespace, and as who may watch: all views work, and none of these functions can be called.
-- ------------------------------------------------------------------
CREATE ROLE regress_prism_surface;
CREATE ROLE regress_prism_watching IN ROLE pg_monitor;
GRANT CREATE ON SCHEMA public TO regress_prism_surface;
SELECT action FROM prism.apply('{name: surface, patterns: [{type: outbox, table: surface_outbox}]}');
SELECT prism.grant('surface', privilege, 'regress_prism_surface') FROM unnest('{publish,consume,read,admin}'::text[]) AS privilege;
-- What privileges bring is found in the schema that the table says.
SELECT o.schema, o.name FROM prism.privilege_object o
WHERE NOT EXISTS (SELECT FROM pg_proc p WHERE o.needs = 'EXECUTE' AND p.proname = o.name AND p.pronamespace = o.schema::regnamespace
        UNION ALL SELECT FROM pg_class c WHERE o.needs <> 'EXECUTE' AND c.relname = o.name AND c.relnamespace = o.schema::regnamespace);
SELECT p.oid::regprocedure FROM pg_proc p, aclexplode(p.proacl) a
WHERE p.pronamespace = 'prism_internal'::regnamespace AND a.grantee = 'regress_prism_surface'::regrole ORDER BY p.proname COLLATE "C";

CREATE TEMP TABLE surface AS
SELECT c.relname AS name, 'SELECT count(*) FROM ' || c.oid::regclass AS statement
FROM pg_class c WHERE c.relnamespace = 'prism'::regnamespace AND c.relkind = 'v'
UNION ALL SELECT 'metrics_text', 'SELECT prism.metrics_text()'
UNION ALL
SELECT p.proname, format('SELECT %s(%s)', p.oid::regproc, (SELECT string_agg('NULL::' || format_type(t, NULL), ', ') FROM unnest(p.proargtypes) t))
FROM pg_proc p WHERE p.pronamespace = 'prism_internal'::regnamespace;
GRANT SELECT ON surface TO PUBLIC;
CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'works';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLERRM;
END
$$;
SET ROLE regress_prism_surface;
SELECT outcome, array_agg(name ORDER BY name COLLATE "C") FROM (SELECT name, pg_temp.attempt(statement) AS outcome FROM surface) s GROUP BY 1 ORDER BY outcome COLLATE "C";
INSERT INTO prism.surface_outbox (key, payload) VALUES ('k', 'by the view');
INSERT INTO prism.outbox (topic, key, payload) VALUES ('surface', 'k', '\xff');
SELECT payload FROM prism.surface_outbox ORDER BY "position";
-- A view of one's own on one of ours works, and it works for another who may look at ours.
CREATE VIEW public.surface_mine AS SELECT s.namespace, t.next_position FROM prism.status s JOIN prism.topics t USING (namespace);
GRANT SELECT ON public.surface_mine TO regress_prism_watching;
SELECT * FROM public.surface_mine;
CREATE VIEW public.surface_behind AS SELECT * FROM prism_internal.topic_states();
SET ROLE regress_prism_watching;
SELECT outcome, array_agg(name ORDER BY name COLLATE "C") FROM (SELECT name, pg_temp.attempt(statement) AS outcome FROM surface) s GROUP BY 1 ORDER BY outcome COLLATE "C";
SELECT namespace FROM public.surface_mine WHERE namespace = 'surface';
RESET ROLE;

-- Who reads all data has USAGE on any schema, and with a privilege on one namespace EXECUTE on these functions: they show him that one.
SELECT action FROM prism.apply('{name: surface_other, backend: memory, consumers: [{group: g}]}');
CREATE ROLE regress_prism_reader IN ROLE pg_read_all_data;
SELECT prism.grant('surface', 'publish', 'regress_prism_reader');
SET ROLE regress_prism_reader;
SELECT t.name FROM prism_internal.topic_states() JOIN prism.topic t USING (topic_id) WHERE t.name LIKE 'surface%';
SELECT t.name, count(d.segments) FROM prism.topic t LEFT JOIN LATERAL prism_internal.topic_size(t.topic_id) d ON true WHERE t.name LIKE 'surface%' GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM prism_internal.group_states() WHERE topic LIKE 'surface%';
SELECT count(*) FROM prism_internal.sink_states() WHERE topic LIKE 'surface%';
SELECT count(*) FROM prism_internal.handler_states();
SELECT count(*) FROM prism_internal.worker_slots();
SELECT count(*) FROM prism_internal.outbox_messages() WHERE topic LIKE 'surface%';
RESET ROLE;
SELECT prism.revoke('surface', 'publish', 'regress_prism_reader');
DROP ROLE regress_prism_reader;
SELECT prism.drop_namespace('surface_other', force => true);

-- The last privilege takes EXECUTE on them along.
SELECT prism.revoke('surface', privilege, 'regress_prism_surface') FROM unnest('{publish,consume,read,admin}'::text[]) AS privilege;
SELECT count(*) FROM pg_proc p, aclexplode(p.proacl) a
WHERE p.pronamespace = 'prism_internal'::regnamespace AND a.grantee = 'regress_prism_surface'::regrole;
DROP VIEW public.surface_mine;
REVOKE CREATE ON SCHEMA public FROM regress_prism_surface;
DROP ROLE regress_prism_surface, regress_prism_watching;
SELECT prism.drop_namespace('surface', force => true);

-- A schema that is there already is not taken over: somebody else has prepared it, or works in it.
BEGIN;
DROP EXTENSION prism;
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'prism%';
CREATE SCHEMA prism_internal;
CREATE EXTENSION prism;
ROLLBACK;
