# All verbs of consumer groups at once, from several sessions, while groups and topics come and go:
# no error but those that the situation calls for, nothing left behind.
# timeout: 300
use PrismTest;

use constant SESSIONS => 6;
use constant STEPS => 800;

my $node = prism_node('main', conf => "prism.max_groups = 24\nprism.group_window = 64\n");
my $seed = $ENV{PRISM_SEED} // time;
srand $seed;
note "PRISM_SEED=$seed";

$node->safe_psql('postgres', "SELECT prism.apply('name: mix$_')") for 0 .. 2;

sub one_of { return $_[ rand @_ ] }

# One step of a session; most steps consume.
sub step
{
	my $topic = 'mix' . int rand 3;
	my $other = 'mix' . int rand 3;
	my $group = 'g' . int rand 6;
	my $end = one_of('COMMIT', 'ROLLBACK');
	my $ack = sub { "SELECT count(prism.ack(m)) FROM prism.consume('$_[0]', '$group', $_[1], lease => '" . one_of('1 ms', '1 min') . "') AS m;" };

	return one_of(
		("SELECT count(prism.publish('$topic', 'x', 'k')) FROM generate_series(1, " . (1 + int rand 20) . ');') x 5,
		($ack->($topic, 1 + int rand 50)) x 6,
		("BEGIN; SELECT count(*) FROM prism.consume('$topic', '$group', 10); SAVEPOINT s; " . $ack->($topic, 10) . " ROLLBACK TO s; $end;") x 2,
		('BEGIN; ' . $ack->($topic, 5) . $ack->($other, 5) . " $end;") x 2,
		"SELECT (prism.consume('$topic', '$group')).position LIMIT 2;",
		"CALL prism.wait('$topic', '$group', '5 ms');",
		"SELECT count(*) FROM prism.consume('$topic', '$group', wait => '5 ms');",
		'SELECT count(*) FROM prism.groups;',
		"SELECT count(*) FROM prism.read('$topic', 0, 20);",
		"BEGIN; SELECT prism.drop_group('$topic', '$group'); $end;",
		"BEGIN; SELECT prism.create_group('$topic', '$group', 'latest'); " . $ack->($topic, 5) . " $end;",
		rand() < 0.2 ? "BEGIN; SELECT prism.drop_namespace('$topic', true); SELECT prism.apply('name: $topic'); $end;" : 'SELECT 1;') . "\n";
}

my @sessions;
for my $number (1 .. SESSIONS)
{
	my $file = $PostgreSQL::Test::Utils::tmp_check . "/mixed$number.sql";
	append_to_file($file, join '', "\\set VERBOSITY sqlstate\n", map { step() } 1 .. STEPS);
	my ($out, $err) = ('', '');
	push @sessions, { err => \$err,
		run => IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-f', $file ], '>', \$out, '2>', \$err) };
}
my %errors;
for my $session (@sessions)
{
	$session->{run}->finish;
	is($session->{run}->result(0), 0, 'a session goes through');
	$errors{$1}++ while ${ $session->{err} } =~ /(?:ERROR|FATAL):\s+(\w+)/g;
}
note "$errors{$_} times: $_" for sort keys %errors;

# No such group, there already, transaction aborted by one of these, lease lost, deadlock of two who make two groups.
my %expected = map { $_ => 1 } qw(42704 42710 25P02 55000 40P01 3B001);
is(join(' ', grep { !$expected{$_} } sort keys %errors), '', 'no other error than those');
is(log_count($node, 'PANIC|TRAP|terminated by signal|leaked|could not'), 0, 'without an accident');

# Nobody holds anything but under a lease; whoever comes now gets the rest.
$node->restart;
for my $topic (map { "mix$_" } 0 .. 2)
{
	$node->safe_psql('postgres', "SELECT prism.create_group('$topic', 'all')");
	my $read = $node->safe_psql('postgres', "SELECT count(*) FROM prism.read('$topic', 0, 1000000)");
	$node->safe_psql('postgres', "DO \$\$ BEGIN WHILE (SELECT count(prism.ack(m)) FROM prism.consume('$topic', 'all') AS m) > 0 LOOP COMMIT; END LOOP; END \$\$");
	is($node->safe_psql('postgres', "SELECT in_flight, lag_messages FROM prism.groups WHERE topic = '$topic' AND consumer_group = 'all'"),
		'0|0', "a new group goes through the $read messages of $topic");
}
done_testing();
