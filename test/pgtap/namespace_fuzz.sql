-- Whatever is given to plan(): it answers, or refuses with an error of its own that names the place; it loses no memory.
-- check() never throws, and tells the same of what does not depend on the database.
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT plan(13);

CREATE TEMP TABLE correct (number int, config text);
INSERT INTO correct VALUES
(1, E'namespaces:\n  - name: fuzz-a\n    client_api: pubsub\n    patterns:\n      - type: outbox\n        database: postgres\n        table: fuzz_outbox\n        publisher:\n          interval: 100ms\n          batch_size: 100\n    backend:\n      type: memory\n      topic: fuzz-topic\n      topic_prefix: fuzz\n'),
(2, E'namespaces:\n  - name: fuzz-b\n    pattern: queue      # comment\n\n    needs:\n      consistency: strong\n      delivery_guarantee: exactly_once\n      max_message_size: 1MB\n'),
(3, E'name: fuzz-c\npatterns:\n  - type: outbox\n    enabled: true\n    config:\n      table: "fuzz c"\n      publisher: {interval: 1s}\n  - type: tiered-storage\n    enabled: false\nobservability:\n  trace_patterns: true\n  pattern_metrics: false\n'),
(4, E'{name: fuzz-d, client_api: transact, backend: {type: kafka, brokers: [kafka-1:9092, "kafka-2"], partitions: 3, replication: 1}}'),
(5, E'namespaces: [{name: fuzz-e}, {name: fuzz-f, backend: {topic: fuzz-g}}]');

-- The specification's as well, where the project's own tests run this.
\if :{?rfc}
\set specified `cat :'rfc'/*.yaml :'rfc'/*.json | sed -e 's/^\(namespaces:\|name: migrated\|{\)/\x01&/'`
INSERT INTO correct SELECT 5 + row_number() OVER (ORDER BY i), config FROM regexp_split_to_table(:'specified', E'\x01') WITH ORDINALITY AS s(config, i) WHERE config ~ ':';
\endif

