# Sixteen consumers with leases of a second, stopped at random for up to five, so that others get their messages: then
# they acknowledge. Every effect happens once, in the order of its key, and who comes too late is refused.
# timeout: 400
use PrismTest;

use constant CONSUMERS => 16;
use constant MESSAGES => 2500;
use constant KEYS => 40;
use constant ITERATIONS => 60;
use constant STOP_SECONDS_MAX => 5;
use constant STOPPING_SECONDS => 30;

my $node = prism_node('main', conf => "synchronous_commit = on\n");
my $seed = $ENV{PRISM_SEED} // int time;
srand $seed;
note "PRISM_SEED=$seed";

$node->safe_psql('postgres', q{
	CREATE TABLE effect (id bigserial, n bigint, key text);
	SELECT prism.apply('namespaces: [{name: work}, {name: nothing}]');
	SELECT prism.create_group('work', 'g', lease => '1 s', max_attempts => 0);
});
$node->safe_psql('postgres', "SELECT count(prism.publish('work', n::text, 'k' || n % @{[KEYS]})) FROM generate_series(1, @{[MESSAGES]}) AS n");

# Consume and commit; work, which takes its time; effect and acknowledgement in one transaction. Some give up what they got instead.
sub consumer_script
{
	my $script = '';
	for (1 .. ITERATIONS)
	{
		my $max = 1 + int rand 6;
		my $verb = rand() < 0.1 ? "prism.nack('work', 'g', :'p'::bigint[], :'l'::bigint[])" : "prism.ack('work', 'g', :'p', :'l')";
		$script .= <<"SQL";
\\set p '{}'
\\set l '{}'
\\set n '{}'
SELECT coalesce(array_agg("position"), '{}') AS p, coalesce(array_agg(lease_id), '{}') AS l,
	coalesce(array_agg(convert_from(payload, 'UTF8')::bigint), '{}') AS n FROM prism.consume('work', 'g', $max, wait => '300 ms') \\gset
BEGIN;
CALL prism.wait('nothing', 'g', '@{[int rand 200]} ms');
INSERT INTO effect (n, key) SELECT n, 'k' || n % @{[KEYS]} FROM unnest(:'n'::bigint[]) AS n @{[$verb =~ /nack/ ? 'WHERE false' : '']};
SELECT $verb;
COMMIT;
SQL
	}
	return $script;
}

my @consumers;
for my $number (1 .. CONSUMERS)
{
	my $file = $PostgreSQL::Test::Utils::tmp_check . "/consumer$number.sql";
	append_to_file($file, consumer_script());
	my ($out, $err) = ('', '');
	local $ENV{PGAPPNAME} = "consumer $number";
	push @consumers, { out => \$out, err => \$err,
		run => IPC::Run::start([ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr('postgres'), '-f', $file ], '>', \$out, '2>', \$err) };
}
wait_for_value($node, q{SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'consumer %'}, CONSUMERS);
for my $row (split /\n/, $node->safe_psql('postgres', q{SELECT split_part(application_name, ' ', 2), pid FROM pg_stat_activity WHERE application_name LIKE 'consumer %'}))
{
	my ($number, $pid) = split /\|/, $row;
	$consumers[ $number - 1 ]{pid} = $pid;
}

my $stops = freeze_at_random([ map { $_->{pid} } @consumers ], STOPPING_SECONDS, STOP_SECONDS_MAX);

my %errors;
for my $consumer (@consumers)
{
	$consumer->{run}->finish;
	$errors{$1}++ while ${ $consumer->{err} } =~ /(?:ERROR|FATAL|PANIC):\s+(.*)/g;
}
note "$stops stops; " . $node->safe_psql('postgres', 'SELECT count(*) FROM effect') . ' effects so far';
note "$errors{$_} times: $_" for sort keys %errors;

# Whatever is left, without haste.
while ($node->safe_psql('postgres', q{SELECT lag_messages FROM prism.groups WHERE topic = 'work'}) > 0)
{
	$node->safe_psql('postgres', qq{INSERT INTO effect (n, key) SELECT convert_from(payload, 'UTF8')::bigint, key FROM prism.consume('work', 'g', 100, wait => '10 s') AS m WHERE prism.ack(m) = 1});
}

is($node->safe_psql('postgres', 'SELECT count(DISTINCT n), count(*) FROM effect'), MESSAGES . '|' . MESSAGES, 'every effect once, none lost');
is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT n < lag(n) OVER (PARTITION BY key ORDER BY id) AS behind FROM effect) AS x WHERE behind'), 0,
	'those of a key in their order');
cmp_ok(delete($errors{'cannot acknowledge messages whose lease is not held'}) // 0, '>', 0, 'late acknowledgements were refused');
delete $errors{'cannot give up messages whose lease is not held'};
is_deeply([ keys %errors ], [], 'and nothing else was');
cmp_ok($stops, '>', CONSUMERS, 'the consumers were stopped');
is($node->safe_psql('postgres', q{SELECT in_flight, available, delayed, consumers FROM prism.groups WHERE topic = 'work'}), '0|0|0|0', 'the group is done');
done_testing();
