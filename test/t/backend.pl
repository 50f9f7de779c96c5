# The operations of back ends in a server process, against a real broker (test/lib/backend_test).
use PrismTest;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use Time::HiRes qw(time);

my $driver = abs_path(dirname(__FILE__) . '/../lib/backend_test');
my $source = abs_path(dirname(__FILE__) . '/../../src');
my $kafka = prism_kafka();
my $proxy = $kafka->proxy;
my $node = prism_node('main');

# The driver is built in the test's own folder: the checkout is only read.
my $build = PostgreSQL::Test::Utils::tempdir;
system_or_bail('cp', glob("$driver/*.[ch]"), "$driver/Makefile", $build);
system_or_bail('make', '-s', '-C', $build, "SRC=$source", 'all');
$node->safe_psql('postgres',
	"CREATE FUNCTION prism_backend_test(text, text, text) RETURNS text LANGUAGE c AS '$build/prism_backend_test'");

sub statement
{
	my ($scenario, %param) = @_;
	my $brokers = $param{brokers} // $kafka->address;
	return "SELECT prism_backend_test('$scenario', '$brokers', '" . $kafka->address . "')";
}

# A scenario in one go.
sub holds
{
	my ($scenario, $promise, %param) = @_;
	my ($out, $err) = ('', '');
	my $status = $node->psql('postgres', statement($scenario, %param), stdout => \$out, stderr => \$err);

	ok($status == 0, $promise) or diag $err;
	note "$scenario: $out" if $out ne '';
	return;
}

# A scenario in the background, through the proxy unless told otherwise.
sub start
{
	my ($scenario, %param) = @_;
	my $run = { scenario => $scenario, out => '', err => '' };

	$run->{handle} = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c',
			statement($scenario, brokers => $kafka->proxied_address, %param) ],
		'<', '/dev/null', '>', \$run->{out}, '2>', \$run->{err});
	return $run;
}

sub finish
{
	my ($run, $promise) = @_;
	my $status = $run->{handle}->finish;

	ok($status, $promise) or diag $run->{err};
	note "$run->{scenario}: $run->{out}" if $run->{out} ne '';
	return;
}

# Signs between a scenario and this script.
sub sign { return $node->data_dir . "/backend_test.$_[0]"; }

sub tell_scenario
{
	my ($sign) = @_;
	append_to_file(sign($sign), '');
	return;
}

sub wait_for_scenario
{
	my ($sign) = @_;
	wait_for_value($node, "SELECT (pg_stat_file('backend_test.$sign', true)).size IS NOT NULL");
	unlink sign($sign) or die "the sign \"$sign\" is gone\n";
	return;
}

# The back end that fails on request
holds('memory_faults', 'in memory: who reads the position back after each doubt sends everything once');
holds('memory_tells_repetition', 'in memory: who sends something twice is told');
holds('memory_rejects', 'in memory: a message that is too large takes its batch with it');

# Records
holds('send_in_order', 'records arrive once and in order per key, with their id and time');
holds('partitions', 'keys go to the partitions that Java clients choose');
holds('more_partitions', 'partitions that others add are not used unasked, more can be had, and keys go where they lie then');
holds('shapes', 'tombstones, empty values, records without key and with an empty one stay apart');
holds('too_large', 'a record that is too large is refused alone, or its batch and all that follows');
holds('small_topic', 'batches fit a topic with a small limit');
holds('purging', 'what is purged gets a receipt');
holds('refused_options', 'options that are not allowed never reach librdkafka, nor do values reach a message');
holds('refused_numbers', 'a topic with numbers that librdkafka takes for none is refused, and nothing crashes');

# Transactions
holds('transactions', 'transactions carry the position; aborted ones leave nothing');
holds('fencing', 'the second owner of a transactional id fences the first');

# A late copy of the request that ends a transaction
for my $scenario ('late_commit_bare', 'late_commit')
{
	my $run = start($scenario);

	wait_for_scenario('filled');
	my $held = $proxy->held;
	$proxy->hold('EndTxn', count => 1, reset => 1);
	tell_scenario('holding');
	$proxy->wait_until(held => $held + 1);
	wait_for_scenario('filled');
	$proxy->release;
	# The late request does its work, or has had more time than it needs: a new client came and went after it.
	my ($topic) = reverse sort { (split /\./, $a)[2] <=> (split /\./, $b)[2] } grep { /^late\./ } $kafka->topics;
	$kafka->wait_for_records($topic, $scenario eq 'late_commit' ? 0 : 20);
	tell_scenario('released');
	finish($run, $scenario eq 'late_commit'
		? 'a late request cannot end the next transaction'
		: 'and without a fence it does');
	$proxy->pass;
}

# A position inside a transaction whose end is under way
{
	my $run = start('unstable_position');

	wait_for_scenario('filled');
	$proxy->hold('EndTxn');
	tell_scenario('holding');
	wait_for_scenario('committing');
	$proxy->wait_until(held => 1);
	tell_scenario('held');
	wait_for_scenario('refused');
	$proxy->pass;
	$proxy->release;
	finish($run, 'a position is given only when it is settled');
}

# Packets vanish
for my $scenario ('swallowed', 'left_open')
{
	my $run = start($scenario);

	wait_for_scenario('filled');
	$proxy->swallow;
	tell_scenario('swallowing');
	finish($run, $scenario eq 'swallowed'
		? 'no call waits for a network that swallows everything, closing included'
		: 'a session that ends leaves its connection to the end of the process');
	my $started = time;
	wait_for_value($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE query ~ '$scenario' AND pid <> pg_backend_pid()");
	cmp_ok(time - $started, '<', 5, 'and the process ends soon');
	$proxy->pass;
	$proxy->reset;
}
is(log_count($node, 'was terminated by'), 0, 'no process crashed');

# The broker dies
for my $scenario ('broker_killed', 'broker_killed_in_transaction')
{
	my $run = start($scenario);

	wait_for_scenario('half');
	$kafka->kill9;
	tell_scenario('killed');
	$kafka->start;
	finish($run, $scenario eq 'broker_killed'
		? 'records arrive once and in order although the broker was killed'
		: 'a transaction in doubt is taken up without loss or repetition');
}

# No broker
$kafka->kill9;
holds('broker_away', 'a broker that is away blocks nothing and is told');

done_testing();