CREATE TEMP TABLE piece (text text);
INSERT INTO piece VALUES
('- '), (': '), (','), ('{'), ('}'), ('['), (']'), ('&a '), ('*a'), ('!!int '), ('!x '), ('|'), ('>'), ('"'), (''''), (E'\t'), (E'\n'),
(E'\n  '), (E'\n---\n'), (E'\n...\n'), ('%YAML 1.1'), ('~'), ('null'), ('<<: '), ('? '), ('#'), ('\\'), (E'"\\0"'), (E'"\\x07\\u2028"'), (E'\u00e9'),
(E'\u2028'), (E'\U0001F600'), (E'\x07'), (E'\x7f'), (E'\r'), ('-1'), ('0'), ('99999999999999999999'), ('1e400'), ('5GB'), ('true'), ('outbox'), ('claim-check'),
('name: '), ('type: '), ('needs: '), ('retention: 1'), ('backend: kafka'), ('fuzz-a'), (repeat('x', 300)), (repeat('[', 40)), (repeat('{a: ', 40));

-- Some characters go, come from elsewhere in the text, or from the list of pieces.
CREATE FUNCTION pg_temp.mutated(config text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    at int;
    pieces text[] := ARRAY(SELECT text FROM piece ORDER BY 1);
BEGIN
    FOR i IN 1 .. 1 + floor(random() * 3)::int LOOP
        at := 1 + floor(random() * length(config))::int;
        config := CASE floor(random() * 4)::int
            WHEN 0 THEN overlay(config PLACING '' FROM at FOR 1 + floor(random() * 8)::int)
            WHEN 1 THEN overlay(config PLACING substr(config, 1 + floor(random() * length(config))::int, floor(random() * 20)::int) FROM at FOR 0)
            ELSE overlay(config PLACING pieces[1 + floor(random() * array_length(pieces, 1))::int] FROM at FOR floor(random() * 2)::int)
        END;
    END LOOP;
    RETURN config;
END
$$;

CREATE TEMP TABLE answer (number int, config text, state text, message text, detail text, context text);
CREATE TEMP TABLE checked (number int, config text, mistakes int, line int, "column" int, code text, message text, sorted boolean);
-- The check comes first, and outside of the block that catches errors: its own would end the test.
CREATE FUNCTION pg_temp.ask(number int, config text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    message text;
    detail text;
    context text;
BEGIN
    INSERT INTO checked
    SELECT ask.number, ask.config, count(*), min(c.line) FILTER (WHERE c.place_number = 1), min(c."column") FILTER (WHERE c.place_number = 1),
        min(c.code) FILTER (WHERE c.place_number = 1), min(c.message) FILTER (WHERE c.place_number = 1), coalesce(bool_and(c.place >= c.before), true)
    FROM (SELECT *, (line, "column") AS place, lag((line, "column")) OVER (ORDER BY place_number) AS before
          FROM prism.check(ask.config) WITH ORDINALITY AS c(line, "column", code, message, hint, detail, place_number)) c;
    BEGIN
        PERFORM * FROM prism.plan(config);
        INSERT INTO answer VALUES (number, config, '00000');
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, context = PG_EXCEPTION_CONTEXT;
        INSERT INTO answer VALUES (number, config, SQLSTATE, message, detail, context);
    END;
END
$$;

DO $$
BEGIN
    PERFORM setseed(0.14);
    FOR i IN 1 .. 10000 LOOP
        PERFORM pg_temp.ask(i, pg_temp.mutated(config)) FROM correct WHERE number = 1 + i % (SELECT count(*) FROM correct)::int;
    END LOOP;
END
$$;

SELECT is((SELECT count(*) FROM answer), 10000::bigint, 'every configuration gets an answer');
SELECT cmp_ok((SELECT count(*) FROM answer WHERE state = '00000'), '>', 200::bigint, 'some of them are correct');
SELECT is_empty(
    $$ SELECT state, count(*), min(message), min(config) FROM answer
       WHERE state NOT IN ('00000', '22023', '0A000', '42704', '42P07', '42622', 'PR001', 'PR002', 'PR003') GROUP BY 1 $$,
    'no error is an internal one');
SELECT is_empty(
    $$ SELECT message, config FROM answer
       WHERE state <> '00000' AND context !~ '^line [1-9]\d*, column [1-9]\d* of the configuration\n'
       AND message NOT IN ('configuration is empty') LIMIT 5 $$,
    'every error names the place');
SELECT is_empty(
    $$ SELECT message, config FROM answer WHERE message ~ '[\x01-\x1f\x7f]' LIMIT 5 $$,
    'no error carries control characters of the input');

-- plan() also looks at servers, the database's name and names that are taken: their errors may come first, and check() does not know them.
CREATE TEMP VIEW compared AS
SELECT a.config, a.state, a.message, a.context, a.detail, c.mistakes, c.line, c."column", c.code, c.message AS told,
    a.state = c.code AND a.message = c.message AND a.context LIKE CASE WHEN c.line IS NULL THEN '%' ELSE format('line %s, column %s of the configuration%%', c.line, c."column") END AS same,
    a.state IN ('42704', '42P07', '42710') OR a.message LIKE 'outbox cannot be in database%' AS of_the_database
FROM answer a JOIN checked c USING (number, config);
SELECT is_empty(
    $$ SELECT * FROM compared WHERE mistakes > 0 AND NOT coalesce(same, false)
       AND NOT (of_the_database AND detail LIKE format('%%line %s, column %s: %s%%', line, "column", replace(replace(told, '\', '\\'), '%', '\%'))) LIMIT 5 $$,
    'what check() tells first, plan() tells as well, and first unless the database has something to say');
SELECT is_empty(
    $$ SELECT * FROM compared WHERE mistakes = 0 AND state <> '00000' AND NOT of_the_database LIMIT 5 $$,
    'of what check() says nothing, plan() says nothing but of the database');
SELECT is_empty($$ SELECT * FROM checked WHERE NOT sorted LIMIT 5 $$, 'mistakes are in the order of their places');
SELECT is((SELECT count(*) FROM compared), 10000::bigint, 'each of them has been compared');
SELECT cmp_ok((SELECT count(*) FROM checked WHERE mistakes > 1), '>', 200::bigint, 'there are documents with several mistakes');

-- Errors jump out of libyaml's parser; what it has allocated has to go.
CREATE FUNCTION pg_temp.resident_kb(which text DEFAULT 'VmRSS') RETURNS bigint LANGUAGE sql AS
$$ SELECT substring(pg_read_file('/proc/self/status') FROM which || ':\s+(\d+) kB')::bigint $$;
CREATE FUNCTION pg_temp.fail_often(times int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. times LOOP
        BEGIN
            PERFORM * FROM prism.plan('name: "' || repeat('x', 100000) || E'"\nneeds: [' || repeat('a, ', 1000) || '{');
        EXCEPTION WHEN invalid_parameter_value THEN
            NULL;
        END;
    END LOOP;
END
$$;
DO $$ BEGIN PERFORM pg_temp.fail_often(50); END $$;
CREATE TEMP TABLE before AS SELECT pg_temp.resident_kb() AS kb;
DO $$ BEGIN PERFORM pg_temp.fail_often(500); END $$;
SELECT cmp_ok(pg_temp.resident_kb() - (SELECT kb FROM before), '<', 8192::bigint, '500 errors of 100 kB each leave nothing behind');

-- However many mistakes there are, a hundred are kept; a list that is too long is not read to its end.
CREATE TEMP TABLE long AS SELECT 'namespaces: [' || repeat(part, 999999 / length(part)) || ']' AS config FROM unnest(ARRAY['a,', '{n},', '{a: 1},', '{name: n},', '{name: n, patterns: [{}]},']) part;
INSERT INTO long SELECT '{name: n, consumers: [' || repeat(part, 99000 / (1 + regexp_count(part, '[{:]'))) || ']}' FROM unnest(ARRAY['a,', '{},', '{group: g},']) part;
UPDATE before SET kb = pg_temp.resident_kb();
DO $$ BEGIN PERFORM count(c) FROM long, prism.check(config) c, generate_series(1, 10); END $$;
SELECT cmp_ok(pg_temp.resident_kb('VmHWM') - (SELECT kb FROM before), '<', 65536::bigint, '100,000 mistakes in a megabyte take less than 64 MB');
SELECT cmp_ok(pg_temp.resident_kb() - (SELECT kb FROM before), '<', 8192::bigint, 'and leave nothing behind');

SELECT * FROM finish();
ROLLBACK;
