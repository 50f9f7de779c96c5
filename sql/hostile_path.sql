-- timeout: 300
-- Whoever calls prism with a search_path of his own, and temporary objects, has none of his operators, functions, casts,
-- types and relations used by prism: they would run as the extension's owner. Each function and view of prism is walked.
SET client_min_messages = error;
CREATE ROLE regress_prism_hostile_login LOGIN;
CREATE ROLE regress_prism_hostile IN ROLE pg_monitor, regress_prism_hostile_login;
CREATE SCHEMA hostile;
GRANT ALL ON SCHEMA hostile TO regress_prism_hostile;

SELECT action FROM prism.apply('namespaces: [{name: hostile-a, patterns: [{type: outbox, table: hostile_outbox}], backend: memory}, {name: hostile-b}]');
SELECT prism.grant('hostile-a', p, 'regress_prism_hostile') FROM unnest('{publish,consume,read,admin}'::text[]) p;
CREATE FUNCTION public.hostile_handler(prism.message) RETURNS void LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
ALTER FUNCTION public.hostile_handler OWNER TO regress_prism_hostile_login;
SELECT prism.grant('hostile-a', 'consume', 'regress_prism_hostile_login');

-- ------------------------------------------------------------------
-- What lies in wait: everything of pg_catalog and of prism again, in a schema and in pg_temp, and it cries when it is used.
-- ------------------------------------------------------------------
CREATE FUNCTION hostile.cry(what text) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE WARNING 'used as %: %', CASE WHEN current_user = session_user THEN 'the owner' ELSE 'the caller' END, what;
    RETURN true;
END
$$;

CREATE PROCEDURE hostile.make(statement text) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
    NULL;       -- pseudo-types that only C may have, and the like
END
$$;

-- One that is found first has the same arguments: an exact match goes before all.
DO $$
DECLARE
    f record;
BEGIN
    FOR f IN
        SELECT format('CREATE FUNCTION hostile.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', proname,
            pg_get_function_identity_arguments(oid),
            CASE WHEN proretset THEN 'SETOF ' ELSE '' END || prorettype::regtype,
            format('BEGIN PERFORM hostile.cry(%L); RETURN%s; END', 'function ' || oid::regprocedure,
                CASE WHEN prorettype = 'void'::regtype OR proretset THEN '' ELSE ' NULL' END)) AS statement
        FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace
            AND NOT EXISTS (SELECT FROM unnest(proargtypes || prorettype) t WHERE t IN ('internal'::regtype, 'cstring'::regtype, 'trigger'::regtype))
            AND provariadic = 0
    LOOP
        CALL hostile.make(f.statement);
    END LOOP;
    FOR f IN
        SELECT format('CREATE OPERATOR hostile.%s (%s%sFUNCTION = hostile.%I)', o.oprname,
            coalesce('LEFTARG = ' || nullif(o.oprleft, 0)::regtype || ', ', ''),
            'RIGHTARG = ' || o.oprright::regtype || ', ', p.proname) AS statement
        FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
        WHERE o.oprnamespace = 'pg_catalog'::regnamespace
    LOOP
        CALL hostile.make(f.statement);
    END LOOP;
    FOR f IN
        SELECT unnest(ARRAY[
            format('CREATE DOMAIN hostile.%I AS pg_catalog.%1$I CHECK (hostile.cry(%L))', typname, 'type ' || typname),
            format('CREATE DOMAIN pg_temp.%I AS pg_catalog.%1$I CHECK (hostile.cry(%L))', typname, 'temporary type ' || typname)]) AS statement
        FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typelem = 0
    LOOP
        CALL hostile.make(f.statement);
    END LOOP;
    FOR f IN
        SELECT unnest(ARRAY[
            format('CREATE VIEW hostile.%I AS SELECT * FROM %s WHERE hostile.cry(%L)', relname, oid::regclass, 'relation ' || relname),
            format('CREATE TEMP VIEW %I AS SELECT * FROM %s WHERE hostile.cry(%L)', relname, oid::regclass, 'temporary relation ' || relname)]) AS statement
        FROM pg_class WHERE relnamespace IN ('pg_catalog'::regnamespace, 'prism'::regnamespace) AND relkind IN ('r', 'v') AND relname <> 'hostile_outbox'
    LOOP
        CALL hostile.make(f.statement);
    END LOOP;
END
$$;
-- There are enough of them, and they work.
SELECT (SELECT count(*) > 1500 FROM pg_proc WHERE pronamespace = 'hostile'::regnamespace) AS functions,
    (SELECT count(*) > 600 FROM pg_operator WHERE oprnamespace = 'hostile'::regnamespace) AS operators,
    (SELECT count(*) > 40 FROM pg_type WHERE typnamespace = 'hostile'::regnamespace AND typtype = 'd') AS types,
    (SELECT count(*) > 100 FROM pg_class WHERE relnamespace = 'hostile'::regnamespace) AS relations,
    (SELECT count(*) > 100 FROM pg_class WHERE relnamespace = pg_my_temp_schema()) AS temporary_relations;

