-- Rows of prism's catalogue as its owner may have left them, names and numbers at their limits: what is wrong is said, and
-- can be put right by apply().
SET client_min_messages = warning;

-- A configuration that names no topic, is no list where one is expected, or is nothing at all.
SELECT action FROM prism.apply(E'name: edited\npatterns:\n - type: outbox\n   table: edited_outbox');
SELECT prism.publish('edited', 'x'::text) IS NOT NULL AS published;
UPDATE prism.namespace SET config = config - 'topic' WHERE name = 'edited';
SELECT action, detail FROM prism.plan(E'name: edited\npatterns:\n - type: outbox\n   table: edited_outbox') WHERE action <> 'pattern';
SELECT action, detail FROM prism.apply(E'name: edited\npatterns:\n - type: outbox\n   table: edited_outbox');
UPDATE prism.namespace SET config = config - 'topic' WHERE name = 'edited';
SELECT action FROM prism.apply(E'name: edited\nbackend:\n  type: postgres\n  topic: edited_renamed\npatterns:\n - type: outbox\n   table: edited_outbox');
SELECT count(*) FROM prism.read('edited_renamed');
SELECT prism.drop_namespace('edited');

CREATE TABLE edited_as (place int PRIMARY KEY, config jsonb);
INSERT INTO edited_as VALUES (1, '{}'), (2, '[]'), (3, '"text"'), (4, '{"topic": null, "patterns": 7}'), (5, '{"topic": {"a": 1}, "patterns": {"type": "outbox", "table": ["t"]}}'),
    (6, '{"patterns": [1, null, "outbox", {"type": "outbox"}]}'), (7, '{"patterns": [{"type": "outbox", "table": "edited_outbox"}, {"type": "wal"}, {"type": "outbox", "table": "edited_other"}]}'),
    (8, '{"consumers": [{"group": "g", "options": {"lease_us": 1e30, "backoff_us": [-1e30, true, 0.5], "max_attempts": 1e19}}], "max_message_size": 1e30, "retention_ms": -0.5, "backend": {"type": "postgres", "chosen": true, "partitions": 1e30}}'),
    (9, '{"consumers": [{"group": "g", "options": {"lease_us": null, "backoff_us": {"a": 1}, "ordering": ["key"]}}, {"group": "h", "options": 7}], "backend": {"type": "postgres", "partitions": "many"}}');
