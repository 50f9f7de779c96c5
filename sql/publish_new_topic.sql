-- A topic is used in the transaction that makes it, and by more than its first segment: nobody else could make the others.
SET prism.segment_messages = 1024;
BEGIN;
SELECT action FROM prism.apply('name: new-topic');
SAVEPOINT before;
SELECT count(prism.publish('new-topic', 'undone')) FROM generate_series(1, 10000);
ROLLBACK TO before;
SELECT count(prism.publish('new-topic', 'x')) FROM generate_series(1, 3000);
SET TRANSACTION READ ONLY;
COMMIT;
SELECT count(*), min("position"), max("position") FROM prism.read('new-topic', 0, 10000);
-- They are prism's like all others: they go with the extension, have no rights but their owner's, and nobody else writes them.
SELECT regexp_replace(c.relname, '^topic_[0-9]+', 'topic_N') AS segment, c.relacl,
    (SELECT string_agg(d.deptype::text, '') FROM pg_depend d WHERE d.objid = c.oid AND d.refclassid = 'pg_extension'::regclass) AS extension,
    (SELECT string_agg(t.tgenabled::text, '') FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'prism_guard') AS guard
FROM prism.topic JOIN pg_class c ON c.relname IN (SELECT format('topic_%s_%s', topic_id, i) FROM generate_series(0, 2) i)
WHERE name = 'new-topic' ORDER BY 1;

-- What it does is no command of the caller's.
CREATE FUNCTION new_topic_event() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'an event trigger was called'; END $$;
BEGIN;
SELECT action FROM prism.apply('name: newer-topic');
CREATE EVENT TRIGGER new_topic_event ON ddl_command_start EXECUTE FUNCTION new_topic_event();
SELECT count(prism.publish('newer-topic', 'x')) FROM generate_series(1, 1025);
COMMIT;
SELECT count(*) FROM prism.read('newer-topic', 0, 10000);
DROP EVENT TRIGGER new_topic_event;
DROP FUNCTION new_topic_event();
SELECT prism.drop_namespace(n, force => true) FROM unnest('{new-topic,newer-topic}'::text[]) n;
