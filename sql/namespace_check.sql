-- All that is wrong with a configuration is told at once: by prism.check() as rows, by plan() and apply() as one error.
\pset format unaligned
\pset null -
SET client_min_messages = warning;

-- Nothing is wrong.
SELECT * FROM prism.check('name: a');
SELECT * FROM prism.check('{namespaces: [{name: a, patterns: [{type: outbox, table: t}]}, {name: b, backend: memory}]}');

-- Mistakes of all kinds; a namespace of which the words are wrong is asked nothing more, the others are.
CREATE TEMP TABLE document AS SELECT $$namespaces:
  - nme: orders
    needs: {replay: sometimes}
  - name: events
    needs:
      max_backlog: 10
      on_full: reject
    consumers:
      - {group: billing, max_attempts: many, ordering: kye}
      - {group: billing, lease: 5 fortnights}
  - name: queue
    client_api: durable-queue
    needs: {durability: relaxed, max_backlog: 10}
    consumers: [{group: a}, {group: b}, {group: a}]
  - name: grüße
    backend: {type: memory, brokers: [a], topic: "ü", nobody: "ü"}
  - name: switched
    patterns: [{type: wal, enabled: false}, {type: outbox, enabled: false}]
    needs: {durability: strong, replay: enabled, consistency: strong}
  - name: twice
  - {name: twice}
  - {name: other, backend: {topic: twice}}
  - just-text
$$ AS config;
SELECT * FROM prism.check((SELECT config FROM document));
SELECT prism.plan(config) FROM document;
SELECT prism.apply(config) FROM document;

-- Two are two, and one is what it always was.
SELECT prism.plan(E'name: a\nneeds: {replay: x, ordered: 1}');
SELECT prism.plan(E'name: a\nneeds: {replay: x}');
SELECT prism.plan(E'name: a\nnames: b');

-- One mistake is told once.
CREATE FUNCTION pg_temp.wrong(config text) RETURNS TABLE (place text, told text) LANGUAGE sql AS
$$ SELECT concat_ws(':', line, "column"), concat_ws(' ', code, message, '[' || hint || ']') FROM prism.check(config) $$;
SELECT * FROM pg_temp.wrong('{name: a, patterns: [{type: outbux, table: t, publisher: {interval: 1s}, config: {what: 1}}]}');
SELECT * FROM pg_temp.wrong('{name: a, patterns: [{table: t, publisher: {interval: 1s}}]}');
SELECT * FROM pg_temp.wrong('{name: a, patterns: [{type: [a], enabled: perhaps, table: t}]}');
SELECT * FROM pg_temp.wrong('{name: a, backend: {type: kafak, brokers: [a], topic: [x]}}');
SELECT * FROM pg_temp.wrong('{name: a, backend: kafak, needs: [x]}');
SELECT * FROM pg_temp.wrong('{name: [a], needs: {ordered: maybe}}');
SELECT * FROM pg_temp.wrong('{nam: a, needs: {ordered: maybe}}');
SELECT * FROM pg_temp.wrong('{name: , consumers: [{grop: a}, {grop: b, group: c}, {lease: 1s}, g]}');
SELECT * FROM pg_temp.wrong('{name: a, namespace: b, name: c, needs: {replay: x, replay: y}}');
SELECT * FROM pg_temp.wrong('{name: a, needs: {ordered: true, ordered: false}, patterns: [outbox, outbox, outbox, wal]}');
SELECT * FROM pg_temp.wrong('{name: a, patterns: [wal, outbox, wal, outbox]}');
SELECT * FROM pg_temp.wrong('{name: "a b", backend: {topic_prefix: "x y", type: memory}}');
SELECT * FROM pg_temp.wrong('{name: ' || repeat('n', 300) || ', patterns: [{type: outbox, table: ' || repeat('t', 64) || '}], consumers: [{group: ' || repeat('g', 1000) || '}]}');
SELECT * FROM pg_temp.wrong('{name: a, backend: {type: kafka, server: s, brokers: ["a:b", c, "d:99999"]}}');
SELECT * FROM pg_temp.wrong('{namespaces: [{name: a}], namespace: b, nmespaces: c}');
SELECT * FROM pg_temp.wrong('{namespaces: [{name: a, backend: {topic: t}, patterns: [{type: outbox, table: v}]}, {name: b, backend: {topic: t}, patterns: [{type: outbox, table: v}]}, {name: b}, {name: c, patterns: [{type: outbox, table: v}]}]}');
SELECT * FROM pg_temp.wrong('{namespaces: []}');
SELECT * FROM pg_temp.wrong('{namespaces: {name: a}}');

