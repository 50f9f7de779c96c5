-- Who may do what. The rights of a namespace are PostgreSQL's privileges on its rights view; every function checks them.
SET client_min_messages = warning;
CREATE ROLE regress_prism_nobody;
CREATE ROLE regress_prism_writer;
CREATE ROLE regress_prism_reader;
CREATE ROLE regress_prism_admin;
CREATE ROLE regress_prism_member IN ROLE regress_prism_writer;

SELECT action FROM prism.apply('namespaces: [{name: rights_mine, patterns: [{type: outbox, table: rights_mine_outbox}]}, {name: rights_other}, {name: rights_sink, backend: memory}]');
SELECT prism.publish('rights_mine', 'secret'::bytea, key => 'k') IS NOT NULL AS published;
SELECT prism.publish('rights_sink', 'secret'::bytea, key => 'k') IS NOT NULL AS published;
SELECT prism.create_group('rights_mine', 'g');
INSERT INTO prism.open_payload SELECT '01999999-0000-7000-8000-000000000000', topic_id, 1, 's', NULL, current_user, current_user::regrole FROM prism.topic WHERE name = 'rights_mine';

-- ------------------------------------------------------------------
-- A role without grants: every function and relation is walked, three times.
-- ------------------------------------------------------------------

-- An argument for each parameter, so that a call gets as far as it can. (A strict function of NULL is not even called.)
CREATE FUNCTION pg_temp.argument(name text, type oid) RETURNS text LANGUAGE sql AS $$
SELECT CASE
    WHEN name IN ('topic', 'for_topic') THEN quote_literal('rights_mine')
    WHEN name IN ('namespace') THEN quote_literal('rights_mine')
    WHEN name = 'name' THEN quote_literal('rights_mine')
    WHEN name = 'config' THEN quote_literal('name: rights_mine')
    WHEN name = 'privilege' THEN quote_literal('publish')
    WHEN name = 'payload' AND type = 'uuid'::regtype THEN (SELECT quote_literal(payload_id) FROM prism.open_payload)
    WHEN name = 'bytes' AND type = 'bytea'::regtype THEN quote_literal('x')
    WHEN name = 'role' THEN quote_literal('regress_prism_nobody')
    WHEN name = 'operations' THEN quote_literal('[{"publish": {"topic": "rights_mine", "payload": {}}}]')
    WHEN name = 'headers' AND type = 'jsonb'::regtype THEN quote_literal('{}')
    WHEN type = 'text[]'::regtype THEN quote_literal('{k}')
    WHEN type = 'jsonb[]'::regtype THEN quote_literal('{"{}"}')
    WHEN type = 'bytea[]'::regtype THEN quote_literal('{x}')
    WHEN type IN ('json'::regtype, 'jsonb'::regtype) THEN quote_literal('{}')
    WHEN type = 'bigint[]'::regtype THEN quote_literal('{0}')
    WHEN type IN ('int'::regtype, 'bigint'::regtype) THEN quote_literal('1')
    WHEN type = 'interval'::regtype THEN quote_literal('1s')
    WHEN type = 'boolean'::regtype THEN quote_literal('false')
    WHEN type = 'timestamptz'::regtype THEN 'NULL'
    WHEN type = 'uuid'::regtype THEN quote_literal('00000000-0000-0000-0000-000000000000')
    WHEN type = to_regtype('prism.message') THEN quote_literal('(rights_mine,0,00000000-0000-0000-0000-000000000000,k,{},x,2000-01-01,1,g,1)')
    WHEN type = 'text'::regtype THEN quote_literal('x')
    WHEN type = 'regprocedure'::regtype THEN quote_literal('version()')
    WHEN type = 'oid'::regtype THEN quote_literal('pg_foreign_server'::regclass::oid)
    ELSE 'NULL'
END || '::' || format_type(type, NULL)
$$;

