# What an administrator does to a segment's indexes while it is written to: nothing is lost, nobody fails.
use PrismTest;

my $node = prism_node('main');
$node->safe_psql('postgres', q{SELECT prism.apply('namespaces: [{name: indexed, client_api: queue}]')});
my $segment = $node->safe_psql('postgres', q{SELECT format('prism_log.topic_%s_0', topic_id) FROM prism.topic WHERE name = 'indexed'});

# Single messages and batches, from sessions that stay connected.
my $script = PostgreSQL::Test::Utils::tempdir() . '/load.sql';
append_to_file($script, "SELECT prism.publish('indexed', 'single', 'k');\n"
	  . "SELECT prism.publish_batch('indexed', ARRAY['\\x62', '\\x63', '\\x64']::bytea[], ARRAY['k', 'k', 'k']);\n");
my ($out, $err) = ('', '');
my $load = IPC::Run::start([ 'pgbench', '-n', '-t', 100_000_000, '-c', 4, '-f', $script, $node->connstr('postgres') . ' application_name=load' ], '>', \$out, '2>', \$err);

sub goes_on
{
	my $end = $node->safe_psql('postgres', q{SELECT next_position FROM prism.topics WHERE topic = 'indexed'});
	return wait_for_value($node, "SELECT next_position > $end + 100 FROM prism.topics WHERE topic = 'indexed'");
}

sub counts
{
	my ($condition, @settings) = @_;
	my $settings = join ' ', map { "SET enable_$_ = off;" } @settings;
	return $node->safe_psql('postgres', "$settings SELECT sum(messages) FROM $segment WHERE $condition");
}

goes_on();
for (1 .. 4)
{
	$node->safe_psql('postgres', "REINDEX INDEX CONCURRENTLY ${segment}_offset");
	goes_on();
}
pass('publishers go on after REINDEX CONCURRENTLY');
$node->safe_psql('postgres', q{CREATE FUNCTION shouted(key text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN RETURN (SELECT upper(key) FROM pg_class LIMIT 1); END $$});
$node->safe_psql('postgres', "CREATE INDEX by_key ON $segment (shouted(key)) WHERE key IS NOT NULL");
goes_on();
$node->safe_psql('postgres', "CREATE INDEX CONCURRENTLY by_id ON $segment (id)");
goes_on();
$node->safe_psql('postgres', "REINDEX TABLE CONCURRENTLY $segment");
goes_on();
pass('and with indexes of somebody else');
my $reader = $node->background_psql('postgres');
$reader->query_safe(q{SELECT count(*) FROM prism.read('indexed')});
$node->safe_psql('postgres', 'DROP INDEX prism_log.by_id');
$node->safe_psql('postgres', "REINDEX INDEX ${segment}_offset");
goes_on();
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'load'}), 4, 'no session failed');
$load->kill_kill;
is($err =~ /ERROR/ ? $err : '', '', 'and no transaction');
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'load'}, 0);

my $rows = counts('true', 'indexscan', 'indexonlyscan', 'bitmapscan');
cmp_ok($rows, '>', 500, 'there are rows');
is($reader->query_safe(q{SELECT count(*) FROM prism.read('indexed', 0, 100000000)}), $rows, 'a reader finds each of them');
is($node->safe_psql('postgres', q{SELECT count(*) FROM prism.read('indexed', 0, 100000000)}), $rows, 'a new session as well');
my $shouted = q{shouted(key) = 'K' AND key IS NOT NULL};	# small messages of a batch share a row, which has no key
is(counts($shouted, 'seqscan', 'bitmapscan'), counts($shouted, 'indexscan', 'bitmapscan'), 'so does an index of somebody else');
$reader->quit;
# What an interrupted REINDEX CONCURRENTLY leaves is invalid, and may come first in the list of indexes.
$node->safe_psql('postgres', q{SELECT prism.publish('indexed', 'later', deliver_at => now() + interval '1 hour')});
wait_for_value($node, q{SELECT delayed FROM prism.topics WHERE topic = 'indexed'}, 1);
wait_for_value($node, q{SELECT count(*) FROM pg_class WHERE relname ~ '^delayed_\d+$'}, 1);
my $bucket = $node->safe_psql('postgres', q{SELECT 'prism_log.' || relname FROM pg_class WHERE relname ~ '^delayed_\d+$'});
my @indexed = (['prism.segment', 'prism.segment_pkey'], ['prism.jump', 'prism.jump_pkey'], [$segment, "${segment}_offset"], [$bucket, "${bucket}_due"]);
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN');
$holder->query_safe("LOCK TABLE $_->[0] IN ROW EXCLUSIVE MODE") for @indexed;
$node->psql('postgres', "SET lock_timeout = '100ms'; REINDEX INDEX CONCURRENTLY $_->[1]") for @indexed;
$holder->query_safe('COMMIT');
$holder->quit;
$node->safe_psql('postgres', "REINDEX INDEX CONCURRENTLY $_->[1]") for @indexed;
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_index WHERE NOT indisvalid AND indexrelid = (SELECT min(o.indexrelid) FROM pg_index o WHERE o.indisunique AND o.indrelid = pg_index.indrelid)}),
	4, 'there are invalid indexes before the valid ones');
for my $when ('before', 'after')
{
	my $end = $node->safe_psql('postgres', q{SELECT next_position FROM prism.topics WHERE topic = 'indexed'});

	$node->safe_psql('postgres', q{SELECT prism.publish('indexed', 'with leftovers')});
	is($node->safe_psql('postgres', "SELECT convert_from(payload, 'UTF8') FROM prism.read('indexed', $end)"), 'with leftovers', "$when a restart: publishing and reading go on");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM prism.read('indexed', 0, 1)}), 1, "$when a restart: also from the beginning");
	$node->safe_psql('postgres', q{SELECT prism.publish('indexed', 'at once', deliver_at => now())});
	wait_for_value($node, qq{SELECT count(*) FROM prism.read('indexed', $end) WHERE payload = 'at once'}, 1);
	pass("$when a restart: delayed messages come");
	$node->restart;
}
is($node->safe_psql('postgres', q{SELECT state FROM prism.status WHERE namespace = 'indexed'}), 'ok', 'and the status is ok');

is(log_count($node, 'PANIC|TRAP|terminated by signal'), 0, 'without an accident');

done_testing();
