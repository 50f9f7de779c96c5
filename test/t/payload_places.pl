# Payloads beside the log where things go wrong, or elsewhere: a crash, a table that somebody has altered or dropped, a
# restore, a template, a promotion that loses the end, the drop of a topic with more tables than a transaction locks.
use PrismTest;

my $conf = "prism.payload_segment = '64kB'\nprism.segment_messages = 1024\n";
my $node = prism_node('primary', streaming => 1, conf => $conf);
payload_probe($node);
sub on { my ($server, $query, $database) = @_; return $server->safe_psql($database // 'postgres', $query); }
sub sql { my ($query, $database) = @_; return on($node, $query, $database); }
sub fails { my ($query) = @_; $node->psql('postgres', "\\set VERBOSITY verbose\n$query", stderr => \my $error); return $error; }
my $days = 100;
sub maintain
{
	my ($query, $value, $database, $server) = @_;
	on($server // $node, 'ALTER SYSTEM SET prism.retention = \'' . ++$days . 'd\'');
	($server // $node)->reload;
	return wait_for_value($server // $node, $query, $value, $database // 'postgres');
}
sub tables { my ($topic) = @_; return "SELECT coalesce(string_agg(segment_number || CASE WHEN sealed_end IS NULL THEN '' ELSE ' sealed' END, ', ' ORDER BY segment_number), 'none') FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = '$topic'"; }
sub table { my ($topic, $number) = @_; return 'prism_log.topic_' . sql("SELECT topic_id FROM prism.topic WHERE name = '$topic'") . "_payload_$number"; }
sub read_back { my ($topic) = @_; return "SELECT count(*), bool_and(convert_from(payload, 'UTF8')::int = octet_length(probe.read('$topic', split_part(key, ' ', 1)::uuid, split_part(key, ' ', 2)::bigint))) FROM prism.read('$topic', 0, 10000) WHERE key LIKE '% %'"; }
my $large = q{(SELECT string_agg(sha256(i::text::bytea), '') FROM generate_series(1, 3000) i)};

# ---------- a crash ----------
sql(q{SELECT prism.apply('name: t')});
sql("SELECT probe.publish('t', $large)") for 1 .. 3;
wait_for_value($node, tables('t'), '1 sealed, 2 sealed, 3 sealed, 4');
my $open = $node->background_psql('postgres');
$open->query_safe("BEGIN; SELECT probe.publish('t', 'lost')");
$node->stop('immediate');
eval { $open->quit };
$node->start;
is(sql(read_back('t')), '3|t', 'after a crash what was committed is there');
is(sql(q{SELECT probe.write('t', gen_random_uuid(), 'x')}), 4, '... and the last table is the current one');
sql("SELECT probe.write('t', gen_random_uuid(), $large)");
wait_for_value($node, tables('t'), '1 sealed, 2 sealed, 3 sealed, 4 sealed, 5');
pass('... also without a message it becomes full');

# ---------- damage ----------
sql('DROP TABLE ' . table('t', 2));
is(sql(q{SELECT string_agg((probe.read('t', split_part(key, ' ', 1)::uuid, split_part(key, ' ', 2)::bigint) IS NULL)::text, ' ' ORDER BY "position") FROM prism.read('t')}), 'false true false', 'a payload whose table somebody has dropped is gone, others are not');
sql('DROP TABLE ' . table('t', 5));
is(sql(q{SELECT probe.write('t', gen_random_uuid(), 'x')}), 6, 'one that is to be written to is made anew, with another number');
my $last = table('t', 6);
sql("ALTER TABLE $last ALTER at TYPE numeric");
for (q{SELECT probe.write('t', gen_random_uuid(), 'x')}, q{SELECT probe.read('t', gen_random_uuid(), 6)}, q{SELECT probe.extent('t', gen_random_uuid())})
{
	like(fails($_), qr/55000: table "$last" has not the columns of a payload segment.*\nHINT:  Somebody has altered it/, "altered: $_");
}
sql("ALTER TABLE $last ALTER at TYPE bigint");
my $index = $last =~ s/prism_log\.//r . '_at';
sql("CREATE INDEX other ON $last (length(bytes))");
sql("SELECT probe.publish('t', $large)");
sql("DROP INDEX prism_log.$index");
like(fails(q{SELECT probe.read('t', gen_random_uuid(), 6)}), qr/55000: table "\S*" has no valid unique index on its first 2 columns/, 'without its index');
sql("CREATE UNIQUE INDEX another ON $last (payload_id, at)");
is(sql(q{SELECT count(*) FROM prism.read('t') WHERE octet_length(probe.read('t', split_part(key, ' ', 1)::uuid, split_part(key, ' ', 2)::bigint)) = 96000}), 3, 'with one of another name, and one more');

my $id = '0197b0a4-0000-7000-8000-000000000001';

# ---------- whose they are ----------
sql(q{CREATE ROLE reader; CREATE ROLE writer IN ROLE pg_write_all_data; SELECT prism.grant('t', 'read', 'reader'), prism.grant('t', 'publish', 'reader')});
like(fails("SET ROLE reader; SELECT * FROM $_"), qr/42501: permission denied/, "nobody else reads $_") for $last, 'prism.payload_segment', 'prism.open_payload';
like(fails("SET ROLE writer; DELETE FROM $_"), qr/42501: permission denied/, "... or writes $_") for $last, 'prism.payload_segment', 'prism.open_payload';
sql(q{SELECT pg_create_logical_replication_slot('slot', 'test_decoding'); CREATE TABLE work (number int)});
sql("BEGIN; INSERT INTO work VALUES (1); SELECT probe.publish('t', $large), probe.pin('t', '$id', 0), probe.unpin('$id'); COMMIT");
is(sql(q{SELECT count(*), string_agg(DISTINCT substring(data FROM '^table ([a-z_]*\.[a-z_]*)'), ' ') FROM pg_logical_slot_get_changes('slot', NULL, NULL, 'only-local', '1') WHERE data LIKE 'table%INSERT%'}),
	'1|public.work', 'their rows are marked as prism\'s');
sql(q{SELECT pg_drop_replication_slot('slot')});

# ---------- a restore, a template ----------
sql("SELECT probe.write('t', '$id', $large), probe.pin('t', '$id', 0), prism.create_group('t', 'g', start => 'earliest')");
my $kept = sql(read_back('t'));
my $pin = sql('SELECT * FROM prism.open_payload ORDER BY 1');
my $dump = $node->basedir . '/dump';
system_or_bail('pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres'));
for my $jobs (1, 4)
{
	my $database = "restored$jobs";
	sql("CREATE DATABASE $database");
	$node->command_ok([ 'pg_restore', "-j$jobs", '-e', '-d', $node->connstr($database), $dump ], "restored by $jobs jobs, with the workers running");
	is(sql(read_back('t'), $database), $kept, 'payloads are there');
	is(sql('SELECT * FROM prism.open_payload ORDER BY 1', $database), $pin, 'so are pins');
	is(sql(q{SELECT count(*) FROM prism.payload_segment WHERE sealed_end IS NULL AND segment_number < 6 OR sealed_end > 1024 * 1024}, $database), 0, 'no table was sealed by a position that is not known yet');
	cmp_ok(sql("SELECT octet_length(probe.read('t', '$id', segment)) FROM (SELECT split_part(probe.extent('t', '$id'), ' ', 1)::bigint AS segment) s", $database), '==', 96000, 'the pinned one as well');
	sql("SELECT probe.unpin('$id')", $database);
	sql("SELECT probe.publish('t', $large)", $database) for 1 .. 2;
	maintain("SELECT count(*) FROM prism.payload_segment WHERE sealed_end IS NULL AND segment_number > 0", 1, $database);
	is(sql(q{SELECT count(*) FROM probe.dangling('t')}, $database), sql(q{SELECT count(*) FROM probe.dangling('t')}), 'and goes on: no message loses its payload');
	wait_for_value($node, q{SELECT count(*) FROM pg_class c WHERE relnamespace = 'prism_log'::regnamespace AND relname LIKE '%payload%' AND relkind = 'r'
		AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND refclassid = 'pg_extension'::regclass)}, 0, $database);
	sql('SET client_min_messages = warning; DROP EXTENSION prism CASCADE', $database);
	is(sql(q{SELECT count(*) FROM pg_class WHERE relname LIKE 'topic%payload%'}, $database), 0, 'its tables go with the extension');
	sql("DROP DATABASE $database WITH (FORCE)");
}
sql("SELECT probe.unpin('$id')");

# ---------- many tables ----------
sql(q{SELECT prism.apply('name: many')});
for (1 .. 70) { sql("SELECT probe.publish('many', $large)"); }
my $many = q{SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'topic_} . sql(q{SELECT topic_id FROM prism.topic WHERE name = 'many'}) . q{_payload_%'};
cmp_ok(sql($many), '>', 64, 'a topic with more tables than a transaction drops');
sql(q{BEGIN; SELECT prism.drop_namespace('many', force => true); ROLLBACK});
is(sql(read_back('many')), '70|t', 'a drop that is rolled back leaves all of them');
sql("SELECT probe.pin('many', '$id', 0); SELECT prism.drop_namespace('many', force => true)");
maintain($many, 0);
is(sql(q{SELECT count(*) FROM prism.payload_segment WHERE dropped}), 0, 'the maintainer drops those that are left');
is(sql("SELECT count(*) FROM prism.open_payload WHERE payload_id = '$id'"), 0, 'the pin went with the topic');

# ---------- a promotion that loses the end ----------
sql(q{SELECT prism.apply('name: p')});
sql("SELECT probe.publish('p', $large)") for 1 .. 3;
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
sql("SELECT probe.publish('p', $large)") for 1 .. 2;
$node->wait_for_catchup($standby);
$standby->safe_psql('postgres', 'ALTER SYSTEM SET primary_conninfo = $$$$');
$standby->reload;
wait_for_value($standby, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walreceiver'}, 0);
sql("SELECT probe.publish('p', $large)") for 1 .. 3;
maintain("SELECT count(*) FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = 'p' AND sealed_end IS NULL", 1);
$standby->promote;
wait_for_value($standby, 'SELECT NOT pg_is_in_recovery()');
is(on($standby, read_back('p')), '5|t', 'a standby has what it had received');
on($standby, "SELECT probe.publish('p', $large)") for 1 .. 2;
is(on($standby, read_back('p')), '7|t', 'and goes on');
maintain("SELECT count(*) FROM prism.payload_segment JOIN prism.topic USING (topic_id) WHERE name = 'p' AND sealed_end IS NULL", 1, 'postgres', $standby);
is(on($standby, q{SELECT count(*) FROM probe.dangling('p')}), 0, 'no message has lost its payload');
is(on($standby, q{SELECT bool_and(sealed_end > 4294967296) FROM prism.payload_segment s JOIN prism.topic USING (topic_id) WHERE name = 'p' AND sealed_end IS NOT NULL
	AND segment_number >= (SELECT min(split_part(key, ' ', 2)::bigint) FROM prism.read('p', 4294967296))}), 't', 'tables of the new timeline are sealed at positions of it');
done_testing();
