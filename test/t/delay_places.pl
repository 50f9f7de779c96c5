# Messages that wait for their time go along wherever the log goes: a promoted standby, a dump, a copied database. They
# go with the extension.
use PrismTest;

my $primary = prism_node('primary', streaming => 1, conf => "prism.max_workers = 12\n");
my @both = (q{SELECT prism.apply('{name: due, client_api: queue}')},
	q{CREATE TABLE sent (n int PRIMARY KEY, id uuid, due timestamptz)});
$primary->safe_psql('postgres', $_) for @both;

sub publish
{
	my ($node, $numbers, $due, $database) = @_;
	$node->safe_psql($database // 'postgres', qq{
		INSERT INTO sent SELECT n, prism.publish('due', n::text, key => 'k', headers => '{"h": "1"}', deliver_at => due), due
		FROM (SELECT n, now() + $due AS due FROM generate_series($numbers) n) s});
}

sub log_of
{
	my ($node, $database) = @_;
	return $node->safe_psql($database // 'postgres', q{
		SELECT count(*) || ' of ' || count(DISTINCT id) || ', ' || count(*) FILTER (WHERE created_at < due) || ' too early'
		FROM prism.read('due', 0, 100000) LEFT JOIN sent USING (id)});
}

sub waits
{
	my ($count) = @_;
	return "SELECT delayed = $count FROM prism.topics WHERE topic = 'due'";
}

# A standby that is promoted while messages become due. On the standby itself the views answer.
publish($primary, '1, 2000', q{n * interval '1 ms'});
publish($primary, '2001, 2010', q{interval '1 hour'});
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
publish($primary, '2011, 4000', q{(n - 2010) * interval '2 ms'});
wait_for_value($primary, q{SELECT max("position") > 2500 FROM prism.read('due', 0, 100000)});
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT count(*) FROM prism.topics WHERE topic = 'due' AND delayed IS NULL}), 1, 'on a standby the views answer, without numbers');
my ($status, $out, $err) = $standby->psql('postgres', q{SELECT prism.publish('due', 'x', deliver_at => now() + interval '1 hour')});
like($err, qr/cannot publish during recovery/, 'and messages are refused');
$primary->stop('immediate');
$standby->promote;
wait_for_value($standby, q{SELECT count(*) = 3990 FROM prism.read('due', 0, 100000)});
is(log_of($standby), '3990 of 3990, 0 too early', 'after a promotion each message comes once');
wait_for_value($standby, waits(10));
publish($standby, '4001, 4100', q{interval '300 ms'});
wait_for_value($standby, q{SELECT count(*) = 4090 FROM prism.read('due', 0, 100000)});
is(log_of($standby), '4090 of 4090, 0 too early', 'new ones come, too');

# A dump: what is in buckets, and what lies in the journal still.
my $node = $standby;
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
$node->append_conf('postgresql.conf', 'prism.enabled = off');
$node->reload;
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'prism scheduler'}, 0);
publish($node, '4101, 4200', q{interval '1 s'});
publish($node, '4201, 4210', q{interval '2 hours'});
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
$node->append_conf('postgresql.conf', 'prism.enabled = on');
$node->reload;
for my $jobs (1, 3)
{
	my $restored = prism_node("restored_$jobs", extension => 0);
	$restored->command_ok([ 'pg_restore', "-j$jobs", '-e', '-d', $restored->connstr('postgres'), $dump ], "restored by $jobs jobs, with the workers running");
	wait_for_value($restored, q{SELECT count(*) = 4190 FROM prism.read('due', 0, 100000)});
	is(log_of($restored), '4190 of 4190, 0 too early', 'each message comes once');
	wait_for_value($restored, waits(20));
	is( $restored->safe_psql('postgres', q{SELECT next_due = (SELECT due FROM sent WHERE n = 2001) FROM prism.topics WHERE topic = 'due'}),
		't', 'the others wait for the same time');
	publish($restored, '5001, 5100', q{interval '300 ms'});
	wait_for_value($restored, q{SELECT count(*) = 4290 FROM prism.read('due', 0, 100000)});
	is(log_of($restored), '4290 of 4290, 0 too early', 'new ones come, too');
	wait_for_value($restored, q{SELECT count(*) = 0 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'prism_log'
		WHERE c.relkind IN ('r', 'S', 'v') AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'e') AND d.refclassid = 'pg_extension'::regclass)});
	$restored->safe_psql('postgres', 'DROP EXTENSION prism');
	is($restored->safe_psql('postgres', q{SELECT count(*) FROM pg_namespace WHERE nspname = 'prism_log'}), 0, 'and all of them go with the extension');
	$restored->stop;
}
wait_for_value($node, q{SELECT count(*) = 4190 FROM prism.read('due', 0, 100000)});
is(log_of($node), '4190 of 4190, 0 too early', 'the original has delivered its own');

# A copied database has what waits of its own.
publish($node, '6001, 6010', q{interval '1 s'});
$node->safe_psql('postgres', 'CREATE DATABASE copied');
$node->safe_psql('copied', 'CREATE EXTENSION prism');
$node->safe_psql('copied', $_) for @both;
publish($node, '1, 1000', q{interval '2 s' + n * interval '1 ms'}, 'copied');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE copied');
for my $database ('copied', 'copy')
{
	wait_for_value($node, q{SELECT count(*) = 1000 FROM prism.read('due', 0, 100000)}, undef, $database);
	is(log_of($node, $database), '1000 of 1000, 0 too early', "database $database has its messages");
}
publish($node, '2001, 2001', q{interval '1 hour'}, 'copy');
wait_for_value($node, waits(1), undef, 'copy');
$node->safe_psql('postgres', 'DROP DATABASE copy');

# The extension goes, waiting messages or not, and comes again.
$node->safe_psql('postgres', $_) for 'BEGIN; DROP EXTENSION prism; ROLLBACK', 'DROP EXTENSION prism', 'TRUNCATE sent', 'CREATE EXTENSION prism';
$node->safe_psql('postgres', $both[0]);
publish($node, '1, 10', q{interval '300 ms'});
wait_for_value($node, q{SELECT count(*) = 10 FROM prism.read('due', 0, 100000)});
is(log_of($node), '10 of 10, 0 too early', 'an extension made anew delivers its own messages, not the former ones');

# A table that somebody has dropped is named, with the topic that does not go on without it.
publish($node, '11, 11', q{interval '1 hour'});
wait_for_value($node, waits(1));
my $bucket = $node->safe_psql('postgres', q{SELECT 'delayed_' || bucket_id FROM prism.delay_bucket ORDER BY due_to DESC LIMIT 1});
$node->safe_psql('postgres', "DROP TABLE prism_log.$bucket");
$node->restart;
wait_for_value($node, q{SELECT error FROM prism.workers WHERE kind = 'scheduler' AND database = 'postgres'},
	"topic \"due\": a table of delayed messages is missing or has no index: prism_log.$bucket");
pass('prism.workers names a table that is missing');

done_testing();