-- Calls that SQL can make: not triggers, and not what only the server calls.
CREATE TEMP TABLE walked AS
SELECT p.oid, p.oid::regprocedure::text AS object,
    CASE p.prokind WHEN 'p' THEN 'CALL ' ELSE 'SELECT * FROM ' END || format('%I.%I(', n.nspname, p.proname) || coalesce(a.arguments, '') || ')' AS statement
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace,
LATERAL (SELECT string_agg(pg_temp.argument(p.proargnames[i], p.proargtypes[i - 1]), ', ' ORDER BY i) AS arguments
         FROM generate_series(1, p.pronargs) i) a
WHERE n.nspname IN ('prism', 'prism_internal', 'prism_log') AND p.prorettype NOT IN ('trigger'::regtype, 'fdw_handler'::regtype, 'event_trigger'::regtype);
INSERT INTO walked
SELECT c.oid, c.oid::regclass::text, CASE c.relkind WHEN 'S' THEN format('SELECT nextval(%L)', c.oid::regclass) ELSE format('SELECT count(*) FROM %s', c.oid::regclass) END
FROM pg_class c WHERE c.relnamespace IN ('prism'::regnamespace, 'prism_log'::regnamespace) AND c.relkind IN ('r', 'v', 'm', 'S', 'f', 'p');
-- Views that can be written to at all are outboxes, and one that takes pieces of a payload.
INSERT INTO walked
SELECT c.oid, c.oid::regclass::text,
    format(CASE WHEN c.relname = 'payload_piece' THEN 'INSERT INTO %s VALUES (' || pg_temp.argument('payload', 'uuid'::regtype) || ', ''x'')'
        WHEN c.relkind = 'v' THEN 'INSERT INTO %s (topic) VALUES (''rights_mine'')' ELSE 'INSERT INTO %s DEFAULT VALUES' END, c.oid::regclass)
FROM pg_class c
WHERE c.relnamespace IN ('prism'::regnamespace, 'prism_log'::regnamespace)
    AND (c.relkind IN ('r', 'f', 'p') OR EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid));
SELECT count(*) > 50 AS enough FROM walked;

-- The SQLSTATE of each call, or how many rows it showed.
CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    rows bigint;
BEGIN
    EXECUTE statement;
    GET DIAGNOSTICS rows = ROW_COUNT;
    IF statement LIKE 'SELECT count(\*)%' THEN
        EXECUTE statement INTO rows;
    END IF;
    RETURN rows || ' rows';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
GRANT SELECT ON walked TO PUBLIC;

-- 1. Without anything: all is closed but prism.check(), which looks at nothing but a text.
SET ROLE regress_prism_nobody;
SELECT outcome, array_agg(object ORDER BY object) FILTER (WHERE outcome <> '42501') AS leaks
FROM (SELECT object, pg_temp.attempt(statement) AS outcome FROM walked) w GROUP BY 1 ORDER BY 1;
RESET ROLE;

-- 2. With the schemas open: each object is closed by itself.
GRANT USAGE ON SCHEMA prism, prism_internal, prism_log TO regress_prism_nobody;
SET ROLE regress_prism_nobody;
SELECT outcome, array_agg(object ORDER BY object) FILTER (WHERE outcome <> '42501') AS leaks
FROM (SELECT object, pg_temp.attempt(statement) AS outcome FROM walked) w GROUP BY 1 ORDER BY 1;
RESET ROLE;

-- 3. With all functions and views open, as if a grant had gone wrong: the checks in C hold, the views show nothing.
-- Harmless without a right: the library's version, the session's own last position and privileges, waking workers, what they are doing, metrics of nothing, and checking options.
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA prism, prism_internal TO regress_prism_nobody;
DO $$
DECLARE
    view regclass;
BEGIN
    FOR view IN SELECT oid FROM pg_class WHERE relnamespace = 'prism'::regnamespace AND relkind = 'v' AND relname <> 'privilege_object' LOOP
        EXECUTE format('GRANT SELECT, INSERT ON %s TO regress_prism_nobody', view);
    END LOOP;
