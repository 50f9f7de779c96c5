# Every message has its effect exactly once, whatever dies: consumers whose leases end too early, whose transactions
# and savepoints roll back, whose backends are ended or killed, a server that crashes.
# timeout: 400
use PrismTest;

use List::Util qw(sum);

use constant PUBLISHERS => 2;
use constant CONSUMERS => 4;
use constant ROUNDS => 12;
use constant PROGRESS_A_ROUND => 300;

my $node = prism_node('main', conf => "prism.group_window = 256\nsynchronous_commit = on\n");
my $seed = $ENV{PRISM_SEED} // time;
srand $seed;
note "PRISM_SEED=$seed";

$node->safe_psql('postgres', q{
	CREATE TABLE published (n bigint);
	CREATE TABLE effect (n bigint, attempt int);
	SELECT prism.apply('name: work');
	SELECT prism.create_group('work', 'g', ordering => 'none', max_attempts => 0);
});

# Scripts for psql: transactions of each way to publish and to consume, in random order.
sub publisher_script
{
	my ($number, $round) = @_;
	my $script = '';
	for my $i (1 .. 1500)
	{
		my $n = (($round * PUBLISHERS + $number) * 10_000 + $i) * 10;
		my $publish = sub { "INSERT INTO published VALUES ($_[0]); SELECT prism.publish('work', '$_[0]', 'k' || $_[0] % 7);\n" };
		$script .= "BEGIN;\n" . $publish->($n);
		$script .= "SAVEPOINT s;\n" . $publish->($n + 1) . "ROLLBACK TO s;\n" . $publish->($n + 2) if $i % 3 == 0;
		$script .= ($i % 5 == 0 ? 'ROLLBACK' : 'COMMIT') . ";\n";
	}
	return $script;
}

# What an application does that keeps its effect and the acknowledgement in one transaction.
sub consume_and_commit
{
	my ($max, $lease) = @_;
	return "INSERT INTO effect SELECT convert_from(payload, 'UTF8')::bigint, attempt FROM prism.consume('work', 'g', $max, lease => '$lease') AS m WHERE prism.ack(m) = 1;\n";
}

# ... and one that consumes first, commits, and works later: its lease may be somebody else's by then.
sub consume_work_later
{
	my ($max, $lease) = @_;
	# a cancelled SELECT must not leave the last ones there: work that was acknowledged is not refused, its answer is 0
	return <<"SQL";
\\unset p
SELECT coalesce(array_agg("position"), '{}') AS p, coalesce(array_agg(lease_id), '{}') AS l,
	coalesce(array_agg(convert_from(payload, 'UTF8')::bigint), '{}') AS n FROM prism.consume('work', 'g', $max, lease => '$lease') \\gset
BEGIN;
INSERT INTO effect SELECT unnest(:'n'::bigint[]), 0;
SELECT prism.ack('work', 'g', :'p', :'l');
COMMIT;
SQL
}

sub consumer_script
{
	my @leases = ('1 ms', '5 ms', '100 ms', '30 s');
	my $script = '';
	for (1 .. 1500)
	{
		my $lease = $leases[ rand @leases ];
		my $max = 1 + int rand 12;
		my $way = int rand 6;
		if    ($way == 0) { $script .= consume_work_later($max, $lease); }
		elsif ($way == 1) { $script .= "BEGIN;\n" . consume_and_commit($max, $lease) . "ROLLBACK;\n"; }
		elsif ($way == 2)
		{
			$script .= "BEGIN;\n" . consume_and_commit($max, $lease) . "SAVEPOINT s;\n" . consume_and_commit($max, $lease)
			  . "ROLLBACK TO s;\n" . consume_and_commit($max, $lease) . "COMMIT;\n";
		}
		elsif ($way == 3) { $script .= "BEGIN ISOLATION LEVEL SERIALIZABLE;\n" . consume_and_commit($max, $lease) . "COMMIT;\n"; }
		else              { $script .= consume_and_commit($max, $lease); }
	}
	return $script;
}

