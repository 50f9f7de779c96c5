# Small messages of a transaction share rows of the log: whatever is published, in whatever transactions and savepoints,
# comes back byte for byte, from every position, also from a damaged row (as an error) and after a restore.
use PrismTest;

my $seed = $ENV{PRISM_SEED} // int(rand(2**31));
note("PRISM_SEED=$seed");
shift_clock(0);
my $node = prism_node('main', conf => "prism.segment_messages = 1024\nprism.publish_buffer = 128kB\n");
sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

sql(q{SELECT prism.apply('namespaces: [{name: batch}]')});
sql(q{CREATE TABLE truth (n bigint GENERATED ALWAYS AS IDENTITY, id uuid, key text, headers jsonb, payload bytea)});
# One message: of no, few, about two thousand or many bytes, compressible or not.
sql(q{CREATE FUNCTION one() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	size int := (ARRAY[0, 1, 20, 126, 127, 400, 1990, 2001, 5000])[1 + floor(random() * 9)];
	bytes bytea := convert_to(CASE WHEN random() < 0.5 THEN repeat('x', size)
		ELSE (SELECT coalesce(left(string_agg(md5(random()::text), ''), size), '') FROM generate_series(1, size / 32 + 1)) END, 'UTF8');
	sent_key text := (ARRAY[NULL, '', 'k', repeat('k', 200)])[1 + floor(random() * 4)];
	sent_headers jsonb := (ARRAY[NULL, '{"a": "1"}', '{"a": "1"}', '{"b": "", "": "x", "c": "ü"}', NULL]::jsonb[])[1 + floor(random() * 5)];
BEGIN
	IF random() < 0.1 THEN sent_key := 'gone'; bytes := NULL; END IF;
	IF random() < 0.2 THEN sent_headers := jsonb_build_object('n', random()::text); END IF;
	INSERT INTO truth (id, key, headers, payload) VALUES (prism.publish('batch', bytes, sent_key, sent_headers), sent_key, sent_headers, bytes);
END $$});
# One transaction: some messages at each level, each savepoint kept or rolled back; now and then one looks at the outbox.
sql(q{CREATE FUNCTION publish_some(depth int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	kept boolean;
BEGIN
	FOR i IN 1 .. floor(random() * (ARRAY[2, 10, 80])[1 + floor(random() * 3)]) LOOP
		PERFORM one();
		IF depth < 3 AND random() < 0.1 THEN
			BEGIN
				PERFORM publish_some(depth + 1);
				IF random() < 0.4 THEN RAISE division_by_zero; END IF;
			EXCEPTION WHEN division_by_zero THEN NULL;
			END;
		END IF;
		IF random() < 0.01 AND (SELECT count(*) FROM prism.outbox WHERE topic = 'batch' AND "position" IS NULL) <>
			(SELECT count(*) FROM truth WHERE xmin::text::bigint >= pg_current_xact_id()::xid::text::bigint) THEN
			RAISE 'the outbox does not show what this transaction published';
		END IF;
	END LOOP;
END $$});
sql("SELECT setseed(" . ($seed % 1000) / 1000 . "); DO \$\$ BEGIN FOR i IN 1 .. 400 LOOP PERFORM publish_some(0); IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF; END LOOP; END \$\$");

my $count = sql('SELECT count(*) FROM truth');
cmp_ok($count, '>', 3000, "$count messages");
my $segments = sql(q{SELECT count(*) FROM prism.segment JOIN prism.topic USING (topic_id) WHERE name = 'batch'});
cmp_ok($segments, '>', 4, "in $segments segments");
sub rows { return sql(q{DO $$ DECLARE s record; n bigint; sum bigint := 0; BEGIN
	FOR s IN SELECT topic_id, segment_number FROM prism.segment JOIN prism.topic USING (topic_id) WHERE name = 'batch' LOOP
		EXECUTE format('SELECT count(*) FROM prism_log.topic_%s_%s', s.topic_id, s.segment_number) INTO n;
		sum := sum + n;
	END LOOP;
	PERFORM set_config('my.rows', sum::text, false); END $$; SELECT current_setting('my.rows')}); }
cmp_ok(rows(), '<', $count * 0.7, 'in fewer rows');

sub difference
{
	my ($from, $to) = @_;
	return qq{WITH log AS MATERIALIZED (SELECT row_number() OVER (ORDER BY "position") AS nth, id, key, headers, payload FROM prism.read('batch', NULL, 10000000)),
	sent AS (SELECT row_number() OVER (ORDER BY n) AS nth, id, key, headers, payload FROM truth)
	SELECT count(*) FROM ((TABLE log EXCEPT TABLE sent) UNION ALL (TABLE sent EXCEPT TABLE log)) d};
}
is(sql(difference()), 0, 'every message in its order, byte for byte');

# From any position: the same as the whole, cut there.
sql(q{CREATE TABLE log AS SELECT row_number() OVER (ORDER BY "position") AS nth, "position", id FROM prism.read('batch', NULL, 10000000)});
sql(q{CREATE INDEX ON log (nth)});
is(sql(q{SELECT count(*) FROM log AS first, LATERAL (SELECT array_agg(r.id ORDER BY r."position") AS ids FROM prism.read('batch', first."position", 3) r) AS seen
	WHERE seen.ids <> (SELECT array_agg(l.id ORDER BY l.nth) FROM log l WHERE l.nth BETWEEN first.nth AND first.nth + 2)}), 0, 'reading can begin anywhere');
is(sql(q{WITH log AS MATERIALIZED (SELECT "position" AS p, lead("position") OVER (ORDER BY "position") AS next FROM prism.read('batch', NULL, 10000000))
	SELECT count(*) FROM log WHERE next > p + 1 AND (SELECT r."position" FROM prism.read('batch', p + 1, 1) r) <> next}), 0, 'also in a gap');

# A consumer takes them one by one, three by three, and all.
sql(q{CREATE TABLE got (n bigint GENERATED ALWAYS AS IDENTITY, id uuid)});
sql(q{DO $$ BEGIN FOR i IN 1 .. 300 LOOP
	INSERT INTO got (id) SELECT m.id FROM (SELECT m.id, prism.ack(m) FROM prism.consume('batch', 'g', 1 + i % 3) m ORDER BY m."position") m;
	COMMIT; END LOOP; END $$});
sql(q{INSERT INTO got (id) SELECT m.id FROM (SELECT m.id, prism.ack(m) FROM prism.consume('batch', 'g', 4000) m ORDER BY m."position") m}) for 1 .. 3;
is(sql(q{SELECT count(*) FROM (SELECT id, row_number() OVER (ORDER BY n) AS nth FROM got) g
	FULL JOIN (SELECT id, row_number() OVER (ORDER BY n) AS nth FROM truth) t USING (nth) WHERE g.id <> t.id}), 0, 'consumers get them in order');

# A restore into a new database, and a restart.
sql('CREATE DATABASE restored');
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restored into another database');
is(sql(difference(), 'restored'), 0, 'the same there');
$node->restart;
is(sql(difference()), 0, 'and after a restart');

# Damage is an error of the statement, whatever bytes stand there.
my $topic = sql(q{SELECT topic_id FROM prism.topic WHERE name = 'batch'}, 'restored');
sql(qq{CREATE TABLE outcome (state text); DO \$\$
DECLARE
	segment text := 'prism_log.topic_${topic}_0';
	victim record;
	bytes bytea;
BEGIN
	EXECUTE format('SELECT "offset" AS at, payload FROM %s WHERE messages > 3 AND length(payload) < 4000 ORDER BY "offset" LIMIT 1', segment) INTO victim;
	FOR i IN 1 .. 1000 LOOP
		bytes := victim.payload;
		FOR j IN 0 .. floor(random() * 4) LOOP
			bytes := set_byte(bytes, floor(random() * length(bytes))::int, floor(random() * 256)::int);
		END LOOP;
		IF random() < 0.3 THEN bytes := substr(bytes, 1, floor(random() * length(bytes))::int); END IF;
		EXECUTE format('UPDATE %s SET payload = \$1 WHERE "offset" = \$2', segment) USING bytes, victim.at;
		BEGIN
			PERFORM count(*) FROM prism.read('batch', victim.at, 20);
			INSERT INTO outcome VALUES ('read');
		EXCEPTION WHEN data_corrupted OR character_not_in_repertoire THEN
			INSERT INTO outcome VALUES (SQLSTATE);
		END;
	END LOOP;
END \$\$}, 'restored');
is(sql(q{SELECT string_agg(DISTINCT state, ' ' ORDER BY state) FROM outcome WHERE state IN ('XX001', 'read')}, 'restored'), 'XX001 read', 'a damaged row is an error or wrong bytes, no accident');
my ($whole, $count_stored) = split /\|/, sql(qq{SELECT "offset", messages FROM prism_log.topic_${topic}_0 WHERE messages > 3 ORDER BY "offset" DESC LIMIT 1}, 'restored');
is(sql(qq{SELECT count(*) FROM prism.read('batch', $whole, $count_stored)}, 'restored'), $count_stored, 'another row is whole');
my $all = qq{SELECT md5(string_agg("position" || ' ' || id, ',' ORDER BY "position")) FROM prism.read('batch', $whole, 1000)};
is(sql(qq{BEGIN; UPDATE prism_log.topic_${topic}_0 SET messages = messages + 1 WHERE "offset" = $whole; $all; ROLLBACK}, 'restored'),
	sql($all, 'restored'), 'a row that claims a message too many hides and invents none');
for my $damage ((map { "messages = $_" } -1, 0, 2, $count_stored - 1, 2147483647), 'payload = NULL', q{payload = ''})
{
	my ($status, $out, $err) = $node->psql('restored', qq{\\set VERBOSITY verbose
		BEGIN; UPDATE prism_log.topic_${topic}_0 SET $damage WHERE "offset" = $whole; SELECT count(*) FROM prism.read('batch', $whole, 1000); ROLLBACK}, on_error_stop => 0);
	# where the row says less than its batch, the messages that both have are good
	my ($at) = $err =~ /XX001: message (\d+) of topic "batch" is damaged/;
	ok(defined $at && $at >= $whole && $at < $whole + $count_stored, "$damage: an error that says where") or diag($err);
}
is(log_count($node, 'PANIC|TRAP|terminated by signal'), 0, 'the server stays up');

# Retention goes by the times of rows: a row is as old as its first message.
sql(q{SELECT prism.apply('namespaces: [{name: slow}]')});
my $slow = $node->background_psql('postgres', on_error_stop => 1);
$slow->query_safe(q{BEGIN; SELECT prism.publish('slow', i::text) FROM generate_series(1, 5) i});
shift_clock(7200);
$slow->query_safe(q{SELECT prism.publish('slow', i::text) FROM generate_series(6, 10) i; COMMIT});
$slow->quit;
$topic = sql(q{SELECT topic_id FROM prism.topic WHERE name = 'slow'});
is(sql(qq{SELECT string_agg(messages::text, ' ' ORDER BY "offset") FROM prism_log.topic_${topic}_0}), '5 5', 'messages of different times have rows of their own');
is(sql(qq{SELECT string_agg(convert_from(payload, 'UTF8'), ' ' ORDER BY "position"), max(created_at) - min(created_at) > interval '2 hours' FROM prism.read('slow')}), '1 2 3 4 5 6 7 8 9 10|t', 'and their own time');

done_testing();