END
$$;
SET ROLE regress_prism_nobody;
SELECT object, pg_temp.attempt(statement) AS outcome, statement FROM walked
WHERE pg_temp.attempt(statement) <> '42501'
    AND NOT (statement LIKE 'SELECT%' AND pg_temp.attempt(statement) = '0 rows')
    AND object NOT IN ('prism.version()', 'prism.last_position()', 'prism_internal.privileges(integer)', 'prism_internal.payload_text(bytea)', 'prism.wake_workers()', 'prism_internal.topics_full()', 'prism_internal.config_keys()', 'prism.config_keys', 'prism_internal.worker_slots()', 'prism.workers', 'prism.metrics_text()')
    AND oid NOT IN (SELECT fdwvalidator FROM pg_foreign_data_wrapper)
ORDER BY object;
RESET ROLE;
REVOKE ALL ON ALL ROUTINES IN SCHEMA prism, prism_internal FROM regress_prism_nobody;
REVOKE ALL ON ALL TABLES IN SCHEMA prism FROM regress_prism_nobody;
REVOKE ALL ON SCHEMA prism, prism_internal, prism_log FROM regress_prism_nobody;

-- An unknown topic or namespace is no different from a forbidden one.
GRANT USAGE ON SCHEMA prism TO regress_prism_nobody;
GRANT EXECUTE ON FUNCTION prism.publish(text, bytea, text, jsonb, text, timestamptz), prism.apply(text), prism.grant(text, text, text) TO regress_prism_nobody;
SET ROLE regress_prism_nobody;
SELECT prism.publish('rights_mine', 'x'::bytea);
SELECT prism.publish('rights_none', 'x'::bytea);
SELECT prism.apply('name: rights_mine');
SELECT prism.apply('name: rights_none');
SELECT prism.grant('rights_mine', 'publish', 'regress_prism_nobody');
SELECT prism.grant('rights_none', 'publish', 'regress_prism_nobody');
RESET ROLE;
REVOKE ALL ON FUNCTION prism.publish(text, bytea, text, jsonb, text, timestamptz), prism.apply(text), prism.grant(text, text, text) FROM regress_prism_nobody;
REVOKE ALL ON SCHEMA prism FROM regress_prism_nobody;

-- ------------------------------------------------------------------
-- Each privilege opens what it says and nothing else.
-- ------------------------------------------------------------------
SELECT prism.grant('rights_mine', 'publish', 'regress_prism_writer');
SELECT prism.grant('rights_mine', 'read', 'regress_prism_reader');
SELECT prism.grant('rights_mine', 'admin', 'regress_prism_admin');
SELECT prism.grant('rights_mine', 'admin', 'regress_prism_admin');
-- Nobody needs the schemas prism_internal and prism_log.
SELECT r.rolname, has_schema_privilege(r.oid, 'prism', 'USAGE') AS prism, has_schema_privilege(r.oid, 'prism_internal', 'USAGE') AS prism_internal,
    has_schema_privilege(r.oid, 'prism_log', 'USAGE') AS prism_log
FROM pg_roles r WHERE r.rolname LIKE 'regress\_prism\_%' ORDER BY 1;

SET ROLE regress_prism_writer;
SELECT prism.publish('rights_mine', 'by the writer'::bytea) IS NOT NULL AS published;
INSERT INTO prism.rights_mine_outbox (payload) VALUES ('by the view') RETURNING id IS NOT NULL AS published;
INSERT INTO prism.outbox (topic, payload) VALUES ('rights_mine', 'by the outbox');
SELECT prism.publish('rights_other', 'x'::bytea);
INSERT INTO prism.outbox (topic, payload) VALUES ('rights_other', 'x');
SELECT count(*) FROM prism.rights_mine_outbox;
SELECT namespace, action, detail FROM prism.apply('name: rights_mine');
SELECT prism.grant('rights_mine', 'read', 'regress_prism_writer');
SELECT namespace, privileges FROM prism.namespaces;
SELECT config FROM prism.namespace;
SELECT * FROM prism.visible_namespace;
-- A member of the role has the rights of the role.
SET ROLE regress_prism_member;
SELECT prism.publish('rights_mine', 'by the member'::bytea) IS NOT NULL AS published;
SELECT namespace, privileges FROM prism.namespaces;

