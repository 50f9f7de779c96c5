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
