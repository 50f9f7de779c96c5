-- Each key of prism.config_keys by itself: what is none of its values, both spellings, its bounds; then what options mean together.
-- prism.check() looks at words and shape alone; the view is what it reads by.
\pset format unaligned
\pset tuples_only on

-- A document in which a key has a value: the maps on the way to it, what they require, and the word with which the key may stand.
CREATE FUNCTION pg_temp.document(key text, value text, spelling text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    parts text[] := string_to_array(key, '.');
    inner_text text := format('%s: %s', coalesce(spelling, parts[array_upper(parts, 1)]), value);
    outer_key text;
    chosen text;
BEGIN
    FOR depth IN REVERSE array_upper(parts, 1) .. 1 LOOP
        -- what must stand beside it
        SELECT k.only_with[1] INTO chosen FROM prism.config_keys k WHERE k.key = array_to_string(parts[1:depth], '.');
        outer_key := array_to_string(parts[1:depth - 1], '.');
        inner_text := CASE
            WHEN outer_key = 'patterns' AND parts[depth] <> 'type' THEN format('type: %s, ', coalesce(chosen, 'outbox'))
            WHEN outer_key = 'backend' AND chosen IS NOT NULL THEN format('type: %s, ', chosen)
            WHEN outer_key IN ('patterns.consumers', 'cdc.consumers') AND parts[depth] <> 'type' THEN 'type: cache_invalidator, '
            WHEN outer_key = 'consumers' AND parts[depth] <> 'group' THEN 'group: g, '
            WHEN outer_key = '' AND parts[depth] NOT IN ('name', 'namespaces') THEN 'name: a, '
            ELSE '' END || inner_text;
        IF depth > 1 THEN
            inner_text := parts[depth - 1] || ': ' || CASE
                WHEN (SELECT k.type FROM prism.config_keys k WHERE k.key = outer_key) = 'list of maps' THEN format('[{%s}]', inner_text)
                ELSE format('{%s}', inner_text) END;
        END IF;
    END LOOP;
    RETURN format('{%s}', inner_text);
END
$$;
-- The first thing that is wrong with it: 'ok', or its code, whether the message names the key, and whether the detail says what it takes.
CREATE FUNCTION pg_temp.answer(config text) RETURNS text LANGUAGE sql AS
$$ SELECT coalesce((SELECT code || ' ' || message FROM prism.check(config) ORDER BY line, "column" LIMIT 1), 'ok') $$;
CREATE FUNCTION pg_temp.is_known(config text, key text) RETURNS boolean LANGUAGE sql AS
$$ SELECT pg_temp.answer(config) !~ 'unknown key|has no meaning|is missing' $$;

SELECT pg_temp.document('needs.cleanup.ttl', '5'), pg_temp.document('patterns.threshold', '5'), pg_temp.document('patterns.publisher.interval', '5'), pg_temp.document('backend.partitions', '5'),
    pg_temp.document('patterns.consumers.name', 'n'), pg_temp.document('cdc.consumers.name', 'n'), pg_temp.document('consumers.lease', '5'), pg_temp.document('name', 'n');

-- No value, an empty one and one of the wrong kind are refused for each key, and the message names it.
CREATE TEMP TABLE wrong AS
SELECT k.key, k.type, v.value, pg_temp.answer(pg_temp.document(k.key, v.value)) AS answer
FROM prism.config_keys k, (VALUES ('~'), (''), ('""'), ('[[a]]'), ('{a: {b: c}}'), ('"no such word"'), ('-1'), ('1.5'), ('1_000'), ('99999999999999999999'), ('claim-check'), ('"\x07\u2028"')) AS v(value)
WHERE k.key NOT IN ('namespaces') AND k.type NOT IN ('text');
SELECT key, value, answer FROM wrong WHERE answer = 'ok' OR answer !~ '^22023 ' ORDER BY 1, 2;
SELECT count(*) > 600 AS many, count(DISTINCT key) > 70 AS keys FROM wrong;
-- Only a map that has such a key may say so of another one.
SELECT DISTINCT type FROM wrong WHERE answer ~ 'unknown key' ORDER BY 1;
SELECT key, value, answer FROM wrong WHERE answer !~ 'unknown key' AND answer !~ ('"' || replace(key, '.', '[.](.*[.])?') || '') AND position(replace(key, '.', '.') IN answer) = 0 ORDER BY 1, 2 LIMIT 20;
-- Text has a value, too.
SELECT DISTINCT pg_temp.answer(pg_temp.document(key, value)) ~ '^22023 .*(has no value|invalid value for|must not be a list|must not be a map)' FROM prism.config_keys, unnest(ARRAY['~', '""', '[a]', '{a: b}']) AS value
WHERE type = 'text';

-- Each word of each key is taken by the grammar, be it that what it stands for is not there yet, and both spellings of a key; together they are one key twice.
SELECT key, word, pg_temp.answer(pg_temp.document(key, CASE type WHEN 'list of words' THEN format('[%s]', word) ELSE word END)) FROM prism.config_keys, unnest(words || later_words) AS word
WHERE NOT pg_temp.is_known(pg_temp.document(key, CASE type WHEN 'list of words' THEN format('[%s]', word) ELSE word END), key)
    OR pg_temp.answer(pg_temp.document(key, CASE type WHEN 'list of words' THEN format('[%s]', word) ELSE word END)) ~ 'invalid value|invalid entry';
SELECT key, synonym, pg_temp.answer(pg_temp.document(key, CASE type WHEN 'word' THEN words[1] WHEN 'size' THEN '1MB' ELSE 'a' END, synonym)),
    pg_temp.answer(replace(pg_temp.document(key, 'VALUE', synonym), synonym || ': VALUE', format('%s: %s, %s: %2$s', key_name, CASE type WHEN 'word' THEN words[1] WHEN 'size' THEN '1MB' ELSE 'a' END, synonym)))
FROM prism.config_keys, substring(key FROM '[^.]*$') AS key_name WHERE synonym IS NOT NULL ORDER BY 1;

-- Numbers at their bounds are taken, beyond them refused.
CREATE FUNCTION pg_temp.at(key text, type text, unit text, value bigint) RETURNS text LANGUAGE sql AS
$$ SELECT CASE WHEN pg_temp.answer(pg_temp.document(key, CASE WHEN type LIKE 'list%' THEN '[' ELSE '' END || value || CASE unit WHEN 'bytes' THEN 'B' ELSE coalesce(unit, '') END || CASE WHEN type LIKE 'list%' THEN ']' ELSE '' END))
    ~ 'invalid (value|entry)' THEN 'refused' ELSE 'taken' END $$;
SELECT key, minimum, maximum, pg_temp.at(key, type, unit, minimum - 1), pg_temp.at(key, type, unit, minimum), pg_temp.at(key, type, unit, maximum), pg_temp.at(key, type, unit, maximum + 1)
FROM prism.config_keys WHERE minimum IS NOT NULL AND key <> 'needs.max_message_size' AND coalesce(maximum, 0) < 9223372036854775807
    AND (pg_temp.at(key, type, unit, minimum - 1), pg_temp.at(key, type, unit, minimum), pg_temp.at(key, type, unit, maximum), pg_temp.at(key, type, unit, coalesce(maximum + 1, -1))) <> ('refused', 'taken', 'taken', 'refused');
SELECT count(*) > 15 AS bounds FROM prism.config_keys WHERE minimum IS NOT NULL;

-- A mebibyte of each is refused, and told in a line.
SELECT count(*) > 70 AS keys, max(length(answer)) < 200 AS short, bool_and(answer ~ '^(22023|42622|54000) ') AS refused
FROM (SELECT pg_temp.answer(pg_temp.document(key, CASE WHEN type LIKE 'list of %' AND type <> 'list of maps' THEN '[' || repeat('x', 1040000) || ']' ELSE repeat('x', 1040000) END)) AS answer
    FROM prism.config_keys WHERE key NOT IN ('namespaces') AND only_with IS DISTINCT FROM '{outbox}' AND key NOT IN ('backend.server', 'backend.database', 'backend.topic_prefix', 'cdc.source.database', 'patterns.source.database')) AS a;

-- What says nothing without a pattern that is not built is not available: this list gets shorter as patterns come.
SELECT string_agg(key, ' ' ORDER BY key) FROM prism.config_keys WHERE NOT available AND key !~ '^(cache|cdc)[.]|[.].*[.]';
SELECT key, words, later_words FROM prism.config_keys WHERE later_words IS NOT NULL AND key !~ '^cdc[.]' ORDER BY 1;

-- What options mean together.
CREATE FUNCTION pg_temp.complaints(config text) RETURNS text LANGUAGE sql AS
$$ SELECT coalesce((SELECT string_agg(concat_ws(' / ', format('%s:%s %s %s', line, "column", code, message), hint), E'\n  ' ORDER BY line, "column") FROM prism.check(config)), 'ok') $$;
CREATE FUNCTION pg_temp.pattern(options text) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.complaints(format('{name: a, client_api: reader, patterns: [{%s}]}', options)) $$;
-- A storage in one place or another; halves of a map here and there; what stands beside it, belongs to it.
SELECT options, pg_temp.complaints(format('{name: a, patterns: [{type: claim-check, %s}]}', options)) FROM unnest(ARRAY['storage: s3, bucket: videos, prefix: new/', 'bucket: videos, storage: s3', 'bucket: videos',
    'storage: {backend: s3, bucket: videos}, prefix: new/', 'storage: {bucket: videos}, config: {storage: s3, prefix: new/}', 'storage: s3, config: {storage: {bucket: videos}}',
    'storage: {bucket: videos}, bucket: others', 'bucket: others, storage: {bucket: videos}', 'prefix: a, config: {prefix: b}', 'storage: s3, config: {storage: {backend: s3}}', 'storage: s3, config: {storage: s3}',
    'storage: kafka', 'storage: {backend: s3, buckets: x}', 'storage: postgres, bucket: videos', 'storage: postgres, server: x', 'storage: {backend: postgres, server: x}', 'bucket: Videos', 'bucket: v', 'bucket: a/b',
    'prefix: /new', 'prefix: a/../b', 'prefix: "new videos/"', 'storage: [s3]', 'storage: ~', 'threshold: 512MB', 'threshold: 513MB', 'threshold: ">1MB"', 'metadata_field: "claim check"', 'on_full: reject', 'max_pending: 10GB, on_full: reject',
    'cleanup: on_consume', 'cleanup: {strategy: never, ttl: 7days}', 'cleanup: {ttl: 7days}', 'cleanup: {strategy: on_consume, ttl: 604800}', 'cleanup: {strategy: on_consume}, config: {cleanup: {ttl: 1day}}', 'ttl: 900', 'after: 1day']) AS options;
SELECT options, pg_temp.complaints(format('{name: a, patterns: [{type: tiered-storage, %s}]}', options)) FROM unnest(ARRAY['storage: s3, bucket: archive, after: 1day', 'after: 0', 'threshold: 1MB']) AS options;
SELECT options, pg_temp.pattern(options) FROM unnest(ARRAY['type: cache, strategy: look-aside, backend: redis, ttl: 900, key_pattern: "user:{id}:profile"', 'type: cache, strategy: look_aside', 'type: cache, backend: kafka', 'type: cache, ttl: 0',
    'type: cache, key_pattern: "users"', 'type: cache, key_pattern: "{id"', 'type: cache, key_pattern: "id}"', 'type: cache, key_pattern: "{}"', 'type: cache, key_pattern: "{{id}}"', 'type: cache, key_pattern: "{{{id}}}"',
    'type: cdc, operations: [INSERT, UPDATE, DELETE]', 'type: cdc, operations: [UPDATE, UPDATE]', 'type: cdc, operations: [update]', 'type: cdc, operations: []', 'type: cdc, operations: UPDATE', 'type: cdc, operations: [INSERT, UPDATE, DELETE, INSERT]',
    'type: cdc, tables: [a, b, a]', 'type: cdc, tables: [~]', 'type: cdc, tables: []', 'type: cdc, source: {table: a}, tables: [b]', 'type: cdc, source: postgres', 'type: cdc, source: kafka', 'type: cdc, source: {backend: postgres, database: elsewhere}',
    'type: cdc, destination: kafka, topic: t', 'type: cdc, destination: kafka, sink: {topic: t}', 'type: cdc, destination: kafka, sink: kafka', 'type: cdc, sink: {backend: kafka, topic: t}, topic: u', 'type: cdc, destination: elsewhere',
    'type: cdc, destination: cache_invalidator', 'type: cdc, destination: cache_invalidator, consumers: [cache_invalidator]', 'type: cdc, destination: cache_invalidator, consumers: [{type: cache_invalidator, name: another}]',
    'type: cdc, consumers: [{name: a}]', 'type: cdc, consumers: [{name: a, type: cache_invalidator}, {name: a, type: cache_invalidator}]', 'type: cdc, consumers: [{type: cache_invalidator, key_extractor: user}]', 'type: cdc, consumers: [other]']) AS options;
-- A map of the namespace is the pattern in other words: given both, it is given twice; a synonym is the pattern itself.
SELECT pg_temp.complaints(E'name: a\nclient_api: reader\ncdc: {destination: kafka}\ncache: {backend: redis}');
SELECT pg_temp.complaints(E'name: a\nclient_api: reader\npatterns: [cdc]\ncdc: {enabled: true}');
SELECT pg_temp.complaints(E'name: a\nclient_api: reader\ncache: {enabled: false}\npatterns: [cache]');
SELECT pg_temp.complaints('{name: a, client_api: transact, patterns: [event-sourcing, materialized-views]}');
SELECT pg_temp.complaints('{name: a, client_api: transact, patterns: [event-store, event-sourcing]}');
SELECT pg_temp.complaints('{name: a, patterns: [{type: event-sourcing, threshold: 1MB}]}');
SELECT pg_temp.complaints('{name: a, cdc: {enabled: false, tables: [t]}, cache: {enabled: false}}');
SELECT pg_temp.complaints('{name: a, cdc: {type: cdc}}');
SELECT pg_temp.complaints('{name: a, cdc: {config: {tables: [t]}}}');
SELECT pg_temp.complaints('{name: a, cdc: true, cache: false}');
SELECT pg_temp.complaints('{name: a, cdc: kafka}');
SELECT pg_temp.complaints('{name: a, cdc: ~}');
-- A key with a dot is a key in a map.
SELECT pg_temp.complaints(E'name: a\ncdc.enabled: true');
SELECT pg_temp.complaints(E'name: a\ncache.ttl: 900\nneeds.write_rps: 5000\nneeds.cleanup: {ttl: 5}\nneeds.nothing: 1\nnothing.at: 1\nname.of: b');
SELECT pg_temp.complaints(E'name: a\npatterns:\n  - type: claim-check\n    storage.backend: s3');

-- What is given is stored by the table of keys, numbers in the unit that the key's name says; nothing else is.
SELECT action FROM prism.apply(format('{name: keys_stored, backend: {type: postgres, database: %I}, patterns: [{type: outbox, database: postgres, table: keys_stored, config: {publisher: {interval: 100 ms}}}, {type: tiered-storage, enabled: false, after: 1day}]}', current_database())) LIMIT 1;
SELECT config -> 'patterns' FROM prism.namespaces WHERE namespace = 'keys_stored';
SELECT prism.drop_namespace('keys_stored');
SELECT replace(pg_temp.complaints('{name: a, backend: {database: elsewhere}}'), current_database(), 'this_database');
DO $$ BEGIN PERFORM prism.plan('{name: a, backend: {database: elsewhere}}'); EXCEPTION WHEN invalid_parameter_value THEN RAISE NOTICE '%', SQLERRM; END $$;