-- ------------------------------------------------------------------
-- The walk. A function that is not in the list is called too, with arguments by their types; the list makes calls succeed.
-- ------------------------------------------------------------------
CREATE FUNCTION hostile.argument(type oid) RETURNS pg_catalog.text LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
SELECT CASE
    WHEN type = 'text'::regtype THEN quote_literal('hostile-a')
    WHEN type IN ('json'::regtype, 'jsonb'::regtype) THEN quote_literal('{}')
    WHEN type = 'bigint[]'::regtype THEN quote_literal('{0}')
    WHEN type IN ('int'::regtype, 'bigint'::regtype) THEN quote_literal('1')
    WHEN type = 'interval'::regtype THEN quote_literal('0s')
    WHEN type = 'boolean'::regtype THEN quote_literal('true')
    WHEN type = 'timestamptz'::regtype THEN quote_literal('2000-01-01')
    WHEN type = 'oid'::regtype THEN quote_literal('1')
    WHEN type = 'text[]'::regtype THEN quote_literal('{}')
    ELSE 'NULL'
END || '::' || CASE WHEN typnamespace = 'pg_catalog'::regnamespace THEN 'pg_catalog.' || quote_ident(typname) ELSE format_type(oid, NULL) END
FROM pg_type WHERE oid = type
$$;

-- Known calls succeed; the generated ones get as far as they do, for each signature and view that there is.
CREATE TABLE hostile.call AS
SELECT known.*, true AS succeeds FROM (VALUES
    (10, 'apply',          $$SELECT prism.apply('{name: hostile-a, client_api: queue, patterns: [{type: outbox, table: hostile_outbox}], backend: memory, needs: {max_message_size: 1000, retention: 1h}}')$$),
    (11, 'plan',           $$SELECT prism.plan('{name: hostile-a, client_api: pubsub, backend: memory}')$$),
    (11, 'check',          $$SELECT prism.check('{name: hostile-a, backend: memory, neds: {retention: 1h}}')$$),
    (12, 'grant',          $$SELECT prism.grant('hostile-a', 'publish', 'pg_monitor')$$),
    (13, 'revoke',         $$SELECT prism.revoke('hostile-a', 'publish', 'pg_monitor')$$),
    (14, 'grant',          $$SELECT prism.grant('hostile-a', 'publish', 'regress_prism_hostile')$$),
    (15, 'grant',          $$SELECT prism.grant('hostile-a', 'consume', 'regress_prism_hostile')$$),
    (16, 'grant',          $$SELECT prism.grant('hostile-a', 'consume', 'regress_prism_hostile_login')$$),
    (20, 'publish',        $$SELECT prism.publish('hostile-a', '{}'::pg_catalog.jsonb, key => 'k', deliver_at => '2100-01-01')$$),
    (21, 'publish_batch',  $$SELECT prism.publish_batch('hostile-a', ARRAY['{}', '{}', '{}', '{}', '{}']::pg_catalog.jsonb[])$$),
    (22, 'outbox_insert',  $$INSERT INTO prism.hostile_outbox (payload) VALUES ('x')$$),
    (23, 'transaction',    $$SELECT prism.transaction('[{"publish": {"topic": "hostile-a", "payload": 1}}]')$$),
    (30, 'create_group',   $$SELECT prism.create_group('hostile-a', 'g', '2000-01-01')$$),
    (31, 'consume',        $$SELECT prism.consume('hostile-a', 'g', 1, wait => '1s')$$),
    (32, 'wait',           $$CALL prism.wait('hostile-a', 'g', '1s')$$),
    (33, 'ack',            $$SELECT prism.ack(m) FROM prism.consume('hostile-a', 'g', 1, filter => '$') m$$),
    (34, 'nack',           $$SELECT prism.nack(m) FROM prism.consume('hostile-a', 'g', 1) m$$),
    (35, 'extend',         $$SELECT prism.extend(m) FROM prism.consume('hostile-a', 'g', 1) m$$),
    (36, 'reject',         $$SELECT prism.reject(m, 'bad') FROM prism.consume('hostile-a', 'g', 1) m$$),
    (37, 'redrive',        $$SELECT prism.redrive('hostile-a')$$),
    (38, 'seek',           $$SELECT prism.seek('hostile-a', 'g', 'earliest')$$),
    (39, 'read',           $$SELECT prism.read('hostile-a')$$),
    (39, 'payload_read',   $$SELECT prism.payload_read('hostile-a', 0)$$),
    (39, 'payload_pieces', $$SELECT prism.payload_pieces('hostile-a', 0)$$),
    (39, 'payload_export', $$SELECT pg_catalog.lo_unlink(prism.payload_export('hostile-a', 0))$$),
    (40, 'on',             $$SELECT prism.on('hostile-a', 'h', 'public.hostile_handler(prism.message)', role => 'regress_prism_hostile_login')$$),
    (41, 'off',            $$SELECT prism.off('hostile-a', 'h')$$),
    (42, 'drop_group',     $$SELECT prism.drop_group('hostile-a', 'g')$$),
    (50, 'pause',          $$SELECT prism.pause('hostile-a')$$),
    (52, 'resume',         $$SELECT prism.resume('hostile-a')$$),
    (90, 'drop_namespace', $$SELECT prism.drop_namespace('hostile-a', force => true)$$)) AS known(place, object, statement)
