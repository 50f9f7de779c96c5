-- Who may consume makes as many groups as he likes by naming them: a topic has a bound, and who looks at all of them
-- does not look at all of them for each.
SELECT action FROM prism.apply(E'namespaces:\n - {name: groups-test, client_api: queue}\n - {name: groups-other, client_api: queue}');
SELECT count(prism.create_group('groups-test', 'g' || n)) FROM generate_series(1, 999) AS n;
SELECT prism.publish('groups-test', 'x') IS NOT NULL AS published;
SELECT count(*) FROM prism.consume('groups-test', 'the last');
SELECT prism.create_group('groups-test', 'one more');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM prism.consume('groups-test', 'one more');
SELECT count(*) FROM prism.consume('groups-test', 'g7');
SELECT count(*) FROM prism.consume('groups-other', 'one more');
SELECT prism.drop_group('groups-test', 'g8');
SELECT prism.create_group('groups-test', 'one more');

BEGIN;
SELECT count(*) FROM prism.groups WHERE topic LIKE 'groups-%';
SELECT seq_tup_read < 5 * 1001 AS looked_at_once FROM pg_stat_xact_all_tables WHERE relid = 'prism.consumer_group'::regclass;
COMMIT;

-- A name that is too long by a part of its last character is not the name before it.
SELECT prism.create_group('groups-other', repeat('a', 249));
SELECT count(*) FROM prism.consume('groups-other', repeat('a', 249) || U&'\20AC');
\echo :LAST_ERROR_SQLSTATE
SELECT prism.ack('groups-other', repeat('a', 249) || U&'\20AC', '{1}');
\echo :LAST_ERROR_SQLSTATE
SELECT prism.drop_namespace(name, true) FROM (VALUES ('groups-test'), ('groups-other')) AS v(name);
