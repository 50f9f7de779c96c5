# Payloads beside the log, below the claim check: rows of a page in tables of their own, written in the caller's
# transaction and read back from any byte on; tables are left, sealed and dropped, never too early, while publishers
# and readers are at work.
use PrismTest;

my $node = prism_node('main', conf => "prism.payload_segment = '1GB'\n");
payload_probe($node);
sub sql { return $node->safe_psql('postgres', shift); }
sub fails { my ($query) = @_; $node->psql('postgres', "\\set VERBOSITY verbose\n$query", stderr => \my $error); return $error; }
sub setting { my ($value) = @_; sql("ALTER SYSTEM SET prism.payload_segment = '$value'"); $node->reload; wait_for_value($node, "SHOW prism.payload_segment", $value); return; }
sub maintain { return maintain_until($node, @_); }
sub topic_id { my ($topic) = @_; return sql("SELECT topic_id FROM prism.topic WHERE name = '$topic'"); }
sub tables { my ($topic) = @_; return "SELECT coalesce(string_agg(segment_number || CASE WHEN sealed_end IS NULL THEN '' ELSE ' sealed' END, ', ' ORDER BY segment_number), 'none') FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = '$topic'"; }
my $noise = q{(SELECT string_agg(sha256(i::text::bytea), '') FROM generate_series(1, %d) i)};
sub noise { my ($bytes) = @_; return sprintf('substring(' . sprintf($noise, $bytes / 32 + 1) . ' for %d)', $bytes); }

# ---------- written and read ----------
sql(q{SELECT prism.apply('namespaces: [{name: t}, {name: other}]')});
my $id = '0197b0a4-0000-7000-8000-000000000001';
for my $case ([ 0, 1 ], [ 1, 1 ], [ 8107, 8107 ], [ 8108, 999 ], [ 8109, 8108 ], [ 32 * 8108, 8109 ], [ 32 * 8108 + 1, 1_000_000 ], [ 1_000_000, 77 ], [ 17_000_000, 1_048_576 ])
{
	my ($bytes, $piece) = @$case;
	is( sql("WITH p AS MATERIALIZED (SELECT gen_random_uuid() AS id, " . ($bytes ? noise($bytes) : "''::bytea") . " AS payload),"
			  . " w AS MATERIALIZED (SELECT *, probe.write('t', id, payload, piece => $piece, hash => true) AS segment FROM p)"
			  . " SELECT probe.read('t', id, segment) = payload, probe.extent('t', id) = CASE WHEN $bytes = 0 THEN '0 0 0' ELSE segment || ' 1 $bytes' END FROM w"),
		't|t', "$bytes bytes in pieces of $piece");
}
is(sql(q{SELECT bool_and(probe.sha256(p) = sha256(p)) FROM unnest(ARRAY['', 'abc', repeat('x', 100000)::bytea]) p}), 't', 'SHA-256');
is(sql(tables('t')), '1', 'all in one table');
sql("SELECT probe.write('t', '$id', " . noise(50_000) . ')');
is( sql("SELECT bool_and(probe.read('t', '$id', 1, 1, from_byte) = substring(" . noise(50_000) . " from from_byte::int + 1)), count(*)"
		  . " FROM unnest(ARRAY[0, 1, 8107, 8108, 8109, 16215, 16216, 49999, 50000]::bigint[]) from_byte"), 't|9', 'from any byte on');
is(sql("SELECT octet_length(probe.read('t', gen_random_uuid(), 1)), probe.read('t', '$id', 1, 2) IS NULL, probe.read('t', '$id', 2) IS NULL, probe.read('t', '$id', 9223372036854775807, 2147483647) IS NULL, probe.read('t', '$id', 1, 0) IS NULL"),
	'0|t|t|t|t', 'none of it; tables that are not there');
my $table = 'prism_log.topic_' . topic_id('t') . '_payload_1';
is(sql("SELECT max(c), bool_and(c <= 1) FROM (SELECT count(*) c FROM $table WHERE octet_length(bytes) = 8108 GROUP BY (ctid::text::point)[0]) x"), '1|t', 'a full row has a page');
is(sql("SELECT count(*) FROM pg_class WHERE oid = '$table'::regclass AND reltoastrelid <> 0 AND pg_relation_size(reltoastrelid) > 0"), 0, 'nothing lies out of line');
is(sql("SELECT attstorage, reloptions @> '{autovacuum_vacuum_insert_threshold=-1,vacuum_truncate=off}' FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid WHERE c.oid = '$table'::regclass AND attname = 'bytes'"), 'e|t', 'never compressed, and nothing that vacuum would do');