SET ROLE regress_prism_reader;
SELECT payload FROM prism.rights_mine_outbox ORDER BY "position";
SELECT count(*), count(DISTINCT topic) AS topics FROM prism.outbox;
INSERT INTO prism.rights_mine_outbox (payload) VALUES ('x');
SELECT prism.publish('rights_mine', 'x'::bytea);
SELECT namespace, privileges FROM prism.namespaces;

-- An admin applies the namespace again, and gives rights on it; others' namespaces and new ones are not his.
SET ROLE regress_prism_admin;
SELECT namespace, privileges FROM prism.namespaces;
SELECT action FROM prism.apply('{name: rights_mine, patterns: [{type: outbox, table: rights_mine_outbox}]}');
SELECT namespace, action, detail FROM prism.apply('{name: rights_mine, needs: {max_message_size: 1000}, patterns: [{type: outbox, table: rights_mine_outbox}]}');
SELECT applied_by FROM prism.namespaces;
SELECT prism.apply('name: rights_other');
SELECT prism.apply('name: rights_new');
SELECT prism.apply('namespaces: [{name: rights_mine}, {name: rights_other}]');
SELECT prism.drop_namespace('rights_other');
SELECT prism.publish('rights_mine', 'x'::bytea);
SELECT prism.grant('rights_mine', 'publish', 'regress_prism_admin');
SELECT prism.publish('rights_mine', 'by the admin'::bytea) IS NOT NULL AS published;
SELECT prism.revoke('rights_mine', 'publish', 'regress_prism_admin');
SELECT prism.publish('rights_mine', 'x'::bytea);
SELECT prism.grant('rights_other', 'publish', 'regress_prism_admin');
-- What he makes still belongs to the owner of prism.
SELECT DISTINCT pg_get_userbyid(c.relowner) = pg_get_userbyid(e.extowner) AS owners
FROM pg_class c, pg_extension e WHERE e.extname = 'prism' AND c.relnamespace IN ('prism'::regnamespace, 'prism_log'::regnamespace);
-- Hosts are named by superusers, or as prism.allowed_endpoints says (test/t has that).
SELECT prism.plan('{name: rights_mine, backend: {type: kafka, brokers: ["kafka-1:9092"]}}');
RESET ROLE;

-- Nobody is told whose a topic is, or where brokers are, who may not know it.
SET ROLE regress_prism_admin;
SELECT prism.plan('{name: rights_mine, backend: {topic: rights_other}}');
RESET ROLE;
SELECT prism.plan('{name: rights_mine, backend: {topic: rights_other}}');
BEGIN;
SELECT action FROM prism.apply('{name: rights_mine, backend: {type: kafka, brokers: ["kafka-1:9092"]}, patterns: [{type: outbox, table: rights_mine_outbox}]}');
SET ROLE regress_prism_writer;
SELECT config -> 'backend' AS backend FROM prism.namespaces;
SET ROLE regress_prism_admin;
SELECT config -> 'backend' AS backend FROM prism.namespaces;
ROLLBACK;

-- ------------------------------------------------------------------
-- Errors of grant() and revoke(), and what is left after them.
-- ------------------------------------------------------------------
SELECT prism.grant('rights_none', 'publish', 'regress_prism_nobody');
SELECT prism.grant('rights_mine', 'write', 'regress_prism_nobody');
SELECT prism.grant('rights_mine', 'publish', 'regress_prism_none');
SELECT prism.grant('rights_mine', 'publish', 'public');
\set VERBOSITY sqlstate
SELECT prism.grant('rights_mine', 'publish', (SELECT pg_get_userbyid(extowner) FROM pg_extension WHERE extname = 'prism'));
\set VERBOSITY default
SELECT prism.revoke('rights_none', 'publish', 'regress_prism_nobody');
SELECT prism.revoke('rights_mine', 'publish', 'regress_prism_nobody');

