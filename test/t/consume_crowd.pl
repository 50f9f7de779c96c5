# A hundred consumers of one group: each message has its effect once, nobody starves, nobody waits for ever.
# And a standby that is promoted while they work: what survived of effects and acknowledgements survived together.
# timeout: 300
use PrismTest;

use constant CONSUMERS => 100;
use constant MESSAGES => 30_000;

my $primary = prism_node('primary', streaming => 1, conf => "max_connections = 150\nprism.segment_messages = 4096\n");
$primary->safe_psql('postgres', qq{
	CREATE TABLE effect (topic text, n int, consumer int, at timestamptz DEFAULT clock_timestamp());
	SELECT prism.apply('name: by_key');
	SELECT prism.apply('name: as_it_comes');
	SELECT prism.create_group('by_key', 'g', ordering => 'key');
	SELECT prism.create_group('as_it_comes', 'g', ordering => 'none');
	SELECT prism.publish_batch(topic, array_agg(convert_to(i::text, 'UTF8') ORDER BY i), array_agg((i % 500)::text ORDER BY i))
		FROM generate_series(1, @{[MESSAGES]}) i, unnest(ARRAY['by_key', 'as_it_comes']) topic GROUP BY topic;
});

sub crowd
{
	my ($node, $topic, $clients, @options) = @_;
	my $script = PostgreSQL::Test::Utils::tempdir() . "/$topic.sql";
	append_to_file($script, "INSERT INTO effect SELECT '$topic', convert_from(payload, 'UTF8')::int, :client_id "
		  . "FROM prism.consume('$topic', 'g', 3, lease => '5 min') AS m WHERE prism.ack(m) = 1;\n");
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start([ 'pgbench', '-n', '-c', $clients, '-j', 2, '-f', $script, @options, $node->connstr('postgres') ], '>', \$out, '2>', \$err);
	return { run => $run, err => \$err };
}

# Each has a share of turns large enough for all the messages, if the others do their part.
for my $topic ('by_key', 'as_it_comes')
{
	my $crowd = crowd($primary, $topic, CONSUMERS, '-t', 200);
	$crowd->{run}->finish;
	is(${ $crowd->{err} } =~ /(ERROR|aborted).*/ ? $& : '', '', "$topic: no consumer fails");
	is($primary->safe_psql('postgres', "SELECT count(*), count(DISTINCT n) FROM effect WHERE topic = '$topic'"), join('|', (MESSAGES) x 2), 'every message has its effect once');
	is($primary->safe_psql('postgres', "SELECT in_flight, lag_messages FROM prism.groups WHERE topic = '$topic'"), '0|0', 'nothing is left');
	my ($consumers, $least, $most) = split /\|/, $primary->safe_psql('postgres',
		"SELECT count(*), min(count), max(count) FROM (SELECT count(*) FROM effect WHERE topic = '$topic' GROUP BY consumer) s");
	note("$topic: $least to $most messages a consumer");
	is($consumers, CONSUMERS, 'each consumer has a part in it');
}
is($primary->safe_psql('postgres', q{SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'}), 0, 'no deadlock');
is($primary->safe_psql('postgres', q{SELECT count(*) FROM (SELECT at, lag(at) OVER (PARTITION BY n % 500 ORDER BY n) AS before FROM effect WHERE topic = 'by_key') s WHERE before > at}),
	0, 'messages of a key have their effects in order');

# A promotion under load.
$primary->safe_psql('postgres', q{SELECT prism.apply('name: moved')});
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->safe_psql('postgres', q{SELECT count(prism.publish('moved', i::text, (i % 50)::text)) FROM generate_series(1, 20000) AS i});
my $crowd = crowd($primary, 'moved', 8, '-T', 120);
wait_for_value($standby, q{SELECT count(*) > 3000 FROM effect WHERE topic = 'moved'});
$standby->promote;
wait_for_value($standby, 'SELECT NOT pg_is_in_recovery()');
my $survived = $standby->safe_psql('postgres', q{SELECT count(*) FROM effect WHERE topic = 'moved'});
$crowd->{run}->kill_kill;
cmp_ok($survived, '<', 20000, "promoted after $survived effects");
my $rest = crowd($standby, 'moved', 8, '-t', 2000);
$rest->{run}->finish;
is(${ $rest->{err} } =~ /(ERROR|aborted).*/ ? $& : '', '', 'consumers go on at the new primary');
is($standby->safe_psql('postgres', q{SELECT count(*), count(DISTINCT n), min(n), max(n) FROM effect WHERE topic = 'moved'}), '20000|20000|1|20000',
	'what was acknowledged does not come again, all else does');

is(log_count($_, 'PANIC|TRAP|terminated by signal|leaked'), 0, 'without an accident') for $primary, $standby;
done_testing();