# ---------- several transactions, savepoints, who sees it ----------
my $stream = '0197b0a4-0000-7000-8000-000000000002';
sql("SELECT probe.write('t', '$stream', 'one')");
sql("SELECT probe.write('t', '$stream', '-two', at => 3)");
my $writer = $node->background_psql('postgres');
$writer->query_safe(qq{BEGIN; SELECT probe.write('t', '$stream', '-three', at => 7); SAVEPOINT s; SELECT probe.write('t', '$stream', '-never', at => 13); ROLLBACK TO s; SELECT probe.write('t', '$stream', '-four', at => 13)});
is(sql("SELECT convert_from(probe.read('t', '$stream', 1), 'UTF8')"), 'one-two', 'others see what is committed');
like($writer->query_safe("SELECT convert_from(probe.read('t', '$stream', 1), 'UTF8')"), qr/^one-two-three-four$/m, '... the transaction itself all but what it has rolled back');
$writer->query_safe('COMMIT');
is(sql("SELECT convert_from(probe.read('t', '$stream', 1), 'UTF8'), probe.extent('t', '$stream')"), 'one-two-three-four|1 1 18', '... and all when it has committed');
like(fails("SELECT probe.write('t', '$stream', 'x', at => 3)"), qr/23505: /, 'a byte that is there is not written again');
sql("SELECT probe.write('t', '$stream', 'x', at => 20)");
like(fails("SELECT probe.read('t', '$stream', 1)"), qr/bytes of it are missing/, 'a hole is told');
sql("SELECT probe.write('t', '$stream', 'xyz', at => 18)");
like(fails("SELECT probe.read('t', '$stream', 1)"), qr/bytes of it are there twice/, 'so is what is there twice');

# ---------- tables are made by the maintainer, by their store, and by size ----------
is(sql("SELECT probe.write('other', '$id', 'x', store => 5)"), 1, 'each topic has its own');
is(sql("SELECT probe.write('other', '$stream', 'x', store => 6)"), 2, 'another store has another table');
wait_for_value($node, tables('other'), '2');
pass('one that no message names goes');
sql(q{SELECT prism.publish('other', 'x'::text)});
is(sql("SELECT probe.write('other', gen_random_uuid(), 'x', store => 6)"), 2, 'which stays the current one');
setting('64kB');
sql('SELECT probe.write(\'other\', gen_random_uuid(), ' . noise(100_000) . ', store => 6)');
wait_for_value($node, tables('other'), '2 sealed, 3');
is(sql("SELECT probe.write('other', gen_random_uuid(), 'x', store => 6)"), 3, 'a full one is left for the next');
is(sql(q{BEGIN; SELECT count(*) FROM prism.apply('name: young'); SELECT probe.write('young', gen_random_uuid(), 'x'), probe.write('young', gen_random_uuid(), 'x'), probe.write('young', gen_random_uuid(), 'x', store => 2); COMMIT}), "1\n1|1|2", 'those of a topic that nobody else sees are made by who writes');
is(sql(q{SELECT probe.write('young', gen_random_uuid(), 'x', store => 2)}), 2, '... and used by others then');

# ---------- who opens the current one looks again when he has it: it may have been left by then ----------
sql($_) for q{SELECT prism.apply('name: left')}, q{SELECT probe.publish('left', 'x')}, 'CREATE TABLE opened (segment bigint)';
$writer->query_safe('BEGIN; LOCK TABLE prism_log.topic_' . topic_id('left') . '_payload_1');
my $late = $node->background_psql('postgres');
$late->query_until(qr/asks/, "\\echo asks\nINSERT INTO opened SELECT probe.write('left', gen_random_uuid(), 'late');\n");
wait_for_value($node, q{SELECT count(*) FROM pg_locks WHERE NOT granted AND relation::regclass::text LIKE '%payload_1'}, 1);
is(sql(q{SELECT probe.write('left', gen_random_uuid(), 'x', store => 9)}), 2, 'the table is left while somebody waits for it');
$writer->query_safe('COMMIT');
wait_for_value($node, 'SELECT segment FROM opened', 3);
pass('... who then writes to the next one of his store, as his would be sealed by now');
$late->quit;