-- The owner may also say on the rights view itself that all have a privilege; grants go on, and the outbox view follows.
SELECT format('prism_log.namespace_%s', namespace_id) AS rights_view FROM prism.namespace WHERE name = 'rights_mine' \gset
GRANT SELECT ON :rights_view TO PUBLIC;
SELECT prism.grant('rights_mine', 'read', 'regress_prism_nobody');
SELECT a.privilege_type FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = 'prism.rights_mine_outbox'::regclass AND a.grantee = 0;
REVOKE SELECT ON :rights_view FROM PUBLIC;
SELECT prism.revoke('rights_mine', 'read', 'regress_prism_nobody');
SELECT a.privilege_type FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = 'prism.rights_mine_outbox'::regclass AND a.grantee = 0;

-- The last privilege takes along what came with the first; an earlier one does not.
CREATE VIEW pg_temp.held AS
SELECT r.rolname, count(*) AS objects FROM pg_roles r,
LATERAL (SELECT 1 FROM pg_proc p, aclexplode(p.proacl) a WHERE p.pronamespace IN ('prism'::regnamespace, 'prism_internal'::regnamespace) AND a.grantee = r.oid
         UNION ALL SELECT 1 FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace IN ('prism'::regnamespace, 'prism_log'::regnamespace) AND a.grantee = r.oid
         UNION ALL SELECT 1 FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname LIKE 'prism%' AND a.grantee = r.oid) o
WHERE r.rolname LIKE 'regress\_prism\_%' GROUP BY 1;
SELECT prism.grant('rights_other', 'publish', 'regress_prism_writer');
SELECT prism.revoke('rights_mine', 'publish', 'regress_prism_writer');
SET ROLE regress_prism_writer;
SELECT prism.publish('rights_mine', 'x'::bytea);
INSERT INTO prism.rights_mine_outbox (payload) VALUES ('x');
SELECT prism.publish('rights_other', 'x'::bytea) IS NOT NULL AS published;
RESET ROLE;
SELECT prism.revoke('rights_other', 'publish', 'regress_prism_writer');
SELECT prism.revoke('rights_mine', 'read', 'regress_prism_reader');
SELECT rolname FROM pg_temp.held ORDER BY 1;
-- So does dropping the namespace.
SELECT prism.grant('rights_other', 'consume', 'regress_prism_reader');
SELECT prism.drop_namespace('rights_other');
SELECT rolname FROM pg_temp.held ORDER BY 1;
-- What the extension gave to pg_monitor is not taken with what a namespace gave.
SELECT prism.grant('rights_mine', 'read', 'pg_monitor');
SELECT prism.revoke('rights_mine', 'read', 'pg_monitor');
SELECT has_schema_privilege('pg_monitor', 'prism', 'USAGE'), has_table_privilege('pg_monitor', 'prism.metrics', 'SELECT'),
    has_function_privilege('pg_monitor', 'prism.doctor()', 'EXECUTE'), has_table_privilege('pg_monitor', 'prism.outbox', 'SELECT') AS outbox;
-- PostgreSQL knows these rights: a role that holds one is not dropped before its rights are.
\set VERBOSITY terse
DROP ROLE regress_prism_admin;
\set VERBOSITY default
DROP OWNED BY regress_prism_admin;
DROP ROLE regress_prism_admin;
SELECT prism.drop_namespace('rights_mine');
SELECT prism.drop_namespace('rights_sink', force => true);
DROP ROLE regress_prism_nobody, regress_prism_member, regress_prism_writer, regress_prism_reader;
