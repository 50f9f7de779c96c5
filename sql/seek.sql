-- prism.seek(): a group goes where it is sent, at commit.
SELECT action FROM prism.apply('{name: seek-test, client_api: queue}');
\set QUIET on
CREATE VIEW seek_state AS
    SELECT consumer_group, "position", in_flight, available, lag_messages FROM prism.groups WHERE topic = 'seek-test';
CREATE FUNCTION seek_refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' / ', SQLSTATE, SQLERRM, nullif(detail, ''), nullif(hint, ''));
END $$;
\set QUIET off
-- Five transactions: five times.
SELECT prism.publish('seek-test', 'm0') IS NOT NULL AS published;
SELECT prism.publish('seek-test', 'm1') IS NOT NULL AS published;
SELECT prism.publish('seek-test', 'm2') IS NOT NULL AS published;
SELECT prism.publish('seek-test', 'm3') IS NOT NULL AS published;
SELECT prism.publish('seek-test', 'm4') IS NOT NULL AS published;

-- Back and forth.
SELECT count(prism.ack(m)) FROM prism.consume('seek-test', 'work') AS m;
SELECT * FROM seek_state;
SELECT prism.seek('seek-test', 'work', 'earliest');
SELECT * FROM seek_state;
SELECT "position", convert_from(payload, 'UTF8'), attempt FROM prism.consume('seek-test', 'work', 2);
SELECT prism.seek('seek-test', 'work', 3);
SELECT "position", attempt, prism.ack(m) FROM prism.consume('seek-test', 'work') AS m;
SELECT prism.seek('seek-test', 'work', '1');
SELECT "position", attempt FROM prism.consume('seek-test', 'work', 1);
SELECT prism.seek('seek-test', 'work', 'latest');
SELECT count(*) FROM prism.consume('seek-test', 'work');
SELECT * FROM seek_state;
-- The end itself is a position; the first that is not is not.
SELECT prism.seek('seek-test', 'work', 5);

-- What was handed out before is nobody's lease any more: by id or by session, whether handed out again or not.
SELECT prism.seek('seek-test', 'work', 0);
SELECT lease_id AS former FROM prism.consume('seek-test', 'work', 1) \gset
SELECT prism.seek('seek-test', 'work', 0);
SELECT seek_refused('SELECT prism.ack(''seek-test'', ''work'', ''{0}'')');
SELECT seek_refused('SELECT prism.ack(''seek-test'', ''work'', ''{0}'', ARRAY[' || :former || '])') ~ '^55000 ' AS refused;
SELECT "position", attempt FROM prism.consume('seek-test', 'work', 1);
SELECT seek_refused('SELECT prism.ack(''seek-test'', ''work'', ''{0}'', ARRAY[' || :former || '])') ~ '^55000 ' AS refused;
SELECT prism.ack('seek-test', 'work', '{0}');

-- It is a part of the transaction: until its end nothing is different, and rolled back nothing was.
BEGIN;
SELECT prism.seek('seek-test', 'work', 4);
SELECT "position" FROM prism.consume('seek-test', 'work', 1);
SELECT prism.ack('seek-test', 'work', '{1}');
ROLLBACK;
SELECT * FROM seek_state;
-- The last one counts, a savepoint that is rolled back does not.
BEGIN;
SELECT prism.seek('seek-test', 'work', 0);
SELECT prism.seek('seek-test', 'work', 2);
SAVEPOINT s;
SELECT prism.seek('seek-test', 'work', 4);
ROLLBACK TO s;
SAVEPOINT t;
SELECT prism.seek('seek-test', 'work', 3);
RELEASE t;
SELECT prism.create_group('seek-test', 'other');
SELECT prism.seek('seek-test', 'other', 1);
COMMIT;
SELECT * FROM seek_state ORDER BY 1;
-- Acknowledged and moved in one transaction: the move counts.
BEGIN;
SELECT count(prism.ack(m)) FROM prism.consume('seek-test', 'other') AS m;
SELECT prism.seek('seek-test', 'other', 2);
COMMIT;
SELECT "position", attempt FROM prism.consume('seek-test', 'other');
-- Moved and dropped.
BEGIN;
SELECT prism.seek('seek-test', 'other', 0);
SELECT prism.drop_group('seek-test', 'other');
COMMIT;
SELECT prism.create_group('seek-test', 'other', 'latest');
SELECT * FROM seek_state ORDER BY 1;
SELECT prism.drop_group('seek-test', 'other');
BEGIN;
SELECT prism.seek('seek-test', 'work', 0);
PREPARE TRANSACTION 'seek-test';

-- A time: the first message of that time or later.
SELECT created_at AS at2 FROM prism.read('seek-test', 2, 1) \gset
SELECT prism.seek('seek-test', 'work', :'at2');
SELECT prism.seek('seek-test', 'work', (:'at2'::timestamptz + interval '1 microsecond')::text);
SELECT prism.seek('seek-test', 'work', (:'at2'::timestamptz - interval '1 year')::text);
SELECT prism.seek('seek-test', 'work', 'tomorrow');
SELECT prism.seek('seek-test', 'work', '-infinity');
SELECT prism.seek('seek-test', 'work', 'infinity');
SELECT prism.create_group('seek-test', 'timed', :'at2');
SELECT "position" FROM prism.consume('seek-test', 'timed', 1);

-- Of every message's time it is the first one that was published then or later, also within a transaction.
BEGIN;
SELECT count(prism.publish('seek-test', n::text)) FROM generate_series(1, 300) n;
COMMIT;
SELECT count(*), count(*) FILTER (WHERE prism.seek('seek-test', 'timed', m.created_at::text)
    <> (SELECT min(f."position") FROM prism.read('seek-test', NULL, 1000) f WHERE f.created_at >= m.created_at)) AS wrong
FROM prism.read('seek-test', NULL, 1000) m;
SELECT prism.seek('seek-test', 'timed', 2), prism.seek('seek-test', 'work', 5);

-- Refused.
SELECT seek_refused($$SELECT prism.seek('nowhere-test', 'work', 'latest')$$);
SELECT seek_refused($$SELECT prism.seek('seek-test', 'nobody', 'latest')$$);
SELECT seek_refused($$SELECT prism.seek('seek-test', '', 'latest')$$);
SELECT seek_refused($$SELECT prism.seek(NULL, 'work', 'latest')$$);
SELECT seek_refused($$SELECT prism.seek('seek-test', NULL, 'latest')$$);
SELECT seek_refused($$SELECT prism.seek('seek-test', 'work', NULL)$$);
SELECT seek_refused($$SELECT prism.seek('seek-test', 'work', NULL::bigint)$$);
SELECT seek_refused($$SELECT prism.seek('seek-test', 'work', -1)$$);
SELECT seek_refused($$SELECT prism.seek('seek-test', 'work', '-1')$$);
SELECT seek_refused($$SELECT prism.seek('seek-test', 'work', 306)$$);
SELECT seek_refused($$SELECT prism.seek('seek-test', 'work', 9223372036854775807)$$);
SELECT seek_refused($$SELECT prism.seek('seek-test', 'work', 'sometime')$$);
SELECT seek_refused($$SELECT prism.seek('seek-test', 'work', '')$$);
BEGIN READ ONLY;
SELECT seek_refused($$SELECT prism.seek('seek-test', 'work', 'latest')$$);
ROLLBACK;
SELECT * FROM seek_state ORDER BY 1;

\set QUIET on
DROP VIEW seek_state;
DROP FUNCTION seek_refused;
\set QUIET off
SELECT prism.drop_namespace('seek-test');
