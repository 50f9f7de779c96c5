# A dead letter that cannot be written, as there can be no more topics, is the trouble of its topic alone.
use PrismTest;
use Time::HiRes qw(sleep time);

my $node = prism_node('main', conf => 'prism.max_topics = 16');

sub apply { return apply_memory($node, @_); }

my %of_a_lane = (at_least_once => [qw(letter other)], exactly_once => [qw(letter x1 x2 x3 other)]);
for my $guarantee (sort keys %of_a_lane)
{
	apply("${_}_$guarantee", $guarantee, '{"reject_bytes": 100}') for @{ $of_a_lane{$guarantee} };
}
wait_for_value($node, q{SELECT count(*) = 7 AND bool_and(state = 'running') FROM prism.sinks});
my $filler = 0;
while ($node->psql('postgres', "SELECT prism.apply('name: filler$filler'); SELECT prism.publish('filler$filler', 'x')", on_error_stop => 1) == 0) { $filler++; }
for my $guarantee (sort keys %of_a_lane)
{
	my ($letter, $other) = ("letter_$guarantee", "other_$guarantee");
	$node->safe_psql('postgres', "SELECT count(prism.publish('$letter', CASE i WHEN 3 THEN repeat('x', 1000) ELSE 'a' END)) FROM generate_series(1, 8) i");
	wait_for_value($node, "SELECT state = 'backoff' AND error ~ 'dead letter cannot be written' FROM prism.sinks WHERE topic = '$letter'");
	pass("$letter: a dead letter that cannot be written is told");
	$node->safe_psql('postgres', "SELECT prism.publish('$other', 'x') FROM generate_series(1, 3)");
	wait_for_value($node, "SELECT lag_messages = 0 AND state = 'running' FROM prism.sinks WHERE topic = '$other'");
	wait_for_value($node, "SELECT state FROM prism.sinks WHERE topic = '$letter'", 'backoff');
	pass("$other: others go on");
}

# What waits for its dead letter costs nothing, until it is tried again: in ticks of a hundredth of a second.
SKIP:
{
	my $pid = worker_pid($node, 'prism forwarder');
	skip 'the system does not tell what a process has used', 1 unless -r "/proc/$pid/stat";
	my $used = sub { my @field = split ' ', slurp_file("/proc/$pid/stat") =~ s/.*\) //sr; return $field[11] + $field[12] };
	my $retry_at = $node->safe_psql('postgres', q{SELECT max(retry_at) FROM prism.sinks WHERE state = 'backoff'});
	my ($before, $from) = ($used->(), Time::HiRes::time());
	wait_for_value($node, "SELECT bool_and(retry_at > '$retry_at') FROM prism.sinks WHERE state = 'backoff'");
	my $share = ($used->() - $before) / (Time::HiRes::time() - $from);
	cmp_ok($share, '<', 25, 'a sink that waits for its dead letter does not keep a processor busy');
}

# It comes to rest when it is paused, and goes on behind the message that nobody wants.
for my $guarantee (sort keys %of_a_lane)
{
	my $letter = "letter_$guarantee";
	my $at = $node->safe_psql('postgres', qq{SELECT "position" + 1 FROM prism.read('$letter', 0) WHERE length(payload) > 100});
	$node->safe_psql('postgres', "SELECT prism.pause('$letter', 'memory')");
	wait_for_value($node, "SELECT state FROM prism.sinks WHERE topic = '$letter'", 'paused');
	$node->safe_psql('postgres', "SELECT prism.resume('$letter', 'memory')");
	wait_for_value($node, "SELECT state FROM prism.sinks WHERE topic = '$letter'", 'backoff');
	pass("$letter: a pause alone changes nothing");
	next if $guarantee eq 'at_least_once';    # it is needed below
	$node->safe_psql('postgres', "SELECT prism.pause('$letter', 'memory')");
	wait_for_value($node, "SELECT state FROM prism.sinks WHERE topic = '$letter'", 'paused');
	$node->safe_psql('postgres', "SELECT prism.skip('$letter', 'memory', $at); SELECT prism.resume('$letter', 'memory')");
	wait_for_value($node, "SELECT lag_messages = 0 AND state = 'running' FROM prism.sinks WHERE topic = '$letter'");
	pass("$letter: goes on behind it");
}

# A change of the catalogue does not wait for those who get nowhere: the others stand still meanwhile.
my $begin = time;
apply('letter_at_least_once', 'at_least_once', '{"reject_bytes": 0}');
wait_for_value($node, "SELECT bool_and(lag_messages = 0 AND state = 'running') FROM prism.sinks WHERE topic ~ 'letter'");
cmp_ok(time - $begin, '<', 8, 'a change of the catalogue is not kept by what is stuck');

done_testing();