# A psql that runs a script in the background, with all its errors.
sub start_psql
{
	my ($script) = @_;
	my $file = $PostgreSQL::Test::Utils::tmp_check . '/script' . ++(our $scripts) . '.sql';
	append_to_file($file, $script);
	my ($out, $err) = ('', '');
	return { out => \$out, err => \$err,
		run => IPC::Run::start([ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr('postgres') . ' application_name=script', '-f', $file ], '>', \$out, '2>', \$err) };
}

sub done_effects
{
	return $node->safe_psql('postgres', 'SELECT count(*) FROM effect');
}

# The end of something: of a session, of a process, of the server.
my %faults = (
	'sessions are terminated' => sub {
		$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND random() < 0.5});
	},
	'statements are cancelled' => sub {
		$node->safe_psql('postgres', q{DO $$ BEGIN
			FOR i IN 1 .. 500 LOOP
				PERFORM pg_stat_clear_snapshot();
				PERFORM pg_cancel_backend(pid) FROM pg_stat_activity
				WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state = 'active' AND random() < 0.3;
			END LOOP; END $$});
	},
	'a backend is killed' => sub {
		# one that has ended meanwhile makes way for another; there is none at the end of a round
		for (1 .. 20)
		{
			my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity
				WHERE application_name = 'script' ORDER BY random() LIMIT 1});
			last if !$pid || eval { kill_process($pid) };
			die $@ unless $@ =~ /^there is no process/;
		}
	},
	'the server is stopped at once' => sub { $node->stop('immediate'); $node->start; },
	'the server is restarted' => sub { $node->stop('fast'); $node->start; });

my @plan = map { (sort keys %faults)[ $_ % keys %faults ] } 0 .. ROUNDS - 1;
my %errors;
for my $round (0 .. $#plan)
{
	my $before = done_effects();
	note "round $round: $before effects; then $plan[$round]";
	my @sessions = ((map { start_psql(publisher_script($_, $round)) } 1 .. PUBLISHERS),
		(map { start_psql(consumer_script()) } 1 .. CONSUMERS));
	# not before they have begun: the round would end at once
	my $running = 'EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $$script$$)';
	my $progress = 'count(*) >= ' . ($before + PROGRESS_A_ROUND);
	wait_for_value($node, "SELECT $progress OR $running FROM effect");
	wait_for_value($node, "SELECT $progress OR NOT $running FROM effect");
	$faults{ $plan[$round] }->();
	for my $session (@sessions)
	{
		$session->{run}->finish;
		$errors{$1}++ while ${ $session->{err} } =~ /(?:ERROR|FATAL|PANIC):\s+(.*)/g;
	}
	# a crash has ended the sessions; it may still be on
	wait_for_value($node, 'SELECT true');
}
note "$errors{$_} times: $_" for sort keys %errors;

# Whatever is left, without haste.
wait_for_value($node, 'SELECT true');
my $left = 1;
while ($left)
{
	$node->safe_psql('postgres', consume_and_commit(100, '1 min'));
	# what a client of a past round was handed out in a committed transaction comes back when its lease ends
	$left = $node->safe_psql('postgres', q{SELECT lag_messages FROM prism.groups});
	$node->safe_psql('postgres', q{CALL prism.wait('work', 'g', '1 min')}) if $left;
}

is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT n FROM effect EXCEPT SELECT n FROM published) AS x'), 0,
	'no effect of a message that was never committed');
is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT n FROM published EXCEPT SELECT n FROM effect) AS x'), 0, 'none is lost');
is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT n FROM effect GROUP BY n HAVING count(*) > 1) AS x'), 0, 'none counts twice');
cmp_ok(done_effects(), '>', ROUNDS * PROGRESS_A_ROUND / 2, 'there were some');
cmp_ok($errors{'cannot acknowledge messages whose lease is not held'} // 0, '>', 0, 'some acknowledgements came too late');
is(sum(0, map { $errors{$_} } grep { /PANIC|could not find|unexpected|corrupt/ } keys %errors), 0, 'nothing broke');
is($node->safe_psql('postgres', 'SELECT in_flight, available, lag_messages FROM prism.groups'), '0|0|0', 'the group is done');
done_testing();