UNION ALL SELECT 55, 'guard_table', 'DELETE FROM prism.jump WHERE false', false
UNION ALL SELECT 55, 'payload_piece_insert', $$INSERT INTO prism.payload_piece VALUES ('01999999-0000-7000-8000-000000000000', 'x')$$, false
UNION ALL
SELECT 60, p.oid::regprocedure::text,
    CASE p.prokind WHEN 'p' THEN 'CALL ' ELSE 'SELECT ' END || format('%s.%I(', p.pronamespace::regnamespace, p.proname)
    || coalesce((SELECT string_agg(hostile.argument(t), ', ' ORDER BY i) FROM unnest(p.proargtypes) WITH ORDINALITY AS a(t, i)), '') || ')', false
FROM pg_proc p
WHERE p.pronamespace IN ('prism'::regnamespace, 'prism_internal'::regnamespace) AND p.prorettype NOT IN ('fdw_handler'::regtype, 'trigger'::regtype) AND p.proname <> 'drop_namespace'
UNION ALL
SELECT 70, c.relname, format('SELECT v FROM %s v', c.oid::regclass), true
FROM pg_class c WHERE c.relnamespace = 'prism'::regnamespace AND c.relkind = 'v'
    AND c.relname NOT IN ('privilege_object', 'visible_namespace', 'sink_server', 'hostile_outbox');
GRANT SELECT ON hostile.call TO regress_prism_hostile;
-- Each function of prism is called once at least.
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace IN ('prism'::regnamespace, 'prism_internal'::regnamespace) AND p.prorettype <> 'fdw_handler'::regtype
    AND NOT EXISTS (SELECT FROM hostile.call c WHERE c.statement ~ (p.pronamespace::regnamespace || '\.' || p.proname || '\(') OR c.object = p.proname);

-- No operator, function or cast of its own: it has the path of whoever calls it.
CREATE PROCEDURE hostile.attempt(statement pg_catalog.text, succeeds boolean) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
    IF succeeds THEN
        RAISE WARNING '%: %', statement, SQLERRM;
    END IF;
END
$$;
-- Quoted as literals of the statement that calls it, so that nothing of pg_catalog is needed under the hostile path.
CREATE TABLE hostile.walk AS
SELECT place, object, format('CALL hostile.attempt(%L, %L)', statement, succeeds) AS statement FROM hostile.call;
GRANT SELECT ON hostile.walk TO regress_prism_hostile;

SET client_min_messages = warning;
\set VERBOSITY terse
SET search_path = hostile, pg_temp, pg_catalog;
-- It would be seen:
SELECT 1 = 2;
SELECT 1::int4 IS NULL FROM pg_class LIMIT 1;

-- Nothing is seen from here on.
-- 1. As somebody with all privileges on a namespace, and pg_monitor.
SET ROLE regress_prism_hostile;
\set ECHO none
SELECT w.statement FROM hostile.walk w ORDER BY w.place, w.object \gexec
\set ECHO all
RESET ROLE;
-- 2. As the owner; it begins with apply(), which makes the namespace again.
\set ECHO none
SELECT w.statement FROM hostile.walk w ORDER BY w.place, w.object \gexec
\set ECHO all

RESET search_path;
\set VERBOSITY default
SET client_min_messages = error;
SELECT count(*) FROM prism.namespace WHERE name = 'hostile-a';
SELECT prism.drop_namespace('hostile-b');
DROP SCHEMA hostile CASCADE;
SELECT count(lo_unlink(oid)) > 0 AS unlinked FROM pg_largeobject_metadata WHERE lomowner = 'regress_prism_hostile'::regrole;
DROP FUNCTION public.hostile_handler;
DROP ROLE regress_prism_hostile, regress_prism_hostile_login;
