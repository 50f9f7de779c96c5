-- What prism does otherwise where the server allows it: run on each major by ./dev test build.
\set ON_ERROR_STOP on
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 170000 THEN
        -- the workers of this database wait, each under the name of what it waits for
        FOR i IN 1 .. 600 LOOP
            EXIT WHEN EXISTS (SELECT FROM pg_stat_activity
                WHERE backend_type = 'prism manager' AND wait_event_type = 'Extension' AND wait_event = 'PrismWork');
            IF i = 600 THEN
                RAISE EXCEPTION 'no worker waits for PrismWork, but: %', (SELECT string_agg(backend_type || ' ' || coalesce(wait_event, '-'), ', ')
                    FROM pg_stat_activity WHERE backend_type LIKE 'prism %');
            END IF;
            PERFORM pg_sleep(0.1), pg_stat_clear_snapshot();
        END LOOP;
    END IF;
END $$;

-- A session keeps what a role may do: not longer than it is so, however this major lets a member inherit.
BEGIN;
DO $$
DECLARE
    can boolean[];
    statement text;
BEGIN
    PERFORM prism.apply('namespaces: [{name: majors_rights}, {name: majors_other}]');
    CREATE ROLE majors_publisher;
    CREATE ROLE majors_member IN ROLE majors_publisher;
    PERFORM prism.grant('majors_rights', 'publish', 'majors_publisher'), prism.grant('majors_other', 'publish', 'majors_member');
    FOREACH statement IN ARRAY CASE WHEN current_setting('server_version_num')::int >= 160000
        THEN '{"GRANT majors_publisher TO majors_member WITH SET FALSE","GRANT majors_publisher TO majors_member WITH INHERIT FALSE","GRANT majors_publisher TO majors_member WITH INHERIT TRUE","REVOKE INHERIT OPTION FOR majors_publisher FROM majors_member"}'
        ELSE '{"ALTER ROLE majors_member INHERIT","ALTER ROLE majors_member NOINHERIT","ALTER ROLE majors_member INHERIT","REVOKE majors_publisher FROM majors_member"}'::text[] END
    LOOP
        EXECUTE statement;
        SET LOCAL ROLE majors_member;
        BEGIN
            can := can || (prism.publish('majors_rights', 'x'::bytea) IS NOT NULL);
        EXCEPTION WHEN insufficient_privilege THEN
            can := can || false;
        END;
        RESET ROLE;
    END LOOP;
    IF can IS DISTINCT FROM '{t,f,t,f}' THEN
        RAISE EXCEPTION 'a member could publish: %, not t, f, t, f', can;
    END IF;
END $$;
ROLLBACK;