# ---------- sealed only when nobody can have written a message that is not in the log yet ----------
sql(q{SELECT prism.apply('name: sealed')});
$writer->query_safe(q{BEGIN; SELECT probe.publish('sealed', 'waits')});
sql('SELECT probe.publish(\'sealed\', ' . noise(100_000) . ')');
wait_for_value($node, tables('sealed'), '1, 2');
maintain("SELECT true", 't');
sql('SELECT probe.publish(\'sealed\', ' . noise(100_000) . ')');
wait_for_value($node, tables('sealed'), '1, 2 sealed, 3');
pass('who has written to a table keeps it from being sealed to the end of his transaction, and no other table');
$writer->query_safe('COMMIT');
maintain(tables('sealed'), '1 sealed, 2 sealed, 3');
is(sql(q{SELECT sealed_end > (SELECT max("position") FROM prism.read('sealed') WHERE key LIKE '% 1') FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = 'sealed' AND segment_number = 1}), 't', 'behind his message');

sql($_) for q{SELECT prism.apply('name: pinned')}, q{SELECT prism.apply('name: witness')};
# The maintainer goes by the numbers of topics: when it has sealed a table of this one, it has looked at all before.
sub looked
{
	sql("SELECT probe.publish('witness', " . noise(100_000) . ')');
	return wait_for_value($node, q{SELECT bool_and(sealed_end IS NOT NULL) FROM prism.payload_segment s JOIN prism.topic USING (topic_id) WHERE name = 'witness'
		AND EXISTS (SELECT FROM prism.read('witness', 0, 1000) m WHERE split_part(m.key, ' ', 2)::bigint = segment_number)}, 't');
}
sql("SELECT probe.write('pinned', '$id', 'bytes'), probe.pin('pinned', '$id', 0)");
sql("SELECT probe.write('pinned', '$stream', " . noise(100_000) . "), probe.pin('pinned', '$stream', 1, 'd')");
wait_for_value($node, tables('pinned'), '1, 2');
is(sql("SELECT probe.unpin('$id')"), 's 1 mine', 'a pin says what it holds');
sql('SELECT probe.write(\'pinned\', gen_random_uuid(), ' . noise(100_000) . ')');
wait_for_value($node, tables('pinned'), '1, 3');
looked();
is(sql(tables('pinned')), '1, 3', 'what waits for its time is kept, what is behind it goes');
$writer->query_safe("BEGIN; SELECT probe.unpin('$stream'), prism.publish('pinned', '100000'::text, key => '$stream 1')");
looked();
is(sql(tables('pinned')), '1, 3', '... until who publishes it has committed');
$writer->query_safe('COMMIT');
maintain(tables('pinned'), '1 sealed, 3');
is(sql("SELECT sealed_end > (SELECT max(\"position\") FROM prism.read('pinned')) FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = 'pinned' AND segment_number = 1"), 't', 'behind his message');
sql("SELECT probe.pin('pinned', '$id', 0, 's', now() - interval '1 s'), probe.pin('pinned', '$stream', 0, 's', now() + interval '1 h')");
maintain("SELECT string_agg(payload_id::text, ' ') FROM prism.open_payload", $stream);
pass('a stream that has expired is given up');
sql("SELECT probe.unpin('$stream')");

# ---------- with the log ----------
sql(q{SELECT prism.apply('{name: small, needs: {retention: 1MB}}')});
sql('SELECT probe.publish(\'small\', ' . noise(100_000) . ')') for 1 .. 40;
my $disk = q{SELECT sum(pg_total_relation_size(format('prism_log.topic_%s_payload_%s', topic_id, segment_number))) FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = 'small'};
maintain("SELECT ($disk) < 2000000", 't');
is(sql(q{SELECT count(*) FROM probe.dangling('small')}), 0, 'payloads go with their messages, and count in what is kept of a topic');
cmp_ok(sql(q{SELECT count(*) FROM prism.read('small')}), '>', 3, '... no more than has to');