-- What is no YAML ends the reading; what is wrong before it is not known then, but for keys that are given twice.
SELECT * FROM pg_temp.wrong('');
SELECT * FROM pg_temp.wrong('text');
SELECT * FROM pg_temp.wrong(E'name: a\nnedes: 1\nname: b\nneeds: [');
SELECT * FROM pg_temp.wrong(E'name: a\n---\nname: b');
SELECT * FROM pg_temp.wrong(E'name: "a\\0b"');
SELECT * FROM pg_temp.wrong('name: *a');
SELECT * FROM pg_temp.wrong(E'name: a\x01');
SELECT * FROM pg_temp.wrong(repeat('[', 1000));
SELECT * FROM pg_temp.wrong(repeat('x', 1024 * 1024 + 1));
SELECT * FROM pg_temp.wrong('a: [' || repeat('a,', 500000) || ']');
SELECT * FROM pg_temp.wrong((SELECT string_agg('%TAG !a' || i || '! tag:a', E'\n') FROM generate_series(1, 17) i) || E'\n---\nname: a');

-- Columns count characters, lines end as editors end them.
SELECT * FROM pg_temp.wrong(E'name: a # äöü\r\nneeds: {"ä": "😀", x: 1} # ü\r\n\r\ncache: [ü]\r\nx: y');

SELECT * FROM pg_temp.wrong(U&'\FEFFnme: a');

-- After a hundred there is an end: the first ones that were found, and that there are more.
CREATE TEMP TABLE many AS SELECT 'namespaces: [' || repeat('a,', 99990) || ']' AS config;
SELECT count(*), min("column"), max("column"), count(*) FILTER (WHERE line IS NULL) FROM many, prism.check(config);
SELECT line, "column", code, message, hint, detail FROM many, prism.check(config) OFFSET 99;
DO $$
DECLARE
    detail text;
BEGIN
    PERFORM prism.plan(config) FROM many;
EXCEPTION WHEN invalid_parameter_value THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RAISE WARNING '% lines, % mistakes, the last line: "%"', regexp_count(detail, E'\n') + 1, regexp_count(detail, '(?n)^line '), substring(detail FROM '[^\n]*$');
END
$$;
SELECT count(*) FROM prism.check('{namespaces: [' || (SELECT string_agg(format('{name: n%s, x: 1}', i), ',') FROM generate_series(1, 100) i) || ']}');
SELECT count(*) FROM prism.check('{namespaces: [' || (SELECT string_agg(format('{name: n%s, x: 1}', i), ',') FROM generate_series(1, 101) i) || ']}');
SELECT count(*), max(message) FROM prism.check('{namespaces: [' || (SELECT string_agg('{name: n}', ',') FROM generate_series(1, 1000) i) || ']}');
-- A need that stands beside the needs.
SELECT line, message, hint FROM prism.check(E'name: a\nretention: 30days\nmessage_size: 5GB\ncleanup: {ttl: 5}');
-- A value that stands where its key should, or at another key.
SELECT line, message, hint FROM prism.check(E'name: a\npattern: outbox\nneeds:\n  exactly_once: true\n  durability: at_least_once\nbackend: none\nmemory: {}');
-- Each that is too many is told once, in no time.
SELECT count(*), max(message) FROM prism.check('{name: a, patterns: [wal, outbox, wal, wal]}');
SELECT count(*), min(message) FROM prism.check('{name: a, patterns: [' || repeat('claim-check, outbox, ', 40000) || ']}');

-- An error leaves nothing behind of which a later call would tell.
DO $$
BEGIN
    PERFORM prism.plan(config) FROM document;
EXCEPTION WHEN invalid_parameter_value THEN
    RAISE WARNING '% and %', (SELECT count(*) FROM prism.check('name: a')), (SELECT count(*) FROM prism.check('nme: a'));
END
$$;
SELECT count(*) FROM document, prism.check(config) a, prism.check(replace(config, 'sometimes', 'always')) b;

-- Nothing is looked at but the text: no server, no database, nobody's rights, nothing that is there already.
SELECT * FROM prism.check('{name: a, backend: {type: kafka, server: nowhere}, patterns: [{type: outbox, database: elsewhere, table: topics}]}');
SELECT * FROM prism.check('{name: a, backend: {type: kafka, brokers: ["forbidden.example:9092"]}}');
CREATE ROLE regress_prism_check_nobody;
SET ROLE regress_prism_check_nobody;
BEGIN READ ONLY;
SELECT * FROM prism.check('nme: a');
COMMIT;
SELECT prism.plan('nme: a');
RESET ROLE;
DROP ROLE regress_prism_check_nobody;
SELECT provolatile, proparallel, proretset FROM pg_proc WHERE oid = 'prism.check(text)'::regprocedure;
SELECT * FROM prism.check(NULL);