CREATE FUNCTION pg_temp.edited(place int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM prism.apply('name: edited');
    UPDATE prism.namespace SET config = e.config FROM edited_as e WHERE e.place = edited.place AND name = 'edited';
    PERFORM prism.plan('name: edited'), prism.grant('edited', 'read', 'pg_monitor'), prism.revoke('edited', 'read', 'pg_monitor');
    SELECT string_agg(DISTINCT action, ' ') INTO answer FROM prism.apply('name: edited');
    UPDATE prism.namespace SET config = e.config FROM edited_as e WHERE e.place = edited.place AND name = 'edited';
    PERFORM count(*) FROM prism.namespaces;
    PERFORM prism.drop_namespace('edited');
    RETURN answer;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
SELECT place, pg_temp.edited(place) FROM edited_as ORDER BY place;
DROP TABLE edited_as;

-- A name is stored in its full length: nothing else stands behind it.
CREATE ROLE regress_edited SUPERUSER;
SET ROLE regress_edited;
SELECT action FROM prism.apply('{name: edited, needs: {max_message_size: 1kB}}');
SELECT stored *= given AS nothing_else FROM (SELECT applied_by FROM prism.namespace WHERE name = 'edited') stored, (SELECT 'regress_edited'::name) given;
SELECT action FROM prism.apply('{name: edited}');
SELECT stored *= given AS nothing_else FROM (SELECT applied_by FROM prism.namespace WHERE name = 'edited') stored, (SELECT 'regress_edited'::name) given;
RESET ROLE;
SELECT prism.drop_namespace('edited');
DROP ROLE regress_edited;

-- A name that is cut at a character is not the name of another topic.
SELECT action FROM prism.apply('name: ' || repeat('n', 245));
SELECT prism.publish(repeat('n', 245), 'x'::text) IS NOT NULL AS published;
SELECT prism.reject(m) FROM prism.consume(repeat('n', 245), 'g') m;
SELECT length(name), count(*) FROM prism.topic WHERE name LIKE 'nnn%' GROUP BY name ORDER BY 1;
SELECT repeat('n', 245) || '.dlq' AS letters \gset
\set VERBOSITY sqlstate
SELECT count(*) FROM prism.read(:'letters');
SELECT count(*) FROM prism.read(:'letters' || chr(233));
SELECT prism.publish(:'letters' || chr(233), 'x'::text);
SELECT prism.publish(:'letters' || chr(128512), 'x'::text);
SELECT prism.publish(:'letters' || 'e', 'x'::text);
SELECT count(*) FROM prism.consume(:'letters' || chr(233), 'g');
SELECT prism.transaction(jsonb_build_array(jsonb_build_object('publish', jsonb_build_object('topic', :'letters' || chr(233), 'payload', 1))));
INSERT INTO prism.outbox (topic, payload) VALUES (:'letters' || chr(233), 'x');
\set VERBOSITY default
-- So long a name in the catalogue is no topic's.
UPDATE prism.topic SET name = name || chr(233) WHERE name = :'letters';
\c -
SET client_min_messages = warning;
\set VERBOSITY sqlstate
SELECT count(*) FROM prism.topics WHERE topic LIKE 'nnn%';
\set VERBOSITY default
UPDATE prism.topic SET name = :'letters' WHERE name = :'letters' || chr(233);
SELECT count(*) FROM prism.read(:'letters');
SELECT prism.drop_namespace(repeat('n', 245));

-- Who may consume can take any number of group numbers along in savepoints: nothing else has its numbers from there.
SELECT action FROM prism.apply('name: edited');
SELECT count(prism.publish('edited', 'x'::text)) FROM generate_series(1, 4);
SELECT last_value AS object_before FROM prism.object_id \gset
SELECT setval('prism.object_id', 2147483647);
SELECT prism.create_group('edited', 'first'), prism.create_group('edited', 'taken');
SELECT setval('prism.object_id', :object_before) > 0 AS set_back;
SELECT last_value AS made FROM prism.group_number \gset
SELECT g.group_id AS first_id, t.group_id = g.group_id + 1 AS follows FROM prism.consumer_group g, prism.consumer_group t, prism.topic
WHERE g.name = 'first' AND t.name = 'taken' AND topic.name = 'edited' AND topic.topic_id = g.topic_id AND t.topic_id = g.topic_id \gset
SELECT :'follows' AS follows;
-- The first is used, moved, and dropped; then the numbers come round.
SELECT count(prism.ack(m)) FROM prism.consume('edited', 'first', 2) m;
SELECT prism.seek('edited', 'first', 'earliest') IS NOT NULL AS moved;
SELECT count(prism.ack(m)) FROM prism.consume('edited', 'first', 3) m;
SELECT prism.drop_group('edited', 'first');
SELECT setval('prism.group_number', :made - 2 + 2147483647::bigint) - :made AS made;
SELECT prism.create_group('edited', 'again');
SELECT group_id = :first_id AS same_number FROM prism.consumer_group WHERE name = 'again';
SELECT count(*) FROM prism.consume('edited', 'again') m;
SELECT prism.seek('edited', 'again', 'earliest') IS NOT NULL AS moved;
SELECT count(prism.ack(m)) FROM prism.consume('edited', 'again', 1) m;
-- One that a group has is left out, also for a group that is made by consuming.
SELECT count(prism.ack(m)) FROM prism.consume('edited', 'further', 3) m;
SELECT group_id > :first_id + 1 AS next_number FROM prism.consumer_group WHERE name = 'further';
SELECT consumer_group, lag_messages FROM prism.groups WHERE topic = 'edited' ORDER BY 1;
SELECT prism.drop_namespace('edited');
SELECT setval('prism.group_number', :made + 1) > 0 AS set_back;