# ---------- before the log: consumed, or old ----------
sql(q{SELECT prism.apply('name: eaten'); SELECT prism.create_group('eaten', 'one', start => 'earliest'); SELECT prism.create_group('eaten', 'two', start => 'earliest')});
for my $number (1 .. 5)
{
	sql('SELECT probe.publish(\'eaten\', ' . noise(100_000) . ')');
	maintain("SELECT count(*) FILTER (WHERE sealed_end IS NOT NULL) FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = 'eaten'", $number);
}
sub clean { my ($how) = @_; my $times = 0; while (sql("SELECT probe.clean('eaten', $how)") eq 't') { $times++; } return $times; }
is(clean('true'), 0, 'what nobody has consumed stays');
sql(q{SELECT count(prism.ack(m)) FROM prism.consume('eaten', 'one') m});
is(clean('true'), 0, '... also when one of two groups has');
sql(q{SELECT count(prism.ack(m)) FROM prism.consume('eaten', 'two', 2) m});
is(clean('false'), 0, '... or when the cleanup does not ask for that');
is(clean('true'), 2, 'what both have finished goes');
is(sql(q{SELECT payload_cleaned = 2 FROM prism.topic WHERE name = 'eaten'}), 't', 'and the topic knows up to where');
is(sql(q{SELECT count(*) FROM probe.dangling('eaten')}), 0, 'no message that should have its payload has lost it');
is(sql(q{SELECT count(*) FROM prism.read('eaten')}), 5, 'messages stay');
is(clean('false, ttl_ms => 3600000'), 0, 'nothing is old');
is(clean('false, ttl_ms => 1'), 3, 'by age goes what nobody has consumed');
is(sql(tables('eaten')) =~ /sealed/ ? 1 : 0, 0, '... all of it');
is(sql(q{SELECT count(*) FROM probe.dangling('eaten')}), 0, '... and the topic knows that');

# ---------- somebody reads it ----------
sql(q{SELECT prism.apply('name: read'); SELECT prism.create_group('read', 'g')});
sql('SELECT probe.publish(\'read\', ' . noise(100_000) . ')') for 1 .. 2;
wait_for_value($node, tables('read'), '1 sealed, 2 sealed, 3');
$writer->query_safe(q{BEGIN; DECLARE c CURSOR FOR SELECT bytes FROM prism_log.topic_} . topic_id('read') . q{_payload_1; FETCH c});
is(sql(q{SELECT probe.clean('read', false, ttl_ms => 1)}), 't', 'a table that is read keeps no other one');
is(sql(q{SELECT probe.clean('read', false, ttl_ms => 1)}), 'f', '... and stays itself');
is(sql(tables('read')), '1 sealed, 3', '... until the next time');
$writer->query_safe('COMMIT');
is(sql(q{SELECT probe.clean('read', false, ttl_ms => 1)}), 't', '... when it goes');

# ---------- all at the same time ----------
my $script = PostgreSQL::Test::Utils::tempdir() . '/publish.sql';
sql(q{SELECT prism.apply('name: busy'); SELECT prism.create_group('busy', 'g', start => 'earliest')});
append_to_file($script, 'SELECT probe.publish(\'busy\', ' . noise(40_000) . ');');
my $consume = PostgreSQL::Test::Utils::tempdir() . '/consume.sql';
append_to_file($consume, q{SELECT count(prism.ack(m)), 1 / (count(*) = count(*) FILTER (WHERE octet_length(probe.read('busy', split_part(m.key, ' ', 1)::uuid, split_part(m.key, ' ', 2)::bigint)) = 40000))::int FROM prism.consume('busy', 'g') m;});
append_to_file($consume, q{SELECT probe.clean('busy', true);});
my @runs = map { IPC::Run::start([ 'pgbench', '-n', '-T', 8, '-c', $_->[0], '-f', $_->[1], $node->connstr('postgres') ], '>', \my $out, '2>', $_->[2]) }
	([ 4, $script, \my $publish_error ], [ 1, $consume, \my $consume_error ]);
$_->finish for @runs;
unlike($publish_error . $consume_error, qr/ERROR|aborted/, 'publishers and a consumer that cleans up, while tables are made, sealed and dropped') or diag $publish_error, $consume_error;
is(sql(q{SELECT count(*) FROM probe.dangling('busy')}), 0, 'no message has lost its payload');
cmp_ok(sql(q{SELECT payload_cleaned FROM prism.topic WHERE name = 'busy'}), '>', 100, 'and many that were consumed have gone');
$writer->quit;
done_testing();
